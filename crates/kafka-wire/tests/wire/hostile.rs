//! Bytes that lie: no panic, no allocation beyond the budget, an error that says why.

use crate::allocator::allocated_by;
use crate::codecs;
use crate::schema::{self, Builder, Chance, Counts};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_wire::messages::{DeleteTopicsRequest, MetadataRequest};
use kafka_wire::{DecodeFault, Message, Reader, SLACK_BYTES};

/// Raw values for a count. As a compact count each stands for one less.
const LIES: [u32; 16] = [
    0,
    1,
    2,
    3,
    5,
    17,
    100,
    127,
    128,
    10_001,
    32_768,
    65_535,
    1_000_001,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];

/// Decodes within the memory budget, whatever the bytes are.
fn decode_bounded(codec: &codecs::Codec, bytes: Vec<u8>, version: i16) -> Option<usize> {
    let bytes = Bytes::from(bytes);
    let length = bytes.len();
    // The first clone of `Bytes` made from a vector allocates its counters: do it outside.
    let frame = bytes.clone();
    let (allocated, outcome) = allocated_by(|| (codec.decode)(frame, version));
    // Short frames must stay far below the slack: even all elements that fit them take little.
    let slack = if length <= 1_024 { 8_192 } else { SLACK_BYTES };
    let limit = length * Reader::BUDGET_FACTOR + slack;
    assert!(
        allocated <= limit,
        "{} {} version {version}: {allocated} bytes for a frame of {length}: {bytes:?}",
        codec.api,
        codec.side
    );
    outcome.ok()
}

#[test]
fn every_lying_count_is_survived_within_the_budget() {
    let apis = schema::apis();
    let mut lies = 0_u64;
    for codec in codecs::all() {
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec.versions.clone() {
            for seed in 0..12 {
                let built = Builder::new(message, version, seed).build();
                for count in &built.counts {
                    for value in LIES {
                        decode_bounded(&codec, built.lie(count, value), version);
                        lies += 1;
                    }
                }
            }
        }
    }
    assert!(lies > 100_000, "only {lies}");
}

#[test]
fn a_huge_count_is_refused_before_anything_is_allocated_for_it() {
    let apis = schema::apis();
    for codec in codecs::all() {
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec.versions.clone() {
            for seed in 0..12 {
                let built = Builder::new(message, version, seed).build();
                for count in built.counts.iter().filter(|c| c.counts == Counts::Elements) {
                    for value in [999_999, 1_000_002, 0x7fff_ffff] {
                        let bytes = Bytes::from(built.lie(count, value));
                        let error = (codec.decode)(bytes, version).expect_err("a lie");
                        let refused = matches!(
                            error.fault,
                            DecodeFault::Count { .. } | DecodeFault::CountLimit { .. }
                        );
                        assert!(refused, "{} {version} seed {seed}: {error}", codec.api);
                    }
                }
            }
        }
    }
}

#[test]
fn noise_never_panics_and_stays_within_the_budget() {
    let mut chance = Chance::new(0x0771a);
    for codec in codecs::all() {
        for version in codec.versions.clone() {
            for _ in 0..400 {
                let length = chance.below(200);
                let mut noise = chance.bytes(length);
                // Small numbers reach deeper: most counts and lengths then look possible.
                if chance.one_in(2) {
                    for byte in &mut noise {
                        *byte %= 4;
                    }
                }
                decode_bounded(&codec, noise, version);
            }
        }
    }
}

#[test]
fn flipped_bytes_never_panic_and_what_still_decodes_encodes() {
    let apis = schema::apis();
    let mut chance = Chance::new(0xf11b);
    let mut decoded = 0_u64;
    for codec in codecs::all() {
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec.versions.clone() {
            for seed in 0..40 {
                let mut bytes = Builder::new(message, version, seed).build().bytes;
                for _ in 0..=chance.below(3) {
                    if !bytes.is_empty() {
                        let place = chance.below(bytes.len());
                        bytes[place] = chance.next().to_be_bytes()[0];
                    }
                }
                if decode_bounded(&codec, bytes.clone(), version).is_some() {
                    (codec.recode)(Bytes::from(bytes), version).expect("it decoded before");
                    decoded += 1;
                }
            }
        }
    }
    assert!(decoded > 1_000, "only {decoded}");
}

