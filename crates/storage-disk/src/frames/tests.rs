//! Frames: round trip, every flip, every cut, what imitates a frame.

use std::path::Path;

use clock::{Rng, SeededRng};
use vfs::{DiskError, Fault, Operation, SimVfs, Vfs};

use super::*;
use crate::WriteError;

const GENERATION: u32 = 7;

fn number(index: u32) -> FrameNumber {
    FrameNumber {
        generation: GENERATION,
        index,
    }
}

/// A file of frames with these bodies.
fn file(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, body) in (1..).zip(bodies) {
        let frame = Frame {
            number: number(index),
            kind: 1,
            entry_count: 3,
            body,
        };
        bytes.extend(frame.encode());
    }
    bytes
}

/// A line for each piece.
fn read(copies: &[&[u8]]) -> Vec<String> {
    let pieces = Pieces::new(GENERATION, copies).map(|piece| match piece {
        Piece::Frame {
            at,
            frame,
            bad_copies,
        } => {
            let body = frame.body.escape_ascii();
            format!("{at} #{} {body} bad in {bad_copies:?}", frame.number.index)
        }
        Piece::Gap { at, end, is_tail } => {
            format!("{at} {} to {end}", if is_tail { "torn" } else { "gap" })
        }
    });
    pieces.collect()
}

#[test]
fn a_frame_is_drawn_as_documented() {
    let frame = Frame {
        number: FrameNumber {
            generation: 0x0102_0304,
            index: 0x0506_0708,
        },
        kind: 9,
        entry_count: 0x0a0b_0c0d,
        body: b"body",
    };
    let bytes = frame.encode();
    assert_eq!(bytes[..4], [0, 0, 0, 4], "body length");
    assert_eq!(
        bytes[4..8],
        crc32c(&bytes[8..]).to_be_bytes(),
        "CRC of all that follows"
    );
    assert_eq!(bytes[8..12], [9, 0, 0, 0], "kind, zeros");
    assert_eq!(bytes[12..16], [10, 11, 12, 13], "entry count");
    assert_eq!(bytes[16..24], [1, 2, 3, 4, 5, 6, 7, 8], "frame number");
    assert_eq!(&bytes[24..], b"body");
    assert_eq!(Frame::parse_at(&bytes, 0), Some(frame));
    assert_eq!(frame.size_bytes(), bytes.len());
}

#[test]
fn random_frames_round_trip() {
    for seed in 0..200 {
        println!("seed {seed}");
        let rng = SeededRng::new(seed);
        let mut body = vec![0; usize::try_from(rng.next_below(300)).expect("small")];
        rng.fill(&mut body);
        let frame = Frame {
            number: FrameNumber::from_bits(&rng.next_u64().to_be_bytes()),
            kind: 1 + u8::try_from(rng.next_below(255)).expect("small"),
            entry_count: u32::try_from(rng.next_below(1 << 32)).expect("32 bits"),
            body: &body,
        };
        let mut bytes = vec![0xee; 5];
        bytes.extend(frame.encode());
        bytes.push(0xee);
        assert_eq!(Frame::parse_at(&bytes, 5), Some(frame));
    }
}

#[test]
fn every_flip_and_every_cut_is_seen() {
    let bytes = file(&[b"some body"]);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(Frame::parse_at(&flipped, 0), None, "byte {at} bit {bit}");
        }
        assert_eq!(Frame::parse_at(&bytes[..at], 0), None, "cut at {at}");
    }
    assert_eq!(Frame::parse_at(&bytes, bytes.len() + 1), None);
    assert_eq!(Frame::parse_at(&[0; 100], 0), None, "zeros are no frame");
    assert_eq!(Frame::parse_at(&[0xff; 100], 0), None);
}

#[test]
fn one_file_is_read_around_damage() {
    let good = file(&[b"a", b"b", b"c"]);
    let damaged = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cases: [(&str, Vec<u8>, &[&str]); 9] = [
        ("nothing", vec![], &[]),
        (
            "whole",
            good.clone(),
            &["0 #1 a bad in []", "25 #2 b bad in []", "50 #3 c bad in []"],
        ),
        (
            "a body",
            damaged(49, b'x'),
            &["0 #1 a bad in []", "25 gap to 50", "50 #3 c bad in []"],
        ),
        (
            "a length, a little",
            damaged(28, 2),
            &["0 #1 a bad in []", "25 gap to 50", "50 #3 c bad in []"],
        ),
        (
            "a length, beyond the end",
            damaged(25, 0xff),
            &["0 #1 a bad in []", "25 gap to 50", "50 #3 c bad in []"],
        ),
        (
            "the first",
            damaged(24, b'x'),
            &["0 gap to 25", "25 #2 b bad in []", "50 #3 c bad in []"],
        ),
        (
            "the last",
            damaged(74, b'x'),
            &["0 #1 a bad in []", "25 #2 b bad in []", "50 torn to 75"],
        ),
        (
            "a torn tail",
            good[..60].to_vec(),
            &["0 #1 a bad in []", "25 #2 b bad in []", "50 torn to 60"],
        ),
        ("less than a head", good[..10].to_vec(), &["0 torn to 10"]),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(read(&[&bytes]), expected, "{what}");
    }
}

