//! Which packets of a received stream are missing, and when to ask for them again.

use std::collections::VecDeque;

use crate::clock::{MILLISECOND, Micros, SECOND};

/// A reordered packet is usually there within this time; before it nothing is asked for.
const REORDER_WAIT: Micros = 5 * MILLISECOND;
/// Assumed until the first retransmission has been timed.
const INITIAL_RTT: Micros = 100 * MILLISECOND;
/// A round trip longer than a geostationary link's is not believed.
const MAX_RTT: Micros = 2 * SECOND;
/// Requests for one packet before it is given up.
const MAX_TRIES: u8 = 10;
/// Missing packets followed at once; a larger gap is an outage, not loss.
const MAX_MISSING: usize = 512;
/// Requests made at once: they share a datagram.
const MAX_REQUESTS: usize = 128;

#[derive(Debug)]
struct Missing {
    sequence: u64,
    due: Micros,
    asked_first: Option<Micros>,
    tries: u8,
}

/// What came of looking at a packet's sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Newer than all before it.
    Newest,
    /// It fills a gap.
    Recovered,
    /// Seen before, or too old to tell.
    Duplicate,
}

/// Follows one stream's sequence numbers (RFC 4585, 6.2.1: generic NACK).
#[derive(Debug)]
pub struct NackGenerator {
    highest: Option<u64>,
    missing: VecDeque<Missing>,
    rtt: Micros,
    gave_up: bool,
}

impl Default for NackGenerator {
    fn default() -> Self {
        Self {
            highest: None,
            missing: VecDeque::new(),
            rtt: INITIAL_RTT,
            gave_up: false,
        }
    }
}

impl NackGenerator {
    /// Note a packet, original or repaired.
    pub fn handle_packet(&mut self, sequence: u64, now: Micros) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return Arrival::Newest;
        };
        if sequence <= highest {
            return self.fill(sequence, now);
        }
        self.open_gap(highest + 1, sequence, now);
        self.highest = Some(sequence);
        Arrival::Newest
    }

    /// The numbers to ask for now, oldest first, into `due`.
    pub fn poll(&mut self, now: Micros, due: &mut Vec<u16>) {
        let retry = self.rtt + self.rtt / 4;
        let before = self.missing.len();
        self.missing.retain(|m| m.tries < MAX_TRIES || m.due > now);
        self.gave_up |= self.missing.len() < before;
        for missing in self
            .missing
            .iter_mut()
            .filter(|m| m.due <= now)
            .take(MAX_REQUESTS)
        {
            missing.tries += 1;
            missing.asked_first.get_or_insert(now);
            missing.due = now + retry;
            due.push(missing.sequence as u16);
        }
    }

    /// Whether a packet was given up since the last call: a picture can only be mended by a
    /// keyframe now.
    pub fn take_gave_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }

    /// Smoothed round trip to the sender, from request to retransmission.
    pub fn rtt(&self) -> Micros {
        self.rtt
    }

    fn open_gap(&mut self, from: u64, to: u64, now: Micros) {
        if (to - from) as usize + self.missing.len() > MAX_MISSING {
            self.missing.clear();
            self.gave_up = true;
            return;
        }
        let due = now + REORDER_WAIT;
        let gap = (from..to).map(|sequence| Missing {
            sequence,
            due,
            asked_first: None,
            tries: 0,
        });
        self.missing.extend(gap);
    }

    fn fill(&mut self, sequence: u64, now: Micros) -> Arrival {
        let Ok(at) = self.missing.binary_search_by_key(&sequence, |m| m.sequence) else {
            return Arrival::Duplicate;
        };
        // The index was just found.
        if let Some(Missing {
            asked_first: Some(asked),
            tries: 1,
            ..
        }) = self.missing.remove(at)
        {
            let sample = now.saturating_sub(asked).min(MAX_RTT);
            self.rtt = (self.rtt * 7 + sample) / 8;
        }
        Arrival::Recovered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(nack: &mut NackGenerator, now: Micros) -> Vec<u16> {
        let mut due = Vec::new();
        nack.poll(now, &mut due);
        due
    }

    #[test]
    fn asks_after_the_reorder_wait_and_then_once_a_round_trip() {
        let mut nack = NackGenerator::default();
        nack.handle_packet(10, 0);
        nack.handle_packet(13, 0);
        assert_eq!(due(&mut nack, 0), [0u16; 0]);
        assert_eq!(due(&mut nack, REORDER_WAIT), [11, 12]);
        assert_eq!(due(&mut nack, REORDER_WAIT + INITIAL_RTT), [0u16; 0]);
        assert_eq!(due(&mut nack, REORDER_WAIT + INITIAL_RTT * 5 / 4), [11, 12]);
    }

    #[test]
    fn reordering_asks_for_nothing() {
        let mut nack = NackGenerator::default();
        nack.handle_packet(10, 0);
        nack.handle_packet(12, 0);
        assert_eq!(nack.handle_packet(11, 2 * MILLISECOND), Arrival::Recovered);
        assert_eq!(due(&mut nack, SECOND), [0u16; 0]);
        assert_eq!(nack.handle_packet(11, SECOND), Arrival::Duplicate);
    }

    #[test]
    fn learns_the_round_trip_of_a_satellite() {
        let mut nack = NackGenerator::default();
        let mut now = 0;
        for sequence in (0..100).step_by(2) {
            nack.handle_packet(sequence, now);
            nack.handle_packet(sequence + 2, now);
            now += REORDER_WAIT;
            due(&mut nack, now);
            now += 600 * MILLISECOND;
            nack.handle_packet(sequence + 1, now);
        }
        assert!(nack.rtt() > 550 * MILLISECOND, "rtt {}", nack.rtt());
    }

    #[test]
    fn an_outage_is_not_asked_for_packet_by_packet() {
        let mut nack = NackGenerator::default();
        nack.handle_packet(0, 0);
        nack.handle_packet(5_000, 0);
        assert_eq!(due(&mut nack, SECOND), [0u16; 0]);
        assert!(nack.take_gave_up());
        assert!(!nack.take_gave_up());
    }

    #[test]
    fn gives_up_after_ten_requests() {
        let mut nack = NackGenerator::default();
        nack.handle_packet(0, 0);
        nack.handle_packet(2, 0);
        let asked: usize = (1..100).map(|i| due(&mut nack, i * SECOND).len()).sum();
        assert_eq!(asked, MAX_TRIES as usize);
        assert!(nack.take_gave_up());
    }
}
