//! A client that publishes VP8 (or sound of the same shape), answers NACKs and keyframe requests, and tells its clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tongbu_media::clock::{Micros, SECOND};
use tongbu_media::codec::Codec;
use tongbu_media::crypto::{Profile, RTCP_OVERHEAD, RTP_OVERHEAD};
use tongbu_media::ids::UptrackId;
use tongbu_media::packet::extension::{ExtensionMap, Kind};
use tongbu_media::packet::rtcp::{self, Rtcp, SenderInfo};
use tongbu_media::packet::rtp::RtpHeader;
use tongbu_media::shard::Command;
use tongbu_media::track::UptrackConfig;

use super::{Client, Link, Network};

pub const PAYLOAD_TYPE: u8 = 96;
const RTX_PAYLOAD_TYPE: u8 = 97;
const MID_ID: u8 = 1;
const RID_ID: u8 = 2;
const TWCC_ID: u8 = 3;
const REPAIRED_RID_ID: u8 = 4;
const LEVEL_ID: u8 = 5;
/// Seconds between the NTP era's beginning and the Unix epoch's.
const NTP_UNIX: u64 = 2_208_988_800;

/// One simulcast layer.
struct Layer {
    rid: &'static str,
    ssrc: u32,
    /// With the roll-over count above the low 16 bits.
    sequence: u64,
    rtx_sequence: u64,
    sent: BTreeMap<u16, (u64, u32, bool, Vec<u8>)>,
    keyframe_wanted: bool,
    keyframes_asked: usize,
    /// Bytes of a packet.
    size: usize,
    /// Not sent for now.
    asleep: bool,
}

pub struct Publisher {
    pub client: Client,
    pub track: UptrackId,
    /// Payload number of the next packet; the same in all layers of one picture.
    pub next: u32,
    pub keyframes_asked: usize,
    pub keyframes_sent: usize,
    pub nacked: usize,
    pub reported_arrived: usize,
    pub reported_lost: usize,
    pub reports: usize,
    pub loses: Vec<u32>,
    rids: bool,
    rtx: bool,
    transport_sequence: u16,
    layers: Vec<Layer>,
    shard: usize,
    config: UptrackConfig,
    /// How loud its packets say they are (RFC 6464).
    pub level: Option<u8>,
    /// What its packets say of their section.
    pub mid: Option<&'static str>,
}

impl Publisher {
    pub fn new(network: &mut Network, link: Link) -> Self {
        Self::with_layers(network, 0, link, &[], true)
    }

