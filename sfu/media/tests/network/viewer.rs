//! A client that watches: it asks again for what it misses, and remembers what it got.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tongbu_media::clock::{MILLISECOND, Micros};
use tongbu_media::codec::Codec;
use tongbu_media::congestion::TwccRecorder;
use tongbu_media::crypto::{Profile, RTCP_OVERHEAD};
use tongbu_media::ids::{DowntrackId, UptrackId};
use tongbu_media::packet::extension::{ExtensionMap, Kind};
use tongbu_media::packet::rtcp::{self, Dlrr, ReportBlock, Rtcp, SenderInfo, XrBlock};
use tongbu_media::packet::rtp::RtpPacket;
use tongbu_media::repair::red;
use tongbu_media::shard::Command;
use tongbu_media::track::RtpSinkConfig;

use super::parity::Parity;
use super::{Client, Link, Network, publisher};

const PAYLOAD_TYPE: u8 = 120;
const RTX_PAYLOAD_TYPE: u8 = 121;
const FLEXFEC_PAYLOAD_TYPE: u8 = 122;
const SOUND_PAYLOAD_TYPE: u8 = 111;
const RED_PAYLOAD_TYPE: u8 = 63;
const MID_ID: u8 = 9;
const DELAY_ID: u8 = 6;
const TRANSPORT_ID: u8 = 3;
/// A lost packet is asked for this often.
const NACK_INTERVAL: Micros = 40 * MILLISECOND;

/// A packet as it reached the viewer.
#[derive(Clone, Debug)]
pub struct Got {
    pub at: Micros,
    pub timestamp: u32,
    pub marker: bool,
    pub number: u32,
    pub keyframe: bool,
    pub size: usize,
    /// The datagram's length.
    pub wire: usize,
}

pub struct Viewer {
    pub client: Client,
    pub track: DowntrackId,
    /// By outgoing sequence number, unwrapped.
    pub got: BTreeMap<u64, Got>,
    pub repaired: usize,
    /// Packets that only tried the link: padding, and repetitions of what had come.
    pub probes: usize,
    /// Bytes of them on the wire.
    pub probe_bytes: usize,
    pub replays: usize,
    pub mids: usize,
    pub reports: Vec<SenderInfo>,
    /// When packets of [`Viewer::listen`]'s track came.
    pub sounds: Vec<Micros>,
    /// Payload numbers of sound that came, alone or as copies, and how many copies came.
    pub heard: BTreeSet<u32>,
    pub copies: usize,
    /// Sequence numbers of the newest sound.
    pub sound_sequences: Vec<u16>,
    /// Of [`Viewer::watch`]'s track: when a packet came, and its payload number.
    pub second: Vec<(Micros, u32)>,
    /// Playout delays that packets told: of pictures, of sound.
    pub delays: (Vec<[u8; 3]>, Vec<[u8; 3]>),
    /// Answers to reference times, and when they came.
    pub answers: Vec<(Micros, Dlrr)>,
    /// FlexFEC of its track.
    pub parity: Parity,
    fec_ssrc: u32,
    sound_ssrc: u32,
    second_ssrc: u32,
    extensions: ExtensionMap,
    transport: TwccRecorder,
    /// Datagrams by SSRC and sequence number: whatever comes twice must be the same to the bit.
    seen: BTreeMap<(u32, u16), Vec<u8>>,
    shard: usize,
    ssrc: u32,
    rtx_ssrc: u32,
    asked: BTreeMap<u64, Micros>,
    config: RtpSinkConfig,
}

impl Viewer {
    pub fn new(network: &mut Network, link: Link, source: UptrackId) -> Self {
        Self::with(network, 0, link, source, true, Profile::AeadAes128Gcm)
    }

