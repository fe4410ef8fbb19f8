//! What goes to the journal, and the bounded queue it goes by.
//!
//! The packet path must never wait for a disk. When the queue fills, video is refused first, then
//! audio and sender reports, then events: a lesson with sound and without pictures is a lesson,
//! and without the event that tells a track's codec its packets mean nothing. In the same order
//! the owner may refuse them before the disk is full ([`Keeps`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::format;
use crate::clock::Micros;
use crate::track::Packet;

/// One thing to write down.
#[derive(Clone, Debug)]
pub enum JournalEntry {
    /// A media packet.
    Rtp {
        /// The journal's number of the track.
        track: u16,
        /// When the packet arrived.
        arrival: Micros,
        /// The RTP header it would be sent with: no CSRCs, no extension, no padding.
        header: [u8; 12],
        /// Its payload counts.
        packet: Arc<Packet>,
        /// Dropped before anything else.
        video: bool,
    },
    /// The publisher's clock (RFC 3550, 6.4.1).
    SenderReport {
        /// The journal's number of the track.
        track: u16,
        /// When the report arrived.
        arrival: Micros,
        /// NTP timestamp, 32.32 bits.
        ntp: u64,
        /// RTP timestamp of the same moment.
        rtp: u32,
    },
    /// Something that happened in the lesson.
    Event {
        /// When.
        arrival: Micros,
        /// One JSON object.
        json: String,
    },
}

impl JournalEntry {
    pub(super) fn arrival(&self) -> Micros {
        match self {
            Self::Rtp { arrival, .. }
            | Self::SenderReport { arrival, .. }
            | Self::Event { arrival, .. } => *arrival,
        }
    }

    pub(super) fn append_to(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Rtp {
                track,
                arrival,
                header,
                packet,
                ..
            } => {
                let body = [&header[..], &packet.payload];
                format::append_record(buffer, (format::RTP, *track, *arrival), body);
            }
            Self::SenderReport {
                track,
                arrival,
                ntp,
                rtp,
            } => {
                let body = [&ntp.to_le_bytes()[..], &rtp.to_le_bytes()];
                format::append_record(buffer, (format::SENDER_REPORT, *track, *arrival), body);
            }
            Self::Event { arrival, json } => {
                let body = [json.as_bytes(), &[]];
                format::append_record(buffer, (format::EVENT, 0, *arrival), body);
            }
        }
    }

    fn is_video(&self) -> bool {
        matches!(self, Self::Rtp { video: true, .. })
    }

    fn fits(&self) -> bool {
        match self {
            Self::Rtp { packet, .. } => {
                format::fits(format::RTP, format::RTP_HEADER_BYTES + packet.payload.len())
            }
            Self::SenderReport { .. } => true,
            Self::Event { json, .. } => format::fits(format::EVENT, json.len()),
        }
    }

    /// How many entries may wait before this one is refused, of a queue for `capacity`.
    fn share(&self, capacity: usize) -> usize {
        match self {
            Self::Rtp { video: true, .. } => capacity / 4 * 3,
            Self::Rtp { .. } | Self::SenderReport { .. } => capacity / 16 * 15,
            Self::Event { .. } => capacity,
        }
    }
}

/// What a journal takes; the rest is refused, so that the last of a disk is for what matters most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeps {
    /// All there is.
    #[default]
    Everything,
    /// No video.
    Sound,
    /// Neither video nor audio, nor sender reports.
    Events,
}

impl Keeps {
    fn takes(self, entry: &JournalEntry) -> bool {
        match self {
            Self::Everything => true,
            Self::Sound => !entry.is_video(),
            Self::Events => matches!(entry, JournalEntry::Event { .. }),
        }
    }
}

/// Counters of a journal since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Records handed to the operating system.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Video packets refused because the queue was full, or video is not kept.
    pub dropped_video: u64,
    /// Everything else refused because the queue was full, it is not kept, or is too large for a
    /// record.
    pub dropped_other: u64,
}

/// What the owner wants of the writer thread.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Wish {
    Write,
    /// Write what waits and the end record, then stop.
    Close,
    /// Stop.
    Abandon,
}

#[derive(Default)]
struct Shared {
    capacity: usize,
    queued: AtomicUsize,
    wish: AtomicU8,
    keeps: AtomicU8,
    records: AtomicU64,
    bytes: AtomicU64,
    dropped_video: AtomicU64,
    dropped_other: AtomicU64,
}

