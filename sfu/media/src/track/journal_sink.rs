//! The sink of a journal: a downtrack whose packets are recorded instead of sent.

use std::sync::Arc;

use super::downtrack::Downtrack;
use super::packet::{Origin, Packet};
use super::reception::SenderClock;
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::codec::Codec;
use crate::ids::JournalId;
use crate::journal::{JournalEntry, JournalSink};
use crate::packet::rtp::RtpHeader;

/// A recording can be cut and entered at keyframes only; no two are further apart than this.
const MAX_GOP: Micros = 4 * SECOND;

/// So long before, the next one is asked for: a request that is lost is repeated after 500 ms, and
/// the answer has a way, too.
const ANSWER: Micros = 700 * MILLISECOND;

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
    taken: Taken,
}

/// What became of the newest packets of a track.
#[derive(Clone, Copy, PartialEq)]
enum Taken {
    /// The journal has them.
    Whole,
    /// It refuses them.
    Refused,
    /// It has them, but not those before; without a keyframe they are of no use.
    Torn,
}

impl JournalTrack {
    /// Record a track of this codec, with this clock (Hz).
    pub fn new(recording: Recording, codec: Codec, clock_rate: u32) -> Self {
        Self {
            recording,
            video: codec.is_video(),
            downtrack: Downtrack::new(codec, clock_rate, 0, 0),
            taken: Taken::Whole,
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
        let taken = self.recording.sink.push(JournalEntry::Rtp {
            track: self.recording.number,
            arrival: packet.arrival,
            header: header.fixed(),
            packet: Arc::clone(packet),
            video: self.video,
        });
        self.taken = match (taken, self.taken) {
            (false, _) => Taken::Refused,
            (true, Taken::Whole) => Taken::Whole,
            (true, _) if packet.keyframe => Taken::Whole,
            (true, _) => Taken::Torn,
        };
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
        let old = last.is_none_or(|at| now + ANSWER >= at + MAX_GOP);
        let torn = self.taken == Taken::Torn;
        self.video && (old || torn || self.downtrack.waits_for_keyframe(best))
    }
}
