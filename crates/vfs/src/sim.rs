//! A disk in memory that loses power, tears writes, forgets names and returns errors on request.
//!
//! It keeps three things apart that a real machine keeps apart too: what a program sees, what is in
//! memory only, and what is on the disk. Whatever the program did not sync may be lost, kept or
//! torn, each piece by itself. Everything is repeatable: the same calls and the same seed give the
//! same disk and the same trace. Knows nothing of what the files hold.
//!
//! Deliberately absent: links, permissions, times, and paths with `..`.

mod disk;
mod fault;
mod file_node;
mod handles;
mod machine;
mod names;
mod pages;
mod power;
mod space;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rustix::io::Errno;

use crate::{DirEntry, DirLock, File, FileSystem, LockError, OpenMode, Stat, Vfs};
use disk::{Content, Disk, to_position};
use handles::{SimFile, SimFileSystem, SimLock, begin_sync};
use machine::{Call, Shared, note};
use sabotage::{Safeguard, skips};

pub use fault::{DiskError, Fault, Operation};
pub use power::{CutPolicy, Fate};

/// When a changed name reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameRule {
    /// POSIX to the letter: only a sync of its directory makes a name durable, and names that were
    /// not synced reach the disk in any order.
    #[default]
    EachDirectory,
    /// Like a journal in ordered mode (ext4): names reach the disk in the order they were changed,
    /// any sync takes all earlier ones along, and a file is never longer than its bytes.
    JournalOrder,
}

/// What becomes of bytes whose sync failed. In every variant they never reach the disk unless they
/// are written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailedSync {
    /// Memory keeps them, marked clean: they can be read, and the next sync succeeds without them
    /// (ext4, XFS).
    #[default]
    KeepPages,
    /// Memory goes back to what the disk holds; the next sync succeeds (Btrfs).
    RevertPages,
    /// Every later call fails until the machine starts again (XFS shutdown, ext4 aborted journal).
    ShutDown,
}

/// Which file system is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimOptions {
    /// When names become durable.
    pub names: NameRule,
    /// What a failed sync leaves.
    pub failed_sync: FailedSync,
}

/// The simulated disk and machine. A clone is a handle to the same disk.
#[derive(Debug, Clone)]
pub struct SimVfs {
    shared: Arc<Shared>,
}

impl Default for SimVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimVfs {
    /// An empty disk with the strictest rules.
    pub fn new() -> Self {
        Self::with_options(SimOptions::default())
    }

