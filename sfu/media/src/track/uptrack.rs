//! One published track: its streams, what is missing of them, and the publisher's clock.

use std::sync::Arc;

use super::keyframes::KeyframeRequests;
use super::packet::{Origin, Packet, PacketPool};
use super::reception::{Reception, SenderClock};
use super::sequence::Unwrapper;
use super::speech::SpeechMeter;
use crate::clock::Micros;
use crate::codec::{self, Codec, LayerReader, Seen};
use crate::ids::UptrackId;
use crate::packet::extension::{ExtensionMap, Kind};
use crate::packet::rtcp::{self, ReportBlock};
use crate::packet::rtp::RtpPacket;
use crate::repair::{Arrival, NackGenerator};

/// What was negotiated for a published track.
#[derive(Clone, Debug)]
pub struct UptrackConfig {
    /// SDP media id.
    pub mid: String,
    /// The one codec agreed.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of its retransmissions (RFC 4588).
    pub rtx_payload_type: Option<u8>,
    /// RTP clock, Hz.
    pub clock_rate: u32,
    /// Whether the publisher answers generic NACKs.
    pub nack: bool,
    /// Header extensions by the publisher's ids.
    pub extensions: ExtensionMap,
    /// Simulcast layers, or empty.
    pub rids: Vec<String>,
    /// SSRCs named in the SDP, for senders without the MID extension.
    pub ssrcs: Vec<u32>,
}

/// What has come of a track, all its layers together.
#[derive(Clone, Copy, Debug, Default)]
pub struct UptrackCounters {
    /// Packets taken, each once.
    pub packets: u64,
    /// Their payload bytes.
    pub octets: u64,
    /// Packets that came by retransmission.
    pub repaired: u64,
    /// Keyframes begun.
    pub keyframes: u64,
    /// When the newest packet arrived.
    pub last_packet: Option<Micros>,
}

/// One stream of the track as it is received.
#[derive(Debug)]
struct Layer {
    origin: Origin,
    ssrc: u32,
    unwrapper: Unwrapper,
    reception: Reception,
    nack: NackGenerator,
    keyframes: KeyframeRequests,
    layers: LayerReader,
    clock: Option<SenderClock>,
}

/// A published track.
#[derive(Debug)]
pub struct Uptrack {
    /// Its name across the seam.
    pub id: UptrackId,
    /// What was negotiated.
    pub config: UptrackConfig,
    /// What has come of it.
    pub counters: UptrackCounters,
    /// Who speaks, where the publisher tells how loud it is.
    pub speech: SpeechMeter,
    layers: Vec<Option<Layer>>,
    /// A viewer may get less than all of it.
    layered: bool,
    pool: PacketPool,
}

impl Uptrack {
    /// A track of which nothing has arrived yet.
    pub fn new(id: UptrackId, config: UptrackConfig) -> Self {
        let layers = config.rids.len().max(1);
        Self {
            id,
            config,
            counters: UptrackCounters::default(),
            speech: SpeechMeter::default(),
            layered: layers > 1,
            layers: (0..layers).map(|_| None).collect(),
            pool: PacketPool::default(),
        }
    }

    /// A stream with this SSRC is (from now on) the given layer.
    pub fn bind(&mut self, layer: usize, ssrc: u32, first_sequence: u16) {
        let old = self.layers[layer].as_ref();
        if old.is_some_and(|l| l.ssrc == ssrc) {
            return;
        }
        let generation = old.map_or(0, |l| l.origin.generation.wrapping_add(1));
        let mut unwrapper = Unwrapper::default();
        let first = unwrapper.unwrap(first_sequence);
        self.layers[layer] = Some(Layer {
            origin: Origin {
                layer: layer as u8,
                generation,
            },
            ssrc,
            unwrapper,
            reception: Reception::new(ssrc, self.config.clock_rate, first),
            nack: NackGenerator::default(),
            keyframes: KeyframeRequests::default(),
            layers: LayerReader::new(self.config.codec),
            clock: None,
        });
    }

