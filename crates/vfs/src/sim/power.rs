//! Power cuts: which of the pending changes reach the disk.
//!
//! Each change is decided by itself; then the order that every file system keeps is restored (see
//! `names`). Bytes tear at sectors. Afterwards memory is empty: what is durable is all there is.

use std::collections::BTreeSet;

use clock::{Rng, SeededRng};

use super::NameRule;
use super::disk::{Content, Disk, NodeId, ROOT, to_u64};
use super::file_node::{DataChange, PendingData};
use super::names::{NameChange, PendingName, Tie, settle_order};
use super::pages::Pages;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What a power cut does to one pending change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never happened.
    Lost,
    /// It is on the disk.
    Kept,
    /// Some sectors of a write are on the disk; the seed says which. Names and sizes cannot tear:
    /// they are kept.
    Torn(u64),
    /// A write that made the file longer left the length without the bytes: zeros. Any other write
    /// is lost; names and sizes are kept. As [`Fate::Lost`] under [`NameRule::JournalOrder`], where
    /// the length follows the bytes.
    ZeroFilled,
}

/// What a power cut does to all pending changes, in their order (see `SimVfs::pending_items`).
/// A name that depends on a lost one is lost too; only under [`CutPolicy::KeepOne`] do the names
/// before it stay instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutPolicy {
    /// Nothing reaches the disk.
    DropAll,
    /// Everything does.
    KeepAll,
    /// All but the change at this index.
    DropOne(usize),
    /// Only the change at this index.
    KeepOne(usize),
    /// One fate for each change; changes behind the end of the list are lost.
    Choose(Vec<Fate>),
    /// By chance, repeatably.
    Seed(u64),
}

impl CutPolicy {
    fn fates(&self, count: usize) -> Vec<Fate> {
        match self {
            Self::DropAll => vec![Fate::Lost; count],
            Self::KeepAll => vec![Fate::Kept; count],
            Self::DropOne(dropped) => one_of(count, *dropped, Fate::Lost, Fate::Kept),
            Self::KeepOne(kept) => one_of(count, *kept, Fate::Kept, Fate::Lost),
            Self::Choose(fates) => fates
                .iter()
                .copied()
                .chain(std::iter::repeat(Fate::Lost))
                .take(count)
                .collect(),
            Self::Seed(seed) => seeded_fates(*seed, count),
        }
    }
}

fn one_of(count: usize, at: usize, this: Fate, others: Fate) -> Vec<Fate> {
    (0..count)
        .map(|index| if index == at { this } else { others })
        .collect()
}

fn seeded_fates(seed: u64, count: usize) -> Vec<Fate> {
    let rng = SeededRng::new(seed);
    // Each cut has its own leaning, or long lists would never be nearly all kept or all lost.
    let kept_of_8 = 1 + rng.next_below(7);
    let draw = || {
        if rng.next_below(4) == 0 {
            return match rng.next_below(2) {
                0 => Fate::Torn(rng.next_u64()),
                _ => Fate::ZeroFilled,
            };
        }
        if rng.next_below(8) < kept_of_8 {
            Fate::Kept
        } else {
            Fate::Lost
        }
    };
    std::iter::repeat_with(draw).take(count).collect()
}

/// One pending change of the disk.
#[derive(Clone, Copy)]
enum Item<'a> {
    Name(&'a PendingName),
    Data(NodeId, &'a PendingData),
}

impl Item<'_> {
    fn sequence(&self) -> u64 {
        match self {
            Self::Name(item) => item.sequence,
            Self::Data(_, item) => item.sequence,
        }
    }
}

