//! One TCP connection of a shard: its socket, what of the stream is not read yet, and what waits.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::Accepted;
use super::framing::Remainder;
use super::queue::WriteQueue;
use super::system::{self, LOW_WATER};
use crate::clock::{Micros, SECOND};
use crate::outbox::{ConnectionId, Content, Path};

/// A non-blocking connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) path: Path,
    pub(super) stream: TcpStream,
    pub(super) remainder: Remainder,
    pub(super) queue: WriteQueue,
    /// Its way was full at the last look, and a word about it is asked for.
    pub(super) blocked: bool,
    round_trip_at: Micros,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, accepted: Accepted) -> io::Result<Self> {
        system::prepare(&accepted.stream)?;
        let mut remainder = Remainder::default();
        remainder.keep(&accepted.bytes);
        Ok(Self {
            path: Path {
                remote: accepted.remote,
                local: accepted.local,
                connection: Some(id),
            },
            stream: accepted.stream,
            remainder,
            queue: WriteQueue::default(),
            blocked: false,
            round_trip_at: 0,
        })
    }

    /// Read once, behind what was left; returns how much of `buffer` is filled. Nothing more to
    /// come is an error like any other.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let kept = self.remainder.restore(buffer);
        match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => Ok(kept + len),
            Err(error) if is_temporary(&error) => Ok(kept),
            Err(error) => Err(error),
        }
    }

    pub(super) fn push(&mut self, content: Content, datagram: &[u8], now: Micros) {
        self.queue.push(content, datagram, now);
    }

    /// Write as much as the kernel sends soon; the rest waits. An error is the connection's end.
    pub(super) fn write(&mut self, now: Micros) -> io::Result<()> {
        while !self.queue.is_empty() {
            let room = LOW_WATER.saturating_sub(system::unsent(&self.stream));
            self.queue.commit(room, now);
            // What was chosen before has had its room.
            if self.queue.chosen().is_empty() {
                break;
            }
            match self.stream.write(self.queue.chosen()) {
                Ok(written) => self.queue.handle_written(written),
                Err(error) if is_temporary(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if !self.queue.is_empty() && now >= self.round_trip_at + SECOND {
            self.round_trip_at = now;
            self.queue.set_round_trip(system::round_trip(&self.stream));
        }
        Ok(())
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
