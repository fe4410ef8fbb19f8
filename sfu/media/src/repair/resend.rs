//! What one viewer may be sent again: at most once a round trip each, and within a budget.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// Packets remembered as just resent.
const REMEMBERED: usize = 256;
/// Packets a viewer may have resent in one second; more is a storm, not loss.
const MAX_PER_SECOND: u32 = 1_000;
/// Requests that come closer together than this are one request.
const MIN_INTERVAL: Micros = 10 * MILLISECOND;

/// Guards the retransmissions of one downtrack.
#[derive(Debug)]
pub struct ResendGuard {
    recent: Box<[(u64, Micros)]>,
    window_start: Micros,
    spent: u32,
}

impl Default for ResendGuard {
    fn default() -> Self {
        Self {
            recent: vec![(u64::MAX, 0); REMEMBERED].into(),
            window_start: 0,
            spent: 0,
        }
    }
}

impl ResendGuard {
    /// Whether `sequence` may be sent again now; if so it is noted.
    pub fn allow(&mut self, sequence: u64, now: Micros, rtt: Micros) -> bool {
        let slot = sequence as usize % REMEMBERED;
        let (last, at) = self.recent[slot];
        let repeated = last == sequence && now < at + rtt.max(MIN_INTERVAL);
        if repeated || !self.within_budget(now) {
            return false;
        }
        self.recent[slot] = (sequence, now);
        self.spent += 1;
        true
    }

    fn within_budget(&mut self, now: Micros) -> bool {
        if now >= self.window_start + SECOND {
            self.window_start = now;
            self.spent = 0;
        }
        self.spent < MAX_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_copy_a_round_trip() {
        let mut guard = ResendGuard::default();
        let rtt = 600 * MILLISECOND;
        assert!(guard.allow(5, SECOND, rtt));
        assert!(!guard.allow(5, SECOND + rtt / 2, rtt));
        assert!(guard.allow(6, SECOND + rtt / 2, rtt));
        assert!(guard.allow(5, SECOND + rtt, rtt));
    }

    #[test]
    fn a_storm_is_bounded() {
        let mut guard = ResendGuard::default();
        let sent = (0..100_000).filter(|&s| guard.allow(s, SECOND, 0)).count();
        assert_eq!(sent, MAX_PER_SECOND as usize);
        assert!(guard.allow(200_000, 2 * SECOND, 0));
    }
}
