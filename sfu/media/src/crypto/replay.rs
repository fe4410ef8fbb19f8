//! Which packets of which sources were opened: the rollover counter (RFC 3711 section 3.3.1) and the
//! replay list (section 3.3.2). Everything that changes state is called after authentication.

use rustc_hash::FxHashMap;

use super::{CryptoError, MAX_STREAMS};

/// Packets behind the newest that are still told apart: 1.6 s of a 5 Mbit/s stream, so that a
/// retransmission under the original SSRC is not taken for a replay.
const WINDOW: u64 = 1024;
const WORDS: usize = WINDOW as usize / 64;

/// The sources of one context.
#[derive(Default)]
pub(super) struct Streams(FxHashMap<u32, Window>);

impl Streams {
    /// The likely 48-bit index of a sequence number.
    pub(super) fn index(&self, ssrc: u32, sequence: u16) -> Result<u64, CryptoError> {
        let window = self.window(ssrc)?;
        Ok(window.map_or(sequence.into(), |window| estimate(window.highest, sequence)))
    }

    /// Whether a packet with this index would be new.
    pub(super) fn check(&self, ssrc: u32, index: u64) -> Result<(), CryptoError> {
        match self.window(ssrc)? {
            Some(window) if !window.is_new(index) => Err(CryptoError::Replayed),
            _ => Ok(()),
        }
    }

    /// Notes an authenticated packet that passed [`Self::check`].
    pub(super) fn accept(&mut self, ssrc: u32, index: u64) {
        self.0
            .entry(ssrc)
            .or_insert_with(|| Window::new(index))
            .insert(index);
    }

    /// Nothing is known of this source any more.
    pub(super) fn forget(&mut self, ssrc: u32) {
        self.0.remove(&ssrc);
    }

    fn window(&self, ssrc: u32) -> Result<Option<&Window>, CryptoError> {
        match self.0.get(&ssrc) {
            None if self.0.len() >= MAX_STREAMS => Err(CryptoError::TooManyStreams),
            window => Ok(window),
        }
    }
}

/// RFC 3711 appendix A: the rollover counter that brings the index nearest to the highest so far.
/// None precedes the first, so what seems to be before it is ahead.
fn estimate(highest: u64, sequence: u16) -> u64 {
    const HALF: u16 = 1 << 15;
    let (roc, last) = ((highest >> 16) as u32, highest as u16);
    let roc = if last < HALF {
        if sequence.saturating_sub(last) > HALF {
            roc.saturating_sub(1)
        } else {
            roc
        }
    } else if last - HALF > sequence {
        roc.wrapping_add(1)
    } else {
        roc
    };
    u64::from(roc) << 16 | u64::from(sequence)
}

/// The indices seen of one source, up to [`WINDOW`] behind the highest.
struct Window {
    highest: u64,
    /// A ring: the bit of an index is its remainder by [`WINDOW`].
    seen: [u64; WORDS],
}

impl Window {
    fn new(index: u64) -> Self {
        Self {
            highest: index,
            seen: [0; WORDS],
        }
    }

    fn is_new(&self, index: u64) -> bool {
        let (word, bit) = place(index);
        index > self.highest || (self.highest - index < WINDOW && self.seen[word] & bit == 0)
    }

    fn insert(&mut self, index: u64) {
        if index.saturating_sub(self.highest) >= WINDOW {
            self.seen = [0; WORDS];
        } else {
            for skipped in self.highest + 1..index {
                self.forget(skipped);
            }
        }
        let (word, bit) = place(index);
        self.seen[word] |= bit;
        self.highest = self.highest.max(index);
    }

    fn forget(&mut self, index: u64) {
        let (word, bit) = place(index);
        self.seen[word] &= !bit;
    }
}

fn place(index: u64) -> (usize, u64) {
    ((index % WINDOW / 64) as usize, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_index_follows_the_sequence_number_around_the_wrap() {
        assert_eq!(estimate(0xffff, 0), 0x1_0000);
        assert_eq!(estimate(0x1_0000, 0xffff), 0xffff);
        assert_eq!(estimate(0x1_0005, 0x8005), 0x1_8005);
        assert_eq!(estimate(0x1_0005, 0x8006), 0x8006);
        assert_eq!(estimate(0x1_8005, 0x0005), 0x1_0005);
        assert_eq!(estimate(0x1_8006, 0x0005), 0x2_0005);
    }

    #[test]
    fn nothing_precedes_the_first_rollover() {
        assert_eq!(estimate(5, 0xffff), 0xffff);
    }

    #[test]
    fn a_source_too_many_is_refused_and_the_others_go_on() {
        let mut streams = Streams::default();
        for ssrc in 0..MAX_STREAMS as u32 {
            assert_eq!(streams.check(ssrc, 7), Ok(()));
            streams.accept(ssrc, 7);
        }
        assert_eq!(streams.index(1000, 7), Err(CryptoError::TooManyStreams));
        assert_eq!(streams.check(1000, 7), Err(CryptoError::TooManyStreams));
        assert_eq!(streams.check(5, 8), Ok(()));
        assert_eq!(streams.check(5, 7), Err(CryptoError::Replayed));
    }

    proptest! {
        /// The window accepts what a set of everything seen would, and nothing too old.
        #[test]
        fn agrees_with_a_set(
            start in 0u64..5000,
            steps in proptest::collection::vec(prop_oneof![-40i64..40, -3000i64..3000], 0..400),
        ) {
            let mut streams = Streams::default();
            let (mut seen, mut at) = (BTreeSet::new(), start);
            for step in steps {
                at = at.saturating_add_signed(step);
                let old = seen.last().is_some_and(|highest| highest - at.min(*highest) >= WINDOW);
                let new = !old && !seen.contains(&at);
                prop_assert_eq!(streams.check(1, at).is_ok(), new, "{}", at);
                if new {
                    streams.accept(1, at);
                    seen.insert(at);
                }
            }
        }
    }
}
