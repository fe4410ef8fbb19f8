//! Which simulcast streams of a track anybody takes: what nobody takes its publisher need not send.
//!
//! More is told at once, for somebody waits for it; less only when it has been so for a while, for a
//! stream that is stopped costs its next viewer a moment. What a stream cost is remembered while it
//! sleeps, so that it can be chosen again ([`Demand::sleeps`]).

use crate::clock::{Micros, SECOND};
use crate::route::MAX_LAYERS;

/// The publisher hears of a change at most this often.
const INTERVAL: Micros = SECOND;
/// A stream is wanted until nobody has taken it for so long.
const PATIENCE: Micros = 5 * SECOND;
/// A publisher that was asked for a stream again has begun to send it within this, or cannot.
const WAKING: Micros = 3 * SECOND;

/// A set of simulcast streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers(u8);

impl Layers {
    /// The first so many.
    pub fn first(count: usize) -> Self {
        let mut layers = Self::default();
        (0..count.min(MAX_LAYERS) as u8).for_each(|layer| layers.add(layer));
        layers
    }

    /// Put a stream in; one beyond all bounds is nothing.
    pub fn add(&mut self, layer: u8) {
        self.0 |= 1u8.checked_shl(layer.into()).unwrap_or(0);
    }

    /// Whether it is in.
    pub fn contains(self, layer: u8) -> bool {
        self.0 & 1u8.checked_shl(layer.into()).unwrap_or(0) != 0
    }

    /// Those in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that the other has not.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All, in the order of the offer.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..MAX_LAYERS as u8).filter(move |layer| self.contains(*layer))
    }
}

/// What some takers want of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// These streams.
    pub streams: Layers,
    /// The best one, whichever it is.
    pub best: bool,
}

impl Wants {
    /// Somebody takes this stream, or the best one.
    pub fn add(&mut self, stream: Option<u8>) {
        match stream {
            Some(stream) => self.streams.add(stream),
            None => self.best = true,
        }
    }

    /// What either wants.
    pub fn and(self, other: Self) -> Self {
        Self {
            streams: self.streams.union(other.streams),
            best: self.best || other.best,
        }
    }
}

/// What a publisher is told of its takers.
#[derive(Debug)]
pub struct Demand {
    all: Layers,
    /// When each stream was last taken.
    taken: [Micros; MAX_LAYERS],
    /// When each was last asked for anew.
    woken: [Micros; MAX_LAYERS],
    told: Layers,
    told_at: Option<Micros>,
    /// Streams that would be sent if they were wanted, as far as is known.
    alive: Layers,
}

impl Demand {
    /// A track of so many streams, all of which its publisher begins with.
    pub fn new(streams: usize, now: Micros) -> Self {
        let all = Layers::first(streams.max(1));
        Self {
            all,
            taken: [now; MAX_LAYERS],
            woken: [now; MAX_LAYERS],
            told: all,
            told_at: None,
            alive: Layers::default(),
        }
    }

    /// All streams that were offered.
    pub fn all(&self) -> Layers {
        self.all
    }

    /// These are wanted now, and those are being sent; returns what the publisher should hear.
    pub fn poll(&mut self, wanted: Layers, flowing: Layers, now: Micros) -> Option<Layers> {
        self.note_flow(flowing, now);
        wanted
            .iter()
            .for_each(|stream| self.taken[usize::from(stream)] = now);
        let mut lately = Layers::default();
        let recent = |stream: &u8| now < self.taken[usize::from(*stream)] + PATIENCE;
        self.all
            .iter()
            .filter(recent)
            .for_each(|stream| lately.add(stream));
        if lately == self.told || self.due().is_some_and(|due| now < due) {
            return None;
        }
        for stream in lately.without(self.told).iter() {
            self.woken[usize::from(stream)] = now;
        }
        (self.told, self.told_at) = (lately, Some(now));
        Some(lately)
    }

