//! `{base}.quarantine`: which offsets of a segment cannot be read, and the bytes of cuts.
//!
//! A list explains and never hides. The bytes of the `.log` are looked at first, and only where
//! they are not good does the list say how far that goes, what found it, and whether somebody
//! accepted the loss. So a list that is damaged, stale or missing costs no record; the next look
//! at the damage writes it anew. It is always replaced as a whole.

mod entry;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use records::Offset;
use records::checksum::crc32c;
use vfs::Vfs;

use crate::error::is_no_space;
use crate::frames::{Frame, FrameNumber, Piece, Pieces, read_tolerant};
use crate::listing;
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;

pub(crate) use entry::{ENTRY_BYTES, Entry};

/// Ranges that cannot be read.
const RANGES: u8 = 1;
/// One entry and the bytes that were cut there.
const CUT: u8 = 2;
/// So much is kept of cuts in one file; the oldest go first.
pub(crate) const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// No list of ours is longer.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The list of one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct List {
    open: Ranges,
    /// They stay, also inside a larger range that nobody accepted.
    accepted: Ranges,
    /// Oldest first.
    cuts: Vec<(Entry, Vec<u8>)>,
}

/// Ranges by their first offsets, and so by their last ones too: none covers another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges(Vec<Entry>);

impl Ranges {
    fn covers(&self, entry: &Entry) -> bool {
        let behind = self.0.partition_point(|known| known.first <= entry.first);
        // The last that begins before it reaches furthest.
        let nearest = behind.checked_sub(1).and_then(|at| self.0.get(at));
        nearest.is_some_and(|known| known.covers(entry))
    }

    /// Takes out those that it covers; says where it belongs.
    fn make_room(&mut self, entry: &Entry) -> usize {
        let at = self.0.partition_point(|known| known.first < entry.first);
        let rest = self.0.get(at..).unwrap_or_default();
        let covered = rest.partition_point(|known| known.last <= entry.last);
        self.0.drain(at..at.saturating_add(covered));
        at
    }
}

