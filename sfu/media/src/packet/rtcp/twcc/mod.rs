//! Transport-wide congestion control feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
//!
//! A packet tells, for a range of transport-wide sequence numbers, which arrived and when: first the
//! statuses, packed in 16-bit chunks, then a delta for each that arrived, against the one before it.
//! The first delta counts from the reference time, a multiple of 64 ms.

mod write;

pub use write::transport_feedback;

use super::{ParseError, Reader, kind};
use crate::clock::Micros;

/// Unit of the deltas.
const TICK: Micros = 250;
/// Ticks of the reference time's unit, 64 ms.
const REFERENCE_TICKS: i64 = 256;

/// Packet status symbols (section 3.1.1); the fourth is reserved.
const LOST: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// Transport-wide feedback, its statuses known to be whole.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    /// The receiver that reports.
    pub sender_ssrc: u32,
    /// Any stream of the transport; it tells nothing.
    pub media_ssrc: u32,
    /// The first transport-wide sequence number told of.
    pub base_sequence: u16,
    /// How many sequence numbers are told of.
    pub status_count: u16,
    /// In units of 64 ms on the receiver's clock; 24 bits signed, and it wraps.
    pub reference_time: i32,
    /// Counts these packets, to notice lost ones.
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn read(mut body: Reader<'a>) -> Result<Self, ParseError> {
        let sender_ssrc = body.u32()?;
        let media_ssrc = body.u32()?;
        let base_sequence = body.u16()?;
        let status_count = body.u16()?;
        let reference_time = body.i24()?;
        let feedback_count = body.u8()?;
        let (chunks, deltas) = split(status_count, body)?;
        Ok(Self {
            sender_ssrc,
            media_ssrc,
            base_sequence,
            status_count,
            reference_time,
            feedback_count,
            chunks,
            deltas,
        })
    }

    /// For each sequence number, if it arrived: how many microseconds after the arrival before it
    /// (negative if before that), the first against the reference time.
    pub fn deltas(&self) -> impl Iterator<Item = (u16, Option<i32>)> + use<'a> {
        let base = self.base_sequence;
        let statuses = Statuses::new(self.chunks, self.deltas);
        (0..self.status_count)
            .zip(statuses)
            .map(move |(offset, ticks)| {
                (
                    base.wrapping_add(offset),
                    ticks.map(|ticks| i32::from(ticks) * TICK as i32),
                )
            })
    }

    /// For each sequence number, if it arrived: when, in microseconds on the receiver's clock modulo
    /// the wrap of [`Self::reference_time`].
    pub fn arrivals(&self) -> impl Iterator<Item = (u16, Option<i64>)> + use<'a> {
        let unit = REFERENCE_TICKS * TICK as i64;
        self.deltas().scan(
            i64::from(self.reference_time) * unit,
            |at, (sequence, delta)| {
                *at += i64::from(delta.unwrap_or(0));
                Some((sequence, delta.map(|_| *at)))
            },
        )
    }
}

/// Splits what follows the header into chunks that tell `status_count` statuses and the deltas that
/// belong to them.
fn split(status_count: u16, mut body: Reader<'_>) -> Result<(&[u8], &[u8]), ParseError> {
    let start = body.rest();
    let mut left = usize::from(status_count);
    let mut deltas_len = 0;
    while left > 0 {
        let chunk = Chunk(body.u16()?);
        let told = chunk.len().min(left);
        deltas_len += chunk.deltas_len(told)?;
        left -= told;
    }
    let chunks = &start[..start.len() - body.rest().len()];
    Ok((chunks, body.take(deltas_len)?))
}

/// A packet chunk (sections 3.1.3 and 3.1.4).
#[derive(Clone, Copy, Debug)]
struct Chunk(u16);

impl Chunk {
    const MAX_RUN: usize = 0x1fff;
    const BITS: usize = 14;
    const PAIRS: usize = 7;

    fn run(symbol: u8, len: usize) -> Self {
        Self(u16::from(symbol) << 13 | len as u16)
    }

    fn bits(symbols: &[u8]) -> Self {
        let place = |(i, &symbol)| u16::from(symbol) << (13 - i);
        Self(
            symbols
                .iter()
                .enumerate()
                .map(place)
                .fold(0x8000, |chunk, bit| chunk | bit),
        )
    }

    fn pairs(symbols: &[u8]) -> Self {
        let place = |(i, &symbol)| u16::from(symbol) << (12 - 2 * i);
        Self(
            symbols
                .iter()
                .enumerate()
                .map(place)
                .fold(0xc000, |chunk, pair| chunk | pair),
        )
    }

    /// How many statuses it tells.
    fn len(self) -> usize {
        match self.0 >> 14 {
            0b10 => Self::BITS,
            0b11 => Self::PAIRS,
            _ => usize::from(self.0) & Self::MAX_RUN,
        }
    }

