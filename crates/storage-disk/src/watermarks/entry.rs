//! One entry of the watermark journal, 72 bytes. docs/formats.md draws it.

use bytes::{Buf, BufMut};
use records::Offset;
use records::checksum::crc32c;
use sabotage::{Safeguard, skips};
use storage::{PartitionId, TopicId};

use crate::listing::BASE_MAX;

/// Frames of entries.
pub(super) const ENTRIES: u8 = 1;
/// The last frame of a process that ended cleanly: entries of all partitions.
pub(super) const CLEAN: u8 = 2;
/// The frame before the first append of a process: its boot id.
pub(super) const OPEN: u8 = 3;

/// When this was written, by the wall clock.
pub(super) const TIME: u8 = 4;

/// Bytes of a time.
pub(super) const TIME_BYTES: usize = 8;
/// Bytes of a boot id.
pub(super) const BOOT_ID_BYTES: usize = 16;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 72;

const CHECKED_BYTES: usize = ENTRY_BYTES - size_of::<u32>();

/// What is known to be durable of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// The partition.
    pub partition: PartitionId,
    /// The leader epoch of its last batch.
    pub leader_epoch: i32,
    /// Below this everything is durable.
    pub durable_end: Offset,
    /// The first offset kept.
    pub log_start: Offset,
    /// The base offset of the segment that holds the durable end.
    pub segment_base: Offset,
    /// Below this gaps between offsets are legal, above it continuity is strict.
    pub cleaned_to: Offset,
    /// Where the durable end is in its segment.
    pub position: u32,
    /// The position once more; nobody reads it. It was meant for the span that is still open, which
    /// stands in the `.spans` file.
    pub span_start: u32,
    /// 0; nobody reads it.
    pub span_crc: u32,
}

impl Watermark {
    /// What both say together: no end moves back, whichever was written last.
    #[must_use]
    pub(super) fn or_newer(&self, other: &Self) -> Self {
        assert_eq!(self.partition, other.partition, "both speak of one log");
        if skips(Safeguard::JournalStart) {
            return *other;
        }
        let ahead = if other.durable_end >= self.durable_end {
            other
        } else {
            self
        };
        Self {
            log_start: self.log_start.max(other.log_start),
            cleaned_to: self.cleaned_to.max(other.cleaned_to),
            ..*ahead
        }
    }

    /// Appends the entry to a body.
    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        let start = body.len();
        body.put_slice(&self.partition.topic.0);
        body.put_u32(self.partition.partition);
        body.put_i32(self.leader_epoch);
        body.put_i64(self.durable_end.get());
        body.put_i64(self.log_start.get());
        body.put_i64(self.segment_base.get());
        body.put_i64(self.cleaned_to.get());
        body.put_u32(self.position);
        body.put_u32(self.span_start);
        body.put_u32(self.span_crc);
        let crc = crc32c(body.get(start..).expect("starts within"));
        body.put_u32(crc);
        assert_eq!(
            body.len().checked_sub(start),
            Some(ENTRY_BYTES),
            "an entry has its size"
        );
    }

    /// The entry in exactly these bytes, if they are what was written and can be true.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut fields, mut crc) = bytes.split_at_checked(CHECKED_BYTES)?;
        if bytes.len() != ENTRY_BYTES {
            return None;
        }
        let is_good = crc.get_u32() == crc32c(fields) || skips(Safeguard::WatermarkCrc);
        if !is_good {
            return None;
        }
        let mut topic = [0; 16];
        fields.copy_to_slice(&mut topic);
        let partition = PartitionId {
            topic: TopicId(topic),
            partition: fields.get_u32(),
        };
        let leader_epoch = fields.get_i32();
        let mut offset = || {
            Some(fields.get_i64())
                .filter(|offset| *offset >= 0)
                .map(Offset::new)
        };
        let entry = Self {
            partition,
            leader_epoch,
            durable_end: offset()?,
            log_start: offset()?,
            segment_base: offset()?,
            cleaned_to: offset()?,
            position: fields.get_u32(),
            span_start: fields.get_u32(),
            span_crc: fields.get_u32(),
        };
        let is_ordered =
            entry.log_start <= entry.durable_end && entry.segment_base <= entry.durable_end;
        (is_ordered && entry.durable_end <= BASE_MAX).then_some(entry)
    }
}
