//! Produce requests whose batches are wrong: damaged, cut off, of another format, too many, lying
//! about their records, compressed junk and bombs.
//!
//! All of them must be refused and leave the log as it was, except what [`stored`] makes: a broker
//! that does not open records may keep those, and must survive to serve them.

use bytes::Bytes;
use kafka_wire::Message;
use kafka_wire::messages::ProduceRequest;
use records::{BatchBuilder, BatchError, Codec, HEADER_BYTES, crc_of};

use super::attack::{Attack, Then, Wanted};
use crate::chance::Chance;
use crate::wire;

const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;
const INVALID_TIMESTAMP: i16 = 32;

/// The fields of a batch's header that are changed here.
const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_DELTA_AT: usize = 23;
const MAX_TIMESTAMP_AT: usize = 35;
const COUNT_AT: usize = 57;

/// The bomb opens to this much, whatever the codec.
const BOMB_BYTES: usize = 512 << 20;
/// Room under `max.message.bytes`.
const COMPRESSED_BYTES_MAX: usize = 1_000_000;

/// A batch that a broker takes, of `count` records stamped `timestamp_ms`.
pub(super) fn good(
    codec: Codec,
    count: usize,
    timestamp_ms: i64,
    value: &[u8],
) -> Result<Vec<u8>, BatchError> {
    let mut builder = BatchBuilder::new(codec);
    for _ in 0..count {
        builder.append(timestamp_ms, Some(b"key"), Some(value), &[])?;
    }
    Ok(builder.build()?.into_bytes().to_vec())
}

/// What the attacks on one topic share.
pub(super) struct Aim {
    pub(super) topic: &'static str,
    pub(super) now_ms: i64,
}

impl Aim {
    fn attack(&self, name: String, batch: Vec<u8>, codes: &[i16]) -> Result<Attack, String> {
        let version = wire::PRODUCE_VERSION;
        let request: ProduceRequest = wire::produce(self.topic, 0, Bytes::from(batch));
        assert!(ProduceRequest::supports(version), "it is sent everywhere");
        Ok(Attack {
            family: "corrupt batches",
            name,
            bytes: wire::frame(&request, version, 1)?.to_vec(),
            then: Then::HalfClose,
            wanted: Wanted::ProduceRefused {
                version,
                codes: codes.to_vec(),
            },
        })
    }

    /// Batches that must be refused.
    pub(super) fn refused(&self, chance: &mut Chance) -> Result<Vec<Attack>, String> {
        let mut attacks = Vec::new();
        for codec in Codec::ALL {
            let batch = good(codec, 5, self.now_ms, b"a value that is hardly worth it")
                .map_err(|error| error.to_string())?;
            self.flips(&batch, codec, chance, &mut attacks)?;
            self.cuts(&batch, codec, &mut attacks)?;
            let twice = [&batch[..], &batch].concat();
            attacks.push(self.attack(format!("two {codec} batches"), twice, &[INVALID_RECORD])?);
            // Kafka calls a format that never was damage.
            let codes = [INVALID_RECORD, CORRUPT_MESSAGE];
            for (magic, codes) in [
                (0, &codes[..1]),
                (1, &codes[..1]),
                (3, &codes),
                (0x7f, &codes),
                (0x80, &codes),
                (0xff, &codes),
            ] {
                let mut batch = batch.clone();
                batch[MAGIC_AT] = magic;
                let name = format!("{codec} batch of magic {magic}");
                attacks.push(self.attack(name, batch, codes)?);
            }
            self.fields(&batch, codec, &mut attacks)?;
        }
        attacks.push(self.attack("no bytes".to_owned(), Vec::new(), &[])?);
        self.too_large(&mut attacks)?;
        for codec in Codec::ALL {
            for (kind, batch) in junk(codec, self.now_ms, chance)? {
                let batch = patched(batch, MAX_TIMESTAMP_AT, &(i64::MAX / 2).to_be_bytes());
                let name = format!("{codec} {kind} from the future");
                attacks.push(self.attack(name, batch, &[INVALID_TIMESTAMP, INVALID_RECORD])?);
            }
        }
        Ok(attacks)
    }

