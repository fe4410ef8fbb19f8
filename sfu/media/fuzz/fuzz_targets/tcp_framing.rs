//! Invariant: however a stream of RFC 4571 is cut into pieces, the same frames come out, none is
//! longer than a datagram, and never more than one unfinished frame is kept.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::tcp::framing::{Frames, MAX_FRAME, PREFIX, Remainder, TooLong};

/// The frames of a stream that is read in pieces of `step` bytes, up to an error.
fn frames(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, bool) {
    let mut remainder = Remainder::default();
    let mut found = Vec::new();
    let mut buffer = vec![0; PREFIX + MAX_FRAME + step];
    for piece in stream.chunks(step) {
        let kept = remainder.restore(&mut buffer);
        assert!(kept < PREFIX + MAX_FRAME);
        let len = kept + piece.len();
        buffer[kept..len].copy_from_slice(piece);
        let mut frames = Frames::new(&mut buffer[..len]);
        for frame in &mut frames {
            match frame {
                Ok(frame) => found.push(frame.to_vec()),
                Err(TooLong) => return (found, true),
            }
        }
        remainder.keep(frames.rest());
    }
    (found, false)
}

fuzz_target!(|input: &[u8]| {
    let Some((step, stream)) = input.split_first_chunk() else {
        return;
    };
    let step = usize::from(u16::from_be_bytes(*step)).max(1);
    let whole = frames(stream, stream.len().max(1));
    assert!(whole.0.iter().all(|frame| frame.len() <= MAX_FRAME));
    assert_eq!(frames(stream, step), whole);
});
