//! The set of open files.

use std::path::Path;
use std::sync::Arc;

use records::Offset;
use vfs::{File, OpenMode, SimVfs, Vfs};

use super::{FileKey, OpenFiles};

fn file(vfs: &SimVfs) -> Arc<dyn File> {
    vfs.open(Path::new("/file"), OpenMode::ReadWriteCreate)
        .expect("it opens")
}

fn key(log: u64, base: i64) -> FileKey {
    FileKey {
        log,
        base: Offset::new(base),
    }
}

#[test]
fn no_more_than_allowed_are_held() {
    let vfs = SimVfs::new();
    let files = OpenFiles::new(4);
    for base in 0..100 {
        files.insert(key(1, base), &file(&vfs));
        assert!(files.get(key(1, base)).is_some(), "the newest is held");
        assert!(files.len() <= 4);
        assert!(vfs.open_handles() <= 4, "the others are closed");
    }
}

#[test]
fn what_is_used_stays() {
    let vfs = SimVfs::new();
    let files = OpenFiles::new(4);
    files.insert(key(1, 0), &file(&vfs));
    for base in 1..50 {
        files.insert(key(1, base), &file(&vfs));
        assert!(
            files.get(key(1, 0)).is_some(),
            "used all the time, before {base}"
        );
    }
}

#[test]
fn a_log_is_forgotten_as_a_whole() {
    let vfs = SimVfs::new();
    let files = OpenFiles::new(8);
    for base in 0..3 {
        files.insert(key(1, base), &file(&vfs));
        files.insert(key(2, base), &file(&vfs));
    }
    files.forget(1);
    for base in 0..3 {
        assert!(files.get(key(1, base)).is_none());
        assert!(files.get(key(2, base)).is_some());
    }
    assert_eq!(vfs.open_handles(), 3);
    files.insert(key(3, 0), &file(&vfs));
    assert!(files.get(key(3, 0)).is_some());
}

#[test]
fn what_nobody_uses_is_closed() {
    let vfs = SimVfs::new();
    let files = OpenFiles::new(8);
    for log in 0..3 {
        files.insert(key(log, 0), &file(&vfs));
        assert!(files.get(key(log, 0)).is_some());
    }
    files.sweep();
    assert_eq!(vfs.open_handles(), 3, "all were used before");
    assert!(files.get(key(1, 0)).is_some());
    files.sweep();
    assert_eq!(vfs.open_handles(), 1, "one was used since");
    assert!(files.get(key(1, 0)).is_some());
    files.sweep();
    files.sweep();
    assert_eq!((files.len(), vfs.open_handles()), (0, 0));
}
