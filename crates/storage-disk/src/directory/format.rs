//! `@ottla/format`: which version of the formats a data directory has. docs/formats.md draws it.
//!
//! The file holds the same record three times, so that damage to one of them neither hides the
//! version nor keeps the broker from starting.

use std::io;
use std::path::Path;

use bytes::{Buf, BufMut};
use records::checksum::crc32c;
use vfs::Vfs;

/// The name of the file.
pub(super) const FILE_NAME: &str = "format";
/// The version of all formats that this build writes; it reads the older ones. 2: the commit file,
/// without which a log may lack what was acknowledged.
pub(super) const VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"ottla\0\0\0";
const CHECKED_BYTES: usize = MAGIC.len() + size_of::<u32>();
const RECORD_BYTES: usize = CHECKED_BYTES + size_of::<u32>();
const RECORDS: usize = 3;
/// Records of a newer version may be more or longer, never elsewhere than at the start.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What the format file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// There is no file.
    Absent,
    /// There is one, but none of its records is good.
    Unreadable,
    /// At least one record is good.
    Known {
        /// The highest version in a good record.
        version: u32,
        /// The file is exactly what this version writes.
        whole: bool,
    },
}

/// The bytes of the file.
pub(super) fn encode(version: u32) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_BYTES);
    record.put_slice(MAGIC);
    record.put_u32(version);
    record.put_u32(crc32c(&record));
    assert_eq!(record.len(), RECORD_BYTES, "a record has its size");
    record.repeat(RECORDS)
}

pub(super) fn decode(bytes: &[u8]) -> Format {
    match bytes.chunks(RECORD_BYTES).filter_map(decode_record).max() {
        None => Format::Unreadable,
        Some(version) => Format::Known {
            version,
            whole: bytes == encode(version),
        },
    }
}

fn decode_record(record: &[u8]) -> Option<u32> {
    let (checked, mut crc) = record.split_at_checked(CHECKED_BYTES)?;
    let mut version = checked.strip_prefix(MAGIC)?;
    (crc.try_get_u32().ok()? == crc32c(checked)).then(|| version.get_u32())
}

pub(super) fn read(vfs: &dyn Vfs, file: &Path) -> io::Result<Format> {
    match vfs::read_whole(vfs, file, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(decode(&bytes)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(Format::Absent),
            io::ErrorKind::PermissionDenied => Err(error),
            // A sector that cannot be read is damage like any other.
            _ => Ok(Format::Unreadable),
        },
    }
}
