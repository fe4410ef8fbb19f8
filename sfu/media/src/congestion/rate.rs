//! Bytes by the time at which they came, as a rate over the last half second.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// Width of a bucket.
const BUCKET: Micros = 25 * MILLISECOND;
/// Buckets that count: half a second, in which a video of ten pictures a second is smooth.
const BUCKETS: usize = 20;
/// A rate over less than this is not told.
const LEAST_SPAN: Micros = 100 * MILLISECOND;

/// A sliding window in buckets.
#[derive(Debug, Default)]
pub(super) struct RateWindow {
    buckets: [u32; BUCKETS],
    sum: u64,
    /// Number of the newest bucket.
    newest: u64,
    /// Number of the first bucket since the start or a long silence.
    first: u64,
}

impl RateWindow {
    /// Bytes that came at `at`, on any clock. Those too old for the window are not counted.
    #[inline]
    pub(super) fn add(&mut self, bytes: u32, at: Micros) {
        let bucket = at / BUCKET;
        if bucket > self.newest {
            self.turn_to(bucket);
        }
        if self.newest - bucket < BUCKETS as u64 {
            self.buckets[bucket as usize % BUCKETS] += bytes;
            self.sum += u64::from(bytes);
        }
    }

    /// Bits a second in the window that ends with the newest bytes, if it is long enough.
    pub(super) fn bits_per_second(&self) -> Option<f64> {
        let buckets = (self.newest - self.first + 1).min(BUCKETS as u64);
        let span = buckets * BUCKET;
        (span >= LEAST_SPAN).then(|| (self.sum * 8 * SECOND) as f64 / span as f64)
    }

    /// Begin anew.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn turn_to(&mut self, bucket: u64) {
        if bucket - self.newest >= BUCKETS as u64 {
            self.buckets = [0; BUCKETS];
            self.sum = 0;
            self.first = bucket;
        } else {
            for passed in self.newest + 1..=bucket {
                let slot = &mut self.buckets[passed as usize % BUCKETS];
                self.sum -= u64::from(*slot);
                *slot = 0;
            }
        }
        self.newest = bucket;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_rate_of_the_last_half_second() {
        let mut rate = RateWindow::default();
        for step in 0..300 {
            let bytes = if step < 200 { 500 } else { 1_000 };
            rate.add(bytes, SECOND + step * 5 * MILLISECOND);
        }
        let told = rate.bits_per_second().expect("it has a second and a half");
        assert!((1.5e6..1.7e6).contains(&told), "{told}");
    }

    #[test]
    fn a_silence_is_no_part_of_it() {
        let mut rate = RateWindow::default();
        rate.add(100_000, SECOND);
        (0..40).for_each(|step| rate.add(500, 20 * SECOND + step * 5 * MILLISECOND));
        let told = rate.bits_per_second().expect("200 ms");
        assert!((0.7e6..0.9e6).contains(&told), "{told}");
    }

    #[test]
    fn what_comes_late_or_early_is_no_trouble() {
        let mut rate = RateWindow::default();
        for at in [
            5 * SECOND,
            0,
            SECOND,
            u64::MAX,
            5 * SECOND,
            u64::MAX - SECOND,
        ] {
            rate.add(u32::from(u16::MAX), at);
        }
        assert!(rate.bits_per_second().is_none_or(f64::is_finite));
    }
}
