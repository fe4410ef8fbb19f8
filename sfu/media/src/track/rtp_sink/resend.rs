//! What a viewer is sent again: as RTX (RFC 4588), or just as it was, to the bit.

use super::{Link, RtpSink, seal};
use crate::clock::Micros;
use crate::crypto::CryptoError;
use crate::outbox::{Outbox, Transmit};
use crate::packet::rtp::{self, RtpHeader};
use crate::track::downtrack::{Numbers, Stamp};
use crate::track::packet::Packet;
use crate::track::redundancy::{Copies, Past};

/// Packets of which a stream without RTX remembers what the cache does not.
pub(super) const REMEMBERED: usize = 256;

/// What a retransmission has to repeat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeatable {
    pub(super) sequence: u32,
    /// Transport-wide sequence number.
    pub(super) transport: u16,
    pub(super) copies: Copies,
}

impl Default for Repeatable {
    fn default() -> Self {
        Self {
            sequence: u32::MAX,
            transport: 0,
            copies: Copies::default(),
        }
    }
}

impl RtpSink {
    /// Whether a lost packet may be sent again now.
    pub fn may_resend(&mut self, sequence: u16, now: Micros, rtt: Micros) -> bool {
        self.guard.allow(u64::from(sequence), now, rtt)
    }

    /// Send a packet again: as RTX where that was negotiated, else just as it was.
    pub fn resend<T: Transmit + ?Sized>(
        &mut self,
        packet: &Packet,
        stamp: Stamp,
        past: &impl Past,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) {
        self.counters.resent += 1;
        match self.config.rtx {
            Some(rtx) => drop(self.write_rtx(rtx, Some((packet, stamp)), link, outbox)),
            None => self.repeat(packet, stamp, past, link, outbox),
        }
    }

    /// Send a packet that may have arrived as RTX, to try the link; returns its length.
    pub fn probe<T: Transmit + ?Sized>(
        &mut self,
        packet: &Packet,
        stamp: Stamp,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) -> usize {
        let Some(rtx) = self.config.rtx else {
            return 0;
        };
        self.counters.probes += 1;
        self.write_rtx(rtx, Some((packet, stamp)), link, outbox)
    }

    /// Send RTX packets of nothing but padding until so many bytes have left, to try the link.
    pub fn pad<T: Transmit + ?Sized>(
        &mut self,
        bytes: usize,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) {
        let Some(rtx) = self.config.rtx else {
            return;
        };
        let mut left = bytes;
        while left > 0 {
            self.counters.probes += 1;
            let len = self.write_rtx(rtx, None, link, outbox);
            left = left.saturating_sub(len.max(1));
        }
    }

    /// RFC 4588, 4: a packet of a stream of its own, which tells the number it had; or padding in
    /// that stream, which tells nothing. Returns its length.
    fn write_rtx<T: Transmit + ?Sized>(
        &mut self,
        (payload_type, ssrc): (u8, u32),
        repeated: Option<(&Packet, Stamp)>,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) -> usize {
        self.rtx_sequence += 1;
        let original = match repeated {
            Some((packet, stamp)) => self.header(packet, stamp),
            None => RtpHeader {
                timestamp: self.downtrack.last_timestamp(),
                ..RtpHeader::default()
            },
        };
        let header = RtpHeader {
            payload_type,
            sequence: self.rtx_sequence as u16,
            ssrc,
            ..original
        };
        let roc = (self.rtx_sequence >> 16) as u32;
        let transport = link.sent.next_sequence();
        let mut len = 0;
        let sent = outbox.write_as(self.content.again(), link.path, 0, |arena, start| {
            match repeated {
                Some((packet, stamp)) => {
                    self.write_header(arena, &header, transport, Some(packet), stamp.numbers);
                    arena.extend_from_slice(&(stamp.sequence as u16).to_be_bytes());
                    self.write_payload(arena, packet, stamp.numbers);
                }
                None => {
                    self.write_header(arena, &header, transport, None, Numbers::default());
                    rtp::pad(arena, start, u8::MAX);
                }
            }
            len = seal(link.srtp, roc, arena, start)?;
            Ok::<_, CryptoError>(())
        });
        self.counters.failed += u64::from(sent.is_err());
        self.note_sent(len, link);
        len
    }

    /// The packet as it was, to the bit.
    fn repeat<T: Transmit + ?Sized>(
        &mut self,
        packet: &Packet,
        stamp: Stamp,
        past: &impl Past,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) {
        let slot = stamp.sequence as usize % REMEMBERED;
        let was = match self.repeatable.get(slot) {
            Some(was) if was.sequence == stamp.sequence as u32 => *was,
            Some(_) => return self.counters.unavailable += 1,
            None => Repeatable::default(), // not numbered, and nothing goes along
        };
        // Without its copies it would be another packet under the same nonce.
        if !self.sound(packet, stamp, past).has(was.copies) {
            return self.counters.unavailable += 1;
        }
        let header = RtpHeader {
            payload_type: self.payload_type(was.copies),
            ..self.header(packet, stamp)
        };
        let roc = (stamp.sequence >> 16) as u32;
        let sent = outbox.write_as(self.content.again(), link.path, 0, |arena, start| {
            self.write_header(arena, &header, was.transport, Some(packet), stamp.numbers);
            match was.copies.is_empty() {
                true => self.write_payload(arena, packet, stamp.numbers),
                false => self.sound(packet, stamp, past).write(was.copies, arena),
            }
            seal(link.srtp, roc, arena, start).map(drop)
        });
        self.counters.failed += u64::from(sent.is_err());
    }
}
