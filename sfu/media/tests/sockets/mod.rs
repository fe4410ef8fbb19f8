//! An engine on real sockets of this machine, and clients of it by UDP and by TCP.

#![allow(unreachable_pub, reason = "a test file's own module")]

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::network::{check, credentials};
use tongbu_media::clock::SECOND;
use tongbu_media::codec::Codec;
use tongbu_media::crypto::{Inbound, Outbound, Profile, RTP_OVERHEAD};
use tongbu_media::engine::{Engine, EngineConfig, ShardStats};
use tongbu_media::ids::{DowntrackId, IdSource, PeerId, UptrackId};
use tongbu_media::packet::extension::ExtensionMap;
use tongbu_media::packet::rtp::{Class, RtpHeader, classify};
use tongbu_media::peer::Srtp;
use tongbu_media::shard::{Command, Event};
use tongbu_media::tcp::ListenerStats;
use tongbu_media::track::{RtpSinkConfig, UptrackConfig};

const PATIENCE: Duration = Duration::from_secs(10);

/// Look again and again until it holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn framed(datagram: &[u8]) -> Vec<u8> {
    [&(datagram.len() as u16).to_be_bytes(), datagram].concat()
}

pub struct Running {
    engine: Engine,
    ids: IdSource,
    waiting: VecDeque<Event>,
}

impl Running {
    pub fn new(shards: usize) -> Self {
        Self::start(shards, Some(0)).expect("loopback can be bound")
    }

    pub fn without_tcp() -> Self {
        Self::start(1, None).expect("loopback can be bound")
    }

    pub fn start(shards: usize, tcp_port: Option<u16>) -> std::io::Result<Self> {
        let engine = Engine::start(EngineConfig {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            tcp_port,
            shards,
            buffer_bytes: 1 << 20,
            consent_timeout: 30 * SECOND,
        })?;
        Ok(Self {
            engine,
            ids: IdSource::default(),
            waiting: VecDeque::new(),
        })
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn tcp_port(&self) -> u16 {
        self.engine.tcp_port().expect("there is one")
    }

    pub fn add_peer(&mut self, shard: usize) -> PeerId {
        let peer = PeerId(self.ids.next(shard));
        self.command(Command::AddPeer(peer, credentials(peer)));
        peer
    }

    pub fn command(&self, command: Command) {
        let shard = match &command {
            Command::AddPeer(peer, _) | Command::SendDtls(peer, _) | Command::RemovePeer(peer) => {
                peer.shard()
            }
            _ => 0,
        };
        self.engine.command(shard, command);
    }

    pub fn connect(&self) -> TcpClient {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.tcp_port())).expect("accepts");
        stream.set_nodelay(true).expect("set");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        TcpClient(stream)
    }

    pub fn udp(&self) -> UdpClient {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        let server = (Ipv4Addr::LOCALHOST, self.engine.ports()[0]);
        socket.connect(server).expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        UdpClient(socket)
    }

    /// The next event.
    pub fn event(&mut self) -> Event {
        until("an event", || {
            self.waiting.extend(self.engine.poll_events());
            !self.waiting.is_empty()
        });
        self.waiting.pop_front().expect("just seen")
    }

    /// What is there now.
    pub fn events(&mut self) -> Vec<Event> {
        self.waiting.extend(self.engine.poll_events());
        self.waiting.drain(..).collect()
    }

    pub fn stats(&self) -> Vec<ShardStats> {
        self.engine.stats()
    }

    pub fn listener_stats(&self) -> ListenerStats {
        self.engine.listener_stats().expect("there is a listener")
    }
}

/// Who sends and receives datagrams.
pub trait Peer {
    fn send(&mut self, datagram: &[u8]);
    fn receive(&mut self) -> Vec<u8>;
}

pub struct UdpClient(UdpSocket);

impl Peer for UdpClient {
    fn send(&mut self, datagram: &[u8]) {
        self.0.send(datagram).expect("loopback");
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut buffer = [0; 2_048];
        let len = self.0.recv(&mut buffer).expect("an answer");
        buffer[..len].to_vec()
    }
}

pub struct TcpClient(TcpStream);

impl TcpClient {
    pub fn send(&mut self, datagram: &[u8]) {
        self.send_raw(&framed(datagram));
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the connection holds");
    }

    pub fn receive(&mut self) -> Vec<u8> {
        let mut prefix = [0; 2];
        self.0.read_exact(&mut prefix).expect("a frame");
        let mut frame = vec![0; usize::from(u16::from_be_bytes(prefix))];
        self.0.read_exact(&mut frame).expect("a whole frame");
        frame
    }

    /// Whether it is closed, or soon is, without another word.
    pub fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0; 1]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr().expect("connected")
    }

    /// A success response with MESSAGE-INTEGRITY and FINGERPRINT, to an IPv4 address.
    pub fn answer_len(&self) -> usize {
        20 + 12 + 24 + 8
    }
}

impl Peer for TcpClient {
    fn send(&mut self, datagram: &[u8]) {
        Self::send(self, datagram);
    }

    fn receive(&mut self) -> Vec<u8> {
        Self::receive(self)
    }
}

