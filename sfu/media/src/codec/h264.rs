//! H.264 (RFC 6184, packetization modes 0 and 1): NAL units alone, several in a payload
//! (STAP-A), or in fragments (FU-A).

mod sps;

use super::depacketiser::{self, Malformed};
use super::layers::{Layer, Layering};

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const AUD: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

fn unit_type(header: u8) -> u8 {
    header & 0x1f
}

enum Payload<'a> {
    Single(&'a [u8]),
    Several(Aggregated<'a>),
    Fragment(Fragment<'a>),
}

/// A part of a NAL unit (RFC 6184, 5.8).
struct Fragment<'a> {
    starts: bool,
    ends: bool,
    /// The header of the whole unit, made from the FU indicator and the FU header.
    header: u8,
    data: &'a [u8],
}

/// The NAL units of a STAP-A (RFC 6184, 5.7.1).
struct Aggregated<'a>(&'a [u8]);

impl<'a> Iterator for Aggregated<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let unit = self
            .0
            .split_first_chunk()
            .and_then(|(size, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*size))));
        self.0 = unit.map_or(&[], |(_, rest)| rest);
        Some(unit.map(|(unit, _)| unit).ok_or(Malformed))
    }
}

/// Types above 23 other than STAP-A and FU-A need packetization mode 2, which is never agreed.
fn parse(payload: &[u8]) -> Result<Payload<'_>, Malformed> {
    match *payload {
        [indicator, header, ref data @ ..] if unit_type(indicator) == FU_A => {
            Ok(Payload::Fragment(Fragment {
                starts: header & 0x80 != 0,
                ends: header & 0x40 != 0,
                header: indicator & 0xe0 | unit_type(header),
                data,
            }))
        }
        [header, ref units @ ..] if unit_type(header) == STAP_A => {
            Ok(Payload::Several(Aggregated(units)))
        }
        [header, ..] if unit_type(header) < STAP_A => Ok(Payload::Single(payload)),
        _ => Err(Malformed),
    }
}

/// Header and further bytes of the first NAL unit that satisfies the condition, of those that
/// begin in this payload.
fn find_unit(payload: &[u8], wanted: impl Fn(u8) -> bool) -> Option<(u8, &[u8])> {
    let split = |unit: &[u8]| -> bool { unit.first().is_some_and(|&header| wanted(header)) };
    match parse(payload).ok()? {
        Payload::Single(unit) => split(unit).then(|| (unit[0], &unit[1..])),
        Payload::Several(units) => units
            .flatten()
            .find(|unit| split(unit))
            .map(|unit| (unit[0], &unit[1..])),
        Payload::Fragment(part) => {
            (part.starts && wanted(part.header)).then_some((part.header, part.data))
        }
    }
}

pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    find_unit(payload, |header| matches!(unit_type(header), IDR | SPS)).is_some()
}

pub(super) fn dimensions(payload: &[u8]) -> Option<(u16, u16)> {
    let (_, data) = find_unit(payload, |header| unit_type(header) == SPS)?;
    sps::dimensions(data)
}

/// Without a dependency descriptor: slices that no other picture refers to (`nal_ref_idc` 0, RFC 6184,
/// 5.3) make a layer of their own above the rest. That is what encoders write with two temporal
/// layers, and B-frames.
pub(super) fn layering(payload: &[u8], marker: bool) -> Layering {
    let mut begins = false;
    let mut disposable = false;
    match parse(payload) {
        Ok(Payload::Fragment(part)) => {
            disposable = is_disposable(part.header);
            begins = part.starts && is_first_slice(part.data);
        }
        _ => {
            if let Some((header, data)) = find_unit(payload, |header| unit_type(header) <= IDR) {
                disposable = is_disposable(header);
                begins = is_first_slice(data);
            }
        }
    }
    let layer = Layer {
        spatial: 0,
        temporal: u8::from(disposable),
    };
    Layering::new(layer)
        .joining_if(disposable)
        .bordering(begins, marker)
}

fn is_disposable(header: u8) -> bool {
    unit_type(header) == SLICE && header & 0x60 == 0
}

/// `first_mb_in_slice` is 0, which is coded as a single 1 bit (7.3.3).
fn is_first_slice(data: &[u8]) -> bool {
    data.first().is_some_and(|byte| byte & 0x80 != 0)
}

pub(super) struct Assembler {
    /// The last payload was a fragment and not the last one of its unit.
    in_fragment: bool,
    /// The frame has a slice. Parameter sets sent under a timestamp of their own have none.
    has_slice: bool,
    /// The frame has a sequence parameter set.
    has_sets: bool,
    has_idr: bool,
    /// The last whole keyframe had one (so do all in WebRTC): then one without it is not whole.
    sets_in_band: bool,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            in_fragment: false,
            has_slice: false,
            has_sets: false,
            has_idr: false,
            sets_in_band: true,
        }
    }
}

