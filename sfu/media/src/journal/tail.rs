//! Whole records of a journal that may still grow.
//!
//! What comes out depends only on the bytes, never on when they were read: nothing is judged
//! damaged before all of it is there, or can never come (a later segment exists, or the caller
//! says that the writer is gone).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::format::{
    RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION, lock_path,
    segment_numbers, segment_path,
};
use crate::clock::Micros;

/// Read from the file at a time; small enough to be in the cache when it is looked at.
const CHUNK_BYTES: usize = 64 << 10;

/// Stretches remembered for who asks; beyond that they are only counted.
const MAX_DAMAGE: usize = 1024;

/// While searching for the next record, checksums are tried over this many times the bytes before
/// it, and over a head start. What a disk spoils comes nowhere near; a file made to keep a reader
/// busy does.
const SEARCH_FACTOR: u64 = 64;
const SEARCH_START: u64 = 1 << 20;

/// A stretch of a journal that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Number of the segment.
    pub segment: u32,
    /// Where it begins in the segment's file.
    pub offset: u64,
    /// How long it is; 0 when the whole segment is missing.
    pub bytes: u64,
}

/// A record as it is in the file.
#[derive(Debug)]
pub(super) struct RecordView<'a> {
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) kind: u8,
    pub(super) track: u16,
    pub(super) arrival: Micros,
    pub(super) body: &'a [u8],
}

/// Follows the segments of a journal: [`advance`](Self::advance), then [`record`](Self::record).
pub(super) struct Tail {
    directory: PathBuf,
    segment: Option<Segment>,
    unread: Buffer,
    current: Option<RecordHeader>,
    /// The last read got all that was in the file, and there was a record in it: no need to ask
    /// again before the caller comes back.
    caught_up: bool,
    /// What there is, is all there will be.
    writer_is_gone: bool,
    bytes_read: u64,
    errors: u64,
    damage: VecDeque<Damage>,
}

/// Bytes that were read and not yet consumed.
#[derive(Default)]
struct Buffer {
    /// Room that is used again and again; what is outside `start..end` means nothing.
    room: Vec<u8>,
    start: usize,
    end: usize,
}

struct Segment {
    number: u32,
    file: File,
    /// Where the unread bytes begin.
    offset: u64,
    /// Bytes over which checksums were tried in vain.
    tried: u64,
    in_header: bool,
    /// The place of the next record is unknown.
    searching: bool,
    /// A later segment exists, so this one grows no more.
    superseded: bool,
    /// All there will ever be of it has been read.
    complete: bool,
    /// The last read that got something got all there was.
    at_end: bool,
}

/// What the unread bytes begin with.
enum Found {
    Record(RecordHeader),
    /// So many bytes that are in order and not for us.
    Skip(usize),
    Damage,
    /// No saying before more is read.
    Incomplete,
}

impl Tail {
    /// Errors: `NotFound` when there is no journal, `InvalidData` when its format is too new.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let first = segment_numbers(directory)?.into_iter().min();
        if first.is_none() && !lock_path(directory).exists() {
            let message = format!("there is no journal in {}", directory.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        if let Some(first) = first {
            check_version(&segment_path(directory, first))?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            segment: None,
            unread: Buffer::default(),
            current: None,
            caught_up: false,
            writer_is_gone: false,
            bytes_read: 0,
            errors: 0,
            damage: VecDeque::new(),
        })
    }

    /// Go to the next record. False when there is none yet, or none that can be read.
    pub(super) fn advance(&mut self) -> bool {
        if let Some(record) = self.current.take() {
            self.consume(record.record_bytes());
        }
        loop {
            match self.find() {
                Found::Record(header) => {
                    self.current = Some(header);
                    self.caught_up = self.segment.as_ref().is_some_and(|segment| segment.at_end);
                    return true;
                }
                Found::Skip(bytes) => self.consume(bytes),
                Found::Damage => self.waste(),
                Found::Incomplete => match self.read_more() {
                    Ok(true) => {}
                    Ok(false) => return false,
                    Err(_) => {
                        self.errors += 1;
                        return false;
                    }
                },
            }
        }
    }