    /// On a shard, with these layers as `(rid, packet size)`; without any it is no simulcast.
    pub fn with_layers(
        network: &mut Network,
        shard: usize,
        link: Link,
        rids: &[(&'static str, usize)],
        rtx: bool,
    ) -> Self {
        let client = network.client(shard, link, Profile::AeadAes128Gcm);
        Self::of_client(network, shard, client, rids, rtx)
    }

    /// Sound, on shard 0.
    pub fn of_sound(network: &mut Network, link: Link) -> Self {
        let client = network.client(0, link, Profile::AeadAes128Gcm);
        Self::of_codec(network, 0, client, Codec::Opus, &[], false)
    }

    /// The tracks of a client that is there already.
    pub fn of_client(
        network: &mut Network,
        shard: usize,
        client: Client,
        rids: &[(&'static str, usize)],
        rtx: bool,
    ) -> Self {
        Self::of_codec(network, shard, client, Codec::Vp8, rids, rtx)
    }

    fn of_codec(
        network: &mut Network,
        shard: usize,
        client: Client,
        codec: Codec,
        rids: &[(&'static str, usize)],
        rtx: bool,
    ) -> Self {
        let track = UptrackId(network.ids.next(shard));
        let config = UptrackConfig {
            mid: "0".into(),
            codec,
            payload_type: PAYLOAD_TYPE,
            rtx_payload_type: rtx.then_some(RTX_PAYLOAD_TYPE),
            clock_rate: 90_000,
            nack: true,
            extensions: ExtensionMap::from_pairs(&[
                (MID_ID, Kind::Mid.uri()),
                (RID_ID, Kind::Rid.uri()),
                (TWCC_ID, Kind::TransportCc.uri()),
                (REPAIRED_RID_ID, Kind::RepairedRid.uri()),
                (LEVEL_ID, Kind::AudioLevel.uri()),
            ]),
            rids: rids.iter().map(|(rid, _)| (*rid).into()).collect(),
            ssrcs: Vec::new(),
        };
        network.command(
            shard,
            Command::AddUptrack(client.peer, track, Box::new(config.clone())),
        );
        let single = [("", 900)];
        let layers = if rids.is_empty() { &single[..] } else { rids };
        let layer = |(i, &(rid, size)): (usize, &(&'static str, usize))| Layer {
            rid,
            ssrc: 100 + i as u32,
            sequence: 65_500,
            rtx_sequence: 9,
            sent: BTreeMap::new(),
            keyframe_wanted: true,
            keyframes_asked: 0,
            size,
            asleep: false,
        };
        Self {
            client,
            track,
            next: 0,
            keyframes_asked: 0,
            keyframes_sent: 0,
            nacked: 0,
            reported_arrived: 0,
            reported_lost: 0,
            reports: 0,
            loses: Vec::new(),
            rids: !rids.is_empty(),
            rtx,
            transport_sequence: 65_000,
            layers: layers.iter().enumerate().map(layer).collect(),
            shard,
            config,
            level: None,
            mid: Some("0"),
        }
    }

    /// One more track like its own, in this section.
    pub fn add_track(&self, network: &mut Network, mid: &str) -> UptrackId {
        let track = UptrackId(network.ids.next(self.shard));
        let config = UptrackConfig {
            mid: mid.into(),
            ..self.config.clone()
        };
        let add = Command::AddUptrack(self.client.peer, track, Box::new(config));
        network.command(self.shard, add);
        track
    }

    /// Its track is gone, and there is another in this section.
    pub fn replace_track(&mut self, network: &mut Network, mid: &'static str) {
        network.command(self.shard, Command::RemoveUptrack(self.track));
        self.track = self.add_track(network, mid);
        self.mid = Some(mid);
    }

    pub fn address(&self) -> SocketAddr {
        self.client.address
    }

    /// Keyframes asked of a layer.
    pub fn asked_of(&self, rid: &str) -> usize {
        let layer = self.layers.iter().find(|l| l.rid == rid);
        layer.map_or(0, |l| l.keyframes_asked)
    }

    /// Stop sending a layer, as a browser does when its uplink is narrow.
    pub fn drop_layer(&mut self, rid: &str) {
        self.layers.retain(|l| l.rid != rid);
    }

    /// Send these layers, and no others, as a browser does that is told what is wanted.
    pub fn send_only(&mut self, wanted: &[u8]) {
        for (index, layer) in (0..).zip(&mut self.layers) {
            layer.asleep = !wanted.contains(&index);
        }
    }

    /// Nothing that was sent can be sent again.
    pub fn forget_sent(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.sent.clear());
    }

    /// Send a keyframe next, unasked.
    pub fn want_keyframe(&mut self) {
        self.layers
            .iter_mut()
            .for_each(|layer| layer.keyframe_wanted = true);
    }

    /// Go on under new SSRCs, as after a reload of the encoder.
    pub fn change_ssrcs(&mut self) {
        for layer in &mut self.layers {
            layer.ssrc += 1_000;
            layer.sequence = 20_000;
            layer.sent.clear();
            layer.keyframe_wanted = true;
        }
    }

    /// One picture, in `packets` packets of each layer.
    pub fn send_picture(&mut self, network: &mut Network, packets: u32) {
        let timestamp = ((network.now / 10) * 9 / 10) as u32;
        for index in 0..self.layers.len() {
            if self.layers[index].asleep {
                continue;
            }
            let keyframe = std::mem::take(&mut self.layers[index].keyframe_wanted);
            self.keyframes_sent += usize::from(keyframe);
            for i in 0..packets {
                let payload = payload(self.next + i, i == 0, keyframe, self.layers[index].size);
                let marker = i + 1 == packets;
                self.send_packet(network, index, timestamp, marker, payload);
            }
        }
        self.next += packets;
    }

    /// One picture of the first layer in packets of these sizes.
    pub fn send_picture_of(&mut self, network: &mut Network, sizes: &[usize]) {
        let timestamp = ((network.now / 10) * 9 / 10) as u32;
        let keyframe = std::mem::take(&mut self.layers[0].keyframe_wanted);
        for (i, &size) in sizes.iter().enumerate() {
            let payload = payload(self.next, i == 0, keyframe, size);
            self.next += 1;
            self.send_packet(network, 0, timestamp, i + 1 == sizes.len(), payload);
        }
    }

    /// One packet of a picture that began at `timestamp`, of the first layer.
    pub fn send_part(&mut self, network: &mut Network, timestamp: u32, first: bool, last: bool) {
        let keyframe = first && std::mem::take(&mut self.layers[0].keyframe_wanted);
        let payload = payload(self.next, first, keyframe, self.layers[0].size);
        self.next += 1;
        self.send_packet(network, 0, timestamp, last, payload);
    }

    /// One picture of the first layer as it would be sent now, for the caller to deliver.
    pub fn picture_datagrams(&mut self, now: Micros, packets: u32) -> Vec<Vec<u8>> {
        let timestamp = ((now / 10) * 9 / 10) as u32;
        let keyframe = std::mem::take(&mut self.layers[0].keyframe_wanted);
        let mut datagrams = Vec::new();
        for i in 0..packets {
            let payload = payload(self.next + i, i == 0, keyframe, self.layers[0].size);
            let header = self.next_header(0, timestamp, i + 1 == packets, &payload);
            datagrams.push(self.sealed(0, header, &payload, false));
        }
        self.next += packets;
        datagrams
    }

    /// A sender report: NTP time is network time.
    pub fn send_report(&mut self, network: &mut Network) {
        let timestamp = ((network.now / 10) * 9 / 10) as u32;
        for index in 0..self.layers.len() {
            let info = SenderInfo {
                ntp: ntp(network.now),
                rtp: timestamp,
                packet_count: 0,
                octet_count: 0,
            };
            let mut compound = Vec::new();
            rtcp::sender_report(&mut compound, self.layers[index].ssrc, &info, &[]);
            let len = compound.len();
            compound.resize(len + RTCP_OVERHEAD, 0);
            let outbound = &mut self.client.srtp.outbound;
            let len = outbound
                .seal_rtcp(&mut compound, len)
                .expect("room for the tag");
            compound.truncate(len);
            network.send(self.client.address, compound);
        }
    }

    /// A datagram from the server.
    pub fn handle(&mut self, network: &mut Network, mut datagram: Vec<u8>) {
        if datagram[0] < 4 {
            return; // the answer to a check
        }
        let opened = self.client.srtp.inbound.open_rtcp(&mut datagram);
        let Ok(len) = opened else {
            return; // the network repeats datagrams, and those are replays
        };
        for packet in rtcp::packets(&datagram[..len]) {
            match packet.expect("the server writes well") {
                Rtcp::Nack(nack) => {
                    let lost: Vec<u16> = nack.lost().collect();
                    lost.iter()
                        .for_each(|s| self.repair(network, nack.media_ssrc, *s));
                }
                Rtcp::Pli { media_ssrc, .. } => {
                    self.keyframes_asked += 1;
                    let layer = self.layers.iter_mut().find(|l| l.ssrc == media_ssrc);
                    layer.into_iter().for_each(|l| {
                        l.keyframe_wanted = true;
                        l.keyframes_asked += 1;
                    });
                }
                Rtcp::TransportFeedback(feedback) => {
                    let arrived = feedback.arrivals().filter(|(_, at)| at.is_some()).count();
                    self.reported_arrived += arrived;
                    self.reported_lost += feedback.arrivals().count() - arrived;
                }
                Rtcp::ReceiverReport(report) => {
                    self.reports += 1;
                    let lost = report
                        .reports
                        .iter()
                        .map(|b| b.cumulative_lost.max(0) as u32);
                    self.loses.push(lost.sum());
                }
                _ => {}
            }
        }
    }

    fn repair(&mut self, network: &mut Network, ssrc: u32, sequence: u16) {
        self.nacked += 1;
        let Some(index) = self.layers.iter().position(|l| l.ssrc == ssrc) else {
            return;
        };
        let layer = &mut self.layers[index];
        let Some((sequence, timestamp, marker, payload)) = layer.sent.get(&sequence).cloned()
        else {
            return;
        };
        if !self.rtx {
            let header = header(PAYLOAD_TYPE, sequence, timestamp, marker, ssrc);
            self.launch(network, index, header, &payload, false);
            return;
        }
        layer.rtx_sequence += 1;
        let rtx_sequence = layer.rtx_sequence;
        let mut repaired = (sequence as u16).to_be_bytes().to_vec();
        repaired.extend_from_slice(&payload);
        let header = header(
            RTX_PAYLOAD_TYPE,
            rtx_sequence,
            timestamp,
            marker,
            ssrc + 500,
        );
        self.launch(network, index, header, &repaired, true);
    }

    fn send_packet(
        &mut self,
        network: &mut Network,
        index: usize,
        timestamp: u32,
        marker: bool,
        payload: Vec<u8>,
    ) {
        let header = self.next_header(index, timestamp, marker, &payload);
        self.launch(network, index, header, &payload, false);
    }

    fn next_header(
        &mut self,
        index: usize,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> (u64, RtpHeader) {
        let layer = &mut self.layers[index];
        layer.sequence += 1;
        let sent = (layer.sequence, timestamp, marker, payload.to_vec());
        layer.sent.insert(layer.sequence as u16, sent);
        header(PAYLOAD_TYPE, layer.sequence, timestamp, marker, layer.ssrc)
    }

    fn launch(
        &mut self,
        network: &mut Network,
        index: usize,
        header: (u64, RtpHeader),
        payload: &[u8],
        repair: bool,
    ) {
        let datagram = self.sealed(index, header, payload, repair);
        network.send(self.client.address, datagram);
    }

    fn sealed(
        &mut self,
        index: usize,
        (sequence, header): (u64, RtpHeader),
        payload: &[u8],
        repair: bool,
    ) -> Vec<u8> {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        let transport = self.transport_sequence.to_be_bytes();
        let rid_id = if repair { REPAIRED_RID_ID } else { RID_ID };
        let mid = self.mid.map(|mid| (MID_ID, mid.as_bytes()));
        let mut elements = vec![(TWCC_ID, &transport[..])];
        elements.extend(mid);
        let level = self.level.map(|level| [level]);
        elements.extend(level.as_ref().map(|level| (LEVEL_ID, &level[..])));
        if self.rids && mid.is_some() {
            elements.push((rid_id, self.layers[index].rid.as_bytes()));
        }
        let mut datagram = Vec::new();
        header.write(&mut datagram, elements.iter().copied());
        datagram.extend_from_slice(payload);
        let len = datagram.len();
        datagram.resize(len + RTP_OVERHEAD, 0);
        let outbound = &self.client.srtp.outbound;
        let sealed = outbound.seal_rtp((sequence >> 16) as u32, &mut datagram, len);
        datagram.truncate(sealed.expect("room for the tag"));
        datagram
    }
}

fn header(
    payload_type: u8,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    ssrc: u32,
) -> (u64, RtpHeader) {
    let header = RtpHeader {
        marker,
        payload_type,
        sequence: sequence as u16,
        timestamp,
        ssrc,
    };
    (sequence, header)
}

/// A VP8 payload that carries its number.
fn payload(number: u32, first: bool, keyframe: bool, size: usize) -> Vec<u8> {
    let descriptor = if first { 0x10 } else { 0x00 };
    let mut payload = vec![descriptor];
    if first && keyframe {
        payload.extend_from_slice(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00]);
    } else {
        payload.extend_from_slice(&[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    payload.extend_from_slice(&number.to_be_bytes());
    payload.resize(size, number as u8);
    payload
}

/// The number that [`payload`] put in, and whether a keyframe begins there.
pub fn number(payload: &[u8]) -> (u32, bool) {
    let number = payload[11..15].try_into().expect("four bytes");
    (
        u32::from_be_bytes(number),
        payload[0] == 0x10 && payload[1] & 1 == 0,
    )
}

/// NTP time of a network time, 32.32 bits.
pub fn ntp(now: Micros) -> u64 {
    ((now / SECOND + NTP_UNIX) << 32) | (((now % SECOND) << 32) / SECOND)
}
