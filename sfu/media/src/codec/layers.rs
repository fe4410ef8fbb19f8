//! Which layer a packet is of, where a layer may be taken up, and where frames end: all that thinning
//! a stream asks of a packet, read once when it arrives.
//!
//! | told by | spatial | temporal | may go up |
//! |---|---|---|---|
//! | dependency descriptor (AV1 RTP specification, appendix A), with any codec | template | template | "switch" indications |
//! | VP8 descriptor (RFC 7741, 4.2) | | TID | Y: this frame builds on TID 0 only |
//! | VP9 descriptor (RFC 9628, 4.2) | SID | TID | U: later frames of higher TID build on none before |
//! | H264 without any (RFC 6184, 5.3) | | 1 if `nal_ref_idc` is 0 | always |
//!
//! The dependency descriptor goes before the codec's own: a browser that sends it leaves PictureID and
//! TID out of the VP8 descriptor.
//!
//! What is not told is layer 0, which every viewer takes.

use super::dependency::DependencyReader;
use super::{Codec, h264, is_keyframe, vp8, vp9};

/// A spatial and a temporal layer: of a packet, or up to which a viewer takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layer {
    /// 0 is the smallest picture.
    pub spatial: u8,
    /// 0 is the lowest frame rate.
    pub temporal: u8,
}

impl Layer {
    /// More than any stream has.
    pub const HIGHEST: Self = Self {
        spatial: 7,
        temporal: 7,
    };

    /// The higher of either.
    pub fn max(self, other: Self) -> Self {
        Self {
            spatial: self.spatial.max(other.spatial),
            temporal: self.temporal.max(other.temporal),
        }
    }

    /// The lower of either.
    pub fn min(self, other: Self) -> Self {
        Self {
            spatial: self.spatial.min(other.spatial),
            temporal: self.temporal.min(other.temporal),
        }
    }
}

/// A packet's place among the layers of its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layering {
    /// The layer it is of.
    pub layer: Layer,
    /// Who takes this frame can decode everything up to this from here on; never below `layer`.
    pub opens: Layer,
    /// The highest spatial layer that the stream has at present.
    pub top: u8,
    flags: u8,
}

/// The first packet of a layer frame.
const BEGINS: u8 = 1 << 0;
/// The last packet of a layer frame.
const ENDS: u8 = 1 << 1;
/// No frame of a higher spatial layer builds on it.
const ALONE: u8 = 1 << 2;
/// The frame builds on nothing of its own temporal layer or a higher one.
const JOINS: u8 = 1 << 3;

impl Layering {
    /// Of a packet in the middle of a frame of this layer, where nothing opens.
    pub(super) fn new(layer: Layer) -> Self {
        Self {
            layer,
            opens: layer,
            top: layer.spatial,
            flags: 0,
        }
    }

    pub(super) fn opening(mut self, opens: Layer) -> Self {
        self.opens = self.layer.max(opens);
        self
    }

    pub(super) fn bordering(self, begins: bool, ends: bool) -> Self {
        self.with(BEGINS, begins).with(ENDS, ends)
    }

    pub(super) fn alone_if(self, alone: bool) -> Self {
        self.with(ALONE, alone)
    }

    pub(super) fn joining_if(self, joins: bool) -> Self {
        self.with(JOINS, joins)
    }

    pub(super) fn below(mut self, top: u8) -> Self {
        self.top = self.layer.spatial.max(top);
        self
    }

    fn with(mut self, flag: u8, set: bool) -> Self {
        self.flags |= flag * u8::from(set);
        self
    }

    /// The packet is the first of its layer's frame.
    pub fn begins_frame(self) -> bool {
        self.flags & BEGINS != 0
    }

    /// The packet is the last of its layer's frame.
    pub fn ends_frame(self) -> bool {
        self.flags & ENDS != 0
    }

    /// No frame of a higher spatial layer builds on this one: who shows a higher layer can do without
    /// it (RFC 9628 Z; no indication of a higher decode target).
    pub fn is_alone(self) -> bool {
        self.flags & ALONE != 0
    }

    /// Whether who takes all up to `limit` takes this packet.
    pub fn is_within(self, limit: Layer) -> bool {
        let needed = self.layer.spatial == limit.spatial
            || self.layer.spatial < limit.spatial && !self.is_alone();
        needed && self.layer.temporal <= limit.temporal
    }

