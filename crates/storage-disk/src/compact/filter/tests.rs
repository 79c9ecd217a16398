//! Which records stay, batch by batch.

use records::{BatchBuilder, Codec};

use super::*;
use crate::compact::key_hash::HashKey;

const NOW_MS: i64 = 1_700_000_000_000;
const RETENTION_MS: i64 = 1000;
const PRODUCER: i64 = 9;

/// A key and a value, each of which may be missing.
type Made = (Option<&'static str>, Option<&'static str>);

fn batch(base: i64, codec: Codec, made: &[Made]) -> (BatchHeader, Bytes) {
    let mut builder = BatchBuilder::new(codec).producer(PRODUCER, 0, 0);
    for (key, value) in made {
        let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
        builder
            .append(NOW_MS - 5000, key, value, &[])
            .expect("a small record");
    }
    let mut batch = builder.build().expect("a small batch");
    batch.place(Offset::new(base), 1);
    (*batch.header(), batch.into_bytes())
}

fn of(bytes: &Bytes) -> BatchHeader {
    BatchHeader::parse(bytes).expect("a batch")
}

fn left(bytes: &Bytes) -> Vec<i64> {
    let mut budget = DecodeBudget::new(1 << 20);
    let opened = records(bytes, &mut budget).expect("it opens");
    let offsets = opened.map(|record| record.expect("a good record").offset.get());
    offsets.collect()
}

struct Setting {
    newest: OffsetMap,
    mapped_to: Offset,
    now_ms: Option<i64>,
    producers: BTreeMap<i64, Offset>,
    keeps_tombstones: bool,
}

impl Setting {
    /// The newest offsets of keys, and up to where they are known.
    fn new(newest: &[(&str, i64)], mapped_to: i64) -> Self {
        let mut map = OffsetMap::new(1 << 20, 100, HashKey(3, 4));
        for (key, offset) in newest {
            assert!(map.put(key.as_bytes(), Offset::new(*offset)));
        }
        Self {
            newest: map,
            mapped_to: Offset::new(mapped_to),
            now_ms: Some(NOW_MS),
            producers: BTreeMap::new(),
            keeps_tombstones: false,
        }
    }

    fn at(self, now_ms: Option<i64>) -> Self {
        Self { now_ms, ..self }
    }

    fn look(&self, (header, bytes): &(BatchHeader, Bytes)) -> Filtered {
        let filter = Filter {
            newest: &self.newest,
            mapped_to: self.mapped_to,
            now_ms: self.now_ms,
            delete_retention_ms: RETENTION_MS,
            producers: &self.producers,
            keeps_tombstones: self.keeps_tombstones,
        };
        filter.look_at(header, bytes)
    }
}

