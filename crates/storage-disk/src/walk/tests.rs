//! Steps over good batches, over damage, and past it.

use std::path::Path;
use std::sync::Arc;

use records::{BatchBuilder, Codec, Offset};
use vfs::{File, OpenMode, SimVfs, Vfs};

use super::{EpochRange, Step, Walk, resync};
use crate::position::Position;
use crate::window::Access;

const EPOCH: i32 = 3;

fn batch(base: i64, records: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..records {
        builder
            .append(0, None, Some(b"some value"), &[])
            .expect("a record");
    }
    let mut batch = builder.build().expect("a batch");
    batch.place(Offset::new(base), EPOCH);
    batch.as_bytes().to_vec()
}

fn file(bytes: &[u8]) -> (Arc<dyn File>, Position) {
    let vfs = SimVfs::new();
    let file = vfs
        .open(Path::new("/file"), OpenMode::CreateNew)
        .expect("made");
    vfs::write_all_at(&*file, bytes, 0).expect("written");
    (file, Position::end_of(bytes.len() as u64))
}

/// Base offsets of the good batches, and whether damage ends them.
fn walk(bytes: &[u8], epochs: EpochRange) -> (Vec<i64>, bool) {
    let (file, end) = file(bytes);
    let range = (Position::ZERO, end);
    let mut walk = Walk::checked(
        &*file,
        Access::Blocking,
        range,
        Some(Offset::new(5)),
        epochs,
    );
    let mut bases = Vec::new();
    loop {
        match walk.step().expect("it can be read") {
            Step::Batch(found) => bases.push(found.header.base_offset.get()),
            Step::End => return (bases, false),
            Step::Damaged { .. } => return (bases, true),
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = [batch(5, 2), batch(7, 1), batch(8, 3)].concat();
    let epochs = EpochRange {
        lowest: EPOCH,
        highest: EPOCH,
        highest_from: Offset::ZERO,
    };
    assert_eq!(walk(&bytes, epochs), (vec![5, 7, 8], false));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (bases, is_damaged) = walk(&damaged, epochs);
        assert!(is_damaged && bases.len() < 3, "bit {bit}: {bases:?}");
    }
}

#[test]
fn a_file_that_ends_anywhere_is_walked_to_the_last_whole_batch() {
    let batches = [batch(5, 2), batch(7, 1), batch(8, 3)];
    let bytes = batches.concat();
    let ends = [
        0,
        batches[0].len(),
        batches[0].len() + batches[1].len(),
        bytes.len(),
    ];
    for length in 0..=bytes.len() {
        let whole = ends
            .iter()
            .rposition(|end| *end <= length)
            .expect("0 is one");
        let (bases, is_damaged) = walk(&bytes[..length], EpochRange::ANY);
        assert_eq!(bases, &[5, 7, 8][..whole], "{length} bytes");
        assert_eq!(is_damaged, !ends.contains(&length), "{length} bytes");
    }
}

#[test]
fn epochs_do_not_fall_and_are_not_made_up() {
    let mut later = batch(7, 1);
    later[12..16].copy_from_slice(&(EPOCH + 1).to_be_bytes());
    let mut earlier = batch(8, 1);
    earlier[12..16].copy_from_slice(&(EPOCH - 1).to_be_bytes());
    let bytes = [batch(5, 2), later, earlier].concat();
    assert_eq!(
        walk(&bytes, EpochRange::ANY),
        (vec![5, 7], true),
        "the third falls"
    );
    assert_eq!(
        walk(&bytes, EpochRange::up_to(EPOCH)),
        (vec![5], true),
        "the second is unknown"
    );
    let above = EpochRange {
        lowest: EPOCH + 1,
        highest: i32::MAX,
        highest_from: Offset::ZERO,
    };
    assert_eq!(walk(&bytes, above), (vec![], true), "the first is too old");
}

/// A batch of one record whose last bytes, those of a header, are these.
fn holding(base: i64, inner: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    let header = records::Header {
        key: "key".into(),
        value: Some(inner.to_vec().into()),
    };
    builder
        .append(0, None, Some(b"some value"), &[header])
        .expect("a record");
    let mut batch = builder.build().expect("a batch");
    batch.place(Offset::new(base), EPOCH);
    batch.as_bytes().to_vec()
}

#[test]
fn a_batch_inside_the_damaged_one_is_not_behind_it() {
    // It ends where the one around it ends, and its offset leads to that of the next.
    let outer = holding(7, &batch(7, 1));
    let rest = [batch(8, 2), batch(10, 1)];
    for (what, damaged) in [("length", 8..12), ("magic", 16..17), ("base offset", 0..8)] {
        for byte in damaged {
            for followers in [0, 1, 2] {
                let mut bytes = outer.clone();
                bytes[byte] ^= 0x08;
                bytes.extend(rest[..followers].iter().flatten());
                let (file, end) = file(&bytes);
                let range = (Position::ZERO, end);
                let found = resync(&*file, Access::Blocking, range, Offset::new(7));
                let found = found.expect("it can be read").map(|found| found.position);
                let behind = Position::ZERO.plus(outer.len());
                let expected = (followers > 0).then_some(behind);
                assert_eq!(found, expected, "byte {byte} ({what}), {followers} behind");
            }
        }
    }
}

#[test]
fn the_way_behind_damage_must_be_certain() {
    let (first, second, third) = (batch(5, 2), batch(7, 1), batch(8, 3));
    let behind = first.len() + second.len();
    let mut bad_crc = second.clone();
    bad_crc[60] ^= 1;
    let mut bad_length = second.clone();
    bad_length[9] ^= 1;
    let mut later_is_torn = third.clone();
    later_is_torn.truncate(third.len() - 1);
    let mut from_before = third.clone();
    from_before[..8].copy_from_slice(&2_i64.to_be_bytes());
    let cases = [
        ("a CRC", [&bad_crc[..], &third].concat(), Some(behind)),
        ("a length", [&bad_length[..], &third].concat(), Some(behind)),
        (
            "noise",
            [&vec![0xA5; second.len()][..], &third].concat(),
            Some(behind),
        ),
        (
            "a torn batch behind",
            [&bad_crc[..], &later_is_torn].concat(),
            None,
        ),
        (
            "an old batch behind",
            [&bad_crc[..], &from_before].concat(),
            None,
        ),
        ("nothing behind", bad_crc.clone(), None),
    ];
    for (what, rest, expected) in cases {
        let (file, end) = file(&[&first[..], &rest].concat());
        let bad = Position::ZERO.plus(first.len());
        let found = resync(&*file, Access::Blocking, (bad, end), Offset::new(7));
        let found = found.expect("it can be read").map(|found| found.position);
        assert_eq!(found, expected.map(|at| Position::ZERO.plus(at)), "{what}");
    }
}