    /// Take a packet of a layer; `None` when it was here before.
    ///
    /// `repaired` tells that it came as a retransmission (the header already mended).
    pub fn handle_rtp(
        &mut self,
        layer: usize,
        rtp: &RtpPacket<'_>,
        repaired: bool,
        now: Micros,
    ) -> Option<Arc<Packet>> {
        let config = &self.config;
        let layer = self.layers[layer].as_mut()?;
        let sequence = layer.unwrapper.unwrap(rtp.sequence);
        if !repaired {
            layer.reception.handle_packet(sequence, rtp.timestamp, now);
        }
        if layer.nack.handle_packet(sequence, now) == Arrival::Duplicate {
            return None;
        }
        let keyframe = codec::is_keyframe(config.codec, rtp.payload);
        self.counters.packets += 1;
        self.counters.octets += rtp.payload.len() as u64;
        self.counters.repaired += u64::from(repaired);
        self.counters.last_packet = Some(now);
        if keyframe && config.codec.is_video() {
            self.counters.keyframes += 1;
            layer.keyframes.handle_keyframe(now);
        }
        let dependency = config
            .extensions
            .read(rtp.extension)
            .find(|(kind, _)| *kind == Kind::DependencyDescriptor)
            .map(|(_, data)| data);
        let layering = layer.layers.handle_packet(Seen {
            payload: rtp.payload,
            marker: rtp.marker,
            dependency,
        });
        self.layered |= layering.layer != codec::Layer::default() || layering.top > 0;
        let layered = self.layered;
        let origin = layer.origin;
        if !config.codec.is_video() && !repaired {
            let mut elements = config.extensions.read(rtp.extension);
            if let Some((_, &[level])) = elements.find(|(kind, _)| *kind == Kind::AudioLevel) {
                self.speech.handle_level(level, now);
            }
        }
        Some(self.pool.packet(|packet| {
            packet.layering = layering;
            packet.layered = layered;
            packet.picture = codec::picture_ids(config.codec, rtp.payload);
            packet.frame = dependency.and_then(codec::frame_number);
            packet.origin = origin;
            packet.sequence = sequence;
            packet.timestamp = rtp.timestamp;
            packet.marker = rtp.marker;
            packet.keyframe = keyframe;
            packet.arrival = now;
            packet.payload.extend_from_slice(rtp.payload);
            for (kind, data) in config.extensions.read(rtp.extension) {
                if kind.is_forwarded() {
                    packet.extensions.add(kind, data);
                }
            }
        }))
    }

    /// The publisher told the time of a layer; returns where it belongs.
    pub fn handle_sender_report(&mut self, ssrc: u32, clock: SenderClock) -> Option<Origin> {
        let layer = self.layers.iter_mut().flatten().find(|l| l.ssrc == ssrc)?;
        layer.clock = Some(clock);
        Some(layer.origin)
    }

    /// Somebody needs a keyframe of this layer.
    pub fn request_keyframe(&mut self, layer: u8) {
        if !self.config.codec.is_video() {
            return;
        }
        if let Some(Some(layer)) = self.layers.get_mut(layer as usize) {
            layer.keyframes.request();
        }
    }

    /// When the newest keyframe of a layer began.
    pub fn last_keyframe(&self, layer: u8) -> Option<Micros> {
        self.layers
            .get(layer as usize)?
            .as_ref()?
            .keyframes
            .last_keyframe()
    }

    /// Append the requests due now to a compound packet: for each stream the packets lost, and
    /// the keyframe wanted.
    pub fn poll_feedback(&mut self, now: Micros, ssrc: u32, out: &mut Vec<u8>) {
        let mut lost = Vec::new();
        let video = self.config.codec.is_video();
        for layer in self.layers.iter_mut().flatten() {
            lost.clear();
            if self.config.nack {
                layer.nack.poll(now, &mut lost);
            }
            if !lost.is_empty() {
                rtcp::nack(out, ssrc, layer.ssrc, &lost);
            }
            if layer.nack.take_gave_up() && video {
                layer.keyframes.request();
            }
            if layer.keyframes.poll(now) {
                rtcp::pli(out, ssrc, layer.ssrc);
            }
        }
    }

    /// Report blocks of all its streams.
    pub fn reports(&mut self, now: Micros) -> impl Iterator<Item = ReportBlock> {
        self.layers
            .iter_mut()
            .flatten()
            .map(move |l| l.reception.report(l.clock, now))
    }

    /// SSRC of the stream last bound to a layer.
    pub fn ssrc(&self, layer: usize) -> Option<u32> {
        Some(self.layers.get(layer)?.as_ref()?.ssrc)
    }

    /// Give back the memory of a packet the cache let go.
    pub fn retire(&mut self, packet: Arc<Packet>) {
        self.pool.retire(packet);
    }
}
