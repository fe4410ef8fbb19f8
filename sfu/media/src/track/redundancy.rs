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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    /// What was sent, but for what the cache has lost.
    struct Sent(Vec<Option<Arc<Packet>>>);

    impl Past for Sent {
        fn packet(&self, _: Origin, sequence: u64) -> Option<&Arc<Packet>> {
            self.0.get(sequence as usize)?.as_ref()
        }
    }

    /// So many packets of sound, 20 ms and `bytes` each; the stamp of the last.
    fn sent(count: u64, bytes: usize) -> (Downtrack, Sent, Stamp) {
        let mut downtrack = Downtrack::new(Codec::Opus, 48_000, 0x7fff, 9);
        let packet = |sequence: u64| Packet {
            sequence,
            timestamp: sequence as u32 * 960,
            keyframe: true,
            payload: vec![sequence as u8; bytes],
            ..Packet::default()
        };
        let packets: Vec<_> = (0..count).map(packet).collect();
        let stamps = packets.iter().map(|p| downtrack.handle_packet(p, 0));
        let stamp = stamps.last().flatten().expect("sound always goes");
        let kept = packets.into_iter().map(|p| Some(Arc::new(p)));
        (downtrack, Sent(kept.collect()), stamp)
    }

    fn with<T>(
        (downtrack, past, stamp): &(Downtrack, Sent, Stamp),
        look: impl FnOnce(&Sound<'_, Sent>) -> T,
    ) -> T {
        let newest = past.0.last().and_then(Option::as_ref).expect("it is here");
        look(&Sound {
            packet: newest,
            stamp: *stamp,
            downtrack,
            past,
            payload_type: 111,
        })
    }

    const PLAN: RedPlan = RedPlan {
        spacing: 2,
        copies: 3,
    };

    fn written(sound: &Sound<'_, Sent>, copies: Copies) -> Vec<(u8, u32, u8)> {
        let mut arena = Vec::new();
        sound.write(copies, &mut arena);
        let told = red::blocks(&arena).map(|b| (b.payload_type, b.offset, b.data[0]));
        told.collect()
    }

    #[test]
    fn copies_go_along_oldest_first_with_the_time_they_are_of() {
        with(&sent(10, 60), |sound| {
            let copies = Copies::of(PLAN, sound);
            assert_eq!((copies.count(), copies.is_empty()), (3, false));
            let blocks = [
                (111, 6 * 960, 3),
                (111, 4 * 960, 5),
                (111, 2 * 960, 7),
                (111, 0, 9),
            ];
            assert_eq!(written(sound, copies), blocks);
        });
    }

    #[test]
    fn at_the_beginning_only_what_was_sent_goes_along() {
        with(&sent(1, 60), |sound| {
            assert!(Copies::of(PLAN, sound).is_empty())
        });
        with(&sent(4, 60), |sound| {
            let copies = Copies::of(PLAN, sound);
            assert_eq!(written(sound, copies), [(111, 2 * 960, 1), (111, 0, 3)]);
        });
    }

    #[test]
    fn a_repeat_is_refused_once_a_copy_is_no_longer_to_be_had() {
        let mut sent = sent(10, 60);
        sent.1.0[5] = None; // lost on the way to us
        let copies = with(&sent, |sound| Copies::of(PLAN, sound));
        assert_eq!(copies.count(), 2);
        assert!(with(&sent, |sound| sound.has(copies)));
        sent.1.0[5] = sent.1.0[4].clone(); // it came late, and changes nothing
        let again = with(&sent, |sound| written(sound, copies));
        assert_eq!(again, [(111, 6 * 960, 3), (111, 2 * 960, 7), (111, 0, 9)]);
        sent.1.0[3] = None; // fell out of the cache
        assert!(!with(&sent, |sound| sound.has(copies)));
    }

    #[test]
    fn a_packet_with_copies_stays_below_what_a_way_carries_whole() {
        with(&sent(10, 500), |sound| {
            let mut arena = Vec::new();
            sound.write(Copies::of(PLAN, sound), &mut arena);
            assert!((500..=MOST_BYTES).contains(&arena.len()), "{}", arena.len());
            let primary = red::primary(&arena).expect("it is always there");
            assert_eq!(primary.data, [9; 500]);
        });
    }
}
