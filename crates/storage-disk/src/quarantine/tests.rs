//! The format of `.quarantine`, and that a list in any state is harmless.

use std::path::Path;

use records::Offset;
use vfs::{OpenMode, SimVfs, Vfs};

use super::{Entry, KEPT_BYTES_MAX, List, Quarantine, cut_at};
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::recovery::Label;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/quarantine-1.bin");
const BASE: Offset = Offset::new(100);
const DIRECTORY: &str = "/partition0";

fn entry(first: i64, last: i64, label: Label, accepted: bool) -> Entry {
    let at = |offset: i64| Position::new(u32::try_from(offset * 10).expect("small"));
    Entry {
        first: Offset::new(first),
        last: Offset::new(last),
        position: at(first - 100),
        end: at(last - 99),
        label,
        accepted,
    }
}

fn list() -> List {
    let mut list = List::default();
    assert!(list.add(entry(105, 109, Label::J, false)));
    assert!(list.add(entry(120, 120, Label::D, true)));
    let range = (Position::new(3000), Position::new(3005));
    list.keep(cut_at(Offset::new(140), range, Label::C), b"bytes".to_vec());
    list
}

fn disk() -> SimVfs {
    let vfs = SimVfs::new();
    vfs.create_dir(Path::new(DIRECTORY)).expect("made");
    vfs
}

fn path() -> std::path::PathBuf {
    SegmentFile::Quarantine.path(Path::new(DIRECTORY), BASE)
}

#[test]
fn what_is_written_is_the_golden_file() {
    crate::golden::check("quarantine-1.bin", GOLDEN, &list().encode(BASE));
    assert_eq!(List::decode(GOLDEN, BASE), (list(), true));
}

#[test]
fn a_list_comes_back_from_the_disk() {
    let vfs = disk();
    let read = || List::read(&vfs, Path::new(DIRECTORY), BASE);
    assert_eq!(read(), List::default());
    list()
        .write(&vfs, Path::new(DIRECTORY), BASE)
        .expect("written");
    vfs.power_cut_with(&vfs::CutPolicy::DropAll);
    // The directory itself was not synced in this test.
    let vfs = disk();
    list()
        .write(&vfs, Path::new(DIRECTORY), BASE)
        .expect("written");
    let read = || List::read(&vfs, Path::new(DIRECTORY), BASE);
    assert_eq!(read(), list());
    let known = Quarantine::read(&vfs, Path::new(DIRECTORY)).expect("listed");
    assert_eq!(known.open(), (1, 5));
    let find = |offset| {
        known
            .find(Offset::new(offset))
            .map(|(_, entry)| entry.label)
    };
    assert_eq!(find(104), None);
    assert_eq!(find(109), Some(Label::J));
    assert_eq!(find(120), Some(Label::D));
    List::default()
        .write(&vfs, Path::new(DIRECTORY), BASE)
        .expect("removed");
    assert_eq!(vfs.stat(&path()).expect("asked"), None);
}

#[test]
fn every_length_and_every_flipped_bit_is_harmless() {
    for length in 0..GOLDEN.len() {
        let (cut, whole) = List::decode(&GOLDEN[..length], BASE);
        assert!(!whole || length == 0 || cut != list(), "{length} bytes");
        for entry in &cut.entries() {
            assert!(list().entries().contains(entry), "{length} bytes");
        }
    }
    for bit in 0..GOLDEN.len() * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (damaged, whole) = List::decode(&bytes, BASE);
        assert!(!whole, "bit {bit} is noticed");
        for entry in &damaged.entries() {
            assert!(list().entries().contains(entry), "bit {bit}");
        }
    }
}

#[test]
fn the_list_of_another_segment_is_not_taken() {
    let (other, whole) = List::decode(GOLDEN, Offset::new(101));
    assert_eq!(other, List::default());
    assert!(!whole, "strange");
}

#[test]
fn ranges_are_said_once_and_what_was_accepted_stays() {
    let mut list = list();
    assert!(
        !list.add(entry(106, 107, Label::J, false)),
        "inside another"
    );
    assert!(!list.add(entry(120, 120, Label::J, false)), "accepted");
    assert!(list.add(entry(104, 121, Label::J, false)));
    assert_eq!(
        list.entries(),
        [
            entry(104, 121, Label::J, false),
            entry(120, 120, Label::D, true)
        ]
    );
    assert!(list.add(entry(104, 121, Label::J, true)) || !list.entries().is_empty());
}

#[test]
fn of_cuts_the_newest_are_kept_up_to_a_limit() {
    let mut list = List::default();
    let range = (Position::ZERO, Position::new(9));
    let cut = |offset: i64| cut_at(Offset::new(offset), range, Label::C);
    list.keep(cut(1), vec![1; KEPT_BYTES_MAX / 2]);
    list.keep(cut(2), vec![2; KEPT_BYTES_MAX / 2]);
    list.keep(cut(2), vec![2; KEPT_BYTES_MAX / 2]);
    assert_eq!(list.cuts().len(), 2, "the same is kept once");
    list.keep(cut(3), vec![3; KEPT_BYTES_MAX + 5]);
    assert_eq!(list.cuts().len(), 1);
    assert_eq!(list.cuts()[0].1, vec![3; KEPT_BYTES_MAX]);
}

#[test]
fn a_list_that_cannot_be_written_is_done_without() {
    let vfs = disk();
    vfs.create_dir(&path()).expect("somebody else's");
    let written = list().write(&vfs, Path::new(DIRECTORY), BASE);
    assert!(written.is_ok(), "{written:?}");
    assert_eq!(
        List::read(&vfs, Path::new(DIRECTORY), BASE),
        List::default()
    );
    let vfs = disk();
    vfs.set_space_limit(Some(10));
    let written = list().write(&vfs, Path::new(DIRECTORY), BASE);
    assert!(written.is_ok(), "{written:?}");
    vfs.open(&path(), OpenMode::Read).expect_err("not there");
}

#[test]
fn many_ranges_are_added_and_read_in_no_time() {
    const RANGES: i64 = 50_000;
    let mut list = List::default();
    list.add(entry(100, 100, Label::J, true));
    for first in 1..RANGES {
        assert!(list.add(entry(100 + 2 * first, 100 + 2 * first, Label::J, false)));
    }
    let bytes = list.encode(Offset::ZERO);
    let (read, whole) = List::decode(&bytes, Offset::ZERO);
    assert!(whole && read == list);
    assert!(list.add(entry(102, 100 + 2 * RANGES, Label::J, false)));
    assert_eq!(list.entries().len(), 2, "it covers all but the first");
}
