//! Forwarding allocates nothing in the steady state: counted by the allocator itself.

mod network;

use network::{Link, Network, Publisher, Viewer};
use tongbu_media::allocations::{self, CountingAllocator};
use tongbu_media::clock::SECOND;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

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
        let before = allocations::of_this_thread();
        network.forward_batch(teacher.address(), datagrams);
        let after = allocations::of_this_thread();
        if picture >= 300 {
            forwarded += 5 * 30;
            allocated += after - before;
        }
        network.now += SECOND / 30;
    }
    assert_eq!(allocated, 0, "allocations in {forwarded} forwarded packets");
}
