//! One log, compacted once: its newest keys are looked up, then its segments are written anew, the
//! oldest first, so that a tombstone never goes before what it deletes.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use records::{BatchHeader, Batches, Offset};
use storage::LogConfig;

use super::filter::{Fate, Filter, note_keys};
use super::offset_map::OffsetMap;
use super::output::Output;
use super::swap::Swap;
use super::{Cleaner, Source};
use crate::context::Context;
use crate::log::{Cleanable, DiskLog, Reading, Swapped};
use crate::position::Position;
use crate::window::Fault;

/// Of a batch without one.
const NO_LEADER_EPOCH: i32 = -1;

/// What a pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Something could not be written anew.
    Incomplete,
    /// The segments changed meanwhile: to be looked at again.
    Overtaken,
    /// The process ends.
    Stopped,
}

/// See the head of the module.
pub(super) struct Pass<'a> {
    pub(super) cleaner: &'a Cleaner,
    pub(super) context: &'a Context,
    pub(super) log: &'a DiskLog,
    pub(super) config: LogConfig,
    pub(super) now_ms: Option<i64>,
    pub(super) cleanable: Cleanable,
    /// Something was left as it is: what tombstones behind it delete may be in there.
    pub(super) left_some: bool,
}

/// Keys of the new records, and what comes of the rest.
struct Keys {
    newest: OffsetMap,
    mapped_to: Offset,
    producers: BTreeMap<i64, Offset>,
}

/// What became of a group of segments.
enum Group {
    Written,
    Left,
    Ended(Outcome),
}

impl Pass<'_> {
    pub(super) fn run(&mut self) -> Result<Outcome, Fault> {
        let Some(keys) = self.look_up()? else {
            return Ok(Outcome::Stopped);
        };
        let sources = self.log.sources_to(self.cleanable.end);
        let behind = |source: &Source| source.base >= keys.mapped_to;
        let sources: Vec<Source> = sources.into_iter().take_while(|it| !behind(it)).collect();
        for group in groups_of(&sources, self.config.segment_bytes) {
            match self.write_group(group, &keys)? {
                Group::Written => {}
                Group::Left => self.left_some = true,
                Group::Ended(outcome) => return Ok(outcome),
            }
        }
        if self.left_some {
            return Ok(Outcome::Incomplete);
        }
        self.log.note_compacted(keys.mapped_to)?;
        Ok(Outcome::Done)
    }

    /// Reads the new records; `None` at the stop.
    fn look_up(&mut self) -> Result<Option<Keys>, Fault> {
        let Cleanable {
            first_dirty, end, ..
        } = self.cleanable;
        let keys_max = usize::try_from(end.since(first_dirty)).unwrap_or(usize::MAX);
        let mut keys = Keys {
            newest: self.cleaner.new_map(keys_max),
            mapped_to: end,
            producers: self.log.last_of_producers()?,
        };
        let mut from = first_dirty;
        while from < end {
            from = match self.log.read_anew(from)? {
                Reading::Batches(bytes, next) => {
                    if let Some(full) = self.note_all(&mut keys.newest, &bytes) {
                        keys.mapped_to = full;
                        return Ok(Some(keys));
                    }
                    if !self.cleaner.spend(self.context, bytes.len(), 0) {
                        return Ok(None);
                    }
                    next
                }
                Reading::Damaged(next) => {
                    self.left_some = true;
                    next
                }
                Reading::Trimmed => {
                    let start = self.log.start_offset();
                    assert!(start > from, "a log that was trimmed begins later");
                    start
                }
            };
        }
        Ok(Some(keys))
    }

    /// The offset of the first record whose key found no room.
    fn note_all(&mut self, newest: &mut OffsetMap, bytes: &Bytes) -> Option<Offset> {
        for (header, batch) in batches_of(bytes) {
            match note_keys(newest, &header, &batch, self.cleanable.first_dirty) {
                Ok(None) => {}
                Ok(full) => return full,
                // It is met again when its segment is written.
                Err(_unopened) => self.left_some = true,
            }
        }
        None
    }

    fn write_group(&mut self, group: &[Source], keys: &Keys) -> Result<Group, Fault> {
        if group.iter().any(|source| source.is_damaged) {
            return Ok(Group::Left);
        }
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(Group::Written);
        };
        let size_bytes = group.iter().fold(0_usize, |sum, source| {
            sum.saturating_add(source.size.since(Position::ZERO))
        });
        self.context.space.take(size_bytes)?;
        let written = self.rewrite(group, (first.base, last.next), keys);
        if !matches!(written, Ok(Group::Written)) {
            self.drop_cleaned(first.base);
        }
        written
    }

    fn drop_cleaned(&self, base: Offset) {
        let cleaned = Swap::cleaned_path(&self.log.directory(), base);
        match self.context.vfs.remove_file(&cleaned) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %cleaned.display(), "it is removed at the next start");
            }
            _ => {}
        }
    }

    fn rewrite(
        &mut self,
        group: &[Source],
        (base, end): (Offset, Offset),
        keys: &Keys,
    ) -> Result<Group, Fault> {
        let (vfs, directory) = (&*self.context.vfs, self.log.directory());
        let interval_bytes = self.config.index_interval_bytes;
        let mut output = Output::create(vfs, &directory, (base, interval_bytes))?;
        let mut progress = Progress {
            next: base,
            removed: 0,
            changed: group.len() > 1,
        };
        while progress.next < end {
            let from = progress.next.max(self.log.start_offset());
            if from >= end {
                return Ok(Group::Ended(Outcome::Overtaken));
            }
            let bytes = match self.log.read_anew(from)? {
                Reading::Batches(bytes, _) => bytes,
                Reading::Damaged(_) => return Ok(Group::Left),
                Reading::Trimmed => continue,
            };
            let mut written = 0;
            for (header, batch) in batches_of(&bytes) {
                let put = self.take(&mut output, &mut progress, (&header, &batch), keys)?;
                written = put.saturating_add(written);
            }
            if !self.cleaner.spend(self.context, bytes.len(), written) {
                return Ok(Group::Ended(Outcome::Stopped));
            }
        }
        if progress.next != end {
            return Ok(Group::Ended(Outcome::Overtaken));
        }
        let (new, written) = output.finish(end)?;
        if !self.cleaner.spend(self.context, 0, written) {
            return Ok(Group::Ended(Outcome::Stopped));
        }
        if !progress.changed {
            self.drop_cleaned(base);
            return Ok(Group::Written);
        }
        match self.log.swap_in(group, new)? {
            Swapped::Done => {
                self.context.tally.add_compacted(progress.removed);
                Ok(Group::Written)
            }
            Swapped::Not => Ok(Group::Ended(Outcome::Overtaken)),
        }
    }

    /// Puts what is left of a batch into the new segment; how many bytes were written.
    fn take(
        &mut self,
        output: &mut Output,
        progress: &mut Progress,
        (header, batch): (&BatchHeader, &Bytes),
        keys: &Keys,
    ) -> Result<usize, Fault> {
        let mut written = 0;
        if header.base_offset > progress.next {
            // What lies before the start of the log is not read any more.
            let before = before_start(header, progress.next);
            written = output.remove(&before)?;
            progress.changed = true;
        }
        progress.next = header.next_offset();
        let filter = Filter {
            newest: &keys.newest,
            mapped_to: keys.mapped_to,
            now_ms: self.now_ms,
            delete_retention_ms: i64::try_from(self.config.compaction.delete_retention.as_millis())
                .unwrap_or(i64::MAX),
            producers: &keys.producers,
            keeps_tombstones: self.left_some,
        };
        let filtered = filter.look_at(header, batch);
        if let Some(error) = filtered.unopened {
            let (directory, offset) = (self.log.directory(), header.base_offset);
            tracing::warn!(
                directory = %directory.display(), %offset, %error,
                "a batch cannot be opened, and stays as it is"
            );
            self.left_some = true;
        }
        progress.removed = progress.removed.saturating_add(filtered.removed);
        let put = match filtered.fate {
            Fate::Stays => output.keep(batch)?,
            Fate::Becomes(batch) => {
                progress.changed = true;
                output.keep(&batch)?
            }
            Fate::Goes => {
                progress.changed |= header.record_count > 0 || header.is_idempotent();
                output.remove(header)?
            }
        };
        Ok(put.saturating_add(written))
    }
}

