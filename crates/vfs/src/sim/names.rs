//! Changes of directories that are in memory only, and the order in which they may reach the disk.
//!
//! Two changes of the same name in the same directory reach the disk in their order, on every file
//! system. Any other order is promised only by [`NameRule::JournalOrder`]. A rename is one change,
//! also between directories: after a power cut the file has its old name or its new one. To make
//! it durable under [`NameRule::EachDirectory`] both directories must be synced.

use std::collections::HashSet;

use super::NameRule;
use super::disk::{Content, Disk, NodeId};

#[derive(Debug, Clone)]
pub(super) struct PendingName {
    /// Its place among all changes of the disk.
    pub(super) sequence: u64,
    pub(super) change: NameChange,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) dir: NodeId,
    pub(super) name: String,
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Link {
        place: Place,
        node: NodeId,
    },
    Unlink {
        place: Place,
    },
    Rename {
        rename: Rename,
        source_synced: bool,
        target_synced: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Rename {
    pub(super) source: Place,
    pub(super) target: Place,
    pub(super) node: NodeId,
}

impl NameChange {
    /// The one or two names it changes.
    fn places(&self) -> [&Place; 2] {
        match self {
            Self::Link { place, .. } | Self::Unlink { place } => [place, place],
            Self::Rename { rename, .. } => [&rename.source, &rename.target],
        }
    }

    /// Notes a sync of `dir`; true once every directory it changes was synced.
    fn note_sync(&mut self, dir: NodeId) -> bool {
        match self {
            Self::Link { place, .. } | Self::Unlink { place } => place.dir == dir,
            Self::Rename {
                rename,
                source_synced,
                target_synced,
            } => {
                *source_synced |= rename.source.dir == dir;
                *target_synced |= rename.target.dir == dir;
                *source_synced && *target_synced
            }
        }
    }

    fn touches(&self, dir: NodeId) -> bool {
        self.places().iter().any(|place| place.dir == dir)
    }

    /// Puts the change on the disk.
    pub(super) fn apply(self, disk: &mut Disk) {
        match self {
            Self::Link { place, node } => {
                disk.link_durably(place, node);
            }
            Self::Unlink { place } => {
                disk.directory_mut(place.dir).durable.remove(&place.name);
            }
            Self::Rename {
                rename:
                    Rename {
                        source,
                        target,
                        node,
                    },
                ..
            } => {
                disk.directory_mut(source.dir).durable.remove(&source.name);
                disk.link_durably(target, node);
            }
        }
    }
}

/// Which side gives way when a kept change stands behind a lost one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    /// The later change is lost too.
    LoseLater,
    /// The earlier change is kept too.
    KeepEarlier,
}

/// Makes `kept` respect the order that `rule` promises.
pub(super) fn settle_order(changes: &[&NameChange], kept: &mut [bool], rule: NameRule, tie: Tie) {
    assert_eq!(changes.len(), kept.len(), "one decision for each change");
    let mut decided: HashSet<&Place> = HashSet::new();
    let mut any_decided = false;
    let spreads = tie == Tie::KeepEarlier;
    let mut settle = |at: usize| {
        let bound = match rule {
            NameRule::JournalOrder => any_decided,
            NameRule::EachDirectory => changes[at]
                .places()
                .iter()
                .any(|place| decided.contains(place)),
        };
        if bound {
            kept[at] = spreads;
        }
        if kept[at] == spreads {
            decided.extend(changes[at].places());
            any_decided = true;
        }
    };
    match tie {
        Tie::LoseLater => (0..changes.len()).for_each(&mut settle),
        Tie::KeepEarlier => (0..changes.len()).rev().for_each(&mut settle),
    }
}

impl Disk {
    /// A node has one name. An older one can still be there when the change that should have
    /// removed it was lost by a failed sync.
    fn link_durably(&mut self, place: Place, node: NodeId) {
        let older = self.node_mut(node).durable_place.replace(place.clone());
        if let Some(older) = older
            && let Some(Content::Directory(dir)) = self
                .nodes
                .get_mut(&older.dir)
                .map(|state| &mut state.content)
            && dir.durable.get(&older.name) == Some(&node)
        {
            dir.durable.remove(&older.name);
        }
        self.directory_mut(place.dir)
            .durable
            .insert(place.name, node);
    }

    /// A directory was synced: its names up to `sequence_max` are durable.
    pub(super) fn flush_names_of(&mut self, dir: NodeId, sequence_max: u64) {
        if self.options.names == NameRule::JournalOrder {
            return self.flush_all_names(sequence_max);
        }
        let mut kept: Vec<bool> = self
            .pending_names
            .iter_mut()
            .map(|item| item.sequence <= sequence_max && item.change.note_sync(dir))
            .collect();
        let changes: Vec<&NameChange> =
            self.pending_names.iter().map(|item| &item.change).collect();
        settle_order(
            &changes,
            &mut kept,
            NameRule::EachDirectory,
            Tie::KeepEarlier,
        );
        let mut decisions = kept.into_iter();
        let (flushed, pending) = std::mem::take(&mut self.pending_names)
            .into_iter()
            .partition::<Vec<_>, _>(|_| decisions.next().expect("one decision for each change"));
        self.pending_names = pending;
        for item in flushed {
            item.change.apply(self);
        }
    }

    pub(super) fn flush_all_names(&mut self, sequence_max: u64) {
        let covered = self
            .pending_names
            .partition_point(|item| item.sequence <= sequence_max);
        let flushed: Vec<PendingName> = self.pending_names.drain(..covered).collect();
        for item in flushed {
            item.change.apply(self);
        }
    }

    /// A sync of the directory failed: what it should have written is lost for good.
    pub(super) fn lose_names_of(&mut self, dir: NodeId) {
        self.pending_names.retain(|item| !item.change.touches(dir));
    }
}

/// The nodes that a pending change will need when it is applied.
pub(super) fn nodes_of(change: &NameChange) -> impl Iterator<Item = NodeId> {
    let nodes = match change {
        NameChange::Link { place, node } => [place.dir, *node, *node],
        NameChange::Unlink { place } => [place.dir; 3],
        NameChange::Rename { rename, .. } => [rename.source.dir, rename.target.dir, rename.node],
    };
    nodes.into_iter()
}
