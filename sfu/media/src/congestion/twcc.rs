//! Transport-wide feedback to a publisher (draft-holmer-rmcat-transport-wide-cc-extensions-01):
//! without it a browser's estimate collapses and with it the picture.

use std::collections::VecDeque;

use crate::clock::{MILLISECOND, Micros};
use crate::packet::rtcp;
use crate::track::Unwrapper;

/// Feedback leaves this often.
const INTERVAL: Micros = 50 * MILLISECOND;
/// Packets one feedback may cover. Older ones are forgotten unreported.
const MAX_PACKETS: usize = 1_024;

/// Arrival times of one peer's packets by their transport-wide sequence number.
#[derive(Debug, Default)]
pub struct TwccRecorder {
    unwrapper: Unwrapper,
    /// The number of the first of `arrivals`.
    base: Option<u64>,
    arrivals: VecDeque<Option<Micros>>,
    media_ssrc: u32,
    count: u8,
    last_sent: Micros,
}

impl TwccRecorder {
    /// Note a packet of any stream.
    pub fn handle_packet(&mut self, sequence: u16, ssrc: u32, now: Micros) {
        let sequence = self.unwrapper.unwrap(sequence);
        self.media_ssrc = ssrc;
        let base = *self.base.get_or_insert(sequence);
        if sequence > base + (self.arrivals.len() + MAX_PACKETS) as u64 {
            self.arrivals.clear();
            self.base = Some(sequence);
        }
        let Some(index) = sequence.checked_sub(self.base.unwrap_or(base)) else {
            return; // reported as lost already
        };
        let index = index as usize;
        while self.arrivals.len() <= index {
            self.arrivals.push_back(None);
        }
        self.arrivals[index].get_or_insert(now);
        let excess = self.arrivals.len().saturating_sub(MAX_PACKETS);
        self.forget(excess);
    }

    /// Append the feedback due now, if any, to a compound packet.
    pub fn poll(&mut self, now: Micros, ssrc: u32, out: &mut Vec<u8>) {
        let due = !self.arrivals.is_empty() && now >= self.last_sent + INTERVAL;
        let Some(first) = self.base.filter(|_| due) else {
            return;
        };
        self.last_sent = now;
        let arrivals = self.arrivals.make_contiguous();
        let base = first as u16;
        let told = rtcp::transport_feedback(out, ssrc, self.media_ssrc, base, self.count, arrivals);
        self.count = self.count.wrapping_add(1);
        // What did not fit is told the next time; that nothing did cannot be, but must not stick.
        self.forget(told.max(1));
    }

    fn forget(&mut self, count: usize) {
        let count = count.min(self.arrivals.len());
        self.arrivals.drain(..count);
        self.base = self.base.map(|base| base + count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::rtcp::{Rtcp, packets};

    fn reported(recorder: &mut TwccRecorder, now: Micros) -> Vec<(u16, bool)> {
        let mut out = Vec::new();
        recorder.poll(now, 1, &mut out);
        let feedbacks = packets(&out).map(|p| p.expect("we wrote it"));
        let mut all = Vec::new();
        for feedback in feedbacks {
            let Rtcp::TransportFeedback(feedback) = feedback else {
                panic!("{feedback:?}")
            };
            all.extend(feedback.arrivals().map(|(s, delta)| (s, delta.is_some())));
        }
        all
    }

    #[test]
    fn reports_what_came_and_what_did_not() {
        let mut recorder = TwccRecorder::default();
        for sequence in [65_534, 65_535, 1, 2] {
            recorder.handle_packet(sequence, 7, u64::from(sequence) + 1_000_000);
        }
        let expected = [
            (65_534, true),
            (65_535, true),
            (0, false),
            (1, true),
            (2, true),
        ];
        assert_eq!(reported(&mut recorder, 2_000_000), expected);
        assert_eq!(reported(&mut recorder, 3_000_000), []);
        recorder.handle_packet(5, 7, 3_000_000);
        let expected = [(3, false), (4, false), (5, true)];
        assert_eq!(reported(&mut recorder, 4_000_000), expected);
    }

    #[test]
    fn a_jump_is_bounded() {
        let mut recorder = TwccRecorder::default();
        recorder.handle_packet(0, 7, 1_000_000);
        recorder.handle_packet(30_000, 7, 1_000_000);
        assert!(recorder.arrivals.len() <= MAX_PACKETS);
    }

    #[test]
    fn waits_for_its_interval() {
        let mut recorder = TwccRecorder::default();
        recorder.handle_packet(1, 7, INTERVAL);
        assert_eq!(reported(&mut recorder, INTERVAL).len(), 1);
        recorder.handle_packet(2, 7, INTERVAL + 1);
        assert_eq!(reported(&mut recorder, 2 * INTERVAL - 1).len(), 0);
        assert_eq!(reported(&mut recorder, 2 * INTERVAL).len(), 1);
    }
}