    /// One bit of every byte, except of the leader epoch, which is the broker's own to write.
    fn flips(
        &self,
        batch: &[u8],
        codec: Codec,
        chance: &mut Chance,
        attacks: &mut Vec<Attack>,
    ) -> Result<(), String> {
        for at in (0..EPOCH_AT).chain(CRC_AT..batch.len()) {
            let mut batch = batch.to_vec();
            batch[at] ^= 1 << chance.below(8);
            let codes: &[i16] = if at >= CRC_AT {
                &[CORRUPT_MESSAGE]
            } else {
                &[]
            };
            attacks.push(self.attack(format!("{codec} batch, byte {at} flipped"), batch, codes)?);
        }
        Ok(())
    }

    fn cuts(&self, batch: &[u8], codec: Codec, attacks: &mut Vec<Attack>) -> Result<(), String> {
        for length in (1..batch.len()).step_by(3) {
            let name = format!("{codec} batch cut to {length}");
            let codes = [CORRUPT_MESSAGE, INVALID_RECORD];
            attacks.push(self.attack(name, batch[..length].to_vec(), &codes)?);
        }
        Ok(())
    }

    /// Fields that lie under a good CRC.
    fn fields(&self, batch: &[u8], codec: Codec, attacks: &mut Vec<Attack>) -> Result<(), String> {
        for (what, at, value, codes) in field_lies(codec) {
            let batch = patched(batch.to_vec(), at, &value);
            attacks.push(self.attack(format!("{codec} batch with {what}"), batch, codes)?);
        }
        for length in [0, -1, 48, i32::MAX, i32::MIN] {
            let mut batch = batch.to_vec();
            batch[LENGTH_AT..EPOCH_AT].copy_from_slice(&length.to_be_bytes());
            let codes = [CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE];
            attacks.push(self.attack(
                format!("{codec} batch of length {length}"),
                batch,
                &codes,
            )?);
        }
        Ok(())
    }

    fn too_large(&self, attacks: &mut Vec<Attack>) -> Result<(), String> {
        for size_bytes in [1 << 20, 5 << 20] {
            let batch = good(Codec::None, 1, self.now_ms, &vec![7; size_bytes])
                .map_err(|error| error.to_string())?;
            let name = format!("a batch of {} bytes", batch.len());
            attacks.push(self.attack(name, batch, &[MESSAGE_TOO_LARGE])?);
        }
        Ok(())
    }
}

/// What is said, where, as which bytes, and the codes that may come of it; none means any.
type FieldLie = (&'static str, usize, Vec<u8>, &'static [i16]);

fn field_lies(codec: Codec) -> Vec<FieldLie> {
    let attributes = u16::from(codec.id());
    let bits = |more: u16| (attributes | more).to_be_bytes().to_vec();
    let number = |value: i32| value.to_be_bytes().to_vec();
    // Log append time, transactional and control bits without a right to them; codecs 5 to 7.
    vec![
        ("log append time", ATTRIBUTES_AT, bits(1 << 3), &[]),
        ("transactional", ATTRIBUTES_AT, bits(1 << 4), &[]),
        ("control", ATTRIBUTES_AT, bits(1 << 5), &[INVALID_RECORD]),
        (
            "codec 5",
            ATTRIBUTES_AT,
            vec![0, 5],
            &[UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD],
        ),
        (
            "codec 6",
            ATTRIBUTES_AT,
            vec![0, 6],
            &[UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD],
        ),
        (
            "codec 7",
            ATTRIBUTES_AT,
            vec![0, 7],
            &[UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD],
        ),
        ("no records", COUNT_AT, number(0), &[INVALID_RECORD]),
        ("negative records", COUNT_AT, number(-1), &[INVALID_RECORD]),
        (
            "records by the billion",
            COUNT_AT,
            number(i32::MAX),
            &[INVALID_RECORD],
        ),
        (
            "one record too many",
            COUNT_AT,
            number(6),
            &[INVALID_RECORD],
        ),
        (
            "offsets by the billion",
            LAST_DELTA_AT,
            number(i32::MAX),
            &[INVALID_RECORD],
        ),
        (
            "negative offsets",
            LAST_DELTA_AT,
            number(-5),
            &[INVALID_RECORD],
        ),
        (
            "a time without end",
            MAX_TIMESTAMP_AT,
            i64::MAX.to_be_bytes().to_vec(),
            &[],
        ),
    ]
}

