//! Values: golden bytes, round trips, and bytes that no build wrote.

use std::collections::BTreeMap;

use clock::{Rng, SeededRng};
use storage::TopicName;

use super::*;
use crate::keys;

fn golden(hex: &str) -> Bytes {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("hex");
    let byte = |pair: &[u8; 2]| digit(pair[0]) * 16 + digit(pair[1]);
    let (pairs, rest) = hex.trim().as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "two digits a byte");
    pairs
        .iter()
        .map(|pair| u8::try_from(byte(pair)).expect("two digits"))
        .collect()
}

const ID: TopicId = TopicId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);

fn topic_record() -> TopicRecord {
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    TopicRecord {
        id: ID,
        partitions: 3,
        partitions_made: 2,
        configs: BTreeMap::from(
            [("max.message.bytes", "2000"), ("segment.bytes", "1048576")].map(own),
        ),
    }
}

fn position() -> Position {
    Position {
        offset: Offset::new(42),
        leader_epoch: Some(7),
        committed_ms: 1_800_000_000_000,
        expires_ms: None,
        metadata: "né!".to_owned(),
    }
}

/// The files are only added to: data of every release must stay readable.
#[test]
fn bytes_are_those_on_disk() {
    let bytes = golden(include_str!("../../tests/golden/topic-record-v1.hex"));
    assert_eq!(topic_record().encode(), bytes);
    assert_eq!(TopicRecord::decode(&bytes), Ok(topic_record()));

    let bytes = golden(include_str!("../../tests/golden/deletion-record-v1.hex"));
    let deletion = DeletionRecord {
        name: TopicName::parse("orders.a").expect("a good name"),
        topic: topic_record(),
    };
    assert_eq!(deletion.encode(), bytes);
    assert_eq!(DeletionRecord::decode(&bytes), Ok(deletion));

    let bytes = golden(include_str!("../../tests/golden/position-v1.hex"));
    assert_eq!(position().encode(), bytes);
    assert_eq!(Position::decode(&bytes), Ok(position()));

    let bytes = golden(include_str!("../../tests/golden/position-v2.hex"));
    let expiring = Position {
        expires_ms: Some(1_800_000_060_000),
        ..position()
    };
    assert_eq!(expiring.encode(), bytes);
    assert_eq!(Position::decode(&bytes), Ok(expiring));

    let bytes = golden(include_str!("../../tests/golden/producer-ids-v1.hex"));
    assert_eq!(encode_next_producer_id(3000), bytes);
    assert_eq!(decode_next_producer_id(&bytes), Ok(3000));

    let bytes = golden(include_str!("../../tests/golden/cluster-id-v1.hex"));
    let id = "MkU3OEVBNTcwNTJENDM2Qg";
    assert_eq!(encode_cluster_id(id), bytes);
    assert_eq!(decode_cluster_id(&bytes), Ok(id.to_owned()));

    let bytes = golden(include_str!("../../tests/golden/broker-configs-v1.hex"));
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let configs = [
        ("log.segment.bytes", "1048576"),
        ("message.max.bytes", "2000"),
    ]
    .map(own);
    let configs = BTreeMap::from(configs);
    assert_eq!(encode_configs(&configs), bytes);
    assert_eq!(decode_configs(&bytes), Ok(configs));

    let bytes = golden(include_str!("../../tests/golden/broker-configs-key-v1.hex"));
    assert_eq!(*keys::broker_configs(Some(7)).as_bytes(), bytes);

    let bytes = golden(include_str!("../../tests/golden/group-configs-key-v1.hex"));
    assert_eq!(*keys::group_configs("a/b").as_bytes(), bytes);

    let bytes = golden(include_str!("../../tests/golden/position-key-v1.hex"));
    let key = keys::position("grüße", ID, 9);
    assert_eq!(*key.as_bytes(), bytes);
    assert_eq!(keys::topic_of_position(&key), Some(ID));
}

#[test]
fn an_unknown_leader_epoch_stays_unknown() {
    let unknown = Position {
        leader_epoch: None,
        ..position()
    };
    assert_eq!(Position::decode(&unknown.encode()), Ok(unknown));
}

/// Every decoder, by what it says of the bytes.
fn decode_all(bytes: &Bytes) -> [Result<(), UnreadableValue>; 5] {
    [
        TopicRecord::decode(bytes).map(|_| ()),
        DeletionRecord::decode(bytes).map(|_| ()),
        Position::decode(bytes).map(|_| ()),
        decode_next_producer_id(bytes).map(|_| ()),
        decode_cluster_id(bytes).map(|_| ()),
    ]
}

#[test]
fn a_newer_version_is_named_not_guessed() {
    let bytes = Bytes::from_static(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
    for outcome in decode_all(&bytes) {
        let error = outcome.expect_err("a newer version");
        assert!(
            matches!(
                error,
                UnreadableValue::Newer {
                    version: 3,
                    newest: 1 | 2,
                    ..
                }
            ),
            "{error}"
        );
    }
    for outcome in decode_all(&Bytes::from_static(&[0, 0, 0, 0])) {
        outcome.expect_err("a version that never was");
    }
}

#[test]
fn bytes_that_are_cut_or_too_long_are_refused() {
    let deletion = DeletionRecord {
        name: TopicName::parse("orders").expect("a good name"),
        topic: topic_record(),
    };
    let wholes = [
        topic_record().encode(),
        deletion.encode(),
        position().encode(),
        encode_next_producer_id(5),
    ];
    for (index, whole) in wholes.iter().enumerate() {
        assert_eq!(decode_all(whole)[index], Ok(()));
        for length in 0..whole.len() {
            let cut = whole.slice(..length);
            assert!(
                decode_all(&cut)[index].is_err(),
                "value {index} cut to {length}"
            );
        }
        let mut longer = whole.to_vec();
        longer.push(0);
        assert!(
            decode_all(&longer.into())[index].is_err(),
            "value {index} with a byte more"
        );
    }
}

#[test]
fn impossible_fields_are_refused() {
    let mut bytes = topic_record().encode().to_vec();
    bytes[25] = 4;
    TopicRecord::decode(&bytes.into()).expect_err("4 of 3 partitions made");
    decode_next_producer_id(&encode_next_producer_id(-1)).expect_err("a negative id");
    let mut bytes = encode_cluster_id("abc").to_vec();
    bytes[2] = 0xff;
    decode_cluster_id(&bytes.into()).expect_err("not text");
}

#[test]
fn noise_never_panics() {
    let seed = 11;
    println!("seed {seed}");
    let rng = SeededRng::new(seed);
    for _ in 0..20_000 {
        let length = usize::try_from(rng.next_below(80)).expect("small");
        let mut bytes = vec![0; length];
        rng.fill(&mut bytes);
        if let [high, low, ..] = bytes.as_mut_slice() {
            (*high, *low) = (0, 1);
        }
        let _ = decode_all(&bytes.into());
    }
}
