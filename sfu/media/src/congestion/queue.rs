//! How long packets wait in the queue before the bottleneck, by their time on the way.
//!
//! The clocks of the two ends differ by an unknown amount, so a time on the way is known but for a
//! constant: what is above the least of the last while is taken for waiting. Jitter only adds, and
//! the least of a few packets in a row is nearly free of it.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// The least of this time, twice, is what packets have on the way now...
const RECENT: Micros = 60 * MILLISECOND;
/// ...or of this many packets, where there are few: one of them is hardly ever without jitter.
const RECENT_PACKETS: u32 = 5;
/// The least of this time, [`EPOCHS`] times, is the way without a queue. A way that became longer
/// (another satellite, a competitor who keeps the queue full) is taken for a queue no longer.
const EPOCH: Micros = 4 * SECOND;
const EPOCHS: usize = 5;

/// Follows the least times on the way.
#[derive(Debug)]
pub(super) struct Queue {
    epochs: [i64; EPOCHS],
    epoch: u64,
    recent: [i64; 2],
    recent_since: Micros,
    recent_packets: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            epochs: [i64::MAX; EPOCHS],
            epoch: 0,
            recent: [i64::MAX; 2],
            recent_since: 0,
            recent_packets: 0,
        }
    }
}

impl Queue {
    /// A packet sent at `sent` had this time on the way, on no particular clock.
    #[inline]
    pub(super) fn handle_transit(&mut self, sent: Micros, transit: i64) {
        let age = sent.saturating_sub(self.recent_since);
        if age >= RECENT && (self.recent_packets >= RECENT_PACKETS || age >= SECOND) {
            self.recent = [self.recent[1], i64::MAX];
            self.recent_since = sent;
            self.recent_packets = 0;
        }
        self.recent[1] = self.recent[1].min(transit);
        self.recent_packets += 1;
        let epoch = sent / EPOCH;
        if epoch > self.epoch {
            let passed = (epoch - self.epoch).min(EPOCHS as u64) as usize;
            self.epochs.rotate_left(passed);
            self.epochs[EPOCHS - passed..].fill(i64::MAX);
            self.epoch = epoch;
        }
        let newest = &mut self.epochs[EPOCHS - 1];
        *newest = transit.min(*newest);
    }

    /// How long a packet waits now.
    pub(super) fn wait(&self) -> Micros {
        let least = self.epochs.iter().copied().min().unwrap_or(i64::MAX);
        let recent = self.recent[0].min(self.recent[1]);
        if recent == i64::MAX {
            return 0;
        }
        recent.saturating_sub(least).max(0) as Micros
    }

    /// Begin anew: the way is another.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One packet each 10 ms from `from` on, `wait` above the way's least and jitter on top.
    fn pass(queue: &mut Queue, from: Micros, time: Micros, wait: i64) {
        for step in 0..time / (10 * MILLISECOND) {
            let jitter = (step * 7_919 % 20_000) as i64;
            let sent = from + step * 10 * MILLISECOND;
            queue.handle_transit(sent, -5_000_000 + wait + jitter);
        }
    }

    #[test]
    fn a_queue_is_seen_through_jitter() {
        let mut queue = Queue::default();
        pass(&mut queue, SECOND, SECOND, 0);
        assert!(queue.wait() < 8_000, "{} us", queue.wait());
        pass(&mut queue, 2 * SECOND, SECOND, 80_000);
        assert!((78_000..90_000).contains(&queue.wait()), "{}", queue.wait());
    }

    #[test]
    fn a_longer_way_is_no_queue_for_ever() {
        let mut queue = Queue::default();
        pass(&mut queue, SECOND, SECOND, 0);
        pass(&mut queue, 2 * SECOND, 25 * SECOND, 40_000);
        assert!(queue.wait() < 8_000, "{} us", queue.wait());
    }
}
