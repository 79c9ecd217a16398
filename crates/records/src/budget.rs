//! How much memory opening batches may take.
//!
//! One budget is shared by all batches of a request (security note §4.3): a small compressed batch
//! can hold gigabytes, and a request holds many batches. A buffer that grows stands beside the one it
//! was for a moment, so at most twice the budget is held. Working memory of the codecs themselves is
//! fixed and comes on top: at most 8 MiB and 256 KiB for zstd's window, less for the others.

use crate::error::BatchError;

/// Bytes that opening batches may still produce.
#[derive(Debug, Clone)]
pub struct DecodeBudget {
    limit_bytes: usize,
    remaining_bytes: usize,
}

impl DecodeBudget {
    /// A budget of `max_bytes` decompressed bytes.
    #[must_use]
    pub const fn new(max_bytes: usize) -> Self {
        Self {
            limit_bytes: max_bytes,
            remaining_bytes: max_bytes,
        }
    }

    /// Bytes left.
    #[must_use]
    pub const fn remaining_bytes(&self) -> usize {
        self.remaining_bytes
    }

    /// Takes `bytes` out, or refuses and leaves the budget as it is.
    pub fn take(&mut self, bytes: usize) -> Result<(), BatchError> {
        self.remaining_bytes = self
            .remaining_bytes
            .checked_sub(bytes)
            .ok_or_else(|| self.exceeded())?;
        Ok(())
    }

    pub(crate) const fn exceeded(&self) -> BatchError {
        BatchError::BudgetExceeded {
            limit_bytes: self.limit_bytes,
        }
    }

    /// Makes room for `bytes` more in `out`, doubling but never past what the budget can fill.
    pub(crate) fn reserve(&self, out: &mut Vec<u8>, bytes: usize) {
        assert!(
            bytes <= self.remaining_bytes,
            "room is asked for within the budget"
        );
        if out.capacity().saturating_sub(out.len()) < bytes {
            let doubled = out.len().max(bytes);
            out.reserve_exact(doubled.min(self.remaining_bytes));
        }
    }
}
