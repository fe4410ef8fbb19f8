//! The loop of one core: receive, decide, send, wait.

use std::sync::Arc;
use std::time::Duration;

use super::Clock;
use super::load::Load;
use super::mailbox::{Control, EventQueue, INBOX, Inbox, Mailbox};
use crate::clock::{Micros, SECOND};
use crate::latency::Histogram;
use crate::outbox::{ConnectionId, Outbox, Outgoing, Transmit};
use crate::shard::{Event, Message, Shard};
use crate::tcp::{Connections, Frames, READ_BUFFER, Ready};
use crate::udp::{BATCH, ReceiveBatch, Socket, wait_readable};

/// Events that wait for Python; beyond it DTLS datagrams are dropped (they are sent again).
const MAX_EVENTS: usize = 16_384;
/// Batches taken from the socket before anything is sent on.
const MAX_BATCHES: usize = 4;
/// Longest sleep of a shard without peers.
const IDLE: Micros = SECOND;

/// The ways out, and how long what they sent had been on this machine by then.
pub(super) struct Measured {
    pub(super) socket: Socket,
    pub(super) tcp: Connections,
    pub(super) latency: Histogram,
    clock: Clock,
}

impl Measured {
    pub(super) fn new(socket: Socket, tcp: Connections, clock: Clock) -> Self {
        Self {
            socket,
            tcp,
            latency: Histogram::default(),
            clock,
        }
    }
}

impl Transmit for Measured {
    fn transmit(&mut self, arena: &[u8], datagrams: &[Outgoing]) {
        match self.tcp.is_used() {
            false => self.socket.transmit(arena, datagrams),
            true => self.transmit_mixed(arena, datagrams),
        }
        let now = self.clock.now();
        for datagram in datagrams.iter().filter(|d| d.arrival > 0) {
            self.latency.record(now.saturating_sub(datagram.arrival));
        }
    }
}

impl Measured {
    /// Each run of datagrams by its own way.
    fn transmit_mixed(&mut self, arena: &[u8], datagrams: &[Outgoing]) {
        let now = self.clock.now();
        for run in datagrams.chunk_by(|a, b| a.path.connection == b.path.connection) {
            match run[0].path.connection {
                None => self.socket.transmit(arena, run),
                Some(connection) => self.tcp.transmit(connection, arena, run, now),
            }
        }
    }
}

/// What TCP connections are read by.
struct Reading {
    buffer: Box<[u8]>,
    ready: Vec<Ready>,
}

/// One thread's state.
pub(super) struct Runner {
    pub(super) shard: Shard,
    pub(super) socket: Socket,
    pub(super) outbox: Outbox<Measured>,
    pub(super) inbox: Inbox,
    pub(super) mailboxes: Vec<Mailbox>,
    pub(super) events: Arc<EventQueue<Event>>,
    pub(super) clock: Clock,
}

impl Runner {
    pub(super) fn run(mut self) {
        let mut batch = ReceiveBatch::coalesced();
        let mut reading = Reading {
            buffer: vec![0; READ_BUFFER].into(),
            ready: Vec::new(),
        };
        let mut load = Load::new(self.clock.now());
        // Commands first: a check may follow its peer's announcement on the heels.
        while self.obey() {
            let drained = self.receive(&mut batch);
            self.receive_tcp(&mut reading);
            let now = self.clock.now();
            self.shard.handle_timeout(now, &mut self.outbox);
            self.shard.forward(now, &mut self.outbox);
            self.outbox.flush();
            self.deliver();
            if drained {
                load.handle_idle(self.wait());
            }
            if let Some(hold) = load.poll(now) {
                self.shard.set_hold(hold);
            }
        }
    }

