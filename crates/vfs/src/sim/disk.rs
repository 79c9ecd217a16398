//! The tree of a simulated disk: nodes and visible names. Cloning it copies the whole disk.
//!
//! Answers like Linux does, error by error; the suite in `tests/conformance.rs` compares. Knows
//! neither faults nor handles: what a call may do is decided before it comes here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use rustix::io::Errno;

use super::SimOptions;
use super::file_node::FileNode;
use super::names::{NameChange, PendingName, Place, Rename};
use crate::{DirEntry, EntryKind, OpenMode, Stat};

pub(super) type NodeId = u64;

pub(super) const ROOT: NodeId = 0;

/// As on Linux.
const NAME_BYTES_MAX: usize = 255;

/// Keeps a wrong position from eating the test machine's memory.
pub(super) const FILE_BYTES_MAX: usize = 1 << 34;

#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    pub(super) visible: BTreeMap<String, NodeId>,
    pub(super) durable: BTreeMap<String, NodeId>,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    File(FileNode),
    Directory(Directory),
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    /// A visible name leads here.
    pub(super) linked: bool,
    pub(super) handles: u32,
    /// The name under which the disk itself knows it, or did once.
    pub(super) durable_place: Option<Place>,
}

impl Node {
    fn new(content: Content) -> Self {
        Self {
            content,
            linked: true,
            handles: 0,
            durable_place: None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) options: SimOptions,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    next_node: NodeId,
    /// Numbers every change, so that all of them have one order.
    pub(super) sequence: u64,
    pub(super) pending_names: Vec<PendingName>,
    /// Nodes whose visible and durable state may differ.
    pub(super) dirty: BTreeSet<NodeId>,
    /// Counts failed writebacks of any file, for [`crate::FileSystem::sync`].
    pub(super) error_sequence: u64,
    pub(super) space_limit_bytes: Option<u64>,
    pub(super) used_bytes: u64,
    /// Nodes that the last sweep left.
    pub(super) swept_to: usize,
}

impl Disk {
    pub(super) fn new(options: SimOptions) -> Self {
        let root = Node::new(Content::Directory(Directory::default()));
        Self {
            options,
            nodes: BTreeMap::from([(ROOT, root)]),
            next_node: ROOT + 1,
            sequence: 0,
            pending_names: Vec::new(),
            dirty: BTreeSet::new(),
            error_sequence: 0,
            space_limit_bytes: None,
            used_bytes: 0,
            swept_to: 1,
        }
    }

    pub(super) fn node_mut(&mut self, node: NodeId) -> &mut Node {
        self.nodes
            .get_mut(&node)
            .expect("a node lives as long as a name or a handle leads to it")
    }

    pub(super) fn directory_mut(&mut self, node: NodeId) -> &mut Directory {
        match &mut self.node_mut(node).content {
            Content::Directory(directory) => directory,
            Content::File(_) => unreachable!("names stand in directories only"),
        }
    }

    pub(super) fn file(&self, node: NodeId) -> &FileNode {
        match self.nodes.get(&node).map(|node| &node.content) {
            Some(Content::File(file)) => file,
            _ => unreachable!("handles lead to files only"),
        }
    }

    pub(super) fn file_mut(&mut self, node: NodeId) -> &mut FileNode {
        match &mut self.node_mut(node).content {
            Content::File(file) => file,
            Content::Directory(_) => unreachable!("handles lead to files only"),
        }
    }

    pub(super) fn is_file(&self, node: NodeId) -> bool {
        matches!(
            self.nodes.get(&node),
            Some(Node {
                content: Content::File(_),
                ..
            })
        )
    }

    fn entries(&self, node: NodeId) -> Result<&BTreeMap<String, NodeId>, Errno> {
        match self.nodes.get(&node).map(|node| &node.content) {
            Some(Content::Directory(directory)) => Ok(&directory.visible),
            _ => Err(Errno::NOTDIR),
        }
    }

    fn child(&self, dir: NodeId, name: &str) -> Result<NodeId, Errno> {
        self.entries(dir)?.get(name).copied().ok_or(Errno::NOENT)
    }

