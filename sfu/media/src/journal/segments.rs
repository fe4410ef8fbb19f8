//! The files behind a journal that is being written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_path};
use crate::clock::Micros;

/// A segment under construction. A file; something that fails on purpose in tests.
pub trait SegmentFile: Send {
    /// Write all bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cut back to this length.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Return when everything written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl SegmentFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes the file of a segment, empty and open for appending.
pub type CreateSegment = Box<dyn FnMut(&Path) -> io::Result<Box<dyn SegmentFile>> + Send>;

/// A file on the disk, with its name.
pub(super) fn create_file(path: &Path) -> io::Result<Box<dyn SegmentFile>> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(Box::new(file))
}

/// Cuts what is appended into segments.
pub(super) struct Segments {
    directory: PathBuf,
    create: CreateSegment,
    limit: u64,
    next_number: u32,
    current: Option<Segment>,
}

struct Segment {
    file: Box<dyn SegmentFile>,
    number: u32,
    /// Of the header and the records that are known to be whole.
    length: u64,
}

impl Segments {
    pub(super) fn new(
        directory: PathBuf,
        create: CreateSegment,
        limit: u64,
        next_number: u32,
    ) -> Self {
        Self {
            directory,
            create,
            limit,
            next_number,
            current: None,
        }
    }

    /// Append whole records, all or none of them. After an error the same records must be tried
    /// again first: a reader may have seen the beginning of them.
    pub(super) fn append(&mut self, records: &[u8], first_arrival: Micros) -> io::Result<()> {
        let full = |segment: &Segment| {
            let empty = segment.length <= SEGMENT_HEADER_BYTES as u64;
            !empty && segment.length + records.len() as u64 > self.limit
        };
        if self.current.as_ref().is_some_and(full) {
            self.sync()?;
            self.current = None;
        }
        let mut segment = match self.current.take() {
            Some(segment) => segment,
            None => self.create_next()?,
        };
        match segment.append(records, first_arrival) {
            Ok(()) => self.current = Some(segment),
            Err(error) => {
                // If it cannot even be cut, its end stays torn and the next one takes over: then
                // some records stand in both.
                let mended = segment.file.truncate(segment.length).is_ok();
                self.current = mended.then_some(segment);
                return Err(error);
            }
        }
        Ok(())
    }

    /// After an error what was written is in doubt (Linux forgets it): the next segment takes over.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.current else {
            return Ok(());
        };
        let result = segment.file.sync();
        if result.is_err() {
            self.current = None;
        }
        result
    }

    /// The number counts only once its file is there: a full disk leaves no holes.
    fn create_next(&mut self) -> io::Result<Segment> {
        let number = self.next_number;
        let file = (self.create)(&segment_path(&self.directory, number))?;
        self.next_number += 1;
        Ok(Segment {
            file,
            number,
            length: 0,
        })
    }
}

impl Segment {
    fn append(&mut self, records: &[u8], first_arrival: Micros) -> io::Result<()> {
        let mut length = self.length;
        if length == 0 {
            let header = SegmentHeader::write(self.number, first_arrival);
            self.file.append(&header)?;
            length += header.len() as u64;
        }
        self.file.append(records)?;
        self.length = length + records.len() as u64;
        Ok(())
    }
}
