//! Frames from RTP payloads.
//!
//! Payloads go in by [`Depacketiser::push`] in the order of their sequence numbers, frames come
//! out of [`Depacketiser::poll_frame`]. A frame ends with the marker bit or where the timestamp
//! changes. What a missing packet may have belonged to is dropped: better a gap that is flagged
//! (`after_loss`) than a frame that decodes to garbage.
//!
//! | where packets are missing | what happens |
//! |---|---|
//! | inside a frame | the frame is dropped, the next one is `after_loss` |
//! | after a frame's marker, next packet begins a frame | that frame is `after_loss` |
//! | after a frame's marker, next packet is from the middle | its frame is dropped, the next one is `after_loss` |
//! | after a packet without marker | the frame before is dropped too: it may have had more |

use std::collections::VecDeque;

use super::{Codec, av1, h264, is_keyframe, opus, vp8, vp9};
use crate::clock::Micros;

/// A frame that grows beyond this is dropped: 1080p at the highest quality stays below 2 MiB.
pub const MAX_FRAME_BYTES: usize = 8 << 20;

/// One RTP packet as the [`Depacketiser`] takes it.
#[derive(Clone, Copy, Debug)]
pub struct RtpPayload<'a> {
    /// Sequence number, unwrapped.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// When the packet arrived.
    pub arrival: Micros,
    /// Without padding. Empty (a probe) counts as received and adds nothing.
    pub payload: &'a [u8],
}

/// One whole coded frame, in the form that FFmpeg takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodedFrame {
    /// RTP timestamp.
    pub timestamp: u32,
    /// When the last of its packets arrived.
    pub arrival: Micros,
    /// It can be decoded without any other (H264: it has an IDR slice).
    pub keyframe: bool,
    /// Packets between the frame before and this one were lost or unusable.
    pub after_loss: bool,
    /// H264: Annex B, 4-byte start codes. VP8: the frame. VP9: the frame, or a superframe of the
    /// picture's spatial layers. AV1: OBUs with sizes, without temporal delimiters. Opus: the
    /// packet.
    pub data: Vec<u8>,
}

/// What became of the frames of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepacketiserStats {
    /// Frames handed out.
    pub frames: u64,
    /// Frames dropped because some of their packets were missing.
    pub incomplete: u64,
    /// Frames dropped because a payload broke its format.
    pub malformed: u64,
    /// Frames dropped because they passed [`MAX_FRAME_BYTES`].
    pub oversized: u64,
}

/// A payload that breaks the rules of its format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The part that knows the payload format. It appends to the frame, and is told when one ends.
pub(super) trait Assembler: Send + Sync {
    /// Whether a frame begins with this payload, as far as one can tell without what was before.
    fn begins_frame(&self, payload: &[u8]) -> bool;

    /// Append the payload to the frame. True when it shows that the frame is a keyframe.
    fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<bool, Malformed>;

    /// Complete the frame and get ready for the next. False when there is no picture in it yet:
    /// then it is put before the next one.
    fn finish(&mut self, frame: &mut Vec<u8>) -> Result<bool, Malformed>;

    /// Forget the frame under construction.
    fn reset(&mut self);
}

/// Why a frame was given up.
enum Drop {
    Incomplete,
    Malformed,
    Oversized,
}

/// Where in the stream we are.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Between frames.
    Idle,
    /// In the frame with this timestamp.
    Open(u32),
    /// The frame with this timestamp was dropped; the rest of it goes too.
    Skipping(u32),
}

/// Puts the frames of one stream together. See the module's documentation for loss.
pub struct Depacketiser {
    codec: Codec,
    assembler: Box<dyn Assembler>,
    last_sequence: Option<u64>,
    state: State,
    /// The packet before the next one is known, so what follows a frame's end begins a frame.
    in_step: bool,
    data: Vec<u8>,
    keyframe: bool,
    after_loss: bool,
    arrival: Micros,
    frames: VecDeque<CodedFrame>,
    stats: DepacketiserStats,
}

