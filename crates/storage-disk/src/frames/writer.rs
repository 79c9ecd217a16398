//! The two sides of the disk: appending frames, and reading a file that may be damaged.
//!
//! A write that finds no room leaves the file as it was, durably: its frame must not come back
//! after a power cut when its caller was told that nothing was written. Where not even the cut finds
//! room, as file systems that copy on write may say, zeros take the place of the frame, and the cut
//! is made before the next one. A failed sync is final.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sabotage::{Safeguard, skips};
use vfs::{File, OpenMode, Vfs, write_all_at};

use super::{Frame, FrameNumber};
use crate::error::{WriteError, failure, is_no_space};

const READ_BYTES: usize = 64 * 1024;
const SECTOR_BYTES: usize = 4096;

/// The end of one file of frames.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    file: Arc<dyn File>,
    path: PathBuf,
    next: FrameNumber,
    end: u64,
    /// There are zeros behind the end, to be cut before the next frame.
    owes_cut: bool,
}

impl FrameWriter {
    /// Makes the file, which must not exist. Its name is not durable yet.
    pub(crate) fn create(vfs: &dyn Vfs, path: &Path, generation: u32) -> io::Result<Self> {
        let file = vfs.open(path, OpenMode::CreateNew)?;
        let next = FrameNumber::first(generation);
        Ok(Self {
            file,
            path: path.to_path_buf(),
            next,
            end: 0,
            owes_cut: false,
        })
    }

    /// The number that the next frame must carry.
    pub(crate) fn next_number(&self) -> FrameNumber {
        self.next
    }

    /// Bytes written.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.end
    }

    /// Appends the next frame, not yet durable.
    pub(crate) fn append(
        &mut self,
        kind: u8,
        entry_count: u32,
        body: &[u8],
    ) -> Result<(), WriteError> {
        let frame = Frame {
            number: self.next,
            kind,
            entry_count,
            body,
        };
        self.append_encoded(&frame.encode())
    }

    /// Appends the bytes of the next frame, not yet durable.
    pub(crate) fn append_encoded(&mut self, frame: &[u8]) -> Result<(), WriteError> {
        if self.owes_cut {
            self.take_back()?;
            if self.owes_cut {
                let full = io::Error::from(io::ErrorKind::StorageFull);
                return Err(WriteError::NoSpace(failure("cut", &self.path, &full)));
            }
        }
        match write_all_at(&*self.file, frame, self.end) {
            Ok(()) => {
                let frame_bytes = u64::try_from(frame.len()).expect("a length fits 64 bits");
                self.end = self
                    .end
                    .checked_add(frame_bytes)
                    .expect("a file is below 2^64 bytes");
                self.next = self.next.next();
                Ok(())
            }
            Err(error) if is_no_space(&error) => {
                if !skips(Safeguard::RefusedFrameCut) {
                    self.cut_to(self.end, self.next)?;
                }
                Err(WriteError::NoSpace(failure("write", &self.path, &error)))
            }
            Err(error) => Err(WriteError::Failed(failure("write", &self.path, &error))),
        }
    }

    /// Takes back what was appended since the file ended at `end` and the next number was `next`.
    pub(crate) fn cut_to(&mut self, end: u64, next: FrameNumber) -> Result<(), WriteError> {
        assert!(
            end <= self.end && next <= self.next,
            "a cut never extends {}",
            self.path.display()
        );
        (self.end, self.next) = (end, next);
        self.take_back()
    }

    /// Nothing stands behind the end any more, durably, or only zeros do.
    fn take_back(&mut self) -> Result<(), WriteError> {
        match self.file.set_size(self.end) {
            Ok(()) => self.owes_cut = false,
            Err(error) if is_no_space(&error) => {
                self.blank()
                    .map_err(|error| WriteError::Failed(failure("blank", &self.path, &error)))?;
                self.owes_cut = true;
            }
            Err(error) => return Err(WriteError::Failed(failure("cut", &self.path, &error))),
        }
        self.sync()
    }

    /// Writes zeros over what stands behind the end. That takes no room where blocks stay in place.
    fn blank(&self) -> io::Result<()> {
        if skips(Safeguard::RefusedFrameBlanked) {
            return Ok(());
        }
        let mut at = self.end;
        let size_bytes = self.file.size_bytes()?;
        let zeros = [0; SECTOR_BYTES];
        while let Some(left) = size_bytes.checked_sub(at).filter(|left| *left > 0) {
            let length = usize::try_from(left).map_or(SECTOR_BYTES, |left| left.min(SECTOR_BYTES));
            write_all_at(&*self.file, zeros.get(..length).unwrap_or(&zeros), at)?;
            at = at.saturating_add(u64::try_from(length).expect("a length fits 64 bits"));
        }
        Ok(())
    }

    /// Makes everything appended durable. After an error nothing more is promised on this file.
    pub(crate) fn sync(&self) -> Result<(), WriteError> {
        self.file
            .sync_data()
            .map_err(|error| WriteError::Failed(failure("sync", &self.path, &error)))
    }
}

/// All that can be read of a file: sectors that the disk does not give are zeros, and counted.
pub(crate) fn read_tolerant(vfs: &dyn Vfs, path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = vfs.open(path, OpenMode::Read)?;
    let size_bytes = usize::try_from(file.size_bytes()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; size_bytes];
    let mut unreadable_bytes = 0_u64;
    for (number, chunk) in bytes.chunks_mut(READ_BYTES).enumerate() {
        let at = position(number, READ_BYTES);
        if vfs::read_exact_at(&*file, chunk, at).is_ok() {
            continue;
        }
        for (number, sector) in chunk.chunks_mut(SECTOR_BYTES).enumerate() {
            let at = at.saturating_add(position(number, SECTOR_BYTES));
            if vfs::read_exact_at(&*file, sector, at).is_err() {
                sector.fill(0);
                unreadable_bytes = unreadable_bytes.saturating_add(position(1, sector.len()));
            }
        }
    }
    Ok((bytes, unreadable_bytes))
}

fn position(number: usize, each_bytes: usize) -> u64 {
    u64::try_from(number.saturating_mul(each_bytes)).expect("a length fits 64 bits")
}
