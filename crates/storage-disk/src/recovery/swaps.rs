//! Compactions that a crash interrupted: a segment that counts takes the place of the old ones.

use sabotage::{Safeguard, skips};

use super::{Floor, Label, Recovery};
use crate::compact::Swap;
use crate::listing::{self, Listing};
use crate::names;
use crate::window::Fault;

impl Recovery<'_> {
    /// Finishes what is to be finished, and lists the directory as it is then.
    pub(super) fn finish_swaps(&mut self, listing: Listing) -> Result<Listing, Fault> {
        if listing.swaps.is_empty() || skips(Safeguard::SwapFinish) {
            return Ok(listing);
        }
        // IMPORTANT: a process that was killed may have left a name that is in memory only.
        names::sync_dir(self.vfs, self.directory)?;
        for &swap in &listing.swaps {
            let what = format!("the segment from {} to {}", swap.base, swap.end);
            if !self.is_right(swap)? {
                let what = format!("{what} is not what a compaction writes, and is left aside");
                self.report.alarm(Label::M, self.describe(&what));
                swap.set_aside(self.vfs, self.directory)?;
                self.changed = true;
                continue;
            }
            let old = listing.logs.iter().map(|log| log.base);
            let beside = listing.indexes.iter().map(|(base, _)| *base);
            let bases = old.chain(beside).chain(listing.quarantines.iter().copied());
            swap.finish(self.vfs, self.directory, bases)?;
            tracing::info!("{}: {}", Label::R, self.describe(&what));
            self.report.count(Label::R);
        }
        Ok(listing::list(self.vfs, self.directory)?.unwrap_or_default())
    }

    /// Whether it may replace anything: it is whole, and lies before what a recovery begins to read.
    fn is_right(&self, swap: Swap) -> Result<bool, Fault> {
        if skips(Safeguard::SwapVerify) {
            return Ok(true);
        }
        let is_before = match self.circumstances.floor {
            Floor::Known { end, .. } => swap.end <= end.base,
            Floor::Unknown => true,
        };
        Ok(is_before && swap.is_whole(self.vfs, self.directory)?)
    }
}
