//! VP8 (RFC 7741): a payload descriptor before each part of a frame.

use super::depacketiser::{self, Malformed};
use super::layers::{Layer, Layering};
use super::pictures::{self, PictureIds};

/// A payload's descriptor (RFC 7741, 4.2), as far as it matters here.
struct Payload<'a> {
    /// S bit and partition 0: the frame begins here.
    begins_frame: bool,
    descriptor: Descriptor,
    data: &'a [u8],
}

/// The optional fields, by where they stand.
#[derive(Clone, Copy, Default)]
struct Descriptor {
    /// Of PictureID, and its width in octets.
    picture_id: Option<(usize, usize)>,
    tl0_pic_idx: Option<usize>,
    /// TID and Y.
    layer: Option<(u8, bool)>,
    length: usize,
}

fn parse(payload: &[u8]) -> Result<Payload<'_>, Malformed> {
    let first = *payload.first().ok_or(Malformed)?;
    let descriptor = parse_descriptor(payload).ok_or(Malformed)?;
    match payload.get(descriptor.length..) {
        None | Some([]) => Err(Malformed),
        Some(data) => Ok(Payload {
            begins_frame: first & 0x10 != 0 && first & 0x07 == 0,
            descriptor,
            data,
        }),
    }
}

fn parse_descriptor(payload: &[u8]) -> Option<Descriptor> {
    let mut descriptor = Descriptor {
        length: 1,
        ..Descriptor::default()
    };
    if payload.first()? & 0x80 == 0 {
        return Some(descriptor);
    }
    let extensions = payload.get(1)?;
    let mut length = 2;
    if extensions & 0x80 != 0 {
        let wide = payload.get(length)? & 0x80 != 0;
        let width = if wide { 2 } else { 1 };
        descriptor.picture_id = Some((length, width));
        length += width;
    }
    if extensions & 0x40 != 0 {
        descriptor.tl0_pic_idx = Some(length);
        length += 1;
    }
    if extensions & 0x30 != 0 {
        // TID and KEYIDX share an octet: of one without the other the bits mean nothing.
        let octet = payload.get(length)?;
        descriptor.layer = (extensions & 0x20 != 0).then_some((octet >> 6, octet & 0x20 != 0));
        length += 1;
    }
    descriptor.length = length;
    Some(descriptor)
}

/// Layers by TID; a frame that opens one builds on the base layer only (Y).
pub(super) fn layering(payload: &[u8], marker: bool) -> Layering {
    let Ok(parsed) = parse(payload) else {
        return Layering::default();
    };
    let (temporal, sync) = parsed.descriptor.layer.unwrap_or_default();
    let layer = Layer {
        spatial: 0,
        temporal,
    };
    let opens = match is_keyframe(payload) {
        true => Layer::HIGHEST,
        false => layer,
    };
    Layering::new(layer)
        .opening(opens)
        .joining_if(sync)
        .bordering(parsed.begins_frame, marker)
}

/// PictureID and TL0PICIDX.
pub(super) fn picture_ids(payload: &[u8]) -> Option<PictureIds> {
    let descriptor = parse_descriptor(payload)?;
    let (at, width) = descriptor.picture_id?;
    Some(PictureIds {
        picture_id: pictures::read_id(payload.get(at..at + width)?),
        width: if width == 2 { 15 } else { 7 },
        tl0_pic_idx: match descriptor.tl0_pic_idx {
            Some(at) => Some(*payload.get(at)?),
            None => None,
        },
    })
}

/// Writes others over those that are there.
pub(super) fn renumber(payload: &mut [u8], ids: PictureIds) {
    let Some(descriptor) = parse_descriptor(payload) else {
        return;
    };
    if let Some((at, width)) = descriptor.picture_id {
        pictures::write_id(payload.get_mut(at..at + width), ids.picture_id);
    }
    let tl0 = descriptor.tl0_pic_idx.and_then(|at| payload.get_mut(at));
    if let (Some(octet), Some(index)) = (tl0, ids.tl0_pic_idx) {
        *octet = index;
    }
}

/// RFC 6386, 9.1: the lowest bit of a frame says that it depends on others.
pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    parse(payload).is_ok_and(|payload| payload.begins_frame && payload.data[0] & 1 == 0)
}

/// RFC 6386, 9.1: frame tag, start code, then 14 bits each, little-endian (2 bits of scaling).
pub(super) fn dimensions(payload: &[u8]) -> Option<(u16, u16)> {
    let payload = parse(payload).ok().filter(|payload| payload.begins_frame)?;
    match *payload.data {
        [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] if tag & 1 == 0 => Some((
            u16::from_le_bytes([w0, w1]) & 0x3fff,
            u16::from_le_bytes([h0, h1]) & 0x3fff,
        )),
        _ => None,
    }
}

