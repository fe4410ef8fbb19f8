//! The thread that accepts TCP connections for all shards.
//!
//! Anybody may connect, so a connection is worth nothing until its first frame is a connectivity
//! check (RFC 6544, 7.1) for a peer we know of. Until then it may cost a descriptor and a few bytes
//! for a few seconds; when there are too many, the one that has waited longest goes, for a client
//! sends its check at once. The check itself is verified by the shard.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Accepted;
use super::directory::Directory;
use super::framing::PREFIX;
use super::system::{Event, Poll};
use crate::packet::stun;
use crate::udp::Wake;

/// Connections that have not named their peer yet.
const MAX_STRANGERS: usize = 256;
/// Of them, those of one address: a school behind a NAT, all at once.
const MAX_OF_ADDRESS: usize = 32;
/// How long one has for its first frame; a satellite's round trip is 0.6 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest first frame: a check has 100 to 200 bytes.
const MAX_CHECK: usize = 1_024;
/// Connections accepted before those that are here have their turn.
const ACCEPTED_AT_ONCE: usize = 64;
/// Rest after accepting failed: the process has no descriptor left, and would be told again at once.
const REST: Duration = Duration::from_millis(50);

/// Names of what is not a stranger.
const LISTENER: u64 = 0;
const STOP: u64 = 1;

/// Takes an accepted connection to a shard; false when it cannot.
pub type Deliver = Box<dyn Fn(usize, Accepted) -> bool + Send>;

/// What became of the connections.
#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    delivered: AtomicU64,
    crowded: AtomicU64,
    late: AtomicU64,
    malformed: AtomicU64,
    unknown: AtomicU64,
}

/// A snapshot of what became of the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Accepted so far.
    pub accepted: u64,
    /// Handed to their shards.
    pub delivered: u64,
    /// Closed because too many waited, here or at their shard.
    pub crowded: u64,
    /// Closed because no first frame came in time.
    pub late: u64,
    /// Closed because the first frame was no check, or the end came before it.
    pub malformed: u64,
    /// Closed because nobody has the name in the check.
    pub unknown: u64,
}

/// The running thread, from outside.
pub struct Listener {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Bind and start.
    pub fn start(
        address: SocketAddr,
        directory: Arc<Directory>,
        deliver: Deliver,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, counters) = (Arc::new(Wake::new()?), Arc::new(Counters::default()));
        let poll = Poll::new()?;
        poll.add(&listener, LISTENER)?;
        poll.add(&*stop, STOP)?;
        let door = Door {
            listener,
            poll,
            directory,
            deliver,
            counters: Arc::clone(&counters),
            strangers: BTreeMap::new(),
            last: STOP,
        };
        let thread = std::thread::Builder::new()
            .name("tongbu-tcp".into())
            .spawn(move || door.run())?;
        Ok(Self {
            address,
            counters,
            stop,
            thread: Some(thread),
        })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A snapshot.
    pub fn stats(&self) -> ListenerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &*self.counters;
        ListenerStats {
            accepted: read(&counters.accepted),
            delivered: read(&counters.delivered),
            crowded: read(&counters.crowded),
            late: read(&counters.late),
            malformed: read(&counters.malformed),
            unknown: read(&counters.unknown),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.wake();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on stderr already.
            let _ = thread.join();
        }
    }
}

/// A connection that has not named its peer.
struct Stranger {
    stream: TcpStream,
    remote: SocketAddr,
    since: Instant,
    bytes: Vec<u8>,
}

/// What a stranger turned out to be.
enum Verdict {
    /// More must come.
    Unfinished,
    /// It wants to a peer of this shard.
    Member(usize),
    /// The first frame is no check.
    Malformed,
    /// A check for nobody.
    Unknown,
}

/// The thread's state.
struct Door {
    listener: TcpListener,
    poll: Poll,
    directory: Arc<Directory>,
    deliver: Deliver,
    counters: Arc<Counters>,
    /// By number, and so the oldest first.
    strangers: BTreeMap<u64, Stranger>,
    last: u64,
}

impl Door {
    fn run(mut self) {
        let mut ready = Vec::new();
        loop {
            ready.clear();
            self.poll.wait(self.time_left(), &mut ready);
            self.expire();
            for &Event { token, .. } in &ready {
                match token {
                    LISTENER => self.accept(),
                    STOP => return,
                    stranger => self.hear(stranger),
                }
            }
        }
    }

