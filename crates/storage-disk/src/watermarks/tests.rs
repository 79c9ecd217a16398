//! The journal: what is read is true, a clean mark is never believed wrongly.

use clock::{Rng, SeededRng};
use records::Offset;
use storage::TopicId;
use vfs::{CutPolicy, DiskError, Fault, Operation, SimVfs};

use super::*;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/watermarks-2.bin");
const OLD: &[u8] = include_bytes!("../../tests/golden/watermarks-1.bin");
const BOOT: [u8; BOOT_ID_BYTES] = *b"the boot of test";

fn run_in(boot_id: [u8; BOOT_ID_BYTES]) -> Run {
    Run {
        boot_id,
        epoch: 9,
        started_ms: 1_700_000_000_000,
    }
}

fn dir() -> PathBuf {
    PathBuf::from("/data/@ottla")
}

fn disk() -> SimVfs {
    let disk = SimVfs::new();
    vfs::create_dirs(&disk, &dir()).expect("room");
    disk
}

fn open(disk: &SimVfs) -> (Journal, JournalState) {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    Journal::open(&vfs, &dir()).expect("a start is never refused")
}

fn state(disk: &SimVfs) -> JournalState {
    open(disk).1
}

fn entry(partition: u32, durable_end: i64) -> Watermark {
    Watermark {
        partition: PartitionId {
            topic: TopicId(*b"topic id of test"),
            partition,
        },
        leader_epoch: 3,
        durable_end: Offset::new(durable_end),
        log_start: Offset::new(durable_end / 2),
        segment_base: Offset::new(durable_end / 3),
        cleaned_to: Offset::ZERO,
        position: 1000,
        span_start: 900,
        span_crc: 0xdead_beef,
    }
}

fn ends(state: &JournalState) -> Vec<(u32, i64)> {
    let entries = state.watermarks.values();
    entries
        .map(|entry| (entry.partition.partition, entry.durable_end.get()))
        .collect()
}

fn files(disk: &SimVfs) -> Vec<String> {
    let entries = disk.read_dir(&dir()).expect("the directory is there");
    entries.into_iter().map(|entry| entry.name).collect()
}

fn content(disk: &SimVfs, name: &str) -> Vec<u8> {
    vfs::read_whole(disk, &dir().join(name), u64::MAX).expect("the file is there")
}

/// One process that ended cleanly with these entries.
fn clean_run(disk: &SimVfs, entries: &[Watermark]) {
    let (mut journal, _) = open(disk);
    journal.mark_open(run_in(BOOT)).expect("room");
    journal.append_entries(entries).expect("room");
    journal.mark_clean(entries).expect("room");
}

#[test]
fn what_is_written_is_the_golden_file() {
    let disk = disk();
    clean_run(&disk, &[entry(0, 10), entry(1, 20)]);
    crate::golden::check("watermarks-2.bin", GOLDEN, &content(&disk, "watermarks.1"));
}

#[test]
fn what_an_older_build_wrote_is_read() {
    let disk = disk();
    let file = disk
        .open(&dir().join("watermarks.1"), vfs::OpenMode::CreateNew)
        .expect("made");
    vfs::write_all_at(&*file, OLD, 0).expect("room");
    let found = state(&disk);
    assert!(found.is_clean && found.is_whole());
    assert_eq!(ends(&found), [(0, 10), (1, 20)]);
    assert_eq!((found.boot_id, found.run), (Some(BOOT), None));
}

#[test]
fn an_entry_is_drawn_as_documented() {
    let mut bytes = Vec::new();
    entry(7, 600).encode(&mut bytes);
    assert_eq!(bytes.len(), 72);
    assert_eq!(&bytes[..16], b"topic id of test");
    assert_eq!(
        bytes[16..24],
        [0, 0, 0, 7, 0, 0, 0, 3],
        "partition, leader epoch"
    );
    assert_eq!(bytes[24..32], 600_i64.to_be_bytes(), "durable end");
    assert_eq!(bytes[32..40], 300_i64.to_be_bytes(), "log start");
    assert_eq!(bytes[40..48], 200_i64.to_be_bytes(), "segment base");
    assert_eq!(bytes[48..56], [0; 8], "cleaned to");
    assert_eq!(bytes[56..60], 1000_u32.to_be_bytes(), "position");
    assert_eq!(bytes[60..64], 900_u32.to_be_bytes(), "open span: start");
    assert_eq!(bytes[64..68], [0xde, 0xad, 0xbe, 0xef], "open span: CRC");
    assert_eq!(Watermark::decode(&bytes), Some(entry(7, 600)));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(Watermark::decode(&flipped), None, "byte {at} bit {bit}");
        }
    }
    let mut negative = Vec::new();
    entry(7, -600).encode(&mut negative);
    assert_eq!(
        Watermark::decode(&negative),
        None,
        "a good checksum over a negative offset"
    );
}

