//! One WebRTC client as the server sees it: its ICE agent, its SRTP, and what it has received.

use std::net::SocketAddr;

use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::crypto::{Inbound, Outbound, Profile, RTCP_OVERHEAD, RTP_OVERHEAD};
use tongbu_media::packet::rtcp::{self, ReportBlock, Rtcp};
use tongbu_media::packet::rtp::{Class, RtpHeader, RtpPacket, classify};
use tongbu_media::packet::stun;
use tongbu_media::track::nearest;
use tongbu_media::udp::{ReceiveBatch, Socket};

use crate::poll::monotonic_ns;
use crate::trace::Step;

/// A connectivity check until the first answer, and from then on.
const FIRST_CHECKS: Micros = 100 * MILLISECOND;
const CHECKS: Micros = 2_500 * MILLISECOND;
/// Receiver reports.
const REPORTS: Micros = SECOND;
/// Streams a viewer follows: audio, video and their RTX.
const MAX_STREAMS: usize = 8;
/// The sender's clock stands at the end of each payload, in nanoseconds.
const STAMP: usize = 8;

/// What is known of the server's side.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub address: SocketAddr,
    pub ufrag: String,
    pub pwd: String,
    pub local_ufrag: String,
}

/// Payload types and SSRCs of a publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publishing {
    pub audio: (u8, u32),
    pub video: (u8, u32),
}

/// What a client has received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub packets: u64,
    pub bytes: u64,
    /// Sequence numbers that never came.
    pub lost: u64,
    /// Of the sample: packets opened, and those that did not open.
    pub opened: u64,
    pub unopened: u64,
    /// When the first media packet came, in nanoseconds of the monotonic clock.
    pub first_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    first: u64,
    highest: u64,
    count: u64,
    /// At the last report.
    reported: (u64, u64),
}

/// One client.
pub(crate) struct Client {
    pub socket: Socket,
    pub received: Received,
    pub remote: Remote,
    srtp: Option<(Inbound, Outbound)>,
    publishing: Option<Publishing>,
    /// Whether its packets are opened, to prove them whole and to time them.
    sampled: bool,
    streams: Vec<Stream>,
    answered: bool,
    next_check: Micros,
    next_report: Micros,
    sequences: [u64; 2],
    scratch: Vec<u8>,
}

/// What a datagram was, where somebody else must act.
pub(crate) enum Came {
    Dtls(Vec<u8>),
    Latency(u64),
    KeyframeRequest,
    Nothing,
}

impl Client {
    pub(crate) fn new(
        socket: Socket,
        remote: Remote,
        publishing: Option<Publishing>,
        sampled: bool,
    ) -> Self {
        Self {
            socket,
            received: Received::default(),
            remote,
            srtp: None,
            publishing,
            sampled,
            streams: Vec::new(),
            answered: false,
            next_check: 0,
            next_report: 0,
            sequences: [1_000, 1_000],
            scratch: Vec::new(),
        }
    }

    /// Keys of the wrong length leave it without: it counts, but says nothing.
    pub(crate) fn set_keys(&mut self, profile: Profile, rx: &[u8], tx: &[u8]) {
        self.srtp = Inbound::new(profile, rx)
            .ok()
            .zip(Outbound::new(profile, tx).ok());
    }

    /// Read what waits.
    pub(crate) fn receive(&mut self, batch: &mut ReceiveBatch, mut came: impl FnMut(Came)) {
        // An error is an ICMP message: the server is gone, and the counts will say so.
        if self.socket.receive(batch).unwrap_or(0) == 0 {
            return;
        }
        for (_, datagram) in batch.datagrams() {
            came(self.handle(datagram));
        }
    }

    fn handle(&mut self, datagram: &mut [u8]) -> Came {
        match classify(datagram) {
            Class::Stun => {
                self.answered = true;
                Came::Nothing
            }
            Class::Dtls => Came::Dtls(datagram.to_vec()),
            Class::Rtp => self.handle_rtp(datagram),
            Class::Rtcp => self.handle_rtcp(datagram),
            Class::Other => Came::Nothing,
        }
    }

    fn handle_rtp(&mut self, datagram: &mut [u8]) -> Came {
        let [_, _, s0, s1, _, _, _, _, a, b, c, d, ..] = *datagram else {
            return Came::Nothing;
        };
        self.received.packets += 1;
        self.received.bytes += datagram.len() as u64;
        if self.received.first_ns == 0 {
            self.received.first_ns = monotonic_ns();
        }
        self.count(
            u32::from_be_bytes([a, b, c, d]),
            u16::from_be_bytes([s0, s1]),
        );
        let Some((inbound, _)) = self.srtp.as_mut().filter(|_| self.sampled) else {
            return Came::Nothing; // the first packets may come before Python has told the keys
        };
        let Ok((len, _)) = inbound.open_rtp(datagram) else {
            self.received.unopened += 1;
            return Came::Nothing;
        };
        self.received.opened += 1;
        let payload = RtpPacket::parse(&datagram[..len]).map(|rtp| rtp.payload);
        match payload.ok().and_then(|p| p.last_chunk::<STAMP>()) {
            Some(stamp) => {
                let sent = u64::from_be_bytes(*stamp);
                Came::Latency(monotonic_ns().saturating_sub(sent))
            }
            None => Came::Nothing,
        }
    }

