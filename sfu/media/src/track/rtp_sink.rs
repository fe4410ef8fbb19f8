//! The sink of a viewer: a downtrack written as RTP into the send arena, and sealed there. What is
//! sent again stands in `rtp_sink/resend.rs`, what mends without it in `rtp_sink/protection.rs`.

mod protection;
mod resend;

use super::downtrack::{Downtrack, Numbers, Stamp};
use super::keyframes::KeyframeAllowance;
use super::packet::{MAX_EXTENSION_BYTES, Packet};
use super::playout_delay::PlayoutDelay;
use super::reception::SenderClock;
use super::redundancy::{Copies, Past, Sound};
use super::template::{Template, Told, own_elements};
use crate::clock::{Micros, SECOND};
use crate::codec::{self, Codec, dependency};
use crate::congestion::SentPackets;
use crate::crypto::{CryptoError, Outbound, RTP_OVERHEAD};
use crate::ids::{DowntrackId, UptrackId};
use crate::outbox::{Content, Outbox, Path, Transmit};
use crate::packet::extension::{ExtensionMap, Kind};
use crate::packet::rtcp;
use crate::packet::rtp::{self, RtpHeader};
use crate::repair::ResendGuard;
use crate::repair::red::RedPlan;
use crate::route::Beginning;
use protection::Protection;
pub use protection::Shield;
use resend::{REMEMBERED, Repeatable};

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
    /// Payload type and SSRC of parity (FlexFEC); both or none.
    pub flexfec: Option<(u8, u32)>,
    /// Payload type of redundant sound (RFC 2198).
    pub red_payload_type: Option<u8>,
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
    /// Retransmissions that the link had no room for at the moment.
    pub deferred: u64,
    /// Retransmissions asked for that were no longer to be had.
    pub unavailable: u64,
    /// Packets sent to try the link.
    pub probes: u64,
    /// Keyframes asked for too often.
    pub keyframes_refused: u64,
    /// Packets that could not be sealed: none, ever; counted because it would matter.
    pub failed: u64,
    /// Copies of earlier sound that went along.
    pub copies: u64,
    /// Packets of parity sent.
    pub fec_packets: u64,
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
    /// What its packets tell of themselves for now.
    told: Told,
    /// Header and extension of a packet that brings no extension of its own.
    template: Template,
    /// By sequence number, without RTX: a retransmission must repeat the packet to the bit, for
    /// it repeats the GCM nonce.
    repeatable: Box<[Repeatable]>,
    /// Which earlier sound goes along with each packet.
    redundancy: RedPlan,
    /// Parity, where it was negotiated.
    protection: Option<Box<Protection>>,
    /// The viewer waits for packets that his [`Pacer`](crate::congestion::Pacer) held back.
    pub lagging: bool,
    /// What the viewer is sent of the past, before it takes part.
    pub beginning: Option<Beginning>,
    rtx_sequence: u64,
    guard: ResendGuard,
    keyframes: KeyframeAllowance,
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
        let told = Told {
            mid: true,
            playout_delay: None,
        };
        Self {
            id,
            template: Template::new(&config, &told),
            repeatable: vec![Repeatable::default(); remembered].into(),
            redundancy: RedPlan::NONE,
            protection: Protection::new(&config).map(Box::new),
            lagging: false,
            beginning: None,
            downtrack: Downtrack::new(config.codec, config.clock_rate, sequence, timestamp),
            source: None,
            counters: SinkCounters::default(),
            content: match config.codec.is_video() {
                true => Content::Picture,
                false => Content::Sound,
            },
            told,
            rtx_sequence: u64::from(!sequence & 0x7fff),
            guard: ResendGuard::default(),
            keyframes: KeyframeAllowance::default(),
            reports_sent: [(0, 0); 4],
            config,
        }
    }

    /// Its streams' SSRCs, and the number that each goes on with.
    pub fn numbers(&self) -> impl Iterator<Item = (u32, u64)> + use<> {
        let rtx = self.config.rtx.map(|(_, ssrc)| ssrc);
        let rtx = rtx.map(|ssrc| (ssrc, self.rtx_sequence + 1));
        let parity = self.protection.as_ref().map(|p| p.next());
        [(self.config.ssrc, self.downtrack.next_sequence())]
            .into_iter()
            .chain(rtx)
            .chain(parity)
    }

    /// Before anything was sent: one of its streams has a past, and begins with this number.
    pub fn go_on_from(&mut self, ssrc: u32, next: u64) {
        if ssrc == self.config.ssrc {
            self.downtrack.go_on_from(next);
        } else if let Some(parity) = self.protection.as_mut().filter(|p| p.next().0 == ssrc) {
            parity.go_on_from(next);
        } else {
            self.rtx_sequence = next.saturating_sub(1);
        }
    }

    /// Send a packet if the gate lets it through, with so much padding; returns its length.
    #[inline]
    pub fn forward<T: Transmit + ?Sized>(
        &mut self,
        packet: &Packet,
        padding: u8,
        stream: u8,
        past: &impl Past,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) -> usize {
        let Some(stamp) = self.downtrack.handle_packet(packet, stream) else {
            return 0;
        };
        self.counters.packets += 1;
        self.counters.octets += packet.payload.len() as u64;
        let mut header = self.header(packet, stamp);
        let mut copies = Copies::default();
        if self.redundancy.copies > 0 {
            copies = Copies::of(self.redundancy, &self.sound(packet, stamp, past));
            header.payload_type = self.payload_type(copies);
            self.counters.copies += copies.count();
        }
        // A retransmission without RTX repeats the packet, and will not know of any padding.
        let padding = self.config.rtx.map_or(0, |_| padding);
        self.counters.padded += u64::from(padding > 0);
        let transport = link.sent.next_sequence();
        let slot = stamp.sequence as usize % REMEMBERED;
        if let Some(slot) = self.repeatable.get_mut(slot) {
            *slot = Repeatable {
                sequence: stamp.sequence as u32,
                transport,
                copies,
            };
        }
        let roc = (stamp.sequence >> 16) as u32;
        let mut protection = self.protection.take();
        let mut len = 0;
        let sent = outbox.write_as(self.content, link.path, packet.arrival, |arena, start| {
            if packet.extensions.is_empty() {
                self.template.write(arena, &header, transport);
            } else {
                self.write_header(arena, &header, transport, Some(packet), stamp.numbers);
            }
            if copies.is_empty() {
                self.write_payload(arena, packet, stamp.numbers);
            } else {
                self.sound(packet, stamp, past).write(copies, arena);
            }
            rtp::pad(arena, start, padding);
            if let Some(protection) = protection.as_mut() {
                let extensions = &self.config.extensions;
                protection.handle_packet(stamp.sequence, &arena[start..], extensions, link.now);
            }
            len = seal(link.srtp, roc, arena, start)?;
            Ok::<_, CryptoError>(())
        });
        self.protection = protection;
        self.counters.failed += u64::from(sent.is_err());
        self.note_sent(len, link);
        len
    }

    /// Whether its packets carry transport-wide numbers, of which the viewer will tell.
    pub fn is_numbered(&self) -> bool {
        self.template.is_numbered()
    }

    /// Whether the viewer may have a keyframe that it asks for now.
    pub fn may_have_keyframe(&mut self, now: Micros, rtt: Micros) -> bool {
        let allowed = self.keyframes.allow(now, rtt);
        self.counters.keyframes_refused += u64::from(!allowed);
        allowed
    }

    /// The viewer reported on the stream; returns the round trip where the report tells it.
    pub fn handle_report(&mut self, block: &rtcp::ReportBlock, now: Micros) -> Option<Micros> {
        // The viewer knows now which section the stream belongs to. Without RTX the MID is told
        // always, for a retransmission repeats the packet.
        self.tell(Told {
            mid: self.told.mid && self.config.rtx.is_none(),
            ..self.told
        });
        self.counters.fraction_lost = block.fraction_lost;
        let (_, sent) = self
            .reports_sent
            .iter()
            .find(|(lsr, _)| *lsr == block.lsr)?;
        let held = u64::from(block.dlsr) * SECOND / 65_536;
        now.checked_sub(sent + held).filter(|_| block.lsr != 0)
    }

    /// How long pictures should wait at the viewer from now on. Without RTX nothing is told, for
    /// a retransmission repeats the packet.
    pub fn set_playout_delay(&mut self, delay: PlayoutDelay) {
        if self.config.rtx.is_some() {
            self.tell(Told {
                playout_delay: Some(delay.bytes()),
                ..self.told
            });
        }
    }

    /// Which earlier sound goes along with each packet from now on. Only where packets are
    /// numbered: what went along must be remembered.
    pub fn set_redundancy(&mut self, plan: RedPlan) {
        let able = self.config.red_payload_type.is_some() && !self.repeatable.is_empty();
        self.redundancy = if able { plan } else { RedPlan::NONE };
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
            marker: stamp.marker,
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
        packet: Option<&Packet>,
        numbers: Numbers,
    ) {
        let map = &self.config.extensions;
        let transport = transport.to_be_bytes();
        let own = own_elements(&self.config, &self.told, &transport);
        let mut descriptor = [0; MAX_EXTENSION_BYTES];
        let descriptor = numbers.frame.and_then(|frame| {
            let (_, data) = packet?.extensions.of(Kind::DependencyDescriptor)?;
            let descriptor = &mut descriptor[..data.len()];
            descriptor.copy_from_slice(data);
            dependency::renumber(descriptor, frame.picture_id);
            Some(&*descriptor)
        });
        let brought = packet.into_iter().flat_map(|p| p.extensions.iter());
        let forwarded = brought.filter_map(|(kind, data)| {
            let renumbered = descriptor.filter(|_| kind == Kind::DependencyDescriptor);
            Some((map.id(kind)?, renumbered.unwrap_or(data)))
        });
        header.write(arena, own.chain(forwarded));
    }

    fn write_payload(&self, arena: &mut Vec<u8>, packet: &Packet, numbers: Numbers) {
        let start = arena.len();
        arena.extend_from_slice(&packet.payload);
        if let Some(picture) = numbers.picture {
            codec::renumber(self.config.codec, &mut arena[start..], picture);
        }
    }

    fn sound<'a, P: Past>(&'a self, packet: &'a Packet, stamp: Stamp, past: &'a P) -> Sound<'a, P> {
        Sound {
            packet,
            stamp,
            downtrack: &self.downtrack,
            past,
            payload_type: self.config.payload_type,
        }
    }

    fn payload_type(&self, copies: Copies) -> u8 {
        let redundant = self.config.red_payload_type;
        let redundant = redundant.filter(|_| !copies.is_empty());
        redundant.unwrap_or(self.config.payload_type)
    }

    fn tell(&mut self, told: Told) {
        if told != self.told {
            self.told = told;
            self.template = Template::new(&self.config, &told);
        }
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