    /// When more may be told.
    pub fn due(&self) -> Option<Micros> {
        self.told_at.map(|at| at + INTERVAL)
    }

    /// Whether something is wanted that the publisher does not know of.
    pub fn lacks(&self, wanted: Layers) -> bool {
        let wanted = wanted.without(self.told);
        self.all.iter().any(|stream| wanted.contains(stream))
    }

    /// Whether a stream is not being sent because nobody wanted it.
    pub fn sleeps(&self, stream: u8, now: Micros) -> bool {
        let waking = |stream| now < self.woken[usize::from(stream)] + WAKING;
        self.alive.contains(stream) && (!self.told.contains(stream) || waking(stream))
    }

    fn note_flow(&mut self, flowing: Layers, now: Micros) {
        let mut alive = flowing;
        for stream in self.alive.iter().filter(|s| self.sleeps(*s, now)) {
            alive.add(stream);
        }
        self.alive = alive;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;

    fn layers(streams: &[u8]) -> Layers {
        let mut layers = Layers::default();
        streams.iter().for_each(|s| layers.add(*s));
        layers
    }

    #[test]
    fn less_is_told_late_and_more_at_once() {
        let start = 100 * SECOND;
        let mut demand = Demand::new(3, start);
        let all = Layers::first(3);
        for second in 0..5 {
            let now = start + second * SECOND;
            assert_eq!(
                demand.poll(layers(&[0]), all, now),
                None,
                "after {second} s"
            );
        }
        let now = start + 5 * SECOND;
        assert_eq!(demand.poll(layers(&[0]), all, now), Some(layers(&[0])));
        let soon = now + 20 * MILLISECOND;
        assert_eq!(demand.poll(layers(&[0, 2]), all, soon), None);
        assert!(demand.lacks(layers(&[2])), "but it is due within a second");
        let due = demand.due().expect("something was told");
        assert_eq!(demand.poll(layers(&[2]), all, due), Some(layers(&[0, 2])));
        let later = due + 2 * SECOND;
        let more = demand.poll(layers(&[1, 2]), all, later);
        assert_eq!(more, Some(layers(&[0, 1, 2])));
        assert!(!demand.lacks(layers(&[7])), "there is no such stream");
    }

    #[test]
    fn who_comes_back_soon_is_not_told_of() {
        let mut demand = Demand::new(1, 0);
        for second in 0..60 {
            let wanted = if second % 5 == 4 {
                layers(&[0])
            } else {
                layers(&[])
            };
            assert_eq!(demand.poll(wanted, layers(&[0]), second * SECOND), None);
        }
        assert_eq!(
            demand.poll(layers(&[]), layers(&[0]), 70 * SECOND),
            Some(layers(&[]))
        );
    }

    #[test]
    fn what_sleeps_is_told_from_what_cannot_be_sent() {
        let mut demand = Demand::new(2, 0);
        demand.poll(layers(&[0, 1]), layers(&[0, 1]), SECOND);
        demand.poll(layers(&[0]), layers(&[0, 1]), 7 * SECOND);
        demand.poll(layers(&[0]), layers(&[0]), 60 * SECOND);
        assert!(demand.sleeps(1, 60 * SECOND));
        demand.poll(layers(&[0, 1]), layers(&[0]), 61 * SECOND);
        assert!(demand.sleeps(1, 62 * SECOND), "it has time to wake");
        demand.poll(layers(&[0, 1]), layers(&[0]), 65 * SECOND);
        assert!(!demand.sleeps(1, 65 * SECOND), "it did not");
        demand.poll(layers(&[0]), layers(&[0]), 75 * SECOND);
        assert!(
            !demand.sleeps(1, 75 * SECOND),
            "nobody knows whether it would"
        );
        demand.poll(layers(&[0]), layers(&[0, 1]), 76 * SECOND);
        assert!(demand.sleeps(1, 77 * SECOND));
    }
}
