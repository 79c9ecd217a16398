//! Counts what the current thread allocates, so that a target can say how much is too much.
//!
//! What C code allocates is not seen; libFuzzer's own limits bound that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE_BYTES: Cell<usize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn more(bytes: usize) {
    // A thread that is ending has no counter any more; nothing is measured there.
    let _ = LIVE_BYTES.try_with(|live| {
        let now = live.get().saturating_add(bytes);
        live.set(now);
        let _ = PEAK_BYTES.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

fn less(bytes: usize) {
    // What another thread allocated may be freed here.
    let _ = LIVE_BYTES.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        less(layout.size());
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        more(new_size);
        less(layout.size());
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs something that may hold so many bytes at once beyond what is held now.
pub fn bounded<T>(limit_bytes: usize, run: impl FnOnce() -> T) -> T {
    let before = LIVE_BYTES.with(Cell::get);
    PEAK_BYTES.with(|peak| peak.set(before));
    let value = run();
    let peak = PEAK_BYTES.with(Cell::get).saturating_sub(before);
    assert!(
        peak <= limit_bytes,
        "{peak} bytes were held, {limit_bytes} are allowed"
    );
    value
}