impl Disk {
    /// All pending changes, oldest first.
    fn pending(&self) -> Vec<Item<'_>> {
        let names = self.pending_names.iter().map(Item::Name);
        let data = self.dirty.iter().flat_map(|node| {
            match self.nodes.get(node).map(|state| &state.content) {
                Some(Content::File(file)) => file.pending.as_slice(),
                _ => &[],
            }
            .iter()
            .map(|item| Item::Data(*node, item))
        });
        let mut items: Vec<Item<'_>> = names.chain(data).collect();
        items.sort_unstable_by_key(Item::sequence);
        items
    }

    pub(super) fn pending_count(&self) -> usize {
        self.pending().len()
    }

    /// A line for each pending change, for people.
    pub(super) fn describe_pending(&self) -> Vec<String> {
        let describe = |item: Item<'_>| match item {
            Item::Data(
                node,
                PendingData {
                    change: DataChange::Write { at, bytes },
                    ..
                },
            ) => {
                format!(
                    "write {} bytes at {at} of {}",
                    bytes.len(),
                    self.path_of(node)
                )
            }
            Item::Data(
                node,
                PendingData {
                    change: DataChange::Resize { size },
                    ..
                },
            ) => {
                format!("resize {} to {size}", self.path_of(node))
            }
            Item::Name(PendingName { change, .. }) => match change {
                NameChange::Link { place, .. } => {
                    format!("create {} in {}", place.name, self.path_of(place.dir))
                }
                NameChange::Unlink { place } => {
                    format!("remove {} from {}", place.name, self.path_of(place.dir))
                }
                NameChange::Rename { rename, .. } => format!(
                    "rename {} in {} to {} in {}",
                    rename.source.name,
                    self.path_of(rename.source.dir),
                    rename.target.name,
                    self.path_of(rename.target.dir)
                ),
            },
        };
        self.pending().into_iter().map(describe).collect()
    }

    /// The visible path; slow.
    fn path_of(&self, wanted: NodeId) -> String {
        let mut open = vec![(ROOT, String::new())];
        while let Some((node, path)) = open.pop() {
            if node == wanted {
                return if path.is_empty() {
                    "/".to_owned()
                } else {
                    path
                };
            }
            if let Some(Content::Directory(dir)) = self.nodes.get(&node).map(|it| &it.content) {
                open.extend(
                    dir.visible
                        .iter()
                        .map(|(name, it)| (*it, format!("{path}/{name}"))),
                );
            }
        }
        format!("removed file {wanted}")
    }

    /// The power goes; memory with it.
    pub(super) fn cut(&mut self, policy: &CutPolicy) {
        let items = self.pending();
        let fates = policy.fates(items.len());
        let tie = match policy {
            CutPolicy::KeepOne(_) => Tie::KeepEarlier,
            _ => Tie::LoseLater,
        };
        let mut data: Vec<(NodeId, DataChange, Fate)> = Vec::new();
        let mut names: Vec<NameChange> = Vec::new();
        let mut names_kept: Vec<bool> = Vec::new();
        for (item, fate) in items.into_iter().zip(fates) {
            match item {
                Item::Name(item) => {
                    names.push(item.change.clone());
                    names_kept.push(fate != Fate::Lost);
                }
                Item::Data(node, item) => data.push((node, item.change.clone(), fate)),
            }
        }
        settle_order(
            &names.iter().collect::<Vec<_>>(),
            &mut names_kept,
            self.options.names,
            tie,
        );
        for (name, kept) in names.into_iter().zip(names_kept) {
            if kept {
                name.apply(self);
            }
        }
        let length_alone = self.options.names == NameRule::EachDirectory;
        for (node, change, fate) in data {
            settle_data(
                &mut self.file_mut(node).durable,
                &change,
                fate,
                length_alone,
            );
        }
        self.lose_memory();
    }

    fn lose_memory(&mut self) {
        self.pending_names.clear();
        for node in std::mem::take(&mut self.dirty) {
            match self.nodes.get_mut(&node).map(|state| &mut state.content) {
                Some(Content::File(file)) => file.lose_memory(),
                Some(Content::Directory(dir)) => dir.visible = dir.durable.clone(),
                None => {}
            }
        }
        self.keep_reachable();
    }

    /// Drops what no durable name leads to and counts the space anew.
    fn keep_reachable(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        let mut used_bytes = 0;
        while let Some(node) = open.pop() {
            match &self
                .nodes
                .get(&node)
                .expect("a durable name leads to a node")
                .content
            {
                Content::File(file) => used_bytes += to_u64(file.visible.size()),
                Content::Directory(dir) => {
                    for child in dir.visible.values() {
                        assert!(reached.insert(*child), "node {child} has two names");
                        open.push(*child);
                    }
                }
            }
        }
        self.used_bytes = used_bytes;
        self.nodes.retain(|node, state| {
            state.linked = true;
            state.handles = 0;
            reached.contains(node)
        });
    }
}

fn settle_data(durable: &mut Pages, change: &DataChange, fate: Fate, length_alone: bool) {
    match (change, fate) {
        (_, Fate::Lost) => {}
        (DataChange::Resize { size }, _) => durable.set_size(*size),
        (DataChange::Write { at, bytes }, Fate::Kept) => durable.write_at(bytes, *at),
        (DataChange::Write { at, bytes }, Fate::ZeroFilled) if length_alone => {
            durable.set_size(durable.size().max(at + bytes.len()));
        }
        (DataChange::Write { .. }, Fate::ZeroFilled) => {}
        (DataChange::Write { at, bytes }, Fate::Torn(seed)) => {
            let rng = SeededRng::new(seed);
            let end = at + bytes.len();
            for (sector, kept) in sectors(*at, end)
                .into_iter()
                .zip(torn_sectors(&rng, *at, end))
            {
                if kept {
                    durable.write_at(&bytes[sector.start - at..sector.end - at], sector.start);
                }
            }
            if length_alone && rng.next_below(2) == 0 {
                durable.set_size(durable.size().max(end));
            }
        }
    }
}

/// The pieces of a range that lie in one sector each.
fn sectors(at: usize, end: usize) -> Vec<std::ops::Range<usize>> {
    let mut pieces = Vec::with_capacity((end - at) / SECTOR_BYTES + 2);
    let mut start = at;
    while start < end {
        let next = (start / SECTOR_BYTES + 1) * SECTOR_BYTES;
        pieces.push(start..next.min(end));
        start = next;
    }
    pieces
}

/// Which sectors survive: a first part, a last part or any; of two or more never all and never
/// none.
fn torn_sectors(rng: &SeededRng, at: usize, end: usize) -> Vec<bool> {
    let count = to_u64(sectors(at, end).len());
    if count == 1 {
        return vec![rng.next_below(2) == 0];
    }
    let border = 1 + rng.next_below(count - 1);
    let style = rng.next_below(3);
    (0..count)
        .map(|sector| match style {
            0 => sector < border,
            1 => sector >= border,
            // The first two at the border differ; the others fall as they like.
            _ if sector == border => true,
            _ if sector + 1 == border => false,
            _ => rng.next_below(2) == 0,
        })
        .collect()
}
