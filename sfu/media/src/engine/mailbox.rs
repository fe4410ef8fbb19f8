//! What threads leave for each other: commands and media for a shard, events for Python.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::stats::ShardStats;
use crate::ids::UptrackId;
use crate::shard::{Command, Message};
use crate::tcp::Accepted;
use crate::track::Packet;
use crate::udp::Wake;

/// Packets of other shards that wait for this one; further ones are dropped and counted.
pub(super) const INBOX: usize = 8_192;
/// TCP connections that wait for their shard to take them; further ones are closed and counted.
const ACCEPTED: usize = 64;

/// Events on their way to Python.
pub(super) struct EventQueue<E> {
    events: Mutex<VecDeque<E>>,
    pub(super) wake: Wake,
}

impl<E> EventQueue<E> {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            events: Mutex::new(VecDeque::new()),
            wake: Wake::new()?,
        })
    }

    /// Append; the queue's descriptor becomes readable.
    pub(super) fn push(&self, event: E) {
        self.locked().push_back(event);
        self.wake.wake();
    }

    /// All that wait.
    pub(super) fn take(&self) -> VecDeque<E> {
        self.wake.clear();
        std::mem::take(&mut *self.locked())
    }

    pub(super) fn len(&self) -> usize {
        self.locked().len()
    }

    /// The queue holds whole values whatever thread died with the lock.
    fn locked(&self) -> std::sync::MutexGuard<'_, VecDeque<E>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked of a shard.
pub(super) enum Control {
    Command(Command),
    Message(Message),
    Stats(Sender<ShardStats>),
    Stop,
}

/// Where others leave things for a shard.
#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) control: Sender<Control>,
    pub(super) media: SyncSender<(UptrackId, Arc<Packet>)>,
    pub(super) accepted: SyncSender<Accepted>,
    pub(super) wake: Arc<Wake>,
}

impl Mailbox {
    /// Leave something, and wake the shard for it.
    pub(super) fn post(&self, control: Control) {
        self.leave(control);
        self.wake.wake();
    }

    /// Hand over a TCP connection; false when too many wait.
    pub(super) fn hand_over(&self, accepted: Accepted) -> bool {
        let left = self.accepted.try_send(accepted).is_ok();
        self.wake.wake();
        left
    }

    /// Leave something for when the shard looks. One that has ended hears nothing any more.
    pub(super) fn leave(&self, control: Control) {
        let _ = self.control.send(control);
    }
}

/// The receiving ends of a mailbox.
pub(super) struct Inbox {
    pub(super) control: Receiver<Control>,
    pub(super) media: Receiver<(UptrackId, Arc<Packet>)>,
    pub(super) accepted: Receiver<Accepted>,
    pub(super) wake: Arc<Wake>,
}

/// Both ends of a mailbox.
pub(super) fn mailbox() -> io::Result<(Mailbox, Inbox)> {
    let (control, control_inbox) = channel();
    let (media, media_inbox) = sync_channel(INBOX);
    let (accepted, accepted_inbox) = sync_channel(ACCEPTED);
    let wake = Arc::new(Wake::new()?);
    let inbox = Inbox {
        control: control_inbox,
        media: media_inbox,
        accepted: accepted_inbox,
        wake: Arc::clone(&wake),
    };
    Ok((
        Mailbox {
            control,
            media,
            accepted,
            wake,
        },
        inbox,
    ))
}
