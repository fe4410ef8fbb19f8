//! How fast one viewer is sent pictures: a keyframe at once would fill the queue of a school's
//! narrow line, and delay the sound that shares it.
//!
//! A viewer of whose link nothing is known is sent [`LEAST_BITRATE`], or what its tracks need. One
//! whose link is estimated is sent a multiple of the estimate: a small one on a narrow line, where a
//! keyframe sent at once would make sound wait, a larger one on a wide line, until it is no limit.
//!
//! A budget of bytes fills with time and is spent by packets. Sound is never held back, but what
//! it takes is missing to the pictures. A viewer whose budget is spent gets more at the next
//! [`PACING_INTERVAL`]: what the budget holds bounds the train that then leaves.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// Viewers who wait are sent more this often.
pub const PACING_INTERVAL: Micros = 5 * MILLISECOND;
/// Bits a second that a viewer's line is taken to carry in any case.
const LEAST_BITRATE: u64 = 10_000_000;
/// Pictures leave faster than they are made by this (in halves), so that no queue stays here.
const FACTOR_HALVES: u64 = 5;
/// Pictures leave at this multiple of an estimate up to [`NARROW`] bits a second, and at as much
/// more as it is wider, up to [`WIDE_FACTOR`] from [`WIDE`] on.
const NARROW_FACTOR: f64 = 1.1;
const WIDE_FACTOR: f64 = 2.5;
const NARROW: f64 = 3e6;
const WIDE: f64 = 10e6;
/// But at this rate in any case: a picture must not take seconds because nothing was heard.
const LEAST_KNOWN: f64 = 100e3;
/// While it is tried what a link carries, at this rate in any case: a narrow line's queue takes the
/// first picture all the same, and others are found wide by it.
const LEAST_TRIED: f64 = 800e3;
/// The budget holds what may leave in this time.
const DEPTH: Micros = 10 * MILLISECOND;
/// What was spent is owed up to so much, bytes: a packet of any size is paid for in full, for on a
/// narrow line it is more than leaves in [`DEPTH`].
const MOST_OWED: i64 = 1_500;
/// Repairs pass by too, but are all paid for: no more of them at once than leaves in this time.
const MOST_REPAIRS: Micros = 100 * MILLISECOND;
/// Of a link whose viewer will tell what arrives, but has not yet.
const FIRST_RATE: u64 = 320_000;
/// Bytes that leave at once in the beginning, as TCP's first window does (RFC 6928): ten packets,
/// which is a first picture.
const FIRST_BURST: usize = 10 * 1_200;

/// What is known of a viewer's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Nothing.
    Unknown,
    /// It carried this, bits a second, and may carry more.
    Tried(u64),
    /// It carries this, and not much more.
    Known(u64),
}

impl Pace {
    /// Before the first news of a viewer who is going to tell.
    pub const FIRST: Self = Self::Tried(FIRST_RATE);
}

/// The budget of one viewer.
#[derive(Debug)]
pub struct Pacer {
    bytes_per_second: u64,
    /// Without an estimate.
    needed: u64,
    /// By the estimate.
    allowed: u64,
    budget: i64,
    /// Bytes of the first burst that nothing has used.
    free: usize,
    /// Repairs that are not paid for yet.
    repairs: i64,
    updated: Micros,
}

impl Default for Pacer {
    fn default() -> Self {
        Self {
            bytes_per_second: LEAST_BITRATE / 8,
            needed: LEAST_BITRATE / 8,
            allowed: u64::MAX,
            budget: 0,
            free: FIRST_BURST,
            repairs: 0,
            updated: 0,
        }
    }
}

impl Pacer {
    /// What the viewer's tracks carry together now.
    pub fn set_load(&mut self, bytes_per_second: u64) {
        let needed = bytes_per_second * FACTOR_HALVES / 2;
        self.needed = needed.max(LEAST_BITRATE / 8);
        self.bytes_per_second = self.needed.min(self.allowed);
    }

    /// What is known of the viewer's link.
    pub fn set_pace(&mut self, pace: Pace) {
        let allowed = match pace {
            Pace::Unknown => f64::INFINITY,
            Pace::Tried(rate) => (rate as f64 * WIDE_FACTOR).max(LEAST_TRIED),
            Pace::Known(rate) => {
                let rate = rate as f64;
                let width = ((rate - NARROW) / (WIDE - NARROW)).clamp(0.0, 1.0);
                let factor = NARROW_FACTOR + (WIDE_FACTOR - NARROW_FACTOR) * width;
                (rate * factor).max(LEAST_KNOWN)
            }
        };
        self.allowed = (allowed / 8.0) as u64;
        self.bytes_per_second = self.needed.min(self.allowed);
    }

    /// Time has passed.
    #[inline]
    pub fn refill(&mut self, now: Micros) {
        let elapsed = now.saturating_sub(self.updated).min(SECOND);
        let depth = (self.bytes_per_second * DEPTH / SECOND) as i64;
        let earned = (self.bytes_per_second * elapsed / SECOND) as i64;
        let paid = earned.min(self.repairs);
        self.repairs -= paid;
        let owed = depth.max(MOST_OWED);
        self.budget = self.budget.clamp(-owed, depth);
        self.budget = (self.budget + earned - paid).min(depth);
        self.updated = now;
    }

    /// Whether a packet of a picture may leave.
    #[inline]
    pub fn allows(&self) -> bool {
        self.budget > 0 || self.free > 0
    }

    /// Whether a picture's packet may be sent again. Repairs come before what is new, but all
    /// together must not be more than the link carries: what is refused is asked for again.
    #[inline]
    pub fn allows_repair(&self) -> bool {
        self.repairs < (self.bytes_per_second * MOST_REPAIRS / SECOND) as i64
    }

