//! Batches of all kinds, opened one at a time.

use super::*;
use records::{BatchBuilder, Codec};

/// A batch of records with these values, placed at `base`.
fn batch(base: i64, codec: Codec, values: &[&str]) -> BytesMut {
    let mut builder = BatchBuilder::new(codec);
    for value in values {
        let added = builder.append(7, None, Some(value.as_bytes()), &[]);
        added.expect("a small record");
    }
    let built = builder.build().expect("records were added");
    let mut bytes = BytesMut::from(&*built.into_bytes());
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes
}

/// The header's attributes are inside the CRC, which is not looked at here.
fn control(base: i64) -> BytesMut {
    let mut bytes = batch(base, Codec::None, &["marker"]);
    bytes[22] |= 0b10_0000;
    bytes
}

fn join(batches: &[BytesMut]) -> Bytes {
    batches.concat().into()
}

fn drain(ahead: &mut ReadAhead) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    while let Some(record) = ahead.next_record().expect("good batches") {
        let value = record.value.expect("values are there");
        let value = String::from_utf8(value.to_vec()).expect("text");
        found.push((record.offset.get(), value));
        assert_eq!(ahead.next_offset(), record.offset.plus(1));
    }
    found
}

#[test]
fn batches_of_all_codecs_are_opened_in_order() {
    let codecs = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];
    let batches: Vec<_> = (0..)
        .zip(codecs)
        .map(|(index, codec)| batch(index * 2, codec, &["a", "b"]))
        .collect();
    let mut ahead = ReadAhead::starting_at(Offset::ZERO);
    ahead.fill(vec![join(&batches[..2]), join(&batches[2..])]);
    let expected: Vec<_> = (0..10)
        .map(|offset| (offset, if offset % 2 == 0 { "a" } else { "b" }.to_owned()))
        .collect();
    assert_eq!(drain(&mut ahead), expected);
    assert_eq!(ahead.next_offset(), Offset::new(10));
}

#[test]
fn records_before_the_start_and_control_batches_are_left_out() {
    let batches = [
        batch(0, Codec::Zstd, &["a", "b"]),
        batch(2, Codec::Zstd, &["c", "d", "e"]),
        control(5),
        batch(6, Codec::None, &["f"]),
        control(7),
    ];
    let mut ahead = ReadAhead::starting_at(Offset::new(3));
    ahead.fill(vec![join(&batches)]);
    let expected = [(3, "d"), (4, "e"), (6, "f")].map(|(at, value)| (at, value.to_owned()));
    assert_eq!(drain(&mut ahead), expected);
    // Behind the marker, so that the next read does not bring it again.
    assert_eq!(ahead.next_offset(), Offset::new(8));
}

#[test]
fn a_batch_is_opened_when_its_first_record_is_asked_for() {
    let junk = {
        let mut bytes = batch(1, Codec::Zstd, &["b"]);
        let last = bytes.len() - 1;
        bytes[last] ^= 0xff;
        bytes[70] ^= 0xff;
        bytes
    };
    let mut ahead = ReadAhead::starting_at(Offset::ZERO);
    ahead.fill(vec![join(&[batch(0, Codec::None, &["a"]), junk])]);
    let first = ahead.next_record().expect("a good batch");
    assert_eq!(first.expect("a record").offset, Offset::ZERO);
    let unreadable = ahead.next_record().expect_err("junk");
    assert_eq!(unreadable.from, Offset::new(1));
    assert_eq!(unreadable.next, Offset::new(2));
}

#[test]
fn damage_is_an_error_and_not_a_panic() {
    let whole = batch(4, Codec::None, &["a", "b"]);
    for length in 1..whole.len() {
        let mut ahead = ReadAhead::starting_at(Offset::new(4));
        ahead.fill(vec![Bytes::copy_from_slice(&whole[..length])]);
        let unreadable = ahead.next_record().expect_err("a part of a batch");
        assert_eq!(unreadable.from, Offset::new(4));
    }
}

mod files {
    use std::io::ErrorKind;
    use std::path::Path;
    use std::sync::Arc;

    use vfs::{DiskError, Fault, OpenMode, Operation, SimVfs, Vfs};

    use super::*;

    const SIZE_BYTES: usize = 300 * 1024;

    /// A chunk of a file whose bytes count up, from byte 7 on.
    fn chunk_of(vfs: &SimVfs) -> Chunk {
        let file = vfs
            .open(Path::new("segment"), OpenMode::CreateNew)
            .expect("it is new");
        let bytes: Vec<u8> = (0..=250).cycle().take(SIZE_BYTES).collect();
        vfs::write_all_at(&*file, &bytes, 0).expect("there is room");
        Chunk::File {
            file: Arc::clone(&file),
            at: 7,
            size_bytes: SIZE_BYTES - 7,
        }
    }

    fn expected() -> Vec<u8> {
        (0..=250).cycle().take(SIZE_BYTES).skip(7).collect()
    }

    #[tokio::test]
    async fn a_range_of_a_file_is_loaded_from_memory_or_from_the_disk() {
        for is_cold in [false, true] {
            let vfs = SimVfs::new();
            let chunk = chunk_of(&vfs);
            vfs.set_cold(is_cold);
            assert_eq!(load(chunk).await.expect("readable"), expected());
        }
    }

    #[tokio::test]
    async fn short_reads_are_gone_on_with() {
        let vfs = SimVfs::new();
        let chunk = chunk_of(&vfs);
        vfs.inject(Fault::short(Operation::Read, 1000).nth_and_later(1));
        assert_eq!(load(chunk).await.expect("readable"), expected());
    }

    #[tokio::test]
    async fn a_file_that_ends_early_or_fails_is_an_error() {
        let vfs = SimVfs::new();
        let chunk = chunk_of(&vfs);
        if let Chunk::File { file, .. } = &chunk {
            file.set_size(1000).expect("it shrinks");
        }
        let error = load(chunk).await.expect_err("too short");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let vfs = SimVfs::new();
        let failing = chunk_of(&vfs);
        vfs.set_cold(true);
        vfs.inject(Fault::fail(Operation::Read, DiskError::Io).nth_and_later(1));
        load(failing).await.expect_err("the disk fails");
    }
}
