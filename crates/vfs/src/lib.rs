//! The only door to the file system.
//!
//! Everything that ottla keeps on a disk goes through [`Vfs`] and [`File`]. [`RealVfs`] makes the
//! system calls; [`SimVfs`] is a disk in memory that loses power, tears writes and returns errors
//! on request. Nothing here knows what a log, an index or a topic is.
//!
//! Durability rules that callers rely on:
//! - bytes and length are durable after [`File::sync_data`] returned without error;
//! - a created, renamed or removed name is durable after [`Vfs::sync_dir`] of its directory;
//! - a sync that failed is never repeated (Linux reports a lost writeback once, to descriptors
//!   that were open before it): the caller fences the data directory.

#![forbid(unsafe_code)]

mod durable;
mod os;
mod sim;

use std::fmt::{self, Debug, Display, Formatter};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

pub use durable::{
    create_dir_durable, create_dirs, read_exact_at, read_whole, remove_durable, rename_durable,
    replace, replace_durable, write_all_at,
};
pub use os::RealVfs;
pub use sim::{
    CutPolicy, DiskError, FailedSync, Fate, Fault, NameRule, Operation, SimOptions, SimVfs,
};

/// How [`Vfs::open`] opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Read only; the file must exist.
    Read,
    /// Read and write; the file must exist.
    ReadWrite,
    /// Read and write; made if absent, kept as it is if present.
    ReadWriteCreate,
    /// Read and write; must not exist yet.
    CreateNew,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, socket or device: never ours.
    Other,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The last path component. A name that is not UTF-8 is replaced lossily: it is never ours.
    pub name: String,
    /// What it stands for; links are not followed.
    pub kind: EntryKind,
}

/// What [`Vfs::stat`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What the path stands for.
    pub kind: EntryKind,
    /// Length of a file in bytes.
    pub size_bytes: u64,
}

/// A file system. Paths are used as given. A link is never followed to a file; only a path that
/// names a directory to read or sync may be one, because operators link data directories.
pub trait Vfs: Send + Sync + Debug {
    /// Opens or makes a file. A new name is not durable before [`Vfs::sync_dir`].
    /// `IsADirectory` if the path names one.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Makes one directory; the parent must exist. `AlreadyExists` if the name is taken.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Kind and size, or `None` if the path does not exist.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;

    /// Renames, replacing `target` if it is a file (or, when `source` is a directory, an empty
    /// directory).
    fn rename(&self, source: &Path, target: &Path) -> io::Result<()>;

    /// Removes a file's name.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names of a directory durable (`fsync` of the directory).
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the exclusive lock on `path`, which is made if absent, and writes this process's id
    /// into it as information. Held until the guard is dropped.
    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError>;

    /// Bytes that an unprivileged process can still write on the file system of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Bytes that the file system of `path` has altogether.
    fn total_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Holds the file system of the directory `path` open, so that all of it can be synced at
    /// once. `Unsupported` where the system cannot do that and report errors.
    fn open_file_system(&self, path: &Path) -> io::Result<Arc<dyn FileSystem>>;

    /// Names this boot of the machine: differs after a power cut, not after a killed process.
    fn boot_id(&self) -> [u8; 16];
}

/// An open file. All calls carry a position; there is no cursor.
pub trait File: Send + Sync + Debug {
    /// Reads up to `buf.len()` bytes at `at`; 0 means end of file. May block on the disk.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;

    /// Like [`File::read_at`] but only from memory: `None` when the disk would be needed.
    fn read_cached_at(&self, buf: &mut [u8], at: u64) -> io::Result<Option<usize>>;

    /// Like [`File::read_at`] for bytes that nobody is going to read again: what was not in memory
    /// before is not kept there, as far as the system can do that.
    fn read_passing_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buf, at)
    }

    /// Writes up to `bytes.len()` bytes at `at`; the file grows as needed.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Cuts or extends (with zeros) to `size_bytes`.
    fn set_size(&self, size_bytes: u64) -> io::Result<()>;

    /// Makes bytes and length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// The descriptor, for `sendfile`; `None` for a simulated file.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// A whole file system, held open by [`Vfs::open_file_system`].
pub trait FileSystem: Send + Sync + Debug {
    /// Makes all files and names durable (`syncfs`). Reports a write to the device that failed
    /// since this was opened once, whichever file it belonged to: open it before the first write.
    /// Only before anything is written that will be acknowledged: ext4 does not report here all that
    /// [`File::sync_data`] reports, and what this was told a later sync of a file is not
    /// (docs/adr/0007).
    fn sync(&self) -> io::Result<()>;
}

/// Holds a lock taken by [`Vfs::lock`]; dropping it lets go.
pub trait DirLock: Send + Sync + Debug {}

/// Why [`Vfs::lock`] did not lock.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it.
    Held {
        /// The process id that the file names, when it can be read.
        owner_pid: Option<u32>,
    },
    /// The lock file could not be opened or written.
    Io(io::Error),
}

impl Display for LockError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held {
                owner_pid: Some(pid),
            } => write!(f, "held by process {pid}"),
            Self::Held { owner_pid: None } => f.write_str("held by another process"),
            Self::Io(source) => write!(f, "{source}"),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Held { .. } => None,
            Self::Io(source) => Some(source),
        }
    }
}
