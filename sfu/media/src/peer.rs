//! One connection, sans-IO: datagrams in, what they mean out.
//!
//! Give every SRTP datagram of the peer to [`Peer::handle_rtp`] or [`Peer::handle_rtcp`]; act
//! on each [`Input`] they leave. Call [`Peer::poll_feedback`] every 10 ms and
//! [`Peer::poll_reports`] every second while the peer lives.

use std::net::SocketAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::clock::Micros;
use crate::congestion::{Pacer, SentPackets, TwccRecorder};
use crate::crypto::{CryptoError, Inbound, Outbound, RTCP_OVERHEAD};
use crate::ice::IceLite;
use crate::ids::{PeerId, UptrackId};
use crate::outbox::{Outbox, Transmit};
use crate::packet::extension::Kind;
use crate::packet::rtcp::{self, Rtcp};
use crate::packet::rtp::RtpPacket;
use crate::route::Released;
use crate::track::{Link, Origin, Packet, RtpSink, SenderClock, Stamp, Uptrack};

/// Streams one peer may have: three simulcast layers and their RTX for a dozen tracks.
const MAX_STREAMS: usize = 64;
/// SRTP datagrams kept until the keys are in place: a peer that finished the handshake last may
/// send before Python has told us the keys, and its first packets are a keyframe.
const MAX_EARLY: usize = 64;
/// Larger payloads cannot be sent on with our extensions and tag.
const MAX_PAYLOAD: usize = 1_500;
/// SSRC under which we report, where we send nothing.
const OUR_SSRC: u32 = 1;

/// What a datagram meant.
#[derive(Debug)]
pub enum Input {
    /// The first packet of a stream.
    Started {
        /// Its track.
        uptrack: UptrackId,
        /// Index of its layer.
        layer: usize,
        /// Its SSRC.
        ssrc: u32,
    },
    /// A media packet that was not here before.
    Media {
        /// Its track.
        uptrack: UptrackId,
        /// The packet.
        packet: Arc<Packet>,
    },
    /// The publisher's clock.
    SenderReport {
        /// The track it is for.
        uptrack: UptrackId,
        /// The stream of that track.
        origin: Origin,
        /// The clock.
        clock: SenderClock,
    },
    /// The viewer lacks a packet of one of its tracks.
    Lost {
        /// Index of the sink.
        sink: usize,
        /// The outgoing sequence number.
        sequence: u16,
    },
    /// The viewer needs a keyframe.
    KeyframeRequest {
        /// Index of the sink.
        sink: usize,
    },
}

/// Why a datagram was dropped. Counted, never logged one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// SRTP before the handshake was through.
    NoKeys,
    /// Not RTP or RTCP.
    Malformed,
    /// The tag is wrong.
    Unauthentic,
    /// Seen before.
    Replayed,
    /// It belongs to no track that was negotiated.
    Unbound,
    /// Larger than anything we can forward.
    Oversized,
}

impl From<CryptoError> for Dropped {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Replayed => Self::Replayed,
            CryptoError::Authentication => Self::Unauthentic,
            CryptoError::TooManyStreams => Self::Unbound,
            _ => Self::Malformed,
        }
    }
}

/// Both directions of a peer's SRTP.
pub struct Srtp {
    /// From the peer.
    pub inbound: Inbound,
    /// To the peer.
    pub outbound: Outbound,
}

/// What an SSRC of the peer is.
#[derive(Clone, Copy, Debug)]
struct Binding {
    uptrack: usize,
    layer: usize,
    repair: bool,
}

/// One connection.
pub struct Peer {
    /// Its name across the seam.
    pub id: PeerId,
    /// Where it is.
    pub ice: IceLite,
    /// Tracks it sends to us.
    pub uptracks: Vec<Uptrack>,
    /// Tracks we send to it.
    pub sinks: Vec<RtpSink>,
    /// Keys, once the handshake is through.
    pub srtp: Option<Srtp>,
    /// Where checks of it have come from, the newest last.
    pub addresses: Vec<SocketAddr>,
    /// How fast we send to it.
    pub pacer: Pacer,
    /// What is on its way to it.
    pub sent: SentPackets,
    early: Vec<Vec<u8>>,
    /// Memory for report blocks, used again and again.
    blocks: Vec<rtcp::ReportBlock>,
    bindings: FxHashMap<u32, Binding>,
    twcc: TwccRecorder,
    rtt: Micros,
}

