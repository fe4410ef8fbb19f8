//! What forwarding one packet to one viewer costs, step by step: `cargo bench --bench forward`.
//!
//! One shard, one teacher, a class of viewers; a picture is eight packets of 1,200 bytes that
//! arrive in one batch, as they do from a browser. "Sealed" ends in the arena, "sent" at the
//! receiving sockets of this machine, by the same `Socket` that the engine uses.
//!
//! `cargo bench --bench forward -- --pictures 100` forwards just so many in [`forward_counted`] and
//! prints how many packets that were: what `tests/instructions.py` counts under callgrind.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use tongbu_media::codec::Codec;
use tongbu_media::crypto::{Inbound, Outbound, Profile, RTP_OVERHEAD};
use tongbu_media::ice::Credentials;
use tongbu_media::ids::{DowntrackId, IdSource, PeerId, UptrackId};
use tongbu_media::outbox::{Outbox, Outgoing, Path, Transmit};
use tongbu_media::packet::extension::ExtensionMap;
use tongbu_media::packet::rtp::RtpHeader;
use tongbu_media::packet::stun;
use tongbu_media::peer::Srtp;
use tongbu_media::shard::{Command, Shard, ShardConfig};
use tongbu_media::track::{RtpSinkConfig, UptrackConfig};
use tongbu_media::udp::Socket;

const PICTURE: usize = 8;
const PAYLOAD: usize = 1_160;
/// Packets sent on in one round.
const PACKETS: usize = 480_000;
const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// Sends nothing.
struct Nowhere;

impl Transmit for Nowhere {
    fn transmit(&mut self, arena: &[u8], datagrams: &[Outgoing]) {
        black_box((arena, datagrams));
    }
}

/// A class in one shard, and the teacher's side of it.
struct Lesson<T: Transmit> {
    shard: Shard,
    outbox: Outbox<T>,
    teacher: Outbound,
    path: Path,
    sequence: u64,
}

impl<T: Transmit> Lesson<T> {
    fn new(transmit: T, viewers: &[SocketAddr]) -> Self {
        let mut outbox = Outbox::new(Box::new(transmit));
        let config = ShardConfig {
            index: 0,
            consent_timeout: u64::MAX / 2,
        };
        let mut shard = Shard::new(config);
        let ids = IdSource::default();
        let track = UptrackId(ids.next(0));
        let teacher_at = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let teacher = join(&mut shard, &mut outbox, &ids, teacher_at);
        shard.handle_command(
            Command::AddUptrack(teacher, track, Box::new(uptrack())),
            1,
            &mut outbox,
        );
        for &address in viewers {
            let peer = join(&mut shard, &mut outbox, &ids, address);
            let id = DowntrackId(ids.next(0));
            let add = Command::AddDowntrack(peer, id, Box::new(downtrack(id)));
            shard.handle_command(add, 1, &mut outbox);
            shard.handle_command(Command::SetSource(id, Some(track)), 1, &mut outbox);
        }
        outbox.flush();
        let teacher = Outbound::new(Profile::AeadAes128Gcm, &[1; 28]).expect("28 bytes");
        Self {
            shard,
            outbox,
            teacher,
            path: path(teacher_at),
            sequence: 0,
        }
    }

    /// The datagrams of one picture, as the teacher sends them.
    fn picture(&mut self) -> Vec<Vec<u8>> {
        let timestamp = (self.sequence * 375) as u32;
        (0..PICTURE)
            .map(|i| self.datagram(timestamp, i + 1 == PICTURE))
            .collect()
    }

    fn datagram(&mut self, timestamp: u32, marker: bool) -> Vec<u8> {
        self.sequence += 1;
        let sequence = self.sequence as u16;
        let header = RtpHeader {
            marker,
            payload_type: 96,
            sequence,
            timestamp,
            ssrc: 7,
        };
        let mut datagram = header.fixed().to_vec();
        // VP8: every packet begins a keyframe, so that all viewers flow from the first one on.
        datagram.extend_from_slice(&[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0]);
        datagram.resize(12 + PAYLOAD + RTP_OVERHEAD, 0x55);
        let roc = (self.sequence >> 16) as u32;
        let sealed = self.teacher.seal_rtp(roc, &mut datagram, 12 + PAYLOAD);
        datagram.truncate(sealed.expect("room for the tag"));
        datagram
    }

    /// One batch through the shard and out.
    /// These viewers never tell what arrives: after some seconds they are believed to be near, and
    /// pictures are not held back any more. Tells the time.
    fn be_trusted(&mut self) -> u64 {
        let mut picture = self.picture();
        self.forward(&mut picture, 1_000_000);
        let until = 11_000_000;
        for now in (1_010_000..until).step_by(10_000) {
            self.shard.handle_timeout(now, &mut self.outbox);
        }
        until
    }

    fn forward(&mut self, picture: &mut [Vec<u8>], now: u64) {
        for datagram in picture {
            self.shard
                .handle_datagram(self.path, datagram, now, &mut self.outbox);
        }
        self.shard.handle_timeout(now, &mut self.outbox);
        self.shard.forward(now, &mut self.outbox);
        self.outbox.flush();
    }
}

