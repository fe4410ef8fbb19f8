//! Earlier sound that goes along with a packet (RFC 2198), found in what was sent before.

use std::sync::Arc;

use super::downtrack::{Downtrack, Stamp};
use super::packet::{Origin, Packet};
use crate::repair::red::{self, Block, RedPlan};

/// A packet with its copies stays below this: sound is small, and must not be cut on the way.
const MOST_BYTES: usize = 1_100;

/// Where packets of the recent past are found.
pub trait Past {
    /// The packet of this stream with this number.
    fn packet(&self, origin: Origin, sequence: u64) -> Option<&Arc<Packet>>;
}

/// Which earlier packets went along with one. A retransmission repeats it to the bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copies {
    spacing: u8,
    /// Bit `n`: the packet `n + 1` times the spacing ago.
    present: u8,
}

impl Copies {
    /// Those of a plan that are there.
    pub(super) fn of(plan: RedPlan, sound: &Sound<'_, impl Past>) -> Self {
        let mut copies = Self {
            spacing: plan.spacing,
            present: 0,
        };
        for (bit, distance) in (0..plan.copies).zip((1..).map(|n| n * u64::from(plan.spacing))) {
            let there = sound.earlier(distance).is_some();
            copies.present |= u8::from(there) << bit;
        }
        copies
    }

    /// Whether the packet goes alone.
    pub(super) fn is_empty(self) -> bool {
        self.present == 0
    }

    /// How many go along.
    pub(super) fn count(self) -> u64 {
        self.present.count_ones().into()
    }

    /// How many packets ago they were sent, the oldest first.
    fn distances(self) -> impl Iterator<Item = u64> + Clone {
        let bits = (0..u8::BITS as u8).rev();
        bits.filter(move |bit| self.present & (1 << bit) != 0)
            .map(move |bit| (u64::from(bit) + 1) * u64::from(self.spacing))
    }
}

/// A packet of sound on its way out.
pub(super) struct Sound<'a, P> {
    pub(super) packet: &'a Packet,
    pub(super) stamp: Stamp,
    pub(super) downtrack: &'a Downtrack,
    pub(super) past: &'a P,
    /// Payload type of the sound itself.
    pub(super) payload_type: u8,
}

impl<P: Past> Sound<'_, P> {
    /// Whether these copies are all still to be had.
    pub(super) fn has(&self, copies: Copies) -> bool {
        copies.distances().all(|d| self.earlier(d).is_some())
    }

    /// The payload with its copies, at the arena's end.
    pub(super) fn write(&self, copies: Copies, arena: &mut Vec<u8>) {
        let earlier = copies.distances().filter_map(|d| self.earlier(d));
        let primary = Block {
            payload_type: self.payload_type,
            offset: 0,
            data: &self.packet.payload,
        };
        red::write(arena, earlier, primary, MOST_BYTES);
    }

    /// What was sent so many packets ago.
    fn earlier(&self, distance: u64) -> Option<Block<'_>> {
        let sequence = self.stamp.sequence.checked_sub(distance)?;
        let traced = self.downtrack.trace(sequence as u16)?;
        let packet = self.past.packet(traced.origin, traced.incoming)?;
        let stamp = self.downtrack.stamp(traced, packet)?;
        let sent =
            |packet: &Packet, stamp: Stamp| packet.timestamp.wrapping_add(stamp.timestamp_offset);
        Some(Block {
            payload_type: self.payload_type,
            offset: sent(self.packet, self.stamp).wrapping_sub(sent(packet, stamp)),
            data: &packet.payload,
        })
    }
}
