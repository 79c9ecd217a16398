//! `ottla log repair`: accepting that records are lost, so that readers go on behind them.
//!
//! Reads every byte, says what would be lost, and on [`RepairPlan::apply`] writes quarantine lists;
//! no `.log` is touched. Refuses where the commit file has records that no log has yet. Whoever calls
//! it holds the lock of the data directory. A torn end that no
//! list names is left to the next start, which knows more about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use records::Offset;
use vfs::{EntryKind, Vfs};

use super::unreplayed::Unreplayed;
use super::{AgainstSpans, Damage, OfflineError, Seen, Segment, at, segments_of};
use crate::directory::{OWN_DIR, partition_of};
use crate::listing;
use crate::paths::{SegmentFile, partition_dir};
use crate::position::Position;
use crate::quarantine::{Entry, List};
use crate::recovery::Label;

/// A range of offsets that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The segment file that held it, or the one beside which it is noted.
    pub path: PathBuf,
    /// The first offset.
    pub first: Offset,
    /// The last offset.
    pub last: Offset,
    /// Where it begins in the file.
    pub position: u64,
    /// Where it ends.
    pub end: u64,
    /// What was found.
    pub label: Label,
    /// Whether somebody accepted it.
    pub accepted: bool,
}

impl Loss {
    pub(super) fn of(directory: &Path, base: Offset, entry: &Entry) -> Self {
        Self {
            path: SegmentFile::Log.path(directory, base),
            first: entry.first,
            last: entry.last,
            position: entry.position.bytes(),
            end: entry.end.bytes(),
            label: entry.label,
            accepted: entry.accepted,
        }
    }

    /// How many offsets it has.
    pub fn offsets(&self) -> u64 {
        u64::try_from(self.last.since(self.first).saturating_add(1)).unwrap_or(0)
    }
}

/// What a repair would accept.
#[derive(Debug, Default)]
pub struct RepairPlan {
    /// Everything that cannot be read, accepted or not.
    pub losses: Vec<Loss>,
    /// Damaged ends that the next start decides about.
    pub left: Vec<Damage>,
    lists: Vec<(PathBuf, Offset, List)>,
}

impl RepairPlan {
    /// What nobody accepted yet.
    pub fn open(&self) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(|loss| !loss.accepted)
    }

    /// Accepts all of it: readers go on behind.
    pub fn apply(&self, vfs: &dyn Vfs) -> Result<(), OfflineError> {
        for (directory, base, list) in &self.lists {
            let path = SegmentFile::Quarantine.path(directory, *base);
            list.write(vfs, directory, *base).map_err(at(&path))?;
            if List::read(vfs, directory, *base) != *list {
                let source = std::io::Error::other("the list could not be written");
                return Err(at(&path)(source));
            }
        }
        Ok(())
    }
}

/// The data directory that a path is in.
pub fn data_dir_above(vfs: &dyn Vfs, path: &Path) -> Result<PathBuf, OfflineError> {
    let absolute = std::path::absolute(path).map_err(at(path))?;
    if vfs.stat(&absolute).map_err(at(path))?.is_none() {
        return Err(OfflineError::NotFound(path.to_owned()));
    }
    for candidate in absolute.ancestors() {
        let own = vfs.stat(&candidate.join(OWN_DIR)).map_err(at(path))?;
        if own.is_some_and(|stat| stat.kind == EntryKind::Directory) {
            return Ok(candidate.to_owned());
        }
    }
    Err(OfflineError::NoDataDirectory(path.to_owned()))
}

/// Looks at everything below a `.log` file's partition, or the directory of a partition, a topic or
/// a broker.
pub fn plan_repair(vfs: &dyn Vfs, path: &Path) -> Result<RepairPlan, OfflineError> {
    let mut plan = RepairPlan::default();
    Unreplayed::read(vfs, path)?.refuse(path)?;
    let is_file = vfs
        .stat(path)
        .map_err(at(path))?
        .is_some_and(|stat| stat.kind == EntryKind::File);
    let directory = if is_file {
        path.parent().unwrap_or(path)
    } else {
        path
    };
    for partition in partitions_below(vfs, directory)? {
        survey(vfs, &partition, &mut plan)?;
    }
    Ok(plan)
}

