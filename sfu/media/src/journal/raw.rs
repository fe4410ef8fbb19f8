//! A journal's records as they are in the files: for tools.

use std::io;
use std::path::Path;

use super::tail::{Damage, Tail};
use crate::clock::Micros;

/// A record of a known type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Number of the segment.
    pub segment: u32,
    /// Where it begins in the segment's file.
    pub offset: u64,
    /// Its type: 1 event, 2 RTP, 3 sender report, 4 end.
    pub kind: u8,
    /// The journal's number of the track, or 0.
    pub track: u16,
    /// When it arrived.
    pub arrival: Micros,
    /// What follows the record's header.
    pub body: Vec<u8>,
}

/// What stands in a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawItem {
    /// A record that checks out.
    Record(RawRecord),
    /// What is none.
    Damage(Damage),
}

/// Reads the records of a journal in the order of the files; nothing is reordered or put together.
pub struct RawReader {
    tail: Tail,
    /// A record behind damage that was not told yet.
    next: Option<RawRecord>,
}

impl RawReader {
    /// Errors: as [`JournalReader::open`](super::JournalReader::open).
    pub fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            tail: Tail::open(directory)?,
            next: None,
        })
    }

    /// Up to `limit` items; none when caught up with the writer.
    pub fn read(&mut self, limit: usize) -> Vec<RawItem> {
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(item) = self.item(false)
        {
            items.push(item);
        }
        items
    }

    /// The same where the writer is gone: a torn end is damage, and waited for no longer.
    pub fn flush(&mut self, limit: usize) -> Vec<RawItem> {
        self.tail.set_writer_is_gone(true);
        let mut items = self.read(limit);
        while items.len() < limit
            && let Some(item) = self.item(true)
        {
            items.push(item);
        }
        self.tail.set_writer_is_gone(false);
        items
    }

    /// Bytes read from the files.
    pub fn bytes_read(&self) -> u64 {
        self.tail.bytes_read()
    }

    /// Stretches that are no records, segments that are missing, and failed attempts to read.
    pub fn errors(&self) -> u64 {
        self.tail.errors()
    }

    /// Damage comes before the record behind it: only then is known how long it is.
    fn item(&mut self, at_end: bool) -> Option<RawItem> {
        if self.next.is_none() && self.tail.advance() {
            self.next = self.tail.record().map(|record| RawRecord {
                segment: record.segment,
                offset: record.offset,
                kind: record.kind,
                track: record.track,
                arrival: record.arrival,
                body: record.body.to_vec(),
            });
        }
        if (self.next.is_some() || at_end)
            && let Some(damage) = self.tail.poll_damage()
        {
            return Some(RawItem::Damage(damage));
        }
        self.next.take().map(RawItem::Record)
    }
}
