//! One WebRTC client as the server sees it: its ICE agent, its SRTP, and what it has received.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use tongbu_media::clock::{MILLISECOND, Micros};
use tongbu_media::crypto::{Inbound, Outbound, Profile, RTCP_OVERHEAD};
use tongbu_media::packet::rtcp::{self, Rtcp};
use tongbu_media::packet::rtp::{Class, RtpPacket, classify};
use tongbu_media::packet::stun;
use tongbu_media::udp::Socket;

use crate::feedback::{Feedback, FeedbackConfig};
use crate::poll::monotonic_ns;
use crate::publisher::{Publisher, Publishing, STAMP};
use crate::receive::{Batch, Datagram};
use crate::stream::Arrival;
use crate::trace::Step;

/// A connectivity check until the first answer, and from then on.
const FIRST_CHECKS: Micros = 100 * MILLISECOND;
const CHECKS: Micros = 2_500 * MILLISECOND;

/// What is known of both sides.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub address: SocketAddr,
    pub ufrag: String,
    pub pwd: String,
    pub local_ufrag: String,
    /// By which checks of the server's are answered; a lite one sends none.
    pub local_pwd: String,
}

/// Who joins, and as what.
#[derive(Clone, Debug)]
pub(crate) struct ClientConfig {
    pub remote: Remote,
    pub publishing: Option<Publishing>,
    /// Whether its packets are opened, to prove them whole and to time them.
    pub sampled: bool,
    pub feedback: FeedbackConfig,
}

/// What a client has received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    /// Media packets, each counted once.
    pub packets: u64,
    pub bytes: u64,
    /// Sequence numbers that never came.
    pub lost: u64,
    /// Of the sample: packets opened, and those that did not open.
    pub opened: u64,
    pub unopened: u64,
    /// When the first media packet came, in nanoseconds of the monotonic clock.
    pub first_ns: u64,
    /// Retransmissions, and packets asked for again.
    pub resent: u64,
    pub asked: u64,
    /// Octets of header extensions in the last packet.
    pub extension_bytes: u64,
}

/// One client.
pub(crate) struct Client {
    pub socket: Socket,
    pub remote: Remote,
    received: Received,
    srtp: Option<(Inbound, Outbound)>,
    publisher: Option<Publisher>,
    sampled: bool,
    feedback: Feedback,
    answered: bool,
    /// Handshake datagrams that wait for the answer to a check: before it there is no path.
    early: Vec<Vec<u8>>,
    next_check: Micros,
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
    pub(crate) fn new(socket: Socket, config: ClientConfig) -> Self {
        Self {
            socket,
            remote: config.remote,
            received: Received::default(),
            srtp: None,
            publisher: config.publishing.map(Publisher::new),
            sampled: config.sampled,
            feedback: Feedback::new(config.feedback),
            answered: false,
            early: Vec::new(),
            next_check: 0,
            scratch: Vec::new(),
        }
    }

    /// Keys of the wrong length leave it without: it counts, but says nothing.
    pub(crate) fn set_keys(&mut self, profile: Profile, rx: &[u8], tx: &[u8]) {
        self.srtp = Inbound::new(profile, rx)
            .ok()
            .zip(Outbound::new(profile, tx).ok());
    }

    /// Whether the heads of what comes are enough: it only counts, and the handshake is over.
    pub(crate) fn only_counts(&self) -> bool {
        !self.sampled && self.publisher.is_none() && self.srtp.is_some()
    }

    /// What it has received so far.
    pub(crate) fn received(&self) -> Received {
        Received {
            lost: self.feedback.lost(),
            asked: self.feedback.asked,
            extension_bytes: self.feedback.extension_bytes as u64,
            ..self.received
        }
    }

    /// Read what waits.
    pub(crate) fn receive(&mut self, batch: &mut Batch, now: Micros, mut came: impl FnMut(Came)) {
        // An error is an ICMP message: the server is gone, and the counts will say so.
        if batch.receive(self.socket.as_fd()).unwrap_or(0) == 0 {
            return;
        }
        for datagram in batch.datagrams() {
            came(self.handle(datagram, now));
        }
    }

    fn handle(&mut self, datagram: Datagram<'_>, now: Micros) -> Came {
        match classify(datagram.bytes) {
            Class::Stun => {
                self.handle_stun(datagram.bytes);
                Came::Nothing
            }
            // A head of one comes when the handshake is over, and concerns nobody.
            Class::Dtls if datagram.bytes.len() < datagram.len => Came::Nothing,
            Class::Dtls => Came::Dtls(datagram.bytes.to_vec()),
            Class::Rtp => self.handle_rtp(datagram, now),
            Class::Rtcp => self.handle_rtcp(datagram.bytes, now),
            Class::Other => Came::Nothing,
        }
    }

