//! Power cuts and bytes: what was synced stays, the rest has every fate.

use std::collections::BTreeSet;

use super::*;

const LOG: &str = "/log";

fn cut(vfs: &SimVfs, policy: &CutPolicy) -> Option<Vec<u8>> {
    let copy = vfs.fork();
    copy.power_cut_with(policy);
    bytes_of(&copy, LOG)
}

/// Everything that cuts by 2,000 seeds leave.
fn outcomes(vfs: &SimVfs) -> BTreeSet<Option<Vec<u8>>> {
    (0..2_000)
        .map(|seed| cut(vfs, &CutPolicy::Seed(seed)))
        .collect()
}

#[test]
fn synced_bytes_survive_every_cut_and_unsynced_ones_may_not() {
    for names in RULES {
        let vfs = disk(names);
        let file = plant(&vfs, LOG, b"old");
        file.write_at(b"new", 3).expect("a write");
        assert_eq!(vfs.pending_items(), 1);
        assert_eq!(cut(&vfs, &CutPolicy::DropAll).as_deref(), Some(&b"old"[..]));
        assert_eq!(
            cut(&vfs, &CutPolicy::KeepAll).as_deref(),
            Some(&b"oldnew"[..])
        );
        for found in outcomes(&vfs) {
            assert!(found.expect("the name is durable").starts_with(b"old"));
        }

        file.sync_data().expect("a sync");
        assert_eq!(vfs.pending_items(), 0);
        assert_eq!(outcomes(&vfs), BTreeSet::from([Some(b"oldnew".to_vec())]));
    }
}

#[test]
fn a_length_may_arrive_without_its_bytes_unless_a_journal_orders_them() {
    for (names, zeros_expected) in [
        (NameRule::EachDirectory, true),
        (NameRule::JournalOrder, false),
    ] {
        let vfs = disk(names);
        let file = plant(&vfs, LOG, b"old");
        file.write_at(b"new", 3).expect("a write");
        let zeros = Some(b"old\0\0\0".to_vec());
        assert_eq!(outcomes(&vfs).contains(&zeros), zeros_expected, "{names:?}");
        let expected = if zeros_expected {
            zeros
        } else {
            Some(b"old".to_vec())
        };
        assert_eq!(
            cut(&vfs, &CutPolicy::Choose(vec![Fate::ZeroFilled])),
            expected
        );
    }
}

#[test]
fn a_zero_filled_overwrite_is_lost() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, b"12345");
    file.write_at(b"abc", 1).expect("a write");
    let found = cut(&vfs, &CutPolicy::Choose(vec![Fate::ZeroFilled]));
    assert_eq!(found.as_deref(), Some(&b"12345"[..]));
}

#[test]
fn each_write_has_a_fate_of_its_own() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, b"......");
    for (at, bytes) in [(0, b"aa"), (2, b"bb"), (4, b"cc")] {
        file.write_at(bytes, at).expect("a write");
    }
    use Fate::{Kept, Lost};
    for (policy, expected) in [
        (CutPolicy::DropOne(1), "aa..cc"),
        (CutPolicy::KeepOne(1), "..bb.."),
        (CutPolicy::DropOne(9), "aabbcc"),
        (CutPolicy::KeepOne(9), "......"),
        (CutPolicy::Choose(vec![Kept, Lost, Kept]), "aa..cc"),
        (CutPolicy::Choose(vec![Kept]), "aa...."),
        (CutPolicy::Choose(vec![]), "......"),
    ] {
        let found = cut(&vfs, &policy).expect("the name is durable");
        assert_eq!(String::from_utf8_lossy(&found), expected, "{policy:?}");
    }
    let subsets: BTreeSet<_> = ["......", "aa....", "..bb..", "....cc", "aabb..", "aa..cc"]
        .into_iter()
        .chain(["..bbcc", "aabbcc"])
        .map(|text| Some(text.as_bytes().to_vec()))
        .collect();
    assert_eq!(
        outcomes(&vfs),
        subsets,
        "seeds reach all subsets and nothing else"
    );
}

#[test]
fn the_later_of_two_writes_wins_only_if_it_is_kept() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, b"0");
    file.write_at(b"1", 0).expect("a write");
    file.write_at(b"2", 0).expect("a write");
    assert_eq!(
        cut(&vfs, &CutPolicy::DropOne(1)).as_deref(),
        Some(&b"1"[..])
    );
    assert_eq!(
        cut(&vfs, &CutPolicy::DropOne(0)).as_deref(),
        Some(&b"2"[..])
    );
}

#[test]
fn writes_tear_at_sectors_and_nowhere_else() {
    for names in RULES {
        let vfs = disk(names);
        let file = plant(&vfs, LOG, &[b'o'; 2_000]);
        file.write_at(&[b'n'; 1_200], 300)
            .expect("a write over four sectors");
        let mut seen = BTreeSet::new();
        for seed in 0..500 {
            let found = cut(&vfs, &CutPolicy::Choose(vec![Fate::Torn(seed)])).expect("durable");
            assert_eq!(found.len(), 2_000);
            assert!(
                found[..300]
                    .iter()
                    .chain(&found[1_500..])
                    .all(|byte| *byte == b'o')
            );
            let pieces = [300..512, 512..1_024, 1_024..1_500].map(|piece| {
                let first = found[piece.start];
                assert!(
                    found[piece].iter().all(|byte| *byte == first),
                    "seed {seed}"
                );
                first == b'n'
            });
            seen.insert(pieces);
        }
        assert!(
            !seen.contains(&[true; 3]) && !seen.contains(&[false; 3]),
            "torn, not kept or lost"
        );
        assert_eq!(seen.len(), 6, "every other pattern: {seen:?}");
    }
}

