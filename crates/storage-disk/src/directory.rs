//! The data directory as a whole: is it ours, may we write it, does another process use it.
//!
//! Nothing is written before the directory proved to be empty or ours: a directory of somebody
//! else is refused by the name of what was found, untouched. While a [`DataDirectory`] lives, it
//! holds the lock. Knows nothing of what is in a topic's directory or in the metadata.
//!
//! A directory with a good `@ottla/format`, or with our metadata, is ours, whatever else stands in
//! it: strangers are reported and left alone. Without (the first start, or a crash in it, or copied
//! topics) every entry must be one that ottla makes.

mod error;
mod format;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sabotage::{Safeguard, skips};
use storage::TopicName;
use vfs::{DirEntry, DirLock, EntryKind, LockError, Vfs};

pub use error::OpenDiskError;
pub(crate) use error::{at, io_error};
use format::Format;

/// The directory in the data directory that holds what is not a topic: `@` is in no topic name.
pub const OWN_DIR: &str = "@ottla";
/// In [`OWN_DIR`]: deleted topics, each under its id, until their space is given back.
pub const TRASH_DIR: &str = "trash";
/// In [`OWN_DIR`]: the file that the owner has locked.
const LOCK_FILE: &str = "lock";
/// What file systems put into their own root.
const TOLERATED_DIR: &str = "lost+found";
/// What a directory of a partition is called, before its number.
const PARTITION_PREFIX: &str = "partition";

/// A data directory that is ours, held by this process.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    strangers: Vec<String>,
    format_repaired: bool,
    _lock: Box<dyn DirLock>,
}

impl DataDirectory {
    /// Checks the directory, makes what is missing and takes the lock.
    pub fn open(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<Self, OpenDiskError> {
        let vfs = &**vfs;
        // Looked at before the lock, so that a foreign directory does not even get a lock file.
        inspect(vfs, path)?;
        let own = path.join(OWN_DIR);
        vfs::create_dirs(vfs, &own).map_err(at("create", &own))?;
        let lock = take_lock(vfs, path, &own)?;
        // Another process may have changed it until the lock was ours.
        let found = inspect(vfs, path)?;
        let format_repaired = write_format(vfs, &own, found.format)?;
        let trash = own.join(TRASH_DIR);
        vfs::create_dirs(vfs, &trash).map_err(at("create", &trash))?;
        for name in &found.strangers {
            tracing::warn!(
                entry = %path.join(name).display(),
                "this is in the data directory but not ottla's; it is left alone"
            );
        }
        Ok(Self {
            path: path.to_path_buf(),
            strangers: found.strangers,
            format_repaired,
            _lock: lock,
        })
    }

    /// The data directory itself, in which topics are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `@ottla`.
    pub fn own_dir(&self) -> PathBuf {
        self.path.join(OWN_DIR)
    }

    /// `@ottla/trash`.
    pub fn trash_dir(&self) -> PathBuf {
        self.own_dir().join(TRASH_DIR)
    }

    /// Names in the data directory that are not ours.
    pub fn strangers(&self) -> &[String] {
        &self.strangers
    }

    /// Whether `@ottla/format` was damaged, in part or wholly, and written again.
    pub fn format_repaired(&self) -> bool {
        self.format_repaired
    }
}

/// What stands in a directory that may be used.
#[derive(Debug)]
struct Found {
    format: Format,
    strangers: Vec<String>,
}

/// Reads, and writes nothing.
fn inspect(vfs: &dyn Vfs, path: &Path) -> Result<Found, OpenDiskError> {
    let not_a_directory = || OpenDiskError::NotADirectory {
        path: path.to_path_buf(),
    };
    match vfs.stat(path).map_err(at("look at", path))? {
        None => {
            return Ok(Found {
                format: Format::Absent,
                strangers: Vec::new(),
            });
        }
        Some(stat) if stat.kind == EntryKind::File => return Err(not_a_directory()),
        // A link may lead to a directory: reading tells.
        Some(_) => {}
    }
    let entries = vfs.read_dir(path).map_err(at("read", path))?;
    let own = Own::inspect(vfs, path, &entries)?;
    let mut strangers = Vec::new();
    for entry in entries {
        match why_foreign(vfs, path, &entry, &own)? {
            None => {}
            Some(_) if own.is_proof || skips(Safeguard::ForeignDirectory) => {
                strangers.push(entry.name);
            }
            Some(reason) => {
                let (path, entry) = (path.to_path_buf(), entry.name);
                return Err(OpenDiskError::Foreign {
                    path,
                    entry,
                    reason,
                });
            }
        }
    }
    Ok(Found {
        format: own.format,
        strangers,
    })
}

/// What `@ottla` tells.
struct Own {
    format: Format,
    /// The data directory is ours, whatever else is in it.
    is_proof: bool,
    has_foreign: bool,
}

impl Own {
    fn inspect(vfs: &dyn Vfs, path: &Path, entries: &[DirEntry]) -> Result<Self, OpenDiskError> {
        let is_own = |entry: &DirEntry| entry.name == OWN_DIR && entry.kind == EntryKind::Directory;
        if !entries.iter().any(is_own) {
            return Ok(Self {
                format: Format::Absent,
                is_proof: false,
                has_foreign: false,
            });
        }
        let own = path.join(OWN_DIR);
        let names = vfs.read_dir(&own).map_err(at("read", &own))?;
        let file = own.join(format::FILE_NAME);
        let format = format::read(vfs, &file).map_err(at("read", &file))?;
        let is_known = matches!(format, Format::Known { .. });
        if let Format::Known { version, .. } = format
            && version > format::VERSION
            && !skips(Safeguard::NewerFormat)
        {
            let (path, known) = (path.to_path_buf(), format::VERSION);
            return Err(OpenDiskError::NewerFormat {
                path,
                found: version,
                known,
            });
        }
        let has_foreign = !is_known && !names.iter().all(|entry| is_own_name(&entry.name));
        let has_metadata = names
            .iter()
            .any(|entry| crate::metadata::is_file_name(&entry.name));
        let is_proof = is_known || (has_metadata && !has_foreign);
        Ok(Self {
            format,
            is_proof,
            has_foreign,
        })
    }
}

/// Why an entry of the data directory is not ottla's; `None` if it is.
fn why_foreign(
    vfs: &dyn Vfs,
    path: &Path,
    entry: &DirEntry,
    own: &Own,
) -> Result<Option<&'static str>, OpenDiskError> {
    if entry.kind != EntryKind::Directory {
        return Ok(Some("it is not a directory"));
    }
    if entry.name == OWN_DIR {
        return Ok(own
            .has_foreign
            .then_some("without a good format file it holds other things"));
    }
    if entry.name == TOLERATED_DIR {
        return Ok(None);
    }
    if TopicName::parse(&entry.name).is_err() {
        return Ok(Some("its name is not a valid topic name"));
    }
    // A crash may leave the directory of a topic without its content.
    if own.is_proof {
        return Ok(None);
    }
    let inside = path.join(&entry.name);
    let names = vfs.read_dir(&inside).map_err(at("read", &inside))?;
    let is_topic = names.iter().any(is_of_a_topic);
    Ok((!is_topic).then_some("it holds neither topic.meta nor partition directories"))
}