#[test]
fn the_newest_entry_of_each_partition_counts() {
    let disk = disk();
    assert_eq!(state(&disk), JournalState::default(), "there is no journal");
    let (mut journal, _) = open(&disk);
    journal.mark_open(run_in(BOOT)).expect("room");
    journal
        .append_entries(&[entry(0, 10), entry(1, 20)])
        .expect("room");
    journal.append_entries(&[entry(0, 30)]).expect("room");
    disk.power_cut_with(&CutPolicy::DropAll);
    let found = state(&disk);
    assert_eq!(ends(&found), [(0, 30), (1, 20)]);
    assert!(!found.is_clean && !found.is_torn && found.exists);
    assert_eq!((found.boot_id, found.bad_frames), (Some(BOOT), 0));
    assert_eq!(found.run, Some(run_in(BOOT)));
}

#[test]
fn a_clean_mark_counts_until_the_next_process_opens() {
    let disk = disk();
    clean_run(&disk, &[entry(0, 10), entry(1, 20)]);
    disk.power_cut_with(&CutPolicy::DropAll);
    assert!(state(&disk).is_clean);
    assert!(state(&disk).is_clean, "reading does not revoke it");
    let (mut journal, _) = open(&disk);
    journal
        .mark_open(run_in(*b"another boot id."))
        .expect("room");
    disk.power_cut_with(&CutPolicy::DropAll);
    let found = state(&disk);
    assert!(!found.is_clean, "revoked, durably");
    assert_eq!(ends(&found), [(0, 10), (1, 20)], "still true");
    assert_eq!(found.boot_id, Some(*b"another boot id."));
}

#[test]
fn a_clean_mark_lists_all_there_is() {
    let disk = disk();
    clean_run(&disk, &[entry(0, 10), entry(1, 20)]);
    clean_run(&disk, &[entry(1, 20)]);
    assert_eq!(ends(&state(&disk)), [(1, 20)], "partition 0 is no more");
}

#[test]
fn every_flip_and_every_cut_ends_the_clean_mark_or_changes_nothing() {
    let disk = disk();
    clean_run(&disk, &[entry(0, 10), entry(1, 20)]);
    let whole = state(&disk);
    let name = "watermarks.1";
    let bytes = content(&disk, name);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let disk = disk.fork();
            let flipped = [bytes[at] ^ (1 << bit)];
            disk.damage(&dir().join(name), at as u64, &flipped)
                .expect("inside");
            let found = state(&disk);
            assert!(
                found.bad_frames > 0 || found.is_torn,
                "byte {at} bit {bit}: {found:?}"
            );
            for (partition, watermark) in &found.watermarks {
                assert_eq!(whole.watermarks[partition], *watermark);
            }
            assert!(!found.is_clean || ends(&found) == ends(&whole));
        }
        let disk = disk.fork();
        vfs::replace_durable(&disk, &dir().join(name), &bytes[..at]).expect("room");
        assert!(!state(&disk).is_clean, "cut at {at}");
    }
}

#[test]
fn bytes_behind_a_clean_mark_end_it() {
    let disk = disk();
    clean_run(&disk, &[entry(0, 10)]);
    let mut bytes = content(&disk, "watermarks.1");
    bytes.push(0);
    vfs::replace_durable(&disk, &dir().join("watermarks.1"), &bytes).expect("room");
    let found = state(&disk);
    assert!(!found.is_clean && found.is_torn);
    assert_eq!(ends(&found), [(0, 10)]);
}

#[test]
fn a_newer_file_ends_the_clean_mark_of_an_older_one() {
    let disk = disk();
    clean_run(&disk, &[entry(0, 10)]);
    vfs::replace_durable(&disk, &dir().join("watermarks.2"), b"").expect("room");
    assert!(!state(&disk).is_clean, "a process began to open");
    disk.inject(Fault::fail(Operation::Open, DiskError::Io).on_path_suffix("watermarks.2"));
    let found = state(&disk);
    assert!(!found.is_clean && found.bad_frames == 1, "{found:?}");
    assert_eq!(ends(&found), [(0, 10)]);
}

