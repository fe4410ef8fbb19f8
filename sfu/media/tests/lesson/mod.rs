//! Journals for tests: a place for them, and entries to fill them with.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tongbu_media::codec::Codec;
use tongbu_media::journal::{Journal, JournalConfig, JournalEntry, JournalReader, Record};
use tongbu_media::track::Packet;

use crate::packetise::{Sent, Stream};

pub const START: u64 = 1_700_000_000_000_000;

/// A directory that goes away with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tongbu-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn segment(&self, number: u32) -> PathBuf {
        self.0.join(format!("{number:08}.tbj"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "H264",
        Codec::Vp8 => "VP8",
        Codec::Vp9 => "VP9",
        Codec::Av1 => "AV1",
        Codec::Opus => "opus",
    }
}

pub fn event(arrival: u64, json: String) -> JournalEntry {
    JournalEntry::Event { arrival, json }
}

pub fn published(track: u16, codec: Codec) -> JournalEntry {
    let codec = name(codec);
    event(
        START,
        format!(r#"{{"type":"track_published","track":{track},"codec":"{codec}"}}"#),
    )
}

/// The wire's sequence numbers start shortly before they wrap.
pub fn rtp(track: u16, video: bool, sent: &Sent) -> JournalEntry {
    let mut header = [
        0x80,
        96 + track as u8,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        track as u8,
    ];
    header[1] |= u8::from(sent.marker) << 7;
    header[2..4].copy_from_slice(&(sent.sequence as u16).wrapping_sub(20).to_be_bytes());
    header[4..8].copy_from_slice(&sent.timestamp.to_be_bytes());
    let packet = Arc::new(Packet {
        payload: sent.payload.clone(),
        ..Packet::default()
    });
    JournalEntry::Rtp {
        track,
        arrival: sent.arrival,
        header,
        packet,
        video,
    }
}

pub fn stream(track: u16, codec: Codec, stream: &Stream) -> Vec<JournalEntry> {
    let video = codec != Codec::Opus;
    let packets = stream.packets.iter().map(|sent| rtp(track, video, sent));
    [published(track, codec)]
        .into_iter()
        .chain(packets)
        .collect()
}

/// Write the entries and the end.
pub fn write(
    directory: &Path,
    segment_bytes: u64,
    entries: impl IntoIterator<Item = JournalEntry>,
) {
    let config = JournalConfig {
        segment_bytes,
        ..JournalConfig::default()
    };
    let journal = Journal::open(directory, config).unwrap();
    let sink = journal.sink();
    for entry in entries {
        while !sink.push(entry.clone()) {
            std::thread::yield_now();
        }
    }
    journal.close().unwrap();
}

/// All there is, to the last held packet.
pub fn read_all(directory: &Path) -> (Vec<Record>, u64) {
    let mut reader = JournalReader::open(directory).unwrap();
    let mut records = reader.read(usize::MAX);
    records.extend(reader.flush());
    (records, reader.errors())
}

pub fn packets(directory: &Path) -> usize {
    JournalReader::open(directory).unwrap().packets().count()
}

/// Data, timestamp, and whether something was lost before, of each frame of the track.
pub fn frames(records: &[Record], wanted: u16) -> Vec<(&[u8], u32, bool)> {
    let frame = |record| match record {
        &Record::Frame { track, ref frame } if track == wanted => {
            Some((&frame.data[..], frame.timestamp, frame.after_loss))
        }
        _ => None,
    };
    records.iter().filter_map(frame).collect()
}

pub fn sent_frames(stream: &Stream) -> Vec<(&[u8], u32, bool)> {
    stream
        .frames
        .iter()
        .map(|frame| (&frame.data[..], frame.timestamp, false))
        .collect()
}

/// Another thread does it soon.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it did not happen"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn append(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}
