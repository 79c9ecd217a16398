//! Reads numbers and byte strings off the front of an input; what is missing is zero.
//!
//! Simpler for the fuzzer to steer than `Unstructured`, whose lengths stand at the other end.

/// The rest of an input.
#[derive(Debug, Clone)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most so many bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut number = [0; N];
        let bytes = self.bytes(N);
        number[..bytes.len()].copy_from_slice(bytes);
        number
    }

    pub fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.number())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.number())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.number())
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.number())
    }

    /// One of a few, by a byte.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.u8()) % choices.len()]
    }

    /// Bytes with their length in front.
    pub fn string(&mut self) -> &'a [u8] {
        let length = usize::from(self.u16());
        self.bytes(length)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
