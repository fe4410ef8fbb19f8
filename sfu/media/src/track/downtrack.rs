//! One taker's view of a published track: which stream and layers it gets, under what numbers.
//!
//! A downtrack follows one [`Origin`] at a time. It begins, and changes over, at a keyframe;
//! what it lets through forms one gapless RTP stream: sequence numbers go on where the last
//! stream ended, timestamps by the time that passed in between. Layers of the stream that the
//! taker does not get leave no gap either, and neither do the numbers inside the payload.

use std::collections::VecDeque;

use super::packet::{Origin, Packet};
use super::sequence::nearest;
use crate::clock::Micros;
use crate::codec::{Codec, Layer, PictureIds, PictureNumbering, PictureShift, Selection};

/// Stretches remembered, so that retransmissions can be traced back: pictures that are left out
/// end one, some ten a second.
const MAX_STRETCHES: usize = 96;
/// Pictures of the past are shown so many a second.
const HURRIED: u32 = 1_000;
/// Room for stretches at the beginning; most viewers never need more.
const FEW_STRETCHES: usize = 8;

/// A stretch of the outgoing stream that comes from one incoming stream, without a gap.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    origin: Origin,
    /// First sequence number of the incoming stream that belongs to it.
    first: u64,
    /// Outgoing minus incoming, wrapping.
    sequence_offset: u64,
    timestamp_offset: u32,
    /// The layers that are taken.
    limit: Layer,
    /// Of the numbers in the payload, and in the dependency descriptor. They are kept here so that a
    /// retransmission has them again however long ago it was.
    pictures: Option<PictureShift>,
    frames: Option<PictureShift>,
}

impl Stretch {
    /// The outgoing numbers of a packet's picture. A stream of which nobody gets less keeps its own.
    fn numbers(&self, packet: &Packet) -> Numbers {
        if !packet.layered {
            return Numbers::default();
        }
        let apply = |shift: Option<PictureShift>, ids| Some(shift?.apply(ids?));
        Numbers {
            picture: apply(self.pictures, packet.picture),
            frame: apply(self.frames, packet.frame),
        }
    }
}

/// The incoming stream that is followed, or was last.
#[derive(Clone, Copy, Debug)]
struct Stream {
    selection: Selection,
    /// Pictures, where the payload numbers them.
    pictures: Option<PictureNumbering>,
    /// Frames, where a dependency descriptor numbers them.
    frames: Option<PictureNumbering>,
}

/// What a packet goes out under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Outgoing sequence number, with its roll-over count above the low 16 bits.
    pub sequence: u64,
    /// To be added to the publisher's timestamp, modulo 2^32.
    pub timestamp_offset: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// Numbers that stand in the packet itself.
    pub numbers: Numbers,
}

/// Numbers inside a packet, to be written anew; `None` is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of the picture, in the payload.
    pub picture: Option<PictureIds>,
    /// Of the frame, in the dependency descriptor.
    pub frame: Option<PictureIds>,
}

/// Where an outgoing packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The stream.
    pub origin: Origin,
    /// Its number in it.
    pub incoming: u64,
    stretch: usize,
    outgoing: u64,
}

/// The most that a taker may get of a track. Everything, by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Simulcast stream, in the order of the offer; the best one when `None`.
    pub stream: Option<u8>,
    /// Layers within it.
    pub layer: Layer,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            stream: None,
            layer: Layer::HIGHEST,
        }
    }
}

/// Gate and numbering of one downtrack.
#[derive(Debug)]
pub struct Downtrack {
    clock_rate: u32,
    /// Pictures that are left out must leave no gap in the numbers inside the payload.
    closes_gaps: bool,
    limit: Limit,
    stretches: VecDeque<Stretch>,
    stream: Option<Stream>,
    /// Whether the newest stretch still goes on.
    flowing: bool,
    paused: bool,
    next_sequence: u64,
    last_timestamp: u32,
    last_arrival: Option<Micros>,
    /// Incoming number after the newest packet of the stream.
    next_incoming: u64,
    /// Pictures of the past are sent: they are to be shown at once.
    hurried: bool,
}

