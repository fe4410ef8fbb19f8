//! The thread that drives all clients: reads, reports, publishes, and keeps the counts.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tongbu_media::clock::{MILLISECOND, Micros};
use tongbu_media::crypto::Profile;
use tongbu_media::udp::Socket;

use crate::client::{Came, Client, ClientConfig, Received};
use crate::flood::Flood;
use crate::lecture::Lecture;
use crate::poll::{Poller, thread_cpu_us};
use crate::receive::{Batch, configure};
use crate::trace::TraceConfig;

/// Receive buffer of a viewer: a keyframe and half a second more.
const BUFFER_BYTES: usize = 512 << 10;
/// Checks and feedback are looked for each millisecond, with every client of so many: all in one
/// go would keep the packets waiting.
const POLL_INTERVAL: Micros = MILLISECOND;
const POLL_PARTS: usize = 20;
/// Sockets are read this often, and not whenever something comes: to wake us for each packet would
/// cost the server, which on the loopback device does the waking, and no real network asks that of it.
const READ_INTERVAL: Micros = MILLISECOND / 2;
/// Sockets read before the traces are looked at again: a teacher must not wait for his schools.
const READ_AT_ONCE: usize = 16;
/// Latencies kept; further ones displace a seeded choice of the kept (reservoir sampling).
const LATENCIES: usize = 1 << 20;

/// What Python asks.
pub(crate) enum Order {
    Add {
        client: usize,
        config: ClientConfig,
    },
    Dtls {
        client: usize,
        datagram: Vec<u8>,
    },
    Keys {
        client: usize,
        profile: Profile,
        rx: Vec<u8>,
        tx: Vec<u8>,
    },
    Flood {
        client: usize,
        pps: u64,
        seconds: f64,
    },
    Publish {
        client: usize,
        trace: TraceConfig,
        phase: Micros,
    },
    /// From now on, who joins the sample has the kernel stamp what arrives.
    StampArrivals,
    Snapshot(Sender<Snapshot>),
    Stop,
}

/// The counts of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub received: Vec<Received>,
    /// UDP port of each client, in the order of `received`.
    pub ports: Vec<u16>,
    /// Packets published.
    pub published: u64,
    /// How late a packet left behind the trace, at most, in microseconds.
    pub late_us_max: u64,
    /// Hostile datagrams sent.
    pub flooded: u64,
    /// CPU time of the thread.
    pub cpu_us: f64,
    /// One way through the server, in nanoseconds, since the last snapshot.
    pub latencies: Vec<u64>,
}

/// DTLS datagrams that wait for Python: of whom, and what.
type Inbox = Arc<Mutex<VecDeque<(usize, Vec<u8>)>>>;

/// The thread, from outside.
pub(crate) struct Generator {
    orders: Sender<Order>,
    dtls: Inbox,
    thread: Option<JoinHandle<()>>,
}

