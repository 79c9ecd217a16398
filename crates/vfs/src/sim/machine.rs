//! The machine around a simulated disk: every call passes through [`Shared::call`], which counts
//! it, meets it with faults, refuses dead handles and writes the trace.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use clock::{Rng, SeededRng};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::io::Errno;

use super::SimOptions;
use super::disk::{Disk, NodeId};
use super::fault::{DiskError, Effect, FaultPlan, Operation};

/// Process ids of a simulated machine start here and rise with each life.
const FIRST_PID: u32 = 1000;

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told when a sync begins to wait, and when waiting ends.
    stall_moved: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) machine: Machine,
}

#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Handles of an earlier life are dead.
    pub(super) life: u32,
    pub(super) boot: u64,
    pub(super) locks: Vec<NodeId>,
    pub(super) faults: FaultPlan,
    /// Calls that may change the disk, so far.
    pub(super) changes: u64,
    /// At this count the machine stops.
    pub(super) stop_at_change: Option<u64>,
    pub(super) stopped: bool,
    /// The file system gave up; only a power cut ends that.
    pub(super) shut_down: bool,
    pub(super) cold: bool,
    stalls: bool,
    /// Syncs that wait; those of an earlier round are on their way out and no longer counted.
    stalled: usize,
    stall_round: u64,
    pub(super) trace: Option<Vec<String>>,
}

impl Machine {
    pub(super) fn boot_id(&self) -> [u8; 16] {
        SeededRng::new(self.boot).uuid_v4()
    }

    pub(super) fn pid(&self) -> u32 {
        FIRST_PID + self.life
    }

    /// Another machine in the same boot, on which nothing has happened yet.
    pub(super) fn like_this(&self) -> Self {
        Self {
            boot: self.boot,
            shut_down: self.shut_down,
            ..Self::default()
        }
    }

    fn release_syncs(&mut self) {
        self.stalls = false;
        self.stalled = 0;
        self.stall_round += 1;
    }

    /// Ends every process: handles die, locks fall, waiting syncs return.
    fn end_life(&mut self) {
        self.life += 1;
        self.locks.clear();
        self.release_syncs();
        self.stopped = false;
        self.stop_at_change = None;
    }
}

/// What a call is, for faults, counters and the trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) path: &'a Path,
    /// The second path of a rename.
    pub(super) target: Option<&'a Path>,
    /// The life of the handle it is made on.
    pub(super) life: Option<u32>,
    /// It may change the disk.
    pub(super) changes: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(operation: Operation, path: &'a Path) -> Self {
        let changes = !matches!(
            operation,
            Operation::Read | Operation::ReadDir | Operation::Stat
        );
        Self {
            operation,
            path,
            target: None,
            life: None,
            changes,
        }
    }
}

/// A call that passed: the state to work on, and the fault it met.
pub(super) struct Passed<'a> {
    pub(super) state: MutexGuard<'a, State>,
    effect: Option<Effect>,
}

impl Passed<'_> {
    /// The planned error, if there is one.
    pub(super) fn planned_error(&self) -> Result<(), DiskError> {
        match self.effect {
            Some(Effect::Fail(error)) => Err(error),
            Some(Effect::Short(_)) | None => Ok(()),
        }
    }

    /// How many of `len` bytes the call may handle.
    pub(super) fn limit(&self, len: usize) -> usize {
        match self.effect {
            Some(Effect::Short(bytes)) => bytes.min(len),
            Some(Effect::Fail(_)) | None => len,
        }
    }
}

impl Shared {
    pub(super) fn new(options: SimOptions) -> Self {
        Self::with(Disk::new(options), Machine::default())
    }

    pub(super) fn with(disk: Disk, machine: Machine) -> Self {
        Self {
            state: Mutex::new(State { disk, machine }),
            stall_moved: Condvar::new(),
        }
    }

    /// The state as it is, for the test that holds the disk.
    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// One call of the program under test.
    pub(super) fn call<T>(
        &self,
        call: Call<'_>,
        detail: impl FnOnce(&mut String),
        run: impl FnOnce(&mut Passed<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        let result = match state.machine.admit(&call) {
            Ok(effect) => {
                let mut passed = Passed { state, effect };
                let result = match passed.planned_error() {
                    // Those that fail by themselves have an effect even then.
                    Err(error) if !fails_by_itself(call.operation) => Err(error.errno()),
                    _ => run(&mut passed),
                };
                state = passed.state;
                result
            }
            Err(errno) => Err(errno),
        };
        state
            .machine
            .record(&call, detail, result.as_ref().err().copied());
        drop(state);
        Ok(result?)
    }

    /// Waits while syncs stall; an error if the process died meanwhile.
    pub(super) fn wait_while_stalled(
        &self,
        state: &mut MutexGuard<'_, State>,
    ) -> Result<(), Errno> {
        let life = state.machine.life;
        if state.machine.stalls {
            let round = state.machine.stall_round;
            state.machine.stalled += 1;
            self.stall_moved.notify_all();
            self.stall_moved
                .wait_while(state, |it| it.machine.stall_round == round);
        }
        if state.machine.life == life {
            Ok(())
        } else {
            Err(Errno::IO)
        }
    }

    pub(super) fn stall_syncs(&self) {
        self.look().machine.stalls = true;
    }

    pub(super) fn release_syncs(&self) {
        self.look().machine.release_syncs();
        self.stall_moved.notify_all();
    }

    pub(super) fn wait_for_stalled(&self, count: usize) {
        let mut state = self.look();
        self.stall_moved
            .wait_while(&mut state, |it| it.machine.stalled < count);
    }

    /// Ends every process; `and_then` sees the disk they leave.
    pub(super) fn end_life(&self, and_then: impl FnOnce(&mut State)) {
        let mut state = self.look();
        state.machine.end_life();
        and_then(&mut state);
        drop(state);
        self.stall_moved.notify_all();
    }
}

/// A failed sync loses what it should have written.
fn fails_by_itself(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::SyncData | Operation::SyncDir | Operation::SyncFileSystem
    )
}

impl Machine {
    fn admit(&mut self, call: &Call<'_>) -> Result<Option<Effect>, Errno> {
        let dead = call.life.is_some_and(|life| life != self.life);
        if dead || self.stopped || self.shut_down {
            return Err(Errno::IO);
        }
        if call.changes {
            if self.stop_at_change == Some(self.changes) {
                self.stopped = true;
                return Err(Errno::IO);
            }
            self.changes += 1;
        }
        Ok(self.faults.meet(
            call.operation,
            [call.path, call.target.unwrap_or(call.path)],
        ))
    }

    fn record(&mut self, call: &Call<'_>, detail: impl FnOnce(&mut String), error: Option<Errno>) {
        let Some(trace) = &mut self.trace else {
            return;
        };
        let mut line = format!("{:?} {}", call.operation, call.path.display());
        if let Some(target) = call.target {
            note(&mut line, format_args!(" {}", target.display()));
        }
        detail(&mut line);
        if let Some(error) = error {
            note(
                &mut line,
                format_args!(" -> errno {}", error.raw_os_error()),
            );
        }
        trace.push(line);
    }
}

/// Adds to a line of the trace.
pub(super) fn note(line: &mut String, detail: std::fmt::Arguments<'_>) {
    line.write_fmt(detail).expect("a string takes everything");
}
