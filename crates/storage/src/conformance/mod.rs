//! The suite that every store passes: memory, disk, cluster.
//!
//! Each case is a public function that takes a fresh [`Fixture`] and panics where the store breaks
//! the contract. [`store_conformance_tests!`](crate::store_conformance_tests) makes a `#[test]` of
//! each:
//!
//! ```text
//! fn fixture() -> storage::conformance::Fixture { … }
//! storage::store_conformance_tests!(fixture);
//! ```
//!
//! A case waits for conditions, never for time, except that one that waits a minute for nothing
//! has failed. Must not know: which store it runs on.

pub mod appends;
pub mod metadata;
pub mod producers;
pub mod reads;
pub mod restarts;
mod run;
mod samples;
pub mod times;
pub mod topics;
pub mod trims;
pub mod waits;

use std::fmt;
use std::sync::Arc;

use crate::log::Log;
use crate::metadata::Metadata;
use crate::store::LogStore;

pub use run::run;
pub use samples::bytes_of;

/// An empty store, and the way to start it again.
pub struct Fixture {
    /// Where the logs are.
    pub store: Arc<dyn LogStore>,
    /// The table.
    pub metadata: Arc<dyn Metadata>,
    reopen: Reopen,
}

type Reopen = Box<dyn FnOnce(Ending) -> Fixture + Send>;

/// How a store ends before it is opened again on the same data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is closed in order.
    Clean,
    /// It stops where it stands: what was not yet durable may be lost.
    Killed,
}

impl Fixture {
    /// A fixture that `reopen` starts again after the given ending. When that is called, the
    /// fixture and the case hold no reference to the store and its logs any more.
    pub fn new(
        store: Arc<dyn LogStore>,
        metadata: Arc<dyn Metadata>,
        reopen: impl FnOnce(Ending) -> Self + Send + 'static,
    ) -> Self {
        Self {
            store,
            metadata,
            reopen: Box::new(reopen),
        }
    }

    /// Ends the store and opens it again.
    #[must_use]
    pub fn reopen(self, ending: Ending) -> Self {
        let Self {
            store,
            metadata,
            reopen,
        } = self;
        drop((store, metadata));
        reopen(ending)
    }

    /// The only log of a new topic.
    async fn log(&self) -> Arc<dyn Log> {
        let topic = samples::topic("events", 1);
        self.store
            .create(&topic, 0..1)
            .await
            .expect("a topic is created");
        self.store.open(&topic, 0).expect("its log opens")
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            metadata,
            reopen: _,
        } = self;
        f.debug_struct("Fixture")
            .field("store", store)
            .field("metadata", metadata)
            .finish()
    }
}

/// Makes a `#[test]` of each case of the suite; `$fixture` is a function that gives a fresh
/// [`Fixture`](crate::conformance::Fixture). Two stores in one file go into two modules.
#[macro_export]
macro_rules! store_conformance_tests {
    ($fixture:path) => {
        $crate::store_conformance_tests! { @cases $fixture;
            topics: [
                topics_are_listed_by_name,
                create_again_keeps_the_records,
                partitions_are_added,
                a_name_taken_by_another_id_is_occupied,
                open_gives_the_same_log,
                what_is_missing_does_not_open,
                a_recreated_topic_is_empty,
                removal_asks_for_the_id,
                removal_ends_open_logs,
                removal_resolves_pending_tickets,
            ];
            appends: [
                a_new_log_is_empty,
                offsets_are_dense,
                place_is_patched_into_the_bytes,
                durable_is_visible,
                the_fence_is_checked,
                a_batch_larger_than_a_segment_is_refused,
                footprint_counts_the_bytes,
                partitions_count_for_themselves,
                concurrent_appends_are_dense,
            ];
            reads: [
                a_read_begins_with_the_batch_that_holds_the_offset,
                every_offset_is_found_across_segments,
                byte_limits_hold,
                the_first_batch_is_exempt_when_asked,
                outside_is_out_of_range,
                the_end_is_empty,
                both_isolations_see_the_stable_part,
                reads_beside_appends_see_whole_batches,
            ];
            producers: [
                a_retry_answers_with_the_first_offset,
                only_five_batches_are_remembered,
                a_gap_is_refused,
                a_stale_epoch_is_refused,
                a_new_epoch_begins_at_zero,
                an_unknown_producer_begins_anywhere,
                sequences_wrap,
                producers_do_not_mix,
                a_concurrent_retry_is_written_once,
                producers_are_told,
            ];
            times: [
                an_empty_log_has_no_times,
                the_first_at_or_after_is_found,
                compressed_batches_are_opened,
                the_largest_is_the_first_of_equals,
                append_time_counts_for_all_records,
                times_are_found_across_segments,
            ];
            trims: [
                a_trim_moves_the_start,
                a_start_never_moves_back,
                a_trim_outside_is_refused,
                a_trim_to_the_end_empties_the_log,
                times_before_the_start_are_not_found,
                a_trimmed_log_keeps_its_producers,
                chunks_outlive_a_trim,
                epochs_before_the_start_end_there,
                a_start_survives,
            ];
            waits: [
                an_append_wakes_all_waiters,
                a_quiet_log_wakes_nobody,
                a_waiter_wakes_once_for_each_registration,
                settled_covers_what_was_written,
            ];
            restarts: [
                records_survive_a_clean_end,
                records_survive_a_kill,
                unfinished_appends_leave_a_prefix,
                producers_survive,
                producers_are_told_after_a_restart,
                epochs_are_told_apart,
                topics_survive_and_removed_ones_do_not,
                rows_and_versions_survive,
            ];
            metadata: [
                what_was_committed_is_read,
                a_removed_key_is_absent,
                lists_are_ordered_and_bounded,
                keys_do_not_imitate_each_other,
                a_changed_key_is_a_conflict,
                a_conflict_writes_nothing,
                versions_only_rise,
                concurrent_commits_lose_nothing,
            ];
        }
    };
    (@cases $fixture:path; $($module:ident: [$($case:ident,)*];)*) => {
        $($(
            #[test]
            fn $case() {
                let fixture: $crate::conformance::Fixture = $fixture();
                $crate::conformance::run($crate::conformance::$module::$case(fixture));
            }
        )*)*
    };
}

#[cfg(test)]
mod tests;
