//! Reads a journal, also while it is being written.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use super::format::{END, EVENT, RTP, SENDER_REPORT, u32_at, u64_at};
use super::tail::{RecordView, Tail};
use super::track::{RtpView, Track};
use crate::clock::Micros;
use crate::codec::{Codec, CodedFrame};

/// One thing that a journal tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A whole coded frame; frames of one track come in their order.
    Frame {
        /// The journal's number of the track.
        track: u16,
        /// See [`CodedFrame`].
        frame: CodedFrame,
    },
    /// The publisher's clock: this NTP time is this RTP timestamp.
    SenderReport {
        /// The journal's number of the track.
        track: u16,
        /// When the report arrived.
        arrival: Micros,
        /// NTP timestamp, 32.32 bits.
        ntp: u64,
        /// RTP timestamp.
        rtp: u32,
    },
    /// A lesson event.
    Event {
        /// When.
        arrival: Micros,
        /// As it was given to the writer.
        json: String,
    },
    /// The writer closed the journal in good order.
    End {
        /// Of the record before.
        arrival: Micros,
    },
}

/// An RTP packet as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpRecord {
    /// The journal's number of the track.
    pub track: u16,
    /// When it arrived.
    pub arrival: Micros,
    /// Header and payload.
    pub packet: Vec<u8>,
}

/// Follows a journal and puts its frames together.
///
/// What comes out depends only on the bytes of the journal, not on when and in which portions they
/// were read. Frames wait for missing packets (see the journal's documentation); everything else
/// passes at once.
pub struct JournalReader {
    tail: Tail,
    assembly: Assembly,
}

impl JournalReader {
    /// Errors: `NotFound` when there is no journal, `InvalidData` when its format is too new, and
    /// those of the file system.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            tail: Tail::open(directory)?,
            assembly: Assembly::default(),
        })
    }

    /// Up to `limit` records; none when caught up with the writer.
    pub fn read(&mut self, limit: usize) -> Vec<Record> {
        while self.assembly.ready.len() < limit && self.tail.advance() {
            self.handle_record();
        }
        let count = limit.min(self.assembly.ready.len());
        self.assembly.ready.drain(..count).collect()
    }

    /// Everything there still is, not waiting for anything: for when the writer is gone and
    /// [`read`](Self::read) has nothing more.
    pub fn flush(&mut self) -> Vec<Record> {
        self.tail.set_writer_is_gone(true);
        while self.tail.advance() {
            self.handle_record();
        }
        self.tail.set_writer_is_gone(false);
        self.assembly.flush();
        self.assembly.ready.drain(..).collect()
    }

    /// All RTP packets from here on, in the order of the file, as far as they are written.
    pub fn packets(mut self) -> Packets {
        self.tail.set_writer_is_gone(true);
        Packets { tail: self.tail }
    }

    /// Bytes read from the files.
    pub fn bytes_read(&self) -> u64 {
        self.tail.bytes_read()
    }

    /// Damage met so far: stretches that are no records, records that make no sense, packets
    /// whose codec nothing told, and failed attempts to read a file.
    pub fn errors(&self) -> u64 {
        self.tail.errors() + self.assembly.errors
    }

    fn handle_record(&mut self) {
        if let Some(record) = self.tail.record() {
            self.assembly.handle(&record);
        }
    }
}

/// Records on their way out; knows the tracks.
#[derive(Default)]
struct Assembly {
    tracks: BTreeMap<u16, Track>,
    ready: VecDeque<Record>,
    errors: u64,
}

impl Assembly {
    fn handle(&mut self, record: &RecordView<'_>) {
        self.each_track(|track| track.tick(record.arrival));
        let handled = match record.kind {
            EVENT => self.handle_event(record),
            RTP => self.handle_packet(record),
            SENDER_REPORT => self.handle_sender_report(record),
            END => self.handle_end(record),
            _ => None,
        };
        self.errors += u64::from(handled.is_none());
    }

