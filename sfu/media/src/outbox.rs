//! Datagrams on their way out: written once into an arena, sealed there, sent in one go.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use crate::clock::Micros;

/// The largest datagram the plane writes: the largest payload it takes, grown by a header with
/// extensions and a tag.
pub const MAX_DATAGRAM: usize = 2_048;

/// Bytes gathered before the arena is sent: enough for the 64 trains of one system call, and
/// little enough to be in the core's own cache still when the kernel reads it.
const ARENA_BYTES: usize = 128 << 10;

/// Datagrams for which a system call costs next to nothing beside them.
const WORTH_A_CALL: usize = 16;

/// One TCP connection of a shard; never used again by the same shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub NonZeroU32);

/// Where a peer is, and which of our addresses it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The peer's address.
    pub remote: SocketAddr,
    /// Ours, as the peer sees it: replies must leave from it.
    pub local: IpAddr,
    /// The TCP connection by which the peer is reached; without one, by the shard's UDP socket.
    pub connection: Option<ConnectionId>,
}

/// What carries a peer's datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// As they are; some are lost.
    Udp,
    /// In order: for one that is lost all others wait.
    Tcp,
}

impl Path {
    /// What carries the datagrams.
    pub fn carrier(&self) -> Carrier {
        match self.connection {
            Some(_) => Carrier::Tcp,
            None => Carrier::Udp,
        }
    }

    /// By UDP.
    pub fn udp(remote: SocketAddr, local: IpAddr) -> Self {
        Self {
            remote,
            local,
            connection: None,
        }
    }
}

/// What a datagram carries, as far as a way out that must choose is concerned. UDP carries all
/// alike; a TCP connection that falls behind lets control and sound pass by, and drops pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// STUN, DTLS, RTCP.
    Control,
    /// Packets of a microphone.
    Sound,
    /// Packets of a video.
    Picture,
    /// Packets of a video, sent again.
    Repair,
}

impl Content {
    /// What it is when it is sent again.
    pub fn again(self) -> Self {
        match self {
            Self::Picture => Self::Repair,
            other => other,
        }
    }
}

/// One datagram in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub path: Path,
    /// Where it begins; datagrams lie one behind the other.
    pub start: usize,
    /// Its length.
    pub len: usize,
    /// When the media in it came to this machine; 0 for what the node itself has to say.
    pub arrival: Micros,
    /// What it carries.
    pub content: Content,
}

/// What the datagrams go out by: a socket, or the virtual network of a test.
pub trait Transmit {
    /// Send them all, or count what could not be sent.
    fn transmit(&mut self, arena: &[u8], datagrams: &[Outgoing]);
}

/// The send arena of one shard.
pub struct Outbox<T: ?Sized = dyn Transmit> {
    arena: Vec<u8>,
    datagrams: Vec<Outgoing>,
    transmit: Box<T>,
}

impl<T: Transmit + ?Sized> Outbox<T> {
    /// An empty arena in front of `transmit`.
    pub fn new(transmit: Box<T>) -> Self {
        let datagrams = Vec::with_capacity(ARENA_BYTES / 64);
        Self {
            arena: Vec::with_capacity(ARENA_BYTES),
            datagrams,
            transmit,
        }
    }

    /// Write one datagram of control at the arena's end: `fill` gets the arena and where the
    /// datagram begins. What an error leaves behind is not sent. `arrival` as in [`Outgoing`].
    #[inline]
    pub fn write<E>(
        &mut self,
        path: Path,
        arrival: Micros,
        fill: impl FnOnce(&mut Vec<u8>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.write_as(Content::Control, path, arrival, fill)
    }

    /// As [`Outbox::write`], for a datagram of any content.
    #[inline]
    pub fn write_as<E>(
        &mut self,
        content: Content,
        path: Path,
        arrival: Micros,
        fill: impl FnOnce(&mut Vec<u8>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.arena.len() + MAX_DATAGRAM > self.arena.capacity() {
            self.flush();
        }
        let start = self.arena.len();
        let result = fill(&mut self.arena, start);
        match result {
            Ok(()) => {
                let len = self.arena.len() - start;
                self.datagrams.push(Outgoing {
                    path,
                    start,
                    len,
                    arrival,
                    content,
                });
            }
            Err(_) => self.arena.truncate(start),
        }
        result
    }

    /// Send a datagram as it is.
    pub fn push(&mut self, path: Path, datagram: &[u8]) {
        let copied: Result<(), std::convert::Infallible> = self.write(path, 0, |arena, _| {
            arena.extend_from_slice(datagram);
            Ok(())
        });
        let Ok(()) = copied;
    }

    /// Send what is there if it is worth a system call: the viewers of one track need not wait
    /// for those of the next.
    pub fn flush_some(&mut self) {
        if self.datagrams.len() >= WORTH_A_CALL {
            self.flush();
        }
    }

    /// Send what is there.
    pub fn flush(&mut self) {
        if !self.datagrams.is_empty() {
            self.transmit.transmit(&self.arena, &self.datagrams);
        }
        self.datagrams.clear();
        self.arena.clear();
    }

    /// What sends.
    pub fn transmitter(&mut self) -> &mut T {
        &mut self.transmit
    }
}
