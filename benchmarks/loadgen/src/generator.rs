//! The thread that drives all clients: reads, reports, publishes, and keeps the counts.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tongbu_media::clock::{MILLISECOND, Micros};
use tongbu_media::crypto::Profile;
use tongbu_media::udp::{ReceiveBatch, Socket};

use crate::client::{Came, Client, Publishing, Received, Remote};
use crate::flood::Flood;
use crate::poll::{Poller, thread_cpu_us};
use crate::trace::{Step, TraceConfig, second};

/// Receive buffer of a viewer: a keyframe and half a second more.
const BUFFER_BYTES: usize = 512 << 10;
/// Checks and reports are looked for this often.
const POLL_INTERVAL: Micros = 20 * MILLISECOND;
/// Latencies kept; further ones displace a seeded choice of the kept (reservoir sampling).
const LATENCIES: usize = 1 << 20;

/// What Python asks.
pub(crate) enum Order {
    Add {
        client: usize,
        remote: Remote,
        publishing: Option<Publishing>,
        sampled: bool,
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
    },
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

/// A trace on its way.
struct Lecture {
    client: usize,
    config: TraceConfig,
    begun: Micros,
    seconds: u64,
    steps: VecDeque<Step>,
    keyframe_wanted: bool,
    keyframe: bool,
}

struct Runner {
    orders: Receiver<Order>,
    dtls: Inbox,
    poller: Poller,
    clients: Vec<Option<Client>>,
    lectures: Vec<Lecture>,
    batch: ReceiveBatch,
    start: Instant,
    next_poll: Micros,
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
            batch: ReceiveBatch::default(),
            start: Instant::now(),
            next_poll: 0,
            counts: Snapshot::default(),
            flooded: Arc::default(),
            seen: 0,
        })
    }

    fn run(mut self) {
        loop {
            let waits = self.wait_ms();
            let ready: Vec<usize> = self.poller.wait(waits).collect();
            for client in ready {
                self.receive(client);
            }
            while let Ok(order) = self.orders.try_recv() {
                if matches!(order, Order::Stop) {
                    return;
                }
                self.obey(order);
            }
            let now = self.now();
            self.lecture(now);
            if now >= self.next_poll {
                self.next_poll = now + POLL_INTERVAL;
                self.clients.iter_mut().flatten().for_each(|c| c.poll(now));
            }
        }
    }

    /// Until the next packet of a trace, at most a millisecond: orders must not wait long.
    fn wait_ms(&self) -> i32 {
        let now = self.now();
        let due = |l: &Lecture| l.steps.front().is_some_and(|s| l.begun + s.at_us <= now);
        i32::from(!self.lectures.iter().any(due))
    }

    fn receive(&mut self, index: usize) {
        let Some(Some(client)) = self.clients.get_mut(index) else {
            return;
        };
        let (counts, seen) = (&mut self.counts, &mut self.seen);
        let (dtls, lectures) = (&self.dtls, &mut self.lectures);
        client.receive(&mut self.batch, |came| match came {
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
            Order::Add {
                client,
                remote,
                publishing,
                sampled,
            } => {
                self.add(client, remote, publishing, sampled);
            }
            Order::Dtls { client, datagram } => {
                self.with(client, |c| c.send_dtls(&datagram));
            }
            Order::Keys {
                client,
                profile,
                rx,
                tx,
            } => {
                self.with(client, |c| c.set_keys(profile, &rx, &tx));
            }
            Order::Publish { client, trace } => {
                let begun = self.now() + 10 * MILLISECOND;
                self.lectures.push(Lecture {
                    client,
                    config: trace,
                    begun,
                    seconds: 0,
                    steps: VecDeque::new(),
                    keyframe_wanted: false,
                    keyframe: false,
                });
            }
            Order::Flood {
                client,
                pps,
                seconds,
            } => self.flood(client, pps, seconds),
            Order::Snapshot(reply) => {
                let received = self.clients.iter().flatten().map(|c| c.received).collect();
                let cpu_us = thread_cpu_us();
                let latencies = std::mem::take(&mut self.counts.latencies);
                self.seen = 0;
                let port = |c: &Client| c.socket.local_addr().map_or(0, |a| a.port());
                let ports = self.clients.iter().flatten().map(port).collect();
                let counts = self.counts.clone();
                let flooded = self.flooded.load(Ordering::Relaxed);
                let snapshot = Snapshot {
                    received,
                    ports,
                    cpu_us,
                    latencies,
                    flooded,
                    ..counts
                };
                // Whoever asked may have given up waiting.
                let _ = reply.send(snapshot);
                self.counts.late_us_max = 0;
            }
            Order::Stop => {}
        }
    }

    fn add(&mut self, index: usize, remote: Remote, publishing: Option<Publishing>, sampled: bool) {
        let bound = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), BUFFER_BYTES);
        let Ok(socket) = bound else {
            return; // out of descriptors: the client never connects, and the join says so
        };
        if self.poller.add(socket.as_fd(), index).is_err() {
            return;
        }
        while self.clients.len() <= index {
            self.clients.push(None);
        }
        self.clients[index] = Some(Client::new(socket, remote, publishing, sampled));
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
            if lecture.steps.is_empty() {
                lecture
                    .steps
                    .extend(second(lecture.config, lecture.seconds));
                lecture.seconds += 1;
            }
            while let Some(step) = lecture.steps.front().copied() {
                let due = lecture.begun + step.at_us;
                if due > now {
                    break;
                }
                if step.video && step.first {
                    let wanted = std::mem::take(&mut lecture.keyframe_wanted);
                    lecture.keyframe = step.keyframe || wanted;
                }
                teacher.publish(&step, lecture.keyframe);
                self.counts.published += 1;
                self.counts.late_us_max = self.counts.late_us_max.max(now - due);
                lecture.steps.pop_front();
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
