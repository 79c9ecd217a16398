//! SipHash-2-4 with 128 bits: stands for a key of a record, where keeping the key itself would take
//! too much room.
//!
//! The two words of its own key are chance, so nobody can write two keys that are taken for one
//! (Kafka's `SkimpyOffsetMap` uses MD5, where that can be done). Algorithm and test vectors: Aumasson
//! and Bernstein, "SipHash: a fast short-input PRF".

/// What a hash is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashKey(pub(crate) u64, pub(crate) u64);

#[derive(Debug, Clone, Copy)]
struct Lanes(u64, u64, u64, u64);

impl Lanes {
    fn round(&mut self) {
        let Self(a, b, c, d) = self;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }

    fn take(&mut self, word: u64) {
        self.3 ^= word;
        self.round();
        self.round();
        self.0 ^= word;
    }

    fn finish(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        self.0 ^ self.1 ^ self.2 ^ self.3
    }
}

impl HashKey {
    /// The hash of these bytes.
    pub(crate) fn hash(self, bytes: &[u8]) -> (u64, u64) {
        let mut lanes = Lanes(
            self.0 ^ 0x736f_6d65_7073_6575,
            self.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            self.0 ^ 0x6c79_6765_6e65_7261,
            self.1 ^ 0x7465_6462_7974_6573,
        );
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            lanes.take(u64::from_be_bytes(*word).swap_bytes());
        }
        let mut last = [0; 8];
        for (target, byte) in last.iter_mut().zip(rest) {
            *target = *byte;
        }
        let [.., length] = &mut last;
        *length = u8::try_from(bytes.len() & 0xff).expect("eight bits");
        lanes.take(u64::from_be_bytes(last).swap_bytes());
        lanes.2 ^= 0xee;
        let first = lanes.finish();
        lanes.1 ^= 0xdd;
        (first, lanes.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the reference implementation: key 00 to 0f, messages 00 01 02 … of each length.
    #[test]
    fn it_is_the_hash_of_the_paper() {
        let key = HashKey(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let expected = [
            "a3817f04ba25a8e66df67214c7550293",
            "da87c1d86b99af44347659119b22fc45",
            "8177228da4a45dc7fca38bdef60affe4",
            "9c70b60c5267a94e5f33b6b02985ed51",
            "f88164c12d9c8faf7d0f6e7c7bcd5579",
            "1368875980776f8854527a07690e9627",
            "14eeca338b208613485ea0308fd7a15e",
            "a1f1ebbed8dbc153c0b84aa61ff08239",
            "3b62a9ba6258f5610f83e264f31497b4",
        ];
        let message: Vec<u8> = (0..64).collect();
        for (length, expected) in expected.iter().enumerate() {
            let (first, second) = key.hash(&message[..length]);
            let (first, second) = (first.swap_bytes(), second.swap_bytes());
            let found = format!("{first:016x}{second:016x}");
            assert_eq!(&found, expected, "{length} bytes");
        }
    }
}
