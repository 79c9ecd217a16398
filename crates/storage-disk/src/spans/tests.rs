//! When spans close, the pages they are written as, and what is made of pages that are not good.

use std::path::Path;

use records::{BatchBuilder, BatchHeader, Codec, Offset};
use storage::{PartitionId, TopicId};
use vfs::{OpenMode, SimVfs, Vfs};

use super::page::{PAGE_BYTES, PAGE_ENTRIES};
use super::{SegmentSpans, Span, Stored, owner_of, trim};
use crate::mend::{Mender, Verdict};
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::segment_index::IndexSource;
use crate::walk::EpochRange;
use crate::window::Access;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/spans-1.bin");
const DIRECTORY: &str = "/partition0";
const INTERVAL: u32 = 200;
const OWNER: PartitionId = PartitionId {
    topic: TopicId([7; 16]),
    partition: 3,
};

fn batch(base: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(base, None, Some(b"some value"), &[])
        .expect("a record");
    let mut batch = builder.build().expect("a batch");
    batch.place(Offset::new(base), 1);
    batch.as_bytes().to_vec()
}

/// Spans of so many batches, noted as they are appended.
fn grown(batches: i64, interval_bytes: u32) -> SegmentSpans {
    let mut spans = SegmentSpans::default();
    let mut position = Position::ZERO;
    for base in 0..batches {
        let header = BatchHeader::parse(&batch(base)).expect("a header");
        spans.note(&header, position, interval_bytes);
        position = position.plus(header.size_bytes());
    }
    spans
}

/// A partition with one log of so many batches.
fn directory(batches: i64) -> SimVfs {
    let vfs = SimVfs::new();
    vfs.create_dir(Path::new(DIRECTORY)).expect("made");
    let bytes: Vec<u8> = (0..batches).flat_map(batch).collect();
    put(&vfs, SegmentFile::Log, &bytes);
    vfs
}

fn put(vfs: &SimVfs, kind: SegmentFile, bytes: &[u8]) {
    let path = kind.path(Path::new(DIRECTORY), Offset::ZERO);
    let file = vfs.open(&path, OpenMode::ReadWriteCreate).expect("made");
    file.set_size(0).expect("empty");
    vfs::write_all_at(&*file, bytes, 0).expect("written");
}

fn stored(vfs: &SimVfs) -> Vec<u8> {
    let path = SegmentFile::Spans.path(Path::new(DIRECTORY), Offset::ZERO);
    vfs::read_whole(vfs, &path, 1 << 30).expect("read")
}

fn load(vfs: &SimVfs) -> (SegmentSpans, Position) {
    let source = IndexSource {
        vfs,
        directory: Path::new(DIRECTORY),
        partition: OWNER,
        base: Offset::ZERO,
        interval_bytes: INTERVAL,
        epochs: EpochRange::ANY,
    };
    let path = SegmentFile::Log.path(source.directory, source.base);
    let log = vfs.open(&path, OpenMode::Read).expect("opened");
    let end = Position::end_of(log.size_bytes().expect("asked"));
    let spans = SegmentSpans::load(source, &*log, end, Access::Blocking).expect("loaded");
    let mender = Mender {
        file: &*log,
        base: source.base,
        limit: end,
        epochs: EpochRange::ANY,
    };
    for stretch in spans.covering((Position::ZERO, end)) {
        let verdict = mender.judge(stretch).expect("read");
        assert_eq!(verdict, Verdict::Good, "{stretch:?}");
    }
    (spans, end)
}

fn write(vfs: &SimVfs, spans: &mut SegmentSpans) -> bool {
    let Some(pending) = spans.pending(owner_of(OWNER, Offset::ZERO)) else {
        return false;
    };
    let place = (Path::new(DIRECTORY), Offset::ZERO);
    pending.write(vfs, place, false).expect("written");
    spans.mark_written(&pending);
    true
}

