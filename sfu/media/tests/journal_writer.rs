//! The writer's promises: one at a time, nothing torn, and a full disk is a pause.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tongbu_media::codec::Codec;
use tongbu_media::ids::JournalId;
use tongbu_media::journal::{
    AlreadyLocked, Journal, JournalConfig, JournalEntry, JournalNotice, JournalReader, JournalSink,
    Keeps, Record, SegmentFile,
};
use tongbu_media::journals::Journals;

mod lesson;
mod packetise;
use lesson::{START, Scratch, event, eventually, packets, read_all, rtp};
use packetise::Sent;

/// A disk with so many bytes left, and what the writer said of it.
#[derive(Clone, Default)]
struct Disk {
    left: Arc<AtomicI64>,
    truncate_fails: bool,
    notices: Arc<Mutex<Vec<JournalNotice>>>,
}

impl Disk {
    fn with(bytes: i64) -> Self {
        Self {
            left: Arc::new(AtomicI64::new(bytes)),
            ..Self::default()
        }
    }

    fn set(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    fn notices(&self) -> Vec<JournalNotice> {
        self.notices.lock().unwrap().clone()
    }

    fn open(&self, directory: &Path, queue_entries: usize) -> Journal {
        let (disk, notices) = (self.clone(), Arc::clone(&self.notices));
        let create = move |path: &Path| -> io::Result<Box<dyn SegmentFile>> {
            let inner = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)?;
            Ok(Box::new(Faulty {
                inner,
                disk: disk.clone(),
            }))
        };
        let config = JournalConfig {
            queue_entries,
            create_segment: Box::new(create),
            notify: Box::new(move |notice| notices.lock().unwrap().push(notice)),
            ..JournalConfig::default()
        };
        Journal::open(directory, config).unwrap()
    }
}

struct Faulty {
    inner: std::fs::File,
    disk: Disk,
}

