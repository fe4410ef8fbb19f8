//! The one writer of a journal: a thread that owns the files.
//!
//! An entry reaches the operating system within [`GATHER`] and the disk within [`SYNC_EVERY`].
//! So a killed process loses at most the former, a power cut the latter (and what a slow disk
//! adds to it). The thread sleeps while entries gather instead of being woken by each: a push
//! costs the packet path no system call but for the first one after silence.
//!
//! When writing fails (disk full, folder gone), the records at hand stay in memory, the file is
//! cut back to its last whole record, and entries wait in the queue, which refuses video first.
//! Every [`RETRY_EVERY`] the same records are tried again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::format;
use super::queue::{self, JournalEntry, JournalSink, Outlet, Wish};
use super::segments::{CreateSegment, Segments, create_file};
use crate::clock::Micros;

const GATHER: Duration = Duration::from_millis(20);
const SYNC_EVERY: Duration = Duration::from_secs(1);
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// Records written by one call; a few times what arrives within [`GATHER`].
const BATCH_BYTES: usize = 64 << 10;

/// How to write a journal.
pub struct JournalConfig {
    /// A segment that would grow beyond this is followed by the next one. Bytes.
    pub segment_bytes: u64,
    /// How many entries may wait for the disk.
    pub queue_entries: usize,
    /// Makes the files; replaced in tests.
    pub create_segment: CreateSegment,
    /// Hears of failures, once per change of state, on the writer's thread. It must not block.
    pub notify: Box<dyn Fn(JournalNotice) + Send>,
}

impl Default for JournalConfig {
    /// Segments of 64 MiB; a queue for 8,192 entries: 20 s of a lesson with two videos, 10 MB.
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            queue_entries: 8192,
            create_segment: Box::new(create_file),
            notify: Box::new(|_| {}),
        }
    }
}

/// What the owner of a journal hears from its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalNotice {
    /// The journal cannot be written; it is tried again on and on.
    Failed {
        /// What the operating system says.
        reason: String,
    },
    /// Everything that waited is written.
    Recovered {
        /// Entries dropped since the failure.
        dropped: u64,
    },
}

/// Another writer has the journal. Comes inside an [`io::Error`] of kind `ResourceBusy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlreadyLocked {
    /// The journal.
    pub directory: PathBuf,
}

impl std::fmt::Display for AlreadyLocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the journal {} is being written by another process",
            self.directory.display()
        )
    }
}

impl std::error::Error for AlreadyLocked {}

/// An open journal. [`close`](Self::close) it; dropping it leaves no end record, as a crash does.
pub struct Journal {
    sink: JournalSink,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Journal {
    /// Create the directory where there is none, lock it, and start the writer.
    ///
    /// Segments that exist are kept, writing goes on in the next one. Errors: those of the file
    /// system, and [`AlreadyLocked`].
    pub fn open(directory: &Path, config: JournalConfig) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let lock = lock(directory)?;
        let last = format::segment_numbers(directory)?
            .into_iter()
            .max()
            .unwrap_or(0);
        let next = last.checked_add(1).ok_or(io::ErrorKind::QuotaExceeded)?;
        let directory = directory.to_owned();
        let (sink, outlet) = queue::queue(config.queue_entries);
        let limit = config.segment_bytes;
        let segments = Segments::new(directory, config.create_segment, limit, next);
        let batch_bytes = BATCH_BYTES.min(usize::try_from(limit).unwrap_or(BATCH_BYTES));
        let writer = Writer::new(outlet, segments, batch_bytes, config.notify, lock);
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run())?;
        Ok(Self {
            sink,
            thread: Some(thread),
        })
    }

    /// Where entries go in.
    pub fn sink(&self) -> JournalSink {
        self.sink.clone()
    }

    /// Write what waits and the end record, sync, and release the lock. Blocks until then.
    ///
    /// Refuses all further entries. An error means that the end is not on the disk.
    pub fn close(mut self) -> io::Result<()> {
        self.stop(Wish::Close)
    }

    fn stop(&mut self, wish: Wish) -> io::Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        self.sink.wish_for(wish);
        thread.thread().unpark();
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the journal's writer panicked")))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Nobody is there to hear it, and an abandoned journal says so by itself.
        let _ = self.stop(Wish::Abandon);
    }
}

fn lock(directory: &Path) -> io::Result<File> {
    let path = format::lock_path(directory);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let error = AlreadyLocked {
                directory: directory.to_owned(),
            };
            Err(io::Error::new(io::ErrorKind::ResourceBusy, error))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The thread's side.
struct Writer {
    outlet: Outlet,
    segments: Segments,
    batch: Batch,
    batch_bytes: usize,
    notify: Box<dyn Fn(JournalNotice) + Send>,
    failure: Option<Failure>,
    /// When what was written first after the last sync was written.
    unsynced_since: Option<Instant>,
    last_arrival: Micros,
    /// Held until the thread ends.
    _lock: File,
}

/// Whole records on their way to the file.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    records: u64,
    first_arrival: Micros,
}