#[test]
fn a_write_inside_one_sector_never_tears() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, &[b'o'; 512]);
    file.write_at(&[b'n'; 100], 400).expect("a write");
    let found = outcomes(&vfs);
    assert_eq!(found.len(), 2, "whole or not at all");
}

#[test]
fn a_torn_append_may_leave_zeros_or_end_early() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, b"");
    file.write_at(&[b'n'; 1_024], 0).expect("two sectors");
    let sector = |byte: u8| vec![byte; 512];
    let found: BTreeSet<Vec<u8>> = outcomes(&vfs).into_iter().flatten().collect();
    for expected in [
        vec![],
        sector(b'n'),
        [sector(b'n'), sector(0)].concat(),
        [sector(0), sector(b'n')].concat(),
        [sector(0), sector(0)].concat(),
        [sector(b'n'), sector(b'n')].concat(),
    ] {
        assert!(found.contains(&expected), "{} bytes", expected.len());
    }
    assert_eq!(found.len(), 6);
}

#[test]
fn sizes_are_pending_until_the_sync() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, b"123456");
    file.set_size(2).expect("cut");
    assert_eq!(vfs.pending_items(), 1);
    assert_eq!(
        cut(&vfs, &CutPolicy::DropAll).as_deref(),
        Some(&b"123456"[..])
    );
    assert_eq!(cut(&vfs, &CutPolicy::KeepAll).as_deref(), Some(&b"12"[..]));
    file.write_at(b"ab", 2).expect("a write");
    assert_eq!(
        cut(&vfs, &CutPolicy::DropOne(0)).as_deref(),
        Some(&b"12ab56"[..])
    );
    file.sync_data().expect("a sync");
    assert_eq!(
        cut(&vfs, &CutPolicy::DropAll).as_deref(),
        Some(&b"12ab"[..])
    );
}

#[test]
fn what_a_cut_off_tail_held_does_not_come_back_by_a_sync() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, &[7; 6_000]);
    file.set_size(100).expect("cut");
    file.set_size(6_000).expect("grow");
    file.sync_data().expect("a sync");
    let found = cut(&vfs, &CutPolicy::DropAll).expect("durable");
    assert_eq!(found.len(), 6_000);
    assert!(found[..100].iter().all(|byte| *byte == 7));
    assert!(found[100..].iter().all(|byte| *byte == 0));
}

#[test]
fn every_file_is_cut_by_itself() {
    let vfs = SimVfs::new();
    let (first, second) = (plant(&vfs, LOG, b""), plant(&vfs, "/other", b""));
    first.write_at(b"1", 0).expect("a write");
    second.write_at(b"2", 0).expect("a write");
    first.sync_data().expect("a sync of one file");
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(bytes_of(&vfs, LOG).as_deref(), Some(&b"1"[..]));
    assert_eq!(bytes_of(&vfs, "/other").as_deref(), Some(&b""[..]));
}

#[test]
fn a_whole_file_system_syncs_files_and_names() {
    let vfs = SimVfs::new();
    let file_system = vfs.open_file_system(Path::new("/")).expect("open");
    create(&vfs, LOG).write_at(b"1", 0).expect("a write");
    create(&vfs, "/other").write_at(b"2", 0).expect("a write");
    file_system.sync().expect("a sync");
    assert_eq!(vfs.pending_items(), 0);
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(bytes_of(&vfs, LOG).as_deref(), Some(&b"1"[..]));
    assert_eq!(bytes_of(&vfs, "/other").as_deref(), Some(&b"2"[..]));
}

#[test]
fn pages_of_a_removed_file_are_never_written() {
    let vfs = SimVfs::new();
    let file = plant(&vfs, LOG, b"old");
    file.write_at(b"new", 0).expect("a write");
    drop(file);
    vfs.remove_file(Path::new(LOG)).expect("removed");
    assert_eq!(vfs.describe_pending(), ["remove log from /"]);
    let found = cut(&vfs, &CutPolicy::DropAll);
    assert_eq!(
        found.as_deref(),
        Some(&b"old"[..]),
        "the name came back, its pages did not"
    );
}

#[test]
fn damage_reaches_memory_and_disk_and_keeps_the_length() {
    let vfs = SimVfs::new();
    plant(&vfs, LOG, b"12345");
    vfs.damage(Path::new(LOG), 3, b"abc").expect("damage");
    vfs.damage(Path::new(LOG), 99, b"abc")
        .expect("nothing lies there");
    assert_eq!(vfs.pending_items(), 0);
    assert_eq!(bytes_of(&vfs, LOG).as_deref(), Some(&b"123ab"[..]));
    assert_eq!(
        cut(&vfs, &CutPolicy::DropAll).as_deref(),
        Some(&b"123ab"[..])
    );
    assert!(vfs.damage(Path::new("/missing"), 0, b"x").is_err());
}
