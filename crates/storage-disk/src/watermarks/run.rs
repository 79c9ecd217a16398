//! Which run of a process wrote something, so that a later start does not take it for another's.

use bytes::{Buf, BufMut};

use super::entry::BOOT_ID_BYTES;

/// Bytes of a run in a file.
pub const RUN_BYTES: usize = BOOT_ID_BYTES + size_of::<i32>() + size_of::<i64>();

/// One life of a process that writes to a data directory. No two are equal: the epoch rises with
/// every start, and copies of a directory that go different ways differ in the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The boot of the machine in which it began.
    pub boot_id: [u8; BOOT_ID_BYTES],
    /// The epoch of the node that this start was given.
    pub epoch: i32,
    /// When it began, by the wall clock.
    pub started_ms: i64,
}

impl Run {
    pub(crate) fn encode(&self) -> [u8; RUN_BYTES] {
        let mut bytes = [0; RUN_BYTES];
        let mut target = &mut bytes[..];
        target.put_slice(&self.boot_id);
        target.put_i32(self.epoch);
        target.put_i64(self.started_ms);
        bytes
    }

    /// The run in exactly these bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields: &[u8] = bytes
            .first_chunk::<RUN_BYTES>()
            .filter(|_| bytes.len() == RUN_BYTES)?;
        let mut boot_id = [0; BOOT_ID_BYTES];
        fields.copy_to_slice(&mut boot_id);
        Some(Self {
            boot_id,
            epoch: fields.get_i32(),
            started_ms: fields.get_i64(),
        })
    }
}
