//! The suite that every store passes, on a real directory and on a simulated disk.

use std::path::PathBuf;
use std::sync::Arc;

use clock::{Clock, SystemClock};
use storage::conformance::{Ending, Fixture};
use vfs::Vfs;

use crate::{Disk, DiskOptions, Durability, Fatal, open};

fn options(data_dir: PathBuf, durability: Durability) -> DiskOptions {
    DiskOptions {
        data_dir,
        durability,
        min_free_bytes: 0,
        scrub_bytes_per_second: 0,
        compaction: crate::CompactionOptions::default(),
        retention_check_interval: std::time::Duration::from_secs(10),
        open_files_max: 64,
    }
}

/// A failure that no test expects.
fn fatal() -> Fatal {
    Arc::new(|failure| eprintln!("durability was lost: {failure}"))
}

fn start(vfs: &Arc<dyn Vfs>, options: &DiskOptions) -> Disk {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    open(Arc::clone(vfs), clock, options.clone(), fatal()).expect("the directory opens")
}

#[expect(
    clippy::only_used_in_recursion,
    reason = "holds the temporary directory"
)]
fn fixture(vfs: Arc<dyn Vfs>, options: DiskOptions, hold: Arc<dyn Send + Sync>) -> Fixture {
    let disk = start(&vfs, &options);
    let (store, metadata) = (disk.store.clone(), disk.metadata.clone());
    Fixture::new(store, metadata, move |ending| {
        match ending {
            Ending::Clean => disk.close().expect("a clean end"),
            Ending::Killed => drop(disk),
        }
        fixture(vfs, options, hold)
    })
}

mod real {
    use super::*;

    fn fresh(durability: Durability) -> Fixture {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = options(directory.path().join("data"), durability);
        fixture(Arc::new(vfs::RealVfs::new()), options, Arc::new(directory))
    }

    mod fsync {
        fn fixture() -> storage::conformance::Fixture {
            super::fresh(crate::Durability::Fsync)
        }
        storage::store_conformance_tests!(fixture);
    }

    mod os {
        fn fixture() -> storage::conformance::Fixture {
            super::fresh(crate::Durability::Os)
        }
        storage::store_conformance_tests!(fixture);
    }
}

mod simulated {
    fn fixture() -> storage::conformance::Fixture {
        let options = super::options("/data".into(), crate::Durability::Fsync);
        super::fixture(
            std::sync::Arc::new(vfs::SimVfs::new()),
            options,
            std::sync::Arc::new(()),
        )
    }
    storage::store_conformance_tests!(fixture);
}
