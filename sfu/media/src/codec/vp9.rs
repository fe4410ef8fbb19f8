//! VP9 (RFC 9628): a payload descriptor before each part of a layer frame.
//!
//! A picture may have several spatial layers, each a frame of its own. They leave together as one
//! superframe (VP9 bitstream specification, annex B), which is what decoders split again.

use super::bits::Bits;
use super::depacketiser::{self, Malformed};
use super::layers::{Layer, Layering};
use super::pictures::{self, PictureIds};

/// A payload's descriptor (RFC 9628, 4.2), as far as it matters here.
struct Payload<'a> {
    /// P bit: predicted from earlier pictures.
    predicted: bool,
    /// B bit: a layer frame begins.
    begins_layer: bool,
    /// E bit: a layer frame ends.
    ends_layer: bool,
    /// Z bit: no frame of a higher spatial layer refers to this one.
    alone: bool,
    /// TID and SID.
    layer: Layer,
    /// U bit: later pictures of higher TID refer to none before this one.
    switching_point: bool,
    structure: Option<Structure>,
    data: &'a [u8],
}

/// The scalability structure (RFC 9628, 4.2.1).
#[derive(Clone, Copy)]
struct Structure {
    spatial_layers: u8,
    /// Of the largest layer.
    largest: Option<(u16, u16)>,
}

impl Payload<'_> {
    fn begins_picture(&self) -> bool {
        self.begins_layer && self.layer.spatial == 0
    }

    fn begins_keyframe(&self) -> bool {
        self.begins_picture() && !self.predicted
    }
}

fn parse(payload: &[u8]) -> Result<Payload<'_>, Malformed> {
    parse_descriptor(payload)
        .filter(|payload| !payload.data.is_empty())
        .ok_or(Malformed)
}

fn parse_descriptor(payload: &[u8]) -> Option<Payload<'_>> {
    let (&first, mut rest) = payload.split_first()?;
    let flag = |bit: u8| first & bit != 0;
    let [picture_id, predicted, layers, flexible] = [0x80, 0x40, 0x20, 0x10].map(flag);
    let [begins_layer, ends_layer, structure, alone] = [0x08, 0x04, 0x02, 0x01].map(flag);
    if picture_id && take(&mut rest)? & 0x80 != 0 {
        take(&mut rest)?;
    }
    let indices = if layers { take(&mut rest)? } else { 0 };
    if layers && !flexible {
        take(&mut rest)?; // TL0PICIDX
    }
    if flexible && predicted {
        skip_references(&mut rest)?;
    }
    let structure = match structure {
        true => Some(read_structure(&mut rest)?),
        false => None,
    };
    Some(Payload {
        predicted,
        begins_layer,
        ends_layer,
        alone,
        layer: Layer {
            spatial: indices >> 1 & 0x07,
            temporal: indices >> 5,
        },
        switching_point: indices & 0x10 != 0,
        structure,
        data: rest,
    })
}

/// Layers by SID and TID. All open with a keyframe, temporal ones at a switching point (U). That a
/// frame of an upper spatial layer builds on the picture's lower ones only (not P) comes too late to
/// take it up: the layer below has been sent as the picture's last by then.
pub(super) fn layering(payload: &[u8]) -> Layering {
    let Ok(parsed) = parse(payload) else {
        return Layering::default();
    };
    let Layer { spatial, temporal } = parsed.layer;
    let opens = match (parsed.predicted, parsed.switching_point) {
        (false, _) if spatial == 0 => Layer::HIGHEST,
        (_, true) => Layer {
            spatial,
            ..Layer::HIGHEST
        },
        (_, false) => Layer { spatial, temporal },
    };
    Layering::new(parsed.layer)
        .opening(opens)
        .alone_if(parsed.alone)
        .bordering(parsed.begins_layer, parsed.ends_layer)
}

/// How many spatial layers the stream has from here on, where it says so.
pub(super) fn spatial_layers(payload: &[u8]) -> Option<u8> {
    let structure = parse(payload).ok()?.structure?;
    Some(structure.spatial_layers)
}

/// Where picture id (with its width in octets) and TL0PICIDX stand: right behind the first octet.
fn ids(payload: &[u8]) -> Option<(usize, usize, Option<usize>)> {
    let first = payload.first().filter(|&first| first & 0x80 != 0)?;
    let width = if payload.get(1)? & 0x80 != 0 { 2 } else { 1 };
    let has_tl0 = first & 0x20 != 0 && first & 0x10 == 0;
    Some((1, width, has_tl0.then_some(width + 2)))
}

