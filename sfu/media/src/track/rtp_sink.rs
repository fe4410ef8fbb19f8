//! The sink of a viewer: a downtrack written as RTP into the send arena, and sealed there.

use super::downtrack::{Downtrack, Stamp};
use super::packet::Packet;
use super::reception::SenderClock;
use super::template::{Template, own_elements};
use crate::clock::{Micros, SECOND};
use crate::codec::Codec;
use crate::congestion::SentPackets;
use crate::crypto::{CryptoError, Outbound, RTP_OVERHEAD};
use crate::ids::{DowntrackId, UptrackId};
use crate::outbox::{Content, Outbox, Path, Transmit};
use crate::packet::extension::{ExtensionMap, Kind};
use crate::packet::rtcp;
use crate::packet::rtp::{self, RtpHeader};
use crate::repair::ResendGuard;

/// What was negotiated for a track that a viewer receives.
#[derive(Clone, Debug)]
pub struct RtpSinkConfig {
    /// SDP media id.
    pub mid: String,
    /// The codec it carries; sources of another codec are refused.
    pub codec: Codec,
    /// Payload type by which the viewer knows the codec.
    pub payload_type: u8,
    /// Payload type and SSRC of retransmissions (RFC 4588); both or none.
    pub rtx: Option<(u8, u32)>,
    /// RTP clock, Hz.
    pub clock_rate: u32,
    /// SSRC of the stream.
    pub ssrc: u32,
    /// Canonical name (RFC 3550, 6.5.1), the same for all tracks of one source.
    pub cname: String,
    /// Header extensions by the viewer's ids.
    pub extensions: ExtensionMap,
    /// Random first sequence number and timestamp (RFC 3550, 5.1).
    pub start: (u16, u32),
}

/// What a viewer's track has carried.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkCounters {
    /// Packets sent, retransmissions not among them.
    pub packets: u64,
    /// Their payload bytes.
    pub octets: u64,
    /// Of the packets, those padded to the size of their neighbours.
    pub padded: u64,
    /// Retransmissions sent.
    pub resent: u64,
    /// Retransmissions asked for that were no longer to be had.
    pub unavailable: u64,
    /// Packets that could not be sealed: none, ever; counted because it would matter.
    pub failed: u64,
    /// Fraction lost in the viewer's last report, of 256.
    pub fraction_lost: u8,
}

/// How packets get to a viewer.
pub struct Link<'a> {
    /// His keys.
    pub srtp: &'a Outbound,
    /// Where he is.
    pub path: Path,
    /// What is on its way to him.
    pub sent: &'a mut SentPackets,
    /// The time.
    pub now: Micros,
}

/// Transport-wide sequence numbers that a stream without RTX remembers of its packets.
const REMEMBERED: usize = 256;

/// A viewer's downtrack.
pub struct RtpSink {
    /// Its name across the seam.
    pub id: DowntrackId,
    /// What was negotiated.
    pub config: RtpSinkConfig,
    /// Gate and numbering.
    pub downtrack: Downtrack,
    /// Where its packets come from.
    pub source: Option<UptrackId>,
    /// What it has carried.
    pub counters: SinkCounters,
    /// What its packets are to a way out that must choose.
    content: Content,
    /// The viewer has reported on the SSRC, so it knows which section it belongs to.
    known_to_viewer: bool,
    /// Header and extension of a packet that brings no extension of its own.
    template: Template,
    /// By sequence number, without RTX: a retransmission must repeat the packet to the bit, for
    /// it repeats the GCM nonce.
    transport_sequences: Box<[(u32, u16)]>,
    /// The viewer waits for packets that his [`Pacer`](crate::congestion::Pacer) held back.
    pub lagging: bool,
    rtx_sequence: u64,
    guard: ResendGuard,
    /// Middle bits of the NTP times of the last reports, and when they left.
    reports_sent: [(u32, Micros); 4],
}

