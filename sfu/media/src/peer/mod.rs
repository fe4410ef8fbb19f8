//! One connection, sans-IO: datagrams in, what they mean out.
//!
//! Give every SRTP datagram of the peer to [`Peer::handle_rtp`] or [`Peer::handle_rtcp`]; act
//! on each [`Input`] they leave. Call [`Peer::poll_feedback`] every 10 ms and
//! [`Peer::poll_reports`] every second while the peer lives.

mod bindings;
mod control;
mod inbound;
mod spent;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::congestion::{LinkState, Pace, Pacer, SentPackets, TwccRecorder};
use crate::crypto::{CryptoError, Inbound, Outbound, RTCP_OVERHEAD};
use crate::ice::IceLite;
use crate::ids::{PeerId, UptrackId};
use crate::outbox::{Outbox, Transmit};
use crate::packet::rtcp;
use crate::repair::red::{AudioLink, RedPlan};
use crate::route::{Released, Route};
use crate::track::{Link, Origin, Packet, Past, RtpSink, SenderClock, Shield, Stamp, Uptrack};
use bindings::Bindings;
use spent::Spent;

/// SRTP datagrams kept until the keys are in place: a peer that finished the handshake last may
/// send before Python has told us the keys, and its first packets are a keyframe.
const MAX_EARLY: usize = 64;
/// Larger payloads cannot be sent on with our extensions and tag.
const MAX_PAYLOAD: usize = 1_500;
/// What a viewer's jitter buffer holds of sound beyond jitter, where it was not asked for more.
const USUAL_BUFFER: Micros = 80 * MILLISECOND;
/// The first news of what arrives comes within this, from a satellite too.
const PATIENCE: Micros = 4 * SECOND;
/// Bits a second that a link must carry for each copy of the sound.
const RATE_A_COPY: u64 = 200_000;
/// On a way as long as this a repair that is asked for comes late: some loss is expected before
/// any was seen.
const LONG_WAY: Micros = 250 * MILLISECOND;
const EXPECTED_LOSS: f64 = 0.01;
/// Of what a link carries parity may use this part together with the media: what is beyond keeps
/// its queue empty.
const SPENDABLE: f64 = 0.95;
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
    bindings: Bindings,
    spent: Spent,
    twcc: TwccRecorder,
    rtt: Micros,
    /// Packets that had been sent when redundancy was last planned, and when that was.
    planned: (u64, Micros),
    /// What its tracks carry together, bytes a second.
    load: u64,
    /// How long sound waits at the viewer before it is played.
    pub sound_delay: Micros,
    /// Since when we wait for the first news of what arrives.
    silent_since: Option<Micros>,
    /// The peer's own clock as it last told it, to be told back: who, the middle bits, when.
    reference_time: Option<(u32, u32, Micros)>,
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
            bindings: Bindings::default(),
            spent: Spent::default(),
            twcc: TwccRecorder::default(),
            rtt: 0,
            planned: (0, 0),
            load: 0,
            sound_delay: 0,
            silent_since: None,
            reference_time: None,
        }
    }

    /// Round trip by the peer's reports, or by its feedback, whichever is less: the one comes
    /// late, the other includes its patience. 0 while unknown.
    pub fn rtt(&self) -> Micros {
        let told = self.sent.state().map_or(0, |link| link.rtt);
        match (self.rtt, told) {
            (0, rtt) | (rtt, 0) => rtt,
            (reported, told) => reported.min(told),
        }
    }

    /// Forget a published track; the last of them takes its index.
    pub fn remove_uptrack(&mut self, index: usize) {
        let track = self.uptracks.swap_remove(index);
        let moved = self.uptracks.len();
        for ssrc in self.bindings.remove_track(index, moved, &track.config) {
            self.forget_stream(ssrc);
        }
    }

    /// A track to send to it; one under an SSRC that was used before goes on with its numbers.
    pub fn add_sink(&mut self, mut sink: RtpSink) {
        for (ssrc, _) in sink.numbers() {
            if let Some(next) = self.spent.take(ssrc) {
                sink.go_on_from(ssrc, next);
            }
        }
        self.sinks.push(sink);
        self.expect_news();
    }

    /// Send a track no more; the last of them takes its index.
    pub fn remove_sink(&mut self, index: usize) -> RtpSink {
        let sink = self.sinks.swap_remove(index);
        for (ssrc, next) in sink.numbers() {
            self.spent.note(ssrc, next);
        }
        sink
    }

    fn forget_stream(&mut self, ssrc: u32) {
        if let Some(srtp) = self.srtp.as_mut() {
            srtp.inbound.forget(ssrc);
        }
    }

    /// What came before the keys, oldest first, to be handled now; once.
    pub fn take_early(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.early)
    }

    /// Send on the packets that a route has released since `from`, as many as the pacer lets pass;
    /// returns how many. Sound always passes. To a peer that is not there yet all are sent into
    /// the void.
    pub fn forward<T: Transmit + ?Sized>(
        &mut self,
        sink: usize,
        route: &Route,
        from: u64,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) -> usize {
        let packets = route.released(from);
        let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) else {
            return packets.count();
        };
        let total = packets.size_hint().0;
        let index = sink;
        let sink = &mut self.sinks[index];
        let stream = route.serve(sink.downtrack.limit().stream);
        let passes = !sink.config.codec.is_video();
        self.pacer.refill(now);
        let mut count = 0;
        for Released { packet, padding } in packets {
            if !passes && !self.pacer.allows() {
                break;
            }
            let len = sink.forward(packet, *padding, stream, route, &mut link, outbox);
            self.pacer.spend(len);
            count += 1;
        }
        if sink.is_protected() && count == total {
            self.send_parity(index, now, outbox);
        }
        count
    }

    /// Send what parity is due, unless media waits: parity takes what is left.
    fn send_parity<T: Transmit + ?Sized>(
        &mut self,
        index: usize,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let waits = |(other, sink): (usize, &RtpSink)| sink.lagging && other != index;
        if self.sinks.iter().enumerate().any(waits) {
            return;
        }
        let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) else {
            return;
        };
        while self.pacer.allows_repair() {
            let len = self.sinks[index].send_parity(&mut link, outbox);
            if len == 0 {
                return;
            }
            self.pacer.spend_repair(len);
        }
    }

    /// Parity of streams that pause, and what had to wait; every few packets' time. Where media
    /// still waits there is no place for it.
    pub fn poll_parity<T: Transmit + ?Sized>(&mut self, now: Micros, outbox: &mut Outbox<T>) {
        for index in 0..self.sinks.len() {
            if !self.sinks[index].is_protected() {
                continue;
            }
            match self.sinks.iter().any(|s| s.lagging) {
                true => self.sinks[index].drop_parity(now),
                false => {
                    self.pacer.refill(now);
                    self.send_parity(index, now, outbox);
                }
            }
        }
    }

    /// Send on one packet of the past, whatever the pacer says.
    pub fn forward_one<T: Transmit + ?Sized>(
        &mut self,
        sink: usize,
        packet: &Packet,
        route: &Route,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        if let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) {
            let (sink, stream) = (&mut self.sinks[sink], packet.origin.layer);
            let len = sink.forward(packet, 0, stream, route, &mut link, outbox);
            self.pacer.spend(len);
        }
    }

    /// Whether media can be sent to it.
    pub fn is_reached(&self) -> bool {
        self.srtp.is_some() && self.ice.path().is_some()
    }

    /// A viewer who will tell what arrives is sent pictures with care until he does.
    fn expect_news(&mut self) {
        if self.sent.state().is_none() && self.sinks.iter().any(RtpSink::is_numbered) {
            self.pacer.set_pace(Pace::FIRST);
        }
    }

    /// Who agreed to tell what arrives, and does not, is believed to be near; once a second.
    pub fn trust_silence(&mut self, now: Micros) {
        if self.sent.count() == 0 || self.sent.state().is_some() {
            return;
        }
        let since = *self.silent_since.get_or_insert(now);
        if now >= since + PATIENCE {
            self.pacer.set_pace(Pace::Unknown);
        }
    }

    /// Choose anew which sound goes along twice, by what the link loses; once a second.
    pub fn plan_redundancy(&mut self, now: Micros) {
        let Some(state) = self.sent.state() else {
            return;
        };
        let sent = self.sent.count() - std::mem::replace(&mut self.planned.0, self.sent.count());
        let elapsed = now - std::mem::replace(&mut self.planned.1, now);
        let apart = elapsed / sent.max(1);
        let delay = self.sound_delay.saturating_sub(state.rtt);
        let expected = if state.rtt >= LONG_WAY {
            EXPECTED_LOSS
        } else {
            0.0
        };
        let link = AudioLink {
            loss: state.loss.max(state.inherent_loss).max(expected) as f32,
            mean_burst: (state.mean_loss_burst.max(2.0) * apart as f64) as Micros,
            rtt: state.rtt,
            nack: true,
            buffer: delay.max(USUAL_BUFFER),
            packet_time: 20 * MILLISECOND,
            max_copies: (state.bits_per_second / RATE_A_COPY).min(3) as u8,
        };
        let plan = RedPlan::choose(&link);
        let sound = self.sinks.iter_mut().filter(|s| !s.config.codec.is_video());
        sound.for_each(|sink| sink.set_redundancy(plan));
        self.plan_protection(state, elapsed, apart);
    }

    /// Parity takes what the link carries beyond the media and their retransmissions; none by TCP,
    /// which loses nothing.
    fn plan_protection(&mut self, state: LinkState, elapsed: Micros, apart: Micros) {
        let by_tcp = self.ice.path().is_some_and(|p| p.connection.is_some());
        let taken = self.load as f64 * 8.0 * (1.0 + state.inherent_loss);
        let carried = state.bits_per_second as f64 * SPENDABLE;
        let mut shield = Shield {
            rtt: state.rtt,
            loss: if by_tcp { 0.0 } else { state.inherent_loss },
            burst: (state.mean_loss_burst * apart as f64) as Micros,
            spare: (carried - taken).max(0.0) as u64,
            elapsed,
        };
        for sink in &mut self.sinks {
            let spent = sink.plan_protection(&shield);
            shield.spare = shield.spare.saturating_sub(spent);
        }
    }

    /// What its tracks carry together, bytes a second.
    pub fn set_load(&mut self, bytes_per_second: u64) {
        self.load = bytes_per_second;
        self.pacer.set_load(bytes_per_second);
    }

    /// Send a packet again.
    pub fn resend<T: Transmit + ?Sized>(
        &mut self,
        sink: usize,
        packet: &Packet,
        stamp: Stamp,
        past: &impl Past,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) else {
            return;
        };
        let sink = &mut self.sinks[sink];
        match sink.config.codec.is_video() {
            true => self.pacer.spend_repair(packet.payload.len()),
            false => self.pacer.spend(packet.payload.len()),
        }
        sink.resend(packet, stamp, past, &mut link, outbox);
    }

    /// Send a packet once more to try the link; returns how much it was.
    pub fn repeat<T: Transmit + ?Sized>(
        &mut self,
        sink: usize,
        packet: &Packet,
        stamp: Stamp,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) -> usize {
        let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) else {
            return 0;
        };
        self.sinks[sink].probe(packet, stamp, &mut link, outbox)
    }

    /// Send so many bytes of padding to try the link.
    pub fn pad<T: Transmit + ?Sized>(
        &mut self,
        sink: usize,
        bytes: usize,
        now: Micros,
        outbox: &mut Outbox<T>,
    ) {
        if let Some(mut link) = link(&self.srtp, &self.ice, &mut self.sent, now) {
            self.sinks[sink].pad(bytes, &mut link, outbox);
        }
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