#[test]
fn a_damaged_frame_costs_only_its_entries() {
    let disk = disk();
    let (mut journal, _) = open(&disk);
    for partition in [10, 20, 30] {
        let end = i64::from(partition);
        journal
            .append_entries(&[entry(0, end), entry(partition, end)])
            .expect("room");
    }
    // Each frame is 24 + 2 × 72 bytes; the second one's body, then its length.
    for at in [168 + 50, 168] {
        let disk = disk.fork();
        disk.damage(&dir().join("watermarks.1"), at, &[0xff])
            .expect("inside");
        let found = state(&disk);
        assert_eq!(ends(&found), [(0, 30), (10, 10), (30, 30)]);
        assert_eq!(found.bad_frames, 1);
    }
}

#[test]
fn the_journal_is_rewritten_and_two_files_are_kept() {
    let disk = disk();
    let (mut journal, _) = open(&disk);
    journal.roll_bytes_min = 1000;
    journal.append_entries(&[entry(9, 9)]).expect("room");
    for end in 0..200 {
        journal
            .append_entries(&[entry(0, end), entry(1, end)])
            .expect("room");
        assert!(files(&disk).len() <= 2, "{:?}", files(&disk));
        let disk = disk.fork();
        disk.power_cut_with(&CutPolicy::DropAll);
        assert_eq!(ends(&state(&disk)), [(0, end), (1, end), (9, 9)]);
    }
    let newest = files(&disk).pop().expect("there are files");
    assert!(content(&disk, &newest).len() < 1400);
    assert!(generation_of(&newest) > Some(10), "{newest}");
}

#[test]
fn many_partitions_do_not_rewrite_at_every_call() {
    let disk = disk();
    let (mut journal, _) = open(&disk);
    let all: Vec<_> = (0..40_000).map(|partition| entry(partition, 5)).collect();
    journal.append_entries(&all).expect("room");
    for end in 0..20 {
        journal.append_entries(&[entry(0, end)]).expect("room");
    }
    assert_eq!(files(&disk), ["watermarks.1"], "2.9 MB, all of it alive");
    journal.mark_clean(&all).expect("room");
    let found = state(&disk);
    assert!(found.is_clean);
    assert_eq!(found.watermarks.len(), 40_000);
}

#[test]
fn partitions_that_are_no_more_are_left_out_of_the_next_file() {
    let disk = disk();
    let (mut journal, _) = open(&disk);
    journal
        .append_entries(&[entry(0, 10), entry(1, 20)])
        .expect("room");
    journal.retain(|partition| partition.partition == 1);
    journal.roll_bytes_min = 0;
    journal
        .append_entries(&vec![entry(1, 20); 10])
        .expect("room");
    journal.append_entries(&[entry(1, 30)]).expect("room");
    vfs::remove_durable(&disk, &dir().join("watermarks.1")).expect("it is kept as the older");
    assert_eq!(ends(&state(&disk)), [(1, 30)]);
}

/// Runs a few processes on a disk that stops at some point, then looks at what is left.
#[test]
fn a_cut_at_every_change_moves_no_synced_watermark_back() {
    let run = |disk: &SimVfs, seed: u64, known: &mut BTreeMap<u32, i64>| -> Option<()> {
        let rng = SeededRng::new(seed);
        for life in 0..3_u8 {
            let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
            let (mut journal, found) = Journal::open(&vfs, &dir()).ok()?;
            assert_eq!(found.is_clean, life > 0 && !disk.is_stopped());
            journal.roll_bytes_min = 400;
            journal.mark_open(run_in([life; 16])).ok()?;
            for _ in 0..6 {
                let partition = u32::try_from(rng.next_below(3)).expect("small");
                let end = known.get(&partition).copied().unwrap_or(0) + 1;
                journal.append_entries(&[entry(partition, end)]).ok()?;
                known.insert(partition, end);
            }
            let all: Vec<_> = known.iter().map(|(&p, &end)| entry(p, end)).collect();
            journal.mark_clean(&all).ok()?;
        }
        Some(())
    };
    let changes = {
        let disk = disk();
        let before = disk.changes();
        run(&disk, 5, &mut BTreeMap::new()).expect("no fault");
        disk.changes() - before
    };
    assert!(changes > 40, "{changes}");
    for stop in 0..changes {
        let disk = disk();
        disk.stop_after(stop);
        let mut known = BTreeMap::new();
        let _ = run(&disk, 5, &mut known);
        let items = disk.pending_items();
        let mut policies = vec![CutPolicy::DropAll, CutPolicy::KeepAll];
        policies.extend((0..items).map(CutPolicy::DropOne));
        policies.extend((0..items).map(CutPolicy::KeepOne));
        policies.extend((0..6).map(CutPolicy::Seed));
        for policy in policies {
            println!("stop {stop} policy {policy:?}");
            let disk = disk.fork();
            disk.power_cut_with(&policy);
            let found = state(&disk);
            for (partition, end) in &known {
                let id = entry(*partition, 0).partition;
                let durable_end = found.watermarks[&id].durable_end.get();
                assert!(
                    durable_end >= *end,
                    "partition {partition}: {durable_end} < {end}"
                );
            }
            assert_eq!(found.bad_frames, 0, "a cut tears the end only");
        }
    }
}

