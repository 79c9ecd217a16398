//! What an operator chooses: where the data is, and what an acknowledgement promises.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// `interval` without a number.
const DEFAULT_INTERVAL: Duration = Duration::from_millis(10);

/// What a record survives once it is acknowledged under acks=all, or visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Synced before: it survives a power cut.
    #[default]
    Fsync,
    /// Written to the operating system, synced this often: a power cut may take that much.
    Interval(Duration),
    /// Written to the operating system, which writes it back when it likes.
    Os,
}

/// Why a text is not a durability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("durability {0:?} is not known; choose fsync, interval=<number>ms or os")]
pub struct UnknownDurability(String);

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownDurability(text.to_owned());
        match text {
            "fsync" => Ok(Self::Fsync),
            "os" => Ok(Self::Os),
            "interval" => Ok(Self::Interval(DEFAULT_INTERVAL)),
            _ => {
                let interval = text.strip_prefix("interval=").ok_or_else(unknown)?;
                let (digits, unit_ms) = match interval.strip_suffix("ms") {
                    Some(digits) => (digits, 1),
                    None => (interval.strip_suffix('s').ok_or_else(unknown)?, 1000),
                };
                let count: u32 = digits.parse().map_err(|_not_a_number| unknown())?;
                if count == 0 {
                    return Err(unknown());
                }
                Ok(Self::Interval(Duration::from_millis(
                    u64::from(count).saturating_mul(unit_ms),
                )))
            }
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fsync => f.write_str("fsync"),
            Self::Interval(interval) => write!(f, "interval={}ms", interval.as_millis()),
            Self::Os => f.write_str("os"),
        }
    }
}

/// How a data directory is opened.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// Below this much room appends are refused; 0 turns the check off.
    pub min_free_bytes: u64,
    /// How often it is asked which records are too old or too many.
    pub retention_check_interval: Duration,
    /// How many files of records are held open at most while nothing is written to them.
    pub open_files_max: usize,
    /// How fast the scrub reads at most; 0 turns it off.
    pub scrub_bytes_per_second: u64,
    /// How logs are compacted.
    pub compaction: CompactionOptions,
}

/// What compacting may take, and how often it is asked what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionOptions {
    /// Without it, nothing is compacted.
    pub enabled: bool,
    /// The memory that it may take.
    pub dedupe_bytes: usize,
    /// How fast it reads and writes, both together; `None`: as fast as it can.
    pub bytes_per_second: Option<u64>,
    /// How long it sleeps when nothing is due.
    pub backoff: Duration,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            dedupe_bytes: 128 * 1024 * 1024,
            bytes_per_second: None,
            backoff: Duration::from_secs(15),
        }
    }
}

#[cfg(test)]
mod tests;
