//! The small files of a store, each parsed alone: indexes, journal, metadata, commit file, snapshot,
//! epochs, `topic.meta`.
//!
//! Checksums are made to fit where they would keep the fuzzer out.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use records::Offset;
use records::checksum::crc32c;
use storage::{Key, LeaderEpochs, PartitionId, Space, TopicId, Write};
use storage_disk::frames::{Frame, FrameNumber};
use storage_disk::fuzzing::CommitPiece;
use storage_disk::topic_meta::StoredTopic;
use storage_disk::watermarks::{Journal, Run, Watermark};
use storage_disk::{DiskMetadata, OpenDiskError, fuzzing};
use vfs::{OpenMode, SimVfs, Vfs};

use crate::input::Input;

const OWN_DIR: &str = "/own";

/// `.index` and `.timeindex`.
pub fn index(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 2 {
        0 => {
            let log_end = input.u32();
            fuzzing::offset_index(input.rest(), log_end);
        }
        _ => fuzzing::time_index(input.rest()),
    }
}

/// The commit file: what is read of it was written, in its order.
pub fn commit(data: &[u8]) {
    let mut input = Input::new(data);
    let (vfs, _) = disk();
    for name in ["commit.a", "commit.b"] {
        let mut bytes = fuzzing::commit_piece(&CommitPiece::Head(1 + u64::from(input.u8() % 3)));
        for _ in 0..input.u8() % 32 {
            let (kind, generation) = (input.u8(), 1 + u64::from(input.u8() % 3));
            let piece = match kind % 4 {
                0 => CommitPiece::Head(generation),
                1 | 2 => {
                    let sequence = u32::from(input.u8());
                    let round = sequence.saturating_sub(u32::from(input.u8()));
                    CommitPiece::Entry(generation, sequence, round, input.string())
                }
                _ => {
                    bytes.extend_from_slice(input.string());
                    continue;
                }
            };
            bytes.extend(fuzzing::commit_piece(&piece));
            if kind & 0x80 != 0 {
                bytes.resize(bytes.len().next_multiple_of(4096), 0);
            }
        }
        let (at, flip) = (usize::from(input.u16()), input.u8());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= flip;
        }
        write(&vfs, name, &bytes);
    }
    let own = Path::new(OWN_DIR);
    let count = fuzzing::commit_file(&vfs, own);
    assert_eq!(
        count,
        fuzzing::commit_file(&vfs, own),
        "reading changes nothing"
    );
}

/// `topic.meta`, `.snapshot` and `leader-epoch-checkpoint`.
pub fn beside(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() {
        0 => topic_meta(input.rest().to_vec()),
        1 => topic_meta(sealed(input.rest().to_vec(), 4, 8)),
        2 => fuzzing::producer_snapshot(input.rest(), Offset::new(3)),
        3 => {
            let bytes = sealed(input.rest().to_vec(), 20, 24);
            fuzzing::producer_snapshot(&bytes, Offset::new(3));
        }
        _ => epochs(input.rest()),
    }
}

