//! One received media packet, opened and shared by everyone who takes it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::Micros;
use crate::codec::{Layering, PictureIds};
use crate::packet::extension::Kind;

/// Header extensions forwarded end to end that one packet may carry; further ones are dropped.
const MAX_EXTENSIONS: usize = 8;
/// Bytes of extension data kept of one packet; an AV1 dependency descriptor with its template
/// structure is the largest and stays under it.
pub(super) const MAX_EXTENSION_BYTES: usize = 255;

/// Packets a pool keeps waiting for their last reader before it lets one go.
const MAX_RETIRED: usize = 256;

/// One stream of a published track: a simulcast layer, and how often its SSRC has changed.
///
/// Sequence numbers and timestamps mean something only within one `Origin`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Index of the layer, in the order of the offer; 0 without simulcast.
    pub layer: u8,
    /// Counts the SSRCs this layer has had.
    pub generation: u8,
}

/// A decrypted RTP packet without its header: what all viewers share.
#[derive(Debug, Default, Clone)]
pub struct Packet {
    /// The stream it belongs to.
    pub origin: Origin,
    /// Sequence number, unwrapped to 64 bits.
    pub sequence: u64,
    /// RTP timestamp as the publisher sent it.
    pub timestamp: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// The payload begins a keyframe (always true for audio).
    pub keyframe: bool,
    /// Which layer of its stream it is of.
    pub layering: Layering,
    /// The track has layers or streams of which a viewer may get fewer.
    pub layered: bool,
    /// Numbers of its picture inside the payload.
    pub picture: Option<PictureIds>,
    /// Number of its frame in the dependency descriptor.
    pub frame: Option<PictureIds>,
    /// When it arrived.
    pub arrival: Micros,
    /// The payload, padding removed.
    pub payload: Vec<u8>,
    /// End-to-end header extensions.
    pub extensions: Extensions,
}

impl Packet {
    fn clear(&mut self) {
        self.payload.clear();
        self.extensions.clear();
    }
}

/// The header extensions of one packet.
#[derive(Debug, Default, Clone)]
pub struct Extensions {
    /// Kind, and where its bytes end in `data`.
    elements: [Option<(Kind, u16)>; MAX_EXTENSIONS],
    data: Vec<u8>,
}

impl Extensions {
    /// Remember one, within bounds that no honest packet meets.
    pub fn add(&mut self, kind: Kind, data: &[u8]) {
        if self.data.len() + data.len() > MAX_EXTENSION_BYTES {
            return;
        }
        if let Some(free) = self.elements.iter_mut().find(|e| e.is_none()) {
            self.data.extend_from_slice(data);
            *free = Some((kind, self.data.len() as u16));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.elements[0].is_none()
    }

    /// All, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &[u8])> + Clone {
        let mut start = 0;
        self.elements.iter().flatten().map(move |&(kind, end)| {
            let data = &self.data[start..end as usize];
            start = end as usize;
            (kind, data)
        })
    }

    /// The first of this kind.
    pub fn of(&self, wanted: Kind) -> Option<(Kind, &[u8])> {
        self.iter().find(|(kind, _)| *kind == wanted)
    }

    fn clear(&mut self) {
        self.elements = [None; MAX_EXTENSIONS];
        self.data.clear();
    }
}

/// Packets whose readers are done, to be filled again: no allocation in the steady state.
#[derive(Debug, Default)]
pub struct PacketPool {
    retired: VecDeque<Arc<Packet>>,
}

impl PacketPool {
    /// A packet as `fill` leaves it, in recycled memory where there is some.
    pub fn packet(&mut self, fill: impl FnOnce(&mut Packet)) -> Arc<Packet> {
        let mut packet = self.recycled().unwrap_or_default();
        if let Some(inner) = Arc::get_mut(&mut packet) {
            inner.clear();
            fill(inner);
        }
        packet
    }

    /// Take back a packet that the cache let go; other shards may still be reading it.
    pub fn retire(&mut self, packet: Arc<Packet>) {
        if self.retired.len() == MAX_RETIRED {
            self.retired.pop_front();
        }
        self.retired.push_back(packet);
    }

    /// The oldest retired packet, once nobody else holds it.
    fn recycled(&mut self) -> Option<Arc<Packet>> {
        Arc::get_mut(self.retired.front_mut()?)?;
        self.retired.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_come_back_in_order() {
        let mut extensions = Extensions::default();
        extensions.add(Kind::AudioLevel, &[0x85]);
        extensions.add(Kind::VideoOrientation, &[]);
        extensions.add(Kind::PlayoutDelay, &[1, 2, 3]);
        let kept: Vec<_> = extensions.iter().collect();
        assert_eq!(
            kept,
            [
                (Kind::AudioLevel, &[0x85][..]),
                (Kind::VideoOrientation, &[][..]),
                (Kind::PlayoutDelay, &[1, 2, 3][..]),
            ]
        );
    }

    #[test]
    fn a_packet_still_read_is_not_recycled() {
        let mut pool = PacketPool::default();
        let reader = pool.packet(|p| p.payload.extend_from_slice(b"first"));
        pool.retire(reader.clone());
        let other = pool.packet(|p| p.payload.extend_from_slice(b"second"));
        assert_eq!(reader.payload, b"first");
        assert_eq!(other.payload, b"second");
    }

    #[test]
    fn memory_is_used_again_once_free() {
        let mut pool = PacketPool::default();
        let first = pool.packet(|p| p.payload.extend_from_slice(&[7; 1200]));
        let address = first.payload.as_ptr();
        pool.retire(first);
        let second = pool.packet(|p| p.payload.extend_from_slice(&[8; 1200]));
        assert_eq!(second.payload.as_ptr(), address);
        assert_eq!(second.payload, [8; 1200]);
        assert_eq!(second.extensions.iter().count(), 0);
    }
}
