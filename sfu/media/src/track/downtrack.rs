//! One taker's view of a published track: which stream it gets, under what numbers.
//!
//! A downtrack follows one [`Origin`] at a time. It begins, and changes over, at a keyframe;
//! what it lets through forms one gapless RTP stream: sequence numbers go on where the last
//! stream ended, timestamps by the time that passed in between.

use std::collections::VecDeque;

use super::packet::{Origin, Packet};
use super::sequence::nearest;
use crate::clock::Micros;

/// Change-overs remembered, so that retransmissions can be traced back.
const REMEMBERED: usize = 8;

/// A stretch of the outgoing stream that comes from one incoming stream.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    origin: Origin,
    /// First sequence number of the incoming stream that belongs to it.
    first: u64,
    /// Outgoing minus incoming, wrapping.
    sequence_offset: u64,
    timestamp_offset: u32,
}

/// The numbers a packet goes out under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Outgoing sequence number, with its roll-over count above the low 16 bits.
    pub sequence: u64,
    /// To be added to the publisher's timestamp, modulo 2^32.
    pub timestamp_offset: u32,
}

/// Gate and numbering of one downtrack.
#[derive(Debug)]
pub struct Downtrack {
    clock_rate: u32,
    stretches: VecDeque<Stretch>,
    /// Whether the newest stretch still goes on.
    flowing: bool,
    paused: bool,
    next_sequence: u64,
    last_timestamp: u32,
    last_arrival: Option<Micros>,
}