    fn handle_event(&mut self, record: &RecordView<'_>) -> Option<()> {
        let json = std::str::from_utf8(record.body).ok()?;
        match TrackEvent::parse(json) {
            Some(TrackEvent::Published(number, codec)) => self.publish(number, codec),
            Some(TrackEvent::Unpublished(number)) => self.with_track(number, Track::flush),
            None => {}
        }
        self.ready.push_back(Record::Event {
            arrival: record.arrival,
            json: json.to_owned(),
        });
        Some(())
    }

    fn handle_packet(&mut self, record: &RecordView<'_>) -> Option<()> {
        let packet = RtpView::parse(record.body, record.arrival)?;
        self.with_track(record.track, |track| track.push(packet));
        Some(())
    }

    fn handle_sender_report(&mut self, record: &RecordView<'_>) -> Option<()> {
        let &RecordView {
            track,
            arrival,
            body,
            ..
        } = record;
        let (ntp, rtp) = (u64_at(body, 0), u32_at(body, 8));
        self.ready.push_back(Record::SenderReport {
            track,
            arrival,
            ntp,
            rtp,
        });
        Some(())
    }

    /// Nothing follows the end, so what is held comes before it.
    fn handle_end(&mut self, record: &RecordView<'_>) -> Option<()> {
        self.flush();
        self.ready.push_back(Record::End {
            arrival: record.arrival,
        });
        Some(())
    }

    fn flush(&mut self) {
        self.each_track(Track::flush);
    }

    /// A number that is published again is another track. Packets may stand before the event,
    /// for they come by another way.
    fn publish(&mut self, number: u16, codec: Codec) {
        if self.tracks.get(&number).is_some_and(Track::has_codec) {
            self.with_track(number, Track::flush);
            self.tracks.remove(&number);
        }
        self.with_track(number, |track| track.set_codec(codec));
    }

    fn with_track(&mut self, number: u16, act: impl FnOnce(&mut Track)) {
        let track = self.tracks.entry(number).or_default();
        act(track);
        self.errors += take_output(number, track, &mut self.ready);
    }

    /// In the order of their numbers.
    fn each_track(&mut self, act: impl Fn(&mut Track)) {
        for (&number, track) in &mut self.tracks {
            act(track);
            self.errors += take_output(number, track, &mut self.ready);
        }
    }
}

/// Collect the frames of a track. Returns how many packets it could not read.
fn take_output(number: u16, track: &mut Track, ready: &mut VecDeque<Record>) -> u64 {
    let frames = std::iter::from_fn(|| track.poll_frame());
    ready.extend(frames.map(|frame| Record::Frame {
        track: number,
        frame,
    }));
    track.take_unreadable()
}

/// The events that a reader must know.
enum TrackEvent {
    Published(u16, Codec),
    Unpublished(u16),
}

impl TrackEvent {
    /// `None` for all others, also for what is no JSON.
    fn parse(json: &str) -> Option<Self> {
        let event: serde_json::Value = serde_json::from_str(json).ok()?;
        let track = u16::try_from(event.get("track")?.as_u64()?).ok()?;
        match event.get("type")?.as_str()? {
            "track_published" => Some(Self::Published(
                track,
                Codec::from_name(event.get("codec")?.as_str()?)?,
            )),
            "track_unpublished" => Some(Self::Unpublished(track)),
            _ => None,
        }
    }
}

/// RTP packets of a journal; see [`JournalReader::packets`].
pub struct Packets {
    tail: Tail,
}

impl Iterator for Packets {
    type Item = RtpRecord;

    fn next(&mut self) -> Option<RtpRecord> {
        while self.tail.advance() {
            let record = self.tail.record().filter(|record| record.kind == RTP);
            if let Some(RecordView {
                track,
                arrival,
                body,
                ..
            }) = record
            {
                return Some(RtpRecord {
                    track,
                    arrival,
                    packet: body.to_vec(),
                });
            }
        }
        None
    }
}
