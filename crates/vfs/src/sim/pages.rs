//! Bytes of a simulated file in shared pages, so that a copy of a whole file costs pointers.
//!
//! Invariant: what lies behind the size is zero, so growing shows zeros.

use std::sync::Arc;

const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

/// A growable row of bytes; clones share their pages until one of them writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    /// `None` reads as zeros.
    pages: Vec<Option<Arc<Page>>>,
    size: usize,
}

impl Pages {
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Reads up to the end; 0 at or behind it.
    pub(super) fn read_at(&self, buf: &mut [u8], at: usize) -> usize {
        let count = buf.len().min(self.size.saturating_sub(at));
        let mut done = 0;
        while done < count {
            let (page, start) = ((at + done) / PAGE_BYTES, (at + done) % PAGE_BYTES);
            let piece = (PAGE_BYTES - start).min(count - done);
            let target = &mut buf[done..done + piece];
            match &self.pages[page] {
                Some(bytes) => target.copy_from_slice(&bytes[start..start + piece]),
                None => target.fill(0),
            }
            done += piece;
        }
        count
    }

    /// Writes and grows as needed.
    pub(super) fn write_at(&mut self, bytes: &[u8], at: usize) {
        self.set_size(self.size.max(at + bytes.len()));
        let mut done = 0;
        while done < bytes.len() {
            let (page, start) = ((at + done) / PAGE_BYTES, (at + done) % PAGE_BYTES);
            let piece = (PAGE_BYTES - start).min(bytes.len() - done);
            self.page_mut(page)[start..start + piece].copy_from_slice(&bytes[done..done + piece]);
            done += piece;
        }
    }

    /// Cuts, or grows with zeros.
    pub(super) fn set_size(&mut self, size: usize) {
        let cut_inside = size % PAGE_BYTES;
        if size < self.size && cut_inside > 0 && self.pages[size / PAGE_BYTES].is_some() {
            self.page_mut(size / PAGE_BYTES)[cut_inside..].fill(0);
        }
        self.pages.resize(size.div_ceil(PAGE_BYTES), None);
        self.size = size;
    }

    /// Takes the whole pages of `source` that touch the range, as a writeback of them would.
    /// The caller sets the size to that of `source` afterwards, which restores the invariant.
    pub(super) fn share_range(&mut self, source: &Self, at: usize, len: usize) {
        let end = (at + len).min(source.size);
        if at >= end {
            return;
        }
        let (first, last) = (at / PAGE_BYTES, end.div_ceil(PAGE_BYTES));
        if self.pages.len() < last {
            self.pages.resize(last, None);
        }
        self.pages[first..last].clone_from_slice(&source.pages[first..last]);
        self.size = self.size.max(end);
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size];
        self.read_at(&mut bytes, 0);
        bytes
    }

    fn page_mut(&mut self, page: usize) -> &mut Page {
        Arc::make_mut(self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE_BYTES])))
    }
}
