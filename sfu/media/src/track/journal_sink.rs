//! The sink of a journal: a downtrack whose packets are recorded instead of sent.

use std::sync::Arc;

use super::downtrack::Downtrack;
use super::packet::{Origin, Packet};
use super::reception::SenderClock;
use crate::clock::{Micros, SECOND};
use crate::codec::Codec;
use crate::ids::JournalId;
use crate::journal::{JournalEntry, JournalSink};
use crate::packet::rtp::RtpHeader;

/// A recording can be cut and entered at keyframes only; one is asked for when the last is
/// this old.
const MAX_GOP: Micros = 4 * SECOND;

/// Payload type in the journal: the codec stands in the track's description.
const PAYLOAD_TYPE: u8 = 96;

/// Where a track is recorded.
#[derive(Clone)]
pub struct Recording {
    /// The journal it goes to.
    pub journal: JournalId,
    /// Its number there; also the SSRC of the recorded packets.
    pub number: u16,
    /// The journal's queue.
    pub sink: JournalSink,
}

/// One recorded track.
pub struct JournalTrack {
    recording: Recording,
    video: bool,
    downtrack: Downtrack,
}

impl JournalTrack {
    /// Record a track of this codec, with this clock (Hz).
    pub fn new(recording: Recording, codec: Codec, clock_rate: u32) -> Self {
        Self {
            recording,
            video: codec.is_video(),
            downtrack: Downtrack::new(codec, clock_rate, 0, 0),
        }
    }

    /// The journal it goes to.
    pub fn journal(&self) -> JournalId {
        self.recording.journal
    }

    /// The simulcast layer that is recorded.
    pub fn layer(&self) -> Option<u8> {
        self.downtrack.layer()
    }

    /// Record a packet if the gate lets it through.
    pub fn handle_packet(&mut self, packet: &Arc<Packet>, best: u8) {
        let Some(stamp) = self.downtrack.handle_packet(packet, best) else {
            return;
        };
        let header = RtpHeader {
            marker: stamp.marker,
            payload_type: PAYLOAD_TYPE,
            sequence: stamp.sequence as u16,
            timestamp: packet.timestamp.wrapping_add(stamp.timestamp_offset),
            ssrc: u32::from(self.recording.number),
        };
        // What the queue refuses is counted by the journal.
        self.recording.sink.push(JournalEntry::Rtp {
            track: self.recording.number,
            arrival: packet.arrival,
            header: header.fixed(),
            packet: Arc::clone(packet),
            video: self.video,
        });
    }

    /// Record the publisher's clock.
    pub fn handle_sender_report(&mut self, origin: Origin, clock: SenderClock) {
        if let Some(timestamp) = self.downtrack.timestamp(origin, clock.timestamp) {
            self.recording.sink.push(JournalEntry::SenderReport {
                track: self.recording.number,
                arrival: clock.arrival,
                ntp: clock.ntp,
                rtp: timestamp,
            });
        }
    }

    /// Whether the recording needs a keyframe, the newest being from `last`.
    pub fn wants_keyframe(&self, best: u8, last: Option<Micros>, now: Micros) -> bool {
        let old = last.is_none_or(|at| now >= at + MAX_GOP);
        self.video && (old || self.downtrack.waits_for_keyframe(best))
    }
}