impl Assembler {
    /// Begin a NAL unit. True when it is an IDR slice.
    fn begin_unit(&mut self, header: u8, frame: &mut Vec<u8>) -> bool {
        let kind = unit_type(header);
        self.has_slice |= (1..=IDR).contains(&kind);
        self.has_idr |= kind == IDR;
        self.has_sets |= kind == SPS;
        frame.extend_from_slice(&[0, 0, 0, 1, header]);
        kind == IDR
    }

    /// Append a whole NAL unit; empty ones and those of a reserved type are none (7.4.1).
    fn push_unit(&mut self, unit: &[u8], frame: &mut Vec<u8>) -> bool {
        match unit {
            [header, data @ ..] if (1..STAP_A).contains(&unit_type(*header)) => {
                let keyframe = self.begin_unit(*header, frame);
                frame.extend_from_slice(data);
                keyframe
            }
            _ => false,
        }
    }

    fn push_fragment(&mut self, part: &Fragment, frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        let mut keyframe = false;
        if part.starts {
            keyframe = self.begin_unit(part.header, frame);
        } else if !self.in_fragment {
            return Err(Malformed);
        }
        self.in_fragment = !part.ends;
        frame.extend_from_slice(part.data);
        Ok(keyframe)
    }
}

impl depacketiser::Assembler for Assembler {
    /// What follows parameter sets in this stream does not begin a frame.
    fn begins_frame(&self, payload: &[u8]) -> bool {
        let Some((header, data)) = find_unit(payload, |_| true) else {
            return false;
        };
        let first_slice = is_first_slice(data);
        let has_sets = || find_unit(payload, |header| unit_type(header) == SPS).is_some();
        match unit_type(header) {
            SPS | AUD => true,
            // x264 puts its SEI before the parameter sets of the very first frame.
            SEI => !self.sets_in_band || has_sets(),
            PPS => !self.sets_in_band,
            IDR => !self.sets_in_band && first_slice,
            1 | 2 => first_slice,
            _ => false,
        }
    }

    fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        let parsed = parse(payload)?;
        if let Payload::Fragment(part) = parsed {
            return self.push_fragment(&part, frame);
        }
        self.in_fragment = false;
        match parsed {
            Payload::Single(unit) => Ok(self.push_unit(unit, frame)),
            Payload::Several(units) => units
                .map(|unit| Ok(self.push_unit(unit?, frame)))
                .try_fold(false, |keyframe, unit| Ok(keyframe | unit?)),
            Payload::Fragment(_) => Err(Malformed),
        }
    }

    fn finish(&mut self, _frame: &mut Vec<u8>) -> Result<bool, Malformed> {
        self.in_fragment = false;
        if !self.has_slice {
            return Ok(false);
        }
        if self.has_idr {
            self.sets_in_band = self.has_sets;
        }
        self.reset();
        Ok(true)
    }

    fn reset(&mut self) {
        *self = Self {
            sets_in_band: self.sets_in_band,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_is_seen_in_every_form() {
        for payload in [
            &[0x67, 0x42][..],
            &[0x65, 0x88],
            &[0x78, 0, 1, 0x09, 0, 2, 0x67, 0x42],
            &[0x7c, 0x85, 0x88],
        ] {
            assert!(is_keyframe(payload), "{payload:02x?}");
        }
        for payload in [
            &[0x41, 0x9a][..],
            &[0x68, 0xce],
            &[0x78, 0, 1, 0x09, 0, 9, 0x67, 0x42],
            &[0x7c, 0x05, 0x88],
            &[0x7c, 0x81, 0x88],
            &[0x7c],
            &[],
        ] {
            assert!(!is_keyframe(payload), "{payload:02x?}");
        }
    }

    #[test]
    fn parameter_sets_begin_a_frame_even_behind_an_sei() {
        let assembler = Assembler::default();
        let begins = |payload: &[u8]| depacketiser::Assembler::begins_frame(&assembler, payload);
        assert!(begins(&[0x78, 0, 2, 0x06, 0x05, 0, 2, 0x67, 0x42]));
        assert!(!begins(&[0x78, 0, 2, 0x06, 0x05, 0, 2, 0x68, 0xce]));
    }

    #[test]
    fn slices_that_nothing_refers_to_are_a_layer_of_their_own() {
        for (payload, temporal) in [
            (&[0x01, 0x9a][..], 1),   // disposable slice
            (&[0x41, 0x9a], 0),       // another refers to it
            (&[0x06, 0x05], 0),       // SEI has nal_ref_idc 0, always
            (&[0x1c, 0x81, 0x9a], 1), // fragments of a disposable slice
            (&[0x1c, 0x01, 0x9a], 1), //
            (&[0x5c, 0x01, 0x9a], 0), //
            (&[0x18, 0, 2, 0x06, 5, 0, 2, 0x01, 0x9a], 1),
            (&[], 0),
        ] {
            let told = layering(payload, false);
            assert_eq!(told.layer.temporal, temporal, "{payload:02x?}");
        }
        let first = layering(&[0x1c, 0x81, 0x9a], false);
        assert_eq!(first.reach(Layer::default()).temporal, 1);
        let second = layering(&[0x1c, 0x01, 0x9a], true);
        assert_eq!(second.reach(Layer::default()).temporal, 0);
    }
}