impl Peer {
    /// A peer of whom only our own credentials are known.
    pub fn new(id: PeerId, ice: IceLite) -> Self {
        Self {
            id,
            ice,
            uptracks: Vec::new(),
            sinks: Vec::new(),
            srtp: None,
            addresses: Vec::new(),
            pacer: Pacer::default(),
            sent: SentPackets::default(),
            early: Vec::new(),
            blocks: Vec::new(),
            bindings: FxHashMap::default(),
            twcc: TwccRecorder::default(),
            rtt: 0,
        }
    }

    /// Round trip by the peer's reports; 0 while unknown.
    pub fn rtt(&self) -> Micros {
        self.rtt
    }

    /// What came before the keys, oldest first, to be handled now; once.
    pub fn take_early(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.early)
    }

    // ------------------------------------------------------------------ handle

    /// An SRTP datagram; opened in place.
    pub fn handle_rtp(
        &mut self,
        datagram: &mut [u8],
        now: Micros,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Dropped> {
        let Some(srtp) = self.srtp.as_mut() else {
            return self.keep_early(datagram);
        };
        let (len, _) = srtp.inbound.open_rtp(datagram)?;
        let rtp = RtpPacket::parse(&datagram[..len]).map_err(|_| Dropped::Malformed)?;
        if rtp.payload.len() > MAX_PAYLOAD {
            return Err(Dropped::Oversized);
        }
        let binding = match self.bindings.get(&rtp.ssrc) {
            Some(binding) => *binding,
            None => self.bind(&rtp, inputs)?,
        };
        self.note_transport_sequence(binding, &rtp, now);
        if binding.repair {
            return self.handle_repair(binding, &rtp, now, inputs);
        }
        self.handle_media(binding, &rtp, false, now, inputs);
        Ok(())
    }

    /// An SRTCP datagram; opened in place.
    pub fn handle_rtcp(
        &mut self,
        datagram: &mut [u8],
        now: Micros,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Dropped> {
        let srtp = self.srtp.as_mut().ok_or(Dropped::NoKeys)?;
        let len = srtp.inbound.open_rtcp(datagram)?;
        for packet in rtcp::packets(&datagram[..len]) {
            self.handle_rtcp_packet(packet.map_err(|_| Dropped::Malformed)?, now, inputs);
        }
        Ok(())
    }

    fn handle_rtcp_packet(&mut self, packet: Rtcp<'_>, now: Micros, inputs: &mut Vec<Input>) {
        match packet {
            Rtcp::SenderReport(report) => {
                let clock = SenderClock {
                    ntp: report.info.ntp,
                    timestamp: report.info.rtp,
                    arrival: now,
                };
                self.handle_clock(report.ssrc, clock, inputs);
            }
            Rtcp::ReceiverReport(report) => {
                report
                    .reports
                    .iter()
                    .for_each(|block| self.handle_report_block(&block, now));
            }
            Rtcp::Nack(nack) => self.handle_nack(nack.media_ssrc, nack.lost(), inputs),
            Rtcp::TransportFeedback(feedback) => self.sent.handle_feedback(&feedback, now),
            Rtcp::Pli { media_ssrc, .. } => self.handle_keyframe_request(media_ssrc, inputs),
            Rtcp::Fir(fir) => {
                fir.entries()
                    .for_each(|entry| self.handle_keyframe_request(entry.ssrc, inputs));
            }
            _ => {}
        }
    }

    // ------------------------------------------------------------------ poll

    /// What is due to the publisher every few milliseconds: NACK, PLI, transport feedback.
    pub fn poll_feedback<T: Transmit + ?Sized>(
        &mut self,
        now: Micros,
        scratch: &mut Vec<u8>,
        outbox: &mut Outbox<T>,
    ) {
        scratch.clear();
        for uptrack in &mut self.uptracks {
            uptrack.poll_feedback(now, OUR_SSRC, scratch);
        }
        self.twcc.poll(now, OUR_SSRC, scratch);
        self.send_rtcp(scratch, outbox);
    }

    /// The reports of a second, about what it sends.
    pub fn poll_reports<T: Transmit + ?Sized>(
        &mut self,
        now: Micros,
        scratch: &mut Vec<u8>,
        outbox: &mut Outbox<T>,
    ) {
        scratch.clear();
        let blocks = &mut self.blocks;
        blocks.clear();
        blocks.extend(self.uptracks.iter_mut().flat_map(|t| t.reports(now)));
        // Five bits count the blocks of one report.
        for blocks in blocks.chunks(31) {
            rtcp::receiver_report(scratch, OUR_SSRC, blocks);
        }
        self.send_rtcp(scratch, outbox);
    }

    /// Send on packets of the track that feeds a sink, as many as the pacer lets pass; returns how
    /// many. Sound always passes. To a peer that is not there yet all are sent into the void.
    pub fn forward<'a, T: Transmit + ?Sized>(
        &mut self,
        sink: usize,
        packets: impl Iterator<Item = &'a Released>,
        best: u8,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) -> usize {
        let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) else {
            return packets.count();
        };
        let sink = &mut self.sinks[sink];
        let passes = !sink.config.codec.is_video();
        self.pacer.refill(now);
        let mut count = 0;
        for Released { packet, padding } in packets {
            if !passes && !self.pacer.allows() {
                break;
            }
            let len = sink.forward(packet, *padding, best, &mut link, outbox);
            self.pacer.spend(len);
            count += 1;
        }
        count
    }

    /// Send a packet again.
    pub fn resend<T: Transmit + ?Sized>(
        &mut self,
        sink: usize,
        packet: &Packet,
        stamp: Stamp,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) else {
            return;
        };
        self.pacer.spend(packet.payload.len());
        self.sinks[sink].resend(packet, stamp, &mut link, outbox);
    }

    /// Seal and send a compound RTCP packet; an empty one is nothing.
    pub fn send_rtcp<T: Transmit + ?Sized>(&mut self, compound: &[u8], outbox: &mut Outbox<T>) {
        let (Some(srtp), Some(path)) = (self.srtp.as_mut(), self.ice.path()) else {
            return;
        };
        if compound.is_empty() {
            return;
        }
        let outbound = &mut srtp.outbound;
        // An error leaves nothing in the arena; the next report says the same again.
        let _ = outbox.write(path, 0, |arena, start| {
            arena.extend_from_slice(compound);
            arena.resize(start + compound.len() + RTCP_OVERHEAD, 0);
            let len = outbound.seal_rtcp(&mut arena[start..], compound.len())?;
            arena.truncate(start + len);
            Ok::<_, CryptoError>(())
        });
    }

    // ------------------------------------------------------------------ RTP

    fn keep_early(&mut self, datagram: &[u8]) -> Result<(), Dropped> {
        if self.early.len() == MAX_EARLY {
            return Err(Dropped::NoKeys);
        }
        self.early.push(datagram.to_vec());
        Ok(())
    }

    fn handle_media(
        &mut self,
        binding: Binding,
        rtp: &RtpPacket<'_>,
        repaired: bool,
        now: Micros,
        inputs: &mut Vec<Input>,
    ) {
        let track = &mut self.uptracks[binding.uptrack];
        if let Some(packet) = track.handle_rtp(binding.layer, rtp, repaired, now) {
            inputs.push(Input::Media {
                uptrack: track.id,
                packet,
            });
        }
    }

    /// A retransmission (RFC 4588, 4): the original sequence number, then the payload. One
    /// without payload is bandwidth probing.
    fn handle_repair(
        &mut self,
        binding: Binding,
        rtp: &RtpPacket<'_>,
        now: Micros,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Dropped> {
        let Some((sequence, payload)) = rtp.payload.split_first_chunk() else {
            return Ok(());
        };
        let track = &self.uptracks[binding.uptrack];
        let ssrc = track.ssrc(binding.layer).ok_or(Dropped::Unbound)?;
        let original = RtpPacket {
            payload_type: track.config.payload_type,
            sequence: u16::from_be_bytes(*sequence),
            ssrc,
            payload,
            ..*rtp
        };
        self.handle_media(binding, &original, true, now, inputs);
        Ok(())
    }

    fn note_transport_sequence(&mut self, binding: Binding, rtp: &RtpPacket<'_>, now: Micros) {
        let map = &self.uptracks[binding.uptrack].config.extensions;
        let element = map
            .read(rtp.extension)
            .find(|(kind, _)| *kind == Kind::TransportCc);
        if let Some((_, &[high, low])) = element {
            self.twcc
                .handle_packet(u16::from_be_bytes([high, low]), rtp.ssrc, now);
        }
    }

    /// Find out what a new SSRC is: by MID and RID, else by the SSRCs of the SDP, else by a
    /// payload type that only one track has.
    fn bind(&mut self, rtp: &RtpPacket<'_>, inputs: &mut Vec<Input>) -> Result<Binding, Dropped> {
        if self.bindings.len() >= MAX_STREAMS {
            return Err(Dropped::Unbound);
        }
        let uptrack = self.track_of(rtp).ok_or(Dropped::Unbound)?;
        let track = &mut self.uptracks[uptrack];
        let config = &track.config;
        let repair = config.rtx_payload_type == Some(rtp.payload_type);
        if !repair && config.payload_type != rtp.payload_type {
            return Err(Dropped::Unbound);
        }
        let kind = if repair { Kind::RepairedRid } else { Kind::Rid };
        let rid = config
            .extensions
            .read(rtp.extension)
            .find(|(k, _)| *k == kind);
        let layer = match (config.rids.is_empty(), rid) {
            (true, _) => Some(0),
            (false, Some((_, rid))) => config.rids.iter().position(|r| r.as_bytes() == rid),
            (false, None) => None,
        };
        let layer = layer.ok_or(Dropped::Unbound)?;
        let binding = Binding {
            uptrack,
            layer,
            repair,
        };
        self.bindings.insert(rtp.ssrc, binding);
        if !repair {
            track.bind(layer, rtp.ssrc, rtp.sequence);
            inputs.push(Input::Started {
                uptrack: track.id,
                layer,
                ssrc: rtp.ssrc,
            });
        }
        Ok(binding)
    }

    fn track_of(&self, rtp: &RtpPacket<'_>) -> Option<usize> {
        let tracks = &self.uptracks;
        let carries = |t: &Uptrack| {
            let config = &t.config;
            config.payload_type == rtp.payload_type
                || config.rtx_payload_type == Some(rtp.payload_type)
        };
        let by_mid = tracks.iter().position(|t| {
            let mut extensions = t.config.extensions.read(rtp.extension);
            extensions.any(|(k, mid)| k == Kind::Mid && mid == t.config.mid.as_bytes())
        });
        let by_ssrc = || {
            tracks
                .iter()
                .position(|t| t.config.ssrcs.contains(&rtp.ssrc))
        };
        let by_payload_type = || {
            let mut candidates = (0..tracks.len()).filter(|&i| carries(&tracks[i]));
            candidates.next().filter(|_| candidates.next().is_none())
        };
        by_mid.or_else(by_ssrc).or_else(by_payload_type)
    }

    // ------------------------------------------------------------------ RTCP

    fn handle_clock(&mut self, ssrc: u32, clock: SenderClock, inputs: &mut Vec<Input>) {
        for track in &mut self.uptracks {
            if let Some(origin) = track.handle_sender_report(ssrc, clock) {
                inputs.push(Input::SenderReport {
                    uptrack: track.id,
                    origin,
                    clock,
                });
            }
        }
    }

    fn handle_report_block(&mut self, block: &rtcp::ReportBlock, now: Micros) {
        if let Some(sink) = self.sinks.iter_mut().find(|s| s.config.ssrc == block.ssrc)
            && let Some(rtt) = sink.handle_report(block, now)
        {
            self.rtt = rtt;
        }
    }

    fn handle_nack(&mut self, ssrc: u32, lost: impl Iterator<Item = u16>, inputs: &mut Vec<Input>) {
        if let Some(sink) = self.sinks.iter().position(|s| s.config.ssrc == ssrc) {
            inputs.extend(lost.map(|sequence| Input::Lost { sink, sequence }));
        }
    }

    fn handle_keyframe_request(&mut self, ssrc: u32, inputs: &mut Vec<Input>) {
        if let Some(sink) = self.sinks.iter().position(|s| s.config.ssrc == ssrc) {
            inputs.push(Input::KeyframeRequest { sink });
        }
    }
}

/// What is needed to send media to a peer that is there. Of its parts, not of the peer: its sinks
/// are changed meanwhile.
fn link<'a>(
    srtp: &'a Option<Srtp>,
    ice: &IceLite,
    sent: &'a mut SentPackets,
    now: Micros,
) -> Option<Link<'a>> {
    Some(Link {
        srtp: &srtp.as_ref()?.outbound,
        path: ice.path()?,
        sent,
        now,
    })
}
