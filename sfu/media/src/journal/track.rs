//! One track of a journal: its packets in order again, and frames from them.
//!
//! A packet that is missing may still come (a retransmission is written when it arrives). Packets
//! behind it are held until it does, or a second of the journal's time has passed, or
//! [`MAX_HELD`] are held; then it is lost. The same goes for the beginning: a video stream starts
//! with the packet that begins a keyframe, and what comes before that packet is waited for.

use std::collections::BTreeMap;

use crate::clock::{Micros, SECOND};
use crate::codec::{Codec, CodedFrame, Depacketiser, RtpPayload};

/// Packets held behind a gap; at 5 Mbit/s two seconds.
const MAX_HELD: usize = 1024;

/// An RTP packet of the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct RtpView<'a> {
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    marker: bool,
    arrival: Micros,
    payload: &'a [u8],
}

impl<'a> RtpView<'a> {
    /// `None` for what a journal does not hold: CSRCs, extensions, padding, other versions.
    pub(super) fn parse(packet: &'a [u8], arrival: Micros) -> Option<Self> {
        let (&[first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3], payload) =
            packet.split_first_chunk()?;
        (first == 0x80).then_some(Self {
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            marker: second & 0x80 != 0,
            arrival,
            payload,
        })
    }

    fn at(&self, sequence: u64) -> RtpPayload<'a> {
        let Self {
            timestamp,
            marker,
            arrival,
            payload,
            ..
        } = *self;
        RtpPayload {
            sequence,
            timestamp,
            marker,
            arrival,
            payload,
        }
    }

    fn to_held(self) -> Held {
        let Self {
            timestamp,
            marker,
            arrival,
            payload,
            ..
        } = self;
        Held {
            timestamp,
            marker,
            arrival,
            payload: payload.to_vec(),
        }
    }
}

/// A packet behind a gap.
struct Held {
    timestamp: u32,
    marker: bool,
    arrival: Micros,
    payload: Vec<u8>,
}

impl Held {
    fn at(&self, sequence: u64) -> RtpPayload<'_> {
        let Self {
            timestamp,
            marker,
            arrival,
            ref payload,
        } = *self;
        RtpPayload {
            sequence,
            timestamp,
            marker,
            arrival,
            payload,
        }
    }
}

#[derive(Default)]
pub(super) struct Track {
    /// Once the codec is known.
    depacketiser: Option<Depacketiser>,
    ssrc: Option<u32>,
    /// The newest sequence number, unwrapped.
    newest: Option<u64>,
    /// The next one to go to the depacketiser; `None` before the first.
    next: Option<u64>,
    held: BTreeMap<u64, Held>,
    /// When the gap before the first held packet was seen.
    waiting_since: Micros,
    unreadable: u64,
}

impl Track {
    pub(super) fn has_codec(&self) -> bool {
        self.depacketiser.is_some()
    }

    /// Packets that came before this go on to be frames of it.
    pub(super) fn set_codec(&mut self, codec: Codec) {
        self.depacketiser = Some(Depacketiser::new(codec));
        self.release();
    }

    pub(super) fn push(&mut self, packet: RtpView<'_>) {
        let sequence = self.extend(&packet);
        if self.next.is_some_and(|next| sequence < next) {
            return; // twice, or given up already
        }
        match &mut self.depacketiser {
            Some(depacketiser) if self.next == Some(sequence) => {
                depacketiser.push(packet.at(sequence));
                self.next = Some(sequence + 1);
            }
            _ => self.hold(sequence, &packet),
        }
        if !self.held.is_empty() {
            self.release();
        }
        if self.held.len() >= MAX_HELD {
            self.give_up();
        }
    }

    /// The journal's time is now this.
    pub(super) fn tick(&mut self, now: Micros) {
        while !self.held.is_empty() && now.saturating_sub(self.waiting_since) >= SECOND {
            self.give_up();
        }
    }

    /// Nothing that is missing will come.
    pub(super) fn flush(&mut self) {
        while !self.held.is_empty() {
            self.give_up();
        }
    }

    pub(super) fn poll_frame(&mut self) -> Option<CodedFrame> {
        self.depacketiser.as_mut()?.poll_frame()
    }

    /// Packets dropped since the last call because nothing told their codec.
    pub(super) fn take_unreadable(&mut self) -> u64 {
        std::mem::take(&mut self.unreadable)
    }

    /// The sequence number in 64 bits, by its distance from the newest one.
    fn extend(&mut self, packet: &RtpView<'_>) -> u64 {
        let other_stream = self
            .ssrc
            .replace(packet.ssrc)
            .is_some_and(|ssrc| ssrc != packet.ssrc);
        // The first one as if there had been a round before: it may have overtaken others.
        let newest = self.newest.unwrap_or(0x1_0000 | u64::from(packet.sequence));
        let distance = packet.sequence.wrapping_sub(newest as u16).cast_signed();
        let sequence = newest.saturating_add_signed(i64::from(distance));
        let far_behind = self
            .next
            .is_some_and(|next| sequence + (MAX_HELD as u64) < next);
        if other_stream || far_behind {
            return self.restart(newest, packet.sequence);
        }
        self.newest = Some(newest.max(sequence));
        sequence
    }

    /// Another stream, or the same after so long a gap that its numbers came round: it goes on
    /// as after a loss.
    fn restart(&mut self, newest: u64, sequence: u16) -> u64 {
        self.flush();
        let sequence = (newest & !0xffff) + 0x2_0000 + u64::from(sequence);
        self.newest = Some(sequence);
        self.next = Some(sequence);
        sequence
    }

    fn hold(&mut self, sequence: u64, packet: &RtpView<'_>) {
        if self.held.is_empty() {
            self.waiting_since = packet.arrival;
        }
        self.held
            .entry(sequence)
            .or_insert_with(|| packet.to_held());
    }

    /// Hand on what is in order.
    fn release(&mut self) {
        let Some(depacketiser) = &mut self.depacketiser else {
            return;
        };
        let mut released = false;
        while let Some(first) = self.held.first_entry() {
            let in_order = match self.next {
                Some(next) => *first.key() == next,
                None => depacketiser.begins_keyframe(&first.get().payload),
            };
            if !in_order {
                // The gap before this one was seen, at the latest, when it came.
                let since = if released {
                    first.get().arrival
                } else {
                    self.waiting_since
                };
                self.waiting_since = since;
                return;
            }
            let (sequence, held) = first.remove_entry();
            depacketiser.push(held.at(sequence));
            self.next = Some(sequence + 1);
            released = true;
        }
    }

    /// What is missing before the first held packet is lost.
    fn give_up(&mut self) {
        match (&self.depacketiser, self.held.first_key_value()) {
            (Some(_), Some((&first, _))) => {
                self.next = Some(first);
                self.release();
            }
            _ => {
                self.unreadable += self.held.len() as u64;
                self.held.clear();
            }
        }
    }
}