fn main() {
    let mut arguments = std::env::args().skip_while(|a| a != "--pictures").skip(1);
    if let Some(pictures) = arguments.next().and_then(|n| n.parse().ok()) {
        count(pictures);
        return;
    }
    for viewers in [30, 300, 3_000] {
        report(
            "sealed",
            viewers,
            measure(Lesson::new(Nowhere, &nowhere(viewers)), viewers),
        );
    }
    let receivers: Vec<UdpSocket> = (0..300).map(|_| receiver()).collect();
    let addresses: Vec<_> = receivers
        .iter()
        .map(|r| r.local_addr().expect("bound"))
        .collect();
    let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 4 << 20).expect("loopback");
    report("sent", 300, measure(Lesson::new(socket, &addresses), 300));
}

fn nowhere(viewers: usize) -> Vec<SocketAddr> {
    (0..viewers)
        .map(|i| SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000 + i as u16)))
        .collect()
}

/// Forward so many pictures to a small class, after as many to warm up.
fn count(pictures: usize) {
    const CLASS: usize = 25;
    let mut lesson = Lesson::new(Nowhere, &nowhere(CLASS));
    let now = lesson.be_trusted();
    let mut warm_up: Vec<_> = (0..pictures).map(|_| lesson.picture()).collect();
    let mut counted: Vec<_> = (0..pictures).map(|_| lesson.picture()).collect();
    let now = forward_all(&mut lesson, &mut warm_up, now);
    forward_counted(&mut lesson, &mut counted, now);
    println!("{}", pictures * PICTURE * CLASS);
}

/// By this name callgrind knows what to count.
#[inline(never)]
fn forward_counted(lesson: &mut Lesson<Nowhere>, pictures: &mut [Vec<Vec<u8>>], from: u64) {
    forward_all(lesson, pictures, from);
}

/// Returns the time after the last picture.
fn forward_all<T: Transmit>(
    lesson: &mut Lesson<T>,
    pictures: &mut [Vec<Vec<u8>>],
    from: u64,
) -> u64 {
    let mut now = from;
    for picture in pictures {
        lesson.forward(picture, now);
        now += 33_000;
    }
    now
}

/// Microseconds of CPU for one packet to one viewer: the best of five rounds.
fn measure<T: Transmit>(mut lesson: Lesson<T>, viewers: usize) -> f64 {
    let rounds = PACKETS / PICTURE / viewers;
    let (mut best, mut now) = (f64::MAX, lesson.be_trusted());
    for _ in 0..5 {
        let mut pictures: Vec<_> = (0..rounds).map(|_| lesson.picture()).collect();
        let start = Instant::now();
        now = forward_all(&mut lesson, &mut pictures, now);
        let packets = (rounds * PICTURE * viewers) as f64;
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / packets);
    }
    best
}

fn report(what: &str, viewers: usize, us: f64) {
    println!("{what:>8}: {us:.3} us a packet and viewer ({viewers} viewers, {PICTURE} in a batch)");
}

/// A viewer that never reads: its buffer fills, and the kernel drops at the cost of sending.
fn receiver() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback")
}

fn path(remote: SocketAddr) -> Path {
    Path::udp(remote, IpAddr::from(Ipv4Addr::LOCALHOST))
}

fn join<T: Transmit>(
    shard: &mut Shard,
    outbox: &mut Outbox<T>,
    ids: &IdSource,
    address: SocketAddr,
) -> PeerId {
    let id = PeerId(ids.next(0));
    let credentials = Credentials {
        ufrag: format!("u{}", id.0),
        pwd: "p".repeat(22),
    };
    let username = format!("{}:x", credentials.ufrag);
    let mut check = Vec::new();
    stun::write_request(
        &mut check,
        &[1; 12],
        &username,
        credentials.pwd.as_bytes(),
        true,
    );
    shard.handle_command(Command::AddPeer(id, credentials), 1, outbox);
    shard.handle_datagram(path(address), &mut check, 1, outbox);
    let key = [1; 28];
    let inbound = Inbound::new(Profile::AeadAes128Gcm, &key).expect("28 bytes");
    let outbound = Outbound::new(Profile::AeadAes128Gcm, &key).expect("28 bytes");
    let srtp = Box::new(Srtp { inbound, outbound });
    shard.handle_command(Command::SetKeys(id, srtp), 1, outbox);
    id
}

fn uptrack() -> UptrackConfig {
    UptrackConfig {
        mid: "0".into(),
        codec: Codec::Vp8,
        payload_type: 96,
        rtx_payload_type: None,
        clock_rate: 90_000,
        nack: true,
        extensions: ExtensionMap::default(),
        rids: Vec::new(),
        ssrcs: Vec::new(),
    }
}

fn downtrack(id: DowntrackId) -> RtpSinkConfig {
    RtpSinkConfig {
        mid: "0".into(),
        codec: Codec::Vp8,
        payload_type: 96,
        rtx: Some((97, !id.0)),
        flexfec: None,
        red_payload_type: None,
        clock_rate: 90_000,
        ssrc: id.0,
        cname: "lesson".into(),
        extensions: ExtensionMap::from_pairs(&[(3, TRANSPORT_CC)]),
        start: (0, 0),
    }
}
