//! The bytes of a commit file: the head of a generation, and its entries. docs/formats.md draws
//! them.
//!
//! The checksum of an entry's head begins with that of the generation's, so an entry counts under the
//! head that it was written under and no other; and it covers that of the records, so where those are
//! damaged it is still known which they were. Does no I/O.

use bytes::{Buf, BufMut};
use records::Offset;
use records::checksum::{crc32c, crc32c_append};
use sabotage::{Safeguard, skips};
use storage::{PartitionId, TopicId};

use crate::listing::BASE_MAX;
use crate::position::Position;
use crate::watermarks::{RUN_BYTES, Run};

/// Every round begins with one: no byte that was synced is written again.
pub(super) const BLOCK_BYTES: usize = 4096;
/// A head and its copy, each in a block: what a disk cannot read is a block, as a rule.
pub(super) const HEADS_BYTES: usize = 2 * BLOCK_BYTES;
/// Entries begin at multiples of this.
pub(super) const ALIGN_BYTES: usize = 8;
/// Bytes before the records of an entry.
pub(super) const ENTRY_HEAD_BYTES: usize = 72;
/// No entry has more bytes of records, whatever it says.
pub(super) const ENTRY_BYTES_MAX: usize = 1024 * 1024;

const HEAD_MAGIC: &[u8; 4] = b"OCF1";
const ENTRY_MAGIC: &[u8; 4] = b"OCE1";
const CRC_AT: usize = 4;
const CHECKED_AT: usize = 8;
/// Of a head: magic, CRC, run, bytes of the file, generation.
const HEAD_BYTES: usize = CHECKED_AT + RUN_BYTES + 4 + size_of::<u64>();

const _: () = assert!(HEAD_BYTES == 48);

/// What a generation begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) run: Run,
    /// Of the file that it is in.
    pub(crate) file_bytes: u32,
    /// From 1 in each run; rises by one each time a file is taken. 0: there is none.
    pub(crate) generation: u64,
}

impl Head {
    /// The head of a file without a generation. It is not zeros, which is what is left where a disk
    /// could not be read.
    pub(super) fn wiped() -> Self {
        Self {
            run: Run {
                boot_id: [0; 16],
                epoch: 0,
                started_ms: 0,
            },
            file_bytes: 0,
            generation: 0,
        }
    }

    pub(super) fn is_wiped(&self) -> bool {
        self.generation == 0
    }

    fn fields(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(HEAD_BYTES);
        fields.put_slice(&self.run.encode());
        fields.put_u32(self.file_bytes);
        fields.put_u64(self.generation);
        fields
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let fields = self.fields();
        let mut blocks = Vec::with_capacity(HEADS_BYTES);
        blocks.put_slice(HEAD_MAGIC);
        blocks.put_u32(crc32c(&fields));
        blocks.put_slice(&fields);
        blocks.resize(BLOCK_BYTES, 0);
        blocks.extend_from_within(..);
        blocks
    }

    /// The head in the first blocks, from either copy. Where a crash left a generation in one and none
    /// in the other, it is not wiped yet, or has no round yet.
    pub(super) fn find(blocks: &[u8]) -> Option<Self> {
        let copy = blocks.get(BLOCK_BYTES..).unwrap_or_default();
        let heads = [blocks, copy].into_iter().filter_map(Self::decode);
        heads.max_by_key(|head| head.generation)
    }

    fn decode(block: &[u8]) -> Option<Self> {
        let head = block.get(..HEAD_BYTES)?.strip_prefix(HEAD_MAGIC)?;
        let (mut crc, fields) = head.split_at_checked(size_of::<u32>())?;
        if crc.get_u32() != crc32c(fields) {
            return None;
        }
        let (run, mut rest) = fields.split_at_checked(RUN_BYTES)?;
        Some(Self {
            run: Run::decode(run)?,
            file_bytes: rest.get_u32(),
            generation: rest.get_u64(),
        })
    }

    /// What the checksums of its entries begin with.
    pub(super) fn seed(&self) -> u32 {
        crc32c(&self.fields())
    }
}

