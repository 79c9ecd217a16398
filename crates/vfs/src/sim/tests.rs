//! What the simulated disk promises beyond the common suite: how it loses things.

mod exploration;
mod faults;
mod machine;
mod names;
mod pages;
mod power;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::{read_whole, write_all_at};

/// The two rules for names, for tests that hold under both.
const RULES: [NameRule; 2] = [NameRule::EachDirectory, NameRule::JournalOrder];

fn disk(names: NameRule) -> SimVfs {
    SimVfs::with_options(SimOptions {
        names,
        ..SimOptions::default()
    })
}

fn failing(failed_sync: FailedSync) -> SimVfs {
    SimVfs::with_options(SimOptions {
        failed_sync,
        ..SimOptions::default()
    })
}

fn create(vfs: &SimVfs, path: &str) -> Arc<dyn File> {
    vfs.open(Path::new(path), OpenMode::CreateNew)
        .expect("a new file")
}

/// A file that is on the disk with name and bytes.
fn plant(vfs: &SimVfs, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = create(vfs, path);
    write_all_at(&*file, bytes, 0).expect("a write");
    file.sync_data().expect("a sync");
    vfs.sync_dir(Path::new(path).parent().expect("a parent"))
        .expect("a directory sync");
    assert_eq!(
        vfs.durable_bytes(Path::new(path)).expect("on the disk"),
        bytes
    );
    file
}

/// The bytes of a file, `None` if there is none.
fn bytes_of(vfs: &SimVfs, path: &str) -> Option<Vec<u8>> {
    match read_whole(vfs, Path::new(path), 1 << 30) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{path}: {error}"),
    }
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.expect_err("an error").raw_os_error()
}

const EIO: Option<i32> = Some(5);
const EMFILE: Option<i32> = Some(24);
const ENOSPC: Option<i32> = Some(28);
