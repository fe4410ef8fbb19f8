//! All TCP connections of one shard.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::Accepted;
use super::connection::Connection;
use super::framing::{Frames, MAX_FRAME, PREFIX};
use super::system::{Event, Poll};
use crate::clock::Micros;
use crate::outbox::{ConnectionId, Outgoing, Path};

/// Connections a shard has at once: its schools, and what their browsers try beside.
const MAX_CONNECTIONS: usize = 2_048;
/// Read from one connection before the next has its turn.
const READ: usize = 64 << 10;
/// Room for what is read behind an unfinished frame.
pub const READ_BUFFER: usize = READ + PREFIX + MAX_FRAME;

/// What the connections of a shard do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Connections now.
    pub connections: usize,
    /// Bytes that wait on them now.
    pub queued: usize,
    /// Connections turned away, since there were too many.
    pub refused: u64,
    /// Connections that had no peer, or broke the framing.
    pub expelled: u64,
    /// Datagrams handed over to be sent.
    pub datagrams: u64,
    /// Of them, those dropped because they waited too long, or too many did.
    pub dropped_stale: u64,
    /// Datagrams for a connection that was closed.
    pub dropped_closed: u64,
}

/// A connection that something can be done with.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Which.
    pub id: ConnectionId,
    /// There is something to read, be it the end.
    pub readable: bool,
    /// What waits may go on.
    pub writable: bool,
}

/// The connections of one shard.
#[derive(Debug)]
pub struct Connections {
    poll: Poll,
    connections: FxHashMap<ConnectionId, Connection>,
    events: Vec<Event>,
    last: u32,
    counters: TcpCounters,
}

impl Connections {
    /// None yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            connections: FxHashMap::default(),
            events: Vec::new(),
            last: 0,
            counters: TcpCounters::default(),
        })
    }

    /// There is none now.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// There has been one: datagrams may be for TCP.
    pub fn is_used(&self) -> bool {
        self.last > 0
    }

    /// Readable while [`Connections::poll_ready`] has something to tell; nothing while there are none.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_empty()).then(|| self.poll.as_fd())
    }

    /// Take a connection over; None when there are too many, or it is broken already.
    pub fn adopt(&mut self, accepted: Accepted) -> Option<ConnectionId> {
        let number = NonZeroU32::new(self.last.checked_add(1)?)?;
        if self.connections.len() >= MAX_CONNECTIONS {
            self.counters.refused += 1;
            return None;
        }
        self.last = number.get();
        let id = ConnectionId(number);
        let connection = Connection::new(id, accepted).ok()?;
        self.poll
            .add(&connection.stream, number.get().into())
            .ok()?;
        self.connections.insert(id, connection);
        Some(id)
    }

    /// Who can be read or written now.
    pub fn poll_ready(&mut self, ready: &mut Vec<Ready>) {
        self.events.clear();
        self.poll.wait(Some(Duration::ZERO), &mut self.events);
        ready.extend(self.events.iter().filter_map(|event| {
            let number = NonZeroU32::new(u32::try_from(event.token).ok()?)?;
            Some(Ready {
                id: ConnectionId(number),
                readable: event.readable,
                writable: event.writable,
            })
        }));
    }

    /// Where the peer on it is.
    pub fn path(&self, id: ConnectionId) -> Option<Path> {
        self.connections.get(&id).map(|c| c.path)
    }

    /// Bytes that wait on it.
    pub fn queued(&self, id: ConnectionId) -> usize {
        self.connections.get(&id).map_or(0, |c| c.queue.len())
    }

    /// Read what has come into a buffer of [`READ_BUFFER`] bytes; returns where the frames end. After
    /// them, [`Connections::keep`] what is left. An error is the connection's end.
    pub fn receive(&mut self, id: ConnectionId, buffer: &mut [u8]) -> io::Result<usize> {
        match self.connections.get_mut(&id) {
            Some(connection) => connection.receive(buffer),
            None => Ok(0),
        }
    }

    /// What was read with the connection before it was ours, as [`Connections::receive`].
    pub fn received(&mut self, id: ConnectionId, buffer: &mut [u8]) -> usize {
        let connection = self.connections.get_mut(&id);
        connection.map_or(0, |c| c.remainder.restore(buffer))
    }

    /// What the last frame left.
    pub fn keep(&mut self, id: ConnectionId, frames: &Frames<'_>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.remainder.keep(frames.rest());
        }
    }

    /// Send a run of datagrams, all for one connection, or let them wait.
    pub fn transmit(&mut self, id: ConnectionId, arena: &[u8], run: &[Outgoing], now: Micros) {
        self.counters.datagrams += run.len() as u64;
        let Some(connection) = self.connections.get_mut(&id) else {
            self.counters.dropped_closed += run.len() as u64;
            return;
        };
        let before = connection.queue.dropped;
        for datagram in run {
            let bytes = &arena[datagram.start..datagram.start + datagram.len];
            connection.push(datagram.content, bytes, now);
        }
        // One whose way is full is not tried again before the kernel has told that it is not.
        if !connection.blocked {
            write(&self.poll, id, connection, now);
        }
        self.counters.dropped_stale += connection.queue.dropped - before;
    }

    /// What waits on it may go on.
    pub fn handle_writable(&mut self, id: ConnectionId, now: Micros) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let before = connection.queue.dropped;
            write(&self.poll, id, connection, now);
            self.counters.dropped_stale += connection.queue.dropped - before;
        }
    }

    /// Close it.
    pub fn close(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// Close it for what came by it.
    pub fn expel(&mut self, id: ConnectionId) {
        self.counters.expelled += 1;
        self.close(id);
    }

    /// A snapshot.
    pub fn counters(&self) -> TcpCounters {
        let waiting = self.connections.values().map(|c| c.queue.len());
        TcpCounters {
            connections: self.connections.len(),
            queued: waiting.sum(),
            ..self.counters
        }
    }
}

/// An error needs no answer here: the connection becomes readable by it, and reading ends it.
fn write(poll: &Poll, id: ConnectionId, connection: &mut Connection, now: Micros) {
    let blocked = connection.write(now).is_ok() && !connection.queue.is_empty();
    if blocked != connection.blocked {
        connection.blocked = blocked;
        let _ = poll.watch_writable(&connection.stream, id.0.get().into(), blocked);
    }
}