    /// The record that [`advance`](Self::advance) went to.
    pub(super) fn record(&self) -> Option<RecordView<'_>> {
        let (header, segment) = (self.current?, self.segment.as_ref()?);
        let record = self.unread.bytes().get(..header.record_bytes())?;
        Some(RecordView {
            segment: segment.number,
            offset: segment.offset,
            kind: header.kind,
            track: header.track,
            arrival: header.arrival,
            body: &record[RECORD_HEADER_BYTES..],
        })
    }

    /// Whether what there is, is all there will be.
    pub(super) fn set_writer_is_gone(&mut self, gone: bool) {
        self.writer_is_gone = gone;
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Stretches that were no records, files that could not be read, segments that are missing.
    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    /// The next stretch that was lost, in the order of the journal. One is whole when a record
    /// behind it has been found, or [`advance`](Self::advance) finds nothing more.
    pub(super) fn poll_damage(&mut self) -> Option<Damage> {
        self.damage.pop_front()
    }

    fn find(&mut self) -> Found {
        let Some(segment) = &mut self.segment else {
            return Found::Incomplete;
        };
        let found = segment.judge(self.unread.bytes());
        if !matches!(found, Found::Incomplete) {
            let lost = segment.place(!matches!(found, Found::Damage));
            if lost {
                let (segment, offset) = (segment.number, segment.offset);
                self.lost(segment, offset);
            }
        }
        found
    }

    fn lost(&mut self, segment: u32, offset: u64) {
        self.errors += 1;
        if self.damage.len() < MAX_DAMAGE {
            let bytes = 0;
            self.damage.push_back(Damage {
                segment,
                offset,
                bytes,
            });
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.unread.start += bytes;
        if let Some(segment) = &mut self.segment {
            segment.offset += bytes as u64;
        }
    }

    /// One byte that is of no record.
    fn waste(&mut self) {
        self.consume(1);
        let end = self.segment.as_ref().map(|s| (s.number, s.offset));
        if let (Some((number, end)), Some(last)) = (end, self.damage.back_mut())
            && last.segment == number
            && last.offset + last.bytes + 1 == end
        {
            last.bytes += 1;
        }
    }

    /// Errors leave everything as it is, to be tried again.
    fn read_more(&mut self) -> io::Result<bool> {
        let Some(segment) = &mut self.segment else {
            return self.open_next();
        };
        let may_grow = !segment.superseded && !self.writer_is_gone;
        if std::mem::take(&mut self.caught_up) && may_grow {
            return Ok(false);
        }
        let (read, whole) = self.unread.fill(&segment.file)?;
        self.bytes_read += read as u64;
        if read > 0 {
            segment.complete = false;
            segment.at_end = whole;
            return Ok(true);
        }
        // The writer may have appended between the read and this look: then read once more.
        if !segment.superseded && next_segment(&self.directory, segment.number)?.is_some() {
            segment.superseded = true;
            return Ok(true);
        }
        if may_grow {
            return Ok(false);
        }
        segment.complete = true;
        if self.unread.bytes().is_empty() {
            self.open_next()
        } else {
            Ok(true)
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        let last = self.segment.as_ref().map_or(0, |segment| segment.number);
        let Some(number) = next_segment(&self.directory, last)? else {
            return Ok(false);
        };
        let file = File::open(segment_path(&self.directory, number))?;
        if number != last + 1 {
            self.lost(last + 1, 0);
        }
        self.segment = Some(Segment::new(number, file));
        Ok(true)
    }
}

impl Buffer {
    fn bytes(&self) -> &[u8] {
        &self.room[self.start..self.end]
    }

    /// Read once. Returns how many bytes came, and whether the file had no more.
    fn fill(&mut self, mut file: &File) -> io::Result<(usize, bool)> {
        self.room.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.room.len() < self.end + CHUNK_BYTES {
            self.room.resize(self.end + CHUNK_BYTES, 0);
        }
        let room = &mut self.room[self.end..];
        let read = loop {
            match file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        let whole = read < room.len();
        self.end += read;
        Ok((read, whole))
    }
}

impl Segment {
    fn new(number: u32, file: File) -> Self {
        Self {
            number,
            file,
            offset: 0,
            tried: 0,
            in_header: true,
            searching: false,
            superseded: false,
            complete: false,
            at_end: false,
        }
    }

    fn judge(&mut self, unread: &[u8]) -> Found {
        let found = if self.in_header {
            judge_header(unread)
        } else {
            self.judge_record(unread)
        };
        match found {
            Found::Incomplete if self.complete && !unread.is_empty() => Found::Damage,
            found => found,
        }
    }

    /// While searching, records of a type that we do not know count as damage: too much looks
    /// like one.
    fn judge_record(&mut self, unread: &[u8]) -> Found {
        let Some(header) = RecordHeader::parse(unread) else {
            return Found::Incomplete;
        };
        if !header.is_known() && (self.searching || !header.is_foreign()) {
            return Found::Damage;
        }
        if self.searching && self.tried > (self.offset + SEARCH_START) * SEARCH_FACTOR {
            return Found::Damage;
        }
        match unread.get(..header.record_bytes()) {
            None => Found::Incomplete,
            Some(record) if !header.checks_out(record) => {
                self.tried += record.len() as u64;
                Found::Damage
            }
            Some(record) if !header.is_known() => Found::Skip(record.len()),
            Some(_) => Found::Record(header),
        }
    }

    /// Note whether the place of the next record is known. True when it has just been lost.
    fn place(&mut self, known: bool) -> bool {
        let lost = !known && !self.searching;
        self.searching = !known;
        self.in_header = false;
        lost
    }
}

fn judge_header(unread: &[u8]) -> Found {
    if unread.len() < SEGMENT_HEADER_BYTES {
        return Found::Incomplete;
    }
    match SegmentHeader::parse(unread) {
        Some(header) if header.version != VERSION => Found::Damage,
        Some(header) if unread.len() < header.bytes => Found::Incomplete,
        Some(header) => Found::Skip(header.bytes),
        None => Found::Damage,
    }
}

/// A damaged header is no reason to give up the records behind it.
fn check_version(path: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(SEGMENT_HEADER_BYTES as u64)
        .read_to_end(&mut bytes)?;
    match SegmentHeader::parse(&bytes) {
        Some(header) if header.version != VERSION => {
            let message = format!(
                "{} has format {}, not {VERSION}",
                path.display(),
                header.version
            );
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        _ => Ok(()),
    }
}

fn next_segment(directory: &Path, last: u32) -> io::Result<Option<u32>> {
    Ok(segment_numbers(directory)?
        .into_iter()
        .filter(|&number| number > last)
        .min())
}