#[test]
fn what_is_written_is_the_golden_file() {
    let mut spans = SegmentSpans {
        closed: vec![
            Span {
                end: Position::new(4200),
                crc: 0x0123_4567,
            },
            Span {
                end: Position::new(9000),
                crc: Span::UNKNOWN_CRC,
            },
        ],
        open: Some(Span {
            end: Position::new(9100),
            crc: u32::MAX,
        }),
        ..SegmentSpans::default()
    };
    spans.seal();
    let owner = owner_of(OWNER, Offset::new(1000));
    let pending = spans.pending(owner).expect("nothing was written");
    crate::golden::check("spans-1.bin", GOLDEN, &pending.bytes);
    let stored = Stored::decode(GOLDEN, Some(owner));
    assert!(stored.is_whole);
    assert_eq!(stored.sealed_end, Some(Position::new(9100)));
    assert_eq!(
        stored.stretches,
        spans.covering((Position::ZERO, Position::MAX))
    );
}

#[test]
fn a_span_closes_behind_the_batch_that_passes_the_interval() {
    let size = batch(0).len();
    let size_bytes = u32::try_from(size).expect("small");
    for (interval_bytes, batches_a_span) in [
        (0, 1),
        (size_bytes - 1, 1),
        (size_bytes, 2),
        (3 * size_bytes - 1, 3),
    ] {
        let spans = grown(12, interval_bytes);
        let ends: Vec<usize> = spans
            .closed
            .iter()
            .map(|span| span.end.since(Position::ZERO))
            .collect();
        let expected: Vec<usize> = (1..=12 / batches_a_span)
            .map(|number| number * batches_a_span * size)
            .collect();
        assert_eq!(ends, expected, "interval {interval_bytes}");
        assert_eq!(spans.end().since(Position::ZERO), 12 * size);
    }
}

#[test]
fn the_file_says_at_every_moment_what_was_appended() {
    let batches = 2 * i64::try_from(PAGE_ENTRIES).expect("few") + 30;
    let vfs = directory(0);
    let mut spans = SegmentSpans::default();
    let mut position = Position::ZERO;
    for base in 0..batches {
        let header = BatchHeader::parse(&batch(base)).expect("a header");
        spans.note(&header, position, 0);
        position = position.plus(header.size_bytes());
        let page = i64::try_from(PAGE_ENTRIES).expect("few");
        if base % 100 == 7 || (base + 1) % page < 3 {
            assert!(write(&vfs, &mut spans));
            assert!(!write(&vfs, &mut spans), "it was written");
            let stored = Stored::decode(&stored(&vfs), None);
            assert!(stored.is_whole, "after {base}");
            assert_eq!(stored.stretches, spans.covering((Position::ZERO, position)));
            assert_eq!(stored.sealed_end, None);
        }
    }
    write(&vfs, &mut spans);
    spans.seal();
    assert!(write(&vfs, &mut spans), "that it ends here is news");
    assert_eq!(
        Stored::decode(&stored(&vfs), None).sealed_end,
        Some(position)
    );
    assert_eq!(stored(&vfs).len(), 3 * PAGE_BYTES);
}

#[test]
fn what_is_open_is_written_and_written_over() {
    let vfs = directory(2);
    let mut spans = grown(1, 1 << 20);
    assert!(write(&vfs, &mut spans));
    let first = Stored::decode(&stored(&vfs), None).stretches;
    let header = BatchHeader::parse(&batch(1)).expect("a header");
    spans.note(&header, spans.end(), 1 << 20);
    assert!(write(&vfs, &mut spans));
    let second = Stored::decode(&stored(&vfs), None).stretches;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(first[0].end < second[0].end);
    let (loaded, end) = load(&vfs);
    assert_eq!(loaded.end(), end);
}