impl Downtrack {
    /// A downtrack that has sent nothing; `sequence` and `timestamp` are random beginnings
    /// (RFC 3550, 5.1). The sequence starts in the lower half of its range, so that its
    /// roll-over count is certainly 0 for the receiver (RFC 3711, 3.3.1).
    pub fn new(clock_rate: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            clock_rate,
            stretches: VecDeque::with_capacity(REMEMBERED),
            flowing: false,
            paused: false,
            next_sequence: u64::from(sequence & 0x7fff),
            last_timestamp: timestamp,
            last_arrival: None,
        }
    }

    /// Decide about a packet: its outgoing numbers, or `None` when it is not for this taker.
    ///
    /// `best` is the layer to be on; the one in use goes on until a keyframe of it comes.
    #[inline]
    pub fn handle_packet(&mut self, packet: &Packet, best: u8) -> Option<Stamp> {
        if self.paused {
            return None;
        }
        let current = self.stretches.back().filter(|_| self.flowing).copied();
        match current {
            Some(stretch) if stretch.origin == packet.origin => self.rewrite(stretch, packet),
            _ if packet.keyframe && packet.origin.layer == best => {
                let stretch = self.change_over(packet);
                self.rewrite(stretch, packet)
            }
            _ => None,
        }
    }

    /// Whether it needs a keyframe of `best` to go on.
    pub fn waits_for_keyframe(&self, best: u8) -> bool {
        !self.paused && self.layer() != Some(best)
    }

    /// The layer in use.
    pub fn layer(&self) -> Option<u8> {
        self.stretches
            .back()
            .filter(|_| self.flowing)
            .map(|s| s.origin.layer)
    }

    /// Where an outgoing packet came from, and the numbers it went out under.
    pub fn trace(&self, sequence: u16) -> Option<(Origin, u64, Stamp)> {
        let outgoing = nearest(self.next_sequence.checked_sub(1)?, sequence);
        let began_before = |s: &&Stretch| outgoing >= s.first.wrapping_add(s.sequence_offset);
        let stretch = self.stretches.iter().rev().find(began_before)?;
        let stamp = Stamp {
            sequence: outgoing,
            timestamp_offset: stretch.timestamp_offset,
        };
        let incoming = outgoing.wrapping_sub(stretch.sequence_offset);
        // A number from before the stream began comes out of `nearest` as 0.
        let sent = outgoing < self.next_sequence && outgoing as u16 == sequence;
        sent.then_some((stretch.origin, incoming, stamp))
    }

    /// A timestamp of the incoming stream on the outgoing clock, while that stream is in use.
    pub fn timestamp(&self, origin: Origin, timestamp: u32) -> Option<u32> {
        let stretch = self
            .stretches
            .back()
            .filter(|s| self.flowing && s.origin == origin)?;
        Some(timestamp.wrapping_add(stretch.timestamp_offset))
    }

    /// The source is another one now, or gone. What was sent of the old one cannot be traced.
    pub fn handle_source_change(&mut self) {
        self.flowing = false;
        self.stretches.clear();
    }

    /// Stop or go on; going on waits for a keyframe.
    pub fn pause(&mut self, paused: bool) {
        self.flowing &= !paused;
        self.paused = paused;
    }

    fn rewrite(&mut self, stretch: Stretch, packet: &Packet) -> Option<Stamp> {
        if packet.sequence < stretch.first {
            return None; // late, from before the change-over
        }
        let sequence = packet.sequence.wrapping_add(stretch.sequence_offset);
        let timestamp = packet.timestamp.wrapping_add(stretch.timestamp_offset);
        if sequence >= self.next_sequence {
            self.next_sequence = sequence + 1;
            self.last_timestamp = timestamp;
            self.last_arrival = Some(packet.arrival);
        }
        Some(Stamp {
            sequence,
            timestamp_offset: stretch.timestamp_offset,
        })
    }

    fn change_over(&mut self, packet: &Packet) -> Stretch {
        let elapsed = self
            .last_arrival
            .map_or(0, |at| packet.arrival.saturating_sub(at));
        let ticks = (elapsed * u64::from(self.clock_rate) / 1_000_000).max(1) as u32;
        let timestamp = self.last_timestamp.wrapping_add(ticks);
        let stretch = Stretch {
            origin: packet.origin,
            first: packet.sequence,
            sequence_offset: self.next_sequence.wrapping_sub(packet.sequence),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
        };
        if self.stretches.len() == REMEMBERED {
            self.stretches.pop_front();
        }
        self.stretches.push_back(stretch);
        self.flowing = true;
        stretch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: u32 = 90_000;

    fn packet(layer: u8, sequence: u64, timestamp: u32, keyframe: bool) -> Packet {
        let origin = Origin {
            layer,
            generation: 0,
        };
        let arrival = u64::from(timestamp) * 1_000_000 / u64::from(CLOCK);
        Packet {
            origin,
            sequence,
            timestamp,
            keyframe,
            arrival,
            ..Packet::default()
        }
    }

    #[test]
    fn begins_at_a_keyframe() {
        let mut track = Downtrack::new(CLOCK, 100, 0);
        assert_eq!(track.handle_packet(&packet(0, 7, 0, false), 0), None);
        assert!(track.waits_for_keyframe(0));
        let first = track.handle_packet(&packet(0, 8, 3_000, true), 0);
        assert_eq!(first.map(|r| r.sequence), Some(100));
        let second = track.handle_packet(&packet(0, 9, 6_000, false), 0);
        assert_eq!(second.map(|r| r.sequence), Some(101));
        assert!(!track.waits_for_keyframe(0));
    }

    #[test]
    fn a_layer_change_leaves_no_gap() {
        let mut track = Downtrack::new(CLOCK, 0, 0);
        track.handle_packet(&packet(0, 500, 0, true), 0);
        let before = track.handle_packet(&packet(0, 501, 3_000, false), 1);
        assert_eq!(track.handle_packet(&packet(1, 90, 3_000, false), 1), None);
        let after = track.handle_packet(&packet(1, 91, 6_000, true), 1);
        let (before, after) = (before.unwrap(), after.unwrap());
        assert_eq!(after.sequence, before.sequence + 1);
        let sent = |stamp: Stamp, timestamp: u32| timestamp.wrapping_add(stamp.timestamp_offset);
        let step = sent(after, 6_000).wrapping_sub(sent(before, 3_000));
        assert!((2_999..=3_000).contains(&step), "{step} ticks");
        assert_eq!(track.handle_packet(&packet(0, 502, 6_000, false), 1), None);
    }

    #[test]
    fn late_packets_keep_their_place_and_never_precede_a_change_over() {
        let mut track = Downtrack::new(CLOCK, 0, 0);
        track.handle_packet(&packet(0, 10, 0, true), 0);
        track.handle_packet(&packet(0, 12, 0, false), 0);
        let late = track.handle_packet(&packet(0, 11, 0, false), 0);
        assert_eq!(late.map(|r| r.sequence), Some(1));
        assert_eq!(track.handle_packet(&packet(0, 9, 0, false), 0), None);
    }

    #[test]
    fn retransmissions_are_traced_over_change_overs() {
        let mut track = Downtrack::new(CLOCK, 0, 0);
        track.handle_packet(&packet(0, 500, 0, true), 0);
        track.handle_packet(&packet(0, 501, 0, false), 0);
        track.handle_packet(&packet(1, 90, 3_000, true), 1);
        track.handle_packet(&packet(1, 91, 3_000, false), 1);
        let traced = |sequence| {
            track
                .trace(sequence)
                .map(|(origin, s, _)| (origin.layer, s))
        };
        assert_eq!(traced(1), Some((0, 501)));
        assert_eq!(traced(2), Some((1, 90)));
        assert_eq!(traced(3), Some((1, 91)));
        assert_eq!(traced(4), None);
        assert_eq!(traced(65_535), None);
    }

    #[test]
    fn a_pause_ends_with_a_keyframe_and_without_a_gap() {
        let mut track = Downtrack::new(CLOCK, 0, 0);
        track.handle_packet(&packet(0, 10, 0, true), 0);
        track.pause(true);
        assert_eq!(track.handle_packet(&packet(0, 11, 0, true), 0), None);
        assert!(!track.waits_for_keyframe(0));
        track.pause(false);
        assert_eq!(track.handle_packet(&packet(0, 12, 0, false), 0), None);
        let resumed = track.handle_packet(&packet(0, 13, 0, true), 0);
        assert_eq!(resumed.map(|r| r.sequence), Some(1));
    }

    #[test]
    fn the_sequence_goes_on_when_the_source_changes() {
        let mut track = Downtrack::new(CLOCK, 0, 0);
        let last = track.handle_packet(&packet(0, 10, 0, true), 0).unwrap();
        track.handle_source_change();
        assert_eq!(track.trace(0), None);
        let next = track
            .handle_packet(&packet(0, 70_000, 900, true), 0)
            .unwrap();
        assert_eq!(next.sequence, last.sequence + 1);
    }
}
