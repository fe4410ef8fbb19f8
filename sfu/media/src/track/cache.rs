//! The last packets of one published stream, kept for retransmission and shared by all viewers.

use std::sync::Arc;

use super::packet::{Origin, Packet};

/// A ring of packets by sequence number.
#[derive(Debug)]
pub struct Cache {
    origin: Origin,
    slots: Box<[Option<Arc<Packet>>]>,
}

impl Cache {
    /// Room for `capacity` packets, a power of two.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity.is_power_of_two(), "the ring is indexed by a mask");
        Self {
            origin: Origin::default(),
            slots: vec![None; capacity].into(),
        }
    }

    /// Keep a packet; gives back the one that made room.
    pub fn insert(&mut self, packet: Arc<Packet>) -> Option<Arc<Packet>> {
        if packet.origin != self.origin {
            self.origin = packet.origin;
            self.slots.fill(None);
        }
        let slot = self.slot(packet.sequence);
        self.slots[slot].replace(packet)
    }

    /// The packet with this number, if it is still here.
    pub fn get(&self, origin: Origin, sequence: u64) -> Option<&Arc<Packet>> {
        let packet = self.slots[self.slot(sequence)].as_ref()?;
        (packet.sequence == sequence && self.origin == origin).then_some(packet)
    }

    fn slot(&self, sequence: u64) -> usize {
        sequence as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u64, generation: u8) -> Arc<Packet> {
        let origin = Origin {
            layer: 0,
            generation,
        };
        Arc::new(Packet {
            sequence,
            origin,
            ..Packet::default()
        })
    }

    #[test]
    fn keeps_the_last_packets_and_hands_back_the_displaced() {
        let mut cache = Cache::new(4);
        for sequence in 0..4 {
            assert!(cache.insert(packet(sequence, 0)).is_none());
        }
        assert_eq!(cache.insert(packet(4, 0)).map(|p| p.sequence), Some(0));
        assert!(cache.get(Origin::default(), 0).is_none());
        assert!(cache.get(Origin::default(), 3).is_some());
    }

    #[test]
    fn a_new_stream_forgets_the_old_one() {
        let mut cache = Cache::new(4);
        cache.insert(packet(1, 0));
        cache.insert(packet(2, 1));
        assert!(cache.get(Origin::default(), 1).is_none());
        assert!(
            cache
                .get(
                    Origin {
                        layer: 0,
                        generation: 1
                    },
                    2
                )
                .is_some()
        );
    }
}
