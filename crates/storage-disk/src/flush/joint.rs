//! The thread that writes common rounds into the commit file.
//!
//! One round after the other: it takes all logs that wait, writes what they have behind their
//! durable ends, syncs once, and moves the ends. A generation ends when its file is full, holds
//! enough logs, or is a second old, if the other file is free by then; its logs are synced behind.
//! What does not fit goes by itself.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sabotage::{Safeguard, skips};

use super::{BACKGROUND_PAUSE, Flusher};
use crate::commit_file::{Added, Closed, Pair, Round, Unprepared, Written};
use crate::context::Context;
use crate::log::{DiskLog, Mark, Share};
use crate::watermarks::Run;

/// A start takes less, to its first record.
const PAUSE_BEFORE_MAKING: Duration = Duration::from_millis(100);

/// What a common round is made of.
#[derive(Default)]
struct Gathered {
    members: Vec<(Arc<DiskLog>, Mark)>,
    alone: Vec<Arc<DiskLog>>,
    /// For the next round.
    left: VecDeque<Arc<DiskLog>>,
}

impl Flusher {
    /// Waits with making the commit file until a start is over: that writes 32 MiB, and what waits
    /// for its sync then would wait for them. `false` at the stop.
    pub(crate) fn wait_to_make(&self, context: &Context, own_dir: &Path) -> bool {
        let mut is_due = context.commit_file.is_made(&*context.vfs, own_dir);
        let mut queue = self.queue.lock();
        while !queue.stop && !is_due && !queue.is_awaited {
            is_due = self
                .joined
                .wait_for(&mut queue, PAUSE_BEFORE_MAKING)
                .timed_out();
        }
        !queue.stop
    }

    /// Makes the commit file ready. Until then, and if that fails, logs sync by themselves.
    pub(crate) fn prepare_common(&self, context: &Context, own_dir: &Path, run: Run) {
        let (vfs, space) = (&*context.vfs, &context.space);
        match context.commit_file.prepare(vfs, own_dir, run, space) {
            Ok(()) => self.has_common.store(true, Ordering::Release),
            Err(Unprepared::Without(failure)) => tracing::warn!(
                %failure,
                "there is no commit file: each log is synced by itself, which costs more; \
                 the next start tries again"
            ),
            Err(Unprepared::Failed(failure)) => context.health.fail(&failure),
        }
        #[cfg(test)]
        {
            self.queue.lock().is_prepared = true;
            self.joined.notify_all();
        }
    }

    /// Writes common rounds until [`Flusher::stop`]; one thread does this.
    pub(crate) fn run_common(&self, context: &Context) {
        while let Some(logs) = self.next_joining(context) {
            if logs.is_empty() {
                self.turn(context);
            } else {
                let left = self.common_round(context, logs);
                self.join_first(left);
            }
        }
    }

    /// Those that wait; none if the open generation has been open for long. `None` at the stop.
    fn next_joining(&self, context: &Context) -> Option<VecDeque<Arc<DiskLog>>> {
        // Nobody else changes that.
        let is_begun = context.commit_file.is_begun();
        let mut is_idle = false;
        let mut queue = self.queue.lock();
        while !queue.stop {
            if !queue.joining.is_empty() {
                return Some(std::mem::take(&mut queue.joining));
            }
            if is_idle {
                return Some(VecDeque::new());
            }
            if is_begun {
                is_idle = self
                    .joined
                    .wait_for(&mut queue, BACKGROUND_PAUSE)
                    .timed_out();
            } else {
                self.joined.wait(&mut queue);
            }
        }
        None
    }