/// Writing fails.
struct Failure {
    last_try: Instant,
    /// All that had been dropped when it began.
    dropped_before: u64,
}

impl Writer {
    fn new(
        outlet: Outlet,
        segments: Segments,
        batch_bytes: usize,
        notify: Box<dyn Fn(JournalNotice) + Send>,
        lock: File,
    ) -> Self {
        Self {
            outlet,
            segments,
            batch: Batch::default(),
            batch_bytes,
            notify,
            failure: None,
            unsynced_since: None,
            last_arrival: 0,
            _lock: lock,
        }
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            match self.outlet.wish() {
                Wish::Write => self.turn(),
                Wish::Close => return self.finish(),
                Wish::Abandon => return Ok(()),
            }
        }
    }

    fn turn(&mut self) {
        match &self.failure {
            None => self.gather(),
            Some(failure) => {
                thread::park_timeout(RETRY_EVERY.saturating_sub(failure.last_try.elapsed()));
                if !self.retry_is_due() {
                    return; // woken for a new wish
                }
            }
        }
        // The owner hears of errors through `notify`.
        let _ = self.write_waiting();
        let _ = self.sync_if_due();
    }

    /// Wait for a first entry, then let others join it.
    fn gather(&mut self) {
        let until_sync = self
            .unsynced_since
            .map(|since| SYNC_EVERY.saturating_sub(since.elapsed()));
        if let Some(entry) = self.outlet.wait(until_sync) {
            self.add(&entry);
            thread::park_timeout(GATHER);
        }
    }

    fn retry_is_due(&self) -> bool {
        self.failure
            .as_ref()
            .is_none_or(|failure| failure.last_try.elapsed() >= RETRY_EVERY)
    }

    /// Write all that is in the queue. What failed before goes first, and alone.
    fn write_waiting(&mut self) -> io::Result<()> {
        if self.failure.is_some() {
            self.write_batch()?;
        }
        while let Some(entry) = self.outlet.poll() {
            self.add(&entry);
            if self.batch.bytes.len() >= self.batch_bytes {
                self.write_batch()?;
            }
        }
        self.write_batch()
    }

    fn add(&mut self, entry: &JournalEntry) {
        self.last_arrival = self.last_arrival.max(entry.arrival());
        self.batch
            .add(entry.arrival(), |buffer| entry.append_to(buffer));
    }

    fn write_batch(&mut self) -> io::Result<()> {
        if self.batch.records == 0 {
            return Ok(());
        }
        match self
            .segments
            .append(&self.batch.bytes, self.batch.first_arrival)
        {
            Ok(()) => {
                self.outlet
                    .count_written(self.batch.records, self.batch.bytes.len() as u64);
                self.batch.clear();
                self.unsynced_since.get_or_insert_with(Instant::now);
                self.recovered();
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn sync_if_due(&mut self) -> io::Result<()> {
        match self.unsynced_since {
            Some(since) if since.elapsed() >= SYNC_EVERY => self.sync(),
            _ => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.unsynced_since = None;
        self.segments.sync().map_err(|error| self.failed(error))
    }

    /// Drain, then the end record. One try: the owner waits.
    fn finish(mut self) -> io::Result<()> {
        self.write_waiting()?;
        let arrival = self.last_arrival;
        self.batch.add(arrival, |buffer| {
            format::append_record(buffer, (format::END, 0, arrival), [&[], &[]]);
        });
        self.write_batch()?;
        self.sync()
    }

    fn failed(&mut self, error: io::Error) -> io::Error {
        let dropped_before = match &self.failure {
            Some(failure) => failure.dropped_before,
            None => {
                (self.notify)(JournalNotice::Failed {
                    reason: error.to_string(),
                });
                self.outlet.dropped()
            }
        };
        self.failure = Some(Failure {
            last_try: Instant::now(),
            dropped_before,
        });
        error
    }

    fn recovered(&mut self) {
        if let Some(failure) = self.failure.take() {
            let dropped = self.outlet.dropped() - failure.dropped_before;
            (self.notify)(JournalNotice::Recovered { dropped });
        }
    }
}

impl Batch {
    fn add(&mut self, arrival: Micros, append: impl FnOnce(&mut Vec<u8>)) {
        if self.records == 0 {
            self.first_arrival = arrival;
        }
        append(&mut self.bytes);
        self.records += 1;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
    }
}
