//! What was sent to one viewer, by transport-wide sequence number, and what became of it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use crate::clock::{Micros, SECOND};
use crate::packet::rtcp::TransportFeedback;
use crate::track::nearest;

/// Packets remembered: over two seconds of 4 Mbit/s, several round trips of a satellite.
const REMEMBERED: usize = 1_024;
/// Rate and loss are told over this.
const WINDOW: Micros = SECOND;

/// One packet on its way; microseconds of the clock's low 32 bits, 0 bytes once it is told of.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    at: u32,
    bytes: u16,
}

/// How the link does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets that the viewer told to have come.
    pub delivered: u64,
    /// Packets that it told lost, or never told of.
    pub lost: u64,
    /// Bytes a second that arrived, over the last second.
    pub delivered_per_second: u64,
    /// From sending a packet to the feedback on it: the round trip and the viewer's patience.
    pub feedback_delay: Micros,
}

/// The packets on their way to one viewer.
#[derive(Debug)]
pub struct SentPackets {
    next: u64,
    /// Everything before it was told of.
    told: u64,
    ring: Box<[Sent]>,
    window_start: Micros,
    window_bytes: u64,
    counters: LinkCounters,
}

impl Default for SentPackets {
    fn default() -> Self {
        Self {
            next: 1,
            told: 1,
            ring: vec![Sent::default(); REMEMBERED].into(),
            window_start: 0,
            window_bytes: 0,
            counters: LinkCounters::default(),
        }
    }
}

impl SentPackets {
    /// The number of the next packet; note its size with [`Self::handle_sent`].
    #[inline]
    pub fn next_sequence(&self) -> u16 {
        self.next as u16
    }

    /// The packet with the next number leaves now.
    #[inline]
    pub fn handle_sent(&mut self, bytes: usize, now: Micros) {
        let slot = self.next as usize % REMEMBERED;
        self.ring[slot] = Sent {
            at: now as u32,
            bytes: bytes.min(u16::MAX.into()) as u16,
        };
        self.next += 1;
    }

    /// The viewer tells what came. Numbers that were never sent, or too long ago, are ignored.
    pub fn handle_feedback(&mut self, feedback: &TransportFeedback<'_>, now: Micros) {
        self.turn_window(now);
        let oldest = self.next.saturating_sub(REMEMBERED as u64).max(1);
        let mut until = self.told;
        for (sequence, arrived) in feedback.arrivals() {
            let sequence = nearest(self.next - 1, sequence);
            if !(oldest..self.next).contains(&sequence) {
                continue;
            }
            until = until.max(sequence + 1);
            let sent = &mut self.ring[sequence as usize % REMEMBERED];
            if arrived.is_some() && sent.bytes > 0 {
                self.counters.delivered += 1;
                self.window_bytes += u64::from(sent.bytes);
                self.counters.feedback_delay = (now as u32).wrapping_sub(sent.at).into();
                sent.bytes = 0;
            }
        }
        self.give_up(until);
    }

    /// How the link does.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// What lies before `until` and was not told to have come is lost.
    fn give_up(&mut self, until: u64) {
        for sequence in self.told.max(until.saturating_sub(REMEMBERED as u64))..until {
            let sent = &mut self.ring[sequence as usize % REMEMBERED];
            self.counters.lost += u64::from(sent.bytes > 0);
            sent.bytes = 0;
        }
        self.told = until;
    }

    fn turn_window(&mut self, now: Micros) {
        let elapsed = now.saturating_sub(self.window_start);
        if elapsed >= WINDOW {
            self.counters.delivered_per_second = self.window_bytes * SECOND / elapsed;
            self.window_start = now;
            self.window_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;
    use crate::packet::rtcp::{self, Rtcp};

    fn tell(sent: &mut SentPackets, base: u16, arrivals: &[Option<Micros>], now: Micros) {
        let mut out = Vec::new();
        rtcp::transport_feedback(&mut out, 1, 2, base, 0, arrivals);
        for packet in rtcp::packets(&out) {
            if let Ok(Rtcp::TransportFeedback(feedback)) = packet {
                sent.handle_feedback(&feedback, now);
            }
        }
    }

    fn send(sent: &mut SentPackets, count: usize, now: Micros) -> u16 {
        let first = sent.next_sequence();
        (0..count).for_each(|_| sent.handle_sent(1_000, now));
        first
    }

    #[test]
    fn tells_what_came_and_what_did_not() {
        let mut sent = SentPackets::default();
        let base = send(&mut sent, 4, SECOND);
        let later = SECOND + 40 * MILLISECOND;
        tell(
            &mut sent,
            base,
            &[Some(later), None, Some(later), Some(later)],
            later,
        );
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (3, 1));
        assert_eq!(counters.feedback_delay, 40 * MILLISECOND);
    }

    #[test]
    fn the_same_news_twice_is_counted_once() {
        let mut sent = SentPackets::default();
        let base = send(&mut sent, 2, SECOND);
        for _ in 0..3 {
            tell(&mut sent, base, &[None, Some(SECOND)], SECOND);
        }
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (1, 1));
    }

    #[test]
    fn lost_feedback_is_lost_packets() {
        let mut sent = SentPackets::default();
        send(&mut sent, 10, SECOND);
        let base = send(&mut sent, 1, SECOND);
        tell(&mut sent, base, &[Some(SECOND)], SECOND);
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (1, 10));
    }

    #[test]
    fn tales_of_packets_never_sent_are_ignored() {
        let mut sent = SentPackets::default();
        send(&mut sent, 3, SECOND);
        for base in [4, 900, 30_000, 65_535] {
            tell(&mut sent, base, &[Some(SECOND); 50], SECOND);
        }
        // 65,535 and 0 were never sent, 1 to 3 were: they came.
        assert_eq!(sent.counters().delivered, 3);
        assert_eq!(sent.counters().lost, 0);
    }

    #[test]
    fn the_rate_is_what_arrived_in_a_second() {
        let mut sent = SentPackets::default();
        for step in 0..300 {
            let now = SECOND + step * 10 * MILLISECOND;
            let base = send(&mut sent, 2, now);
            tell(&mut sent, base, &[Some(now), Some(now)], now);
        }
        let rate = sent.counters().delivered_per_second;
        assert!((198_000..202_000).contains(&rate), "{rate} bytes a second");
    }
}