impl RtpSink {
    /// A track that has sent nothing and has no source.
    pub fn new(id: DowntrackId, config: RtpSinkConfig) -> Self {
        let (sequence, timestamp) = config.start;
        let numbered = config.extensions.id(Kind::TransportCc).is_some();
        let repeats = numbered && config.rtx.is_none();
        let remembered = if repeats { REMEMBERED } else { 0 };
        Self {
            id,
            template: Template::new(&config, true),
            transport_sequences: vec![(u32::MAX, 0); remembered].into(),
            lagging: false,
            downtrack: Downtrack::new(config.clock_rate, sequence, timestamp),
            source: None,
            counters: SinkCounters::default(),
            content: match config.codec.is_video() {
                true => Content::Picture,
                false => Content::Sound,
            },
            known_to_viewer: false,
            rtx_sequence: u64::from(!sequence & 0x7fff),
            guard: ResendGuard::default(),
            reports_sent: [(0, 0); 4],
            config,
        }
    }

    /// Send a packet if the gate lets it through, with so much padding; returns its length.
    #[inline]
    pub fn forward<T: Transmit + ?Sized>(
        &mut self,
        packet: &Packet,
        padding: u8,
        best: u8,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) -> usize {
        let Some(stamp) = self.downtrack.handle_packet(packet, best) else {
            return 0;
        };
        self.counters.packets += 1;
        self.counters.octets += packet.payload.len() as u64;
        let header = self.header(packet, stamp);
        // A retransmission without RTX repeats the packet, and will not know of any padding.
        let padding = self.config.rtx.map_or(0, |_| padding);
        self.counters.padded += u64::from(padding > 0);
        let transport = link.sent.next_sequence();
        let slot = stamp.sequence as usize % REMEMBERED;
        if let Some(slot) = self.transport_sequences.get_mut(slot) {
            *slot = (stamp.sequence as u32, transport);
        }
        let roc = (stamp.sequence >> 16) as u32;
        let mut len = 0;
        let sent = outbox.write_as(self.content, link.path, packet.arrival, |arena, start| {
            if packet.extensions.is_empty() {
                self.template.write(arena, &header, transport);
            } else {
                self.write_header(arena, &header, transport, packet);
            }
            arena.extend_from_slice(&packet.payload);
            rtp::pad(arena, start, padding);
            len = seal(link.srtp, roc, arena, start)?;
            Ok::<_, CryptoError>(())
        });
        self.counters.failed += u64::from(sent.is_err());
        self.note_sent(len, link);
        len
    }

    /// Whether a lost packet may be sent again now.
    pub fn may_resend(&mut self, sequence: u16, now: Micros, rtt: Micros) -> bool {
        self.guard.allow(u64::from(sequence), now, rtt)
    }

    /// Send a packet again: as RTX where that was negotiated, else just as it was.
    pub fn resend<T: Transmit + ?Sized>(
        &mut self,
        packet: &Packet,
        stamp: Stamp,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) {
        match self.config.rtx {
            Some(rtx) => self.resend_as_rtx(rtx, packet, stamp, link, outbox),
            None => self.repeat(packet, stamp, link, outbox),
        }
    }

    /// RFC 4588, 4: a packet of a stream of its own, which tells the number it had.
    fn resend_as_rtx<T: Transmit + ?Sized>(
        &mut self,
        (payload_type, ssrc): (u8, u32),
        packet: &Packet,
        stamp: Stamp,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) {
        self.rtx_sequence += 1;
        let header = RtpHeader {
            payload_type,
            sequence: self.rtx_sequence as u16,
            ssrc,
            ..self.header(packet, stamp)
        };
        let roc = (self.rtx_sequence >> 16) as u32;
        let transport = link.sent.next_sequence();
        let mut len = 0;
        let sent = outbox.write_as(self.content.again(), link.path, 0, |arena, start| {
            self.write_header(arena, &header, transport, packet);
            arena.extend_from_slice(&(stamp.sequence as u16).to_be_bytes());
            arena.extend_from_slice(&packet.payload);
            len = seal(link.srtp, roc, arena, start)?;
            Ok::<_, CryptoError>(())
        });
        self.counters.resent += 1;
        self.counters.failed += u64::from(sent.is_err());
        self.note_sent(len, link);
    }

