//! The heads of the batches in a row of bytes, built from everything but themselves.
//!
//! Pure: bytes in, heads out. Every guess is held against the CRC of the span; a guess that is
//! wrong passes once in 2³² times, and there are few.

use records::checksum::{crc32c, crc32c_append};
use records::{BatchHeader, CRC_START, HEADER_BYTES, LOG_OVERHEAD_BYTES, MAGIC, Offset};

use crate::spans::HEAD_BYTES;

const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
/// How many times over the bytes may be read while looking for where batches begin.
const EFFORT: usize = 16;
/// Bytes of heads that may be tried.
const TRIED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Epochs that are tried between those of two neighbours.
const EPOCHS_MAX: i32 = 4096;

/// A batch beside the span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbour {
    /// The offset where the two meet.
    pub(super) offset: Offset,
    pub(super) epoch: Option<i32>,
}

/// What is known from outside the span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbours {
    pub(super) before: Option<Neighbour>,
    pub(super) after: Option<Neighbour>,
    /// No batch has a higher leader epoch than this.
    pub(super) epoch_max: i32,
}

/// Heads that do not stand where they belong, with their places; `None` if what was written
/// cannot be told.
pub(super) fn rebuild(
    bytes: &[u8],
    crc: u32,
    neighbours: Neighbours,
) -> Option<Vec<(usize, [u8; HEAD_BYTES])>> {
    let mut proof = Proof {
        crc,
        neighbours,
        tried_bytes: 0,
    };
    let mut effort = usize::MAX;
    let (mut starts, broken) = sound_chain(bytes, 0, &mut effort);
    let found = match broken {
        None => proof.heads_of(bytes, &starts),
        Some(broken) => {
            starts.push(broken);
            behind(bytes, broken).find_map(|rest| {
                let starts: Vec<usize> = starts.iter().chain(&rest).copied().collect();
                proof.heads_of(bytes, &starts)
            })
        }
    }?;
    let differ = found.into_iter().filter(|(at, head)| {
        bytes.get(*at..).and_then(|bytes| bytes.get(..HEAD_BYTES)) != Some(head.as_slice())
    });
    Some(differ.collect())
}

/// The starts of the batches from `at` on, each of which has the length and the CRC that its head
/// says, and where that ends before the bytes do.
fn sound_chain(bytes: &[u8], at: usize, effort: &mut usize) -> (Vec<usize>, Option<usize>) {
    let mut starts = Vec::new();
    let mut at = at;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let size_bytes = stored_size(rest).filter(|size_bytes| *size_bytes <= rest.len());
        let batch = size_bytes.and_then(|size_bytes| rest.get(..size_bytes));
        *effort = effort.saturating_sub(batch.map_or(HEADER_BYTES, <[u8]>::len));
        match batch {
            Some(batch) if *effort > 0 && records::crc_ok(batch) => {
                starts.push(at);
                at = at.saturating_add(batch.len());
            }
            _ => return (starts, Some(at)),
        }
    }
    (starts, None)
}

/// The size that the head at the start of `bytes` says, whatever its magic is.
fn stored_size(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(LENGTH_AT..)?.first_chunk()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let size_bytes = length.saturating_add(LOG_OVERHEAD_BYTES);
    (size_bytes >= HEADER_BYTES).then_some(size_bytes)
}

/// The ways in which batches may follow the one at `broken`, whose end is not known: where its
/// length leads, where sound batches begin that go on to the end, and not at all.
fn behind(bytes: &[u8], broken: usize) -> impl Iterator<Item = Vec<usize>> {
    let mut effort = bytes.len().saturating_mul(EFFORT);
    let led_to = bytes
        .get(broken..)
        .and_then(stored_size)
        .map(|size_bytes| broken.saturating_add(size_bytes))
        .filter(|end| *end <= bytes.len());
    let least = broken.saturating_add(HEADER_BYTES);
    let scanned = (least..bytes.len())
        .filter(|at| bytes.get(at.saturating_add(MAGIC_AT)) == Some(&MAGIC.cast_unsigned()));
    let places = led_to.into_iter().chain(scanned).chain([bytes.len()]);
    places.filter_map(move |at| {
        let (starts, broken) = sound_chain(bytes, at, &mut effort);
        broken.is_none().then_some(starts)
    })
}

struct Proof {
    crc: u32,
    neighbours: Neighbours,
    tried_bytes: usize,
}

