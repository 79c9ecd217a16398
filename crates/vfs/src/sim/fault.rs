//! Errors on request: which calls fail, how, and how often.

use std::path::Path;

use rustix::io::Errno;

/// A kind of call that a [`Fault`] can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `Vfs::open`, whatever the mode.
    Open,
    /// `Vfs::create_dir`.
    CreateDir,
    /// `Vfs::read_dir`.
    ReadDir,
    /// `Vfs::stat`.
    Stat,
    /// `Vfs::rename`; a path suffix may match either name.
    Rename,
    /// `Vfs::remove_file` and `Vfs::remove_dir`.
    Remove,
    /// `Vfs::sync_dir`. The names that were to become durable never will.
    SyncDir,
    /// `Vfs::lock`.
    Lock,
    /// `File::read_at` and `File::read_cached_at`.
    Read,
    /// `File::write_at`.
    Write,
    /// `File::set_size`.
    SetSize,
    /// `File::sync_data`. The bytes that were to become durable never will.
    SyncData,
    /// `FileSystem::sync`. Nothing that is pending anywhere becomes durable.
    SyncFileSystem,
}

/// What the disk answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskError {
    /// EIO.
    Io,
    /// ENOSPC.
    NoSpace,
    /// EMFILE.
    TooManyFiles,
    /// EROFS, as after a journal abort.
    ReadOnly,
}

impl DiskError {
    pub(super) fn errno(self) -> Errno {
        match self {
            Self::Io => Errno::IO,
            Self::NoSpace => Errno::NOSPC,
            Self::TooManyFiles => Errno::MFILE,
            Self::ReadOnly => Errno::ROFS,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    Fail(DiskError),
    /// The call handles only this many bytes.
    Short(usize),
}

/// A planned misbehaviour of the disk. Starts as "every call of this kind".
#[derive(Debug, Clone)]
pub struct Fault {
    operation: Operation,
    path_suffix: Option<String>,
    /// Matching calls, counted from 1, that it meets.
    first: u64,
    last: u64,
    effect: Effect,
    matched: u64,
}

impl Fault {
    /// Calls of this kind fail and change nothing (but see the sync kinds of [`Operation`]).
    pub fn fail(operation: Operation, error: DiskError) -> Self {
        Self::new(operation, Effect::Fail(error))
    }

    /// Reads or writes handle at most `bytes` bytes.
    pub fn short(operation: Operation, bytes: usize) -> Self {
        assert!(
            matches!(operation, Operation::Read | Operation::Write),
            "only reads and writes can be short, not {operation:?}"
        );
        Self::new(operation, Effect::Short(bytes))
    }

    fn new(operation: Operation, effect: Effect) -> Self {
        Self {
            operation,
            path_suffix: None,
            first: 1,
            last: u64::MAX,
            effect,
            matched: 0,
        }
    }

    /// Only calls whose path ends with `suffix`.
    #[must_use]
    pub fn on_path_suffix(mut self, suffix: &str) -> Self {
        self.path_suffix = Some(suffix.to_owned());
        self
    }

    /// Only the `nth` matching call from now, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        (self.first, self.last) = (nth, nth);
        self
    }

    /// The `nth` matching call from now, counted from 1, and all that follow.
    #[must_use]
    pub fn nth_and_later(mut self, nth: u64) -> Self {
        (self.first, self.last) = (nth, u64::MAX);
        self
    }

    fn matches(&self, operation: Operation, paths: [&Path; 2]) -> bool {
        self.operation == operation
            && self.path_suffix.as_ref().is_none_or(|suffix| {
                paths
                    .iter()
                    .any(|path| path.to_string_lossy().ends_with(suffix.as_str()))
            })
    }
}

#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    faults: Vec<Fault>,
    /// Calls that met a fault.
    pub(super) fired: u64,
}

impl FaultPlan {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Counts the call for every fault that it matches; the first that is due decides.
    pub(super) fn meet(&mut self, operation: Operation, paths: [&Path; 2]) -> Option<Effect> {
        let mut met = None;
        for fault in &mut self.faults {
            if fault.matches(operation, paths) {
                fault.matched += 1;
                if met.is_none() && (fault.first..=fault.last).contains(&fault.matched) {
                    met = Some(fault.effect);
                }
            }
        }
        self.fired += u64::from(met.is_some());
        met
    }
}
