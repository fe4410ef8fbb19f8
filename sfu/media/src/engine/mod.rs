//! Threads, clocks, shutdown: one thread a shard, and the mailboxes between them.

mod load;
mod mailbox;
mod runner;
mod stats;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::Micros;
use crate::outbox::Outbox;
use crate::shard::{Command, Event, Shard, ShardConfig};
use crate::tcp::directory::Directory;
use crate::tcp::{Connections, Listener, ListenerStats};
use crate::udp::{Buffers, Socket};
use mailbox::{Control, EventQueue, Mailbox, mailbox};
use runner::{Measured, Runner};
pub use stats::{DowntrackStats, LinkStats, ShardStats, UptrackStats};

/// How an engine is set up.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Address to bind to.
    pub host: IpAddr,
    /// Port of shard 0, or 0 for any.
    pub port: u16,
    /// TCP port of the node, 0 for any; None: no TCP.
    pub tcp_port: Option<u16>,
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

/// A running shard, from outside.
struct ShardHandle {
    mailbox: Mailbox,
    port: u16,
    buffers: Buffers,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The shards of one node.
pub struct Engine {
    listener: Mutex<Option<Listener>>,
    directory: Arc<Directory>,
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
            socket.coalesce_and_stamp();
            let measured = Measured::new(socket.try_clone()?, Connections::new()?, clock);
            let runner = Runner {
                shard: Shard::new(shard),
                outbox: Outbox::new(Box::new(measured)),
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
        let directory = Arc::new(Directory::default());
        let listener = config
            .tcp_port
            .map(|port| {
                let deliver = move |shard: usize, accepted| {
                    let mailbox = mailboxes.get(shard);
                    mailbox.is_some_and(|mailbox| mailbox.hand_over(accepted))
                };
                let address = SocketAddr::new(config.host, port);
                Listener::start(address, Arc::clone(&directory), Box::new(deliver))
            })
            .transpose()?;
        Ok(Self {
            listener: Mutex::new(listener),
            directory,
            shards,
            events,
            clock,
        })
    }

    /// Ask something of a shard. What only prepares for datagrams to come wakes nobody: the shard
    /// reads its mailbox before it takes a datagram, and every few milliseconds in any case.
    pub fn command(&self, shard: usize, command: Command) {
        let Some(shard) = self.shards.get(shard) else {
            return;
        };
        self.tell_directory(&command);
        let hurries = matches!(
            command,
            Command::SendDtls(..) | Command::Freshen(_) | Command::SetSource(_, Some(_))
        );
        if hurries {
            shard.mailbox.post(Control::Command(command));
        } else {
            shard.mailbox.leave(Control::Command(command));
        }
    }

    fn tell_directory(&self, command: &Command) {
        match command {
            Command::AddPeer(peer, credentials) | Command::RotateCredentials(peer, credentials) => {
                self.directory.handle_ufrag(*peer, &credentials.ufrag);
            }
            Command::RemovePeer(peer) => self.directory.handle_removal(*peer),
            _ => {}
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

    /// TCP port of the node, if it has one.
    pub fn tcp_port(&self) -> Option<u16> {
        let port = |listener: &Listener| listener.local_addr().port();
        self.listener().as_ref().map(port)
    }

    /// What became of the TCP connections, if there is a port for them.
    pub fn listener_stats(&self) -> Option<ListenerStats> {
        self.listener().as_ref().map(Listener::stats)
    }

    /// The listener is whole whatever thread died with the lock.
    fn listener(&self) -> MutexGuard<'_, Option<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
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
        drop(self.listener().take());
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