/// A Metadata request of version 0 with names of one length.
fn metadata_v0(topics: u32, name: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u32(topics);
    for _ in 0..topics {
        bytes.put_u16(u16::try_from(name.len()).expect("short"));
        bytes.put_slice(name.as_bytes());
    }
    bytes.freeze()
}

#[test]
fn true_counts_of_tiny_elements_meet_the_memory_budget() {
    let frame = metadata_v0(500_000, "");
    let length = frame.len();
    let (allocated, outcome) =
        allocated_by(|| MetadataRequest::decode(&mut Reader::new(frame.clone()), 0));
    let error = outcome.expect_err("16 MB of structs from 1 MB of frame");
    assert!(matches!(error.fault, DecodeFault::Budget { .. }), "{error}");
    assert!(allocated <= length * 4, "{allocated} of {length}");

    let mut trusted = Reader::new(frame).with_budget(64 << 20);
    let decoded = MetadataRequest::decode(&mut trusted, 0).expect("the budget was raised");
    assert_eq!(decoded.topics.map(|topics| topics.len()), Some(500_000));
}

#[test]
fn honest_requests_with_short_names_fit_the_budget() {
    for (topics, name) in [
        (1, "t"),
        (2_000, "t"),
        (6_000, "t123"),
        (200_000, "topic-1"),
    ] {
        let frame = metadata_v0(topics, name);
        let decoded = MetadataRequest::decode(&mut Reader::new(frame), 0).expect(name);
        assert_eq!(
            decoded.topics.map(|topics| topics.len()),
            Some(topics as usize)
        );
    }
}

#[test]
fn nested_arrays_share_one_budget() {
    let apis = schema::apis();
    for codec in codecs::all() {
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec.versions.clone() {
            let mut builder = Builder::new(message, version, 7);
            builder.elements_max = 40;
            let built = builder.build();
            decode_bounded(&codec, built.bytes, version).expect("an honest message fits");
        }
    }
}

#[test]
fn too_many_tagged_fields_are_refused() {
    let mut frame = BytesMut::new();
    frame.put_u8(1); // no topic names
    frame.put_i32(1_000);
    frame.put_slice(&[0x91, 0x4e]); // 10,001 tagged fields
    frame.put_bytes(0, 30_000);
    let error = DeleteTopicsRequest::decode(&mut Reader::new(frame.freeze()), 4).expect_err("many");
    assert_eq!(
        error.fault,
        DecodeFault::CountLimit {
            count: 10_001,
            limit: 10_000
        }
    );
}

#[test]
fn a_tagged_field_must_end_where_its_size_says() {
    let apis = schema::apis();
    let mut found = 0;
    for codec in codecs::all() {
        let message = schema::message(&apis, codec.api, codec.side);
        for version in codec.versions.clone() {
            for seed in 0..40 {
                let built = Builder::new(message, version, seed).build();
                for count in built.counts.iter().filter(|c| c.counts == Counts::TagBytes) {
                    let [size] = built.bytes[count.place.clone()] else {
                        continue;
                    };
                    if size == 0x7f {
                        continue;
                    }
                    // One byte more inside: the size grows, the content gets a byte behind it.
                    let mut bytes = built.lie(count, u32::from(size) + 1);
                    bytes.insert(count.place.end + usize::from(size), 0);
                    let outcome = (codec.decode)(Bytes::from(bytes), version);
                    outcome.expect_err("a byte too many inside a known tagged field");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 100, "only {found}");
}