#[test]
fn a_file_in_any_state_costs_nothing_but_a_walk() {
    let batches = 4000;
    let original = directory(batches);
    let mut spans = grown(batches, INTERVAL);
    spans.seal();
    write(&original, &mut spans);
    let good = stored(&original);
    assert!(
        good.len() >= 3 * PAGE_BYTES,
        "there are {} bytes",
        good.len()
    );
    let mut alien = grown(batches, INTERVAL);
    alien.seal();
    let stranger = owner_of(OWNER, Offset::new(1));
    let alien = alien.pending(stranger).expect("all of it").bytes;
    let flipped = |page: usize| {
        let mut bytes = good.clone();
        bytes[page * PAGE_BYTES + 20] ^= 1;
        bytes
    };
    let swapped = {
        let mut bytes = good.clone();
        bytes.rotate_left(PAGE_BYTES);
        bytes
    };
    let states: [(&str, Vec<u8>, bool); 9] = [
        ("good", good.clone(), false),
        ("empty", Vec::new(), true),
        ("short", good[..PAGE_BYTES].to_vec(), true),
        ("odd", good[..PAGE_BYTES + 100].to_vec(), true),
        ("a bad first page", flipped(0), true),
        ("a bad page", flipped(1), true),
        ("another segment's", alien, true),
        ("pages in another order", swapped, true),
        ("garbage", vec![0xA5; 5000], true),
    ];
    for (what, bytes, is_rewritten) in states {
        let vfs = original.fork();
        put(&vfs, SegmentFile::Spans, &bytes);
        let (mut loaded, end) = load(&vfs);
        loaded.seal();
        assert_eq!(loaded.end(), end, "{what}");
        assert_eq!(write(&vfs, &mut loaded), is_rewritten, "{what}");
        let stored = Stored::decode(&stored(&vfs), Some(owner_of(OWNER, Offset::ZERO)));
        assert!(stored.is_whole, "{what}");
        assert_eq!(stored.sealed_end, Some(end), "{what}");
    }
    let path = SegmentFile::Spans.path(Path::new(DIRECTORY), Offset::ZERO);
    original.remove_file(&path).expect("it was there");
    assert_eq!(load(&original).0.end(), spans.end(), "missing");
}

#[test]
fn an_old_page_before_a_new_one_takes_nothing_from_it() {
    let batches = i64::try_from(PAGE_ENTRIES).expect("few") + 20;
    let vfs = directory(batches);
    let mut spans = grown(batches / 2, 0);
    write(&vfs, &mut spans);
    let old = stored(&vfs);
    let mut spans = grown(batches, 0);
    write(&vfs, &mut spans);
    let new = stored(&vfs);
    put(
        &vfs,
        SegmentFile::Spans,
        &[&old[..], &new[PAGE_BYTES..]].concat(),
    );
    let (loaded, end) = load(&vfs);
    assert_eq!(loaded.end(), end);
}

#[test]
fn damage_in_the_log_is_of_unknown_content_and_hides_nothing_behind_it() {
    let vfs = directory(40);
    let size = batch(0).len();
    let path = SegmentFile::Log.path(Path::new(DIRECTORY), Offset::ZERO);
    let at = u64::try_from(20 * size).expect("small");
    vfs.damage(&path, at, &vec![0; size]).expect("damaged");
    let source = IndexSource {
        vfs: &vfs,
        directory: Path::new(DIRECTORY),
        partition: OWNER,
        base: Offset::ZERO,
        interval_bytes: INTERVAL,
        epochs: EpochRange::ANY,
    };
    let log = vfs.open(&path, OpenMode::Read).expect("opened");
    let end = Position::end_of(log.size_bytes().expect("asked"));
    let spans = SegmentSpans::load(source, &*log, end, Access::Blocking).expect("loaded");
    let unknown: Vec<(usize, usize)> = spans
        .covering((Position::ZERO, end))
        .iter()
        .filter(|stretch| !stretch.is_known())
        .map(|stretch| {
            (
                stretch.start.since(Position::ZERO),
                stretch.end.since(Position::ZERO),
            )
        })
        .collect();
    assert_eq!(unknown, [(20 * size, 21 * size)]);
    assert_eq!(spans.end(), end);
}

#[test]
fn nothing_is_said_of_bytes_past_a_cut() {
    let vfs = directory(40);
    let mut spans = grown(40, INTERVAL);
    spans.seal();
    write(&vfs, &mut spans);
    let size = batch(0).len();
    for batches in [40, 25, 3, 0] {
        let vfs = vfs.fork();
        let end = Position::ZERO.plus(batches * size);
        trim(&vfs, (Path::new(DIRECTORY), Offset::ZERO), end).expect("trimmed");
        let after = Stored::decode(&stored(&vfs), Some(owner_of(OWNER, Offset::ZERO)));
        assert!(after.is_whole, "up to {end}");
        assert_eq!(after.sealed_end, None, "it may grow again");
        let expected: Vec<_> = spans
            .covering((Position::ZERO, Position::MAX))
            .into_iter()
            .filter(|stretch| stretch.end <= end)
            .collect();
        assert_eq!(after.stretches, expected, "up to {end}");
    }
}