    pub fn with(
        network: &mut Network,
        shard: usize,
        link: Link,
        source: UptrackId,
        rtx: bool,
        profile: Profile,
    ) -> Self {
        let client = network.client(shard, link, profile);
        let track = DowntrackId(network.ids.next(shard));
        let (ssrc, rtx_ssrc) = (track.0, track.0 ^ 0xffff_0000);
        let config = RtpSinkConfig {
            mid: "video".into(),
            codec: Codec::Vp8,
            payload_type: PAYLOAD_TYPE,
            rtx: rtx.then_some((RTX_PAYLOAD_TYPE, rtx_ssrc)),
            flexfec: None,
            red_payload_type: None,
            clock_rate: 90_000,
            ssrc,
            cname: "lesson".into(),
            extensions: extensions(),
            start: (32_700, 4_000_000_000),
        };
        network.command(
            shard,
            Command::AddDowntrack(client.peer, track, Box::new(config.clone())),
        );
        network.command(shard, Command::SetSource(track, Some(source)));
        Self {
            client,
            track,
            got: BTreeMap::new(),
            repaired: 0,
            probes: 0,
            probe_bytes: 0,
            replays: 0,
            mids: 0,
            reports: Vec::new(),
            sounds: Vec::new(),
            heard: BTreeSet::new(),
            copies: 0,
            sound_sequences: Vec::new(),
            second: Vec::new(),
            delays: Default::default(),
            answers: Vec::new(),
            parity: Parity::default(),
            fec_ssrc: track.0 ^ 0xf0f0_0000,
            sound_ssrc: track.0 ^ 0x00ff_0000,
            second_ssrc: track.0 ^ 0x0f0f_0000,
            extensions: extensions(),
            transport: TwccRecorder::default(),
            seen: BTreeMap::new(),
            shard,
            ssrc,
            rtx_ssrc,
            asked: BTreeMap::new(),
            config,
        }
    }

    /// Its track is removed; the second and the sound stay.
    pub fn leave(&mut self, network: &mut Network) {
        network.command(self.shard, Command::RemoveDowntrack(self.track));
    }

    /// It gets a track in the same section, under the same SSRCs.
    pub fn return_to(&mut self, network: &mut Network, source: UptrackId) {
        self.track = DowntrackId(network.ids.next(self.shard));
        let config = RtpSinkConfig {
            start: (1, 1),
            ..self.config.clone()
        };
        let add = Command::AddDowntrack(self.client.peer, self.track, Box::new(config));
        network.command(self.shard, add);
        network.command(self.shard, Command::SetSource(self.track, Some(source)));
    }

    /// Take its track anew, with parity.
    pub fn protect(&mut self, network: &mut Network, source: UptrackId) {
        self.leave(network);
        self.config.flexfec = Some((FLEXFEC_PAYLOAD_TYPE, self.fec_ssrc));
        self.return_to(network, source);
    }

    /// Take a track of sound, too.
    pub fn listen(&mut self, network: &mut Network, source: UptrackId) {
        self.hear(network, source, None);
    }

    /// As [`Viewer::listen`], with redundancy.
    pub fn listen_with_red(&mut self, network: &mut Network, source: UptrackId) {
        self.hear(network, source, Some(RED_PAYLOAD_TYPE));
    }

    /// Take a second track of pictures.
    pub fn watch(&mut self, network: &mut Network, source: UptrackId) {
        let track = DowntrackId(network.ids.next(self.shard));
        let config = RtpSinkConfig {
            mid: "second".into(),
            codec: Codec::Vp8,
            payload_type: PAYLOAD_TYPE,
            rtx: Some((RTX_PAYLOAD_TYPE, self.second_ssrc ^ 1)),
            flexfec: None,
            red_payload_type: None,
            clock_rate: 90_000,
            ssrc: self.second_ssrc,
            cname: "lesson".into(),
            extensions: extensions(),
            start: (7, 7),
        };
        let add = Command::AddDowntrack(self.client.peer, track, Box::new(config));
        network.command(self.shard, add);
        network.command(self.shard, Command::SetSource(track, Some(source)));
    }

    fn hear(&mut self, network: &mut Network, source: UptrackId, red_payload_type: Option<u8>) {
        let track = DowntrackId(network.ids.next(self.shard));
        let config = RtpSinkConfig {
            mid: "audio".into(),
            codec: Codec::Opus,
            payload_type: SOUND_PAYLOAD_TYPE,
            rtx: None,
            flexfec: None,
            red_payload_type,
            clock_rate: 48_000,
            ssrc: self.sound_ssrc,
            cname: "lesson".into(),
            extensions: extensions(),
            start: (7, 7),
        };
        let add = Command::AddDowntrack(self.client.peer, track, Box::new(config));
        network.command(self.shard, add);
        network.command(self.shard, Command::SetSource(track, Some(source)));
    }

    pub fn address(&self) -> SocketAddr {
        self.client.address
    }

    pub fn shard(&self) -> usize {
        self.shard
    }

    /// Payload numbers in order of the sequence numbers.
    pub fn numbers(&self) -> Vec<u32> {
        self.got.values().map(|g| g.number).collect()
    }

    /// Sequence numbers between the first and the last that never came.
    pub fn holes(&self) -> usize {
        let first = self.got.keys().next();
        let last = self.got.keys().last();
        first
            .zip(last)
            .map_or(0, |(f, l)| (l - f + 1) as usize - self.got.len())
    }