/// Picture id, and TL0PICIDX of the non-flexible mode.
pub(super) fn picture_ids(payload: &[u8]) -> Option<PictureIds> {
    let (at, width, tl0) = ids(payload)?;
    Some(PictureIds {
        picture_id: pictures::read_id(payload.get(at..at + width)?),
        width: if width == 2 { 15 } else { 7 },
        tl0_pic_idx: match tl0 {
            Some(at) => Some(*payload.get(at)?),
            None => None,
        },
    })
}

/// Writes others over those that are there.
pub(super) fn renumber(payload: &mut [u8], new: PictureIds) {
    let Some((at, width, tl0)) = ids(payload) else {
        return;
    };
    pictures::write_id(payload.get_mut(at..at + width), new.picture_id);
    let tl0 = tl0.and_then(|at| payload.get_mut(at));
    if let (Some(octet), Some(index)) = (tl0, new.tl0_pic_idx) {
        *octet = index;
    }
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

/// Up to three P_DIFF, each telling by its lowest bit whether another follows.
fn skip_references(rest: &mut &[u8]) -> Option<()> {
    for _ in 0..3 {
        if take(rest)? & 1 == 0 {
            return Some(());
        }
    }
    Some(())
}

/// Sizes of the layers, then the picture group, which is passed over.
fn read_structure(rest: &mut &[u8]) -> Option<Structure> {
    let first = take(rest)?;
    let spatial_layers = (first >> 5) + 1;
    let mut largest = None;
    if first & 0x10 != 0 {
        for _ in 0..spatial_layers {
            let [w0, w1, h0, h1] = [take(rest)?, take(rest)?, take(rest)?, take(rest)?];
            let size = (u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
            largest = largest.max(Some(size));
        }
    }
    if first & 0x08 != 0 {
        for _ in 0..take(rest)? {
            for _ in 0..take(rest)? >> 2 & 0x03 {
                take(rest)?;
            }
        }
    }
    Some(Structure {
        spatial_layers,
        largest,
    })
}

pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    parse(payload).is_ok_and(|payload| payload.begins_keyframe())
}

pub(super) fn dimensions(payload: &[u8]) -> Option<(u16, u16)> {
    let payload = parse(payload).ok().filter(Payload::begins_keyframe)?;
    let told = payload.structure.and_then(|structure| structure.largest);
    told.or_else(|| keyframe_size(payload.data))
}

/// The uncompressed header of a keyframe (VP9 bitstream specification, 6.2).
fn keyframe_size(frame: &[u8]) -> Option<(u16, u16)> {
    const SRGB: u32 = 7;
    let mut bits = Bits::new(frame);
    let marker = bits.bits(2)?;
    let profile = u32::from(bits.flag()?) | u32::from(bits.flag()?) << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let [existing, predicted] = [bits.flag()?, bits.flag()?];
    bits.skip(2)?; // show_frame, error_resilient_mode
    if marker != 2 || existing || predicted || bits.bits(24)? != 0x49_83_42 {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?; // ten_or_twelve_bit
    }
    let full_chroma = profile == 1 || profile == 3;
    match bits.bits(3)? {
        SRGB => bits.skip(u32::from(full_chroma))?,
        _ => bits.skip(if full_chroma { 4 } else { 1 })?,
    }
    let [width, height] = [bits.bits(16)?, bits.bits(16)?];
    Some((
        u16::try_from(width + 1).ok()?,
        u16::try_from(height + 1).ok()?,
    ))
}

#[derive(Default)]
pub(super) struct Assembler {
    /// Where each layer frame of the picture begins.
    layers: Vec<usize>,
}

/// As many frames as a superframe can hold (annex B.2).
const MAX_LAYERS: usize = 8;

impl depacketiser::Assembler for Assembler {
    fn begins_frame(&self, payload: &[u8]) -> bool {
        parse(payload).is_ok_and(|payload| payload.begins_picture())
    }

    fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        let payload = parse(payload)?;
        if payload.begins_layer {
            self.layers.push(frame.len());
        }
        if self.layers.is_empty() || self.layers.len() > MAX_LAYERS {
            return Err(Malformed);
        }
        frame.extend_from_slice(payload.data);
        Ok(payload.begins_keyframe())
    }

    fn finish(&mut self, frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        if self.layers.len() > 1 {
            append_superframe_index(&self.layers, frame);
        }
        self.layers.clear();
        Ok(true)
    }

    fn reset(&mut self) {
        self.layers.clear();
    }
}

