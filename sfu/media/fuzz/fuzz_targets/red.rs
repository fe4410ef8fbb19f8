//! Invariant: the blocks of a payload lie within it, no octet in two of them; and a payload built of
//! them reads the same, but for what no payload can carry.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::repair::red::{Block, blocks, primary, write};

fuzz_target!(|payload: &[u8]| {
    let read: Vec<Block<'_>> = blocks(payload).collect();
    assert!(read.iter().map(|block| 1 + block.data.len()).sum::<usize>() <= payload.len());
    let Some(last) = primary(payload) else {
        return;
    };
    let earlier = &read[..read.len() - 1];
    let mut out = Vec::new();
    let len = write(&mut out, earlier.iter().copied(), last, usize::MAX);
    assert_eq!(len, out.len());
    let kept = earlier
        .iter()
        .filter(|block| block.offset > 0 && !block.data.is_empty());
    let again: Vec<_> = blocks(&out).collect();
    assert!(again.iter().eq(kept.chain([&last])));
});