    /// A picture's packet was sent again.
    #[inline]
    pub fn spend_repair(&mut self, bytes: usize) {
        self.repairs += bytes as i64;
    }

    /// Something has left.
    #[inline]
    pub fn spend(&mut self, bytes: usize) {
        let free = bytes.min(self.free);
        self.free -= free;
        self.budget -= (bytes - free) as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that leave in `time` when there is always more to send.
    fn sent(pacer: &mut Pacer, from: Micros, time: Micros) -> usize {
        let mut bytes = 0;
        for now in (from..from + time).step_by(PACING_INTERVAL as usize) {
            pacer.refill(now);
            while pacer.allows() {
                pacer.spend(1_200);
                bytes += 1_200;
            }
        }
        bytes
    }

    #[test]
    fn a_first_picture_leaves_at_once() {
        let mut pacer = Pacer::default();
        pacer.set_pace(Pace::FIRST);
        pacer.refill(SECOND);
        let mut bytes = 0;
        while pacer.allows() {
            pacer.spend(1_200);
            bytes += 1_200;
        }
        assert!(
            (FIRST_BURST..FIRST_BURST + 3_000).contains(&bytes),
            "{bytes}"
        );
    }

    /// One that has sent its first picture.
    fn begun() -> Pacer {
        Pacer {
            free: 0,
            ..Pacer::default()
        }
    }

    #[test]
    fn a_keyframe_leaves_as_fast_as_the_line_carries() {
        let mut pacer = begun();
        let bytes = sent(&mut pacer, SECOND, SECOND) as u64;
        let most = LEAST_BITRATE / 8 + 2 * LEAST_BITRATE / 8 * DEPTH / SECOND;
        assert!(
            (LEAST_BITRATE / 8..most).contains(&bytes),
            "{bytes} bytes in a second"
        );
    }

    #[test]
    fn an_ordinary_picture_does_not_wait() {
        let mut pacer = begun();
        for picture in 1..100 {
            pacer.refill(picture * SECOND / 30);
            for _ in 0..8 {
                assert!(pacer.allows(), "picture {picture} waits");
                pacer.spend(1_200);
            }
        }
    }

    #[test]
    fn more_is_sent_to_who_takes_more() {
        let mut pacer = begun();
        pacer.set_load(1_000_000);
        let bytes = sent(&mut pacer, SECOND, SECOND);
        assert!(bytes >= 2_500_000, "{bytes} bytes in a second");
    }

    #[test]
    fn a_keyframe_does_not_fill_the_queue_of_a_narrow_line() {
        for (estimate, keyframe) in [(500_000, 15_000), (1_000_000, 25_000), (4_000_000, 60_000)] {
            let mut pacer = begun();
            pacer.set_pace(Pace::Known(estimate));
            let mut bytes = 0;
            let mut now = SECOND;
            while bytes < keyframe {
                now += PACING_INTERVAL;
                bytes += sent(&mut pacer, now, PACING_INTERVAL) as u64;
            }
            let carried = (now - SECOND) * estimate / 8 / SECOND;
            let queue = (bytes - carried) * 8 * 1_000 / estimate;
            assert!(queue < 80, "{queue} ms at {estimate}");
        }
    }

    #[test]
    fn no_more_leaves_than_a_narrow_line_carries() {
        for estimate in [120_000, 300_000, 1_000_000] {
            let mut pacer = begun();
            pacer.set_pace(Pace::Known(estimate));
            let mut bytes = 0;
            for now in (SECOND..11 * SECOND).step_by(PACING_INTERVAL as usize) {
                pacer.refill(now);
                while pacer.allows() {
                    pacer.spend(1_200);
                    bytes += 1_200;
                }
            }
            let carried = 10 * estimate as usize * 11 / 80;
            assert!(
                bytes < carried + 1_500,
                "{bytes} of {carried} at {estimate}"
            );
        }
    }

    #[test]
    fn an_estimate_of_a_wide_line_is_no_limit() {
        let mut pacer = begun();
        pacer.set_pace(Pace::Known(10_000_000));
        assert_eq!(pacer.bytes_per_second, LEAST_BITRATE / 8);
        pacer.set_load(1_000_000);
        assert_eq!(pacer.bytes_per_second, 2_500_000);
        pacer.set_pace(Pace::Known(0));
        assert_eq!(pacer.bytes_per_second, LEAST_KNOWN as u64 / 8);
        pacer.set_pace(Pace::Unknown);
        assert_eq!(pacer.bytes_per_second, 2_500_000);
    }

    #[test]
    fn sound_is_paid_for_later_but_not_for_ever() {
        let mut pacer = begun();
        pacer.refill(SECOND);
        pacer.spend(10_000_000);
        pacer.refill(SECOND + 2 * DEPTH);
        pacer.refill(SECOND + 4 * DEPTH);
        assert!(pacer.allows());
    }

    #[test]
    fn repairs_go_first_and_are_all_paid_for() {
        let mut pacer = begun();
        pacer.set_pace(Pace::Known(1_000_000));
        let (mut repairs, mut pictures) = (0, 0);
        for now in (SECOND..11 * SECOND).step_by(PACING_INTERVAL as usize) {
            pacer.refill(now);
            while pacer.allows_repair() {
                pacer.spend_repair(1_200);
                repairs += 1_200;
            }
            while pacer.allows() {
                pacer.spend(1_200);
                pictures += 1_200;
            }
        }
        let carried = 10 * 1_100_000 / 8;
        assert!(repairs > carried * 9 / 10, "{repairs} of {carried}");
        assert!(repairs + pictures < carried * 11 / 10);
    }
}
