//! Which partition a key belongs to, as Kafka's Java client decides it.
//!
//! Clients and gRPC must agree, or one key would end in two partitions.

const SEED: u32 = 0x9747_b28c;
const MIX: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The 32-bit hash of a key (MurmurHash2 with Kafka's seed).
#[must_use]
pub fn murmur2(key: &[u8]) -> i32 {
    // Java's length is an int; a longer key cannot exist there.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut mixed = little_endian(*word).wrapping_mul(MIX);
        mixed ^= mixed.wrapping_shr(SHIFT);
        hash = hash.wrapping_mul(MIX) ^ mixed.wrapping_mul(MIX);
    }
    if !tail.is_empty() {
        let mut word = [0; 4];
        for (target, source) in word.iter_mut().zip(tail) {
            *target = *source;
        }
        hash = (hash ^ little_endian(word)).wrapping_mul(MIX);
    }
    hash ^= hash.wrapping_shr(13);
    hash = hash.wrapping_mul(MIX);
    hash ^= hash.wrapping_shr(15);
    hash.cast_signed()
}

/// The partition of `key` among `partitions`; 0 when there are none to choose from.
#[must_use]
pub fn partition_for_key(key: &[u8], partitions: u32) -> u32 {
    let positive = murmur2(key).cast_unsigned() & i32::MAX.cast_unsigned();
    positive.checked_rem(partitions).unwrap_or(0)
}

#[expect(
    clippy::little_endian_bytes,
    reason = "the hash is defined over little-endian words"
)]
const fn little_endian(word: [u8; 4]) -> u32 {
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests;