    fn count(&mut self, ssrc: u32, sequence: u16) {
        let known = self.streams.iter().position(|s| s.ssrc == ssrc);
        let stream = match known {
            Some(index) => &mut self.streams[index],
            None if self.streams.len() < MAX_STREAMS => {
                let first = 65_536 + u64::from(sequence);
                let (highest, count, reported) = (first, 0, (first, 0));
                self.streams.push(Stream {
                    ssrc,
                    first,
                    highest,
                    count,
                    reported,
                });
                let index = self.streams.len() - 1;
                &mut self.streams[index]
            }
            None => return,
        };
        stream.highest = stream.highest.max(nearest(stream.highest, sequence));
        stream.count += 1;
        self.received.lost = self.streams.iter().map(Stream::lost).sum();
    }

    /// Only a publisher reads what it is told.
    fn handle_rtcp(&mut self, datagram: &mut [u8]) -> Came {
        if self.publishing.is_none() {
            return Came::Nothing;
        }
        let opened = self
            .srtp
            .as_mut()
            .and_then(|(inbound, _)| inbound.open_rtcp(datagram).ok());
        let wants = |p: Rtcp<'_>| matches!(p, Rtcp::Pli { .. } | Rtcp::Fir(_));
        match opened {
            Some(len) if rtcp::packets(&datagram[..len]).flatten().any(wants) => {
                Came::KeyframeRequest
            }
            _ => Came::Nothing,
        }
    }

    /// Checks and reports that are due.
    pub(crate) fn poll(&mut self, now: Micros) {
        if now >= self.next_check {
            self.next_check = now + if self.answered { CHECKS } else { FIRST_CHECKS };
            self.scratch.clear();
            let username = format!("{}:{}", self.remote.ufrag, self.remote.local_ufrag);
            let id = (now ^ 0x5bd1_e995).to_be_bytes();
            let id = [
                id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], 1, 2, 3, 4,
            ];
            let pwd = self.remote.pwd.as_bytes();
            stun::write_request(&mut self.scratch, &id, &username, pwd, true);
            self.socket.send_to(&self.scratch, self.remote.address);
        }
        if now >= self.next_report && !self.streams.is_empty() {
            self.next_report = now + REPORTS;
            self.report();
        }
    }

    /// An honest receiver report.
    fn report(&mut self) {
        let Some((_, outbound)) = self.srtp.as_mut() else {
            return;
        };
        self.scratch.clear();
        let blocks: Vec<ReportBlock> = self.streams.iter_mut().map(Stream::report).collect();
        rtcp::receiver_report(&mut self.scratch, 1, &blocks);
        let len = self.scratch.len();
        self.scratch.resize(len + RTCP_OVERHEAD, 0);
        if let Ok(len) = outbound.seal_rtcp(&mut self.scratch, len) {
            self.socket
                .send_to(&self.scratch[..len], self.remote.address);
        }
    }

    pub(crate) fn send_dtls(&mut self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.remote.address);
    }

    /// Publish one packet of the trace.
    pub(crate) fn publish(&mut self, step: &Step, keyframe: bool) {
        let (Some(publishing), Some((_, outbound))) = (self.publishing, self.srtp.as_ref()) else {
            return;
        };
        let kind = usize::from(step.video);
        self.sequences[kind] += 1;
        let sequence = self.sequences[kind];
        let (payload_type, ssrc) = if step.video {
            publishing.video
        } else {
            publishing.audio
        };
        let header = RtpHeader {
            marker: step.video && step.last,
            payload_type,
            sequence: sequence as u16,
            timestamp: step.timestamp,
            ssrc,
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(&header.fixed());
        let start = self.scratch.len();
        self.scratch.resize(start + step.payload, 0x3c);
        if step.video {
            self.scratch[start..start + 2].copy_from_slice(&fragment(step, keyframe));
        }
        let end = self.scratch.len();
        self.scratch[end - STAMP..].copy_from_slice(&monotonic_ns().to_be_bytes());
        self.scratch.resize(end + RTP_OVERHEAD, 0);
        if let Ok(len) = outbound.seal_rtp((sequence >> 16) as u32, &mut self.scratch, end) {
            self.socket
                .send_to(&self.scratch[..len], self.remote.address);
        }
    }
}

impl Stream {
    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.count)
    }

    fn report(&mut self) -> ReportBlock {
        let (highest, count) = self.reported;
        let expected = self.highest - highest;
        let lost = expected.saturating_sub(self.count - count);
        self.reported = (self.highest, self.count);
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            cumulative_lost: self.lost() as i32,
            highest_sequence: (self.highest - 65_536) as u32,
            jitter: 0,
            lsr: 0,
            dlsr: 0,
        }
    }
}

/// The first two bytes of an H264 FU-A (RFC 6184, 5.8): an IDR slice or another.
fn fragment(step: &Step, keyframe: bool) -> [u8; 2] {
    let nal_type = if keyframe { 5 } else { 1 };
    let edges = u8::from(step.first) << 7 | u8::from(step.last) << 6;
    [0x60 | 28, edges | nal_type]
}
