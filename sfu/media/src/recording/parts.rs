//! Where a part and a segment end: by the times of the samples alone.

use std::collections::VecDeque;

use super::cmaf::{self, Row};

/// How long parts and segments are, in ticks of the track.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cut {
    /// A part is not longer, unless a single sample is.
    pub longest: i64,
    /// A part of so much ends as soon as it can.
    pub enough: i64,
    /// A segment of so much ends where the next sample may begin one.
    pub shortest: i64,
}

/// What is to be written next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The next part of the segment.
    Part {
        /// A CMAF chunk.
        data: Vec<u8>,
        /// When it starts, in ticks.
        start: i64,
        /// When it ends.
        end: i64,
        /// Its first sample depends on no other.
        independent: bool,
    },
    /// The segment is whole.
    Close {
        /// When it starts, in ticks.
        start: i64,
        /// When it ends.
        end: i64,
    },
}

/// Samples in by [`add`](Self::add), pieces out by [`poll`](Self::poll).
#[derive(Debug, Default)]
pub struct Parts {
    cut: Cut,
    chunks: u32,
    /// Of the segment that is open.
    segment: Option<i64>,
    rows: Vec<Row>,
    data: Vec<u8>,
    start: i64,
    end: i64,
    pieces: VecDeque<Piece>,
}

impl Parts {
    /// From the next part on.
    pub fn set_cut(&mut self, cut: Cut) {
        self.cut = cut;
    }

    /// Add a sample; with `last`, the next one may begin a segment. True when one was closed.
    pub fn add(&mut self, data: &[u8], (start, end): (i64, i64), sync: bool, last: bool) -> bool {
        if !self.rows.is_empty() && end > self.start + self.cut.longest {
            self.end_part();
        }
        if self.rows.is_empty() {
            self.start = start;
        }
        let segment = *self.segment.get_or_insert(start);
        self.data.extend_from_slice(data);
        self.rows.push(Row {
            ticks: u32::try_from(end - start).unwrap_or(u32::MAX),
            bytes: data.len() as u32,
            sync,
        });
        self.end = end;
        if last && end >= segment + self.cut.shortest {
            self.close();
            return true;
        }
        if end >= self.start + self.cut.enough {
            self.end_part();
        }
        false
    }

    /// End the segment that is open, if one is.
    pub fn close(&mut self) {
        if !self.rows.is_empty() {
            self.end_part();
        }
        if let Some(start) = self.segment.take() {
            let end = self.end;
            self.pieces.push_back(Piece::Close { start, end });
        }
    }

    /// What is to be written next.
    pub fn poll(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// There is something to write.
    pub fn has_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    fn end_part(&mut self) {
        self.chunks += 1;
        self.pieces.push_back(Piece::Part {
            data: cmaf::chunk(self.chunks, self.start, &self.rows, &self.data),
            start: self.start,
            end: self.end,
            independent: self.rows.first().is_some_and(|row| row.sync),
        });
        self.rows.clear();
        self.data.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of 20 ms at 48 kHz; when parts end, and "|" for segments.
    fn ends(lengths: impl Iterator<Item = i64>) -> Vec<Option<i64>> {
        let mut parts = Parts::default();
        parts.set_cut(Cut {
            longest: 10_560,
            enough: 8_977,
            shortest: 96_000,
        });
        let mut at = 0;
        for length in lengths {
            parts.add(b"x", (at, at + length), true, true);
            at += length;
        }
        parts.close();
        std::iter::from_fn(|| parts.poll())
            .map(|piece| match piece {
                Piece::Part { end, .. } => Some(end),
                Piece::Close { .. } => None,
            })
            .collect()
    }

    #[test]
    fn a_part_ends_when_it_is_long_enough_and_a_segment_after_two_seconds() {
        let mut wanted: Vec<_> = (1..=10).map(|n| Some(n * 9_600)).collect();
        wanted.extend([None, Some(96_960), None]);
        assert_eq!(ends(std::iter::repeat_n(960, 101)), wanted);
    }

    #[test]
    fn a_part_is_not_longer_than_it_may_be() {
        assert_eq!(
            ends([5_760, 5_760, 20_000].into_iter()),
            [Some(5_760), Some(11_520), Some(31_520), None]
        );
    }

    #[test]
    fn nothing_is_closed_twice() {
        let mut parts = Parts::default();
        parts.close();
        assert!(!parts.has_pieces());
    }
}