    /// An empty disk.
    pub fn with_options(options: SimOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(options)),
        }
    }

    /// A copy of the disk at this moment, memory included, on a machine of its own where nothing
    /// runs: no handles, locks, faults or limits on calls. Costs pointers, not bytes.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.shared.look();
        let mut disk = state.disk.clone();
        disk.close_all();
        Self {
            shared: Arc::new(Shared::with(disk, state.machine.like_this())),
        }
    }

    /// The power goes and comes back: unsynced changes are lost, kept or torn by the seed, all
    /// handles are dead and [`Vfs::boot_id`] is another. Planned faults stay.
    pub fn power_cut(&self, seed: u64) {
        self.power_cut_with(&CutPolicy::Seed(seed));
    }

    /// A power cut with a chosen outcome.
    pub fn power_cut_with(&self, policy: &CutPolicy) {
        self.shared.end_life(|state| {
            state.machine.boot += 1;
            state.machine.shut_down = false;
            state.disk.cut(policy);
        });
    }

    /// Every process dies, the machine runs on: what was written stays, handles are dead, locks
    /// are free.
    pub fn process_kill(&self) {
        self.shared.end_life(|state| state.disk.close_all());
    }

    /// How many changes are in memory only; each can be chosen in a [`CutPolicy`].
    pub fn pending_items(&self) -> usize {
        self.shared.look().disk.pending_count()
    }

    /// The pending changes in their order, a line each, for people.
    pub fn describe_pending(&self) -> Vec<String> {
        self.shared.look().disk.describe_pending()
    }

    /// What is on the disk itself under `path`: what [`CutPolicy::DropAll`] would leave.
    pub fn durable_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.shared.look().disk.durable_bytes(path)?)
    }

    /// Overwrites bytes of a file behind everybody's back, in memory and on the disk: a flipped
    /// bit, a stale or misdirected sector. Never changes a length.
    pub fn damage(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.shared.look();
        let at = to_position(at)?;
        let node = state.disk.resolve(path)?;
        let Content::File(file) = &mut state.disk.node_mut(node).content else {
            return Err(Errno::ISDIR.into());
        };
        for pages in [&mut file.visible, &mut file.durable] {
            let inside = bytes.len().min(pages.size().saturating_sub(at));
            pages.write_at(&bytes[..inside], at.min(pages.size()));
        }
        Ok(())
    }

    /// The system writes a file back by itself, and fails: what is pending is lost, nobody is told
    /// now, and every descriptor that is open learns it at its next sync, once.
    pub fn lose_writeback(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.look();
        let node = state.disk.resolve(path)?;
        state.lose_file(node);
        Ok(())
    }

    /// Plans an error.
    pub fn inject(&self, fault: Fault) {
        self.shared.look().machine.faults.add(fault);
    }

    /// Forgets all planned errors.
    pub fn clear_faults(&self) {
        self.shared.look().machine.faults.clear();
    }

    /// How many calls met a planned error so far.
    pub fn faults_fired(&self) -> u64 {
        self.shared.look().machine.faults.fired
    }

    /// Limits the bytes of all files together; a write that finds less space is short, one that
    /// finds none fails with ENOSPC. `None` lifts the limit.
    pub fn set_space_limit(&self, limit_bytes: Option<u64>) {
        self.shared.look().disk.space_limit_bytes = limit_bytes;
    }

    /// The bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.shared.look().disk.used_bytes
    }

    /// With `true`, [`File::read_cached_at`] finds nothing in memory.
    pub fn set_cold(&self, cold: bool) {
        self.shared.look().machine.cold = cold;
    }

    /// From now on every sync waits, as on a stuck disk, until [`SimVfs::release_syncs`]. It will
    /// cover only what was written before it began.
    pub fn stall_syncs(&self) {
        self.shared.stall_syncs();
    }

    /// Lets waiting and later syncs pass.
    pub fn release_syncs(&self) {
        self.shared.release_syncs();
    }

    /// Blocks until at least `count` syncs wait.
    pub fn wait_for_stalled_syncs(&self, count: usize) {
        self.shared.wait_for_stalled(count);
    }

    /// Calls so far that could change the disk: the points at which a cut is worth trying.
    pub fn changes(&self) -> u64 {
        self.shared.look().machine.changes
    }

    /// Lets `changes` more such calls pass; then the machine stands still and every call fails
    /// with EIO, changing nothing, until a power cut or a kill.
    pub fn stop_after(&self, changes: u64) {
        let mut state = self.shared.look();
        state.machine.stop_at_change = Some(state.machine.changes + changes);
    }

    /// True if [`SimVfs::stop_after`] has struck.
    pub fn is_stopped(&self) -> bool {
        self.shared.look().machine.stopped
    }

    /// Handles that the program holds now, locks included.
    pub fn open_handles(&self) -> u32 {
        self.shared
            .look()
            .disk
            .nodes
            .values()
            .map(|node| node.handles)
            .sum()
    }

    /// Writes a line for every call from now on.
    pub fn start_trace(&self) {
        self.shared.look().machine.trace = Some(Vec::new());
    }

    /// The lines since the trace was started or taken last.
    pub fn take_trace(&self) -> Vec<String> {
        self.shared
            .look()
            .machine
            .trace
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    fn on_disk<T>(
        &self,
        call: Call<'_>,
        run: impl FnOnce(&mut Disk) -> Result<T, Errno>,
    ) -> io::Result<T> {
        self.shared
            .call(call, |_| {}, |passed| run(&mut passed.state.disk))
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let call = Call {
            changes: matches!(mode, OpenMode::CreateNew | OpenMode::ReadWriteCreate),
            ..Call::new(Operation::Open, path)
        };
        self.shared.call(
            call,
            |line| note(line, format_args!(" {mode:?}")),
            |passed| {
                let node = passed.state.disk.open(path, mode)?;
                let writable = mode != OpenMode::Read;
                let file = SimFile::new(&self.shared, &passed.state, node, writable, path);
                Ok(Arc::new(file) as Arc<dyn File>)
            },
        )
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.on_disk(Call::new(Operation::CreateDir, path), |disk| {
            disk.create_dir(path)
        })
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.on_disk(Call::new(Operation::ReadDir, path), |disk| {
            disk.read_dir(path)
        })
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.on_disk(Call::new(Operation::Stat, path), |disk| disk.stat(path))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        let call = Call {
            target: Some(target),
            ..Call::new(Operation::Rename, source)
        };
        self.on_disk(call, |disk| disk.rename(source, target))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.on_disk(Call::new(Operation::Remove, path), |disk| {
            disk.remove_file(path)
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.on_disk(Call::new(Operation::Remove, path), |disk| {
            disk.remove_dir(path)
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.call(
            Call::new(Operation::SyncDir, path),
            |_| {},
            |passed| {
                let dir = passed.state.disk.resolve_directory(path)?;
                let planned = begin_sync(&self.shared, passed)?;
                match planned.error {
                    Some(errno) => {
                        passed.state.lose_directory(dir);
                        Err(errno)
                    }
                    None => {
                        passed.state.disk.flush_names_of(dir, planned.sequence_max);
                        Ok(())
                    }
                }
            },
        )
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        let taken = self.shared.call(
            Call::new(Operation::Lock, path),
            |_| {},
            |passed| {
                let state = &mut *passed.state;
                let node = state.disk.open(path, OpenMode::ReadWriteCreate)?;
                if state.machine.locks.contains(&node) && !skips(Safeguard::DirectoryLock) {
                    let text = state.disk.file(node).visible.to_vec();
                    state.disk.close(node);
                    return Ok(Err(LockError::Held {
                        owner_pid: parse_pid(&text),
                    }));
                }
                state.machine.locks.push(node);
                let text = format!("{}\n", state.machine.pid());
                // As on a real disk that is full: the lock counts, the pid only informs.
                let _ = state.disk.set_size(node, 0);
                let _ = state.disk.write(node, text.as_bytes(), 0);
                let file = SimFile::new(&self.shared, state, node, true, path);
                Ok(Ok(Box::new(SimLock { file }) as Box<dyn DirLock>))
            },
        );
        taken.map_err(LockError::Io)?
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.on_disk(Call::new(Operation::Stat, path), |disk| {
            disk.resolve(path).map(|_| disk.free_bytes())
        })
    }

    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        self.on_disk(Call::new(Operation::Stat, path), |disk| {
            disk.resolve(path).map(|_| disk.total_bytes())
        })
    }

    fn open_file_system(&self, path: &Path) -> io::Result<Arc<dyn FileSystem>> {
        let call = Call {
            changes: false,
            ..Call::new(Operation::Open, path)
        };
        self.shared.call(
            call,
            |line| line.push_str(" file system"),
            |passed| {
                passed.state.disk.resolve_directory(path)?;
                Ok(Arc::new(SimFileSystem {
                    shared: Arc::clone(&self.shared),
                    path: path.into(),
                    life: passed.state.machine.life,
                    sampled_errors: AtomicU64::new(passed.state.disk.error_sequence),
                }) as Arc<dyn FileSystem>)
            },
        )
    }

    fn boot_id(&self) -> [u8; 16] {
        self.shared.look().machine.boot_id()
    }
}

fn parse_pid(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.lines().next()?.parse().ok()
}