impl Proof {
    /// The heads of the batches that begin at `starts`, if they can be built and are what the span
    /// says.
    fn heads_of(
        &mut self,
        bytes: &[u8],
        starts: &[usize],
    ) -> Option<Vec<(usize, [u8; HEAD_BYTES])>> {
        let mut headers = Vec::with_capacity(starts.len());
        let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
        for (start, end) in starts.iter().copied().zip(ends) {
            headers.push(header_of(bytes.get(start..end)?)?);
        }
        let mut anchors = Vec::new();
        for anchor in self.anchors(&headers) {
            if anchor >= Offset::ZERO && !anchors.contains(&anchor) {
                anchors.push(anchor);
            }
        }
        for anchor in anchors {
            let mut next = anchor;
            for header in &mut headers {
                header.base_offset = next;
                next = header.next_offset();
            }
            if self.find_epochs(&mut headers) {
                let heads = headers.iter().map(head_of);
                return Some(starts.iter().copied().zip(heads).collect());
            }
        }
        None
    }

    /// Where the first batch may begin: behind the one before, or so that one of those here, or the
    /// one behind, has the base offset that it says.
    fn anchors(&self, headers: &[BatchHeader]) -> Vec<Offset> {
        let Neighbours { before, after, .. } = self.neighbours;
        let mut anchors: Vec<Offset> = before.iter().map(|before| before.offset).collect();
        let mut offsets = 0_i64;
        for header in headers {
            anchors.push(header.base_offset.plus(offsets.saturating_neg()));
            offsets = offsets
                .saturating_add(i64::from(header.last_offset_delta))
                .saturating_add(1);
        }
        anchors.extend(after.map(|after| after.offset.plus(offsets.saturating_neg())));
        anchors
    }

    /// Whether the heads are those of the span with the epochs that they have, or with another one
    /// for a batch that its neighbours leave room for.
    fn find_epochs(&mut self, headers: &mut [BatchHeader]) -> bool {
        if self.fits(headers) {
            return true;
        }
        let first = self.neighbours.before.and_then(|before| before.epoch);
        let last = self.neighbours.after.and_then(|after| after.epoch);
        for place in 0..headers.len() {
            let epoch_at = |place: Option<usize>| {
                place
                    .and_then(|place| headers.get(place))
                    .map(|header| header.leader_epoch)
            };
            let lowest = epoch_at(place.checked_sub(1)).or(first).unwrap_or(0);
            let highest = epoch_at(place.checked_add(1))
                .or(last)
                .unwrap_or(self.neighbours.epoch_max);
            let Some(stored) = epoch_at(Some(place)) else {
                return false;
            };
            if stored == lowest && stored == highest {
                continue;
            }
            for epoch in (lowest..=highest).take(usize::try_from(EPOCHS_MAX).unwrap_or(0)) {
                if let Some(header) = headers.get_mut(place) {
                    header.leader_epoch = epoch;
                }
                if self.fits(headers) {
                    return true;
                }
            }
            if let Some(header) = headers.get_mut(place) {
                header.leader_epoch = stored;
            }
        }
        false
    }

    fn fits(&mut self, headers: &[BatchHeader]) -> bool {
        self.tried_bytes = self
            .tried_bytes
            .saturating_add(headers.len().saturating_mul(HEAD_BYTES));
        let heads = headers.iter().map(head_of);
        self.tried_bytes <= TRIED_BYTES_MAX
            && heads.fold(0, |crc, head| crc32c_append(crc, &head)) == self.crc
    }
}

/// The header of exactly this batch, with the length and the CRC that its bytes have; base offset
/// and epoch as they stand there.
fn header_of(batch: &[u8]) -> Option<BatchHeader> {
    let mut head = *batch.first_chunk::<HEADER_BYTES>()?;
    let length = i32::try_from(batch.len().checked_sub(LOG_OVERHEAD_BYTES)?).ok()?;
    *head.get_mut(LENGTH_AT..)?.first_chunk_mut()? = length.to_be_bytes();
    *head.get_mut(MAGIC_AT)? = MAGIC.cast_unsigned();
    let mut header = BatchHeader::parse(&head).ok()?;
    header.crc = crc32c(batch.get(CRC_START..)?);
    (header.last_offset_delta >= 0).then_some(header)
}

fn head_of(header: &BatchHeader) -> [u8; HEAD_BYTES] {
    let head = header.encode();
    *head
        .first_chunk()
        .expect("a header is longer than its head")
}