    pub(super) fn resolve(&self, path: &Path) -> Result<NodeId, Errno> {
        components(path).try_fold(ROOT, |dir, name| self.child(dir, name?))
    }

    pub(super) fn resolve_directory(&self, path: &Path) -> Result<NodeId, Errno> {
        let node = self.resolve(path)?;
        self.entries(node).map(|_| node)
    }

    /// The directory that holds the last component, and that component; `None` for the root.
    fn resolve_place(&self, path: &Path) -> Result<Option<Place>, Errno> {
        let mut dir = ROOT;
        let mut last: Option<&str> = None;
        for name in components(path) {
            if let Some(parent) = last.replace(name?) {
                dir = self.child(dir, parent)?;
            }
        }
        self.entries(dir)?;
        Ok(last.map(|name| Place {
            dir,
            name: name.to_owned(),
        }))
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn add_node(&mut self, content: Content) -> NodeId {
        let node = self.next_node;
        self.next_node += 1;
        self.nodes.insert(node, Node::new(content));
        node
    }

    fn push_name(&mut self, change: NameChange, dirs: [NodeId; 2]) {
        let sequence = self.next_sequence();
        self.pending_names.push(PendingName { sequence, change });
        self.dirty.extend(dirs);
    }

    fn link_new(&mut self, place: Place, content: Content) -> NodeId {
        let node = self.add_node(content);
        self.directory_mut(place.dir)
            .visible
            .insert(place.name.clone(), node);
        let dir = place.dir;
        self.push_name(NameChange::Link { place, node }, [dir, dir]);
        node
    }

    /// Finds or makes the file and counts a handle to it.
    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> Result<NodeId, Errno> {
        let found = self.resolve_place(path)?.map(|place| {
            let child = self.child(place.dir, &place.name);
            (place, child)
        });
        let node = match (found, mode) {
            (Some((_, Ok(_))), OpenMode::CreateNew) => return Err(Errno::EXIST),
            (Some((_, Ok(node))), _) => node,
            (Some((place, Err(Errno::NOENT))), OpenMode::CreateNew | OpenMode::ReadWriteCreate) => {
                self.link_new(place, Content::File(FileNode::default()))
            }
            (Some((_, Err(errno))), _) => return Err(errno),
            (None, _) => ROOT,
        };
        let node_state = self.node_mut(node);
        if matches!(node_state.content, Content::Directory(_)) {
            return Err(Errno::ISDIR);
        }
        node_state.handles += 1;
        Ok(node)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> Result<(), Errno> {
        let place = self.resolve_place(path)?.ok_or(Errno::EXIST)?;
        if self.child(place.dir, &place.name).is_ok() {
            return Err(Errno::EXIST);
        }
        self.link_new(place, Content::Directory(Directory::default()));
        Ok(())
    }

    pub(super) fn read_dir(&self, path: &Path) -> Result<Vec<DirEntry>, Errno> {
        let entries = self.entries(self.resolve(path)?)?;
        Ok(entries
            .iter()
            .map(|(name, node)| DirEntry {
                name: name.clone(),
                kind: self.stat_node(*node).kind,
            })
            .collect())
    }

    pub(super) fn stat(&self, path: &Path) -> Result<Option<Stat>, Errno> {
        match self.resolve(path) {
            Ok(node) => Ok(Some(self.stat_node(node))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn stat_node(&self, node: NodeId) -> Stat {
        match &self
            .nodes
            .get(&node)
            .expect("a visible name leads to a node")
            .content
        {
            Content::File(file) => Stat {
                kind: EntryKind::File,
                size_bytes: to_u64(file.visible.size()),
            },
            Content::Directory(_) => Stat {
                kind: EntryKind::Directory,
                size_bytes: 0,
            },
        }
    }

    pub(super) fn rename(&mut self, source: &Path, target: &Path) -> Result<(), Errno> {
        let (source_path, target_path) = (source, target);
        let source = self.resolve_place(source_path)?.ok_or(Errno::BUSY)?;
        let target = self.resolve_place(target_path)?.ok_or(Errno::BUSY)?;
        let node = self.child(source.dir, &source.name)?;
        let moves_directory = self.entries(node).is_ok();
        if moves_directory && source != target && self.passes_through(target_path, node) {
            return Err(Errno::INVAL);
        }
        let replaced = self
            .directory_mut(target.dir)
            .visible
            .get(&target.name)
            .copied();
        match replaced {
            Some(replaced) if replaced == node => return Ok(()),
            Some(replaced) if self.passes_through(source_path, replaced) => {
                return Err(Errno::NOTEMPTY);
            }
            Some(replaced) => match (moves_directory, self.entries(replaced)) {
                (true, Ok(entries)) if !entries.is_empty() => return Err(Errno::NOTEMPTY),
                (true, Err(errno)) => return Err(errno),
                (false, Ok(_)) => return Err(Errno::ISDIR),
                (true, Ok(_)) | (false, Err(_)) => {}
            },
            None => {}
        }
        self.directory_mut(source.dir).visible.remove(&source.name);
        self.directory_mut(target.dir)
            .visible
            .insert(target.name.clone(), node);
        let dirs = [source.dir, target.dir];
        let rename = Rename {
            source,
            target,
            node,
        };
        self.push_name(
            NameChange::Rename {
                rename,
                source_synced: false,
                target_synced: false,
            },
            dirs,
        );
        if let Some(replaced) = replaced {
            self.unlink(replaced);
        }
        Ok(())
    }

    fn passes_through(&self, path: &Path, node: NodeId) -> bool {
        path.ancestors()
            .skip(1)
            .any(|ancestor| self.resolve(ancestor) == Ok(node))
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result<(), Errno> {
        let place = self.resolve_place(path)?.ok_or(Errno::ISDIR)?;
        let node = self.child(place.dir, &place.name)?;
        match self.entries(node) {
            Ok(_) => Err(Errno::ISDIR),
            Err(_) => {
                self.remove(place, node);
                Ok(())
            }
        }
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> Result<(), Errno> {
        let place = self.resolve_place(path)?.ok_or(Errno::BUSY)?;
        let node = self.child(place.dir, &place.name)?;
        if !self.entries(node)?.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.remove(place, node);
        Ok(())
    }

    fn remove(&mut self, place: Place, node: NodeId) {
        self.directory_mut(place.dir).visible.remove(&place.name);
        let dir = place.dir;
        self.push_name(NameChange::Unlink { place }, [dir, dir]);
        self.unlink(node);
    }

    /// The bytes that are on the disk under the names that are on the disk.
    pub(super) fn durable_bytes(&self, path: &Path) -> Result<Vec<u8>, Errno> {
        let node = components(path).try_fold(ROOT, |dir, name| {
            match self.nodes.get(&dir).map(|node| &node.content) {
                Some(Content::Directory(dir)) => dir.durable.get(name?).copied(),
                _ => None,
            }
            .ok_or(Errno::NOENT)
        })?;
        match self.nodes.get(&node).map(|node| &node.content) {
            Some(Content::File(file)) => Ok(file.durable.to_vec()),
            _ => Err(Errno::ISDIR),
        }
    }
}

fn components(path: &Path) -> impl Iterator<Item = Result<&str, Errno>> {
    path.components().filter_map(|component| match component {
        Component::RootDir | Component::CurDir => None,
        Component::Normal(name) if name.len() > NAME_BYTES_MAX => Some(Err(Errno::NAMETOOLONG)),
        Component::Normal(name) => Some(name.to_str().ok_or(Errno::INVAL)),
        Component::ParentDir | Component::Prefix(_) => Some(Err(Errno::INVAL)),
    })
}

pub(super) fn to_u64(size: usize) -> u64 {
    u64::try_from(size).expect("a length in memory fits 64 bits")
}

/// A position in a simulated file; `FBIG` where none can be.
pub(super) fn to_position(at: u64) -> Result<usize, Errno> {
    usize::try_from(at)
        .ok()
        .filter(|at| *at <= FILE_BYTES_MAX)
        .ok_or(Errno::FBIG)
}