    /// Take what waits at the socket; false when there may be more.
    fn receive(&mut self, batch: &mut ReceiveBatch) -> bool {
        for _ in 0..MAX_BATCHES {
            // An error of a UDP socket is an ICMP message about some peer: nothing to do.
            let count = self.socket.receive(batch).unwrap_or(0);
            self.shard.counters.receive_calls += 1;
            let now = self.clock.now();
            for (arrival, datagram) in batch.datagrams() {
                let at = now - arrival.age;
                self.shard
                    .handle_datagram(arrival.path, datagram, at, &mut self.outbox);
            }
            if count < BATCH {
                return true;
            }
        }
        false
    }

    /// Close the TCP connections that nobody needs any more, take over those that wait, then read and write those that can be.
    fn receive_tcp(&mut self, reading: &mut Reading) {
        self.disconnect();
        while let Ok(accepted) = self.inbox.accepted.try_recv() {
            let tcp = &mut self.outbox.transmitter().tcp;
            let Some(id) = tcp.adopt(accepted) else {
                continue;
            };
            let len = tcp.received(id, &mut reading.buffer);
            self.take_frames(id, &mut reading.buffer[..len]);
        }
        if self.outbox.transmitter().tcp.is_empty() {
            return;
        }
        let now = self.clock.now();
        self.outbox.transmitter().tcp.poll_ready(&mut reading.ready);
        for ready in reading.ready.drain(..) {
            let tcp = &mut self.outbox.transmitter().tcp;
            if ready.writable {
                tcp.handle_writable(ready.id, now);
            }
            if !ready.readable {
                continue;
            }
            match tcp.receive(ready.id, &mut reading.buffer) {
                Ok(len) => self.take_frames(ready.id, &mut reading.buffer[..len]),
                Err(_) => {
                    tcp.close(ready.id);
                    self.shard.handle_disconnect(ready.id);
                }
            }
        }
    }

    /// Datagrams of a connection. It is closed when they belong to nobody: the first of them must
    /// have been a check that holds.
    fn take_frames(&mut self, id: ConnectionId, bytes: &mut [u8]) {
        let Some(path) = self.outbox.transmitter().tcp.path(id) else {
            return;
        };
        let now = self.clock.now();
        let mut frames = Frames::new(bytes);
        for frame in &mut frames {
            let known = frame.is_ok_and(|datagram| {
                self.shard
                    .handle_datagram(path, datagram, now, &mut self.outbox);
                self.shard.knows(id)
            });
            if !known {
                self.outbox.flush();
                self.outbox.transmitter().tcp.expel(id);
                return self.shard.handle_disconnect(id);
            }
        }
        self.outbox.transmitter().tcp.keep(id, &frames);
    }

    /// Their peers have gone, or have better ones; a goodbye is sent first.
    fn disconnect(&mut self) {
        if self.shard.disconnects.is_empty() {
            return;
        }
        self.outbox.flush();
        for id in self.shard.disconnects.drain(..) {
            self.outbox.transmitter().tcp.close(id);
        }
    }

    /// Until something comes or is due; returns how long that was.
    fn wait(&mut self) -> Micros {
        self.shard.counters.waits += 1;
        let from = self.clock.now();
        let due = self.shard.poll_timeout().saturating_sub(from).min(IDLE);
        let wake = &*self.inbox.wake;
        let tcp = self.outbox.transmitter().tcp.descriptor();
        if wait_readable(&self.socket, wake, tcp, Duration::from_micros(due)) {
            wake.clear();
        }
        self.clock.now() - from
    }

    /// Commands and messages that wait; false to stop.
    fn obey(&mut self) -> bool {
        let now = self.clock.now();
        while let Ok(control) = self.inbox.control.try_recv() {
            match control {
                Control::Command(c) => self.shard.handle_command(c, now, &mut self.outbox),
                Control::Message(message) => self.shard.handle_message(message),
                // Whoever asked may have given up waiting.
                Control::Stats(reply) => drop(reply.send(self.stats())),
                Control::Stop => return false,
            }
        }
        for (track, packet) in self.inbox.media.try_iter().take(INBOX) {
            self.shard.handle_message(Message::Media(track, packet));
        }
        true
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
}
