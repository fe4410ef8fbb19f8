//! A network in memory: shards, a clock that moves when told, links that lose, delay, repeat and
//! reorder by a seeded generator. Peers are real ones: STUN, SRTP, RTP and RTCP on the wire.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test file uses its part"
)]

mod parity;
pub mod publisher;
pub mod viewer;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::crypto::{Inbound, Outbound, Profile};
use tongbu_media::ice::Credentials;
use tongbu_media::ids::{IdSource, PeerId};
use tongbu_media::outbox::{Outbox, Outgoing, Path, Transmit};
use tongbu_media::packet::stun;
use tongbu_media::peer::Srtp;
use tongbu_media::shard::{Command, Event, Shard, ShardConfig};

pub use publisher::Publisher;
pub use viewer::Viewer;

/// Virtual time begins here.
pub const START: Micros = 1_000 * SECOND;
/// The clock moves in steps of this.
pub const STEP: Micros = MILLISECOND;

/// What a link does to each datagram, either way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    pub delay: Micros,
    /// Added to the delay of a datagram that is held up.
    pub late_by: Micros,
    /// Probabilities.
    pub loss: f64,
    pub late: f64,
    pub twice: f64,
}

/// A link that carries so much to its client, and no more.
#[derive(Clone, Copy, Debug)]
struct Bottleneck {
    bits_per_second: u64,
    /// When what has been sent will have passed.
    free: Micros,
}

/// A bottleneck's queue holds what passes in this time.
const QUEUE: Micros = 300 * MILLISECOND;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        (self.bits() >> 11) as f64 / ((1u64 << 53) as f64) < probability
    }
}

type Sent = Arc<Mutex<Vec<(SocketAddr, Vec<u8>)>>>;

/// Where a shard's datagrams go.
struct Wire {
    sent: Sent,
    discard: bool,
}

impl Transmit for Wire {
    fn transmit(&mut self, arena: &[u8], datagrams: &[Outgoing]) {
        if self.discard {
            return;
        }
        let mut sent = self.sent.lock().expect("one thread");
        let bytes = |d: &Outgoing| arena[d.start..d.start + d.len].to_vec();
        sent.extend(datagrams.iter().map(|d| (d.path.remote, bytes(d))));
    }
}

/// Keys and address of one client.
pub struct Client {
    pub peer: PeerId,
    pub address: SocketAddr,
    pub srtp: Srtp,
}

