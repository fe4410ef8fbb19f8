//! Streams made up for tests: frames, and the payloads a sender would cut them into.
#![allow(dead_code, unreachable_pub, missing_docs)]

use tongbu_media::codec::{Codec, RtpPayload};

pub const VIDEO: [Codec; 4] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1];
pub const CODECS: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];

#[derive(Clone, Debug)]
pub struct Sent {
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub arrival: u64,
    pub payload: Vec<u8>,
}

impl Sent {
    pub fn as_payload(&self) -> RtpPayload<'_> {
        RtpPayload {
            sequence: self.sequence,
            timestamp: self.timestamp,
            marker: self.marker,
            arrival: self.arrival,
            payload: &self.payload,
        }
    }
}

#[derive(Clone, Debug)]
pub struct SentFrame {
    pub timestamp: u32,
    pub arrival: u64,
    pub keyframe: bool,
    /// As it should come out.
    pub data: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Stream {
    pub packets: Vec<Sent>,
    pub frames: Vec<SentFrame>,
}

impl Stream {
    /// A keyframe each fifth frame; packets one millisecond apart; timestamps that wrap.
    pub fn new(codec: Codec, frames: u32, mtu: usize) -> Self {
        let mut stream = Self {
            packets: Vec::new(),
            frames: Vec::new(),
        };
        for index in 0..frames {
            stream.add(codec, index, mtu);
        }
        stream
    }

    fn add(&mut self, codec: Codec, index: u32, mtu: usize) {
        let keyframe = codec == Codec::Opus || index.is_multiple_of(5);
        let timestamp = 0u32.wrapping_sub(9000).wrapping_add(index * 3000);
        let (data, payloads) = cut(codec, keyframe, index, mtu);
        let last = payloads.len() - 1;
        for (at, payload) in payloads.into_iter().enumerate() {
            let sequence = self.packets.len() as u64;
            let arrival = 1_700_000_000_000_000 + sequence * 1000;
            let marker = at == last && codec != Codec::Opus;
            self.packets.push(Sent {
                sequence,
                timestamp,
                marker,
                arrival,
                payload,
            });
        }
        let arrival = self.packets.last().map_or(0, |packet| packet.arrival);
        self.frames.push(SentFrame {
            timestamp,
            arrival,
            keyframe,
            data,
        });
    }
}

/// A frame and its payloads.
fn cut(codec: Codec, keyframe: bool, index: u32, mtu: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    match codec {
        Codec::H264 => {
            let units = h264_units(keyframe, index);
            let data = units
                .iter()
                .flat_map(|unit| [&[0, 0, 0, 1], &unit[..]].concat())
                .collect();
            (data, h264(&units, mtu))
        }
        Codec::Vp8 => {
            let mut frame = noise(index, 150 + index as usize * 7);
            frame[0] = u8::from(!keyframe);
            let payloads = vp8(&frame, index, mtu);
            (frame, payloads)
        }
        Codec::Vp9 => {
            let layers: Vec<_> = (0..1 + index % 3)
                .map(|layer| noise(index + layer, 90))
                .collect();
            (superframe(&layers), vp9(&layers, keyframe, index, mtu))
        }
        Codec::Av1 => {
            let obus = av1_obus(keyframe, index);
            let data = obus
                .iter()
                .filter(|obu| obu[0] >> 3 != 2)
                .flat_map(|obu| sized(obu))
                .collect();
            (data, av1(&obus, keyframe, index, mtu))
        }
        Codec::Opus => {
            let packet = noise(index, 40);
            (packet.clone(), vec![packet])
        }
    }
}

/// Bytes without meaning, different for each seed.
pub fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn h264_units(keyframe: bool, index: u32) -> Vec<Vec<u8>> {
    let slice = |header: u8, first: bool, length| {
        let mut unit = noise(index, length);
        unit[0] = header;
        unit[1] = if first { 0x88 } else { 0x3a };
        unit
    };
    if keyframe {
        let sets = [
            vec![0x67, 0x42, 0xc0, 0x1f, 0x95],
            vec![0x68, 0xce, 0x3c, 0x80],
        ];
        return [&sets[..], &[slice(0x65, true, 180), slice(0x65, false, 9)]].concat();
    }
    vec![
        slice(0x41, true, 10 + index as usize * 9),
        slice(0x41, false, 30),
    ]
}

/// STAP-A for small units that fit together, FU-A for large ones, alone otherwise.
pub fn h264(units: &[Vec<u8>], mtu: usize) -> Vec<Vec<u8>> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    let mut waiting: Vec<&[u8]> = Vec::new();
    for unit in units {
        let size: usize = waiting.iter().map(|unit| unit.len() + 2).sum();
        if 1 + size + 2 + unit.len() > mtu {
            payloads.extend(aggregate(&std::mem::take(&mut waiting)));
        }
        if unit.len() > mtu {
            payloads.extend(fragment_unit(unit, mtu));
        } else {
            waiting.push(unit);
        }
    }
    payloads.extend(aggregate(&waiting));
    payloads
}

fn aggregate(units: &[&[u8]]) -> Option<Vec<u8>> {
    match units {
        [] => None,
        [unit] => Some(unit.to_vec()),
        _ => {
            let sized = |unit: &&[u8]| [&(unit.len() as u16).to_be_bytes()[..], unit].concat();
            Some([vec![0x78], units.iter().flat_map(sized).collect()].concat())
        }
    }
}

