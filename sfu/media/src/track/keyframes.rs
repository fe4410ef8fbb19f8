//! When to ask a publisher for a keyframe: once for all who want one.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// Requests closer than this are one. Each keyframe costs every viewer of a narrow link.
const MIN_INTERVAL: Micros = 500 * MILLISECOND;

/// A viewer may have this many keyframes in a row, and then one in so long.
const BURST: u64 = 4;
const PRICE: Micros = 2 * SECOND;

/// The keyframe requests of one published stream, coalesced.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: bool,
    last_sent: Option<Micros>,
    last_keyframe: Option<Micros>,
}

impl KeyframeRequests {
    /// Somebody needs a keyframe.
    pub fn request(&mut self) {
        self.wanted = true;
    }

    /// A keyframe began to arrive: who waited has it.
    pub fn handle_keyframe(&mut self, now: Micros) {
        self.wanted = false;
        self.last_keyframe = Some(now);
    }

    /// Whether to send a PLI now. It is repeated until the keyframe comes.
    pub fn poll(&mut self, now: Micros) -> bool {
        let ready = self.last_sent.is_none_or(|at| now >= at + MIN_INTERVAL);
        if self.wanted && ready {
            self.last_sent = Some(now);
        }
        self.wanted && ready
    }

    /// When the newest keyframe began.
    pub fn last_keyframe(&self) -> Option<Micros> {
        self.last_keyframe
    }
}

/// What one viewer may ask for: each keyframe costs all who share its layer.
#[derive(Debug, Default)]
pub struct KeyframeAllowance {
    /// When the last request was let through, and until when those before it are paid for.
    last: Option<Micros>,
    paid_until: Micros,
}

impl KeyframeAllowance {
    /// Whether a request of the viewer counts. One that it made before the answer to the last one
    /// could have reached it is that one again; and of many not all are heard.
    pub fn allow(&mut self, now: Micros, rtt: Micros) -> bool {
        let again = self.last.is_some_and(|at| now < at + rtt.max(MIN_INTERVAL));
        let paid_until = self.paid_until.max(now) + PRICE;
        if again || paid_until > now + BURST * PRICE {
            return false;
        }
        self.last = Some(now);
        self.paid_until = paid_until;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_requests_are_one_and_repeated_until_answered() {
        let mut requests = KeyframeRequests::default();
        assert!(!requests.poll(0));
        requests.request();
        requests.request();
        assert!(requests.poll(0));
        requests.request();
        assert!(!requests.poll(MIN_INTERVAL - 1));
        assert!(requests.poll(MIN_INTERVAL));
        requests.handle_keyframe(MIN_INTERVAL + 1);
        assert!(!requests.poll(10 * MIN_INTERVAL));
    }

    #[test]
    fn a_storm_of_one_viewer_is_bounded() {
        let mut allowance = KeyframeAllowance::default();
        let storm = (0..60_000).map(|i| 10 * SECOND + i * MILLISECOND);
        let heard = storm.filter(|&now| allowance.allow(now, 0)).count();
        assert!((33..=34).contains(&heard), "{heard} in a minute");
    }

    #[test]
    fn a_far_viewer_asks_once_a_round_trip() {
        let mut allowance = KeyframeAllowance::default();
        let rtt = 700 * MILLISECOND;
        assert!(allowance.allow(SECOND, rtt));
        assert!(!allowance.allow(SECOND + 600 * MILLISECOND, rtt));
        assert!(allowance.allow(SECOND + 700 * MILLISECOND, rtt));
    }
}
