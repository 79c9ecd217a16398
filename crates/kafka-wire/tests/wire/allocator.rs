//! Counts what the current thread allocates.
//!
//! The counters are per thread, so tests may run side by side.

#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; this one only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: usize) {
    // A thread that is ending has no counter any more; nothing is measured there.
    let _ = ALLOCATED_BYTES.try_with(|counter| counter.set(counter.get() + bytes));
}

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs something and gives the bytes it allocated, freed or not.
pub(crate) fn allocated_by<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATED_BYTES.with(Cell::get);
    let value = run();
    (ALLOCATED_BYTES.with(Cell::get) - before, value)
}

#[test]
fn allocations_are_counted() {
    let (bytes, kept) = allocated_by(|| Vec::<u8>::with_capacity(12_345));
    assert_eq!(kept.capacity(), 12_345);
    assert_eq!(bytes, 12_345);
}