fn is_own_name(name: &str) -> bool {
    [LOCK_FILE, TRASH_DIR, format::FILE_NAME].contains(&name)
        || name.strip_suffix(".tmp") == Some(format::FILE_NAME)
        || crate::metadata::is_file_name(name)
        || crate::commit_file::is_file_name(name)
        || crate::watermarks::generation_of(name).is_some()
}

fn is_of_a_topic(entry: &DirEntry) -> bool {
    let is_meta = || {
        let name = entry.name.strip_suffix(".tmp").unwrap_or(&entry.name);
        name == crate::topic_meta::FILE_NAME
    };
    match entry.kind {
        EntryKind::Directory => partition_of(&entry.name).is_some(),
        EntryKind::File => is_meta(),
        EntryKind::Other => false,
    }
}

/// Partitions of one topic that a store can hold. A directory with a larger number is not ours: a
/// topic without its label is as wide as its largest number.
pub const PARTITIONS_MAX: u32 = 1_000_000;

/// The number of a partition from the name of its directory, `partition{ID}`.
pub fn partition_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix(PARTITION_PREFIX)?;
    number
        .parse()
        .ok()
        .filter(|parsed: &u32| *parsed < PARTITIONS_MAX && parsed.to_string() == number)
}

/// The name of the directory of a partition.
pub fn partition_dir_name(partition: u32) -> String {
    format!("{PARTITION_PREFIX}{partition}")
}

fn take_lock(vfs: &dyn Vfs, path: &Path, own: &Path) -> Result<Box<dyn DirLock>, OpenDiskError> {
    let file = own.join(LOCK_FILE);
    vfs.lock(&file).map_err(|error| match error {
        LockError::Held { owner_pid } => OpenDiskError::Locked {
            path: path.to_path_buf(),
            owner_pid,
        },
        LockError::Io(error) => io_error("lock", &file, error),
    })
}

/// Writes the format file if it is not whole; whether it was there and damaged.
fn write_format(vfs: &dyn Vfs, own: &Path, found: Format) -> Result<bool, OpenDiskError> {
    let damaged = match found {
        Format::Known { version, whole } if version >= format::VERSION => {
            if whole {
                return Ok(false);
            }
            true
        }
        // IMPORTANT: before anything that an older build would not read.
        Format::Known { whole, .. } => !whole,
        Format::Unreadable => true,
        Format::Absent => false,
    };
    let file = own.join(format::FILE_NAME);
    if damaged {
        tracing::warn!(file = %file.display(), "damaged; written again");
    }
    vfs::replace_durable(vfs, &file, &format::encode(format::VERSION))
        .map_err(at("write", &file))?;
    Ok(damaged)
}

#[cfg(test)]
mod tests;
