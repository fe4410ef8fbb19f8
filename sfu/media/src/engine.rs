//! Threads, clocks, shutdown: one thread a shard, and the mailboxes between them.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::{Micros, SECOND};
use crate::counters::ShardCounters;
use crate::ids::{DowntrackId, PeerId, UptrackId};
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::shard::{Command, Event, Message, Shard, ShardConfig};
use crate::track::{Packet, RtpSink, SinkCounters, Uptrack, UptrackCounters};
use crate::udp::{BATCH, Buffers, ReceiveBatch, SendCounters, Socket, Wake, wait_readable};

/// Packets of other shards that wait for this one; further ones are dropped and counted.
const INBOX: usize = 8_192;
/// Events that wait for Python; beyond it DTLS datagrams are dropped (they are sent again).
const MAX_EVENTS: usize = 16_384;
/// Batches taken from the socket before anything is sent on.
const MAX_BATCHES: usize = 4;
/// Longest sleep of a shard without peers.
const IDLE: Micros = SECOND;

/// How an engine is set up.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Address to bind to.
    pub host: IpAddr,
    /// Port of shard 0, or 0 for any.
    pub port: u16,
    /// How many shards.
    pub shards: usize,
    /// Socket buffers to ask for.
    pub buffer_bytes: usize,
    /// Silence of checks after which consent is lost.
    pub consent_timeout: Micros,
}

/// Wall time at the start, monotonic from there.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    epoch: Micros,
}

impl Clock {
    fn new() -> Self {
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            start: Instant::now(),
            epoch: epoch.as_micros() as Micros,
        }
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.epoch + self.start.elapsed().as_micros() as Micros
    }
}

/// Events on their way to Python.
pub struct EventQueue<E> {
    events: Mutex<VecDeque<E>>,
    wake: Wake,
}

impl<E> EventQueue<E> {
    fn new() -> io::Result<Self> {
        Ok(Self {
            events: Mutex::new(VecDeque::new()),
            wake: Wake::new()?,
        })
    }

    /// Append; the queue's descriptor becomes readable.
    pub fn push(&self, event: E) {
        self.locked().push_back(event);
        self.wake.wake();
    }

    /// All that wait.
    pub fn take(&self) -> VecDeque<E> {
        self.wake.clear();
        std::mem::take(&mut *self.locked())
    }

    fn len(&self) -> usize {
        self.locked().len()
    }

    /// The queue holds whole values whatever thread died with the lock.
    fn locked(&self) -> std::sync::MutexGuard<'_, VecDeque<E>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A snapshot of one uptrack.
#[derive(Clone, Debug)]
pub struct UptrackStats {
    /// Which.
    pub id: UptrackId,
    /// Of whom.
    pub peer: PeerId,
    /// What has come of it.
    pub counters: UptrackCounters,
    /// Time since its newest packet, or since forever.
    pub idle: Option<Micros>,
}

/// A snapshot of one downtrack.
#[derive(Clone, Debug)]
pub struct DowntrackStats {
    /// Which.
    pub id: DowntrackId,
    /// Of whom.
    pub peer: PeerId,
    /// From where.
    pub source: Option<UptrackId>,
    /// What it carried.
    pub counters: SinkCounters,
}

/// A snapshot of one shard.
#[derive(Clone, Debug)]
pub struct ShardStats {
    /// Peers on it.
    pub peers: usize,
    /// Totals.
    pub counters: ShardCounters,
    /// What its socket sent.
    pub sent: SendCounters,
    /// Whether the network does UDP segmentation.
    pub segments: bool,
    /// Its publishers' tracks.
    pub uptracks: Vec<UptrackStats>,
    /// Its viewers' tracks.
    pub downtracks: Vec<DowntrackStats>,
}

enum Control {
    Command(Command),
    Message(Message),
    Stats(Sender<ShardStats>),
    Stop,
}

/// Where others leave things for a shard.
#[derive(Clone)]
struct Mailbox {
    control: Sender<Control>,
    media: SyncSender<(UptrackId, Arc<Packet>)>,
    wake: Arc<Wake>,
}

/// A running shard, from outside.
struct ShardHandle {
    mailbox: Mailbox,
    port: u16,
    buffers: Buffers,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The shards of one node.
pub struct Engine {
    shards: Vec<ShardHandle>,
    events: Arc<EventQueue<Event>>,
    clock: Clock,
}

impl Engine {
    /// Bind the sockets and start the threads.
    pub fn start(config: EngineConfig) -> io::Result<Self> {
        let events = Arc::new(EventQueue::new()?);
        let clock = Clock::new();
        let mut sockets = Vec::new();
        for index in 0..config.shards {
            let port = if config.port == 0 {
                0
            } else {
                config.port + index as u16
            };
            let address = SocketAddr::new(config.host, port);
            sockets.push(Socket::bind(address, config.buffer_bytes)?);
        }
        let (mailboxes, inboxes): (Vec<_>, Vec<_>) = sockets
            .iter()
            .map(|_| mailbox())
            .collect::<io::Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        let mut shards = Vec::new();
        for (index, (socket, inbox)) in sockets.into_iter().zip(inboxes).enumerate() {
            let port = socket.local_addr()?.port();
            let buffers = socket.buffers()?;
            let shard = ShardConfig {
                index,
                consent_timeout: config.consent_timeout,
            };
            let runner = Runner {
                shard: Shard::new(shard),
                outbox: Outbox::new(Box::new(socket.try_clone()?)),
                socket,
                inbox,
                mailboxes: mailboxes.clone(),
                events: Arc::clone(&events),
                clock,
            };
            let name = format!("tongbu-shard-{index}");
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || runner.run())?;
            let mailbox = mailboxes[index].clone();
            shards.push(ShardHandle {
                mailbox,
                port,
                buffers,
                thread: Mutex::new(Some(thread)),
            });
        }
        Ok(Self {
            shards,
            events,
            clock,
        })
    }