    /// A datagram from the server.
    pub fn handle(&mut self, now: Micros, mut datagram: Vec<u8>) {
        if datagram[0] < 4 {
            return; // the answer to a check
        }
        if (192..=223).contains(&datagram[1]) {
            return self.handle_rtcp(now, &mut datagram);
        }
        let wire = datagram.len();
        self.compare(&datagram);
        let Ok((len, _)) = self.client.srtp.inbound.open_rtp(&mut datagram) else {
            self.replays += 1;
            return;
        };
        let rtp = RtpPacket::parse(&datagram[..len]).expect("the server writes well");
        for (kind, data) in self.extensions.read(rtp.extension) {
            match (kind, data) {
                (Kind::Mid, _) if rtp.ssrc != self.rtx_ssrc => self.mids += 1,
                (Kind::TransportCc, &[high, low]) => {
                    let sequence = u16::from_be_bytes([high, low]);
                    self.transport.handle_packet(sequence, rtp.ssrc, now);
                }
                (Kind::PlayoutDelay, &[a, b, c]) => {
                    let sound = rtp.ssrc == self.sound_ssrc;
                    let (pictures, sounds) = &mut self.delays;
                    if sound { sounds } else { pictures }.push([a, b, c]);
                }
                _ => {}
            }
        }
        if rtp.ssrc == self.sound_ssrc {
            self.handle_sound(now, &rtp);
        } else if rtp.ssrc == self.fec_ssrc {
            assert_eq!(rtp.payload_type, FLEXFEC_PAYLOAD_TYPE);
            self.parity.handle(rtp.payload, self.ssrc, wire);
            self.mend(now);
        } else if rtp.ssrc == self.second_ssrc {
            self.second.push((now, publisher::number(rtp.payload).0));
        } else if rtp.ssrc == self.second_ssrc ^ 1 {
            self.probes += 1;
        } else if rtp.ssrc == self.rtx_ssrc {
            let Some((sequence, payload)) = rtp.payload.split_first_chunk() else {
                self.probes += 1; // padding
                self.probe_bytes += wire;
                return;
            };
            let had = self.has(u16::from_be_bytes(*sequence));
            self.probe_bytes += if had { wire } else { 0 };
            *(if had {
                &mut self.probes
            } else {
                &mut self.repaired
            }) += 1;
            self.keep(
                now,
                u16::from_be_bytes(*sequence),
                &RtpPacket { payload, ..rtp },
                wire,
            );
        } else {
            assert_eq!((rtp.ssrc, rtp.payload_type), (self.ssrc, PAYLOAD_TYPE));
            self.keep(now, rtp.sequence, &rtp, wire);
            if self.config.flexfec.is_some() {
                self.parity.keep(&datagram[..len], &self.extensions);
                self.mend(now);
            }
        }
    }

    /// What parity gives back counts as come, unless a repair was first.
    fn mend(&mut self, now: Micros) {
        while let Some(packet) = self.parity.recover() {
            self.parity.keep(&packet, &self.extensions);
            let rtp = RtpPacket::parse(&packet).expect("it is what was sent");
            assert_eq!((rtp.ssrc, rtp.payload_type), (self.ssrc, PAYLOAD_TYPE));
            let number = publisher::number(rtp.payload).0;
            let filling = rtp.payload[15..].iter();
            assert!(filling.into_iter().all(|octet| *octet == number as u8));
            self.keep(now, rtp.sequence, &rtp, 0);
        }
    }

    fn handle_sound(&mut self, now: Micros, rtp: &RtpPacket<'_>) {
        self.sounds.push(now);
        self.sound_sequences.push(rtp.sequence);
        if rtp.payload_type != RED_PAYLOAD_TYPE {
            self.heard.insert(publisher::number(rtp.payload).0);
            return;
        }
        let primary = red::primary(rtp.payload).expect("the server writes well");
        let newest = publisher::number(primary.data).0;
        for block in red::blocks(rtp.payload) {
            assert_eq!(block.payload_type, SOUND_PAYLOAD_TYPE);
            let number = publisher::number(block.data).0;
            assert_eq!(number < newest, block.offset > 0, "a copy is of the past");
            self.heard.insert(number);
            self.copies += usize::from(block.offset > 0);
        }
    }

