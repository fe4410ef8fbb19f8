//! How far the numbers went of streams to the peer that are gone.
//!
//! Under one key an SSRC must never number two packets alike (see [`crate::crypto`]): who uses the
//! SSRC of a removed track again goes on where that ended.

use std::collections::VecDeque;

/// Streams remembered, the newest. The seam asks for a fresh SSRC, or one used lately.
const MAX_SPENT: usize = 256;

/// SSRCs, and the number with which each would go on.
#[derive(Debug, Default)]
pub(super) struct Spent(VecDeque<(u32, u64)>);

impl Spent {
    /// A stream has ended.
    pub(super) fn note(&mut self, ssrc: u32, next: u64) {
        self.0.push_back((ssrc, next));
        if self.0.len() > MAX_SPENT {
            self.0.pop_front();
        }
    }

    /// A stream begins: the number it must begin with, if the SSRC was used before.
    pub(super) fn take(&mut self, ssrc: u32) -> Option<u64> {
        let index = self.0.iter().position(|(s, _)| *s == ssrc)?;
        self.0.remove(index).map(|(_, next)| next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_once_and_the_oldest_is_forgotten() {
        let mut spent = Spent::default();
        for ssrc in 0..=MAX_SPENT as u32 {
            spent.note(ssrc, u64::from(ssrc) + 7);
        }
        assert_eq!(spent.take(0), None);
        assert_eq!(spent.take(1), Some(8));
        assert_eq!(spent.take(1), None);
    }
}