    /// One round of all these logs, or as many as fit; gives back those that are left.
    pub(super) fn common_round(
        &self,
        context: &Context,
        logs: VecDeque<Arc<DiskLog>>,
    ) -> VecDeque<Arc<DiskLog>> {
        let _guard = context.health.guard("a common round");
        let none = VecDeque::new();
        if context.health.check().is_err() {
            return none;
        }
        let Some(mut pair) = context.commit_file.pair() else {
            self.go_alone(logs);
            return none;
        };
        let pair = pair.as_mut().expect("it is prepared");
        let now = context.clock.monotonic();
        let is_old = pair
            .began_at()
            .is_some_and(|began| now.saturating_sub(began) >= BACKGROUND_PAUSE);
        if pair.is_full() || is_old {
            self.sync_behind(pair.turn());
        }
        let Some(mut round) = pair.begin(now) else {
            self.go_alone(logs);
            return none;
        };
        let gathered = gather(pair, &mut round, logs);
        self.go_alone(gathered.alone);
        let written = if round.is_empty() {
            pair.keep(round);
            Written::Durable
        } else {
            pair.write(round)
        };
        match written {
            Written::Durable => {
                self.finish(context, gathered.members);
                return gathered.left;
            }
            Written::NoSpace(error) => {
                tracing::warn!(%error, "no room for the commit file: each log is synced by itself");
                self.has_common.store(false, Ordering::Release);
                self.sync_behind(pair.give_up());
                let members = gathered.members.into_iter().map(|(log, _)| log);
                self.go_alone(members.chain(gathered.left));
                let late = std::mem::take(&mut self.queue.lock().joining);
                self.go_alone(late);
            }
            // IMPORTANT: nothing of this round is acknowledged.
            Written::Failed(failure) => context.health.fail(&failure),
        }
        none
    }

    /// Moves the durable ends of a round's logs.
    fn finish(&self, context: &Context, members: Vec<(Arc<DiskLog>, Mark)>) {
        // What ended everything meanwhile may concern what stands before this round.
        if context.health.check().is_err() {
            return;
        }
        let mut again = VecDeque::new();
        for (log, mark) in members {
            if log.finish_round(mark) {
                again.push_back(log);
            }
        }
        self.join_first(again);
    }

    /// Puts logs before those that wait.
    fn join_first(&self, mut logs: VecDeque<Arc<DiskLog>>) {
        if logs.is_empty() {
            return;
        }
        let mut queue = self.queue.lock();
        if !queue.stop {
            logs.append(&mut queue.joining);
            queue.joining = logs;
        }
    }

    /// Ends the open generation, if the other file is free.
    pub(super) fn turn(&self, context: &Context) {
        if let Some(mut pair) = context.commit_file.pair() {
            let pair = pair.as_mut().expect("it is prepared");
            self.sync_behind(pair.turn());
        }
    }

    fn sync_behind(&self, closed: Option<(Arc<Closed>, Vec<Arc<DiskLog>>)>) {
        let Some((closed, logs)) = closed else { return };
        let mut queue = self.queue.lock();
        if queue.stop {
            return;
        }
        let logs = logs.into_iter().map(|log| (log, Arc::clone(&closed)));
        queue.behind.extend(logs);
        drop(queue);
        self.due.notify_all();
    }

    fn go_alone(&self, logs: impl IntoIterator<Item = Arc<DiskLog>>) {
        let mut queue = self.queue.lock();
        if queue.stop {
            return;
        }
        for log in logs {
            queue.due.push_back(log);
            self.due.notify_one();
        }
    }
}

/// Adds what the logs have, in their order.
fn gather(pair: &mut Pair, round: &mut Round, mut logs: VecDeque<Arc<DiskLog>>) -> Gathered {
    let mut gathered = Gathered::default();
    while let Some(log) = logs.pop_front() {
        let entry_bytes = pair.entry_bytes();
        let piece = match log.share(round.generation(), entry_bytes) {
            Share::Gone => continue,
            Share::Alone => {
                gathered.alone.push(log);
                continue;
            }
            Share::Nothing(mark) => {
                gathered.members.push((log, mark));
                continue;
            }
            Share::Piece(piece) => piece,
        };
        match pair.add(round, &log, &piece) {
            Added::In => gathered.members.push((log, piece.mark)),
            Added::Unreadable => gathered.alone.push(log),
            // The next round turns to the other file, if that is free.
            Added::Full if !round.is_empty() => {
                logs.push_front(log);
                gathered.left = logs;
                break;
            }
            Added::Full => gathered.alone.push(log),
        }
    }
    if skips(Safeguard::CommitMarkAfterSync) {
        for (log, mark) in &gathered.members {
            log.finish_round(*mark);
        }
    }
    gathered
}
