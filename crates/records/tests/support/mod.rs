//! Batches made by hand: any body under a header that fits it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "tests; each uses what it needs"
)]

use bytes::Bytes;
use records::{
    Attributes, BatchBuilder, BatchError, BatchHeader, Codec, DecodeBudget, HEADER_BYTES, MAGIC,
    Offset, Record, crc_of, records,
};

/// A budget that no small test reaches.
pub(crate) const PLENTY_BYTES: usize = 16 << 20;

/// A batch with this body as it is, as many offsets as records, and a good CRC.
pub(crate) fn batch_of(codec: Codec, body: &[u8], record_count: i32) -> Bytes {
    with_header(body, |header| {
        header.attributes = Attributes::new(codec.id().into());
        header.record_count = record_count;
        header.last_offset_delta = record_count - 1;
    })
}

/// A batch with this body and a header of choice, and a good CRC.
pub(crate) fn with_header(body: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader {
        base_offset: Offset::ZERO,
        batch_length: i32::try_from(HEADER_BYTES - 12 + body.len()).unwrap(),
        leader_epoch: -1,
        magic: MAGIC,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: 0,
        base_timestamp_ms: 1000,
        max_timestamp_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 1,
    };
    change(&mut header);
    sealed([&header.encode()[..], body].concat())
}

/// The bytes with the length and the CRC that fit them.
pub(crate) fn sealed(mut batch: Vec<u8>) -> Bytes {
    let length = i32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc_of(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(batch)
}

/// All records, or the first error.
pub(crate) fn read(batch: &Bytes, budget_bytes: usize) -> Result<Vec<Record>, BatchError> {
    records(batch, &mut DecodeBudget::new(budget_bytes))?.collect()
}

/// A batch of a few ordinary records.
pub(crate) fn ordinary(codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    let headers = [records::Header::new("trace", "abc")];
    for index in 0..8_u8 {
        let key = [b'k', index];
        let value = format!("value {index} of a batch of ordinary records, of a batch");
        let headers = if index % 3 == 0 { &headers[..] } else { &[] };
        let at = 1_700_000_000_000 + 400 * i64::from(index);
        builder
            .append(at, Some(&key), Some(value.as_bytes()), headers)
            .unwrap();
    }
    builder.build().unwrap().into_bytes()
}

/// Chance that a failure can repeat: the seed is part of every message.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}
