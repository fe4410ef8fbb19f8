//! The lesson's journal: everything that was published, in the order in which it arrived.
//!
//! What may live here: the format on disk, the one writer of a journal, and its readers. What is
//! made of a journal is made elsewhere.
//!
//! The format is told in `docs/journal.md`, byte by byte, with what a reader does about late
//! packets and about damage. In short: a directory of segments, each a header and then records,
//! each with a length and a CRC-32; the last segment grows, and an exclusive `flock(2)` on `lock`
//! says that somebody writes.

mod format;
mod queue;
mod raw;
mod reader;
mod segments;
mod tail;
mod track;
mod writer;

pub use queue::{JournalEntry, JournalSink, JournalStats, Keeps};
pub use raw::{RawItem, RawReader, RawRecord};
pub use reader::{JournalReader, Packets, Record, RtpRecord};
pub use segments::{CreateSegment, SegmentFile};
pub use tail::Damage;
pub use writer::{AlreadyLocked, Journal, JournalConfig, JournalNotice};
