//! Names of files, both ways.

use std::path::Path;

use records::Offset;

use super::{SegmentFile, partition_dir};

#[test]
fn names_are_kafkas() {
    let directory = Path::new("/data/events/partition0");
    let cases = [
        (0, SegmentFile::Log, "00000000000000000000.log"),
        (1234, SegmentFile::Index, "00000000000000001234.index"),
        (
            i64::MAX,
            SegmentFile::TimeIndex,
            "09223372036854775807.timeindex",
        ),
        (5, SegmentFile::Snapshot, "00000000000000000005.snapshot"),
    ];
    for (base, kind, name) in cases {
        let base = Offset::new(base);
        assert_eq!(kind.path(directory, base), directory.join(name));
        assert_eq!(SegmentFile::parse(name), Some((base, kind)), "{name}");
    }
    assert_eq!(
        partition_dir(Path::new("/data/events"), 12),
        Path::new("/data/events/partition12")
    );
}

#[test]
fn other_names_are_not_ours() {
    let names = [
        "0.log",
        "0000000000000000000.log",
        "000000000000000000000.log",
        "00000000000000000000.logs",
        "00000000000000000000.log.tmp",
        "+0000000000000000000.log",
        "99999999999999999999.log",
        "00000000000000000000",
        ".log",
        "topic.meta",
    ];
    for name in names {
        assert_eq!(SegmentFile::parse(name), None, "{name}");
    }
}