impl Downtrack {
    /// A downtrack that has sent nothing; `sequence` and `timestamp` are random beginnings
    /// (RFC 3550, 5.1). The sequence starts in the lower half of its range, so that its
    /// roll-over count is certainly 0 for the receiver (RFC 3711, 3.3.1).
    pub fn new(codec: Codec, clock_rate: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            clock_rate,
            closes_gaps: codec == Codec::Vp8,
            limit: Limit::default(),
            stretches: VecDeque::with_capacity(FEW_STRETCHES),
            stream: None,
            flowing: false,
            paused: false,
            next_sequence: u64::from(sequence & 0x7fff),
            last_timestamp: timestamp,
            last_arrival: None,
            next_incoming: 0,
            hurried: false,
        }
    }

    /// Before anything was sent: the number to begin with.
    pub fn go_on_from(&mut self, sequence: u64) {
        self.next_sequence = sequence;
    }

    /// The most it may get.
    #[inline]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Give no more than this from now on; another stream begins with a keyframe of it.
    pub fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
        if let Some(stream) = self.stream.as_mut() {
            stream.selection.want(limit.layer);
        }
    }

    /// Decide about a packet: what it goes out under, or `None` when it is not for this taker.
    ///
    /// `stream` is the one to be on; the one in use goes on until a keyframe of it comes.
    #[inline]
    pub fn handle_packet(&mut self, packet: &Packet, stream: u8) -> Option<Stamp> {
        if self.paused {
            return None;
        }
        match self.origin() {
            Some(origin) if origin == packet.origin => {}
            _ if packet.keyframe && packet.origin.layer == stream => self.change_over(packet),
            _ => return None,
        }
        if packet.sequence < self.next_incoming {
            return self.handle_late(packet);
        }
        self.next_incoming = packet.sequence + 1;
        if self.hurried {
            self.hurry(packet);
        }
        match packet.layered {
            true => self.thin(packet),
            false => self.send(packet, packet.marker, Numbers::default()),
        }
    }

    /// Whether nothing was sent of the source yet.
    pub fn has_nothing(&self) -> bool {
        self.stretches.is_empty() && !self.paused
    }

    /// What follows is of the past, or it is not any more. Pictures of the past get timestamps
    /// hardly apart, so that they are shown as soon as they come.
    pub fn set_hurried(&mut self, hurried: bool) {
        self.hurried = hurried;
    }

    /// Whether it needs a keyframe of `stream` to go on.
    pub fn waits_for_keyframe(&self, stream: u8) -> bool {
        let other = self.layer() != Some(stream);
        let larger = || {
            self.stream
                .as_ref()
                .is_some_and(|s| s.selection.waits_for_keyframe())
        };
        !self.paused && (other || larger())
    }

    /// Whether nothing is to be sent for now.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The simulcast layer in use.
    pub fn layer(&self) -> Option<u8> {
        self.origin().map(|origin| origin.layer)
    }

    /// The number of the packet that goes out next.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The newest timestamp that went out.
    pub fn last_timestamp(&self) -> u32 {
        self.last_timestamp
    }

    /// Where an outgoing packet came from.
    pub fn trace(&self, sequence: u16) -> Option<Traced> {
        let outgoing = nearest(self.next_sequence.checked_sub(1)?, sequence);
        let began_before = |s: &Stretch| outgoing >= s.first.wrapping_add(s.sequence_offset);
        let index = self.stretches.iter().rposition(began_before)?;
        let stretch = &self.stretches[index];
        // A number from before the stream began comes out of `nearest` as 0.
        let sent = outgoing < self.next_sequence && outgoing as u16 == sequence;
        sent.then_some(Traced {
            origin: stretch.origin,
            incoming: outgoing.wrapping_sub(stretch.sequence_offset),
            stretch: index,
            outgoing,
        })
    }

    /// What a packet went out under that was traced.
    pub fn stamp(&self, traced: Traced, packet: &Packet) -> Option<Stamp> {
        let stretch = self.stretches.get(traced.stretch)?;
        Some(Stamp {
            sequence: traced.outgoing,
            timestamp_offset: stretch.timestamp_offset,
            marker: packet.layering.marker(packet.marker, stretch.limit),
            numbers: stretch.numbers(packet),
        })
    }

    /// A timestamp of the incoming stream on the outgoing clock, while that stream is in use.
    pub fn timestamp(&self, origin: Origin, timestamp: u32) -> Option<u32> {
        let stretch = self.stretches.back()?;
        (self.origin() == Some(origin)).then(|| timestamp.wrapping_add(stretch.timestamp_offset))
    }

    /// The source is another one now, or gone. What was sent of the old one cannot be traced.
    pub fn handle_source_change(&mut self) {
        (self.flowing, self.hurried) = (false, false);
        self.stretches.clear();
        self.stream = None;
    }

    /// Stop or go on; going on waits for a keyframe.
    pub fn pause(&mut self, paused: bool) {
        self.flowing &= !paused;
        self.paused = paused;
    }

    /// The stream in use.
    #[inline]
    fn origin(&self) -> Option<Origin> {
        let stretch = self.stretches.back().filter(|_| self.flowing)?;
        Some(stretch.origin)
    }

    /// Leave a packet out, or number it; what is kept of the stream may change with it.
    fn thin(&mut self, packet: &Packet) -> Option<Stamp> {
        let stream = self.stream.as_mut()?;
        let kept = stream
            .selection
            .handle_packet(packet.layering, packet.marker, packet.timestamp);
        if let (Some(pictures), Some(ids)) = (&mut stream.pictures, packet.picture) {
            pictures.handle_packet(ids, kept.is_some() || !self.closes_gaps);
        }
        if let (Some(frames), Some(ids)) = (&mut stream.frames, packet.frame) {
            frames.handle_packet(ids, true);
        }
        let limit = stream.selection.taken();
        let pictures = stream.pictures.map(|p| p.shift());
        let Some(kept) = kept else {
            self.leave_out(packet.sequence, pictures);
            return None;
        };
        if self.stretches.back().is_some_and(|s| s.limit != limit) {
            self.divide(packet.sequence, |stretch| stretch.limit = limit);
        }
        let numbers = self.stretches.back()?.numbers(packet);
        self.send(packet, kept.marker, numbers)
    }

    #[inline]
    fn send(&mut self, packet: &Packet, marker: bool, numbers: Numbers) -> Option<Stamp> {
        let stretch = self.stretches.back()?;
        let sequence = packet.sequence.wrapping_add(stretch.sequence_offset);
        let timestamp_offset = stretch.timestamp_offset;
        self.next_sequence = sequence + 1;
        self.last_timestamp = packet.timestamp.wrapping_add(timestamp_offset);
        self.last_arrival = Some(packet.arrival);
        Some(Stamp {
            sequence,
            timestamp_offset,
            marker,
            numbers,
        })
    }

    /// A picture of the past follows the one before it at once.
    fn hurry(&mut self, packet: &Packet) {
        let Some(stretch) = self.stretches.back() else {
            return;
        };
        let timestamp = packet.timestamp.wrapping_add(stretch.timestamp_offset);
        let step = timestamp.wrapping_sub(self.last_timestamp);
        let begun = self.next_sequence > stretch.first.wrapping_add(stretch.sequence_offset);
        let apart = self.clock_rate / HURRIED;
        if begun && step > apart {
            self.divide(packet.sequence, |stretch| {
                stretch.timestamp_offset = stretch.timestamp_offset.wrapping_sub(step - apart);
            });
        }
    }

    /// A packet that others overtook: a number was kept for it, whatever its layer.
    fn handle_late(&self, packet: &Packet) -> Option<Stamp> {
        let began_before = |s: &Stretch| s.origin == packet.origin && packet.sequence >= s.first;
        let index = self.stretches.iter().rposition(began_before)?;
        let stretch = &self.stretches[index];
        let sequence = packet.sequence.wrapping_add(stretch.sequence_offset);
        let next = self.stretches.get(index + 1);
        if next.is_some_and(|next| sequence >= next.first.wrapping_add(next.sequence_offset)) {
            return None; // from before a change-over, or of what was left out
        }
        let traced = Traced {
            origin: stretch.origin,
            incoming: packet.sequence,
            stretch: index,
            outgoing: sequence,
        };
        self.stamp(traced, packet)
    }

    /// A packet does not go out: what follows takes its number.
    fn leave_out(&mut self, sequence: u64, pictures: Option<PictureShift>) {
        self.divide(sequence, |stretch| {
            stretch.pictures = pictures;
            stretch.first = sequence + 1;
            stretch.sequence_offset = stretch.sequence_offset.wrapping_sub(1);
        });
    }

    /// From this incoming packet on something is different.
    fn divide(&mut self, sequence: u64, change: impl FnOnce(&mut Stretch)) {
        let Some(mut stretch) = self.stretches.back().copied() else {
            return;
        };
        if stretch.first >= sequence {
            self.stretches.pop_back();
        } else if self.stretches.len() == MAX_STRETCHES {
            self.stretches.pop_front();
        }
        stretch.first = sequence;
        change(&mut stretch);
        self.stretches.push_back(stretch);
    }

    fn change_over(&mut self, packet: &Packet) {
        let elapsed = self
            .last_arrival
            .map_or(0, |at| packet.arrival.saturating_sub(at));
        let ticks = (elapsed * u64::from(self.clock_rate) / 1_000_000).max(1) as u32;
        let timestamp = self.last_timestamp.wrapping_add(ticks);
        let before = self.stream.as_ref();
        let begin = |ids: Option<PictureIds>, before: Option<PictureNumbering>| {
            Some(PictureNumbering::begin(ids?, before.as_ref()))
        };
        let mut stream = Stream {
            selection: Selection::new(self.limit.layer),
            pictures: begin(packet.picture, before.and_then(|s| s.pictures)),
            frames: begin(packet.frame, before.and_then(|s| s.frames)),
        };
        let (layering, marker) = (packet.layering, packet.marker);
        stream
            .selection
            .handle_packet(layering, marker, packet.timestamp);
        let stretch = Stretch {
            origin: packet.origin,
            first: packet.sequence,
            sequence_offset: self.next_sequence.wrapping_sub(packet.sequence),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
            limit: stream.selection.taken(),
            pictures: stream.pictures.map(|p| p.shift()),
            frames: stream.frames.map(|f| f.shift()),
        };
        self.stream = Some(stream);
        if self.stretches.len() == MAX_STRETCHES {
            self.stretches.pop_front();
        }
        self.stretches.push_back(stretch);
        self.next_incoming = packet.sequence;
        self.flowing = true;
    }
}

#[cfg(test)]
mod thinning;

#[cfg(test)]
mod tests;