#[test]
fn no_space_refuses_this_call_only() {
    for nth in 1..20 {
        println!("write {nth}");
        let disk = disk();
        let (mut journal, _) = open(&disk);
        journal.roll_bytes_min = 300;
        disk.inject(Fault::fail(Operation::Write, DiskError::NoSpace).nth(nth));
        let mut refused = 0;
        for end in 1..20 {
            match journal.append_entries(&[entry(0, end)]) {
                Ok(()) => assert_eq!(ends(&state(&disk)), [(0, end)]),
                Err(WriteError::NoSpace(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(refused, 1);
        assert!(files(&disk).len() <= 2, "{:?}", files(&disk));
        disk.power_cut_with(&CutPolicy::DropAll);
        assert_eq!(ends(&state(&disk)), [(0, 19)]);
    }
}

#[test]
fn a_file_that_was_given_up_and_comes_back_moves_nothing_back() {
    let disk = disk();
    let (mut journal, _) = open(&disk);
    journal.append_entries(&[entry(0, 10)]).expect("room");
    let old = {
        let disk = disk.fork();
        open(&disk).0.append_entries(&[]).expect("nothing to write");
        let (mut next, _) = open(&disk);
        next.mark_open(run_in(BOOT)).expect("room");
        content(&disk, "watermarks.2")
    };
    journal.append_entries(&[entry(0, 20)]).expect("room");
    vfs::replace_durable(&disk, &dir().join("watermarks.2"), &old).expect("room");
    assert_eq!(ends(&state(&disk)), [(0, 20)]);
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more() {
    for nth in 1..8 {
        println!("sync {nth}");
        let disk = disk();
        let (mut journal, _) = open(&disk);
        disk.inject(Fault::fail(Operation::SyncData, DiskError::Io).nth(nth));
        let mut failed = false;
        for end in 1..10 {
            match journal.append_entries(&[entry(0, end)]) {
                Ok(()) => assert!(!failed, "a sync was tried again"),
                Err(WriteError::Failed(_)) => failed = true,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(failed);
        let refused = journal.mark_clean(&[]);
        assert!(matches!(refused, Err(WriteError::Failed(_))), "{refused:?}");
        assert!(!state(&disk).is_clean);
    }
}

#[test]
fn an_entry_that_ends_anywhere_is_bad_and_not_a_panic() {
    let mut whole = Vec::new();
    entry(0, 10).encode(&mut whole);
    assert_eq!(Watermark::decode(&whole), Some(entry(0, 10)));
    for length in 0..whole.len() {
        assert_eq!(Watermark::decode(&whole[..length]), None, "{length} bytes");
    }
    whole.push(0);
    assert_eq!(Watermark::decode(&whole), None, "a byte too many");
}

#[test]
fn an_entry_that_cannot_be_true_is_bad() {
    let good = entry(0, 10);
    let check = |entry: Watermark, is_good: bool| {
        let disk = disk();
        clean_run(&disk, &[entry]);
        let state = state(&disk);
        assert_eq!(state.watermarks.len(), usize::from(is_good), "{entry:?}");
        assert_eq!(state.is_clean, is_good, "{entry:?}");
    };
    let (end, above) = (Offset::new(10), Offset::new(11));
    check(good, true);
    check(
        Watermark {
            log_start: end,
            segment_base: end,
            ..good
        },
        true,
    );
    check(
        Watermark {
            log_start: above,
            ..good
        },
        false,
    );
    check(
        Watermark {
            segment_base: above,
            ..good
        },
        false,
    );
    // A log that ends there has no room for another record.
    check(
        Watermark {
            durable_end: Offset::new(i64::MAX),
            ..good
        },
        false,
    );
}

#[test]
fn a_file_that_leaves_no_numbers_is_refused_and_not_a_panic() {
    let check = |generation: u32, is_refused: bool| {
        let disk = disk();
        let name = format!("watermarks.{generation}");
        vfs::replace_durable(&disk, &dir().join(&name), b"").expect("room");
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        match Journal::open(&vfs, &dir()) {
            Ok((mut journal, _)) => {
                assert!(!is_refused, "{name}");
                journal
                    .mark_open(run_in(BOOT))
                    .expect("there are numbers left");
            }
            Err(OpenDiskError::Foreign { entry, .. }) => {
                assert!(is_refused && entry == name, "{entry} of {name}");
                assert_eq!(files(&disk), [name], "nothing was touched");
            }
            Err(other) => panic!("{name}: {other}"),
        }
    };
    check(7, false);
    check(u32::MAX - (1 << 16), false);
    check(u32::MAX - 1, true);
    check(u32::MAX, true);
}

#[test]
fn only_our_names_are_ours() {
    let names = [
        ("watermarks.1", Some(1)),
        ("watermarks.4294967295", Some(u32::MAX)),
        ("watermarks.0", None),
        ("watermarks.01", None),
        ("watermarks.1.tmp", None),
        ("watermarks.", None),
        ("watermarks", None),
    ];
    for (name, expected) in names {
        assert_eq!(generation_of(name), expected, "{name}");
    }
}

/// Upkeep that took its word before a trim, and says it after: neither takes the other back.
#[test]
fn no_end_moves_back_by_what_is_written_last() {
    let disk = disk();
    let (mut journal, _) = open(&disk);
    journal.mark_open(run_in(BOOT)).expect("room");
    let at = |durable_end: i64, log_start: i64| Watermark {
        log_start: Offset::new(log_start),
        ..entry(0, durable_end)
    };
    for written in [at(10, 8), at(12, 3), at(9, 9), at(5, 1)] {
        journal.append_entries(&[written]).expect("room");
    }
    let both = Watermark {
        log_start: Offset::new(9),
        ..at(12, 3)
    };
    assert_eq!(state(&disk).watermarks.values().next(), Some(&both));
    assert_eq!(journal.known(&[both.partition]), [both]);
}

/// So that the next start can tell whether its clock jumped.
#[test]
fn the_journal_says_when_its_process_was_last_seen() {
    let disk = disk();
    assert_eq!(state(&disk).last_seen_ms, None);
    let clock = Arc::new(clock::SimClock::starting_at(1_000));
    let (mut journal, _) = open(&disk);
    journal.set_clock(clock.clone());
    journal.mark_open(run_in(BOOT)).expect("room");
    journal.append_entries(&[entry(0, 5)]).expect("room");
    assert_eq!(state(&disk).last_seen_ms, Some(1_000));
    clock.set_wall_ms(-5);
    journal.append_entries(&[entry(0, 6)]).expect("room");
    assert_eq!(state(&disk).last_seen_ms, Some(-5));
    clock.set_wall_ms(7_000);
    journal.mark_clean(&[entry(0, 6)]).expect("room");
    let state = state(&disk);
    assert_eq!((state.last_seen_ms, state.is_clean), (Some(7_000), true));
    assert_eq!(state.bad_frames, 0);
}

/// A trim that ends beside the clean end: its start was answered, and the mark does not take it back.
#[test]
fn a_clean_mark_takes_no_start_back() {
    let disk = disk();
    let (mut journal, _) = open(&disk);
    journal.mark_open(run_in(BOOT)).expect("room");
    let at = |log_start: i64| Watermark {
        log_start: Offset::new(log_start),
        ..entry(0, 10)
    };
    journal.append_entries(&[at(8)]).expect("room");
    journal.mark_clean(&[at(3)]).expect("room");
    let state = state(&disk);
    assert!(state.is_clean);
    assert_eq!(state.watermarks.values().next(), Some(&at(8)));
}
