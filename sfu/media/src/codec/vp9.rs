//! VP9 (RFC 9628): a payload descriptor before each part of a layer frame.
//!
//! A picture may have several spatial layers, each a frame of its own. They leave together as one
//! superframe (VP9 bitstream specification, annex B), which is what decoders split again.

use super::bits::Bits;
use super::depacketiser::{self, Malformed};

/// A payload's descriptor (RFC 9628, 4.2), as far as it matters here.
struct Payload<'a> {
    /// P bit: predicted from earlier pictures.
    predicted: bool,
    /// B bit: a layer frame begins.
    begins_layer: bool,
    spatial_layer: u8,
    /// Of the largest layer, from the scalability structure.
    largest: Option<(u16, u16)>,
    data: &'a [u8],
}

impl Payload<'_> {
    fn begins_picture(&self) -> bool {
        self.begins_layer && self.spatial_layer == 0
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
    let [picture_id, predicted, layers] = [0x80, 0x40, 0x20].map(flag);
    let [flexible, begins_layer, structure] = [0x10, 0x08, 0x02].map(flag);
    if picture_id && take(&mut rest)? & 0x80 != 0 {
        take(&mut rest)?;
    }
    let mut spatial_layer = 0;
    if layers {
        spatial_layer = take(&mut rest)? >> 1 & 0x07;
        if !flexible {
            take(&mut rest)?; // TL0PICIDX
        }
    }
    if flexible && predicted {
        skip_references(&mut rest)?;
    }
    let largest = if structure {
        skip_structure(&mut rest)?
    } else {
        None
    };
    Some(Payload {
        predicted,
        begins_layer,
        spatial_layer,
        largest,
        data: rest,
    })
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

/// The scalability structure (RFC 9628, 4.2.1): sizes of the layers, then the picture group.
fn skip_structure(rest: &mut &[u8]) -> Option<Option<(u16, u16)>> {
    let first = take(rest)?;
    let mut largest = None;
    if first & 0x10 != 0 {
        for _ in 0..=first >> 5 {
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
    Some(largest)
}

pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    parse(payload).is_ok_and(|payload| payload.begins_keyframe())
}

pub(super) fn dimensions(payload: &[u8]) -> Option<(u16, u16)> {
    let payload = parse(payload).ok().filter(Payload::begins_keyframe)?;
    payload.largest.or_else(|| keyframe_size(payload.data))
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
}