/// How far a new segment is.
struct Progress {
    next: Offset,
    removed: u64,
    /// It is not the same as the old one.
    changed: bool,
}

/// What stands for the offsets before the batch of `header` that the log does not have any more. Of
/// which leader epoch they were nobody knows; that of what follows may not have begun by then.
fn before_start(header: &BatchHeader, first: Offset) -> BatchHeader {
    let offsets = header.base_offset.since(first).saturating_sub(1);
    BatchHeader {
        base_offset: first,
        leader_epoch: NO_LEADER_EPOCH,
        last_offset_delta: i32::try_from(offsets).expect("they are of one segment"),
        max_timestamp_ms: -1,
        record_count: 0,
        ..*header
    }
}

/// The batches of bytes that were verified.
fn batches_of(bytes: &Bytes) -> impl Iterator<Item = (BatchHeader, Bytes)> {
    Batches::new(bytes).map_while(|found| {
        let (_, header, batch) = found.ok()?;
        Some((header, bytes.slice_ref(batch)))
    })
}

/// Segments that become one each: as many as fit the size of a segment and the range of its offsets,
/// as Kafka's `Cleaner.groupSegmentsBySize`. A damaged one stands alone.
pub(super) fn groups_of(sources: &[Source], segment_bytes: u32) -> Vec<&[Source]> {
    let limit_bytes = u64::from(segment_bytes).min(Position::MAX.bytes());
    let mut groups = Vec::new();
    let mut rest = sources;
    while let Some(first) = rest.first() {
        let mut size_bytes = 0_u64;
        let fits = |source: &&Source| {
            size_bytes = size_bytes.saturating_add(source.size.bytes());
            let is_near = source.next.since(first.base) <= i64::from(i32::MAX);
            let is_sound = !first.is_damaged && !source.is_damaged;
            source.base == first.base || size_bytes <= limit_bytes && is_near && is_sound
        };
        let count = rest.iter().take_while(fits).count();
        let (group, others) = rest.split_at(count);
        groups.push(group);
        rest = others;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(base: i64, next: i64, size: u32) -> Source {
        Source {
            base: Offset::new(base),
            next: Offset::new(next),
            size: Position::new(size),
            is_damaged: false,
        }
    }

    fn lengths(sources: &[Source], limit: u32) -> Vec<usize> {
        let groups = groups_of(sources, limit);
        groups.iter().map(|group| group.len()).collect()
    }

    #[test]
    fn groups_fit_a_segment() {
        let far = i64::from(i32::MAX);
        let mut sources = vec![
            source(0, 10, 60),
            source(10, 20, 30),
            source(20, 30, 11),
            source(30, 31, 200),
            source(31, far + 20, 10),
            source(far + 20, far + 40, 10),
        ];
        assert_eq!(lengths(&sources, 100), [2, 1, 1, 1, 1]);
        assert_eq!(lengths(&sources, 1000), [4, 1, 1]);
        assert_eq!(lengths(&[], 1000), Vec::<usize>::new());
        sources[1].is_damaged = true;
        assert_eq!(lengths(&sources, 1000), [1, 1, 3, 1]);
    }
}
