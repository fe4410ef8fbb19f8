//! Writes transport-wide feedback from arrival times.

use std::slice;

use super::super::write::{packet, put};
use super::{Chunk, LARGE, LOST, REFERENCE_TICKS, SMALL, TICK, kind};
use crate::clock::Micros;

/// Octets that a packet may have: it shares a datagram with a report and SRTCP's tag.
const MAX_LEN: usize = 1100;
/// Octets before the first chunk.
const HEADER_LEN: usize = 20;
/// Received packets told by one run: their deltas are to fit [`MAX_LEN`] in any case.
const MAX_RECEIVED_RUN: usize = 255;

/// Appends feedback on the transport-wide sequence numbers from `base_sequence` on, where
/// `arrivals[i]` is when the `i`-th of them arrived, or that it did not, and returns how many were
/// told. For the rest call again, with `feedback_count` one higher.
///
/// A packet ends where a delta exceeds 16 bits (8.2 s) or where it would outgrow a datagram. It ends
/// with one that arrived: what is missing behind the last arrival may still be under way. So if
/// nothing arrived, nothing is written and 0 returned.
pub fn transport_feedback(
    out: &mut Vec<u8>,
    sender_ssrc: u32,
    media_ssrc: u32,
    base_sequence: u16,
    feedback_count: u8,
    arrivals: &[Option<Micros>],
) -> usize {
    let arrivals = &arrivals[..arrivals.len().min(u16::MAX.into())];
    let Some(first) = arrivals.iter().find_map(|arrival| *arrival) else {
        return 0;
    };
    let reference = ticks(first) / REFERENCE_TICKS;
    let symbols = Symbols::new(arrivals, reference * REFERENCE_TICKS);
    let mut told = 0;
    packet(out, kind::TWCC, kind::TRANSPORT_FEEDBACK, |out| {
        let start = out.len();
        put(
            out,
            &[sender_ssrc, media_ssrc, u32::from(base_sequence) << 16],
        );
        put(out, &[(reference as u32) << 8 | u32::from(feedback_count)]);
        let count_at = start + 10;
        told = put_chunks(out, symbols.until_last_arrival());
        out[count_at..count_at + 2].copy_from_slice(&(told as u16).to_be_bytes());
        put_deltas(out, symbols.take(told));
        out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    });
    told
}

/// Appends chunks for as many statuses as a packet can hold, and returns how many.
fn put_chunks(out: &mut Vec<u8>, mut symbols: Symbols<'_>) -> usize {
    let (mut told, mut len) = (0, HEADER_LEN);
    while let Some((chunk, statuses)) = choose_chunk(&symbols) {
        let deltas: usize = symbols
            .by_ref()
            .take(statuses)
            .map(|status| status.delta_len())
            .sum();
        len += 2 + deltas;
        if len > MAX_LEN {
            break;
        }
        out.extend_from_slice(&chunk.0.to_be_bytes());
        told += statuses;
    }
    told
}

/// The chunk that tells most of what comes next, and how many statuses of it count.
fn choose_chunk(symbols: &Symbols<'_>) -> Option<(Chunk, usize)> {
    let mut window = [LOST; Chunk::BITS];
    let upcoming = window.iter_mut().zip(symbols.clone());
    let filled = upcoming
        .map(|(place, status)| *place = status.symbol)
        .count();
    let window = &window[..filled];
    let first = *window.first()?;
    let run = window.iter().take_while(|&&symbol| symbol == first).count();
    if run == filled {
        let max = if first == LOST {
            Chunk::MAX_RUN
        } else {
            MAX_RECEIVED_RUN
        };
        let same = |status: &Status| status.symbol == first;
        let run = symbols.clone().take(max).take_while(same).count();
        return Some((Chunk::run(first, run), run));
    }
    if !window.contains(&LARGE) {
        return Some((Chunk::bits(window), filled));
    }
    if run >= Chunk::PAIRS {
        return Some((Chunk::run(first, run), run));
    }
    let filled = filled.min(Chunk::PAIRS);
    Some((Chunk::pairs(&window[..filled]), filled))
}

fn put_deltas(out: &mut Vec<u8>, statuses: impl Iterator<Item = Status>) {
    for Status { symbol, delta } in statuses {
        match symbol {
            SMALL => out.push(delta as u8),
            LARGE => out.extend_from_slice(&delta.to_be_bytes()),
            _ => {}
        }
    }
}

fn ticks(at: Micros) -> i64 {
    (at / TICK) as i64
}

/// A status to be written; `delta` is in ticks and 0 if lost.
struct Status {
    symbol: u8,
    delta: i16,
}

impl Status {
    fn delta_len(&self) -> usize {
        usize::from(self.symbol)
    }
}

/// The statuses of arrivals, up to the first whose delta does not fit. Deltas are taken between
/// rounded instants, so that rounding does not add up.
#[derive(Clone)]
struct Symbols<'a> {
    arrivals: slice::Iter<'a, Option<Micros>>,
    last: i64,
}