    /// Ask something of a shard.
    pub fn command(&self, shard: usize, command: Command) {
        if let Some(shard) = self.shards.get(shard) {
            shard.mailbox.post(Control::Command(command));
        }
    }

    /// Events that wait for Python.
    pub fn poll_events(&self) -> VecDeque<Event> {
        self.events.take()
    }

    /// Readable while events wait.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.events.wake.as_fd()
    }

    /// Make the event descriptor readable: something else waits for Python.
    pub fn wake(&self) -> impl Fn() + Send + Sync + 'static {
        let events = Arc::clone(&self.events);
        move || events.wake.wake()
    }

    /// UDP port of each shard.
    pub fn ports(&self) -> Vec<u16> {
        self.shards.iter().map(|s| s.port).collect()
    }

    /// Socket buffers granted to each shard.
    pub fn buffers(&self) -> Vec<Buffers> {
        self.shards.iter().map(|s| s.buffers).collect()
    }

    /// The time of the plane.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// A snapshot of each shard; a shard that does not answer in time is left out.
    pub fn stats(&self) -> Vec<ShardStats> {
        let ask = |shard: &ShardHandle| {
            let (reply, answer) = channel();
            shard.mailbox.post(Control::Stats(reply));
            answer
        };
        let answers: Vec<_> = self.shards.iter().map(ask).collect();
        let wait = Duration::from_millis(500);
        answers
            .into_iter()
            .filter_map(|a| a.recv_timeout(wait).ok())
            .collect()
    }

    /// Stop the threads. Idempotent.
    pub fn stop(&self) {
        for shard in &self.shards {
            shard.mailbox.post(Control::Stop);
        }
        for shard in &self.shards {
            let thread = shard
                .thread
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(thread) = thread {
                // A thread that panicked has said so on stderr already.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Mailbox {
    /// A shard that has ended hears nothing any more.
    fn post(&self, control: Control) {
        let _ = self.control.send(control);
        self.wake.wake();
    }
}

/// The receiving ends of a mailbox.
struct Inbox {
    control: Receiver<Control>,
    media: Receiver<(UptrackId, Arc<Packet>)>,
    wake: Arc<Wake>,
}

fn mailbox() -> io::Result<(Mailbox, Inbox)> {
    let (control, control_inbox) = channel();
    let (media, media_inbox) = sync_channel(INBOX);
    let wake = Arc::new(Wake::new()?);
    let inbox = Inbox {
        control: control_inbox,
        media: media_inbox,
        wake: Arc::clone(&wake),
    };
    Ok((
        Mailbox {
            control,
            media,
            wake,
        },
        inbox,
    ))
}

/// The loop of one core.
struct Runner {
    shard: Shard,
    socket: Socket,
    outbox: Outbox<Socket>,
    inbox: Inbox,
    mailboxes: Vec<Mailbox>,
    events: Arc<EventQueue<Event>>,
    clock: Clock,
}

impl Runner {
    fn run(mut self) {
        let mut batch = ReceiveBatch::default();
        loop {
            self.inbox.wake.clear();
            // Commands first: a check may follow its peer's announcement on the heels.
            let Some(obeyed) = self.obey() else {
                return;
            };
            let received = self.receive(&mut batch);
            let now = self.clock.now();
            self.shard.handle_timeout(now, &mut self.outbox);
            self.shard.forward(&mut self.outbox);
            self.outbox.flush();
            self.deliver();
            if received + obeyed == 0 {
                self.shard.counters.waits += 1;
                let wait = self.shard.poll_timeout().saturating_sub(now).min(IDLE);
                wait_readable(&self.socket, &*self.inbox.wake, wait.div_ceil(1_000) as i32);
            }
        }
    }

    /// Datagrams that wait at the socket.
    fn receive(&mut self, batch: &mut ReceiveBatch) -> usize {
        let mut received = 0;
        for _ in 0..MAX_BATCHES {
            // An error of a UDP socket is an ICMP message about some peer: nothing to do.
            let count = self.socket.receive(batch).unwrap_or(0);
            self.shard.counters.receive_calls += 1;
            let now = self.clock.now();
            for (path, datagram) in batch.datagrams() {
                self.shard
                    .handle_datagram(path, datagram, now, &mut self.outbox);
            }
            received += count;
            if count < BATCH {
                break;
            }
        }
        received
    }

    /// Commands and messages that wait; `None` to stop.
    fn obey(&mut self) -> Option<usize> {
        let now = self.clock.now();
        let mut obeyed = 0;
        while let Ok(control) = self.inbox.control.try_recv() {
            obeyed += 1;
            match control {
                Control::Command(c) => self.shard.handle_command(c, now, &mut self.outbox),
                Control::Message(message) => self.shard.handle_message(message),
                // Whoever asked may have given up waiting.
                Control::Stats(reply) => drop(reply.send(self.stats())),
                Control::Stop => return None,
            }
        }
        for (track, packet) in self.inbox.media.try_iter().take(INBOX) {
            self.shard.handle_message(Message::Media(track, packet));
            obeyed += 1;
        }
        Some(obeyed)
    }

    /// Events to Python, messages to other shards.
    fn deliver(&mut self) {
        for event in self.shard.events.drain(..) {
            if matches!(event, Event::Dtls(..)) && self.events.len() >= MAX_EVENTS {
                self.shard.counters.event_overflow += 1;
            } else {
                self.events.push(event);
            }
        }
        for (to, message) in self.shard.messages.drain(..) {
            let Some(mailbox) = self.mailboxes.get(to) else {
                continue;
            };
            match message {
                Message::Media(track, packet) => {
                    if mailbox.media.try_send((track, packet)).is_err() {
                        self.shard.counters.inbox_overflow += 1;
                    }
                    mailbox.wake.wake();
                }
                other => mailbox.post(Control::Message(other)),
            }
        }
    }

    fn stats(&mut self) -> ShardStats {
        let now = self.clock.now();
        let uptracks = |peer: &Peer| {
            peer.uptracks
                .iter()
                .map(|t| uptrack_stats(peer.id, t, now))
                .collect::<Vec<_>>()
        };
        let downtracks = |peer: &Peer| {
            peer.sinks
                .iter()
                .map(|s| downtrack_stats(peer.id, s))
                .collect::<Vec<_>>()
        };
        ShardStats {
            peers: self.shard.peers().count(),
            counters: self.shard.counters,
            sent: self.outbox.transmitter().counters,
            segments: self.outbox.transmitter().segments(),
            uptracks: self.shard.peers().flat_map(uptracks).collect(),
            downtracks: self.shard.peers().flat_map(downtracks).collect(),
        }
    }
}

fn uptrack_stats(peer: PeerId, track: &Uptrack, now: Micros) -> UptrackStats {
    let idle = track.counters.last_packet.map(|at| now.saturating_sub(at));
    UptrackStats {
        id: track.id,
        peer,
        counters: track.counters,
        idle,
    }
}

fn downtrack_stats(peer: PeerId, sink: &RtpSink) -> DowntrackStats {
    DowntrackStats {
        id: sink.id,
        peer,
        source: sink.source,
        counters: sink.counters,
    }
}