    /// The marker bit that this packet needs where only layers up to `limit` go on: the picture ends
    /// with the highest of them (RFC 9628, 4.1; AV1 RTP specification, 4.2).
    pub fn marker(self, marker: bool, limit: Layer) -> bool {
        marker || self.ends_frame() && self.layer.spatial == limit.spatial
    }

    /// Up to where a viewer who takes all up to `current` may take the stream from this packet on.
    pub fn reach(self, current: Layer) -> Layer {
        let mut reach = current;
        if self.is_within(current) {
            reach = reach.max(self.opens);
        }
        // One layer higher only: one in between may still build on its own past.
        let is_next = self.layer.temporal == current.temporal.saturating_add(1);
        let joins = self.flags & JOINS != 0 && self.begins_frame();
        if joins && is_next && self.layer.spatial <= current.spatial {
            reach.temporal = self.layer.temporal;
        }
        reach
    }
}

/// A packet as far as its layer can be told from it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Padding removed.
    pub payload: &'a [u8],
    /// RTP marker bit.
    pub marker: bool,
    /// Data of the dependency descriptor extension.
    pub dependency: Option<&'a [u8]>,
}

/// Reads the layers of one stream, that is of one SSRC; memory is constant.
#[derive(Debug)]
pub struct LayerReader {
    codec: Codec,
    dependency: DependencyReader,
    top: Top,
}

impl LayerReader {
    /// For a stream of this codec.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            dependency: DependencyReader::default(),
            top: Top::default(),
        }
    }

    /// Takes a packet, in any order, once each.
    pub fn handle_packet(&mut self, packet: Seen<'_>) -> Layering {
        if let Some(layering) = self.described(packet) {
            return layering;
        }
        match self.codec {
            Codec::Vp8 => vp8::layering(packet.payload, packet.marker),
            Codec::Vp9 => self.vp9(packet),
            Codec::H264 => {
                let layering = h264::layering(packet.payload, packet.marker);
                opening_if_keyframe(layering, self.codec, packet.payload)
            }
            Codec::Av1 => {
                let layering = Layering::default().bordering(false, packet.marker);
                opening_if_keyframe(layering, self.codec, packet.payload)
            }
            Codec::Opus => Layering::default().bordering(true, true),
        }
    }

    fn described(&mut self, packet: Seen<'_>) -> Option<Layering> {
        let told = self.dependency.handle_descriptor(packet.dependency?)?;
        Some(told.layering)
    }

    fn vp9(&mut self, packet: Seen<'_>) -> Layering {
        let layering = vp9::layering(packet.payload);
        if let Some(layers) = vp9::spatial_layers(packet.payload) {
            self.top.handle_structure(layers - 1);
        }
        self.top
            .handle_packet(layering.layer.spatial, packet.marker);
        layering.below(self.top.layer)
    }
}

fn opening_if_keyframe(layering: Layering, codec: Codec, payload: &[u8]) -> Layering {
    match is_keyframe(codec, payload) {
        true => layering.opening(Layer::HIGHEST),
        false => layering,
    }
}

/// The highest spatial layer of a VP9 stream: a sender tells when it adds or leaves out one, but may
/// also drop single frames.
#[derive(Debug, Default)]
struct Top {
    layer: u8,
    /// Of the picture that is arriving and of those before it that were lower.
    highest: u8,
    pictures: u8,
}

/// Pictures in a row without the highest layer until it counts as gone: senders drop frames of it one
/// at a time, and at 15 pictures per second this is half a second.
const GONE_AFTER: u8 = 8;

impl Top {
    fn handle_structure(&mut self, layer: u8) {
        *self = Self {
            layer,
            ..Self::default()
        };
    }