/// Something of a client's on its way: when, a tie-breaker, to which shard or client, what.
type Flight = Reverse<(Micros, u64, Towards, SocketAddr, Vec<u8>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Towards {
    Shard(usize),
    Client,
}

pub struct Network {
    pub now: Micros,
    pub shards: Vec<Shard>,
    pub events: Vec<Event>,
    pub random: Random,
    pub ids: IdSource,
    outboxes: Vec<Outbox<Wire>>,
    sent: Sent,
    links: HashMap<SocketAddr, Link>,
    bottlenecks: HashMap<SocketAddr, Bottleneck>,
    homes: HashMap<SocketAddr, usize>,
    flights: BinaryHeap<Flight>,
    launched: u64,
    clients: u16,
}

impl Network {
    pub fn new(shards: usize, seed: u64) -> Self {
        let sent = Sent::default();
        let config = |index| ShardConfig {
            index,
            consent_timeout: 30 * SECOND,
        };
        Self {
            now: START,
            shards: (0..shards).map(|i| Shard::new(config(i))).collect(),
            events: Vec::new(),
            random: Random::new(seed),
            ids: IdSource::default(),
            outboxes: (0..shards)
                .map(|_| {
                    Outbox::new(Box::new(Wire {
                        sent: Arc::clone(&sent),
                        discard: false,
                    }))
                })
                .collect(),
            sent,
            links: HashMap::new(),
            bottlenecks: HashMap::new(),
            homes: HashMap::new(),
            flights: BinaryHeap::new(),
            launched: 0,
            clients: 0,
        }
    }

    pub fn command(&mut self, shard: usize, command: Command) {
        self.shards[shard].handle_command(command, self.now, &mut self.outboxes[shard]);
        self.settle();
    }

    /// A client that is connected: checks sent, keys on both sides.
    pub fn client(&mut self, shard: usize, link: Link, profile: Profile) -> Client {
        let (client, keys) = self.client_in_handshake(shard, link, profile);
        self.command(shard, Command::SetKeys(client.peer, Box::new(keys)));
        client
    }

    /// A client whose address is known, and the keys that the shard does not have yet.
    pub fn client_in_handshake(
        &mut self,
        shard: usize,
        link: Link,
        profile: Profile,
    ) -> (Client, Srtp) {
        self.clients += 1;
        let peer = PeerId(self.ids.next(shard));
        let address = SocketAddr::from(([10, 0, 0, 1], 1_000 + self.clients));
        self.homes.insert(address, shard);
        let credentials = credentials(peer);
        self.command(shard, Command::AddPeer(peer, credentials.clone()));
        let key = |salt: u8| vec![self.clients as u8 ^ salt; profile.key_len()];
        let inbound = |salt| Inbound::new(profile, &key(salt)).expect("the length is right");
        let outbound = |salt| Outbound::new(profile, &key(salt)).expect("the length is right");
        let (up, down) = (0x11, 0x77);
        let server = Srtp {
            inbound: inbound(up),
            outbound: outbound(down),
        };
        let srtp = Srtp {
            inbound: inbound(down),
            outbound: outbound(up),
        };
        self.deliver_to_shard(shard, address, check(&credentials, true));
        self.links.insert(address, link);
        let client = Client {
            peer,
            address,
            srtp,
        };
        (client, server)
    }

    pub fn set_link(&mut self, address: SocketAddr, link: Link) {
        self.links.insert(address, link);
    }

    /// From now on the link carries so many bits a second to the client; any rate without.
    pub fn set_rate(&mut self, address: SocketAddr, bits_per_second: Option<u64>) {
        self.bottlenecks.remove(&address);
        if let Some(bits_per_second) = bits_per_second {
            let free = self.now;
            let bottleneck = Bottleneck {
                bits_per_second,
                free,
            };
            self.bottlenecks.insert(address, bottleneck);
        }
    }

    /// A client sends a datagram.
    pub fn send(&mut self, from: SocketAddr, datagram: Vec<u8>) {
        let home = self.homes[&from];
        self.launch(Towards::Shard(home), from, datagram);
    }

    /// One step of time: what is due arrives, timers fire. Returns what reached clients.
    pub fn step(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.now += STEP;
        let mut arrived = Vec::new();
        while self
            .flights
            .peek()
            .is_some_and(|Reverse(f)| f.0 <= self.now)
        {
            let Some(Reverse((_, _, towards, client, datagram))) = self.flights.pop() else {
                break;
            };
            match towards {
                Towards::Shard(shard) => self.deliver_to_shard(shard, client, datagram),
                Towards::Client => arrived.push((client, datagram)),
            }
        }
        for (shard, outbox) in self.shards.iter_mut().zip(&mut self.outboxes) {
            shard.handle_timeout(self.now, outbox);
        }
        self.settle();
        arrived
    }

    pub fn deliver_to_shard(&mut self, shard: usize, from: SocketAddr, mut datagram: Vec<u8>) {
        let path = Path::udp(from, IpAddr::from([10, 0, 0, 2]));
        let (now, outbox) = (self.now, &mut self.outboxes[shard]);
        self.shards[shard].handle_datagram(path, &mut datagram, now, outbox);
        self.settle();
    }

    /// What a shard does with one batch from its socket. The datagrams it sends go nowhere.
    pub fn forward_batch(&mut self, from: SocketAddr, mut datagrams: Vec<Vec<u8>>) {
        let path = Path::udp(from, IpAddr::from([10, 0, 0, 2]));
        let (now, shard, outbox) = (self.now, &mut self.shards[0], &mut self.outboxes[0]);
        outbox.transmitter().discard = true;
        for datagram in &mut datagrams {
            shard.handle_datagram(path, datagram, now, outbox);
        }
        shard.handle_timeout(now, outbox);
        shard.forward(now, outbox);
        outbox.flush();
        outbox.transmitter().discard = false;
    }

    /// Forward, carry messages between shards until none are left, put datagrams on the links.
    fn settle(&mut self) {
        loop {
            let mut messages = Vec::new();
            for (shard, outbox) in self.shards.iter_mut().zip(&mut self.outboxes) {
                shard.forward(self.now, outbox);
                outbox.flush();
                messages.append(&mut shard.messages);
                self.events.append(&mut shard.events);
            }
            if messages.is_empty() {
                break;
            }
            for (to, message) in messages {
                self.shards[to].handle_message(message);
            }
        }
        let sent = std::mem::take(&mut *self.sent.lock().expect("one thread"));
        for (client, datagram) in sent {
            self.launch(Towards::Client, client, datagram);
        }
    }

    fn launch(&mut self, towards: Towards, client: SocketAddr, datagram: Vec<u8>) {
        let link = self.links.get(&client).copied().unwrap_or_default();
        if self.random.chance(link.loss) {
            return;
        }
        let mut queued = 0;
        if let (Towards::Client, Some(bottleneck)) = (towards, self.bottlenecks.get_mut(&client)) {
            let begins = bottleneck.free.max(self.now);
            if begins > self.now + QUEUE {
                return;
            }
            let bits = datagram.len() as u64 * 8;
            bottleneck.free = begins + bits * SECOND / bottleneck.bits_per_second;
            queued = bottleneck.free - self.now;
        }
        let copies = 1 + u32::from(self.random.chance(link.twice));
        for _ in 0..copies {
            let late = if self.random.chance(link.late) {
                link.late_by
            } else {
                0
            };
            let at = self.now + queued + link.delay + late;
            self.launched += 1;
            self.flights.push(Reverse((
                at,
                self.launched,
                towards,
                client,
                datagram.clone(),
            )));
        }
    }
}

/// One step of the clock; every client acts on what reaches it.
pub fn settle(network: &mut Network, teachers: &mut [&mut Publisher], viewers: &mut [Viewer]) {
    for (client, datagram) in network.step() {
        if let Some(teacher) = teachers.iter_mut().find(|t| t.address() == client) {
            teacher.handle(network, datagram);
        } else if let Some(viewer) = viewers.iter_mut().find(|v| v.address() == client) {
            viewer.handle(network.now, datagram);
        }
    }
    viewers.iter_mut().for_each(|v| v.poll(network));
}

pub fn credentials(peer: PeerId) -> Credentials {
    let ufrag = format!("u{}", peer.0);
    Credentials {
        pwd: format!("password-of-{ufrag}"),
        ufrag,
    }
}

/// A connectivity check for our credentials.
pub fn check(credentials: &Credentials, nominate: bool) -> Vec<u8> {
    let username = format!("{}:client", credentials.ufrag);
    let mut datagram = Vec::new();
    let pwd = credentials.pwd.as_bytes();
    stun::write_request(&mut datagram, &[7; 12], &username, pwd, nominate);
    datagram
}