/// The directories of partitions that a directory means.
fn partitions_below(vfs: &dyn Vfs, directory: &Path) -> Result<Vec<PathBuf>, OfflineError> {
    let entries = vfs.read_dir(directory).map_err(at(directory))?;
    let directories = || {
        entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Directory)
            .map(|entry| entry.name.as_str())
    };
    if directories().any(|name| name == OWN_DIR) {
        let mut found = Vec::new();
        let topics = directories().filter(|name| storage::TopicName::parse(name).is_ok());
        for topic in topics {
            found.extend(partitions_of(vfs, &directory.join(topic))?);
        }
        return Ok(found);
    }
    let partitions = partitions_of(vfs, directory)?;
    if partitions.is_empty() {
        return Ok(vec![directory.to_owned()]);
    }
    Ok(partitions)
}

fn partitions_of(vfs: &dyn Vfs, topic: &Path) -> Result<Vec<PathBuf>, OfflineError> {
    let entries = vfs.read_dir(topic).map_err(at(topic))?;
    let mut numbers: Vec<u32> = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Directory)
        .filter_map(|entry| partition_of(&entry.name))
        .collect();
    numbers.sort_unstable();
    Ok(numbers
        .into_iter()
        .map(|number| partition_dir(topic, number))
        .collect())
}

/// What is known and what is found in one partition.
#[derive(Debug, Default)]
struct Survey {
    known: BTreeMap<Offset, List>,
    found: Vec<(Offset, Entry)>,
    /// Damage up to the end of the segment before, which the next one's base offset ends.
    pending: Option<(Offset, Damage)>,
}

impl Survey {
    /// The records go on at `base`, behind `end` of the segment at `before`.
    fn connect(&mut self, (before, end, size): (Offset, Offset, Position), base: Offset) {
        // What is in a segment ends where the next begins.
        let last = Offset::new(base.get().saturating_sub(1));
        for (_, entry) in &mut self.found {
            entry.last = entry.last.min(last);
        }
        self.found.retain(|(_, entry)| entry.first <= entry.last);
        match self.pending.take() {
            Some((at, damage)) => self.find(at, &damage, base),
            None if end < base => {
                let entry = entry(end, base, (size, size), Label::K);
                self.found.push((before, entry));
            }
            None => {}
        }
    }

    /// Frames that are good by themselves and are not those that were written.
    fn find_strange(
        &mut self,
        segment: &Segment,
        against: &AgainstSpans,
        damaged: &[Damage],
    ) -> Result<(), OfflineError> {
        for span in against.lost_beside(damaged) {
            let offsets = segment.mender().offsets(*span);
            let offsets = offsets.map_err(|fault| segment.failed(fault))?;
            if let Some((first, next)) = offsets.filter(|(first, next)| first < next) {
                let entry = entry(first, next, (span.start, span.end), Label::J);
                self.found.push((segment.base, entry));
            }
        }
        Ok(())
    }

    fn find(&mut self, at: Offset, damage: &Damage, next: Offset) {
        if damage.first < next {
            let place = |bytes| Position::end_of(bytes);
            let range = (place(damage.position), place(damage.end));
            let entry = entry(damage.first, next, range, Label::J);
            self.found.push((at, entry));
        }
    }
}

fn entry(
    first: Offset,
    next: Offset,
    (position, end): (Position, Position),
    label: Label,
) -> Entry {
    Entry {
        first,
        last: Offset::new(next.get().saturating_sub(1)),
        position,
        end,
        label,
        accepted: false,
    }
}

