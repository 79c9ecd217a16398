//! Append-only files of checksummed frames: the one format of the metadata, the watermark journal
//! and every list that grows. docs/formats.md draws it.
//!
//! A frame carries its place, (generation of the file, index in the file), under its checksum. So
//! neither a stale block of an older file nor a frame that landed at another place is taken for
//! the one that belongs there. [`Pieces`] reads one file, or several mirrored copies of one: what
//! is bad in one copy is taken from another, and what is bad in all is skipped up to the next good
//! frame. No input panics, and nothing is allocated by a length that was read.
//!
//! Knows nothing of what is in a body.

mod writer;

use std::path::Path;

use bytes::{Buf, BufMut};
use records::checksum::crc32c;
use sabotage::{Safeguard, skips};

use crate::directory::OpenDiskError;

pub(crate) use writer::FrameWriter;
pub(crate) use writer::read_tolerant;

/// Bytes before the body of a frame.
pub const HEAD_BYTES: usize = 24;
/// No body is longer.
pub const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A start wants this much room above the newest file, so that the numbers never run out under a
/// process that runs.
const GENERATIONS_LEFT_MIN: u32 = 1 << 16;
const CRC_AT: usize = 4;
const CHECKED_AT: usize = 8;
const NUMBER_AT: usize = 16;

const _: () = assert!(CRC_AT + size_of::<u32>() == CHECKED_AT);
const _: () = assert!(NUMBER_AT + size_of::<u64>() == HEAD_BYTES);
const _: () = assert!(BODY_BYTES_MAX < u32::MAX as usize);

/// The place of a frame: generations in the upper, indexes from 1 in the lower half of its 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameNumber {
    /// The number in the name of the file.
    pub generation: u32,
    /// The first frame of a file has 1, the next 2.
    pub index: u32,
}

/// Refuses a directory in which the newest file, of that generation and name, leaves no numbers for
/// the next ones. Only a hand makes such a name, and it might be mistaken for the newest.
pub(crate) fn check_room(dir: &Path, newest: u32, name: &str) -> Result<(), OpenDiskError> {
    if newest <= u32::MAX - GENERATIONS_LEFT_MIN {
        return Ok(());
    }
    Err(OpenDiskError::Foreign {
        path: dir.to_path_buf(),
        entry: name.to_owned(),
        reason: "no file of ottla has a number that high",
    })
}

impl FrameNumber {
    /// Of the first frame in the file of this generation.
    pub fn first(generation: u32) -> Self {
        Self {
            generation,
            index: 1,
        }
    }

    /// Of the frame behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        let index = self
            .index
            .checked_add(1)
            .expect("files are rewritten long before 2^32 frames");
        Self { index, ..self }
    }

    fn to_bits(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    fn from_bits(mut bits: &[u8]) -> Self {
        Self {
            generation: bits.get_u32(),
            index: bits.get_u32(),
        }
    }
}

/// A frame whose checksum is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its place.
    pub number: FrameNumber,
    /// What the body means; the owner of the file numbers its kinds from 1.
    pub kind: u8,
    /// How many entries the body holds.
    pub entry_count: u32,
    /// The entries.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The bytes of the frame.
    ///
    /// # Panics
    /// If the body is longer than [`BODY_BYTES_MAX`]: whoever fills frames splits before.
    pub fn encode(&self) -> Vec<u8> {
        assert!(
            self.body.len() <= BODY_BYTES_MAX,
            "a body of {} bytes",
            self.body.len()
        );
        assert!(self.kind != 0, "kinds are numbered from 1");
        let body_bytes = u32::try_from(self.body.len()).expect("bounded above");
        let mut bytes = Vec::with_capacity(HEAD_BYTES.saturating_add(self.body.len()));
        bytes.put_u32(body_bytes);
        bytes.put_u32(0);
        bytes.put_u8(self.kind);
        bytes.put_bytes(0, 3);
        bytes.put_u32(self.entry_count);
        bytes.put_u64(self.number.to_bits());
        assert_eq!(bytes.len(), HEAD_BYTES, "the head has its size");
        bytes.put_slice(self.body);
        let crc = crc32c(bytes.get(CHECKED_AT..).expect("longer than a head"));
        bytes
            .get_mut(CRC_AT..CHECKED_AT)
            .expect("longer than a head")
            .copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// The frame that begins at `at`, if it is whole and its checksum is good.
    pub fn parse_at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let rest = bytes.get(at..)?;
        let mut head = rest.get(..HEAD_BYTES)?;
        let body_bytes = usize::try_from(head.get_u32()).ok()?;
        let crc = head.get_u32();
        let kind = head.get_u8();
        let zero = head.get_uint(3);
        let entry_count = head.get_u32();
        let number = FrameNumber::from_bits(head);
        if kind == 0 || zero != 0 || body_bytes > BODY_BYTES_MAX {
            return None;
        }
        let end = HEAD_BYTES.checked_add(body_bytes)?;
        let body = rest.get(HEAD_BYTES..end)?;
        let is_good = crc32c(rest.get(CHECKED_AT..end)?) == crc || skips(Safeguard::FrameCrc);
        is_good.then_some(Self {
            number,
            kind,
            entry_count,
            body,
        })
    }

    /// Bytes of head and body.
    pub fn size_bytes(&self) -> usize {
        HEAD_BYTES.saturating_add(self.body.len())
    }
}