impl SegmentFile for Faulty {
    /// What still fits is written, as a real disk does.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self
            .disk
            .left
            .fetch_sub(bytes.len() as i64, Ordering::SeqCst);
        let fits = usize::try_from(left).unwrap_or(0).min(bytes.len());
        self.inner.append(&bytes[..fits])?;
        if fits < bytes.len() {
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        } else {
            Ok(())
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.disk.truncate_fails {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.inner.truncate(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }
}

fn packet(track: u16, video: bool, sequence: u64) -> JournalEntry {
    let arrival = START + sequence * 1000;
    let payload = vec![sequence as u8; 1000];
    rtp(
        track,
        video,
        &Sent {
            sequence,
            timestamp: sequence as u32,
            marker: true,
            arrival,
            payload,
        },
    )
}

fn push_all(sink: &JournalSink, entries: impl IntoIterator<Item = JournalEntry>) -> usize {
    entries
        .into_iter()
        .filter(|entry| sink.push(entry.clone()))
        .count()
}

fn has_end(records: &[Record]) -> bool {
    matches!(records.last(), Some(Record::End { .. }))
}

#[test]
fn a_journal_has_one_writer_at_a_time() {
    let scratch = Scratch::new();
    let first = Journal::open(scratch.path(), JournalConfig::default()).unwrap();
    let error = Journal::open(scratch.path(), JournalConfig::default())
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert!(error.get_ref().unwrap().is::<AlreadyLocked>());
    first.sink().push(event(START, "{}".into()));
    first.close().unwrap();
    let second = Journal::open(scratch.path(), JournalConfig::default()).unwrap();
    second.sink().push(event(START + 1, "{}".into()));
    drop(second);
    Journal::open(scratch.path(), JournalConfig::default())
        .unwrap()
        .close()
        .unwrap();
    assert!(scratch.segment(1).exists() && scratch.segment(2).exists());
    let (records, errors) = read_all(scratch.path());
    assert_eq!(
        (records[1].clone(), errors),
        (Record::End { arrival: START }, 0)
    );
}

#[test]
fn closing_writes_everything_and_refuses_more() {
    let scratch = Scratch::new();
    let journal = Journal::open(scratch.path(), JournalConfig::default()).unwrap();
    let sink = journal.sink();
    assert_eq!(
        push_all(&sink, (0..5000).map(|at| packet(1, true, at))),
        5000
    );
    journal.close().unwrap();
    assert!(!sink.push(packet(1, true, 5000)));
    assert_eq!(
        (sink.stats().records, sink.stats().dropped_video),
        (5001, 1)
    );
    assert_eq!(packets(scratch.path()), 5000);
    assert!(has_end(&read_all(scratch.path()).0));
}

#[test]
fn dropping_leaves_what_was_written_and_no_end() {
    let scratch = Scratch::new();
    let journal = Journal::open(scratch.path(), JournalConfig::default()).unwrap();
    let sink = journal.sink();
    push_all(&sink, (0..100).map(|at| packet(1, false, at)));
    eventually(|| sink.stats().records == 100);
    drop(journal);
    assert!(!sink.push(packet(1, false, 100)));
    assert_eq!(packets(scratch.path()), 100);
    assert!(!has_end(&read_all(scratch.path()).0));
}

#[test]
fn a_reader_sees_records_while_the_journal_is_open() {
    let scratch = Scratch::new();
    let journal = Journal::open(scratch.path(), JournalConfig::default()).unwrap();
    let mut reader = JournalReader::open(scratch.path()).unwrap();
    for at in 0..3 {
        journal.sink().push(event(START + at, format!("{at}")));
        let expected = [Record::Event {
            arrival: START + at,
            json: format!("{at}"),
        }];
        eventually(|| match reader.read(10) {
            records if records.is_empty() => false,
            records => records == expected,
        });
    }
    journal.close().unwrap();
    assert!(has_end(&reader.read(10)));
}

#[test]
fn a_full_disk_is_told_once_and_costs_nothing_while_the_queue_lasts() {
    for truncate_fails in [false, true] {
        let scratch = Scratch::new();
        let disk = Disk {
            truncate_fails,
            ..Disk::with(50_000)
        };
        let journal = disk.open(scratch.path(), 1024);
        let sink = journal.sink();
        sink.push(lesson::published(1, Codec::Opus));
        assert_eq!(push_all(&sink, (0..40).map(|at| packet(1, true, at))), 40);
        eventually(|| sink.stats().records == 41);
        assert_eq!(push_all(&sink, (40..100).map(|at| packet(1, true, at))), 60);
        eventually(|| !disk.notices().is_empty());
        disk.set(1 << 30);
        eventually(|| sink.stats().records == 101);
        journal.close().unwrap();
        let reason = io::Error::from_raw_os_error(libc::ENOSPC).to_string();
        let failed = JournalNotice::Failed { reason };
        assert_eq!(
            disk.notices(),
            [failed, JournalNotice::Recovered { dropped: 0 }]
        );
        let (records, errors) = read_all(scratch.path());
        let frames = lesson::frames(&records, 1);
        let timestamps: Vec<_> = frames.iter().map(|frame| frame.1).collect();
        assert_eq!(timestamps, (0..100).collect::<Vec<_>>());
        assert!(frames.iter().all(|frame| !frame.2));
        assert_eq!(
            errors,
            u64::from(truncate_fails),
            "the torn end of the segment given up"
        );
        assert_eq!(scratch.segment(2).exists(), truncate_fails);
    }
}

#[test]
fn what_fails_first_is_the_header_of_a_segment() {
    let scratch = Scratch::new();
    let disk = Disk::with(10);
    let journal = disk.open(scratch.path(), 64);
    journal.sink().push(event(START, "{}".into()));
    eventually(|| disk.notices().len() == 1);
    disk.set(1 << 20);
    eventually(|| disk.notices().len() == 2);
    journal.close().unwrap();
    let (records, errors) = read_all(scratch.path());
    assert_eq!((records.len(), errors), (2, 0));
    assert!(scratch.segment(1).exists() && !scratch.segment(2).exists());
}

#[test]
fn a_full_queue_refuses_video_then_audio_then_events() {
    let scratch = Scratch::new();
    let disk = Disk::with(0);
    let journal = disk.open(scratch.path(), 64);
    let sink = journal.sink();
    sink.push(event(START, "{}".into()));
    eventually(|| disk.notices().len() == 1); // from here on the queue is left alone
    assert_eq!(push_all(&sink, (0..200).map(|at| packet(1, true, at))), 48);
    assert_eq!(push_all(&sink, (0..200).map(|at| packet(2, false, at))), 12);
    assert_eq!(
        push_all(&sink, (0..200).map(|at| event(START + at, "{}".into()))),
        4
    );
    assert_eq!(
        (sink.stats().dropped_video, sink.stats().dropped_other),
        (152, 188 + 196)
    );
    disk.set(1 << 30);
    eventually(|| disk.notices().len() == 2);
    journal.close().unwrap();
    assert_eq!(
        disk.notices()[1],
        JournalNotice::Recovered {
            dropped: 152 + 188 + 196
        }
    );
    assert_eq!(packets(scratch.path()), 60);
}

#[test]
fn a_journal_takes_what_is_to_be_kept() {
    let scratch = Scratch::new();
    let journal = Journal::open(scratch.path(), JournalConfig::default()).unwrap();
    let sink = journal.sink();
    let report = JournalEntry::SenderReport {
        track: 1,
        arrival: START,
        ntp: 1,
        rtp: 1,
    };
    let all = [
        packet(1, true, 0),
        packet(2, false, 0),
        report,
        event(START, "{}".into()),
    ];
    for (keeps, taken) in [
        (Keeps::Everything, 4),
        (Keeps::Sound, 3),
        (Keeps::Events, 1),
        (Keeps::Everything, 4),
    ] {
        sink.keep(keeps);
        assert_eq!(push_all(&sink, all.clone()), taken, "{keeps:?}");
    }
    assert_eq!(
        (sink.stats().dropped_video, sink.stats().dropped_other),
        (2, 2)
    );
    journal.close().unwrap();
    assert_eq!(packets(scratch.path()), 5);
}

#[test]
fn all_journals_of_an_engine_keep_the_same_also_those_to_come() {
    let (one, other) = (Scratch::new(), Scratch::new());
    let journals = Journals::new(|| ());
    journals.open(JournalId(1), one.path()).unwrap();
    journals.keep(Keeps::Sound);
    journals.open(JournalId(2), other.path()).unwrap();
    for id in [JournalId(1), JournalId(2)] {
        let sink = journals.sink(id).unwrap();
        assert!(!sink.push(packet(1, true, 0)) && sink.push(packet(2, false, 0)));
    }
    journals.close_all();
}

#[test]
fn closing_on_a_full_disk_says_so_and_does_not_hang() {
    let scratch = Scratch::new();
    let disk = Disk::with(0);
    let journal = disk.open(scratch.path(), 64);
    journal.sink().push(event(START, "{}".into()));
    eventually(|| disk.notices().len() == 1);
    assert_eq!(
        journal.close().unwrap_err().raw_os_error(),
        Some(libc::ENOSPC)
    );
    assert!(read_all(scratch.path()).0.is_empty());
    Journal::open(scratch.path(), JournalConfig::default())
        .unwrap()
        .close()
        .unwrap();
}

#[test]
fn a_folder_that_is_gone_is_a_failure_like_any_other() {
    let scratch = Scratch::new();
    let (send, notices) = std::sync::mpsc::channel();
    let config = JournalConfig {
        notify: Box::new(move |notice| send.send(notice).unwrap()),
        ..JournalConfig::default()
    };
    let journal = Journal::open(scratch.path(), config).unwrap();
    std::fs::remove_dir_all(scratch.path()).unwrap();
    journal.sink().push(event(START, "{}".into()));
    assert!(matches!(
        notices.recv().unwrap(),
        JournalNotice::Failed { .. }
    ));
    std::fs::create_dir_all(scratch.path()).unwrap();
    assert_eq!(
        notices.recv().unwrap(),
        JournalNotice::Recovered { dropped: 0 }
    );
    journal.close().unwrap();
    assert_eq!(read_all(scratch.path()).0.len(), 2);
}

#[test]
fn what_is_too_large_for_a_record_is_refused() {
    let scratch = Scratch::new();
    let journal = Journal::open(scratch.path(), JournalConfig::default()).unwrap();
    assert!(!journal.sink().push(event(START, " ".repeat((1 << 20) + 1))));
    assert!(journal.sink().push(event(START, " ".repeat(1 << 20))));
    journal.close().unwrap();
    assert_eq!(read_all(scratch.path()).0.len(), 2);
}

#[test]
fn a_long_lesson_comes_back_whole() {
    let scratch = Scratch::new();
    let entries = (0..100_000).map(|at| packet(1, true, at));
    let published = [lesson::published(1, Codec::Opus)];
    lesson::write(
        scratch.path(),
        16 << 20,
        published.into_iter().chain(entries),
    );
    let (records, errors) = read_all(scratch.path());
    let frames = lesson::frames(&records, 1);
    assert_eq!((frames.len(), errors), (100_000, 0));
    assert!(
        frames
            .iter()
            .enumerate()
            .all(|(at, &(data, timestamp, lost))| {
                data.len() == 1000 && data[0] == at as u8 && timestamp == at as u32 && !lost
            })
    );
}
