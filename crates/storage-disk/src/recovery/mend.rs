//! Repairing heads before a segment is scanned, where its spans prove what was written.

use vfs::File;

use super::{Label, Recovery};
use crate::listing::LogFile;
use crate::mend::{Mender, Verdict, put_back};
use crate::names;
use crate::position::Position;
use crate::spans::{Stored, Stretch, owner_of};
use crate::walk::EpochRange;
use crate::window::Fault;

impl Recovery<'_> {
    /// Repairs the heads from `start` on that the spans of the segment prove, so that what was
    /// damaged below the watermark, or was written and not yet in the journal, is found good.
    pub(super) fn mend(
        &mut self,
        file: &dyn File,
        log: &LogFile,
        start: Position,
    ) -> Result<(), Fault> {
        let owner = owner_of(self.circumstances.partition, log.base);
        let stored = Stored::read(self.vfs, (self.directory, log.base), Some(owner));
        let mender = Mender {
            file,
            base: log.base,
            limit: log.size,
            epochs: EpochRange::up_to(self.circumstances.epoch_max),
        };
        let scanned = |span: &&Stretch| span.end > start && span.end <= log.size;
        let spans = stored.stretches.iter().filter(scanned);
        for span in spans.filter(|span| span.is_known()) {
            let Verdict::Mend(heads) = mender.judge(*span)? else {
                continue;
            };
            put_back(file, &heads)?;
            names::sync_data(file)?;
            for head in &heads {
                let (position, base) = (head.position, log.base);
                let what = format!("repaired the head of the batch at byte {position} of {base}");
                tracing::warn!("{}: {}", Label::I, self.describe(&what));
                self.report.count(Label::I);
            }
        }
        Ok(())
    }
}
