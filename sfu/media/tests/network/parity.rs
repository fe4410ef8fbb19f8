//! A receiver of FlexFEC (draft-ietf-payload-flexible-fec-scheme-03, section 6.3), as libwebrtc's:
//! what transports fill in counts as zero.

use std::collections::BTreeMap;

use tongbu_media::packet::extension::{ExtensionMap, Kind};
use tongbu_media::packet::rtp::RtpPacket;

const FIXED_HEADER: usize = 12;
/// Packets kept.
const WINDOW: usize = 400;

#[derive(Default)]
pub struct Parity {
    /// Packets of parity that came, and their bytes on the wire.
    pub received: usize,
    pub bytes: usize,
    /// Packets that it gave back.
    pub mended: usize,
    media: BTreeMap<u16, Vec<u8>>,
    order: Vec<u16>,
    groups: Vec<Group>,
}

impl Parity {
    /// A packet of the stream that is protected, opened.
    pub fn keep(&mut self, packet: &[u8], map: &ExtensionMap) {
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let mut plain = packet.to_vec();
        let rtp = RtpPacket::parse(packet).expect("the server writes well");
        for (kind, data) in map.read(rtp.extension) {
            if kind == Kind::TransportCc {
                let at = data.as_ptr().addr() - packet.as_ptr().addr();
                plain[at..at + data.len()].fill(0);
            }
        }
        if self.media.insert(sequence, plain).is_none() {
            self.order.push(sequence);
        }
        if self.order.len() > WINDOW {
            self.media.remove(&self.order.remove(0));
        }
    }

    /// A payload of parity.
    pub fn handle(&mut self, payload: &[u8], ssrc: u32, wire: usize) {
        self.received += 1;
        self.bytes += wire;
        self.groups.push(Group::new(payload, ssrc));
        if self.groups.len() > 64 {
            self.groups.remove(0);
        }
    }

    /// A packet that can be put together now.
    pub fn recover(&mut self) -> Option<Vec<u8>> {
        let media = &self.media;
        self.groups
            .retain(|group| group.missing(media).next().is_some());
        let found = self.groups.iter().find_map(|group| group.recover(media))?;
        self.mended += 1;
        Some(found)
    }
}

/// What shares a packet of parity.
struct Group {
    ssrc: u32,
    sequences: Vec<u16>,
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Group {
    fn new(payload: &[u8], ssrc: u32) -> Self {
        assert_eq!(payload[8..12], [1, 0, 0, 0], "one stream");
        assert_eq!(payload[12..16], ssrc.to_be_bytes());
        let base = u16::from_be_bytes([payload[16], payload[17]]);
        let (mut sequences, mut offset, mut at) = (Vec::new(), 0u16, 18);
        for octets in [2, 4, 8] {
            let word = payload[at..at + octets].iter();
            let word = word.fold(0u64, |word, octet| word << 8 | u64::from(*octet));
            at += octets;
            let bits = octets as u32 * 8 - 1;
            for bit in (0..bits).rev() {
                if word >> bit & 1 == 1 {
                    sequences.push(base.wrapping_add(offset));
                }
                offset += 1;
            }
            if word >> bits & 1 == 1 {
                break;
            }
        }
        Self {
            ssrc,
            sequences,
            header: payload[..8].to_vec(),
            body: payload[at..].to_vec(),
        }
    }

    fn missing<'a>(&'a self, media: &'a BTreeMap<u16, Vec<u8>>) -> impl Iterator<Item = u16> + 'a {
        let missing = |s: &&u16| !media.contains_key(s);
        self.sequences.iter().filter(missing).copied()
    }

    fn recover(&self, media: &BTreeMap<u16, Vec<u8>>) -> Option<Vec<u8>> {
        let mut missing = self.missing(media);
        let lost = missing.next().filter(|_| missing.next().is_none())?;
        let (mut header, mut body) = (self.header.clone(), self.body.clone());
        for packet in self.sequences.iter().filter_map(|s| media.get(s)) {
            let length = ((packet.len() - FIXED_HEADER) as u16).to_be_bytes();
            let sum = [packet[0] & 0x3f, packet[1], length[0], length[1]];
            let sum = sum.iter().chain(&packet[4..8]);
            let rest = packet[FIXED_HEADER..].iter();
            header
                .iter_mut()
                .zip(sum)
                .for_each(|(into, from)| *into ^= from);
            body.iter_mut()
                .zip(rest)
                .for_each(|(into, from)| *into ^= from);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut packet = vec![0x80 | header[0], header[1]];
        packet.extend_from_slice(&lost.to_be_bytes());
        packet.extend_from_slice(&header[4..8]);
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(&body[..length]);
        Some(packet)
    }
}
