//! Counts what each thread asks of the allocator: forwarding must not ask for anything, and a
//! running node can show it.

#![allow(
    unsafe_code,
    reason = "a global allocator is unsafe to write; this one only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has asked for memory, if [`CountingAllocator`] serves it.
pub fn of_this_thread() -> u64 {
    COUNT.with(Cell::get)
}

/// The system's allocator, and a count for each thread.
pub struct CountingAllocator;

fn count() {
    // A constant without a destructor: touching it neither allocates nor can be too late.
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: hands everything on to the system's allocator as it came.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(block, layout, size) }
    }
}