/// Bytes of one log in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) partition: PartitionId,
    /// CRC of the topic's name, for a topic whose label is lost.
    pub(super) name_crc: u32,
    /// Base offset of the segment.
    pub(crate) base: Offset,
    /// The offset behind the records.
    pub(super) next: Offset,
    /// Where the bytes stand in the segment.
    pub(crate) position: Position,
    pub(crate) size_bytes: usize,
    /// Its number in the generation, from 0 without a gap.
    pub(super) sequence: u32,
    /// The number of the first entry of its round.
    pub(super) round: u32,
}

impl Entry {
    /// Bytes of all of it, with what fills it up to where the next one may begin.
    pub(super) fn total_bytes(size_bytes: usize) -> usize {
        ENTRY_HEAD_BYTES
            .saturating_add(size_bytes)
            .next_multiple_of(ALIGN_BYTES)
    }

    /// Fills in the head of an entry whose records are in `whole` already.
    pub(super) fn seal(&self, seed: u32, whole: &mut [u8]) {
        let length = u32::try_from(self.size_bytes).expect("an entry is small");
        let (target, records) = whole
            .split_at_mut_checked(ENTRY_HEAD_BYTES)
            .expect("an entry has a head");
        let records = records.get(..self.size_bytes).expect("and its records");
        let mut head = Vec::with_capacity(ENTRY_HEAD_BYTES);
        head.put_slice(ENTRY_MAGIC);
        head.put_u32(0);
        head.put_u32(crc32c(records));
        head.put_u32(length);
        head.put_u32(self.sequence);
        head.put_u32(self.round);
        head.put_u32(self.position.get());
        head.put_u32(self.partition.partition);
        head.put_slice(&self.partition.topic.0);
        head.put_i64(self.base.get());
        head.put_i64(self.next.get());
        head.put_u32(self.name_crc);
        head.put_u32(0);
        let crc = crc32c_append(seed, head.get(CHECKED_AT..).expect("a head has fields"));
        target.copy_from_slice(&head);
        target
            .get_mut(CRC_AT..CHECKED_AT)
            .expect("a head has a checksum")
            .copy_from_slice(&crc.to_be_bytes());
    }

    /// Whether an entry may begin with these bytes.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(ENTRY_MAGIC)
    }

    /// The entry with this head, written under the head of a generation with this seed; and the
    /// checksum of its records.
    pub(super) fn parse(head: &[u8], seed: u32) -> Option<(Self, u32)> {
        let head = head.get(..ENTRY_HEAD_BYTES)?;
        let mut crc = head.get(CRC_AT..CHECKED_AT)?;
        let mut fields = head.get(CHECKED_AT..)?;
        let is_good = crc.get_u32() == crc32c_append(seed, fields);
        if !Self::begins(head) || !is_good && !skips(Safeguard::CommitEntryCrc) {
            return None;
        }
        let records_crc = fields.get_u32();
        let size_bytes = usize::try_from(fields.get_u32()).ok()?;
        let (sequence, round) = (fields.get_u32(), fields.get_u32());
        let position = Position::new(fields.get_u32());
        let partition = fields.get_u32();
        let mut topic = [0; 16];
        fields.copy_to_slice(&mut topic);
        let (base, next) = (Offset::new(fields.get_i64()), Offset::new(fields.get_i64()));
        let name_crc = fields.get_u32();
        let fits = (1..=ENTRY_BYTES_MAX).contains(&size_bytes)
            && round <= sequence
            && position.plus(size_bytes) <= Position::MAX
            && Offset::ZERO <= base
            && base < next
            && next <= BASE_MAX;
        let partition = PartitionId {
            topic: TopicId(topic),
            partition,
        };
        let entry = Self {
            partition,
            name_crc,
            base,
            next,
            position,
            size_bytes,
            sequence,
            round,
        };
        fits.then_some((entry, records_crc))
    }
}

/// Whether records are those with this checksum.
pub(super) fn are_good(records: &[u8], crc: u32) -> bool {
    crc32c(records) == crc || skips(Safeguard::CommitEntryCrc)
}
