//! Looking at a data directory without owning it: nothing is written, no lock is taken.
