//! How a simulated disk changes the bytes of its files, and when it gives their space back.
//!
//! A file takes space while a name or a handle leads to it; its node stays in memory as long as a
//! power cut could bring it back.

use std::collections::HashSet;

use rustix::io::Errno;

use super::disk::{Content, Disk, FILE_BYTES_MAX, NodeId, ROOT, to_position, to_u64};
use super::file_node::FileNode;
use super::names::nodes_of;

/// What `free_bytes` counts down from when no limit is set.
const FREE_BYTES_UNLIMITED: u64 = 1 << 40;

impl Disk {
    pub(super) fn close(&mut self, node: NodeId) {
        self.node_mut(node).handles -= 1;
        self.release(node);
    }

    /// Every process is gone, and with it every handle.
    pub(super) fn close_all(&mut self) {
        let open: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, it)| it.handles > 0)
            .map(|(node, _)| *node)
            .collect();
        for node in open {
            self.node_mut(node).handles = 0;
            self.release(node);
        }
    }

    pub(super) fn unlink(&mut self, node: NodeId) {
        self.node_mut(node).linked = false;
        self.release(node);
    }

    /// Gives back the space of a file that neither a name nor a handle leads to.
    fn release(&mut self, node: NodeId) {
        let state = self.node_mut(node);
        if state.linked || state.handles > 0 {
            return;
        }
        if let Content::File(file) = &mut state.content {
            let freed = to_u64(file.visible.size());
            file.forget_pending();
            self.used_bytes -= freed;
        }
        self.sweep_if_many();
    }

    /// Writes as much as there is space for; returns how much that was.
    pub(super) fn write(&mut self, node: NodeId, bytes: &[u8], at: u64) -> Result<usize, Errno> {
        let at = to_position(at)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let end = at
            .checked_add(bytes.len())
            .filter(|end| *end <= FILE_BYTES_MAX);
        let growth = end
            .ok_or(Errno::FBIG)?
            .saturating_sub(self.file(node).visible.size());
        let missing = to_u64(growth).saturating_sub(self.free_bytes());
        let missing = usize::try_from(missing).map_or(bytes.len(), |it| it.min(bytes.len()));
        let bytes = &bytes[..bytes.len() - missing];
        if bytes.is_empty() {
            return Err(Errno::NOSPC);
        }
        let sequence = self.next_sequence();
        self.change_file(node, |file| file.write(bytes, at, sequence));
        Ok(bytes.len())
    }

    pub(super) fn set_size(&mut self, node: NodeId, size_bytes: u64) -> Result<(), Errno> {
        let size = to_position(size_bytes)?;
        let growth = size.saturating_sub(self.file(node).visible.size());
        if to_u64(growth) > self.free_bytes() {
            return Err(Errno::NOSPC);
        }
        let sequence = self.next_sequence();
        self.change_file(node, |file| file.resize(size, sequence));
        Ok(())
    }

    /// Changes a file and keeps the books on space and dirt.
    pub(super) fn change_file(&mut self, node: NodeId, change: impl FnOnce(&mut FileNode)) {
        let file = self.file_mut(node);
        let before = file.visible.size();
        change(file);
        let after = file.visible.size();
        let dirty = !file.pending.is_empty() || file.diverged;
        self.used_bytes = self.used_bytes + to_u64(after) - to_u64(before);
        if dirty {
            self.dirty.insert(node);
        } else {
            self.dirty.remove(&node);
        }
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.total_bytes().saturating_sub(self.used_bytes)
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.space_limit_bytes.unwrap_or(FREE_BYTES_UNLIMITED)
    }

    /// Drops nodes that no visible, durable or pending name and no handle leads to. Waits until
    /// they could be half of all, so that the cost a call is constant.
    fn sweep_if_many(&mut self) {
        const NODES_MIN: usize = 64;
        if self.nodes.len() < NODES_MIN + 2 * self.swept_to {
            return;
        }
        let mut found = HashSet::from([ROOT]);
        let mut open = vec![ROOT];
        let mut visit = |node: NodeId, open: &mut Vec<NodeId>| {
            if found.insert(node) {
                open.push(node);
            }
        };
        for item in &self.pending_names {
            nodes_of(&item.change).for_each(|node| visit(node, &mut open));
        }
        for (node, state) in &self.nodes {
            if state.handles > 0 {
                visit(*node, &mut open);
            }
        }
        while let Some(node) = open.pop() {
            if let Some(Content::Directory(dir)) = self.nodes.get(&node).map(|it| &it.content) {
                dir.visible
                    .values()
                    .chain(dir.durable.values())
                    .for_each(|child| {
                        visit(*child, &mut open);
                    });
            }
        }
        self.nodes.retain(|node, _| found.contains(node));
        self.dirty.retain(|node| found.contains(node));
        self.swept_to = self.nodes.len();
    }
}