/// The bytes with the checksum of what follows `from`, at `at`.
fn sealed(mut bytes: Vec<u8>, at: usize, from: usize) -> Vec<u8> {
    if let Some(body) = bytes.get(from..) {
        let crc = crc32c(body);
        bytes[at..at + 4].copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

fn topic_meta(bytes: Vec<u8>) {
    if let Ok(stored) = StoredTopic::decode(&bytes) {
        let again = StoredTopic::decode(&stored.encode()).expect("what was written can be read");
        assert_eq!(again, stored);
    }
}

fn epochs(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(mut epochs) = LeaderEpochs::decode(text) {
        let again = LeaderEpochs::decode(&epochs.encode()).expect("what was written can be read");
        assert_eq!(again, epochs);
        for asked in [0, 1, 7, i32::MAX] {
            let _ = epochs.end_of(asked, Offset::new(i64::MAX), Offset::ZERO);
        }
        epochs.on_append(i32::MAX, Offset::new(100));
        epochs.truncate_to(Offset::new(50));
        epochs.truncate_from_start(Offset::new(10));
        LeaderEpochs::decode(&epochs.encode()).expect("what was written can be read");
    }
}

fn disk() -> (SimVfs, Arc<dyn Vfs>) {
    let vfs = SimVfs::new();
    vfs.create_dir(Path::new(OWN_DIR)).expect("it is empty");
    (vfs.clone(), Arc::new(vfs))
}

fn write(vfs: &SimVfs, name: &str, bytes: &[u8]) {
    let path = Path::new(OWN_DIR).join(name);
    let file = vfs
        .open(&path, OpenMode::ReadWriteCreate)
        .expect("a good disk");
    vfs::write_all_at(&*file, bytes, 0).expect("a good disk");
    file.sync_data().expect("a good disk");
}

/// A file of frames: in order and whole, but for what the input breaks.
fn framed(input: &mut Input<'_>, generation: u32) -> Vec<u8> {
    let mut number = FrameNumber::first(generation);
    let mut bytes = Vec::new();
    for _ in 0..16 {
        let kind = input.u8();
        if kind == 0 {
            break;
        }
        if kind == 0xff {
            bytes.extend(input.string());
            continue;
        }
        let is_counted = kind & 0x40 != 0;
        let body = if is_counted {
            watermarks(input)
        } else {
            input.string().to_vec()
        };
        let entry_count = if is_counted {
            (body.len() / 72) as u32
        } else {
            u32::from(input.u8())
        };
        let at = bytes.len();
        bytes.extend(
            Frame {
                number,
                kind: kind & 0x3f | 1,
                entry_count,
                body: &body,
            }
            .encode(),
        );
        if kind & 0x80 != 0 {
            // A few bytes of the frame are bad.
            let bad = at + usize::from(input.u8()) % (bytes.len() - at);
            bytes[bad] ^= input.u8();
        }
        number = number.next();
    }
    bytes
}

/// Entries of the journal, with good checksums.
fn watermarks(input: &mut Input<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..1 + input.u8() % 4 {
        let mut entry = [0; 72];
        entry[..16].fill(input.u8() % 4);
        entry[19] = input.u8() % 4;
        let fields = input.bytes(48);
        entry[20..20 + fields.len()].copy_from_slice(fields);
        let crc = crc32c(&entry[..68]);
        entry[68..].copy_from_slice(&crc.to_be_bytes());
        body.extend(entry);
    }
    body
}

fn generation(input: &mut Input<'_>) -> u32 {
    input.of(&[1, 2, 3, 9, 10, 1 << 31, u32::MAX - 1, u32::MAX])
}

fn any_watermark(number: u32, end: i64) -> Watermark {
    Watermark {
        partition: PartitionId {
            topic: TopicId([9; 16]),
            partition: number,
        },
        leader_epoch: 5,
        durable_end: Offset::new(end),
        log_start: Offset::ZERO,
        segment_base: Offset::ZERO,
        cleaned_to: Offset::ZERO,
        position: 100,
        span_start: 0,
        span_crc: 0,
    }
}

/// The watermark journal: it opens whatever its files hold, and keeps what is written then.
pub fn journal(data: &[u8]) {
    let mut input = Input::new(data);
    let (vfs, shared) = disk();
    for _ in 0..1 + input.u8() % 3 {
        let generation = generation(&mut input);
        write(
            &vfs,
            &format!("watermarks.{generation}"),
            &framed(&mut input, generation),
        );
    }
    let own = Path::new(OWN_DIR);
    let (mut journal, before) = match Journal::open(&shared, own) {
        Err(OpenDiskError::Foreign { .. }) => return,
        opened => opened.expect("it opens"),
    };
    let entries = [any_watermark(0, 10), any_watermark(1, 20)];
    journal.append_entries(&entries).expect("a good disk");
    let run = Run {
        boot_id: [3; 16],
        epoch: 2,
        started_ms: 9,
    };
    journal.mark_open(run).expect("a good disk");
    drop(journal);
    let (mut journal, after) = Journal::open(&shared, own).expect("it opens");
    assert_eq!((after.boot_id, after.run), (Some([3; 16]), Some(run)));
    assert!(!after.is_clean && after.exists);
    for entry in entries {
        assert_eq!(after.watermarks.get(&entry.partition), Some(&entry));
    }
    let kept = before.watermarks.iter().all(|(partition, known)| {
        after
            .watermarks
            .get(partition)
            .is_some_and(|now| now.durable_end >= known.durable_end)
    });
    assert!(kept, "what was known stays known");
    journal.mark_clean(&entries).expect("a good disk");
    drop(journal);
    let (_, last) = Journal::open(&shared, own).expect("it opens");
    assert!(last.is_clean);
    assert_eq!(last.watermarks.len(), entries.len());
}

/// The pair of metadata files: it opens whatever they hold, and keeps what is committed then.
pub fn metadata(data: &[u8]) {
    let mut input = Input::new(data);
    let (vfs, shared) = disk();
    for _ in 0..1 + input.u8() % 2 {
        let generation = generation(&mut input);
        let both = input.u8();
        let bytes = framed(&mut input, generation);
        if both & 1 == 0 {
            write(&vfs, &format!("metadata.a.{generation}"), &bytes);
        }
        if both & 2 == 0 {
            let mut copy = bytes;
            for _ in 0..both >> 6 {
                let at = usize::from(input.u16()) % copy.len().max(1);
                if let Some(byte) = copy.get_mut(at) {
                    *byte ^= input.u8();
                }
            }
            write(&vfs, &format!("metadata.b.{generation}"), &copy);
        }
    }
    let key = Key::space(Space::Node).part(b"fuzz");
    let value = Bytes::from_static(b"kept");
    let open = || {
        let fatal = Arc::new(|failure: &storage::StorageFailure| panic!("{failure}"));
        DiskMetadata::open(&shared, Path::new(OWN_DIR), fatal)
    };
    let first = match open() {
        // A number that leaves no room for another.
        Err(OpenDiskError::Foreign { .. }) => return,
        opened => opened.expect("it opens"),
    };
    let version = first
        .get_now(&key)
        .map(|row| row.version)
        .unwrap_or_default();
    let write = Write {
        key: key.clone(),
        value: Some(value.clone()),
    };
    let given = first.commit_blocking(&[(key.clone(), version)], &[write]);
    let given = given.expect("a good disk");
    assert!(given > version, "versions rise");
    first.close();
    drop(first);
    let second = open().expect("it opens");
    let row = second.get_now(&key).expect("what was committed is there");
    assert_eq!((row.value, row.version), (value, given));
    assert!(
        !second.report().is_damaged(),
        "the first start left it whole"
    );
}
