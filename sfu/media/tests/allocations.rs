//! Forwarding allocates nothing in the steady state: counted by the allocator itself.

mod network;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use network::{Link, Network, Publisher, Viewer};
use tongbu_media::clock::SECOND;

/// Counts what is asked of the system's allocator while it is told to.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator as it came.
#[allow(
    unsafe_code,
    reason = "a global allocator is unsafe to write; this one only counts"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn forwarding_allocates_nothing_once_warm() {
    let mut network = Network::new(1, 1);
    let mut teacher = Publisher::new(&mut network, Link::default());
    let _viewers: Vec<_> = (0..30)
        .map(|_| Viewer::new(&mut network, Link::default(), teacher.track))
        .collect();
    let mut forwarded = 0;
    let mut allocated = 0;
    // The cache of a video track holds 1,024 packets; from then on memory goes round.
    for picture in 0..600 {
        let datagrams = teacher.picture_datagrams(network.now, 5);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        network.forward_batch(teacher.address(), datagrams);
        let after = ALLOCATIONS.load(Ordering::Relaxed);
        if picture >= 300 {
            forwarded += 5 * 30;
            allocated += after - before;
        }
        network.now += SECOND / 30;
    }
    assert_eq!(allocated, 0, "allocations in {forwarded} forwarded packets");
}
