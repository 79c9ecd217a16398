//! Batches, sequence numbers and the choice of a partition. What goes over the wire is tested in
//! `tests/producing.rs`.

use bytes::Bytes;
use records::{BatchHeader, Codec, Header, partition_for_key};

use super::batches::{OpenBatches, SealedBatch};
use super::{Acks, Identity, NewRecord, ProducerOptions};

const OPTIONS: ProducerOptions = ProducerOptions {
    acks: Acks::All,
    codec: Codec::None,
    batch_bytes: 1000,
};

fn batches(partitions: i32) -> OpenBatches {
    let identity = Some(Identity { id: 7, epoch: 3 });
    OpenBatches::new((0..partitions).collect(), identity, OPTIONS)
}

fn record<'a>(key: Option<&'a [u8]>, value: &'a [u8]) -> NewRecord<'a> {
    NewRecord {
        timestamp_ms: 5,
        key,
        value: Some(value),
        headers: &[],
    }
}

fn header(batch: &SealedBatch) -> BatchHeader {
    BatchHeader::parse(&batch.bytes).unwrap()
}

#[test]
fn sequences_go_on_from_batch_to_batch_and_wrap() {
    let mut open = batches(2);
    open.next_sequences_for_test(0, i32::MAX - 1);
    let mut sequences = Vec::new();
    for _ in 0..3 {
        for _ in 0..2 {
            assert!(open.append(Some(0), record(None, b"x")).unwrap().is_empty());
        }
        let sealed = open.seal_all().unwrap();
        let header = header(&sealed[0]);
        assert_eq!((header.producer_id, header.producer_epoch), (7, 3));
        sequences.push(header.base_sequence);
    }
    assert_eq!(sequences, [i32::MAX - 1, 0, 2]);
    open.append(Some(1), record(None, b"x")).unwrap();
    assert_eq!(
        header(&open.seal_all().unwrap()[0]).base_sequence,
        0,
        "each partition has its own"
    );
}

#[test]
fn a_batch_never_grows_past_its_size() {
    let mut open = batches(1);
    let headers = [Header::new("h", Bytes::from(vec![1; 90]))];
    let mut sealed = Vec::new();
    for _ in 0..50 {
        let value = [9; 100];
        let record = NewRecord {
            headers: &headers,
            ..record(Some(b"key"), &value)
        };
        sealed.extend(open.append(None, record).unwrap());
    }
    sealed.extend(open.seal_all().unwrap());
    assert_eq!(sealed.iter().map(|batch| batch.records).sum::<usize>(), 50);
    assert!(
        sealed
            .iter()
            .all(|batch| batch.bytes.len() <= OPTIONS.batch_bytes)
    );
    assert!(sealed.len() < 20, "batches are filled: {}", sealed.len());
    assert_eq!(open.buffered_bytes(), 0);
}

#[test]
fn a_record_larger_than_a_batch_goes_alone() {
    let mut open = batches(1);
    let large = vec![1; 5000];
    assert!(
        open.append(None, record(None, b"small"))
            .unwrap()
            .is_empty()
    );
    assert_eq!(open.append(None, record(None, &large)).unwrap().len(), 1);
    assert_eq!(
        open.append(None, record(None, b"small")).unwrap()[0].records,
        1
    );
}

#[test]
fn records_with_a_key_go_where_java_puts_them() {
    let mut open = batches(7);
    for key in [b"a".as_slice(), b"order-17", b"", b"\xff\x00"] {
        open.append(None, record(Some(key), b"x")).unwrap();
        let sealed = open.seal_all().unwrap();
        assert_eq!(
            sealed[0].partition,
            i32::try_from(partition_for_key(key, 7)).unwrap()
        );
    }
}

#[test]
fn records_without_a_key_fill_one_batch_and_then_the_next_partition() {
    let mut open = batches(3);
    let mut order = Vec::new();
    for _ in 0..100 {
        order.extend(open.append(None, record(None, &[7; 100])).unwrap());
    }
    let partitions: Vec<i32> = order.iter().map(|batch| batch.partition).collect();
    assert!(partitions.len() >= 6, "{partitions:?}");
    let expected: Vec<i32> = (0..3).cycle().take(partitions.len()).collect();
    assert_eq!(partitions, expected);
}
