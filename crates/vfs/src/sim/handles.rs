//! What a program under test holds of a simulated disk: files, locks, the file system.
//!
//! Each belongs to one life of the machine; after a kill or a power cut it answers EIO for ever.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::disk::{Disk, NodeId, to_position, to_u64};
use super::fault::Operation;
use super::machine::{Call, Passed, Shared, State, note};
use super::{FailedSync, NameRule};
use crate::{DirLock, File, FileSystem};

/// An open simulated file.
#[derive(Debug)]
pub(super) struct SimFile {
    shared: Arc<Shared>,
    node: NodeId,
    life: u32,
    writable: bool,
    path: Arc<Path>,
    /// The failed writebacks of the file that this descriptor knows of.
    sampled_errors: AtomicU64,
}

impl SimFile {
    /// Takes over the handle that `Disk::open` has counted.
    pub(super) fn new(
        shared: &Arc<Shared>,
        state: &State,
        node: NodeId,
        writable: bool,
        path: &Path,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            node,
            life: state.machine.life,
            writable,
            path: path.into(),
            sampled_errors: AtomicU64::new(state.disk.file(node).error_sequence),
        }
    }

    fn call(&self, operation: Operation) -> Call<'_> {
        Call {
            life: Some(self.life),
            ..Call::new(operation, &self.path)
        }
    }

    fn read(&self, buf: &mut [u8], at: u64, only_cached: bool) -> io::Result<Option<usize>> {
        let len = buf.len();
        self.shared.call(
            self.call(Operation::Read),
            |line| note(line, format_args!(" at {at} len {len}")),
            |passed| {
                if only_cached && passed.state.machine.cold {
                    return Ok(None);
                }
                let limit = passed.limit(len);
                // Behind every file that can exist.
                let Ok(at) = to_position(at) else {
                    return Ok(Some(0));
                };
                Ok(Some(
                    passed
                        .state
                        .disk
                        .file(self.node)
                        .visible
                        .read_at(&mut buf[..limit], at),
                ))
            },
        )
    }

    /// The error that this descriptor has not reported yet.
    fn report_lost_writeback(&self, disk: &Disk) -> Result<(), Errno> {
        let errors = disk.file(self.node).error_sequence;
        let known = self.sampled_errors.swap(errors, Ordering::Relaxed);
        if known == errors {
            Ok(())
        } else {
            Err(Errno::IO)
        }
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.read(buf, at, false)
            .map(|read| read.expect("only a cached read may find nothing"))
    }

    fn read_cached_at(&self, buf: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        self.read(buf, at, true)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.shared.call(
            self.call(Operation::Write),
            |line| {
                let sum = fingerprint(bytes);
                note(
                    line,
                    format_args!(" at {at} len {} sum {sum:016x}", bytes.len()),
                );
            },
            |passed| {
                if !self.writable {
                    return Err(Errno::BADF);
                }
                let bytes = &bytes[..passed.limit(bytes.len())];
                passed.state.disk.write(self.node, bytes, at)
            },
        )
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.shared.call(
            self.call(Operation::Stat),
            |_| {},
            |passed| Ok(to_u64(passed.state.disk.file(self.node).visible.size())),
        )
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        self.shared.call(
            self.call(Operation::SetSize),
            |line| note(line, format_args!(" to {size_bytes}")),
            |passed| {
                if !self.writable {
                    return Err(Errno::INVAL);
                }
                passed.state.disk.set_size(self.node, size_bytes)
            },
        )
    }

    fn sync_data(&self) -> io::Result<()> {
        self.shared.call(
            self.call(Operation::SyncData),
            |_| {},
            |passed| {
                let planned = begin_sync(&self.shared, passed)?;
                let state = &mut *passed.state;
                match planned.error {
                    Some(errno) => {
                        state.lose_file(self.node);
                        // This descriptor learns it now, and only now.
                        let errors = state.disk.file(self.node).error_sequence;
                        self.sampled_errors.store(errors, Ordering::Relaxed);
                        Err(errno)
                    }
                    None => {
                        state.disk.flush_file(self.node, planned.sequence_max);
                        self.report_lost_writeback(&state.disk)
                    }
                }
            },
        )
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.shared.look();
        if state.machine.life == self.life {
            state.disk.close(self.node);
        }
    }
}