    /// Until the oldest has to go.
    fn time_left(&self) -> Option<Duration> {
        let (_, oldest) = self.strangers.first_key_value()?;
        Some(PATIENCE.saturating_sub(oldest.since.elapsed()))
    }

    fn expire(&mut self) {
        while let Some((_, oldest)) = self.strangers.first_key_value()
            && oldest.since.elapsed() >= PATIENCE
        {
            count(&self.counters.late);
            self.strangers.pop_first();
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTED_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, remote)) => self.take(stream, remote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The client has gone already; accept(2) tells of it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => return std::thread::sleep(REST),
            }
        }
    }

    fn take(&mut self, stream: TcpStream, remote: SocketAddr) {
        count(&self.counters.accepted);
        self.make_room_for(remote.ip());
        self.last += 1;
        let added = stream
            .set_nonblocking(true)
            .and_then(|()| self.poll.add(&stream, self.last));
        if added.is_ok() {
            let stranger = Stranger {
                stream,
                remote,
                since: Instant::now(),
                bytes: Vec::new(),
            };
            self.strangers.insert(self.last, stranger);
        }
    }

    fn make_room_for(&mut self, address: IpAddr) {
        let mut same = self
            .strangers
            .iter()
            .filter(|(_, s)| s.remote.ip() == address);
        let first = same.next().map(|(token, _)| *token);
        let oldest = match 1 + same.count() {
            MAX_OF_ADDRESS.. if first.is_some() => first,
            _ if self.strangers.len() >= MAX_STRANGERS => self.strangers.keys().next().copied(),
            _ => None,
        };
        let Some(oldest) = oldest else {
            return;
        };
        // Its check may have come, and we may not have looked.
        self.hear(oldest);
        if self.strangers.remove(&oldest).is_some() {
            count(&self.counters.crowded);
        }
    }

    /// Something of a stranger has come; unless it is only a part, that decides.
    fn hear(&mut self, token: u64) {
        let Some(stranger) = self.strangers.get_mut(&token) else {
            return;
        };
        let verdict = match stranger.read() {
            true => stranger.judge(&self.directory),
            false => Verdict::Malformed,
        };
        if matches!(verdict, Verdict::Unfinished) {
            return;
        }
        let stranger = self.strangers.remove(&token);
        match verdict {
            Verdict::Member(shard) => self.deliver(shard, stranger),
            Verdict::Unknown => count(&self.counters.unknown),
            _ => count(&self.counters.malformed),
        }
    }

    fn deliver(&self, shard: usize, stranger: Option<Stranger>) {
        let Some(Ok(accepted)) = stranger.map(Stranger::into_accepted) else {
            return count(&self.counters.malformed);
        };
        let delivered = (self.deliver)(shard, accepted);
        count(match delivered {
            true => &self.counters.delivered,
            false => &self.counters.crowded,
        });
    }
}

impl Stranger {
    /// Read what has come of the first frame and little more; false at the end of the stream.
    fn read(&mut self) -> bool {
        let mut buffer = [0; PREFIX + MAX_CHECK];
        let room = buffer.len() - self.bytes.len();
        match self.stream.read(&mut buffer[..room]) {
            Ok(0) => false,
            Ok(len) => {
                self.bytes.extend_from_slice(&buffer[..len]);
                true
            }
            Err(error) => matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ),
        }
    }

    fn judge(&self, directory: &Directory) -> Verdict {
        let Some((prefix, rest)) = self.bytes.split_first_chunk::<PREFIX>() else {
            return Verdict::Unfinished;
        };
        let len = usize::from(u16::from_be_bytes(*prefix));
        if len > MAX_CHECK {
            return Verdict::Malformed;
        }
        let Some(frame) = rest.get(..len) else {
            return Verdict::Unfinished;
        };
        let Some(ufrag) = checked_ufrag(frame) else {
            return Verdict::Malformed;
        };
        match directory.shard_of(ufrag) {
            Some(shard) => Verdict::Member(shard),
            None => Verdict::Unknown,
        }
    }

    fn into_accepted(self) -> io::Result<Accepted> {
        Ok(Accepted {
            local: self.stream.local_addr()?.ip(),
            stream: self.stream,
            remote: self.remote,
            bytes: self.bytes,
        })
    }
}

/// Our user fragment in a connectivity check; None when it is something else.
fn checked_ufrag(frame: &[u8]) -> Option<&str> {
    let request = stun::Message::parse(frame).ok()?;
    if request.class != stun::Class::Request {
        return None;
    }
    Some(request.username_fragments()?.0)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
