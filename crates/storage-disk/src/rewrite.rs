//! Writing bytes of a file over themselves.

use std::io;

use vfs::File;

use crate::error::is_no_space;
use crate::position::Position;

const CHUNK_BYTES: usize = 1024 * 1024;
const PAGE_BYTES: u32 = 4096;

/// Writes what the file holds from the page of `start` to `end` once more, so that it is written
/// back even if that failed before.
pub(crate) fn rewrite(file: &dyn File, start: Position, end: Position) -> io::Result<()> {
    assert!(
        start <= end,
        "a range goes forward, not from {start} to {end}"
    );
    let into_page = start.get().checked_rem(PAGE_BYTES).unwrap_or(0);
    let mut at = Position::new(start.get().saturating_sub(into_page));
    let mut buffer = vec![0; CHUNK_BYTES.min(end.since(at))];
    while at < end {
        let length = buffer.len().min(end.since(at));
        let chunk = buffer
            .get_mut(..length)
            .expect("at most the length of the buffer");
        vfs::read_exact_at(file, chunk, at.bytes())?;
        match vfs::write_all_at(file, chunk, at.bytes()) {
            // A file system that writes to new places may be full; the sync that follows still
            // reports a writeback that fails from here on.
            Err(error) if is_no_space(&error) => return Ok(()),
            written => written?,
        }
        at = at.plus(length);
    }
    Ok(())
}