const PROFILE: Profile = Profile::AeadAes128Gcm;
const KEY: [u8; 28] = [7; 28];

fn keys() -> Box<Srtp> {
    Box::new(Srtp {
        inbound: Inbound::new(PROFILE, &KEY).expect("28 bytes"),
        outbound: Outbound::new(PROFILE, &KEY).expect("28 bytes"),
    })
}

/// A teacher by UDP, who sends keyframes only.
pub struct Lesson {
    teacher: UdpClient,
    track: UptrackId,
    srtp: Box<Srtp>,
    sequence: u16,
}

impl Lesson {
    pub fn new(engine: &mut Running) -> Self {
        let mut teacher = engine.udp();
        let peer = join(engine, &mut teacher);
        let track = UptrackId(engine.ids.next(0));
        let config = UptrackConfig {
            mid: "0".into(),
            codec: Codec::Vp8,
            payload_type: 96,
            rtx_payload_type: None,
            clock_rate: 90_000,
            nack: true,
            extensions: ExtensionMap::default(),
            rids: Vec::new(),
            ssrcs: Vec::new(),
        };
        engine.command(Command::AddUptrack(peer, track, Box::new(config)));
        Self {
            teacher,
            track,
            srtp: keys(),
            sequence: 0,
        }
    }

    pub fn viewer_by_udp(&self, engine: &mut Running) -> Viewer {
        let client = engine.udp();
        client.0.set_nonblocking(false).expect("set");
        self.viewer(engine, Client::Udp(client))
    }

    pub fn viewer_by_tcp(&self, engine: &mut Running) -> Viewer {
        let client = engine.connect();
        self.viewer(engine, Client::Tcp(client))
    }

    fn viewer(&self, engine: &mut Running, mut client: Client) -> Viewer {
        let peer = match &mut client {
            Client::Udp(client) => join(engine, client),
            Client::Tcp(client) => join(engine, client),
        };
        let id = DowntrackId(engine.ids.next(0));
        let config = RtpSinkConfig {
            mid: "0".into(),
            codec: Codec::Vp8,
            payload_type: 96,
            rtx: Some((97, !id.0)),
            flexfec: None,
            red_payload_type: None,
            clock_rate: 90_000,
            ssrc: id.0,
            cname: "lesson".into(),
            extensions: ExtensionMap::default(),
            start: (0, 0),
        };
        engine.command(Command::AddDowntrack(peer, id, Box::new(config)));
        engine.command(Command::SetSource(id, Some(self.track)));
        match &client {
            Client::Udp(client) => client.0.set_nonblocking(true),
            Client::Tcp(client) => client.0.set_nonblocking(true),
        }
        .expect("set");
        Viewer {
            client,
            stream: Vec::new(),
            packets: 0,
        }
    }

    /// A keyframe in so many packets of 1,000 bytes.
    pub fn send_picture(&mut self, packets: u16) {
        const LEN: usize = 12 + 1_000;
        for number in 1..=packets {
            self.sequence += 1;
            let header = RtpHeader {
                marker: number == packets,
                payload_type: 96,
                sequence: self.sequence,
                timestamp: u32::from(self.sequence / packets) * 900,
                ssrc: 7,
            };
            let mut datagram = header.fixed().to_vec();
            datagram.extend_from_slice(&[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0]);
            datagram.resize(LEN + RTP_OVERHEAD, 0x55);
            let sealed = self.srtp.outbound.seal_rtp(0, &mut datagram, LEN);
            datagram.truncate(sealed.expect("room for the tag"));
            self.teacher.send(&datagram);
        }
    }
}

/// Checks and keys.
fn join(engine: &mut Running, client: &mut dyn Peer) -> PeerId {
    let peer = engine.add_peer(0);
    client.send(&check(&credentials(peer), true));
    client.receive();
    engine.command(Command::SetKeys(peer, keys()));
    peer
}

enum Client {
    Udp(UdpClient),
    Tcp(TcpClient),
}

/// Counts the media it gets.
pub struct Viewer {
    client: Client,
    stream: Vec<u8>,
    pub packets: usize,
}

impl Viewer {
    /// Take what has come.
    pub fn take(&mut self) {
        let mut buffer = [0; 65_536];
        loop {
            let read = match &mut self.client {
                Client::Udp(client) => client.0.recv(&mut buffer),
                Client::Tcp(client) => client.0.read(&mut buffer),
            };
            let Ok(len) = read else {
                return;
            };
            match self.client {
                Client::Udp(_) => self.count(&buffer[..len]),
                Client::Tcp(_) => self.stream.extend_from_slice(&buffer[..len]),
            }
            self.take_frames();
        }
    }

    fn take_frames(&mut self) {
        while let Some(prefix) = self.stream.first_chunk() {
            let end = 2 + usize::from(u16::from_be_bytes(*prefix));
            if self.stream.len() < end {
                return;
            }
            let frame: Vec<u8> = self.stream.drain(..end).skip(2).collect();
            self.count(&frame);
        }
    }

    fn count(&mut self, datagram: &[u8]) {
        self.packets += usize::from(classify(datagram) == Class::Rtp);
    }
}
