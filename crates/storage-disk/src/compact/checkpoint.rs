//! `cleaner-offset-checkpoint`: up to where a log is compacted. docs/formats.md draws its bytes.
//!
//! Below the offset each key has one record, or those that an older compaction had to leave. It is
//! written once all of that is durable, so an old one or none costs work and nothing else. One that
//! says too much would let tombstones go before what they delete; so it is checked, and it does not
//! outlive an end of the log that moved back.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use records::Offset;
use records::checksum::crc32c;
use sabotage::{Safeguard, skips};
use storage::{PartitionId, TopicId};
use vfs::Vfs;

/// Kafka's name of a file that says the same.
pub(crate) const CHECKPOINT_FILE: &str = "cleaner-offset-checkpoint";

const MAGIC: &[u8; 4] = b"OCC1";
const CRC_END: usize = 8;
pub(crate) const CHECKPOINT_BYTES: usize = 40;
const TOPIC_BYTES: usize = 16;

const _: () = assert!(CRC_END + TOPIC_BYTES + 4 + 4 + 8 == CHECKPOINT_BYTES);

/// The bytes of the file.
pub(crate) fn encode(partition: PartitionId, first_dirty: Offset) -> Vec<u8> {
    let mut body = Vec::with_capacity(CHECKPOINT_BYTES);
    body.put_slice(&partition.topic.0);
    body.put_u32(partition.partition);
    body.put_u32(0);
    body.put_i64(first_dirty.get());
    let mut bytes = Vec::with_capacity(CHECKPOINT_BYTES);
    bytes.put_slice(MAGIC);
    bytes.put_u32(crc32c(&body));
    bytes.put_slice(&body);
    assert_eq!(bytes.len(), CHECKPOINT_BYTES, "it has its size");
    bytes
}

/// The mirror of [`encode`]; `None`: not what was written for this partition.
pub(crate) fn decode(bytes: &[u8], partition: PartitionId) -> Option<Offset> {
    let (mut head, mut body) = bytes.split_at_checked(CRC_END)?;
    if bytes.len() != CHECKPOINT_BYTES || head.copy_to_bytes(MAGIC.len()) != MAGIC.as_slice() {
        return None;
    }
    if head.get_u32() != crc32c(body) && !skips(Safeguard::CheckpointCrc) {
        return None;
    }
    let mut topic = [0; TOPIC_BYTES];
    body.copy_to_slice(&mut topic);
    let found = PartitionId {
        topic: TopicId(topic),
        partition: body.get_u32(),
    };
    let zero = body.get_u32();
    let first_dirty = Offset::new(body.get_i64());
    (found == partition && zero == 0 && first_dirty >= Offset::ZERO).then_some(first_dirty)
}

fn path(directory: &Path) -> PathBuf {
    directory.join(CHECKPOINT_FILE)
}

/// What the file says; one that is missing or not good says nothing.
pub(crate) fn read(vfs: &dyn Vfs, directory: &Path, partition: PartitionId) -> Option<Offset> {
    let limit_bytes = u64::try_from(CHECKPOINT_BYTES).expect("small");
    let bytes = vfs::read_whole(vfs, &path(directory), limit_bytes).ok()?;
    decode(&bytes, partition)
}

/// Writes it. Whether its name is durable is left to the next sync of the directory.
pub(crate) fn put(
    vfs: &dyn Vfs,
    directory: &Path,
    partition: PartitionId,
    first_dirty: Offset,
) -> io::Result<()> {
    vfs::replace(vfs, &path(directory), &encode(partition, first_dirty))
}

/// Removes one that speaks of offsets that will be given again. Whether the directory is to be
/// synced.
pub(crate) fn remove_past(
    vfs: &dyn Vfs,
    directory: &Path,
    (partition, end): (PartitionId, Offset),
) -> io::Result<bool> {
    let known = read(vfs, directory, partition);
    if known.is_none_or(|known| known <= end) || skips(Safeguard::CheckpointPastEnd) {
        return Ok(false);
    }
    vfs.remove_file(&path(directory)).map(|()| true)
}

#[cfg(test)]
mod tests {
    use vfs::SimVfs;

    use super::*;

    const PARTITION: PartitionId = PartitionId {
        topic: TopicId([7; 16]),
        partition: 3,
    };

    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cleaner-offset-checkpoint-1.bin");

    #[test]
    fn it_comes_back_for_its_partition_only() {
        let bytes = encode(PARTITION, Offset::new(1234));
        assert_eq!(decode(&bytes, PARTITION), Some(Offset::new(1234)));
        let other = PartitionId {
            partition: 2,
            ..PARTITION
        };
        assert_eq!(decode(&bytes, other), None);
        assert_eq!(decode(&[], PARTITION), None);
        assert_eq!(decode(&[bytes, vec![0]].concat(), PARTITION), None);
    }

    #[test]
    fn it_is_the_golden_file() {
        let written = encode(PARTITION, Offset::new(1234));
        crate::golden::check("cleaner-offset-checkpoint-1.bin", GOLDEN, &written);
        assert_eq!(decode(GOLDEN, PARTITION), Some(Offset::new(1234)));
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let bytes = encode(PARTITION, Offset::new(1234));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped, PARTITION), None, "bit {bit}");
        }
    }

    #[test]
    fn it_does_not_outlive_an_end_that_moved_back() {
        let vfs = SimVfs::new();
        let directory = Path::new("/p");
        vfs.create_dir(directory).expect("made");
        put(&vfs, directory, PARTITION, Offset::new(9)).expect("written");
        for (end, left) in [(10, true), (9, true), (8, false)] {
            let removed = remove_past(&vfs, directory, (PARTITION, Offset::new(end)));
            assert_eq!(removed.expect("a disk that works"), !left);
            assert_eq!(read(&vfs, directory, PARTITION).is_some(), left, "{end}");
        }
    }
}
