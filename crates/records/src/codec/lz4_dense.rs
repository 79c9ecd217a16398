//! LZ4 frames from an encoder that searches: slower than the usual one, and smaller.
//!
//! Blocks are independent and of 64 KiB, so a place in a block fits 16 bits and two small tables
//! hold all places of a block by their first four bytes. The level says how many of them are tried;
//! memory and, for a given level, time per byte have a limit.

use std::io::{self, Write};

use super::{Compress, Limited};

/// Magic, flags (version 1, independent blocks), 64 KiB blocks, and the checksum of these two.
const HEAD: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const END_MARK: [u8; 4] = [0; 4];
const BLOCK_BYTES: usize = 64 * 1024;
/// In the size of a block: the data is stored as it is.
const STORED: u32 = 1 << 31;
const MATCH_BYTES_MIN: usize = 4;
/// The last bytes of a block are never part of a match.
const TAIL_BYTES: usize = 5;
/// No match begins this near to the end of a block.
const LAST_MATCH_BYTES: usize = 12;
/// Lengths up to this stand in the token; longer ones go on behind it.
const TOKEN_LENGTH_MAX: usize = 15;
const HASH_BITS: u32 = 15;
const TRIES_LOG_MAX: i32 = 10;
const NOWHERE: u32 = u32::MAX;

/// Packs into one frame.
pub(super) struct Dense<'a> {
    out: Limited<'a>,
    /// What does not fill a block yet.
    block: Vec<u8>,
    places: Places,
}

impl<'a> Dense<'a> {
    pub(super) fn new(level: i32, mut out: Limited<'a>) -> io::Result<Self> {
        out.write_all(&HEAD)?;
        let tries_log = level.saturating_sub(1).clamp(0, TRIES_LOG_MAX);
        Ok(Self {
            out,
            block: Vec::with_capacity(BLOCK_BYTES),
            places: Places::new(1 << tries_log),
        })
    }

    #[expect(clippy::little_endian_bytes, reason = "LZ4 frames are little-endian")]
    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packed = pack(&self.block, &mut self.places);
        let (data, flag) = if packed.len() < self.block.len() {
            (&packed, 0)
        } else {
            (&self.block, STORED)
        };
        let size = u32::try_from(data.len()).map_err(io::Error::other)?;
        self.out.write_all(&(size | flag).to_le_bytes())?;
        self.out.write_all(data)?;
        self.block.clear();
        Ok(())
    }
}

impl Write for Dense<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK_BYTES.saturating_sub(self.block.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.block.extend_from_slice(taken);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Compress for Dense<'_> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.end_block()?;
        self.out.write_all(&END_MARK)
    }
}

/// Bytes that occurred before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Match {
    distance: usize,
    length: usize,
}

/// Where in a block four bytes were seen, the latest place first.
struct Places {
    tries: usize,
    /// By hash.
    latest: Vec<u32>,
    /// By place: the one before it with the same hash.
    before: Vec<u32>,
}

impl Places {
    fn new(tries: usize) -> Self {
        Self {
            tries,
            latest: vec![NOWHERE; 1 << HASH_BITS],
            before: Vec::with_capacity(BLOCK_BYTES),
        }
    }

    fn clear(&mut self) {
        self.latest.fill(NOWHERE);
        self.before.clear();
    }

    /// Notes all places before `end` that are not noted yet.
    fn note_up_to(&mut self, end: usize, block: &[u8]) {
        for place in self.before.len()..end {
            let latest = hash(block, place).and_then(|hash| self.latest.get_mut(hash));
            let noted = u32::try_from(place).unwrap_or(NOWHERE);
            let before = latest.map_or(NOWHERE, |latest| std::mem::replace(latest, noted));
            self.before.push(before);
        }
    }

    /// The longest match for the bytes at `place`, with the places before it noted.
    fn longest(&mut self, place: usize, block: &[u8]) -> Option<Match> {
        self.note_up_to(place, block);
        let end = block.len().saturating_sub(TAIL_BYTES);
        let here = block.get(place..end)?;
        let mut best: Option<Match> = None;
        let mut next = *self.latest.get(hash(block, place)?)?;
        for _ in 0..self.tries {
            let Some(&before) = self.before.get(next as usize) else {
                break;
            };
            let there = block.get(next as usize..).unwrap_or_default();
            let longer = best.map_or(MATCH_BYTES_MIN, |best| best.length.saturating_add(1));
            // Only what agrees where it would get longer is worth counting.
            let promising = longer
                .checked_sub(1)
                .map(|last| here.get(last) == there.get(last));
            if promising == Some(true) {
                let length = here.iter().zip(there).take_while(|(a, b)| a == b).count();
                if length >= longer {
                    let distance = place.saturating_sub(next as usize);
                    best = Some(Match { distance, length });
                    if length == here.len() {
                        break;
                    }
                }
            }
            next = before;
        }
        best
    }
}

/// Where four bytes are looked up.
fn hash(block: &[u8], place: usize) -> Option<usize> {
    let bytes = block.get(place..)?.first_chunk()?;
    let mixed = u32::from_be_bytes(*bytes).wrapping_mul(2_654_435_761);
    usize::try_from(mixed >> (u32::BITS - HASH_BITS)).ok()
}

/// One block of at most 64 KiB.
fn pack(block: &[u8], places: &mut Places) -> Vec<u8> {
    places.clear();
    let mut out = Vec::with_capacity(block.len());
    let mut literals_from = 0_usize;
    let mut place = 0_usize;
    while place.saturating_add(LAST_MATCH_BYTES) <= block.len() {
        let Some(mut found) = places.longest(place, block) else {
            place = place.saturating_add(1);
            continue;
        };
        // A longer match may begin a byte later.
        loop {
            let later = place.saturating_add(1);
            if later.saturating_add(LAST_MATCH_BYTES) > block.len() {
                break;
            }
            match places.longest(later, block) {
                Some(longer) if longer.length > found.length => (place, found) = (later, longer),
                _ => break,
            }
        }
        let literals = block.get(literals_from..place).unwrap_or_default();
        put_sequence(&mut out, literals, Some(found));
        place = place.saturating_add(found.length);
        literals_from = place;
    }
    put_sequence(
        &mut out,
        block.get(literals_from..).unwrap_or_default(),
        None,
    );
    out
}

/// Literals, and the match behind them; the last sequence of a block has none.
fn put_sequence(out: &mut Vec<u8>, literals: &[u8], found: Option<Match>) {
    let match_length = found.map_or(0, |found| found.length.saturating_sub(MATCH_BYTES_MIN));
    let high = literals.len().min(TOKEN_LENGTH_MAX);
    let low = match_length.min(TOKEN_LENGTH_MAX);
    out.push(u8::try_from((high << 4) | low).expect("both halves of a token are four bits"));
    put_length(out, literals.len());
    out.extend_from_slice(literals);
    let Some(Match { distance, .. }) = found else {
        return;
    };
    let distance = u16::try_from(distance).expect("a block is 64 KiB, and a match lies before it");
    let [high, low] = distance.to_be_bytes();
    out.extend_from_slice(&[low, high]);
    put_length(out, match_length);
}

/// What of a length does not stand in the token.
fn put_length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(TOKEN_LENGTH_MAX) else {
        return;
    };
    while let Some(left) = rest.checked_sub(usize::from(u8::MAX)) {
        out.push(u8::MAX);
        rest = left;
    }
    out.push(u8::try_from(rest).expect("all above a byte was taken off"));
}