impl List {
    /// All ranges, by their first offsets.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut all = [self.open.0.as_slice(), self.accepted.0.as_slice()].concat();
        all.sort_unstable_by_key(|entry| (entry.first, entry.last));
        all
    }

    /// What was cut and is kept.
    #[cfg(test)]
    pub(crate) fn cuts(&self) -> &[(Entry, Vec<u8>)] {
        &self.cuts
    }

    /// Adds a range; `false` if the list says so already.
    pub(crate) fn add(&mut self, entry: Entry) -> bool {
        assert!(
            entry.first <= entry.last && entry.position <= entry.end,
            "a range goes forward: {entry:?}"
        );
        if self.open.covers(&entry) || self.accepted.covers(&entry) {
            return false;
        }
        let open = self.open.make_room(&entry);
        if entry.accepted {
            let at = self.accepted.make_room(&entry);
            self.accepted.0.insert(at, entry);
        } else {
            self.open.0.insert(open, entry);
        }
        true
    }

    /// Keeps the bytes of a cut, the first of them if they are many.
    pub(crate) fn keep(&mut self, entry: Entry, mut bytes: Vec<u8>) {
        bytes.truncate(KEPT_BYTES_MAX);
        if self.cuts.iter().any(|cut| cut.0 == entry && cut.1 == bytes) {
            return;
        }
        self.cuts.push((entry, bytes));
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        let mut surplus = self.kept_bytes().saturating_sub(KEPT_BYTES_MAX);
        let mut count = 0_usize;
        while let Some((_, bytes)) = self.cuts.get(count).filter(|_| surplus > 0) {
            surplus = surplus.saturating_sub(bytes.len());
            count = count.saturating_add(1);
        }
        self.cuts.drain(..count);
    }

    fn kept_bytes(&self) -> usize {
        self.cuts
            .iter()
            .fold(0, |sum, (_, bytes)| sum.saturating_add(bytes.len()))
    }

    /// Takes ranges out, or changes them.
    pub(crate) fn update(&mut self, change: impl FnMut(&mut Entry) -> bool) {
        let mut entries = self.entries();
        entries.retain_mut(change);
        (self.open, self.accepted) = Default::default();
        for entry in entries {
            self.add(entry);
        }
    }

    fn is_empty(&self) -> bool {
        self.open.0.is_empty() && self.accepted.0.is_empty() && self.cuts.is_empty()
    }

    fn encode(&self, base: Offset) -> Vec<u8> {
        let mut number = FrameNumber::first(generation(base));
        let mut frame = |kind: u8, count: usize, body: &[u8]| {
            let entry_count = u32::try_from(count).expect("a list is far below 2^32 entries");
            let encoded = Frame {
                number,
                kind,
                entry_count,
                body,
            }
            .encode();
            number = number.next();
            encoded
        };
        let entries = self.entries();
        let mut body = Vec::with_capacity(entries.len().saturating_mul(ENTRY_BYTES));
        for entry in &entries {
            entry.encode(&mut body);
        }
        let mut bytes = frame(RANGES, entries.len(), &body);
        for (entry, kept) in &self.cuts {
            body.clear();
            entry.encode(&mut body);
            body.extend_from_slice(kept);
            bytes.extend(frame(CUT, 1, &body));
        }
        bytes
    }

    /// All that is good of the bytes, and whether that is all.
    fn decode(bytes: &[u8], base: Offset) -> (Self, bool) {
        let mut list = Self::default();
        let mut whole = true;
        for piece in Pieces::new(generation(base), &[bytes]) {
            match piece {
                Piece::Frame { frame, .. } => whole &= list.take(&frame),
                Piece::Gap { .. } => whole = false,
            }
        }
        list.drop_oldest();
        (list, whole)
    }

    fn take(&mut self, frame: &Frame<'_>) -> bool {
        match frame.kind {
            RANGES => {
                let mut whole = frame.body.len().is_multiple_of(ENTRY_BYTES);
                for bytes in frame.body.chunks_exact(ENTRY_BYTES) {
                    match Entry::decode(bytes).filter(|entry| entry.first <= entry.last) {
                        Some(entry) => {
                            self.add(entry);
                        }
                        None => whole = false,
                    }
                }
                whole
            }
            CUT => match (Entry::decode(frame.body), frame.body.get(ENTRY_BYTES..)) {
                (Some(entry), Some(kept)) => {
                    self.cuts.push((entry, kept.to_vec()));
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// The list of the segment at `base`; what cannot be read of it is as if it were not there.
    pub(crate) fn read(vfs: &dyn Vfs, directory: &Path, base: Offset) -> Self {
        let path = SegmentFile::Quarantine.path(directory, base);
        let is_ours = |size_bytes: u64| size_bytes <= FILE_BYTES_MAX;
        match vfs.stat(&path) {
            Ok(Some(stat)) if is_ours(stat.size_bytes) => {}
            Ok(None) => return Self::default(),
            _ => {
                tracing::warn!(path = %path.display(), "a quarantine list cannot be read");
                return Self::default();
            }
        }
        match read_tolerant(vfs, &path) {
            Ok((bytes, _)) => {
                let (list, whole) = Self::decode(&bytes, base);
                if !whole {
                    tracing::warn!(path = %path.display(), "a quarantine list is damaged; what is missing is found again");
                }
                list
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a quarantine list cannot be read");
                Self::default()
            }
        }
    }

    /// Puts the list beside its segment, durably; see [`List::put`].
    pub(crate) fn write(&self, vfs: &dyn Vfs, directory: &Path, base: Offset) -> io::Result<()> {
        if self.put(vfs, directory, base)? {
            names::sync_dir(vfs, directory)?;
        }
        Ok(())
    }

    /// Puts the list beside its segment. A list that has no room, or whose name somebody else took,
    /// is not written: it is only derived. Whether the names are to be synced now.
    pub(crate) fn put(&self, vfs: &dyn Vfs, directory: &Path, base: Offset) -> io::Result<bool> {
        let path = SegmentFile::Quarantine.path(directory, base);
        if self.is_empty() {
            return match vfs.remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                removed => removed.map(|()| false),
            };
        }
        match vfs::replace(vfs, &path, &self.encode(base)) {
            Err(error) if is_no_space(&error) || is_taken(&error) => {
                tracing::warn!(path = %path.display(), %error, "a quarantine list is not written");
                Ok(false)
            }
            written => written.map(|()| true),
        }
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
    )
}

/// Of the frames: a list that landed beside another segment is not taken for that one's.
fn generation(base: Offset) -> u32 {
    crc32c(&base.get().to_be_bytes())
}

/// The ranges of all segments of a log.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    lists: BTreeMap<Offset, Vec<Entry>>,
}

impl Quarantine {
    /// Reads the lists in the directory of a partition.
    pub(crate) fn read(vfs: &dyn Vfs, directory: &Path) -> io::Result<Self> {
        let listing = listing::list(vfs, directory)?.unwrap_or_default();
        Ok(Self::of_segments((vfs, directory), &listing.quarantines))
    }

    /// Reads the lists of these segments.
    pub(crate) fn of_segments((vfs, directory): (&dyn Vfs, &Path), bases: &[Offset]) -> Self {
        let lists = bases
            .iter()
            .map(|&base| (base, List::read(vfs, directory, base).entries()));
        let lists = lists.filter(|(_, entries)| !entries.is_empty()).collect();
        Self { lists }
    }

    /// Takes the list of one segment as it is now.
    pub(crate) fn set(&mut self, base: Offset, entries: &[Entry]) {
        if entries.is_empty() {
            self.lists.remove(&base);
        } else {
            self.lists.insert(base, entries.to_vec());
        }
    }

    /// The ranges in the list of one segment.
    pub(crate) fn of(&self, base: Offset) -> &[Entry] {
        self.lists.get(&base).map_or(&[], Vec::as_slice)
    }

    /// All ranges, each with the base offset of the segment whose list has it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Offset, &Entry)> {
        self.lists
            .iter()
            .flat_map(|(&base, entries)| entries.iter().map(move |entry| (base, entry)))
    }

    /// The range that holds an offset, an accepted one first.
    pub(crate) fn find(&self, offset: Offset) -> Option<(Offset, Entry)> {
        let holding = || self.entries().filter(|(_, entry)| entry.holds(offset));
        let accepted = holding().find(|(_, entry)| entry.accepted);
        accepted
            .or_else(|| holding().next())
            .map(|(base, entry)| (base, *entry))
    }

    /// How many ranges nobody accepted yet, and offsets in them. Ranges may overlap: each offset
    /// counts once, and not if any range with it was accepted.
    pub(crate) fn open(&self) -> (u64, u64) {
        let open = self.entries().filter(|(_, entry)| !entry.accepted).count();
        let all = distinct_offsets(self.entries().map(|(_, entry)| entry));
        let accepted = self.entries().map(|(_, entry)| entry);
        let accepted = distinct_offsets(accepted.filter(|entry| entry.accepted));
        (open as u64, all.saturating_sub(accepted))
    }
}

fn distinct_offsets<'a>(entries: impl Iterator<Item = &'a Entry>) -> u64 {
    let mut ranges: Vec<(i64, i64)> = entries
        .map(|entry| (entry.first.get(), entry.last.get().saturating_add(1)))
        .collect();
    ranges.sort_unstable();
    let mut counted_to = i64::MIN;
    let mut count = 0_u64;
    for (first, end) in ranges {
        let news = end.saturating_sub(first.max(counted_to)).max(0);
        count = count.saturating_add(news.unsigned_abs());
        counted_to = counted_to.max(end);
    }
    count
}

/// Where a cut begins and ends, for its entry.
pub(crate) fn cut_at(
    first: Offset,
    (position, end): (Position, Position),
    label: crate::recovery::Label,
) -> Entry {
    Entry {
        first,
        last: Offset::new(first.get().saturating_sub(1)),
        position,
        end,
        label,
        accepted: false,
    }
}

#[cfg(test)]
mod tests;