impl Depacketiser {
    /// For one stream of this codec.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            assembler: assembler(codec),
            last_sequence: None,
            state: State::Idle,
            in_step: false,
            data: Vec::new(),
            keyframe: false,
            after_loss: false,
            arrival: 0,
            frames: VecDeque::new(),
            stats: DepacketiserStats::default(),
        }
    }

    /// Take the next packet. One that is not newer than all before it is ignored.
    pub fn push(&mut self, packet: RtpPayload<'_>) {
        if self
            .last_sequence
            .is_some_and(|last| packet.sequence <= last)
        {
            return;
        }
        if self
            .last_sequence
            .is_some_and(|last| packet.sequence > last + 1)
        {
            self.lose();
        }
        self.last_sequence = Some(packet.sequence);
        if packet.payload.is_empty() {
            return;
        }
        self.cross_boundary(packet.timestamp);
        if self.state == State::Idle {
            self.begin(&packet);
        }
        if self.state == State::Open(packet.timestamp) {
            self.append(&packet);
        }
        self.in_step = true;
        if packet.marker || self.codec == Codec::Opus {
            self.end();
        }
    }

    /// The next whole frame.
    pub fn poll_frame(&mut self) -> Option<CodedFrame> {
        self.frames.pop_front()
    }

    /// Whether a stream can start with this payload: nothing of a keyframe comes before it.
    pub fn begins_keyframe(&self, payload: &[u8]) -> bool {
        is_keyframe(self.codec, payload) && self.assembler.begins_frame(payload)
    }

    /// Counters since the start.
    pub fn stats(&self) -> DepacketiserStats {
        self.stats
    }

    fn cross_boundary(&mut self, timestamp: u32) {
        match self.state {
            State::Open(open) | State::Skipping(open) if open != timestamp => self.end(),
            _ => {}
        }
    }

    fn begin(&mut self, packet: &RtpPayload<'_>) {
        self.state = State::Open(packet.timestamp);
        self.arrival = packet.arrival;
        if !self.in_step && !self.assembler.begins_frame(packet.payload) {
            self.abandon(Drop::Incomplete);
        }
    }

    fn append(&mut self, packet: &RtpPayload<'_>) {
        self.arrival = self.arrival.max(packet.arrival);
        match self.assembler.push(packet.payload, &mut self.data) {
            Ok(_) if self.data.len() > MAX_FRAME_BYTES => self.abandon(Drop::Oversized),
            Ok(keyframe) => self.keyframe |= keyframe,
            Err(Malformed) => self.abandon(Drop::Malformed),
        }
    }

    fn end(&mut self) {
        if let State::Open(timestamp) = self.state {
            match self.assembler.finish(&mut self.data) {
                Ok(true) => self.emit(timestamp),
                Ok(false) => {}
                Err(Malformed) => self.abandon(Drop::Malformed),
            }
        }
        self.state = State::Idle;
    }

    fn emit(&mut self, timestamp: u32) {
        self.stats.frames += 1;
        self.frames.push_back(CodedFrame {
            timestamp,
            arrival: self.arrival,
            keyframe: std::mem::take(&mut self.keyframe),
            after_loss: std::mem::take(&mut self.after_loss),
            data: std::mem::take(&mut self.data),
        });
    }

    /// Packets are missing right before the one that came.
    fn lose(&mut self) {
        match self.state {
            State::Open(_) => self.abandon(Drop::Incomplete),
            State::Idle | State::Skipping(_) => self.clear(),
        }
        self.in_step = false;
        self.after_loss = true;
    }

    fn abandon(&mut self, why: Drop) {
        match why {
            Drop::Incomplete => self.stats.incomplete += 1,
            Drop::Malformed => self.stats.malformed += 1,
            Drop::Oversized => self.stats.oversized += 1,
        }
        if let State::Open(timestamp) = self.state {
            self.state = State::Skipping(timestamp);
        }
        self.after_loss = true;
        self.clear();
    }

    fn clear(&mut self) {
        self.assembler.reset();
        self.data.clear();
        self.keyframe = false;
    }
}

fn assembler(codec: Codec) -> Box<dyn Assembler> {
    match codec {
        Codec::H264 => Box::<h264::Assembler>::default(),
        Codec::Vp8 => Box::<vp8::Assembler>::default(),
        Codec::Vp9 => Box::<vp9::Assembler>::default(),
        Codec::Av1 => Box::<av1::Assembler>::default(),
        Codec::Opus => Box::new(opus::Assembler),
    }
}
