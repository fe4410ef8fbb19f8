//! How long forwarded packets stayed in the node, as a histogram.

use crate::clock::Micros;

/// Buckets of one power of two: a figure read from them is at most a quarter too high.
const STEPS: u32 = 4;
/// The last bucket takes everything from half a second on.
const BUCKETS: usize = 72;

/// Counts of times in buckets that grow with the time.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
        }
    }
}

impl Histogram {
    /// Count a time.
    #[inline]
    pub fn record(&mut self, time: Micros) {
        self.counts[bucket(time).min(BUCKETS - 1)] += 1;
    }

    /// For each bucket: the longest time it takes, and how many it took.
    pub fn buckets(&self) -> impl Iterator<Item = (Micros, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts.map(|(index, &count)| (longest(index), count))
    }
}

/// Up to 4 us one bucket each, then four to a power of two.
fn bucket(time: Micros) -> usize {
    if time < u64::from(STEPS) {
        return time as usize;
    }
    let octave = time.ilog2();
    let step = (time >> (octave - 2)) as u32 & (STEPS - 1);
    ((octave - 1) * STEPS + step) as usize
}

/// The inverse: the longest time in a bucket.
fn longest(bucket: usize) -> Micros {
    let bucket = bucket as u32;
    if bucket < STEPS {
        return bucket.into();
    }
    let (octave, step) = (bucket / STEPS + 1, bucket % STEPS);
    (u64::from(STEPS + step + 1) << (octave - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_the_bucket_that_ends_at_or_after_it() {
        for time in (0..2_000).chain([10_000, 99_999, 400_000]) {
            let index = bucket(time);
            assert!(longest(index) >= time, "{time} us in bucket {index}");
            assert!(
                index == 0 || longest(index - 1) < time,
                "{time} us in bucket {index}"
            );
        }
    }

    #[test]
    fn a_bucket_is_at_most_a_quarter_wide() {
        for index in STEPS as usize..BUCKETS {
            let (shortest, longest) = (longest(index - 1) + 1, longest(index));
            assert!(
                longest - shortest <= shortest / 4,
                "{shortest} to {longest} us"
            );
        }
    }

    #[test]
    fn counts_what_is_beyond_its_end() {
        let mut histogram = Histogram::default();
        histogram.record(3_600_000_000);
        assert_eq!(histogram.buckets().last().map(|(_, count)| count), Some(1));
    }
}