    /// An answer to our check, or a check of the server's.
    fn handle_stun(&mut self, datagram: &[u8]) {
        const REQUEST: [u8; 2] = [0, 1];
        let id = datagram.get(8..20).and_then(|id| id.first_chunk());
        match id.filter(|_| datagram.starts_with(&REQUEST)) {
            None => {
                self.answered = true;
                for datagram in std::mem::take(&mut self.early) {
                    self.socket.send_to(&datagram, self.remote.address);
                }
            }
            Some(id) => {
                self.scratch.clear();
                let own = self.remote.local_pwd.as_bytes();
                stun::write_success(&mut self.scratch, id, self.remote.address, own);
                self.socket.send_to(&self.scratch, self.remote.address);
            }
        }
    }

    fn handle_rtp(&mut self, datagram: Datagram<'_>, now: Micros) -> Came {
        if self.feedback.handle_packet(datagram.bytes, now) == Arrival::Again {
            self.received.resent += 1;
            return Came::Nothing;
        }
        self.received.packets += 1;
        self.received.bytes += datagram.len as u64;
        if self.received.first_ns == 0 {
            self.received.first_ns = monotonic_ns();
        }
        match self.open(datagram.bytes).zip(datagram.arrived_ns) {
            Some((sent, arrived)) => Came::Latency(arrived.saturating_sub(sent)),
            None => Came::Nothing,
        }
    }

    /// Of the sample: open a packet; the time at which the teacher sent it.
    fn open(&mut self, datagram: &mut [u8]) -> Option<u64> {
        // The first packets may come before Python has told the keys.
        let (inbound, _) = self.srtp.as_mut().filter(|_| self.sampled)?;
        let Ok((len, _)) = inbound.open_rtp(datagram) else {
            self.received.unopened += 1;
            return None;
        };
        self.received.opened += 1;
        let payload = RtpPacket::parse(&datagram[..len]).ok()?.payload;
        let stamp = payload.last_chunk::<STAMP>()?;
        Some(u64::from_be_bytes(*stamp))
    }

    /// A publisher hears whether a keyframe is wanted; a viewer of the sample reads the sender
    /// reports, which the others leave unopened.
    fn handle_rtcp(&mut self, datagram: &mut [u8], now: Micros) -> Came {
        if self.only_counts() {
            return Came::Nothing;
        }
        let srtp = self.srtp.as_mut();
        let Some(len) = srtp.and_then(|(inbound, _)| inbound.open_rtcp(datagram).ok()) else {
            return Came::Nothing;
        };
        let compound = &datagram[..len];
        self.feedback.handle_rtcp(compound, now);
        let wants = |p: Rtcp<'_>| matches!(p, Rtcp::Pli { .. } | Rtcp::Fir(_));
        if self.publisher.is_some() && rtcp::packets(compound).flatten().any(wants) {
            return Came::KeyframeRequest;
        }
        Came::Nothing
    }

    /// Checks and feedback that are due.
    pub(crate) fn poll(&mut self, now: Micros) {
        if now >= self.next_check {
            self.next_check = now + if self.answered { CHECKS } else { FIRST_CHECKS };
            self.check(now);
        }
        let Some((_, outbound)) = self.srtp.as_mut() else {
            return;
        };
        self.scratch.clear();
        self.feedback.poll(now, &mut self.scratch);
        let len = self.scratch.len();
        if len == 0 {
            return;
        }
        self.scratch.resize(len + RTCP_OVERHEAD, 0);
        if let Ok(len) = outbound.seal_rtcp(&mut self.scratch, len) {
            self.socket
                .send_to(&self.scratch[..len], self.remote.address);
        }
    }

    fn check(&mut self, now: Micros) {
        self.scratch.clear();
        let username = format!("{}:{}", self.remote.ufrag, self.remote.local_ufrag);
        let [a, b, c, d, e, f, g, h] = (now ^ 0x5bd1_e995).to_be_bytes();
        let id = [a, b, c, d, e, f, g, h, 1, 2, 3, 4];
        let pwd = self.remote.pwd.as_bytes();
        stun::write_request(&mut self.scratch, &id, &username, pwd, true);
        self.socket.send_to(&self.scratch, self.remote.address);
    }

    pub(crate) fn send_dtls(&mut self, datagram: Vec<u8>) {
        if self.answered {
            self.socket.send_to(&datagram, self.remote.address);
        } else {
            self.early.push(datagram);
        }
    }

    /// Publish one packet of the trace.
    pub(crate) fn publish(&mut self, step: &Step, keyframe: bool) {
        let (Some(publisher), Some((_, outbound))) = (&mut self.publisher, &self.srtp) else {
            return;
        };
        publisher.write(step, keyframe, outbound, &mut self.scratch);
        self.socket.send_to(&self.scratch, self.remote.address);
    }
}