fn becomes(filtered: &Filtered) -> Bytes {
    match &filtered.fate {
        Fate::Becomes(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_record_of_each_key_stays() {
    let made = [
        (Some("a"), Some("1")),
        (Some("b"), Some("2")),
        (Some("a"), Some("3")),
    ];
    for codec in Codec::ALL {
        let batch = batch(10, codec, &made);
        // Nothing newer: the older one of `a` in the same batch goes all the same.
        let filtered = Setting::new(&[("b", 11), ("a", 12)], 13).look(&batch);
        assert_eq!(left(&becomes(&filtered)), [11, 12], "{codec}");
        assert_eq!(filtered.removed, 1);
        // Keys that nobody knows anything newer of.
        let filtered = Setting::new(&[], 13).look(&batch);
        assert_eq!(filtered.fate, Fate::Stays, "{codec}");
        let filtered = Setting::new(&[("b", 20), ("a", 21)], 30).look(&batch);
        assert_eq!((filtered.fate, filtered.removed), (Fate::Goes, 3));
    }
}

#[test]
fn what_the_map_does_not_speak_of_stays() {
    let made = [
        (Some("a"), Some("1")),
        (Some("a"), Some("2")),
        (None, Some("3")),
    ];
    let batch = batch(10, Codec::None, &made);
    let filtered = Setting::new(&[("a", 10)], 11).look(&batch);
    assert_eq!(filtered.fate, Fate::Stays);
}

#[test]
fn records_without_key_go() {
    let made = [(None, Some("1")), (Some("a"), Some("2"))];
    let batch = batch(10, Codec::None, &made);
    let filtered = Setting::new(&[], 13).look(&batch);
    assert_eq!(left(&becomes(&filtered)), [11]);
}

#[test]
fn a_tombstone_gets_a_horizon_and_goes_once_it_is_past() {
    let made = [(Some("a"), None), (Some("b"), Some("1"))];
    let first = batch(10, Codec::Snappy, &made);
    let setting = Setting::new(&[("a", 10), ("b", 11)], 12);
    let filtered = setting.look(&first);
    let marked = becomes(&filtered);
    assert_eq!((left(&marked), filtered.removed), (vec![10, 11], 0));
    let header = of(&marked);
    assert!(header.attributes.has_delete_horizon());
    assert_eq!(header.base_timestamp_ms, NOW_MS + RETENTION_MS);
    let marked = (header, marked);
    // (the time, what is left)
    let cases = [
        (None, None),
        (Some(NOW_MS + RETENTION_MS - 1), None),
        (Some(NOW_MS + RETENTION_MS), Some(vec![11])),
        (Some(NOW_MS + 9 * RETENTION_MS), Some(vec![11])),
    ];
    for (now_ms, expected) in cases {
        let filtered = Setting::new(&[], 12).at(now_ms).look(&marked);
        match expected {
            None => assert_eq!(filtered.fate, Fate::Stays, "{now_ms:?}"),
            Some(offsets) => assert_eq!(left(&becomes(&filtered)), offsets, "{now_ms:?}"),
        }
    }
    // Without a time nobody says until when.
    assert_eq!(setting.at(None).look(&first).fate, Fate::Stays);
}

#[test]
fn a_tombstone_stays_while_what_it_deletes_may_be_there() {
    let first = batch(10, Codec::None, &[(Some("a"), None)]);
    let marked = becomes(&Setting::new(&[], 12).look(&first));
    let marked = (of(&marked), marked);
    let mut setting = Setting::new(&[], 12).at(Some(NOW_MS + 9 * RETENTION_MS));
    setting.keeps_tombstones = true;
    assert_eq!(setting.look(&marked).fate, Fate::Stays);
    setting.keeps_tombstones = false;
    assert_eq!(setting.look(&marked).fate, Fate::Goes);
}

#[test]
fn the_last_batch_of_a_producer_stays_without_its_records() {
    let made = [(Some("a"), Some("1")), (Some("a"), Some("2"))];
    let batch = batch(10, Codec::Zstd, &made);
    let mut setting = Setting::new(&[("a", 50)], 60);
    setting.producers.insert(PRODUCER, Offset::new(11));
    let empty = becomes(&setting.look(&batch));
    let header = of(&empty);
    assert_eq!((header.record_count, header.last_offset().get()), (0, 11));
    assert_eq!((header.producer_id, header.last_sequence()), (PRODUCER, 1));
    let empty = (header, empty);
    assert_eq!(setting.look(&empty).fate, Fate::Stays);
    // It wrote something newer since.
    setting.producers.insert(PRODUCER, Offset::new(70));
    assert_eq!(setting.look(&empty).fate, Fate::Goes);
    assert_eq!(setting.look(&batch).fate, Fate::Goes);
}

#[test]
fn what_cannot_be_opened_stays_and_says_so() {
    let (header, bytes) = batch(10, Codec::Lz4, &[(Some("a"), Some("1"))]);
    let mut torn = bytes.to_vec();
    let last = torn.len() - 1;
    torn.truncate(last);
    let torn = (header, Bytes::from(torn));
    let filtered = Setting::new(&[("a", 50)], 60).look(&torn);
    assert_eq!(filtered.fate, Fate::Stays);
    assert!(filtered.unopened.is_some());
    let mut map = OffsetMap::new(1 << 20, 100, HashKey(3, 4));
    assert!(note_keys(&mut map, &torn.0, &torn.1, Offset::ZERO).is_err());
}

#[test]
fn keys_are_noted_from_an_offset_on_and_while_there_is_room() {
    let made = [
        (Some("a"), Some("1")),
        (None, Some("2")),
        (Some("b"), None),
        (Some("c"), Some("3")),
    ];
    let (header, bytes) = batch(10, Codec::Gzip, &made);
    let mut map = OffsetMap::new(1 << 20, 100, HashKey(3, 4));
    let noted = note_keys(&mut map, &header, &bytes, Offset::new(11));
    assert_eq!(noted, Ok(None));
    assert_eq!(
        (map.get(b"a"), map.get(b"b")),
        (None, Some(Offset::new(12)))
    );
    let mut small = OffsetMap::new(0, 100, HashKey(3, 4));
    let noted = note_keys(&mut small, &header, &bytes, Offset::ZERO);
    assert_eq!(noted, Ok(Some(Offset::new(12))));
}
