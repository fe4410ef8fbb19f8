//! RFC 4571, section 2: each datagram behind its length, 16 bits in network order. Pure.
//!
//! The bytes stay where they were read; only what is left of an unfinished frame is copied, and
//! that is never more than one frame.

use crate::outbox::MAX_DATAGRAM;

/// Bytes of the length.
pub const PREFIX: usize = 2;
/// The longest frame taken, which is the longest datagram: who announces more is not one of ours,
/// and where the next frame begins is not worth waiting for.
pub const MAX_FRAME: usize = MAX_DATAGRAM;

/// A frame longer than [`MAX_FRAME`] was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// The frames of a stretch of the stream, to be opened in place.
///
/// Ends before the first frame that is not whole, or after an error.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a mut [u8],
    failed: bool,
}

impl<'a> Frames<'a> {
    /// `bytes` begin with a length.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            rest: bytes,
            failed: false,
        }
    }

    /// What no frame has taken yet.
    pub fn rest(&self) -> &[u8] {
        self.rest
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a mut [u8], TooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16::from_be_bytes(*self.rest.first_chunk()?));
        if self.failed {
            return None;
        }
        if len > MAX_FRAME {
            self.failed = true;
            return Some(Err(TooLong));
        }
        if self.rest.len() < PREFIX + len {
            return None;
        }
        let (frame, rest) = std::mem::take(&mut self.rest).split_at_mut(PREFIX + len);
        self.rest = rest;
        Some(Ok(&mut frame[PREFIX..]))
    }
}

/// What was left of the stream when it was last read.
#[derive(Debug, Default)]
pub struct Remainder(Vec<u8>);

impl Remainder {
    /// Put it before what is read next; returns its length, less than a frame with its length.
    pub fn restore(&mut self, buffer: &mut [u8]) -> usize {
        let len = self.0.len();
        buffer[..len].copy_from_slice(&self.0);
        self.0.clear();
        len
    }

    /// Keep what [`Frames::rest`] tells, at the end of the frames.
    pub fn keep(&mut self, rest: &[u8]) {
        self.0.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(datagrams: &[Vec<u8>]) -> Vec<u8> {
        let frame = |d: &Vec<u8>| [&(d.len() as u16).to_be_bytes(), &d[..]].concat();
        datagrams.iter().flat_map(frame).collect()
    }

    /// What is found in a stream that comes in pieces; an error ends it.
    fn found<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut remainder = Remainder::default();
        let mut all = Vec::new();
        let mut buffer = vec![0; 8_192];
        for piece in pieces {
            let kept = remainder.restore(&mut buffer);
            assert!(kept < PREFIX + MAX_FRAME, "{kept} bytes wait");
            buffer[kept..kept + piece.len()].copy_from_slice(piece);
            let mut frames = Frames::new(&mut buffer[..kept + piece.len()]);
            for frame in &mut frames {
                all.push(frame?.to_vec());
            }
            remainder.keep(frames.rest());
        }
        Ok(all)
    }

    #[test]
    fn a_length_that_no_datagram_has_ends_the_stream() {
        let mut stream = framed(&[vec![1; 3], vec![2; MAX_FRAME]]);
        stream.extend((MAX_FRAME as u16 + 1).to_be_bytes());
        let mut frames = Frames::new(&mut stream);
        assert_eq!(frames.next(), Some(Ok(&mut [1, 1, 1][..])));
        assert_eq!(
            frames.next().and_then(|f| f.ok().map(|f| f.len())),
            Some(MAX_FRAME)
        );
        assert_eq!(frames.next(), Some(Err(TooLong)));
        assert_eq!(frames.next(), None);
    }

    #[test]
    fn an_empty_frame_is_one() {
        let mut stream = [0, 0, 0, 1, 7];
        let all: Vec<_> = Frames::new(&mut stream)
            .map(|f| f.map(|f| f.to_vec()))
            .collect();
        assert_eq!(all, [Ok(vec![]), Ok(vec![7])]);
    }

    proptest! {
        #[test]
        fn however_the_stream_is_cut_the_same_frames_come_out(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
            step in 1usize..600,
        ) {
            let stream = framed(&datagrams);
            prop_assert_eq!(found(stream.chunks(step)), Ok(datagrams));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_little_is_kept(
            stream in prop::collection::vec(any::<u8>(), 0..5_000),
            step in 1usize..3_000,
        ) {
            let _ = found(stream.chunks(step));
        }
    }
}