#[test]
fn two_damaged_frames_in_a_row_are_passed_over_together() {
    let mut bytes = file(&[b"a", b"b", b"c", b"d"]);
    bytes[25] = 0xff;
    bytes[50] = 0xff;
    let expected = ["0 #1 a bad in []", "25 gap to 75", "75 #4 d bad in []"];
    assert_eq!(read(&[&bytes]), expected);
}

#[test]
fn each_copy_helps_the_other() {
    let good = file(&[b"a", b"b", b"c"]);
    let (mut first, mut second) = (good.clone(), good.clone());
    first[24] = b'x';
    first[50] = 0xff;
    second[28] = 0xff;
    let expected = [
        "0 #1 a bad in [0]",
        "25 #2 b bad in [1]",
        "50 #3 c bad in [0]",
    ];
    assert_eq!(read(&[&first, &second]), expected);
    // Both bad at one place: what follows is found in either.
    second[24] = b'x';
    let expected = ["0 gap to 25", "25 #2 b bad in [1]", "50 #3 c bad in [0]"];
    assert_eq!(read(&[&first, &second]), expected);
    let expected = [
        "0 #1 a bad in [1]",
        "25 #2 b bad in [1]",
        "50 #3 c bad in [1]",
    ];
    assert_eq!(read(&[&good, &[]]), expected);
}

#[test]
fn a_frame_at_another_place_is_not_taken() {
    let good = file(&[b"a", b"b", b"c"]);
    let swapped = [&good[..25], &good[50..], &good[25..50]].concat();
    let expected = ["0 #1 a bad in []", "25 torn to 75"];
    assert_eq!(
        read(&[&swapped])[..1],
        expected[..1],
        "order is part of the checksum"
    );
    assert!(
        !read(&[&swapped])
            .iter()
            .any(|line| line.starts_with("25 #"))
    );
    let other = Pieces::new(GENERATION + 1, &[&good]).next();
    assert!(
        matches!(other, Some(Piece::Gap { is_tail: true, .. })),
        "{other:?}"
    );
}

#[test]
fn a_body_that_imitates_a_frame_is_not_taken_for_one() {
    let imitation = |index: u32| {
        let frame = Frame {
            number: number(index),
            kind: 1,
            entry_count: 0,
            body: b"evil",
        };
        frame.encode()
    };
    // While the frame around it is good nobody looks inside, whatever the number is.
    let inside = imitation(2);
    let bytes = file(&[&inside, b"b"]);
    assert_eq!(read(&[&bytes]).len(), 2);
    // When its length is damaged, a number that cannot be at this place gives it away.
    for index in [0, 1, 3, 1000, u32::MAX] {
        let inside = imitation(index);
        let mut bytes = file(&[&inside, b"b"]);
        bytes[0] = 0xff;
        let second = HEAD_BYTES + inside.len();
        let expected = [
            format!("0 gap to {second}"),
            format!("{second} #2 b bad in []"),
        ];
        assert_eq!(read(&[&bytes]), expected, "index {index}");
    }
}

#[test]
fn reading_ends_and_covers_every_byte() {
    let good = file(&[b"first", b"", b"third", b"fourth"]);
    for seed in 0..2000 {
        println!("seed {seed}");
        let rng = SeededRng::new(seed);
        let mut copies = [good.clone(), good.clone()];
        for copy in &mut copies {
            for _ in 0..rng.next_below(8) {
                let at = usize::try_from(rng.next_below(copy.len() as u64)).expect("small");
                copy[at] = rng.next_u64().to_be_bytes()[0];
            }
            let size = usize::try_from(rng.next_below(copy.len() as u64 + 1)).expect("small");
            copy.truncate(size);
        }
        let copies: Vec<&[u8]> = copies.iter().map(Vec::as_slice).collect();
        let mut reached = 0;
        for piece in Pieces::new(GENERATION, &copies) {
            let (at, end) = match piece {
                Piece::Frame { at, frame, .. } => (at, at + frame.size_bytes()),
                Piece::Gap { at, end, .. } => (at, end),
            };
            assert_eq!(at, reached);
            assert!(end > at);
            reached = end;
        }
        let longest = copies.iter().map(|copy| copy.len()).max();
        assert_eq!(Some(reached), longest);
    }
}

