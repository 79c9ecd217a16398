//! A broker on the memory store.
