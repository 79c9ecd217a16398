//! Why a data directory could not be opened: one variant for each fact, with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::is_no_space;

/// The text of the error is what happened; [`OpenDiskError::why`] and [`OpenDiskError::fix`] give
/// the cause and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenDiskError {
    /// Something else stands at the path.
    #[error("data directory {} is not a directory", path.display())]
    NotADirectory {
        /// The data directory.
        path: PathBuf,
    },
    /// It may not be read or written by this user, or its file system is read-only.
    #[error("data directory is not writable: cannot {doing} {}", path.display())]
    NotWritable {
        /// What was tried.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something that ottla does not make. Nothing was touched.
    #[error("data directory {} is not ottla's: it contains {entry:?}", path.display())]
    Foreign {
        /// The data directory.
        path: PathBuf,
        /// The first entry that is not ours.
        entry: String,
        /// How it differs from ours.
        reason: &'static str,
    },
    /// A newer version of ottla wrote it. Nothing was touched.
    #[error("data directory {} has format {found}, this ottla knows up to {known}", path.display())]
    NewerFormat {
        /// The data directory.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version of this build.
        known: u32,
    },
    /// Another process uses it.
    #[error("data directory {} is in use{}", path.display(), by_process(*owner_pid))]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process, when it can be told.
        owner_pid: Option<u32>,
    },
    /// The disk is full, and a start must write a little.
    #[error("no space: cannot {doing} {}", path.display())]
    NoSpace {
        /// What was tried.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The last run did not end cleanly, and what its logs may lack cannot be read.
    #[error("cannot read {}, the commit file", path.display())]
    CommitFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenDiskError {
    /// The cause, as half a sentence.
    pub fn why(&self) -> String {
        match self {
            Self::NotADirectory { .. } => {
                "a file or device has this name, or stands above it".to_owned()
            }
            Self::NotWritable { source, .. }
            | Self::NoSpace { source, .. }
            | Self::Io { source, .. } => source.to_string(),
            Self::CommitFile { source, .. } => format!(
                "{source}; records that were acknowledged before the crash may be in it and nowhere else"
            ),
            Self::Foreign { reason, .. } => (*reason).to_owned(),
            Self::NewerFormat { .. } => "a newer version of ottla has written it".to_owned(),
            Self::Locked { .. } => "only one broker may use a data directory at a time".to_owned(),
        }
    }

    /// What the operator can do.
    pub fn fix(&self) -> String {
        match self {
            Self::NotADirectory { .. } => "choose another directory with --data-dir".to_owned(),
            Self::NotWritable { path, .. } => format!(
                "give this user the right to write {}, or choose another directory with --data-dir",
                path.display()
            ),
            Self::Foreign { entry, .. } => {
                format!("choose an empty or new directory with --data-dir, or move {entry:?} away")
            }
            Self::NewerFormat { .. } => {
                "start the newer version, or choose another directory with --data-dir".to_owned()
            }
            Self::Locked {
                owner_pid: Some(pid),
                ..
            } => format!("stop process {pid}, or choose another directory with --data-dir"),
            Self::Locked {
                owner_pid: None, ..
            } => "stop the other broker, or choose another directory with --data-dir".to_owned(),
            Self::NoSpace { .. } => "free some space on this disk and start again".to_owned(),
            Self::CommitFile { path, .. } => format!(
                "make it readable and start again; if sectors of it are gone, put a copy in its place \
                 with zeros for them (dd conv=noerror,sync bs=4096), and what it still holds is used; \
                 moving {} away gives up all that only it has",
                path.display()
            ),
            Self::Io { .. } => "check the disk; the system's log may say more".to_owned(),
        }
    }
}

fn by_process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by process {pid}"))
        .unwrap_or_default()
}

/// Sorts an I/O error by what the operator can do.
pub(crate) fn io_error(doing: &'static str, path: &Path, source: io::Error) -> OpenDiskError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenDiskError::NotWritable {
                doing,
                path,
                source,
            }
        }
        io::ErrorKind::NotADirectory => OpenDiskError::NotADirectory { path },
        _ if is_no_space(&source) => OpenDiskError::NoSpace {
            doing,
            path,
            source,
        },
        _ => OpenDiskError::Io {
            doing,
            path,
            source,
        },
    }
}

/// [`io_error`], for `map_err`.
pub(crate) fn at(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> OpenDiskError + use<> {
    let path = path.to_path_buf();
    move |source| io_error(doing, &path, source)
}
