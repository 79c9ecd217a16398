//! The real file system: one system call per operation.
//!
//! Guarantees: interrupted reads and writes are repeated, a sync never is; links are not followed
//! to files; descriptors close on exec. Linux is the platform that is measured and tested; other
//! Unix systems take the documented fallbacks. Knows nothing of what the files hold.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use clock::{Rng, SystemRng};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::{
    DirEntry, DirLock, EntryKind, File, FileSystem, LockError, OpenMode, Stat, Vfs, read_exact_at,
    write_all_at,
};
use sabotage::{Safeguard, skips};

/// Files are readable by the group; directories can be listed by it. The umask narrows both.
const FILE_MODE: Mode = Mode::from_raw_mode(0o640);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o750);

/// More than any process id and its newline.
const PID_TEXT_BYTES_MAX: u64 = 32;

/// The file system of the machine.
#[derive(Debug, Default)]
pub struct RealVfs {
    boot_id: OnceLock<[u8; 16]>,
}

impl RealVfs {
    /// Opens nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Vfs for RealVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(open_file(path, mode)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::mkdir(path, DIRECTORY_MODE)?)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(open_directory(path)?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems leave the kind to a second question.
                FileType::Unknown => match self.stat(&path.join(OsStr::from_bytes(name)))? {
                    Some(stat) => stat.kind,
                    None => continue,
                },
                known => kind_of(known),
            };
            entries.push(DirEntry {
                name: String::from_utf8_lossy(name).into_owned(),
                kind,
            });
        }
        entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match rustix::fs::lstat(path) {
            Ok(found) => Ok(Some(Stat {
                kind: kind_of(FileType::from_raw_mode(found.st_mode)),
                size_bytes: size_of(&found),
            })),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::rename(source, target)?)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::unlink(path)?)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::rmdir(path)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        sync_all(open_directory(path)?.as_fd())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        let file = open_file(path, OpenMode::ReadWriteCreate).map_err(LockError::Io)?;
        match rustix::fs::flock(&file.descriptor, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) if skips(Safeguard::DirectoryLock) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    owner_pid: read_pid(&file),
                });
            }
            Err(errno) => return Err(LockError::Io(errno.into())),
        }
        match write_pid(&file) {
            Ok(()) => {}
            // The lock counts, the pid only informs: a full disk must not keep the broker down.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
            Err(error) => return Err(LockError::Io(error)),
        }
        Ok(Box::new(RealLock { _locked: file }))
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(path)?;
        Ok(found.f_blocks.saturating_mul(found.f_frsize))
    }

    fn open_file_system(&self, path: &Path) -> io::Result<Arc<dyn FileSystem>> {
        open_file_system(path)
    }

    /// Linux names each boot. Elsewhere every process counts as a boot of its own: the caller then
    /// never trusts bytes of an earlier process more than it would after a power cut.
    fn boot_id(&self) -> [u8; 16] {
        *self
            .boot_id
            .get_or_init(|| linux_boot_id().unwrap_or_else(|| SystemRng.uuid_v4()))
    }
}

/// An open file of the machine.
#[derive(Debug)]
struct RealFile {
    descriptor: OwnedFd,
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| {
            rustix::io::pread(&self.descriptor, &mut *buf, at)
        })?)
    }

    #[cfg(target_os = "linux")]
    fn read_cached_at(&self, buf: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        use rustix::io::{IoSliceMut, ReadWriteFlags, preadv2};

        let wanted = buf.len();
        let read = retry_on_intr(|| {
            let mut slices = [IoSliceMut::new(buf)];
            preadv2(&self.descriptor, &mut slices, at, ReadWriteFlags::NOWAIT)
        });
        match read {
            // Some file systems answer 0 where the page is not in memory; only the size tells.
            Ok(0) if wanted > 0 && at < self.size_bytes()? => Ok(None),
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_cached_at(&self, _buf: &mut [u8], _at: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    /// Where the system or the file system does not know such a read, it is one like any other.
    /// IMPORTANT: no `posix_fadvise` in its place: that writes dirty pages back first, and who began a
    /// writeback is the only one to hear that it failed (docs/adr/0007).
    #[cfg(target_os = "linux")]
    fn read_passing_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        use rustix::io::{IoSliceMut, ReadWriteFlags, preadv2};

        // Since Linux 6.14; rustix has no name for it.
        const DONTCACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);
        let read = retry_on_intr(|| {
            let mut slices = [IoSliceMut::new(buf)];
            preadv2(&self.descriptor, &mut slices, at, DONTCACHE)
        });
        match read {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.read_at(buf, at),
            read => Ok(read?),
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| {
            rustix::io::pwrite(&self.descriptor, bytes, at)
        })?)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(size_of(&rustix::fs::fstat(&self.descriptor)?))
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| {
            rustix::fs::ftruncate(&self.descriptor, size_bytes)
        })?)
    }

    fn sync_data(&self) -> io::Result<()> {
        sync_data(self.descriptor.as_fd())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.descriptor.as_fd())
    }
}

