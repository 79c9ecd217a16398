//! The suite itself: a store with one defect must fail the cases that are meant for it.

mod broken;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use records::Offset;

use self::broken::{Defect, broken};
use super::run::run_within;
use super::*;
use crate::log::{Chunk, Ends, ReadSlice};

/// How long a case that ought to fail may wait for a wakeup that never comes.
const PATIENCE: Duration = Duration::from_millis(200);

type Case = fn(Duration, Fixture);

macro_rules! case {
    ($module:ident::$case:ident) => {
        |patience, fixture| run_within(patience, $module::$case(fixture))
    };
}

const DEFECTS: &[(Defect, Case)] = &[
    (
        Defect::ProducersForgotten,
        case!(producers::a_retry_answers_with_the_first_offset),
    ),
    (
        Defect::ProducersForgotten,
        case!(producers::only_five_batches_are_remembered),
    ),
    (
        Defect::ProducersForgotten,
        case!(producers::a_gap_is_refused),
    ),
    (
        Defect::ProducersForgotten,
        case!(producers::a_stale_epoch_is_refused),
    ),
    (
        Defect::ProducersForgotten,
        case!(producers::a_new_epoch_begins_at_zero),
    ),
    (
        Defect::ProducersForgotten,
        case!(producers::an_unknown_producer_begins_anywhere),
    ),
    (Defect::ProducersForgotten, case!(producers::sequences_wrap)),
    (
        Defect::ProducersForgotten,
        case!(producers::producers_do_not_mix),
    ),
    (
        Defect::ProducersForgotten,
        case!(restarts::producers_survive),
    ),
    (
        Defect::ProducersNotTold,
        case!(producers::producers_are_told),
    ),
    (
        Defect::ProducersNotTold,
        case!(restarts::producers_are_told_after_a_restart),
    ),
    (Defect::FenceIgnored, case!(appends::the_fence_is_checked)),
    (Defect::LimitIgnored, case!(reads::byte_limits_hold)),
    (
        Defect::LimitIgnored,
        case!(reads::the_first_batch_is_exempt_when_asked),
    ),
    (
        Defect::FirstBatchNotExempt,
        case!(reads::the_first_batch_is_exempt_when_asked),
    ),
    (
        Defect::RangeNotChecked,
        case!(reads::outside_is_out_of_range),
    ),
    (
        Defect::BatchCut,
        case!(reads::a_read_begins_with_the_batch_that_holds_the_offset),
    ),
    (
        Defect::BatchCut,
        case!(reads::reads_beside_appends_see_whole_batches),
    ),
    (
        Defect::ReadFromTheStart,
        case!(reads::a_read_begins_with_the_batch_that_holds_the_offset),
    ),
    (
        Defect::ReadFromTheStart,
        case!(reads::every_offset_is_found_across_segments),
    ),
    (
        Defect::TimeIgnored,
        case!(times::the_first_at_or_after_is_found),
    ),
    (
        Defect::TimeIgnored,
        case!(times::compressed_batches_are_opened),
    ),
    (
        Defect::TimeIgnored,
        case!(times::append_time_counts_for_all_records),
    ),
    (
        Defect::TimeIgnored,
        case!(times::times_are_found_across_segments),
    ),
    (
        Defect::LargestIsTheLast,
        case!(times::the_largest_is_the_first_of_equals),
    ),
    (
        Defect::NobodyWoken,
        case!(waits::an_append_wakes_all_waiters),
    ),
    (
        Defect::NobodyWoken,
        case!(waits::a_waiter_wakes_once_for_each_registration),
    ),
    (Defect::NobodyWoken, case!(topics::removal_ends_open_logs)),
    (
        Defect::WokenForNothing,
        case!(waits::a_quiet_log_wakes_nobody),
    ),
    (
        Defect::WaiterKept,
        case!(waits::a_waiter_wakes_once_for_each_registration),
    ),
    (
        Defect::EpochEndsAtLogEnd,
        case!(restarts::epochs_are_told_apart),
    ),
    (
        Defect::CreateTakesOver,
        case!(topics::a_name_taken_by_another_id_is_occupied),
    ),
    (
        Defect::OpenCreates,
        case!(topics::what_is_missing_does_not_open),
    ),
    (
        Defect::RemoveDoesNothing,
        case!(topics::a_recreated_topic_is_empty),
    ),
    (
        Defect::RemoveDoesNothing,
        case!(topics::removal_ends_open_logs),
    ),
    (
        Defect::RemoveDoesNothing,
        case!(restarts::topics_survive_and_removed_ones_do_not),
    ),
    (
        Defect::RemoveIgnoresTheId,
        case!(topics::removal_asks_for_the_id),
    ),
    (
        Defect::RestartLosesRecords,
        case!(restarts::records_survive_a_clean_end),
    ),
    (
        Defect::RestartLosesRecords,
        case!(restarts::records_survive_a_kill),
    ),
    (
        Defect::RestartLosesRecords,
        case!(restarts::unfinished_appends_leave_a_prefix),
    ),
    (
        Defect::RestartLosesRecords,
        case!(restarts::producers_survive),
    ),
    (
        Defect::TrimDoesNothing,
        case!(trims::a_trim_moves_the_start),
    ),
    (
        Defect::TrimDoesNothing,
        case!(trims::a_trim_to_the_end_empties_the_log),
    ),
    (
        Defect::TrimDoesNothing,
        case!(trims::times_before_the_start_are_not_found),
    ),
    (
        Defect::TrimDoesNothing,
        case!(trims::epochs_before_the_start_end_there),
    ),
    (Defect::TrimDoesNothing, case!(trims::a_start_survives)),
    (
        Defect::TrimAnswersAsAsked,
        case!(trims::a_start_never_moves_back),
    ),
    (
        Defect::TrimAnswersAsAsked,
        case!(trims::a_trim_outside_is_refused),
    ),
    (
        Defect::ProducersForgotten,
        case!(trims::a_trimmed_log_keeps_its_producers),
    ),
    (
        Defect::RestartReusesVersions,
        case!(restarts::rows_and_versions_survive),
    ),
    (
        Defect::ChecksIgnored,
        case!(metadata::a_changed_key_is_a_conflict),
    ),
    (
        Defect::ChecksIgnored,
        case!(metadata::a_removed_key_is_absent),
    ),
    (
        Defect::ConflictWrites,
        case!(metadata::a_conflict_writes_nothing),
    ),
    (
        Defect::ListUnbounded,
        case!(metadata::lists_are_ordered_and_bounded),
    ),
    (
        Defect::PrefixIgnored,
        case!(metadata::keys_do_not_imitate_each_other),
    ),
];