    /// The status at `i`, which is less than [`Self::len`].
    fn symbol(self, i: usize) -> u8 {
        match self.0 >> 14 {
            0b10 => (self.0 >> (13 - i) & 1) as u8,
            0b11 => (self.0 >> (12 - 2 * i) & 3) as u8,
            _ => (self.0 >> 13 & 3) as u8,
        }
    }

    /// Octets of the deltas that its first `len` statuses ask for.
    fn deltas_len(self, len: usize) -> Result<usize, ParseError> {
        if self.0 >> 15 == 0 {
            return Ok(delta_len(self.symbol(0))? * len);
        }
        (0..len).map(|i| delta_len(self.symbol(i))).sum()
    }
}

fn delta_len(symbol: u8) -> Result<usize, ParseError> {
    match symbol {
        LOST => Ok(0),
        SMALL => Ok(1),
        LARGE => Ok(2),
        _ => Err(ParseError::Malformed("packet status")),
    }
}

/// Walks chunks and deltas together: for each status its delta in ticks, if it arrived.
#[derive(Clone, Debug)]
struct Statuses<'a> {
    chunks: Reader<'a>,
    deltas: Reader<'a>,
    chunk: Chunk,
    /// Statuses of `chunk` already told.
    told: usize,
}

impl<'a> Statuses<'a> {
    fn new(chunks: &'a [u8], deltas: &'a [u8]) -> Self {
        let (chunks, deltas) = (Reader::new(chunks), Reader::new(deltas));
        Self {
            chunks,
            deltas,
            chunk: Chunk::run(LOST, 0),
            told: 0,
        }
    }
}

impl Iterator for Statuses<'_> {
    type Item = Option<i16>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.told == self.chunk.len() {
            self.chunk = Chunk(self.chunks.u16().ok()?);
            self.told = 0;
        }
        let symbol = self.chunk.symbol(self.told);
        self.told += 1;
        match symbol {
            SMALL => self.deltas.u8().ok().map(|ticks| Some(i16::from(ticks))),
            LARGE => self.deltas.u16().ok().map(|ticks| Some(ticks as i16)),
            _ => Some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::{packet, put};
    use super::super::{Rtcp, packets};
    use super::*;

    pub(super) fn read(datagram: &[u8]) -> TransportFeedback<'_> {
        match packets(datagram).next().unwrap().unwrap() {
            Rtcp::TransportFeedback(feedback) => feedback,
            other => panic!("{other:?}"),
        }
    }

    /// Feedback of these chunks and deltas, statuses as counted.
    fn raw(status_count: u16, tail: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        packet(&mut out, kind::TWCC, kind::TRANSPORT_FEEDBACK, |out| {
            put(out, &[1, 2, 0xfffe_0000 | u32::from(status_count), 5 << 8]);
            out.extend_from_slice(tail);
        });
        out
    }

    #[test]
    fn reads_the_chunks_of_the_draft() {
        // A run of 2 lost; 14 bits of which 3 count; the padding and the rest are not looked at.
        let out = raw(5, &[0x00, 0x02, 0xa0, 0x00, 4, 0, 0, 0]);
        assert!(read(&out).deltas().eq([
            (0xfffe, None),
            (0xffff, None),
            (0, Some(1000)),
            (1, None),
            (2, None),
        ]));
        // Seven pairs: small, large, lost.
        let out = raw(3, &[0xd8, 0x00, 255, 0xff, 0xfe, 0, 0, 0]);
        assert!(read(&out).arrivals().eq([
            (0xfffe, Some(320_000 + 63_750)),
            (0xffff, Some(320_000 + 63_750 - 500)),
            (0, None),
        ]));
    }

    #[test]
    fn incomplete_or_reserved_statuses_are_refused() {
        let error = |status_count, tail: &[u8]| {
            packets(&raw(status_count, tail))
                .next()
                .unwrap()
                .unwrap_err()
        };
        assert_eq!(error(3, &[0x00, 0x02, 0x00, 0x00]), ParseError::Truncated); // 2 of 3 told
        assert_eq!(error(3, &[0x20, 0x03, 1, 1]), ParseError::Truncated); // 2 of 3 deltas
        assert_eq!(
            error(1, &[0x60, 0x01, 0, 0]),
            ParseError::Malformed("packet status")
        );
        assert_eq!(
            error(1, &[0xf0, 0x00, 0, 0]),
            ParseError::Malformed("packet status")
        );
    }

    #[test]
    fn a_negative_reference_time_is_read() {
        let mut out = raw(1, &[0x20, 0x01, 4, 0]);
        out[16..19].copy_from_slice(&[0xff, 0xff, 0xff]);
        assert!(read(&out).arrivals().eq([(0xfffe, Some(-63_000))]));
    }
}
