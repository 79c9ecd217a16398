//! [`OffsetMap`]: for each key its newest offset, in 24 bytes, whatever the key is (Kafka's
//! `SkimpyOffsetMap`).
//!
//! Keys are known by a hash of 128 bits. Takes the room that it is given and no more; when that is
//! full, it says so, and what it was told before stays true.

use records::Offset;

use super::key_hash::HashKey;

/// The hash, and the offset plus one; 0 stands for an empty slot.
type Slot = [u64; 3];

const SLOT_BYTES: usize = size_of::<Slot>();
/// At most so much of the slots is filled, or looking for a free one takes long.
const FILLED: (usize, usize) = (4, 5);

const _: () = assert!(SLOT_BYTES == 24);

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    hash_key: HashKey,
    slots: Vec<Slot>,
    entries: usize,
    entries_max: usize,
}

impl OffsetMap {
    /// A map that takes so much memory at most, and no more than so many keys need.
    pub(crate) fn new(bytes_max: usize, keys_max: usize, hash_key: HashKey) -> Self {
        let (filled, of) = FILLED;
        let needed = keys_max
            .saturating_mul(of)
            .div_ceil(filled)
            .saturating_add(1);
        let fit = bytes_max.checked_div(SLOT_BYTES).unwrap_or(0);
        let slots = needed.min(fit).max(2);
        let entries_max = slots.saturating_mul(filled).checked_div(of).unwrap_or(0);
        assert!(
            (1..slots).contains(&entries_max),
            "{entries_max} of {slots} slots are filled"
        );
        Self {
            hash_key,
            slots: vec![Slot::default(); slots],
            entries: 0,
            entries_max,
        }
    }

    /// Notes that a record with this key is at `offset`, which no other that was noted lies behind.
    /// `false`: there is no room for another key.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let (first, second) = self.hash_key.hash(key);
        let stored = stored(offset);
        let place = self.place_of(first, second);
        let Some(slot) = self.slots.get_mut(place) else {
            return false;
        };
        let [_, _, held] = *slot;
        assert!(
            held <= stored,
            "offsets come in their order, not {offset} behind"
        );
        if held == 0 {
            if self.entries >= self.entries_max {
                return false;
            }
            self.entries = self.entries.saturating_add(1);
        }
        *slot = [first, second, stored];
        true
    }

    /// The newest offset of a key; `None`: none was noted.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        let (first, second) = self.hash_key.hash(key);
        let [_, _, held] = *self.slots.get(self.place_of(first, second))?;
        let offset = i64::try_from(held.checked_sub(1)?).expect("it was an offset");
        Some(Offset::new(offset))
    }

    /// The slot of a hash: its own, or the free one where it belongs.
    fn place_of(&self, first: u64, second: u64) -> usize {
        let slots = u128::try_from(self.slots.len()).expect("a length fits 128 bits");
        let scaled = u128::from(first).saturating_mul(slots) >> u64::BITS;
        let mut place = usize::try_from(scaled).expect("below the number of slots");
        loop {
            match self.slots.get(place) {
                Some([_, _, 0]) => return place,
                Some([held_first, held_second, _])
                    if (*held_first, *held_second) == (first, second) =>
                {
                    return place;
                }
                Some(_) => place = place.saturating_add(1),
                // There is always a free slot.
                None => place = 0,
            }
        }
    }

    /// Keys that were noted.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries
    }
}

fn stored(offset: Offset) -> u64 {
    let offset = u64::try_from(offset.get()).expect("offsets begin at 0");
    offset.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clock::{Rng, SeededRng};

    use super::*;

    const KEY: HashKey = HashKey(1, 2);

    #[test]
    fn it_knows_the_newest_offset_of_each_key() {
        for seed in 0..20 {
            let rng = SeededRng::new(seed);
            let mut map = OffsetMap::new(1 << 20, 2000, KEY);
            let mut model = BTreeMap::new();
            for offset in 0..2000 {
                let key = rng.next_below(300).to_be_bytes();
                assert!(map.put(&key, Offset::new(offset)), "seed {seed}");
                model.insert(key, Offset::new(offset));
            }
            assert_eq!(map.len(), model.len(), "seed {seed}");
            for number in 0_u64..400 {
                let key = number.to_be_bytes();
                assert_eq!(map.get(&key), model.get(&key).copied(), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_full_one_takes_known_keys_and_forgets_nothing() {
        let mut map = OffsetMap::new(100 * SLOT_BYTES, usize::MAX, KEY);
        let taken = (0..200_i64).take_while(|n| map.put(&n.to_be_bytes(), Offset::new(*n)));
        let taken = i64::try_from(taken.count()).expect("few");
        assert_eq!(taken, 80);
        assert!(map.put(&3_i64.to_be_bytes(), Offset::new(500)));
        assert!(!map.put(b"another", Offset::new(501)));
        assert_eq!(map.get(&3_i64.to_be_bytes()), Some(Offset::new(500)));
        for number in (0..taken).filter(|number| *number != 3) {
            let found = map.get(&number.to_be_bytes());
            assert_eq!(found, Some(Offset::new(number)));
        }
        assert_eq!(map.get(b"another"), None);
    }

    #[test]
    fn it_takes_no_more_room_than_the_keys_need() {
        assert_eq!(OffsetMap::new(1 << 30, 8, KEY).slots.len(), 11);
        assert_eq!(OffsetMap::new(240, 8, KEY).slots.len(), 10);
        let mut least = OffsetMap::new(0, 0, KEY);
        assert!(least.put(b"a", Offset::ZERO));
        assert!(!least.put(b"b", Offset::new(1)));
        assert_eq!(least.get(b"a"), Some(Offset::ZERO));
    }
}