#[test]
fn each_defect_fails_its_cases() {
    for (number, (defect, case)) in DEFECTS.iter().enumerate() {
        case(Duration::from_mins(1), broken(Defect::Sound));
        let outcome = catch_unwind(AssertUnwindSafe(|| case(PATIENCE, broken(*defect))));
        assert!(
            outcome.is_err(),
            "a store with {defect:?} passes case {number} of the table"
        );
    }
}

/// The macro lists what the files hold: a case that nobody runs is no case.
#[test]
fn every_case_is_run() {
    let list = include_str!("mod.rs");
    let files = [
        include_str!("appends.rs"),
        include_str!("metadata.rs"),
        include_str!("producers.rs"),
        include_str!("reads.rs"),
        include_str!("restarts.rs"),
        include_str!("times.rs"),
        include_str!("topics.rs"),
        include_str!("trims.rs"),
        include_str!("waits.rs"),
    ];
    let mut cases = 0;
    for line in files.iter().flat_map(|file| file.lines()) {
        if let Some(case) = line.strip_prefix("pub async fn ") {
            let name = case
                .split('(')
                .next()
                .expect("split gives at least one part");
            assert!(
                list.contains(&format!(" {name},\n")),
                "{name} is not in the list"
            );
            cases += 1;
        }
    }
    assert!(cases > 50, "{cases} cases were found");
}

#[test]
#[should_panic(expected = "nobody woke the case")]
fn a_stuck_case_fails() {
    run_within(Duration::from_millis(1), std::future::pending::<()>());
}

#[test]
fn file_ranges_are_read_whole() {
    #[derive(Debug)]
    struct Trickle(&'static [u8]);
    impl vfs::File for Trickle {
        fn read_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
            let at = usize::try_from(at).expect("small");
            let Some((first, byte)) = buf.first_mut().zip(self.0.get(at)) else {
                return Ok(0);
            };
            *first = *byte;
            Ok(1)
        }
        fn read_cached_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<Option<usize>> {
            self.read_at(buf, at).map(Some)
        }
        fn write_at(&self, _bytes: &[u8], _at: u64) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
        }
        fn size_bytes(&self) -> std::io::Result<u64> {
            Ok(self.0.len() as u64)
        }
        fn set_size(&self, _size_bytes: u64) -> std::io::Result<()> {
            Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
        }
        fn sync_data(&self) -> std::io::Result<()> {
            Ok(())
        }
        fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
            None
        }
    }
    let file = Arc::new(Trickle(b"0123456789"));
    let chunks = vec![
        Chunk::Memory(bytes::Bytes::from_static(b"ab")),
        Chunk::File {
            file,
            at: 3,
            size_bytes: 4,
        },
    ];
    let slice = ReadSlice {
        chunks,
        ends: Ends::empty_at(Offset::ZERO),
    };
    assert_eq!(bytes_of(&slice), &b"ab3456"[..]);
}