/// `flock` belongs to the open file, so it ends when this closes, or with the process.
#[derive(Debug)]
struct RealLock {
    _locked: RealFile,
}

impl DirLock for RealLock {}

fn open_file(path: &Path, mode: OpenMode) -> io::Result<RealFile> {
    let access = match mode {
        OpenMode::Read => OFlags::RDONLY,
        OpenMode::ReadWrite => OFlags::RDWR,
        OpenMode::ReadWriteCreate => OFlags::RDWR | OFlags::CREATE,
        OpenMode::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
    };
    // NONBLOCK: a named pipe that somebody left here must not hang the open.
    let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let descriptor = retry_on_intr(|| rustix::fs::open(path, flags, FILE_MODE))?;
    match kind_of(FileType::from_raw_mode(
        rustix::fs::fstat(&descriptor)?.st_mode,
    )) {
        EntryKind::File => Ok(RealFile { descriptor }),
        EntryKind::Directory => Err(Errno::ISDIR.into()),
        EntryKind::Other => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        )),
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| {
        rustix::fs::open(path, flags, Mode::empty())
    })?)
}

fn kind_of(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        _ => EntryKind::Other,
    }
}

fn size_of(stat: &rustix::fs::Stat) -> u64 {
    u64::try_from(stat.st_size).expect("the kernel reports no negative size")
}

// IMPORTANT: no sync below is repeated, not even when interrupted: the kernel may have reported
// and forgotten a lost writeback in the call that failed.

#[cfg(not(target_vendor = "apple"))]
fn sync_data(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fdatasync(descriptor)?)
}

#[cfg(not(target_vendor = "apple"))]
fn sync_all(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fsync(descriptor)?)
}

/// `fsync` on macOS stops at the drive's cache; only this call empties it.
#[cfg(target_vendor = "apple")]
fn sync_data(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_fullfsync(descriptor)?)
}

#[cfg(target_vendor = "apple")]
fn sync_all(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_fullfsync(descriptor)?)
}

#[cfg(target_os = "linux")]
fn open_file_system(path: &Path) -> io::Result<Arc<dyn FileSystem>> {
    /// Its descriptor samples the errors of the whole file system since it was opened.
    #[derive(Debug)]
    struct RealFileSystem {
        descriptor: OwnedFd,
    }

    impl FileSystem for RealFileSystem {
        fn sync(&self) -> io::Result<()> {
            Ok(rustix::fs::syncfs(&self.descriptor)?)
        }
    }

    Ok(Arc::new(RealFileSystem {
        descriptor: open_directory(path)?,
    }))
}

/// Elsewhere `sync` returns before the bytes are on the disk and reports no error.
#[cfg(not(target_os = "linux"))]
fn open_file_system(_path: &Path) -> io::Result<Arc<dyn FileSystem>> {
    Err(io::ErrorKind::Unsupported.into())
}

fn read_pid(file: &RealFile) -> Option<u32> {
    let size_bytes = file.size_bytes().ok()?.min(PID_TEXT_BYTES_MAX);
    let mut text = vec![0; usize::try_from(size_bytes).ok()?];
    read_exact_at(file, &mut text, 0).ok()?;
    std::str::from_utf8(&text)
        .ok()?
        .lines()
        .next()?
        .parse()
        .ok()
}

fn write_pid(file: &RealFile) -> io::Result<()> {
    let text = format!("{}\n", std::process::id());
    // Over the old text first, then cut: the first line is a whole pid at every moment.
    write_all_at(file, text.as_bytes(), 0)?;
    file.set_size(u64::try_from(text.len()).expect("a pid is short"))
}

fn linux_boot_id() -> Option<[u8; 16]> {
    const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(BOOT_ID_PATH).ok()?;
    parse_uuid(text.trim_end())
}

/// The 16 bytes of `8-4-4-4-12` hexadecimal digits.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut uuid = [0; 16];
    let mut digits = text.chars().filter(|&character| character != '-');
    for byte in &mut uuid {
        let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(uuid)
}

#[cfg(test)]
mod tests;
