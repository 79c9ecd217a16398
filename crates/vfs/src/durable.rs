//! Whole steps over a [`Vfs`]: reads and writes that finish, names that survive a power cut.
//!
//! Each function that changes a name returns only after the directory is synced. None retries a
//! sync, and none knows what the bytes mean.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::{EntryKind, File, OpenMode, Vfs};
use sabotage::{Safeguard, skips};

/// Appended to a name by [`replace_durable`] for the file that is not complete yet.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Fills `buf` from `at`; `UnexpectedEof` if the file ends first.
pub fn read_exact_at(file: &dyn File, mut buf: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buf.is_empty() {
        let count = file.read_at(buf, at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf = buf
            .get_mut(count..)
            .expect("a read returns at most the length of its buffer");
        at += u64::try_from(count).expect("a length fits 64 bits");
    }
    Ok(())
}

/// Writes all of `bytes` at `at`; `WriteZero` if the file takes no more. After an error any prefix
/// may have been written.
pub fn write_all_at(file: &dyn File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = file.write_at(bytes, at)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes
            .get(count..)
            .expect("a write takes at most the length of its bytes");
        at += u64::try_from(count).expect("a length fits 64 bits");
    }
    Ok(())
}

/// The whole file; `FileTooLarge` if it holds more than `limit_bytes`.
pub fn read_whole(vfs: &dyn Vfs, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let file = vfs.open(path, OpenMode::Read)?;
    let size_bytes = file.size_bytes()?;
    let mut bytes = match usize::try_from(size_bytes) {
        Ok(size) if size_bytes <= limit_bytes => vec![0; size],
        _ => return Err(io::ErrorKind::FileTooLarge.into()),
    };
    read_exact_at(&*file, &mut bytes, 0)?;
    Ok(bytes)
}

/// Puts `bytes` at `path`: after a power cut it holds either all of them or what it held before.
pub fn replace_durable(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(vfs, path, bytes)?;
    if skips(Safeguard::ReplaceDirectorySync) {
        return Ok(());
    }
    vfs.sync_dir(parent_of(path))
}

/// As [`replace_durable`], but which of the two it is after a power cut is open until the
/// directory is synced: for a caller to whom that sync's error means more than the others.
pub fn replace(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    let replaced =
        write_temporary(vfs, &temporary, bytes).and_then(|()| vfs.rename(&temporary, path));
    if replaced.is_err() {
        // Gives a full disk its space back. The first error is the one that counts.
        let _ = vfs.remove_file(&temporary);
    }
    replaced
}

fn write_temporary(vfs: &dyn Vfs, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    // A crash may have left one behind.
    let file = vfs.open(temporary, OpenMode::ReadWriteCreate)?;
    file.set_size(0)?;
    write_all_at(&*file, bytes, 0)?;
    // IMPORTANT: before the rename, or a power cut may keep the new name without its bytes.
    if skips(Safeguard::ReplaceFileSync) {
        return Ok(());
    }
    file.sync_data()
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(TEMPORARY_SUFFIX);
    PathBuf::from(name)
}

/// Renames and makes it survive a power cut, across directories too.
pub fn rename_durable(vfs: &dyn Vfs, source: &Path, target: &Path) -> io::Result<()> {
    vfs.rename(source, target)?;
    let (source_parent, target_parent) = (parent_of(source), parent_of(target));
    // IMPORTANT: target first. The other order could forget the old name before the new one is
    // known, on a file system that does not log both together.
    vfs.sync_dir(target_parent)?;
    if source_parent != target_parent {
        vfs.sync_dir(source_parent)?;
    }
    Ok(())
}

/// Removes a file so that it stays removed.
pub fn remove_durable(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    vfs.remove_file(path)?;
    vfs.sync_dir(parent_of(path))
}

/// Makes one directory that stays.
pub fn create_dir_durable(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    vfs.create_dir(path)?;
    if skips(Safeguard::CreatedDirectorySync) {
        return Ok(());
    }
    vfs.sync_dir(parent_of(path))
}

/// Makes `path` and every parent that is missing, each durable. Fine if it exists already, even if
/// it appears meanwhile; the deepest that exists is synced too, because an earlier call may have
/// died right before it did so.
pub fn create_dirs(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for ancestor in path
        .ancestors()
        .filter(|ancestor| !ancestor.as_os_str().is_empty())
    {
        match vfs.stat(ancestor)?.map(|stat| stat.kind) {
            None => missing.push(ancestor),
            Some(EntryKind::Directory) => {
                sync_found(vfs, ancestor)?;
                break;
            }
            Some(EntryKind::File) => return Err(io::ErrorKind::NotADirectory.into()),
            // A link: fine if it leads to a directory.
            Some(EntryKind::Other) => {
                vfs.read_dir(ancestor)?;
                break;
            }
        }
    }
    for directory in missing.iter().rev() {
        match create_dir_durable(vfs, directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                vfs.sync_dir(parent_of(directory))?;
            }
            made => made?,
        }
    }
    Ok(())
}

/// Syncs the name of a directory that was there before.
fn sync_found(vfs: &dyn Vfs, directory: &Path) -> io::Result<()> {
    match vfs.sync_dir(parent_of(directory)) {
        // Where we may not even look we did not make it: it came with the machine.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The directory that holds the last component; `.` for a bare name, itself for the root.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests;