fn writer(disk: &SimVfs) -> FrameWriter {
    FrameWriter::create(disk, Path::new("/frames"), GENERATION).expect("an empty disk")
}

fn on_disk(disk: &SimVfs) -> Vec<u8> {
    vfs::read_whole(disk, Path::new("/frames"), u64::MAX).expect("the file is there")
}

#[test]
fn what_is_appended_is_read() {
    let disk = SimVfs::new();
    let mut writer = writer(&disk);
    writer.append(1, 3, b"a").expect("room");
    writer.append(1, 3, b"b").expect("room");
    assert_eq!(on_disk(&disk), file(&[b"a", b"b"]));
    assert_eq!(writer.size_bytes(), 50);
    assert_eq!(writer.next_number(), number(3));
    let taken = FrameWriter::create(&disk, Path::new("/frames"), GENERATION);
    assert!(taken.is_err(), "an existing file is never appended to");
}

#[test]
fn a_write_without_room_leaves_the_file_as_it_was_durably() {
    let disk = SimVfs::new();
    let mut writer = writer(&disk);
    writer.append(1, 3, b"a").expect("room");
    disk.sync_dir(Path::new("/")).expect("no fault");
    disk.inject(Fault::short(Operation::Write, 10).nth(1));
    disk.inject(Fault::fail(Operation::Write, DiskError::NoSpace).nth(2));
    let refused = writer.append(1, 3, b"b");
    assert!(
        matches!(refused, Err(WriteError::NoSpace(_))),
        "{refused:?}"
    );
    assert_eq!(disk.pending_items(), 0, "the cut is durable");
    assert_eq!(on_disk(&disk), file(&[b"a"]));
    writer.append(1, 3, b"b").expect("room again");
    assert_eq!(on_disk(&disk), file(&[b"a", b"b"]));
}

#[test]
fn a_cut_that_fails_is_final() {
    for operation in [Operation::SetSize, Operation::SyncData] {
        let disk = SimVfs::new();
        let mut writer = writer(&disk);
        disk.inject(Fault::fail(Operation::Write, DiskError::NoSpace));
        disk.inject(Fault::fail(operation, DiskError::Io));
        let refused = writer.append(1, 3, b"b");
        assert!(matches!(refused, Err(WriteError::Failed(_))), "{refused:?}");
    }
}

#[test]
fn a_cut_without_room_is_made_before_the_next_frame() {
    let disk = SimVfs::new();
    let mut writer = writer(&disk);
    writer.append(1, 3, b"a").expect("room");
    writer.append(1, 3, b"b").expect("room");
    writer.sync().expect("no fault");
    disk.sync_dir(Path::new("/")).expect("no fault");
    disk.inject(Fault::fail(Operation::SetSize, DiskError::NoSpace));
    // The second is taken back, as its mirror found no room.
    writer.cut_to(25, number(2)).expect("zeros stand there");
    let zeros = [file(&[b"a"]), vec![0; 25]].concat();
    assert_eq!(on_disk(&disk), zeros);
    assert_eq!(disk.pending_items(), 0, "the zeros are durable");
    assert_eq!(read(&[&zeros]), ["0 #1 a bad in []", "25 torn to 50"]);
    let refused = writer.append(1, 3, b"c");
    assert!(
        matches!(refused, Err(WriteError::NoSpace(_))),
        "{refused:?}"
    );
    disk.clear_faults();
    writer.append(1, 3, b"c").expect("room again");
    assert_eq!(on_disk(&disk), file(&[b"a", b"c"]));
}

#[test]
fn sectors_that_do_not_read_are_zeros_and_counted() {
    let disk = SimVfs::new();
    let bytes = vec![0xaa; 200_000];
    vfs::replace_durable(&disk, Path::new("/frames"), &bytes).expect("room");
    assert_eq!(
        read_tolerant(&disk, Path::new("/frames")).expect("it opens"),
        (bytes.clone(), 0)
    );
    // The second chunk fails as a whole, then its third sector does: calls 2 and 5.
    disk.inject(Fault::fail(Operation::Read, DiskError::Io).nth(2));
    disk.inject(Fault::fail(Operation::Read, DiskError::Io).nth(5));
    let (read, unreadable_bytes) = read_tolerant(&disk, Path::new("/frames")).expect("it opens");
    assert_eq!(unreadable_bytes, 4096);
    let mut expected = bytes;
    expected[65_536 + 2 * 4096..65_536 + 3 * 4096].fill(0);
    assert!(read == expected);
}
