//! The suite that every metadata store passes, on files of a temporary directory and on a
//! simulated disk that loses power when it is killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::conformance::{Ending, Fixture};
use storage::memory::MemoryStore;
use storage_disk::{DiskMetadata, Fatal};
use vfs::{CutPolicy, RealVfs, SimVfs, Vfs};

fn fixture(vfs: Arc<dyn Vfs>, own_dir: PathBuf, end: Arc<dyn Fn(Ending) + Send + Sync>) -> Fixture {
    let fatal: Fatal = Arc::new(|failure| assert!(failure.0.is_empty(), "{failure}"));
    let metadata = DiskMetadata::open(&vfs, &own_dir, fatal).expect("a start is never refused");
    let metadata = Arc::new(metadata);
    Fixture::new(Arc::new(MemoryStore::new()), metadata, move |ending| {
        end(ending);
        fixture(vfs, own_dir, end)
    })
}

fn on_files() -> Fixture {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let own_dir = temp.path().to_path_buf();
    // Moved into the callback: it lives as long as the fixtures.
    let end = move |_| assert!(temp.path().exists());
    fixture(Arc::new(RealVfs::new()), own_dir, Arc::new(end))
}

fn on_a_simulated_disk() -> Fixture {
    let disk = SimVfs::new();
    let own_dir = Path::new("/data/@ottla");
    vfs::create_dirs(&disk, own_dir).expect("room");
    let cut = disk.clone();
    let end = move |ending| {
        if ending == Ending::Killed {
            cut.power_cut_with(&CutPolicy::DropAll);
        }
    };
    fixture(Arc::new(disk), own_dir.to_path_buf(), Arc::new(end))
}

macro_rules! cases {
    ($fixture:ident: $($module:ident::$case:ident,)*) => {
        mod $fixture {
            use storage::conformance::{metadata, restarts, run};

            $(#[test]
            fn $case() {
                run($module::$case(super::$fixture()));
            })*
        }
    };
    ($($fixture:ident),*) => {
        $(cases! {
            $fixture:
            metadata::what_was_committed_is_read,
            metadata::a_removed_key_is_absent,
            metadata::lists_are_ordered_and_bounded,
            metadata::keys_do_not_imitate_each_other,
            metadata::a_changed_key_is_a_conflict,
            metadata::a_conflict_writes_nothing,
            metadata::versions_only_rise,
            metadata::concurrent_commits_lose_nothing,
            restarts::rows_and_versions_survive,
        })*
    };
}

cases!(on_files, on_a_simulated_disk);
