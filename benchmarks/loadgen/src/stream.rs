//! One RTP stream as a viewer follows it: what came, what did not, what came twice.

use tongbu_media::clock::{Micros, SECOND};
use tongbu_media::packet::rtcp::ReportBlock;
use tongbu_media::track::nearest;

/// Sequence numbers behind the highest that are remembered one by one.
const WINDOW: usize = 1_024;

/// What a packet was to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    First,
    /// It, or one so old that it is not remembered, had come before.
    Again,
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub ssrc: u32,
    first: u64,
    highest: u64,
    count: u64,
    /// A bit for each of the last `WINDOW` numbers: it came.
    window: [u64; WINDOW / 64],
    /// At the last report.
    reported: (u64, u64),
    /// Middle bits of the last sender report's NTP time, and when that came.
    sender: Option<(u32, Micros)>,
}

impl Stream {
    /// A stream that begins with this packet; the packet itself is still to be told.
    pub(crate) fn new(ssrc: u32, sequence: u16) -> Self {
        let first = 65_536 + u64::from(sequence);
        Self {
            ssrc,
            first,
            highest: first - 1,
            count: 0,
            window: [0; WINDOW / 64],
            reported: (first - 1, 0),
            sender: None,
        }
    }

    pub(crate) fn handle_packet(&mut self, sequence: u16) -> Arrival {
        let index = nearest(self.highest, sequence);
        self.advance(index);
        if index < self.first || index + (WINDOW as u64) <= self.highest {
            return Arrival::Again;
        }
        let (word, bit) = place(index);
        if self.window[word] & bit != 0 {
            return Arrival::Again;
        }
        self.window[word] |= bit;
        self.count += 1;
        Arrival::First
    }

    /// Forget what falls out of the window.
    fn advance(&mut self, index: u64) {
        if index >= self.highest + WINDOW as u64 {
            self.window.fill(0);
            self.highest = index;
        }
        while self.highest < index {
            self.highest += 1;
            let (word, bit) = place(self.highest);
            self.window[word] &= !bit;
        }
    }

    pub(crate) fn handle_sender_report(&mut self, ntp: u64, now: Micros) {
        self.sender = Some(((ntp >> 16) as u32, now));
    }

    /// Sequence numbers that never came.
    pub(crate) fn lost(&self) -> u64 {
        (self.highest + 1 - self.first).saturating_sub(self.count)
    }

    /// What a receiver report says of it, since the last one.
    pub(crate) fn report(&mut self, now: Micros) -> ReportBlock {
        let (highest, count) = self.reported;
        let expected = self.highest - highest;
        let lost = expected.saturating_sub(self.count - count);
        self.reported = (self.highest, self.count);
        let (lsr, came) = self.sender.unwrap_or((0, now));
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            cumulative_lost: self.lost() as i32,
            highest_sequence: (self.highest - 65_536) as u32,
            jitter: 0,
            lsr,
            dlsr: ((now - came) * 65_536 / SECOND) as u32,
        }
    }
}

fn place(index: u64) -> (usize, u64) {
    let slot = index as usize % WINDOW;
    (slot / 64, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(sequences: &[u16]) -> (Stream, Vec<Arrival>) {
        let mut stream = Stream::new(7, sequences[0]);
        let arrivals = sequences.iter().map(|&s| stream.handle_packet(s)).collect();
        (stream, arrivals)
    }

    #[test]
    fn a_copy_neither_counts_nor_hides_a_loss() {
        let (stream, arrivals) = follow(&[65_534, 65_535, 1, 1, 2, 65_535]);
        let again = arrivals.iter().filter(|a| **a == Arrival::Again).count();
        assert_eq!((again, stream.lost()), (2, 1));
    }

    #[test]
    fn what_comes_late_was_not_lost() {
        let (stream, arrivals) = follow(&[10, 12, 13, 11]);
        assert!(arrivals.iter().all(|a| *a == Arrival::First));
        assert_eq!(stream.lost(), 0);
    }

    #[test]
    fn a_gap_longer_than_the_window_is_lost_and_forgotten() {
        let (mut stream, _) = follow(&[10, 5_000]);
        assert_eq!(stream.lost(), 4_989);
        assert_eq!(stream.handle_packet(5_000 - WINDOW as u16), Arrival::Again);
        assert_eq!(stream.handle_packet(4_999), Arrival::First);
    }

    #[test]
    fn a_report_tells_the_delay_since_the_sender_report() {
        let (mut stream, _) = follow(&[10, 11, 13, 14]);
        stream.handle_sender_report(0x1111_2222_3333_4444, 5 * SECOND);
        let block = stream.report(5 * SECOND + SECOND / 2);
        assert_eq!((block.lsr, block.dlsr), (0x2222_3333, 32_768));
        assert_eq!((block.fraction_lost, block.cumulative_lost), (51, 1));
        assert_eq!(stream.report(6 * SECOND).fraction_lost, 0);
    }
}