/// Batches that are well-formed outside and junk inside, each with what it is.
pub(super) fn stored(now_ms: i64, chance: &mut Chance) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut batches = Vec::new();
    for codec in Codec::ALL {
        for (kind, batch) in junk(codec, now_ms, chance)? {
            batches.push((format!("{codec} {kind}"), batch));
        }
    }
    Ok(batches)
}

/// Overwrites a field and makes the CRC good again.
fn patched(mut batch: Vec<u8>, at: usize, value: &[u8]) -> Vec<u8> {
    batch[at..at + value.len()].copy_from_slice(value);
    sealed(batch)
}

/// The batch with the length and the CRC that its bytes want.
fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(batch.len() - EPOCH_AT).expect("batches are short");
    batch[LENGTH_AT..EPOCH_AT].copy_from_slice(&length.to_be_bytes());
    let crc = crc_of(&batch);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// Well-formed batches of a codec whose records are noise, cut off, or open to far too much.
fn junk(
    codec: Codec,
    now_ms: i64,
    chance: &mut Chance,
) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    let head = |count: i32| -> Result<Vec<u8>, String> {
        let batch = good(codec, 1, now_ms, b"").map_err(|error| error.to_string())?;
        let mut head = batch[..HEADER_BYTES].to_vec();
        head[LAST_DELTA_AT..LAST_DELTA_AT + 4].copy_from_slice(&(count - 1).to_be_bytes());
        head[COUNT_AT..COUNT_AT + 4].copy_from_slice(&count.to_be_bytes());
        Ok(head)
    };
    let with = |count: i32, body: &[u8]| -> Result<Vec<u8>, String> {
        Ok(sealed([&head(count)?[..], body].concat()))
    };
    let whole = good(codec, 50, now_ms, b"a value that is there again and again")
        .map_err(|error| error.to_string())?;
    let body = &whole[HEADER_BYTES..];
    let noise = chance.bytes(3_000);
    let mut found = vec![
        ("noise", with(10, &noise)?),
        ("nothing", with(10, &[])?),
        ("records cut off", with(50, &body[..body.len() / 2])?),
        ("records fewer than said", with(5_000, body)?),
        ("records by the billion", with(i32::MAX, body)?),
    ];
    if codec != Codec::None {
        found.push(("bomb", with(1_000, &bomb(codec, now_ms)?)?));
    }
    Ok(found)
}

/// Compressed bytes that open to [`BOMB_BYTES`], or to as much as fits a batch: the same piece
/// again and again, which every codec but raw Snappy takes.
fn bomb(codec: Codec, now_ms: i64) -> Result<Vec<u8>, String> {
    const PIECE_BYTES: usize = 1 << 20;
    let batch = good(codec, 1, now_ms, &vec![0; PIECE_BYTES]).map_err(|e| e.to_string())?;
    let mut piece = batch[HEADER_BYTES..].to_vec();
    let mut all = Vec::new();
    if codec == Codec::Snappy && !piece.starts_with(&[0x82]) {
        all.extend(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
        let length = u32::try_from(piece.len()).expect("a piece is short");
        piece.splice(0..0, length.to_be_bytes());
    }
    let times = (BOMB_BYTES / PIECE_BYTES).min(COMPRESSED_BYTES_MAX / piece.len());
    for _ in 0..times {
        all.extend(&piece);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