    /// The same nonce over other bits would give the key away (RFC 7714, 11.2).
    fn compare(&mut self, datagram: &[u8]) {
        let [_, _, s, q, _, _, _, _, a, b, c, d, ..] = *datagram else {
            return;
        };
        let name = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([s, q]));
        match self.seen.get(&name) {
            Some(before) => assert_eq!(before, datagram, "{name:?} came twice, and changed"),
            None => drop(self.seen.insert(name, datagram.to_vec())),
        }
    }

    /// Ask again for what is missing, and tell of what came.
    pub fn poll(&mut self, network: &mut Network) {
        let mut compound = Vec::new();
        self.transport.poll(network.now, 1, &mut compound);
        if !compound.is_empty() {
            self.send_rtcp(network, compound);
        }
        let (Some(&first), Some(&last)) = (self.got.keys().next(), self.got.keys().last()) else {
            return;
        };
        let now = network.now;
        let missing: BTreeSet<u64> = (first.max(last.saturating_sub(200))..last)
            .filter(|s| !self.got.contains_key(s))
            .filter(|s| self.asked.get(s).is_none_or(|at| now >= at + NACK_INTERVAL))
            .collect();
        if missing.is_empty() {
            return;
        }
        self.asked.extend(missing.iter().map(|s| (*s, now)));
        let lost: Vec<u16> = missing.iter().map(|s| *s as u16).collect();
        self.ask(network, &lost);
    }

    /// A NACK for these sequence numbers.
    pub fn ask(&mut self, network: &mut Network, lost: &[u16]) {
        let mut compound = Vec::new();
        rtcp::nack(&mut compound, 1, self.ssrc, lost);
        self.send_rtcp(network, compound);
    }

    /// A keyframe request.
    pub fn ask_for_keyframe(&mut self, network: &mut Network) {
        let mut compound = Vec::new();
        rtcp::pli(&mut compound, 1, self.ssrc);
        self.send_rtcp(network, compound);
    }

    /// A receiver report: enough for the server to know that the SSRC is matched.
    pub fn report(&mut self, network: &mut Network) {
        let block = ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter: 0,
            lsr: 0,
            dlsr: 0,
        };
        let mut compound = Vec::new();
        rtcp::receiver_report(&mut compound, 1, &[block]);
        self.send_rtcp(network, compound);
    }

    /// A NACK for sound.
    pub fn ask_for_sound(&mut self, network: &mut Network, lost: &[u16]) {
        let mut compound = Vec::new();
        rtcp::nack(&mut compound, 1, self.sound_ssrc, lost);
        self.send_rtcp(network, compound);
    }

    /// The SSRC of its pictures.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Any compound packet, sealed.
    pub fn send_rtcp(&mut self, network: &mut Network, mut compound: Vec<u8>) {
        if compound.is_empty() {
            return;
        }
        let len = compound.len();
        compound.resize(len + RTCP_OVERHEAD, 0);
        let sealed = self.client.srtp.outbound.seal_rtcp(&mut compound, len);
        compound.truncate(sealed.expect("room for the tag"));
        network.send(self.client.address, compound);
    }

    fn handle_rtcp(&mut self, now: Micros, datagram: &mut [u8]) {
        let Ok(len) = self.client.srtp.inbound.open_rtcp(datagram) else {
            return; // a replay by the network
        };
        for packet in rtcp::packets(&datagram[..len]) {
            match packet.expect("the server writes well") {
                Rtcp::SenderReport(report) => self.reports.push(report.info),
                Rtcp::Xr(report) => {
                    for block in report.blocks() {
                        if let XrBlock::Dlrr(entries) = block {
                            self.answers.extend(entries.iter().map(|e| (now, e)));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn has(&self, sequence: u16) -> bool {
        let highest = self.got.keys().last();
        highest.is_some_and(|&highest| {
            let sequence = tongbu_media::track::nearest(highest, sequence);
            self.got.contains_key(&sequence)
        })
    }

    fn keep(&mut self, now: Micros, sequence: u16, rtp: &RtpPacket<'_>, wire: usize) {
        let highest = self
            .got
            .keys()
            .last()
            .copied()
            .unwrap_or(u64::from(sequence));
        let unwrapped = tongbu_media::track::nearest(highest, sequence);
        let (number, keyframe) = publisher::number(rtp.payload);
        let got = Got {
            at: now,
            timestamp: rtp.timestamp,
            marker: rtp.marker,
            number,
            keyframe,
            size: rtp.payload.len(),
            wire,
        };
        self.got.entry(unwrapped).or_insert(got);
    }
}

fn extensions() -> ExtensionMap {
    ExtensionMap::from_pairs(&[
        (MID_ID, Kind::Mid.uri()),
        (TRANSPORT_ID, Kind::TransportCc.uri()),
        (DELAY_ID, Kind::PlayoutDelay.uri()),
    ])
}
