//! When to ask a publisher for a keyframe: once for all who want one.

use crate::clock::{MILLISECOND, Micros};

/// Requests closer than this are one. Each keyframe costs every viewer of a narrow link.
const MIN_INTERVAL: Micros = 500 * MILLISECOND;

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
}
