//! The memory store under the common suite.

use std::sync::Arc;

use super::*;
use crate::conformance::Fixture;
use crate::metadata::Metadata;

fn fixture() -> Fixture {
    fixture_on(MemoryStore::new(), Arc::new(MemoryMetadata::new()))
}

fn fixture_on(store: MemoryStore, metadata: Arc<dyn Metadata>) -> Fixture {
    let store = Arc::new(store);
    let (logs, table) = (Arc::clone(&store), Arc::clone(&metadata));
    Fixture::new(store, metadata, move |_ending| {
        fixture_on(logs.restart(), table)
    })
}

crate::store_conformance_tests!(fixture);

mod between_the_steps;