#[derive(Default)]
pub(super) struct Assembler;

impl depacketiser::Assembler for Assembler {
    fn begins_frame(&self, payload: &[u8]) -> bool {
        parse(payload).is_ok_and(|payload| payload.begins_frame)
    }

    fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        let parsed = parse(payload)?;
        if frame.is_empty() && !parsed.begins_frame {
            return Err(Malformed);
        }
        frame.extend_from_slice(parsed.data);
        Ok(is_keyframe(payload))
    }

    fn finish(&mut self, _frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        Ok(true)
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,280 x 720 with horizontal scaling, which is no part of the size.
    const KEYFRAME: [u8; 10] = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x00, 0x45, 0xd0, 0x02];

    fn with_descriptor(descriptor: &[u8]) -> Vec<u8> {
        [descriptor, &KEYFRAME].concat()
    }

    #[test]
    fn every_shape_of_descriptor_is_skipped() {
        for descriptor in [
            &[0x10][..],
            &[0x90, 0x80, 0x11],
            &[0x90, 0x80, 0x91, 0x23],
            &[0x90, 0x40, 0x07],
            &[0x90, 0x20, 0x40],
            &[0x90, 0x10, 0x05],
            &[0x90, 0xf0, 0x91, 0x23, 0x07, 0x45],
        ] {
            let payload = with_descriptor(descriptor);
            assert!(is_keyframe(&payload), "{descriptor:02x?}");
            assert_eq!(dimensions(&payload), Some((1280, 720)), "{descriptor:02x?}");
        }
    }

    #[test]
    fn layers_and_ids_are_told_and_ids_written_over() {
        let payload = [0x90, 0xf0, 0x91, 0x23, 0x07, 0x65, 0x11, 0x02, 0x00];
        let told = layering(&payload, true);
        assert_eq!(told.layer.temporal, 1);
        let base = Layer::default();
        assert_eq!(told.reach(base).temporal, 1);
        assert!(told.begins_frame() && told.ends_frame());
        let ids = picture_ids(&payload).unwrap();
        assert_eq!(
            (ids.picture_id, ids.width, ids.tl0_pic_idx),
            (0x1123, 15, Some(7))
        );

        let mut written = payload;
        renumber(
            &mut written,
            PictureIds {
                picture_id: 0x7fff,
                tl0_pic_idx: Some(255),
                ..ids
            },
        );
        assert_eq!(written[..6], [0x90, 0xf0, 0xff, 0xff, 0xff, 0x65]);
        assert_eq!(written[6..], payload[6..]);
    }

    #[test]
    fn a_narrow_id_stays_narrow_and_missing_fields_missing() {
        let mut payload = [0x90, 0x80, 0x11, 0x11, 0x02];
        let ids = picture_ids(&payload).unwrap();
        assert_eq!(
            (ids.picture_id, ids.width, ids.tl0_pic_idx),
            (0x11, 7, None)
        );
        let wide = PictureIds {
            picture_id: 0x1234,
            width: 15,
            tl0_pic_idx: Some(9),
        };
        renumber(&mut payload, wide);
        assert_eq!(payload, [0x90, 0x80, 0x34, 0x11, 0x02]);
        assert_eq!(picture_ids(&[0x10, 0x11]), None);
        assert_eq!(picture_ids(&[0x90, 0xc0, 0x81, 0x11]), None);
    }

    #[test]
    fn a_keyframe_opens_every_layer_and_another_base_frame_none() {
        let key = with_descriptor(&[0x90, 0x20, 0x00]);
        assert_eq!(layering(&key, false).opens, Layer::HIGHEST);
        let delta = [0x90, 0x20, 0x00, 0x11, 0x02];
        assert_eq!(layering(&delta, false).opens, Layer::default());
        // KEYIDX alone: the bits of TID are no TID
        let unlayered = [0x90, 0x10, 0xc5, 0x11, 0x02];
        assert_eq!(layering(&unlayered, false).layer, Layer::default());
    }

    #[test]
    fn only_the_start_of_partition_zero_begins_a_keyframe() {
        assert!(!is_keyframe(&with_descriptor(&[0x00])));
        assert!(!is_keyframe(&with_descriptor(&[0x11])));
        assert!(!is_keyframe(&[0x10, 0x11, 0x02, 0x00]));
        assert!(!is_keyframe(&[0x10]));
        assert!(!is_keyframe(&[]));
    }
}