    /// The packet as it was, to the bit.
    fn repeat<T: Transmit + ?Sized>(
        &mut self,
        packet: &Packet,
        stamp: Stamp,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) {
        let slot = stamp.sequence as usize % REMEMBERED;
        let transport = match self.transport_sequences.get(slot) {
            Some((sequence, transport)) if *sequence == stamp.sequence as u32 => *transport,
            Some(_) => {
                self.counters.unavailable += 1;
                return;
            }
            None => 0, // not negotiated: no packet has one
        };
        let header = self.header(packet, stamp);
        let roc = (stamp.sequence >> 16) as u32;
        let sent = outbox.write_as(self.content.again(), link.path, 0, |arena, start| {
            self.write_header(arena, &header, transport, packet);
            arena.extend_from_slice(&packet.payload);
            seal(link.srtp, roc, arena, start).map(drop)
        });
        self.counters.resent += 1;
        self.counters.failed += u64::from(sent.is_err());
    }

    /// The viewer reported on the stream; returns the round trip where the report tells it.
    pub fn handle_report(&mut self, block: &rtcp::ReportBlock, now: Micros) -> Option<Micros> {
        if !std::mem::replace(&mut self.known_to_viewer, true) {
            self.template = Template::new(&self.config, self.tells_mid());
        }
        self.counters.fraction_lost = block.fraction_lost;
        let (_, sent) = self
            .reports_sent
            .iter()
            .find(|(lsr, _)| *lsr == block.lsr)?;
        let held = u64::from(block.dlsr) * SECOND / 65_536;
        now.checked_sub(sent + held).filter(|_| block.lsr != 0)
    }

    /// A sender report for now, on the publisher's own clock, so that the viewer can put sound
    /// and picture together (RFC 3550, 6.4.1). `clock` is the publisher's last report and
    /// `timestamp` its RTP timestamp as this viewer counts.
    pub fn write_report(
        &mut self,
        clock: SenderClock,
        timestamp: u32,
        now: Micros,
        out: &mut Vec<u8>,
    ) {
        let elapsed = now.saturating_sub(clock.arrival);
        let ticks = elapsed * u64::from(self.config.clock_rate) / SECOND;
        let ntp = clock.ntp.wrapping_add((elapsed << 32) / SECOND);
        let info = rtcp::SenderInfo {
            ntp,
            rtp: timestamp.wrapping_add(ticks as u32),
            packet_count: self.counters.packets as u32,
            octet_count: self.counters.octets as u32,
        };
        rtcp::sender_report(out, self.config.ssrc, &info, &[]);
        rtcp::sdes_cname(out, self.config.ssrc, &self.config.cname);
        self.reports_sent.rotate_right(1);
        self.reports_sent[0] = ((ntp >> 16) as u32, now);
    }

    /// The header under which the viewer gets a packet.
    fn header(&self, packet: &Packet, stamp: Stamp) -> RtpHeader {
        RtpHeader {
            marker: packet.marker,
            payload_type: self.config.payload_type,
            sequence: stamp.sequence as u16,
            timestamp: packet.timestamp.wrapping_add(stamp.timestamp_offset),
            ssrc: self.config.ssrc,
        }
    }

    /// Header and extension, with what the packet brings of its own.
    fn write_header(
        &self,
        arena: &mut Vec<u8>,
        header: &RtpHeader,
        transport: u16,
        packet: &Packet,
    ) {
        let map = &self.config.extensions;
        let transport = transport.to_be_bytes();
        let own = own_elements(&self.config, self.tells_mid(), &transport);
        let forwarded = packet
            .extensions
            .iter()
            .filter_map(|(k, data)| Some((map.id(k)?, data)));
        header.write(arena, own.chain(forwarded));
    }

    /// The MID is sent until the viewer has matched the SSRC. Without RTX it is sent always, for
    /// a retransmission repeats the packet.
    fn tells_mid(&self) -> bool {
        !self.known_to_viewer || self.config.rtx.is_none()
    }

    fn note_sent(&self, len: usize, link: &mut Link<'_>) {
        if self.template.is_numbered() && len > 0 {
            link.sent.handle_sent(len, link.now);
        }
    }
}

/// Seal the datagram that begins at `start`, in place; returns its length.
fn seal(
    srtp: &Outbound,
    roc: u32,
    arena: &mut Vec<u8>,
    start: usize,
) -> Result<usize, CryptoError> {
    let len = arena.len() - start;
    arena.resize(start + len + RTP_OVERHEAD, 0);
    let sealed = srtp.seal_rtp(roc, &mut arena[start..], len)?;
    arena.truncate(start + sealed);
    Ok(sealed)
}