/// A held lock; the file keeps the node alive.
#[derive(Debug)]
pub(super) struct SimLock {
    pub(super) file: SimFile,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.file.shared.look();
        if state.machine.life == self.file.life {
            state.machine.locks.retain(|node| *node != self.file.node);
        }
    }
}

/// The whole disk, for `syncfs`.
#[derive(Debug)]
pub(super) struct SimFileSystem {
    pub(super) shared: Arc<Shared>,
    pub(super) path: Arc<Path>,
    pub(super) life: u32,
    pub(super) sampled_errors: AtomicU64,
}

impl FileSystem for SimFileSystem {
    fn sync(&self) -> io::Result<()> {
        let call = Call {
            life: Some(self.life),
            ..Call::new(Operation::SyncFileSystem, &self.path)
        };
        self.shared.call(
            call,
            |_| {},
            |passed| {
                let planned = begin_sync(&self.shared, passed)?;
                let state = &mut *passed.state;
                match planned.error {
                    Some(_) => state.lose_everything(),
                    None => state.disk.flush_everything(planned.sequence_max),
                }
                let errors = state.disk.error_sequence;
                let known = self.sampled_errors.swap(errors, Ordering::Relaxed);
                match planned.error {
                    Some(errno) => Err(errno),
                    None if known != errors => Err(Errno::IO),
                    None => Ok(()),
                }
            },
        )
    }
}

pub(super) struct PlannedSync {
    pub(super) error: Option<Errno>,
    /// Changes that came while it waited are not part of it.
    pub(super) sequence_max: u64,
}

/// The first half of every sync: remembers what it covers, then waits while syncs stall.
pub(super) fn begin_sync(shared: &Shared, passed: &mut Passed<'_>) -> Result<PlannedSync, Errno> {
    let error = passed.planned_error().err().map(|error| error.errno());
    let sequence_max = passed.state.disk.sequence;
    shared.wait_while_stalled(&mut passed.state)?;
    Ok(PlannedSync {
        error,
        sequence_max,
    })
}

impl Disk {
    /// A sync of the file succeeded. A journal takes all names before it along.
    fn flush_file(&mut self, node: NodeId, sequence_max: u64) {
        self.change_file(node, |file| file.flush(sequence_max));
        if self.options.names == NameRule::JournalOrder {
            self.flush_all_names(sequence_max);
        }
    }

    fn flush_everything(&mut self, sequence_max: u64) {
        for node in self.dirty_files() {
            self.change_file(node, |file| file.flush(sequence_max));
        }
        self.flush_all_names(sequence_max);
    }

    fn dirty_files(&self) -> Vec<NodeId> {
        let has_pending =
            |node: &NodeId| self.is_file(*node) && !self.file(*node).pending.is_empty();
        self.dirty.iter().copied().filter(has_pending).collect()
    }
}

impl State {
    /// The writeback of the file failed.
    pub(super) fn lose_file(&mut self, node: NodeId) {
        let failed_sync = self.disk.options.failed_sync;
        self.disk.error_sequence += 1;
        self.disk
            .change_file(node, |file| file.lose_pending(failed_sync));
        self.machine.shut_down |= failed_sync == FailedSync::ShutDown;
    }

    /// A sync of the directory failed.
    pub(super) fn lose_directory(&mut self, dir: NodeId) {
        self.disk.lose_names_of(dir);
        self.machine.shut_down |= self.disk.options.failed_sync == FailedSync::ShutDown;
    }

    fn lose_everything(&mut self) {
        for node in self.disk.dirty_files() {
            self.lose_file(node);
        }
        self.disk.pending_names.clear();
        self.disk.error_sequence += 1;
        self.machine.shut_down |= self.disk.options.failed_sync == FailedSync::ShutDown;
    }
}

/// FNV-1a: enough to see in a trace that two writes differ.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