fn fragment_unit(unit: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let parts: Vec<_> = unit[1..].chunks(mtu - 2).collect();
    let header = |at: usize| {
        let start = if at == 0 { 0x80 } else { 0 };
        let end = if at + 1 == parts.len() { 0x40 } else { 0 };
        [unit[0] & 0xe0 | 28, start | end | unit[0] & 0x1f]
    };
    parts
        .iter()
        .enumerate()
        .map(|(at, part)| [&header(at)[..], part].concat())
        .collect()
}

/// Every third frame with the long descriptor, another third with a second partition.
pub fn vp8(frame: &[u8], index: u32, mtu: usize) -> Vec<Vec<u8>> {
    let descriptor = |at: usize| -> Vec<u8> {
        let start = if at == 0 { 0x10 } else { 0 };
        match index % 3 {
            0 => vec![start],
            1 => vec![
                start | 0x80,
                0xf0,
                0x80 | (index >> 8) as u8,
                index as u8,
                7,
                0x60,
            ],
            _ if at == 2 => vec![0x11],
            _ => vec![start | u8::from(at > 2)],
        }
    };
    let parts = frame.chunks(mtu - 6).enumerate();
    parts
        .map(|(at, part)| [&descriptor(at)[..], part].concat())
        .collect()
}

/// Spatial layers one after another, in flexible mode every second picture.
pub fn vp9(layers: &[Vec<u8>], keyframe: bool, index: u32, mtu: usize) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for (layer, frame) in layers.iter().enumerate() {
        let parts: Vec<_> = frame.chunks(mtu - 8).collect();
        for (at, part) in parts.iter().enumerate() {
            let (begins, ends) = (at == 0, at + 1 == parts.len());
            let flexible = index % 2 == 1;
            let mut first = 0xa0;
            first |= if keyframe { 0 } else { 0x40 };
            first |= if flexible { 0x10 } else { 0 };
            first |= u8::from(begins) << 3 | u8::from(ends) << 2;
            let mut payload = vec![first, 0x80, index as u8, (layer as u8) << 1 | 1];
            match (flexible, keyframe) {
                (false, _) => payload.push(index as u8),
                (true, false) => payload.extend([0x03, 0x04]),
                (true, true) => {}
            }
            payload.extend_from_slice(part);
            payloads.push(payload);
        }
    }
    payloads
}

fn superframe(layers: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = layers.concat();
    if layers.len() > 1 {
        let marker = 0xd8 | (layers.len() as u8 - 1);
        let sizes = layers
            .iter()
            .flat_map(|layer| (layer.len() as u32).to_le_bytes());
        frame.extend([marker].into_iter().chain(sizes).chain([marker]));
    }
    frame
}

/// Without sizes, as RTP wants them: delimiter, sequence header, frame (every second one with the
/// extension), and tiles apart.
fn av1_obus(keyframe: bool, index: u32) -> Vec<Vec<u8>> {
    let mut obus = vec![vec![0x10]];
    if keyframe {
        obus.push([vec![0x08], noise(index, 10)].concat());
    }
    let frame_type = if keyframe { 0x10 } else { 0x30 };
    let header = if index.is_multiple_of(2) {
        vec![0x30, frame_type]
    } else {
        vec![0x34, 0x20, frame_type]
    };
    obus.push([header, noise(index, 100 + index as usize * 5)].concat());
    obus.push([vec![0x20], noise(index + 1, 50)].concat());
    obus
}

fn sized(obu: &[u8]) -> Vec<u8> {
    let head = if obu[0] & 4 == 0 { 1 } else { 2 };
    let mut out = obu[..head].to_vec();
    out[0] |= 2;
    out.extend(leb128(obu.len() - head));
    out.extend_from_slice(&obu[head..]);
    out
}

pub fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Elements filled up to the MTU; every second frame tells their number (W), the others not.
pub fn av1(obus: &[Vec<u8>], keyframe: bool, index: u32, mtu: usize) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut elements: Vec<&[u8]> = Vec::new();
    let (mut room, mut continues) = (mtu, false);
    let mut flush = |elements: &mut Vec<&[u8]>, continues: bool, open: bool| {
        let counted = index.is_multiple_of(2) && elements.len() <= 3;
        let mut header = u8::from(continues) << 7 | u8::from(open) << 6;
        header |= if keyframe && payloads.is_empty() {
            0x08
        } else {
            0
        };
        header |= if counted {
            (elements.len() as u8) << 4
        } else {
            0
        };
        let mut payload = vec![header];
        for (at, element) in elements.iter().enumerate() {
            if !(counted && at + 1 == elements.len()) {
                payload.extend(leb128(element.len()));
            }
            payload.extend_from_slice(element);
        }
        elements.clear();
        payloads.push(payload);
    };
    for obu in obus {
        let mut rest = &obu[..];
        while rest.len() > room {
            elements.push(&rest[..room]);
            rest = &rest[room..];
            flush(&mut elements, continues, true);
            (room, continues) = (mtu, true);
        }
        elements.push(rest);
        room -= rest.len();
        if room < 4 {
            flush(&mut elements, continues, false);
            (room, continues) = (mtu, false);
        }
    }
    if !elements.is_empty() {
        flush(&mut elements, continues, false);
    }
    payloads
}
