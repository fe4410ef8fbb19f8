//! VP8 (RFC 7741): a payload descriptor before each part of a frame.

use super::depacketiser::{self, Malformed};

/// A payload's descriptor (RFC 7741, 4.2), as far as it matters here.
struct Payload<'a> {
    /// S bit and partition 0: the frame begins here.
    begins_frame: bool,
    data: &'a [u8],
}

fn parse(payload: &[u8]) -> Result<Payload<'_>, Malformed> {
    let first = *payload.first().ok_or(Malformed)?;
    let length = descriptor_length(payload).ok_or(Malformed)?;
    match payload.get(length..) {
        None | Some([]) => Err(Malformed),
        Some(data) => Ok(Payload {
            begins_frame: first & 0x10 != 0 && first & 0x07 == 0,
            data,
        }),
    }
}

fn descriptor_length(payload: &[u8]) -> Option<usize> {
    if payload.first()? & 0x80 == 0 {
        return Some(1);
    }
    let extensions = payload.get(1)?;
    let mut length = 2;
    if extensions & 0x80 != 0 {
        let wide = payload.get(length)? & 0x80 != 0;
        length += if wide { 2 } else { 1 };
    }
    length += usize::from(extensions & 0x40 != 0); // TL0PICIDX
    length += usize::from(extensions & 0x30 != 0); // TID and KEYIDX share a byte
    Some(length)
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
    fn only_the_start_of_partition_zero_begins_a_keyframe() {
        assert!(!is_keyframe(&with_descriptor(&[0x00])));
        assert!(!is_keyframe(&with_descriptor(&[0x11])));
        assert!(!is_keyframe(&[0x10, 0x11, 0x02, 0x00]));
        assert!(!is_keyframe(&[0x10]));
        assert!(!is_keyframe(&[]));
    }
}