    fn handle_packet(&mut self, layer: u8, ends_picture: bool) {
        self.highest = self.highest.max(layer);
        if self.highest >= self.layer {
            self.handle_structure(self.highest);
        } else if ends_picture {
            self.pictures += 1;
            if self.pictures == GONE_AFTER {
                self.handle_structure(self.highest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(payload: &[u8], marker: bool) -> Seen<'_> {
        Seen {
            payload,
            marker,
            dependency: None,
        }
    }

    /// A VP9 packet, flexible mode, predicted, of this spatial layer.
    fn vp9_packet(spatial: u8) -> [u8; 5] {
        [0xfc, 0x11, spatial << 1, 0x02, 0xaa]
    }

    #[test]
    fn it_is_small_for_every_packet_carries_it() {
        assert!(size_of::<Layering>() <= 8);
    }

    #[test]
    fn the_top_of_vp9_follows_the_structure_at_once_and_missing_frames_after_a_while() {
        let mut reader = LayerReader::new(Codec::Vp9);
        let mut picture = |layers: u8| -> u8 {
            let tops = (0..layers).map(|spatial| {
                let marker = spatial + 1 == layers;
                reader.handle_packet(seen(&vp9_packet(spatial), marker)).top
            });
            tops.last().unwrap()
        };
        assert_eq!(picture(3), 2);
        for _ in 0..3 {
            assert_eq!([picture(2), picture(2), picture(3)], [2; 3]);
        }
        let tops: Vec<u8> = (0..GONE_AFTER).map(|_| picture(2)).collect();
        assert_eq!(tops[..], [2, 2, 2, 2, 2, 2, 2, 1]);
        assert_eq!(picture(3), 2);
        let structure = [0x8a, 0x11, 0x00, 0xaa]; // one layer
        assert_eq!(reader.handle_packet(seen(&structure, true)).top, 0);
    }

    #[test]
    fn without_a_descriptor_all_is_the_base_layer() {
        for (codec, payload) in [
            (Codec::Av1, &[0x10, 0x32, 0x10][..]),
            (Codec::Vp8, &[0x00, 0x01]),
            (Codec::Vp9, &[0x4c, 0xaa]),
            (Codec::H264, &[0x41, 0x9a]),
            (Codec::Opus, &[0xfc]),
        ] {
            let mut reader = LayerReader::new(codec);
            let told = reader.handle_packet(seen(payload, true));
            assert_eq!((told.layer, told.top), (Layer::default(), 0), "{codec:?}");
            assert!(told.is_within(Layer::default()));
            let malformed = reader.handle_packet(seen(&[], false));
            assert_eq!(malformed.layer, Layer::default(), "{codec:?}");
        }
    }

    #[test]
    fn the_dependency_descriptor_goes_before_the_codecs_own() {
        // From Chromium: VP8, L1T3; the payload descriptor has neither PictureID nor TID.
        let key: Vec<u8> = [
            0x80, 0x00, 0x03, 0x80, 0x02, 0x04, 0x4e, 0xaa, 0xaf, 0x28, 0x60, 0x41, 0x4d, 0x34,
            0x53, 0x8a, 0x09, 0x40, 0x41, 0x3f, 0xc0, 0xb3, 0xc0,
        ]
        .into();
        let mut reader = LayerReader::new(Codec::Vp8);
        let mut temporal = |descriptor: &[u8]| {
            let packet = Seen {
                dependency: Some(descriptor),
                ..seen(&[0x10, 0x11, 0x02], true)
            };
            reader.handle_packet(packet).layer.temporal
        };
        let next = [[0x85, 0, 5, 0x12, 0x20], [0xc3, 0, 7, 0x12, 0x60]];
        assert_eq!(temporal(&key), 0);
        assert_eq!(next.map(|descriptor| temporal(&descriptor)), [2, 1]);
    }

    #[test]
    fn a_descriptor_that_cannot_be_read_leaves_what_the_payload_tells() {
        let mut reader = LayerReader::new(Codec::H264);
        let packet = Seen {
            dependency: Some(&[0xc0, 0, 1]),
            ..seen(&[0x01, 0x9a], true)
        };
        assert_eq!(reader.handle_packet(packet).layer.temporal, 1);
    }

    #[test]
    fn the_picture_ends_with_the_highest_layer_that_is_kept() {
        let limit = Layer {
            spatial: 1,
            temporal: 0,
        };
        let end = |spatial| {
            let layer = Layer {
                spatial,
                temporal: 0,
            };
            Layering::new(layer).bordering(false, true)
        };
        assert!(!end(0).marker(false, limit));
        assert!(end(1).marker(false, limit));
        assert!(end(0).marker(true, limit)); // the frame above was dropped by the sender
    }
}