impl Generator {
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, inbox) = channel();
        let dtls = Inbox::default();
        let runner = Runner::new(inbox, Arc::clone(&dtls))?;
        let name = "loadgen".to_owned();
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || runner.run())?;
        Ok(Self {
            orders,
            dtls,
            thread: Some(thread),
        })
    }

    /// A thread that has ended takes no orders any more.
    pub(crate) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    pub(crate) fn poll_dtls(&self) -> VecDeque<(usize, Vec<u8>)> {
        std::mem::take(&mut *self.dtls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = channel();
        self.order(Order::Snapshot(reply));
        answer.recv().ok()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Runner {
    orders: Receiver<Order>,
    dtls: Inbox,
    poller: Poller,
    clients: Vec<Option<Client>>,
    lectures: Vec<Lecture>,
    heads: Batch,
    whole: Batch,
    stamping: bool,
    start: Instant,
    next_poll: Micros,
    /// Which part of the clients is looked at next.
    poll_part: usize,
    counts: Snapshot,
    flooded: Arc<AtomicU64>,
    seen: u64,
}

impl Runner {
    fn new(orders: Receiver<Order>, dtls: Inbox) -> io::Result<Self> {
        Ok(Self {
            orders,
            dtls,
            poller: Poller::new()?,
            clients: Vec::new(),
            lectures: Vec::new(),
            heads: Batch::heads(),
            whole: Batch::whole(),
            stamping: false,
            start: Instant::now(),
            next_poll: 0,
            poll_part: 0,
            counts: Snapshot::default(),
            flooded: Arc::default(),
            seen: 0,
        })
    }

    fn run(mut self) {
        let mut ready = Vec::new();
        loop {
            std::thread::sleep(self.wait());
            ready.clear();
            ready.extend(self.poller.ready());
            for clients in ready.chunks(READ_AT_ONCE) {
                let now = self.now();
                self.lecture(now);
                clients.iter().for_each(|&client| self.receive(client, now));
            }
            while let Ok(order) = self.orders.try_recv() {
                if matches!(order, Order::Stop) {
                    return;
                }
                self.obey(order);
            }
            let now = self.now();
            self.lecture(now);
            self.poll(now);
        }
    }

    /// Until the next packet of a trace, or the next look at the sockets.
    fn wait(&self) -> Duration {
        let now = self.now();
        let next = self.lectures.iter().filter_map(Lecture::next_at).min();
        let next = next.map_or(READ_INTERVAL, |at| at.saturating_sub(now));
        Duration::from_micros(next.min(READ_INTERVAL))
    }

    /// What is due of the next part of the clients.
    fn poll(&mut self, now: Micros) {
        if now < self.next_poll {
            return;
        }
        self.next_poll = now + POLL_INTERVAL;
        self.poll_part = (self.poll_part + 1) % POLL_PARTS;
        let part = self.clients.iter_mut().skip(self.poll_part);
        part.step_by(POLL_PARTS)
            .flatten()
            .for_each(|client| client.poll(now));
    }

    fn receive(&mut self, index: usize, now: Micros) {
        let Some(Some(client)) = self.clients.get_mut(index) else {
            return;
        };
        let batch = match client.only_counts() {
            true => &mut self.heads,
            false => &mut self.whole,
        };
        let (counts, seen) = (&mut self.counts, &mut self.seen);
        let (dtls, lectures) = (&self.dtls, &mut self.lectures);
        client.receive(batch, now, |came| match came {
            Came::Dtls(datagram) => {
                let mut inbox = dtls.lock().unwrap_or_else(PoisonError::into_inner);
                inbox.push_back((index, datagram));
            }
            Came::Latency(ns) => keep_latency(&mut counts.latencies, seen, ns),
            Came::KeyframeRequest => {
                let own = lectures.iter_mut().filter(|l| l.client == index);
                own.for_each(|l| l.keyframe_wanted = true);
            }
            Came::Nothing => {}
        });
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Add { client, config } => self.add(client, config),
            Order::StampArrivals => self.stamping = true,
            Order::Dtls { client, datagram } => {
                self.with(client, |c| c.send_dtls(datagram));
            }
            Order::Keys {
                client,
                profile,
                rx,
                tx,
            } => {
                self.with(client, |c| c.set_keys(profile, &rx, &tx));
            }
            Order::Publish {
                client,
                trace,
                phase,
            } => {
                let begun = self.now() + 10 * MILLISECOND;
                let lecture = Lecture::new(client, trace, begun, phase);
                self.lectures.retain(|l| l.client != client);
                self.lectures.push(lecture);
            }
            Order::Flood {
                client,
                pps,
                seconds,
            } => self.flood(client, pps, seconds),
            // Whoever asked may have given up waiting.
            Order::Snapshot(reply) => drop(reply.send(self.snapshot())),
            Order::Stop => {}
        }
    }

    /// The counts by now; what is told "since the last snapshot" begins anew.
    fn snapshot(&mut self) -> Snapshot {
        let clients = || self.clients.iter().flatten();
        let port = |c: &Client| c.socket.local_addr().map_or(0, |a| a.port());
        self.seen = 0;
        Snapshot {
            received: clients().map(Client::received).collect(),
            ports: clients().map(port).collect(),
            cpu_us: thread_cpu_us(),
            flooded: self.flooded.load(Ordering::Relaxed),
            published: self.counts.published,
            late_us_max: std::mem::take(&mut self.counts.late_us_max),
            latencies: std::mem::take(&mut self.counts.latencies),
        }
    }

    fn add(&mut self, index: usize, config: ClientConfig) {
        // The server is on this machine; not each takes its loopback address for one.
        let bound = Socket::bind((config.remote.address.ip(), 0).into(), BUFFER_BYTES);
        let Ok(socket) = bound else {
            return; // out of descriptors: the client never connects, and the join says so
        };
        let stamped = self.stamping && config.sampled;
        let ready = configure(socket.as_fd(), stamped)
            .and_then(|()| self.poller.add(socket.as_fd(), index));
        if ready.is_err() {
            return;
        }
        while self.clients.len() <= index {
            self.clients.push(None);
        }
        let mut client = Client::new(socket, config);
        client.poll(self.now()); // its first check
        self.clients[index] = Some(client);
    }

    /// Let a client turn hostile, on a thread of its own that ends by itself.
    fn flood(&mut self, client: usize, pps: u64, seconds: f64) {
        let Some(Some(client)) = self.clients.get(client) else {
            return;
        };
        let Ok(socket) = client.socket.try_clone() else {
            return; // out of descriptors: the count stays 0, and the benchmark says so
        };
        let (server, ufrag) = (client.remote.address, client.remote.ufrag.clone());
        let sent = Arc::clone(&self.flooded);
        let flood = Flood {
            socket,
            server,
            ufrag,
            pps,
            seconds,
            sent,
        };
        std::thread::spawn(move || flood.run());
    }

    /// Send what the traces say should have left by now.
    fn lecture(&mut self, now: Micros) {
        for lecture in &mut self.lectures {
            let Some(Some(teacher)) = self.clients.get_mut(lecture.client) else {
                continue;
            };
            while let Some(due) = lecture.poll(now) {
                teacher.publish(&due.step, due.keyframe);
                self.counts.published += 1;
                self.counts.late_us_max = self.counts.late_us_max.max(now - due.at);
            }
        }
    }

    fn with(&mut self, client: usize, act: impl FnOnce(&mut Client)) {
        if let Some(Some(client)) = self.clients.get_mut(client) {
            act(client);
        }
    }

    fn now(&self) -> Micros {
        self.start.elapsed().as_micros() as Micros + 1
    }
}

/// Reservoir sampling: each latency seen has the same chance to be among the kept.
fn keep_latency(kept: &mut Vec<u64>, seen: &mut u64, ns: u64) {
    *seen += 1;
    if kept.len() < LATENCIES {
        kept.push(ns);
        return;
    }
    let random = seen
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(31)
        .wrapping_mul(*seen | 1);
    let slot = (random % *seen) as usize;
    if slot < LATENCIES {
        kept[slot] = ns;
    }
}
