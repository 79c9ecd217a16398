//! How batches are stored: as they came, or packed by the codec that the topic names.
//!
//! As in Kafka (`LogValidator`), a batch that has the codec already stays as it is, whatever its
//! level. Must not know: how a batch is packed.

use records::{Codec, Compression};

use crate::config::narrow;
use crate::config_keys::Value;

/// Kafka's name for "no codec" among the values of `compression.type`.
const UNCOMPRESSED: &str = "uncompressed";
/// The value of `compression.type` that keeps what the producer chose.
const PRODUCER: &str = "producer";

/// `compression.type` and the levels, which topics and brokers have under the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredCompression {
    /// The codec of all batches; `None`: whatever the producer chose.
    codec: Option<Codec>,
    gzip_level: i32,
    lz4_level: i32,
    zstd_level: i32,
}

impl Default for StoredCompression {
    fn default() -> Self {
        Self {
            codec: None,
            gzip_level: -1,
            lz4_level: 9,
            zstd_level: 3,
        }
    }
}

impl StoredCompression {
    /// What a batch that came with `source` is packed by anew; `None`: it stays as it is.
    pub fn target(&self, source: Codec) -> Option<Compression> {
        let codec = self.codec.filter(|codec| *codec != source)?;
        Some(match codec {
            Codec::None | Codec::Snappy => Compression::of(codec),
            Codec::Gzip => Compression::at_level(codec, self.gzip_level),
            Codec::Lz4 => Compression::at_level(codec, self.lz4_level),
            Codec::Zstd => Compression::at_level(codec, self.zstd_level),
        })
    }

    /// Takes a checked value, if the key is one of these.
    pub(crate) fn set(&mut self, name: &str, value: &Value) -> bool {
        match (name, value) {
            ("compression.type", Value::Text(name)) => self.codec = codec_of(name),
            ("compression.gzip.level", Value::Integer(level)) => self.gzip_level = narrow(*level),
            ("compression.lz4.level", Value::Integer(level)) => self.lz4_level = narrow(*level),
            ("compression.zstd.level", Value::Integer(level)) => self.zstd_level = narrow(*level),
            _ => return false,
        }
        true
    }

    /// The value of a key, if it is one of these.
    pub(crate) fn value_of(&self, name: &str) -> Option<String> {
        Some(match name {
            "compression.type" => match self.codec {
                None => PRODUCER.to_owned(),
                Some(Codec::None) => UNCOMPRESSED.to_owned(),
                Some(codec) => codec.name().to_owned(),
            },
            "compression.gzip.level" => self.gzip_level.to_string(),
            "compression.lz4.level" => self.lz4_level.to_string(),
            "compression.zstd.level" => self.zstd_level.to_string(),
            _ => return None,
        })
    }
}

/// The codec of a checked value; what names none keeps the producer's.
fn codec_of(name: &str) -> Option<Codec> {
    match name {
        UNCOMPRESSED => Some(Codec::None),
        name => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