enum Message {
    Entry(JournalEntry),
    /// Look at the wish.
    Wake,
}

/// Where entries go in. Cheap to clone; every shard has one.
#[derive(Clone)]
pub struct JournalSink {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// Where they come out, on the writer thread.
pub(super) struct Outlet {
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
}

/// A queue for so many entries; at least 16, so that every kind has its share.
pub(super) fn queue(capacity: usize) -> (JournalSink, Outlet) {
    let capacity = capacity.max(16);
    let (sender, receiver) = sync_channel(capacity + 1); // one for `Wake`
    let shared = Arc::new(Shared {
        capacity,
        ..Shared::default()
    });
    (
        JournalSink {
            sender,
            shared: Arc::clone(&shared),
        },
        Outlet { receiver, shared },
    )
}

impl JournalSink {
    /// Queue the entry. False when it was dropped: its kind is not kept, or has no room in the
    /// queue, it is too large for a record, or the journal is closed. Never blocks.
    pub fn push(&self, entry: JournalEntry) -> bool {
        let video = entry.is_video();
        let shared = &self.shared;
        let wanted = shared.wish() == Wish::Write && shared.keeps().takes(&entry);
        let taken = wanted && entry.fits() && self.enqueue(entry);
        if !taken {
            let counter = if video {
                &self.shared.dropped_video
            } else {
                &self.shared.dropped_other
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn enqueue(&self, entry: JournalEntry) -> bool {
        let share = entry.share(self.shared.capacity);
        let room = self.shared.queued.fetch_add(1, Ordering::Relaxed) < share;
        let taken = room && self.sender.try_send(Message::Entry(entry)).is_ok();
        if !taken {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// Take no more than this from now on. What waits already is written.
    pub fn keep(&self, keeps: Keeps) {
        self.shared.keeps.store(keeps as u8, Ordering::Relaxed);
    }

    /// Counters since the journal was opened.
    pub fn stats(&self) -> JournalStats {
        self.shared.stats()
    }

    /// Entries that wait for the writer.
    pub fn queued(&self) -> usize {
        self.shared.queued.load(Ordering::Relaxed)
    }

    pub(super) fn wish_for(&self, wish: Wish) {
        self.shared.wish.store(wish as u8, Ordering::Release);
        // A full queue means that the writer is awake.
        let _ = self.sender.try_send(Message::Wake);
    }
}

impl Shared {
    fn wish(&self) -> Wish {
        match self.wish.load(Ordering::Acquire) {
            wish if wish == Wish::Close as u8 => Wish::Close,
            wish if wish == Wish::Abandon as u8 => Wish::Abandon,
            _ => Wish::Write,
        }
    }

    fn keeps(&self) -> Keeps {
        match self.keeps.load(Ordering::Relaxed) {
            keeps if keeps == Keeps::Sound as u8 => Keeps::Sound,
            keeps if keeps == Keeps::Events as u8 => Keeps::Events,
            _ => Keeps::Everything,
        }
    }

    fn stats(&self) -> JournalStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JournalStats {
            records: load(&self.records),
            bytes: load(&self.bytes),
            dropped_video: load(&self.dropped_video),
            dropped_other: load(&self.dropped_other),
        }
    }
}

impl Outlet {
    pub(super) fn wish(&self) -> Wish {
        self.shared.wish()
    }

    /// The next entry, if one waits.
    pub(super) fn poll(&self) -> Option<JournalEntry> {
        loop {
            if let Message::Entry(entry) = self.receiver.try_recv().ok()? {
                return Some(self.taken(entry));
            }
        }
    }

    /// Wait for an entry; `None` after the time, or when there may be a new wish.
    pub(super) fn wait(&self, timeout: Option<std::time::Duration>) -> Option<JournalEntry> {
        let message = match timeout {
            Some(timeout) => self.receiver.recv_timeout(timeout).ok()?,
            None => self.receiver.recv().ok()?,
        };
        match message {
            Message::Entry(entry) => Some(self.taken(entry)),
            Message::Wake => None,
        }
    }

    fn taken(&self, entry: JournalEntry) -> JournalEntry {
        self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        entry
    }

    pub(super) fn count_written(&self, records: u64, bytes: u64) {
        self.shared.records.fetch_add(records, Ordering::Relaxed);
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        let stats = self.shared.stats();
        stats.dropped_video + stats.dropped_other
    }
}
