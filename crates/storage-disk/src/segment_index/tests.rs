//! When entries are due, and what is written of them.

use std::path::Path;

use records::{BatchBuilder, BatchHeader, Codec, Offset};
use storage::{PartitionId, TopicId};
use vfs::{OpenMode, SimVfs, Vfs};

use super::{IndexSource, SegmentIndex};
use crate::index::ENTRY_BYTES;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::walk::EpochRange;
use crate::window::Access;

const INTERVAL: u32 = 100;

/// A header of a batch of this size at this offset.
fn header(base: i64, timestamp_ms: i64, value_bytes: usize) -> BatchHeader {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(timestamp_ms, None, Some(&vec![0; value_bytes]), &[])
        .expect("a record");
    let mut batch = builder.build().expect("a batch");
    batch.place(Offset::new(base), 1);
    *batch.header()
}

/// Kafka's `LogSegment.append`, written down naively: positions of entries.
fn kafkas_entries(sizes: &[usize]) -> Vec<u64> {
    let (mut entries, mut since, mut position) = (Vec::new(), 0, 0);
    for size in sizes {
        if since > INTERVAL as usize {
            entries.push(position as u64);
            since = 0;
        }
        since += size;
        position += size;
    }
    entries
}

#[test]
fn a_batch_that_claims_offsets_of_the_next_ones_is_no_panic() {
    let mut index = SegmentIndex::new(Offset::new(1000));
    let mut position = Position::ZERO;
    for (number, last_offset_delta) in [(0, 0), (1, 0), (2, 1_000_000), (3, 0), (4, 0)] {
        let header = BatchHeader {
            last_offset_delta,
            ..header(1000 + number, number, 200)
        };
        index.note(&header, position, INTERVAL);
        position = position.plus(header.size_bytes());
    }
    let last = index.offsets.last().expect("there are entries");
    assert_eq!((index.offsets.len(), last.relative_last), (2, 1_000_002));
}

#[test]
fn entries_are_due_as_in_kafka() {
    for values in [
        vec![1; 10],
        vec![40, 31, 32, 33, 200, 1, 1, 1],
        vec![500; 4],
        vec![39; 6],
    ] {
        let mut index = SegmentIndex::new(Offset::new(1000));
        let mut position = Position::ZERO;
        let mut sizes = Vec::new();
        for (base, &value_bytes) in (1000..).zip(&values) {
            let header = header(base, base, value_bytes);
            index.note(&header, position, INTERVAL);
            position = position.plus(header.size_bytes());
            sizes.push(header.size_bytes());
        }
        let got: Vec<u64> = index
            .offsets
            .entries()
            .iter()
            .map(|e| e.position.bytes())
            .collect();
        assert_eq!(got, kafkas_entries(&sizes), "values of {values:?} bytes");
    }
}

#[test]
fn the_largest_timestamp_is_that_of_the_first_batch_with_it() {
    let mut index = SegmentIndex::new(Offset::ZERO);
    for (base, timestamp_ms) in [(0, 50), (1, 90), (2, 90), (3, 10)] {
        let at = u32::try_from(base * 100).expect("small");
        index.note(&header(base, timestamp_ms, 10), Position::new(at), 1 << 20);
    }
    assert_eq!(index.largest(), Some((90, Offset::new(1))));
    assert!(index.pending(0).is_none(), "nothing is due yet");
    index.push_largest();
    assert_eq!(index.older_than(91), Some((90, Offset::new(1))));
}

#[test]
fn files_get_what_they_do_not_hold_yet() {
    let vfs = SimVfs::new();
    let directory = Path::new("/partition0");
    vfs.create_dir(directory).expect("made");
    let mut index = SegmentIndex::new(Offset::ZERO);
    let mut position = Position::ZERO;
    for base in 0..20 {
        let header = header(base, base, 60);
        index.note(&header, position, INTERVAL);
        position = position.plus(header.size_bytes());
        if base % 6 == 5 {
            let pending = index.pending(0).expect("entries came");
            pending.write(&vfs, directory, true).expect("written");
            index.mark_written(&pending);
            assert!(index.pending(0).is_none(), "all is written");
        }
    }
    let pending = index.pending(0).expect("entries came");
    pending.write(&vfs, directory, false).expect("written");
    let path = SegmentFile::Index.path(directory, Offset::ZERO);
    let bytes = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    assert_eq!(bytes, index.offsets.encode_from(0));
    let path = SegmentFile::TimeIndex.path(directory, Offset::ZERO);
    let bytes = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    assert_eq!(bytes, index.times.encode_from(0));
}

#[test]
fn a_last_entry_that_names_another_offset_is_not_loaded() {
    let vfs = SimVfs::new();
    let directory = Path::new("/partition0");
    vfs.create_dir(directory).expect("made");
    let log = SegmentFile::Log.path(directory, Offset::ZERO);
    let log = vfs.open(&log, OpenMode::CreateNew).expect("made");
    let mut index = SegmentIndex::new(Offset::ZERO);
    let mut position = Position::ZERO;
    for base in 0..20 {
        let mut builder = BatchBuilder::new(Codec::None);
        builder
            .append(base, None, Some(&[0; 60]), &[])
            .expect("a record");
        let mut batch = builder.build().expect("a batch");
        batch.place(Offset::new(base), 1);
        vfs::write_all_at(&*log, batch.as_bytes(), position.bytes()).expect("written");
        index.note(batch.header(), position, INTERVAL);
        position = position.plus(batch.len());
    }
    let pending = index.pending(0).expect("entries came");
    pending.write(&vfs, directory, false).expect("written");
    let path = SegmentFile::Index.path(directory, Offset::ZERO);
    let file = vfs.open(&path, OpenMode::ReadWrite).expect("it is there");
    let last = index.offsets.last().expect("entries came");
    let at = file.size_bytes().expect("a size") - ENTRY_BYTES as u64;
    let source = IndexSource {
        vfs: &vfs,
        directory,
        partition: PartitionId {
            topic: TopicId([1; 16]),
            partition: 0,
        },
        base: Offset::ZERO,
        interval_bytes: INTERVAL,
        epochs: EpochRange::ANY,
    };
    for wrong in [0, 1] {
        let relative_last = last.relative_last + wrong;
        vfs::write_all_at(&*file, &relative_last.to_be_bytes(), at).expect("written");
        let loaded = SegmentIndex::load(source, &*log, position, Access::Blocking).expect("read");
        assert_eq!(
            loaded.offsets, index.offsets,
            "the last entry says {relative_last}"
        );
    }
}
