//! The loop of one core: receive, decide, send, wait.

use std::sync::Arc;
use std::time::Duration;

use super::Clock;
use super::load::Load;
use super::mailbox::{Control, EventQueue, INBOX, Inbox, Mailbox};
use crate::clock::{Micros, SECOND};
use crate::latency::Histogram;
use crate::outbox::{Outbox, Outgoing, Transmit};
use crate::shard::{Event, Message, Shard};
use crate::udp::{BATCH, ReceiveBatch, Socket, wait_readable};

/// Events that wait for Python; beyond it DTLS datagrams are dropped (they are sent again).
const MAX_EVENTS: usize = 16_384;
/// Batches taken from the socket before anything is sent on.
const MAX_BATCHES: usize = 4;
/// Longest sleep of a shard without peers.
const IDLE: Micros = SECOND;

/// A socket, and how long what it sent had been on this machine by then.
pub(super) struct Measured {
    pub(super) socket: Socket,
    pub(super) latency: Histogram,
    clock: Clock,
}

impl Measured {
    pub(super) fn new(socket: Socket, clock: Clock) -> Self {
        Self {
            socket,
            latency: Histogram::default(),
            clock,
        }
    }
}

impl Transmit for Measured {
    fn transmit(&mut self, arena: &[u8], datagrams: &[Outgoing]) {
        self.socket.transmit(arena, datagrams);
        let now = self.clock.now();
        for datagram in datagrams.iter().filter(|d| d.arrival > 0) {
            self.latency.record(now.saturating_sub(datagram.arrival));
        }
    }
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
        let mut load = Load::new(self.clock.now());
        // Commands first: a check may follow its peer's announcement on the heels.
        while self.obey() {
            let drained = self.receive(&mut batch);
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

    /// Until something comes or is due; returns how long that was.
    fn wait(&mut self) -> Micros {
        self.shard.counters.waits += 1;
        let from = self.clock.now();
        let due = self.shard.poll_timeout().saturating_sub(from).min(IDLE);
        let wake = &*self.inbox.wake;
        if wait_readable(&self.socket, wake, Duration::from_micros(due)) {
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