/// Annex B.2, with four bytes a size: the marker on both ends tells how many there are.
fn append_superframe_index(layers: &[usize], frame: &mut Vec<u8>) {
    let marker = 0xc0 | 3 << 3 | (layers.len() - 1) as u8;
    let ends: Vec<usize> = layers[1..].iter().copied().chain([frame.len()]).collect();
    frame.push(marker);
    for (start, end) in layers.iter().zip(ends) {
        frame.extend_from_slice(&((end - start) as u32).to_le_bytes());
    }
    frame.push(marker);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Profile 0, 1,280 x 720.
    const KEYFRAME: [u8; 9] = [0x82, 0x49, 0x83, 0x42, 0x20, 0x4f, 0xf0, 0x2c, 0xf0];

    #[test]
    fn every_shape_of_descriptor_is_skipped() {
        for descriptor in [
            &[0x08][..],
            &[0x88, 0x11],
            &[0x88, 0x91, 0x23],
            &[0xa8, 0x91, 0x23, 0x00, 0x07],
            &[0xb8, 0x91, 0x23, 0x00],
            &[0x8a, 0x11, 0x08, 0x02, 0x04, 0x01, 0x08, 0x01, 0x02],
        ] {
            let payload = [descriptor, &KEYFRAME].concat();
            assert!(is_keyframe(&payload), "{descriptor:02x?}");
            assert_eq!(dimensions(&payload), Some((1280, 720)), "{descriptor:02x?}");
        }
        // flexible mode, predicted from three pictures
        let parsed = parse(&[0xd8, 0x11, 0x03, 0x05, 0x06, 0xaa]).unwrap();
        assert_eq!(parsed.data, [0xaa]);
    }

    #[test]
    fn the_structure_tells_the_largest_layer() {
        let structure = [
            0x2a, 0x00, 0x00, 0x30, 0x02, 0x80, 0x01, 0x68, 0x05, 0x00, 0x02, 0xd0,
        ];
        let payload = [&structure[..], &KEYFRAME].concat();
        assert_eq!(dimensions(&payload), Some((1280, 720)));
    }

    #[test]
    fn upper_layers_and_predicted_frames_are_no_keyframes() {
        assert!(!is_keyframe(&[&[0x28, 0x02, 0x00][..], &KEYFRAME].concat()));
        assert!(!is_keyframe(&[&[0x48][..], &KEYFRAME].concat()));
        assert!(!is_keyframe(&[&[0x00][..], &KEYFRAME].concat()));
        assert!(!is_keyframe(&[0x08]));
    }

    #[test]
    fn layers_of_both_modes_are_told() {
        // flexible, predicted: picture id, TID 2, U, SID 1, D; one reference
        let flexible = layering(&[0xfd, 0x91, 0x23, 0x53, 0x02, 0xaa]);
        let layer = Layer {
            spatial: 1,
            temporal: 2,
        };
        assert_eq!(flexible.layer, layer);
        assert!(flexible.begins_frame() && flexible.ends_frame() && flexible.is_alone());
        assert_eq!(flexible.opens.temporal, 7);
        assert_eq!(flexible.opens.spatial, 1);
        // non-flexible, predicted: TID 1, SID 0, TL0PICIDX
        let other = layering(&[0xe8, 0x11, 0x20, 0x07, 0xaa]);
        assert_eq!((other.layer.spatial, other.layer.temporal), (0, 1));
        assert_eq!(other.opens, other.layer);
        assert!(other.begins_frame() && !other.ends_frame() && !other.is_alone());
    }

    #[test]
    fn only_a_keyframe_opens_spatial_layers() {
        let key = [&[0xa8, 0x11, 0x00, 0x07][..], &KEYFRAME].concat();
        assert_eq!(layering(&key).opens, Layer::HIGHEST);
        // SID 1, D, not P
        let upper = layering(&[0xa8, 0x11, 0x03, 0x07, 0xaa]);
        assert_eq!(upper.reach(Layer::default()).spatial, 0);
        let predicted = layering(&[0xe8, 0x11, 0x00, 0x07, 0xaa]);
        assert_eq!(predicted.opens, Layer::default());
    }

    #[test]
    fn ids_are_written_over_in_their_place() {
        let mut payload = [0xa8, 0x91, 0x23, 0x00, 0x07, 0xaa];
        let ids = picture_ids(&payload).unwrap();
        assert_eq!((ids.picture_id, ids.tl0_pic_idx), (0x1123, Some(7)));
        let new = PictureIds {
            picture_id: 5,
            tl0_pic_idx: Some(8),
            ..ids
        };
        renumber(&mut payload, new);
        assert_eq!(payload, [0xa8, 0x80, 0x05, 0x00, 0x08, 0xaa]);
        // flexible: there is no TL0PICIDX to write
        let mut flexible = [0xb8, 0x11, 0x00, 0xaa];
        renumber(&mut flexible, new);
        assert_eq!(flexible, [0xb8, 0x05, 0x00, 0xaa]);
    }

    #[test]
    fn the_structure_tells_how_many_layers() {
        let structure = [0x2a, 0x00, 0x00, 0x48, 0x00, 0xaa];
        assert_eq!(spatial_layers(&structure), Some(3));
        assert_eq!(spatial_layers(&[0x28, 0x00, 0x00, 0xaa]), None);
    }
}
