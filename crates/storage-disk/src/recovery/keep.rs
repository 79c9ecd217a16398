//! What a recovery notes in quarantine lists: offsets that are gone, and the bytes of cuts.

use std::io;

use records::Offset;
use sabotage::{Safeguard, skips};
use vfs::File;

use super::{Label, Recovery};
use crate::position::Position;
use crate::quarantine::{Entry, KEPT_BYTES_MAX, List, cut_at};

/// Damage from `first` on; what follows tells its last offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hole {
    pub(super) base: Offset,
    pub(super) first: Offset,
    pub(super) position: Position,
    pub(super) end: Position,
    pub(super) label: Label,
}

impl Recovery<'_> {
    fn list(&mut self, base: Offset) -> &mut List {
        let (vfs, directory) = (self.vfs, self.directory);
        self.lists
            .entry(base)
            .or_insert_with(|| List::read(vfs, directory, base))
    }

    /// A new segment begins at `base`: what a list says of offsets from there on was of another, and
    /// what somebody accepted of that must not be taken for a loss of this.
    pub(super) fn forget_ranges_from(&mut self, base: Offset) {
        self.list(base).update(|entry| entry.last < base);
    }

    /// Begins a hole at damage; the one before ends where this one begins.
    pub(super) fn begin_hole(&mut self, hole: Hole) {
        self.end_hole(hole.first);
        self.hole = Some(hole);
    }

    /// The records go on at `next`. Whether a hole ended there.
    pub(super) fn end_hole(&mut self, next: Offset) -> bool {
        let Some(hole) = self.hole.take_if(|hole| hole.first < next) else {
            self.hole = None;
            return false;
        };
        let range = (hole.position, hole.end);
        self.quarantine(hole.base, (hole.first, next), range, hole.label);
        true
    }

    /// Notes that the offsets from `first` to before `next` cannot be read, in the list of the
    /// segment at `base`.
    pub(super) fn quarantine(
        &mut self,
        base: Offset,
        (first, next): (Offset, Offset),
        (position, end): (Position, Position),
        label: Label,
    ) {
        if first >= next {
            return;
        }
        let last = Offset::new(next.get().saturating_sub(1));
        let entry = Entry {
            first,
            last,
            position,
            end,
            label,
            accepted: false,
        };
        self.list(base).add(entry);
    }

    /// Keeps what is about to be cut from a file, durably, before it is cut.
    pub(super) fn keep_cut(
        &mut self,
        (base, file): (Offset, &dyn File),
        (position, end): (Position, Position),
        first: Offset,
        label: Label,
    ) -> io::Result<()> {
        let size_bytes = end.since(position);
        let size = u64::try_from(size_bytes).expect("a usize fits 64 bits");
        self.report.cut_bytes = self.report.cut_bytes.saturating_add(size);
        // A cut of zeros tells nobody anything.
        if label == Label::E || size_bytes == 0 || skips(Safeguard::CutBytesKept) {
            return Ok(());
        }
        let mut bytes = vec![0; size_bytes.min(KEPT_BYTES_MAX)];
        vfs::read_exact_at(file, &mut bytes, position.bytes())?;
        let (vfs, directory) = (self.vfs, self.directory);
        let list = self.list(base);
        list.keep(cut_at(first, (position, end), label), bytes);
        list.write(vfs, directory, base)
    }

    /// Writes the lists that say something new.
    pub(super) fn save_lists(&mut self) -> io::Result<()> {
        for (base, list) in std::mem::take(&mut self.lists) {
            if list != List::read(self.vfs, self.directory, base) {
                list.write(self.vfs, self.directory, base)?;
            }
        }
        Ok(())
    }
}