/// What stands at a position of a file, or of all its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The frame that belongs here, from the first copy that has it whole.
    Frame {
        /// Where it begins.
        at: usize,
        /// The frame.
        frame: Frame<'a>,
        /// The copies that do not have it whole.
        bad_copies: Vec<usize>,
    },
    /// No copy has the frame that belongs here.
    Gap {
        /// Where it would begin.
        at: usize,
        /// Where good frames go on, or where the longest copy ends.
        end: usize,
        /// Nothing good follows: what a crash leaves of the last write looks like this.
        is_tail: bool,
    },
}

/// Reads the copies of a file from the start, as an iterator.
#[derive(Debug)]
pub struct Pieces<'a> {
    copies: Vec<&'a [u8]>,
    size_bytes: usize,
    at: usize,
    next: FrameNumber,
}

impl<'a> Pieces<'a> {
    /// Of a file of this generation; `copies` are what its copies hold.
    pub fn new(generation: u32, copies: &[&'a [u8]]) -> Self {
        Self {
            copies: copies.to_vec(),
            size_bytes: copies.iter().map(|copy| copy.len()).max().unwrap_or(0),
            at: 0,
            next: FrameNumber::first(generation),
        }
    }

    fn good_at(&self, at: usize, number: FrameNumber) -> Option<Frame<'a>> {
        let frames = self
            .copies
            .iter()
            .filter_map(|copy| Frame::parse_at(copy, at));
        frames
            .into_iter()
            .find(|frame| frame.number == number || skips(Safeguard::FrameNumber))
    }

    /// Where good frames go on behind a bad one at `at`, and the number of the first.
    fn resume_after(&self, at: usize) -> Option<(usize, FrameNumber)> {
        self.resume_by_length(at)
            .or_else(|| self.resume_by_search(at))
    }

    /// If the length of the bad frame is right, the next one begins behind it.
    fn resume_by_length(&self, at: usize) -> Option<(usize, FrameNumber)> {
        let number = self.next.next();
        self.copies.iter().find_map(|copy| {
            let mut head = copy.get(at..)?.get(..CRC_AT)?;
            let body_bytes = usize::try_from(head.get_u32()).ok()?;
            let target = at.checked_add(HEAD_BYTES)?.checked_add(body_bytes)?;
            self.good_at(target, number).map(|_| (target, number))
        })
    }

    /// The first place that holds a good frame with a number that can be there: later than the
    /// one missing, and not later than frames of the least size would bring it. That keeps a body
    /// that imitates a frame from being taken for one, except by its author's luck.
    fn resume_by_search(&self, at: usize) -> Option<(usize, FrameNumber)> {
        let generation = self.next.generation.to_be_bytes();
        let first = at.checked_add(HEAD_BYTES)?;
        let last = self.size_bytes.checked_sub(HEAD_BYTES)?;
        (first..=last).find_map(|target| {
            let frames_max = u32::try_from(target.checked_sub(at)? / HEAD_BYTES).ok()?;
            let index_max = self.next.index.saturating_add(frames_max);
            self.copies.iter().find_map(|copy| {
                let number_at = target.checked_add(NUMBER_AT)?;
                if !copy.get(number_at..)?.starts_with(&generation) {
                    return None;
                }
                let number = Frame::parse_at(copy, target)?.number;
                (number.index > self.next.index && number.index <= index_max)
                    .then_some((target, number))
            })
        })
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let at = self.at;
        if at >= self.size_bytes {
            return None;
        }
        if let Some(frame) = self.good_at(at, self.next) {
            let is_bad = |copy: &&'a [u8]| Frame::parse_at(copy, at) != Some(frame);
            let copies = self.copies.iter().enumerate();
            let bad_copies = copies
                .filter(|(_, copy)| is_bad(copy))
                .map(|(copy, _)| copy)
                .collect();
            self.at = at.saturating_add(frame.size_bytes());
            self.next = self.next.next();
            return Some(Piece::Frame {
                at,
                frame,
                bad_copies,
            });
        }
        let resumed = self.resume_after(at);
        let is_tail = resumed.is_none();
        let end = match resumed {
            Some((end, number)) => {
                self.next = number;
                end
            }
            None => self.size_bytes,
        };
        assert!(end > at, "reading goes forward: from {at} to {end}");
        self.at = end;
        Some(Piece::Gap { at, end, is_tail })
    }
}

#[cfg(test)]
mod tests;