impl<'a> Symbols<'a> {
    fn new(arrivals: &'a [Option<Micros>], reference: i64) -> Self {
        Self {
            arrivals: arrivals.iter(),
            last: reference,
        }
    }

    /// The same without the losses behind the last arrival.
    fn until_last_arrival(&self) -> Self {
        let statuses = self.clone().enumerate();
        let last = statuses.filter(|(_, status)| status.symbol != LOST).last();
        let len = last.map_or(0, |(index, _)| index + 1);
        Self {
            arrivals: self.arrivals.as_slice()[..len].iter(),
            last: self.last,
        }
    }
}

impl Iterator for Symbols<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        let Some(at) = *self.arrivals.next()? else {
            return Some(Status {
                symbol: LOST,
                delta: 0,
            });
        };
        let now = ticks(at);
        let delta = i16::try_from(now - self.last).ok()?;
        self.last = now;
        let symbol = if (0..=255).contains(&delta) {
            SMALL
        } else {
            LARGE
        };
        Some(Status { symbol, delta })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const MS: Micros = crate::clock::MILLISECOND;

    fn feedback(base: u16, arrivals: &[Option<Micros>]) -> (usize, Vec<u8>) {
        let mut out = Vec::new();
        let told = transport_feedback(&mut out, 1, 2, base, 3, arrivals);
        (told, out)
    }

    #[test]
    fn a_steady_stream_is_one_run() {
        let arrivals: Vec<_> = (0..50).map(|i| Some(640 * MS + i * 2 * MS)).collect();
        let (told, out) = feedback(7, &arrivals);
        assert_eq!(told, 50);
        assert_eq!(out[12..20], [0, 7, 0, 50, 0, 0, 10, 3]);
        assert_eq!(out[20..24], [0x20, 50, 0, 8]);
        assert_eq!(out.len(), (20 + 2 + 50usize).next_multiple_of(4));
    }

    #[test]
    fn losses_are_bits_and_large_deltas_are_pairs() {
        let at = |ms: u64| Some(64 * MS + ms * MS);
        let (_, out) = feedback(0, &[at(0), None, at(1), at(2)]);
        assert_eq!(out[20..22], [0b1010_1100, 0]);
        let (_, out) = feedback(0, &[at(0), None, at(100), at(99)]);
        assert_eq!(out[20..22], [0b1101_0010, 0b1000_0000]);
        assert_eq!(out[22..27], [0, 1, 144, 255, 252]);
    }

    #[test]
    fn stops_where_a_delta_does_not_fit_and_before_the_losses_ahead_of_it() {
        let arrivals = [Some(0), Some(MS), None, Some(9000 * MS), None];
        let (told, out) = feedback(0, &arrivals);
        assert_eq!(told, 2);
        assert_eq!(read(&out).status_count, 2);
        let (told, out) = feedback(2, &arrivals[2..]);
        assert_eq!(told, 2);
        assert!(read(&out).arrivals().eq([(2, None), (3, Some(9_000_000))]));
    }

    #[test]
    fn nothing_arrived_nothing_is_written() {
        assert_eq!(feedback(0, &[]), (0, vec![]));
        assert_eq!(feedback(0, &[None, None]), (0, vec![]));
    }

    #[test]
    fn a_long_silence_is_told_in_full_runs() {
        let mut arrivals = vec![None; 65_534];
        arrivals.push(Some(MS));
        let (told, out) = feedback(0, &arrivals);
        assert_eq!(told, 65_535);
        assert_eq!(
            read(&out)
                .deltas()
                .filter(|(_, delta)| delta.is_some())
                .count(),
            1
        );
    }

    fn arrival() -> impl Strategy<Value = Option<Micros>> {
        prop_oneof![
            2 => Just(None),
            6 => (0..64 * MS).prop_map(Some),
            1 => (0..20_000 * MS).prop_map(Some),
        ]
    }

    proptest! {
        /// Told in as many packets as it takes, every arrival comes back rounded down to a tick.
        #[test]
        fn arrivals_come_back(base: u16, start in 0..1u64 << 38, ahead in vec(arrival(), 0..900)) {
            let arrivals: Vec<_> = ahead.iter().map(|at| at.map(|at| at + start)).collect();
            let (mut rest, mut sequence) = (&arrivals[..], base);
            while rest.iter().any(Option::is_some) {
                let (told, out) = feedback(sequence, rest);
                prop_assert!(told > 0 && out.len() <= MAX_LEN + 3);
                let read = read(&out);
                prop_assert_eq!(usize::from(read.status_count), told);
                prop_assert_eq!((read.sender_ssrc, read.media_ssrc, read.feedback_count), (1, 2, 3));
                let expected = rest[..told].iter().zip(0..).map(|(at, i)| {
                    (sequence.wrapping_add(i), at.map(|at| (at / TICK * TICK) as i64))
                });
                prop_assert!(read.arrivals().eq(expected));
                rest = &rest[told..];
                sequence = sequence.wrapping_add(told as u16);
            }
        }
    }
}
