//! Damaged heads, and what is built in their place.

use std::path::Path;

use records::{BatchBuilder, CheckedBatch, Codec, Header, Offset};
use vfs::{File, OpenMode, SimVfs, Vfs};

use super::{Mender, Verdict, put_back};
use crate::position::Position;
use crate::spans::{HEAD_BYTES, Stretch, add_head};
use crate::walk::EpochRange;

/// The log begins here.
const BASE: i64 = 100;
/// Epochs of the batches before, in and behind the span.
const EPOCHS: [i32; 6] = [2, 2, 3, 5, 5, 9];
const INNER: std::ops::RangeInclusive<usize> = 1..=4;

fn batch(records: usize) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..records {
        builder
            .append(0, None, Some(b"some value"), &[])
            .expect("a record");
    }
    builder.build().expect("a batch")
}

/// A batch whose last bytes are these.
fn holding(inner: &[u8]) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    let header = Header {
        key: "h".into(),
        value: Some(inner.to_vec().into()),
    };
    builder
        .append(0, None, Some(b"value"), &[header])
        .expect("a record");
    builder.build().expect("a batch")
}

struct Log {
    vfs: SimVfs,
    bytes: Vec<u8>,
    starts: Vec<usize>,
    span: Stretch,
}

const PATH: &str = "/log";

/// Six batches; a span over the four in the middle.
fn log(make: &dyn Fn(usize) -> CheckedBatch) -> Log {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    let (mut next, mut crc) = (Offset::new(BASE), 0);
    for (place, epoch) in EPOCHS.into_iter().enumerate() {
        let mut batch = make(place);
        batch.place(next, epoch);
        next = batch.header().next_offset();
        starts.push(bytes.len());
        bytes.extend_from_slice(batch.as_bytes());
        if INNER.contains(&place) {
            crc = add_head(crc, batch.header());
        }
    }
    let vfs = SimVfs::new();
    let file = vfs
        .open(Path::new(PATH), OpenMode::CreateNew)
        .expect("made");
    vfs::write_all_at(&*file, &bytes, 0).expect("written");
    let at = |place: usize| Position::ZERO.plus(starts[place]);
    let span = Stretch {
        start: at(*INNER.start()),
        end: at(INNER.end() + 1),
        crc,
        before: Position::ZERO,
    };
    Log {
        vfs,
        bytes,
        starts,
        span,
    }
}

fn plain() -> Log {
    log(&|place| batch(place + 1))
}

impl Log {
    /// The verdict about a copy with other bytes, and what the file is after what it says was done.
    fn judge(&self, at: usize, bytes: &[u8]) -> (Verdict, Vec<u8>) {
        let vfs = self.vfs.fork();
        let position = u64::try_from(at).expect("small");
        vfs.damage(Path::new(PATH), position, bytes)
            .expect("damaged");
        let file: std::sync::Arc<dyn File> = vfs
            .open(Path::new(PATH), OpenMode::ReadWrite)
            .expect("opened");
        let mender = Mender {
            file: &*file,
            base: Offset::new(BASE),
            limit: Position::ZERO.plus(self.bytes.len()),
            epochs: EpochRange::up_to(9),
        };
        let verdict = mender.judge(self.span).expect("read");
        if let Verdict::Mend(heads) = &verdict {
            put_back(&*file, heads).expect("written");
        }
        let after = vfs::read_whole(&vfs, Path::new(PATH), 1 << 20).expect("read");
        (verdict, after)
    }

    fn flipped(&self, at: usize, mask: u8) -> (Verdict, Vec<u8>) {
        self.judge(at, &[self.bytes[at] ^ mask])
    }
}

#[test]
fn every_flipped_bit_of_a_head_is_put_back() {
    let log = plain();
    for place in INNER {
        for byte in 0..HEAD_BYTES {
            for bit in 0..8 {
                let (verdict, after) = log.flipped(log.starts[place] + byte, 1 << bit);
                let what = format!("bit {bit} of byte {byte} of batch {place}");
                assert!(
                    matches!(&verdict, Verdict::Mend(heads) if heads.len() == 1),
                    "{what}: {verdict:?}"
                );
                assert!(after == log.bytes, "{what}");
            }
        }
    }
}

#[test]
fn heads_full_of_other_bytes_are_put_back() {
    let log = plain();
    for place in INNER {
        for fill in [0x00, 0xFF, 0x02, 0x5A] {
            let (verdict, after) = log.judge(log.starts[place], &[fill; HEAD_BYTES]);
            let only = matches!(&verdict, Verdict::Mend(heads) if heads.len() == 1);
            assert!(only, "{fill:#04x} in batch {place}: {verdict:?}");
            assert!(after == log.bytes, "{fill:#04x} in batch {place}");
        }
    }
}

#[test]
fn what_is_good_is_left_alone() {
    let log = plain();
    assert_eq!(log.judge(0, &log.bytes[..1]).0, Verdict::Good);
    // A body is no head: its own CRC tells.
    for byte in [HEAD_BYTES, HEAD_BYTES + 3, 70] {
        let at = log.starts[2] + byte;
        assert_eq!(log.flipped(at, 1).0, Verdict::Good, "byte {byte}");
    }
    // Batches around the span are not asked about.
    for place in [0, 5] {
        assert_eq!(log.flipped(log.starts[place] + 15, 1).0, Verdict::Good);
    }
}

#[test]
fn what_cannot_be_proven_is_left_alone() {
    let log = plain();
    let start = log.starts[2];
    let size = log.starts[3] - start;
    // Head and body of one batch.
    let (verdict, after) = log.judge(start, &vec![0; size]);
    assert_eq!(verdict, Verdict::Lost);
    assert!(after[start..start + size].iter().all(|&byte| byte == 0));
    // A whole batch that is good by itself, with the right place and another body.
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..3 {
        builder
            .append(0, None, Some(b"stale data"), &[])
            .expect("a record");
    }
    let mut stale = builder.build().expect("a batch");
    let header = records::BatchHeader::parse(&log.bytes[start..]).expect("good");
    stale.place(header.base_offset, header.leader_epoch);
    assert_eq!(stale.as_bytes().len(), size, "it fits exactly");
    assert_eq!(log.judge(start, stale.as_bytes()).0, Verdict::Lost);
}

#[test]
fn a_batch_inside_a_record_is_not_where_the_next_one_begins() {
    for place in INNER {
        // It ends where the batch around it ends, and goes on as the batch behind would.
        let inner = |next: i64| {
            let mut inner = batch(1);
            inner.place(Offset::new(next - 1), EPOCHS[place]);
            inner.as_bytes().to_vec()
        };
        let offsets_before: i64 = (0..place)
            .map(|place| i64::try_from(place).expect("few") + 1)
            .sum();
        let next = BASE + offsets_before + 1;
        let log = log(&|at| {
            if at == place {
                holding(&inner(next))
            } else {
                batch(at + 1)
            }
        });
        for byte in 0..HEAD_BYTES {
            let (verdict, after) = log.flipped(log.starts[place] + byte, 0x10);
            let what = format!("byte {byte} of batch {place}: {verdict:?}");
            assert!(matches!(verdict, Verdict::Mend(_)), "{what}");
            assert!(after == log.bytes, "{what}");
        }
    }
}