fn survey(vfs: &dyn Vfs, directory: &Path, plan: &mut RepairPlan) -> Result<(), OfflineError> {
    let segments = match segments_of(vfs, directory) {
        Err(OfflineError::NoLog(_)) => Vec::new(),
        segments => segments?,
    };
    let listed = listing::list(vfs, directory)
        .map_err(at(directory))?
        .unwrap_or_default();
    let lists = listed
        .quarantines
        .iter()
        .map(|&base| (base, List::read(vfs, directory, base)));
    let mut survey = Survey {
        known: lists.collect(),
        ..Survey::default()
    };
    let mut before = None;
    for segment in &segments {
        if let Some(before) = before {
            survey.connect(before, segment.base);
        }
        let against = match segment.stored_spans(vfs)? {
            Some(stored) => segment.against_spans(&stored)?,
            None => AgainstSpans::default(),
        };
        let (mut damaged, mut mends_end) = (Vec::new(), false);
        let end = segment.walk(&mut |seen| match seen {
            Seen::Damage(damage) if against.mends(&damage) => mends_end = damage.next.is_none(),
            Seen::Damage(damage) => damaged.push(damage),
            Seen::Frame(_) => {}
        })?;
        survey.find_strange(segment, &against, &damaged)?;
        for damage in damaged {
            match damage.next {
                Some(next) => survey.find(segment.base, &damage, next),
                None => survey.pending = Some((segment.base, damage)),
            }
        }
        let end = end.filter(|_| !mends_end).unwrap_or(Offset::new(i64::MAX));
        before = Some((segment.base, end, segment.size));
    }
    settle(directory, survey, before, plan);
    Ok(())
}

/// Holds what was found against what is listed.
fn settle(
    directory: &Path,
    survey: Survey,
    last: Option<(Offset, Offset, Position)>,
    plan: &mut RepairPlan,
) {
    let Survey {
        known,
        found,
        pending,
    } = survey;
    let (last_base, end, size) = last.unwrap_or_default();
    let listed: Vec<(Offset, Entry)> = known
        .iter()
        .flat_map(|(&base, list)| list.entries().into_iter().map(move |entry| (base, entry)))
        .collect();
    let mut losses: Vec<(Offset, Entry)> = Vec::new();
    for (base, mut entry) in found {
        match listed.iter().find(|(_, known)| known.covers(&entry)) {
            Some((_, known)) => {
                (entry.label, entry.accepted) = (known.label, known.accepted);
            }
            // Unlisted, up to the end of the log: the next start decides.
            None if base == last_base && entry.end == size && entry.last >= end.plus(-1) => {
                plan.left.push(Damage {
                    path: SegmentFile::Log.path(directory, base),
                    position: entry.position.bytes(),
                    end: entry.end.bytes(),
                    first: entry.first,
                    next: None,
                    reason: "it reaches to the end of the log".to_owned(),
                });
                continue;
            }
            None => {}
        }
        losses.push((base, entry));
    }
    plan.left.extend(pending.map(|(_, damage)| damage));
    // What lies between or before the files, or has an epoch that only the broker knows to be
    // impossible, is known from the list alone, which may be a part of a range. To accept it hides
    // nothing that can be read.
    for (base, known) in listed {
        let rest = rest_of(known, &losses);
        losses.extend(rest.into_iter().map(|entry| (base, entry)));
    }
    losses.sort_unstable_by_key(|(_, entry)| entry.first);
    let mut lists = known;
    for list in lists.values_mut() {
        list.update(|_| false);
    }
    for (base, entry) in &losses {
        plan.losses.push(Loss::of(directory, *base, entry));
        let accepted = Entry {
            accepted: true,
            ..*entry
        };
        lists.entry(*base).or_default().add(accepted);
    }
    let lists = lists.into_iter();
    plan.lists
        .extend(lists.map(|(base, list)| (directory.to_owned(), base, list)));
}

/// The parts of a range that none of these has.
fn rest_of(known: Entry, losses: &[(Offset, Entry)]) -> Vec<Entry> {
    let overlaps = |loss: &&Entry| loss.first <= known.last && known.first <= loss.last;
    let mut inside: Vec<&Entry> = losses
        .iter()
        .map(|(_, loss)| loss)
        .filter(overlaps)
        .collect();
    inside.sort_unstable_by_key(|loss| loss.first);
    let mut rest = Vec::new();
    let mut first = known.first;
    for loss in inside {
        if first < loss.first {
            let last = loss.first.plus(-1);
            rest.push(Entry {
                first,
                last,
                ..known
            });
        }
        first = first.max(loss.last.plus(1));
    }
    if first <= known.last {
        rest.push(Entry { first, ..known });
    }
    rest
}
