//! AV1 (RTP payload format 1.0): OBUs, some of them cut at either end of a payload.

mod sequence;

use super::depacketiser::{self, Malformed};

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const METADATA: u8 = 5;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;

/// OBU header (AV1 specification 5.3.2).
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

fn obu_type(header: u8) -> u8 {
    header >> 3 & 0x0f
}

/// A payload: the aggregation header (payload format, 4.4) and what it announces.
#[derive(Clone, Copy)]
struct Payload<'a> {
    /// Z: the first element continues the OBU that the payload before left open.
    continues: bool,
    /// Y: the last element continues in the next payload.
    leaves_open: bool,
    /// N: a coded video sequence begins, that is a keyframe.
    begins_sequence: bool,
    /// W: how many elements there are, the last of them without a length; 0 for any number,
    /// all with lengths.
    count: u8,
    elements: &'a [u8],
}

fn parse(payload: &[u8]) -> Result<Payload<'_>, Malformed> {
    let (&header, elements) = payload.split_first().ok_or(Malformed)?;
    let parsed = Payload {
        continues: header & 0x80 != 0,
        leaves_open: header & 0x40 != 0,
        begins_sequence: header & 0x08 != 0,
        count: header >> 4 & 0x03,
        elements,
    };
    let impossible = parsed.begins_sequence && parsed.continues;
    if elements.is_empty() || impossible {
        Err(Malformed)
    } else {
        Ok(parsed)
    }
}

impl<'a> Payload<'a> {
    fn elements(&self) -> Elements<'a> {
        Elements {
            rest: self.elements,
            index: 0,
            count: self.count,
        }
    }

    /// OBUs that begin in this payload; the last one may be cut.
    fn beginnings(&self) -> impl Iterator<Item = Obu<'a>> {
        let elements = self.elements().flatten();
        elements
            .skip(usize::from(self.continues))
            .filter_map(parse_obu)
    }
}

struct Elements<'a> {
    rest: &'a [u8],
    index: u8,
    count: u8,
}

impl<'a> Elements<'a> {
    fn is_done(&self) -> bool {
        if self.count == 0 {
            self.rest.is_empty()
        } else {
            self.index >= self.count
        }
    }

    fn split(&mut self) -> Option<&'a [u8]> {
        self.index = self.index.saturating_add(1);
        if self.index == self.count {
            return Some(std::mem::take(&mut self.rest));
        }
        let (size, head) = leb128(self.rest)?;
        let (element, rest) = self.rest[head..].split_at_checked(size)?;
        self.rest = rest;
        Some(element)
    }

    /// After an element that does not fit, where the others begin is unknown.
    fn stop(&mut self) {
        (self.rest, self.index) = (&[], self.count);
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done() {
            return None;
        }
        let element = self.split().ok_or(Malformed);
        if element.is_err() {
            self.stop();
        }
        Some(element)
    }
}

/// A number and how many bytes it took (AV1 specification 4.10.5).
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()? as usize, index + 1));
        }
    }
    None
}

fn to_leb128(mut value: usize) -> impl Iterator<Item = u8> {
    let mut more = true;
    std::iter::from_fn(move || {
        more.then(|| {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            more = value != 0;
            byte | if more { 0x80 } else { 0 }
        })
    })
}

/// An OBU, or as much of it as there is.
struct Obu<'a> {
    kind: u8,
    spatial_layer: u8,
    /// What follows header, extension and size.
    payload: &'a [u8],
}

impl Obu<'_> {
    /// `show_existing_frame` is 0 and `frame_type` is KEY_FRAME (AV1 specification 5.9.2).
    fn is_key_frame(&self) -> bool {
        matches!(self.kind, FRAME_HEADER | FRAME)
            && self.payload.first().is_some_and(|bits| bits & 0xe0 == 0)
    }
}

fn parse_obu(obu: &[u8]) -> Option<Obu<'_>> {
    let (&header, mut start) = (obu.first()?, header_length(obu)?);
    let extension = if header & HAS_EXTENSION == 0 {
        0
    } else {
        obu[1]
    };
    if header & HAS_SIZE != 0 {
        start += leb128(&obu[start..])?.1;
    }
    Some(Obu {
        kind: obu_type(header),
        spatial_layer: extension >> 3 & 0x03,
        payload: &obu[start..],
    })
}

/// Of header and extension; never more than the OBU is long.
fn header_length(obu: &[u8]) -> Option<usize> {
    let header = obu.first().filter(|&&header| header & 0x80 == 0)?;
    let length = if header & HAS_EXTENSION == 0 { 1 } else { 2 };
    (obu.len() >= length).then_some(length)
}

pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    parse(payload).is_ok_and(|payload| payload.begins_sequence)
}

pub(super) fn dimensions(payload: &[u8]) -> Option<(u16, u16)> {
    let payload = parse(payload)
        .ok()
        .filter(|payload| payload.begins_sequence)?;
    let header = payload
        .beginnings()
        .find(|obu| obu.kind == SEQUENCE_HEADER)?;
    sequence::dimensions(header.payload)
}

/// Give the OBU at the end of the frame a size, as a stream without RTP needs it; leave out what
/// the payload format says to leave out (5).
fn complete_obu(frame: &mut Vec<u8>, start: usize) -> Result<(), Malformed> {
    let obu = &frame[start..];
    let head = header_length(obu).ok_or(Malformed)?;
    if matches!(obu_type(obu[0]), TEMPORAL_DELIMITER | TILE_LIST) {
        frame.truncate(start);
        return Ok(());
    }
    if obu[0] & HAS_SIZE == 0 {
        let size = to_leb128(obu.len() - head);
        frame[start] |= HAS_SIZE;
        frame.splice(start + head..start + head, size);
        return Ok(());
    }
    let (size, size_length) = leb128(&obu[head..]).ok_or(Malformed)?;
    if head + size_length + size == obu.len() {
        Ok(())
    } else {
        Err(Malformed)
    }
}

#[derive(Default)]
pub(super) struct Assembler {
    /// Where the OBU that the last payload left open begins in the frame.
    open: Option<usize>,
}

impl depacketiser::Assembler for Assembler {
    /// What may stand first in a temporal unit; a key frame needs the sequence header before it.
    /// A unit with frames that are not shown could still have lost one: the format has no mark
    /// for its start.
    fn begins_frame(&self, payload: &[u8]) -> bool {
        let Ok(payload) = parse(payload) else {
            return false;
        };
        if payload.begins_sequence || payload.continues {
            return payload.begins_sequence;
        }
        payload
            .beginnings()
            .next()
            .is_some_and(|obu| match obu.kind {
                SEQUENCE_HEADER | TEMPORAL_DELIMITER | METADATA => true,
                FRAME_HEADER | FRAME => obu.spatial_layer == 0 && !obu.is_key_frame(),
                _ => false,
            })
    }

    fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        let payload = parse(payload)?;
        if payload.continues != self.open.is_some() {
            return Err(Malformed);
        }
        let mut elements = payload.elements();
        while let Some(element) = elements.next() {
            let start = *self.open.get_or_insert(frame.len());
            frame.extend_from_slice(element?);
            if !(payload.leaves_open && elements.is_done()) {
                self.open = None;
                complete_obu(frame, start)?;
            }
        }
        Ok(payload.begins_sequence)
    }

    fn finish(&mut self, frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        match self.open.take() {
            Some(_) => Err(Malformed),
            None => Ok(!frame.is_empty()),
        }
    }

    fn reset(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From SVT-AV1: 1,280 x 720, main profile.
    const SEQUENCE: [u8; 12] = [
        0x08, 0x00, 0x00, 0x00, 0x2d, 0x4c, 0xff, 0xb3, 0xc4, 0xaf, 0x90, 0x04,
    ];

    #[test]
    fn leb128_is_read_and_written() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 8 << 20] {
            let bytes: Vec<u8> = to_leb128(value).collect();
            assert_eq!(leb128(&bytes), Some((value, bytes.len())));
        }
        assert_eq!(leb128(&[0x80; 8]), None);
        assert_eq!(leb128(&[0xff, 0xff, 0xff, 0xff, 0x7f]), None);
        assert_eq!(leb128(&[]), None);
    }

    #[test]
    fn the_sequence_header_tells_the_size_in_every_form() {
        let alone = [&[0x18][..], &SEQUENCE].concat();
        assert_eq!(dimensions(&alone), Some((1280, 720)));
        let sized = [&[0x08, 13, 0x0a, 11][..], &SEQUENCE[1..]].concat();
        assert_eq!(dimensions(&sized), Some((1280, 720)));
        let not_first = [&[0x28, 2, 0x12, 0x00][..], &SEQUENCE].concat();
        assert_eq!(dimensions(&not_first), Some((1280, 720)));
        assert!(is_keyframe(&alone));
        assert!(!is_keyframe(&[&[0x10][..], &SEQUENCE].concat()));
        assert_eq!(dimensions(&alone[..6]), None);
    }
}
