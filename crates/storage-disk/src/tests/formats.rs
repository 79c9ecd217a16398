//! The bytes of a segment and of its neighbours do not change by accident.

use vfs::SimVfs;

use super::harness::{batch, file, partition_dir, place, plain_topic, produced, start};
use crate::Durability;

const SEGMENT: &[u8] = include_bytes!("../../tests/golden/segment-1.bin");

fn written() -> SimVfs {
    let vfs = SimVfs::new();
    let life = start(&vfs, Durability::Fsync);
    let log = life.create(&plain_topic());
    place(&*log, batch(&[b"one", b"two"]));
    place(&*log, produced(4000, 2, 0, &[b"three"]));
    life.sync();
    drop(log);
    life.disk.close().expect("a clean end");
    vfs
}

#[test]
fn a_segment_is_the_golden_file() {
    let bytes = vfs::read_whole(&written(), &file(0, "log"), 1 << 20).expect("read");
    crate::golden::check("segment-1.bin", SEGMENT, &bytes);
}

#[test]
fn epochs_are_kafkas_text() {
    let path = partition_dir().join("leader-epoch-checkpoint");
    let bytes = vfs::read_whole(&written(), &path, 1 << 20).expect("read");
    assert_eq!(String::from_utf8_lossy(&bytes), "0\n1\n1 0\n");
}

#[test]
fn a_clean_end_leaves_these_files() {
    let listed = vfs::Vfs::read_dir(&written(), &partition_dir()).expect("listed");
    let names: Vec<String> = listed.into_iter().map(|entry| entry.name).collect();
    let expected = [
        "00000000000000000000.index",
        "00000000000000000000.log",
        "00000000000000000000.spans",
        "00000000000000000000.timeindex",
        "00000000000000000003.snapshot",
        "leader-epoch-checkpoint",
    ];
    assert_eq!(names, expected);
}
