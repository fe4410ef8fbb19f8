//! The rate itself: up by steps while the link carries it, down by a part when it does not
//! (draft-ietf-rmcat-gcc-02 section 5.5).
//!
//! Far below anything that ever was too much, the rate grows by a part a second. Near what the link
//! carried when it was last too much, it grows by the same amount for everybody: so flows that share
//! a link come to share it evenly, whatever their round trips. What was carried before a short
//! interruption is taken up again quickly.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// No viewer is told less than this, which a voice needs, nor more than any lesson has.
pub(super) const LEAST: f64 = 30e3;
pub(super) const MOST: f64 = 100e6;
/// What a link is taken to carry before anything is known of it.
pub(super) const INITIAL: f64 = 300e3;

/// Growth a second, as a part: until something was too much; later, far from what was; towards what
/// was carried before an interruption.
const STARTING: f64 = 0.5;
const FAR: f64 = 0.08;
const RETURNING: f64 = 0.6;
/// Growth a second near what was too much: bits a second, or this part of wide links.
const NEAR: f64 = 32e3;
const NEAR_PART: f64 = 0.02;
/// What is left of the carried rate when it was too much (section 5.5)...
const KEPT: f64 = 0.85;
/// ...and how much less when the queue is longer than this, all of it when longer by that.
const KEPT_LESS: f64 = 0.15;
const LONG: Micros = 100 * MILLISECOND;
const LONGER: Micros = 200 * MILLISECOND;
/// At once the rate is not reduced below this part: what was carried was measured with error.
const LEAST_KEPT: f64 = 0.5;
/// Growth beyond what arrives is a guess that nothing has tested: it ends at this multiple, and a
/// bit more where next to nothing is sent.
const UNTESTED: f64 = 1.5;
const UNTESTED_MORE: f64 = 10e3;
/// What was too much is known with this deviation, as a part, at least and at most.
const DEVIATION: (f64, f64) = (0.02, 0.10);

/// What the link carried when it was too much.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    mean: f64,
    /// Of the mean, as a part.
    deviation: f64,
}

/// The rate.
#[derive(Debug)]
pub(super) struct Aimd {
    target: f64,
    capacity: Option<Capacity>,
    /// Nothing was too much yet.
    starting: bool,
    /// What was carried before an interruption.
    former: Option<f64>,
    updated: Micros,
    reduced: Micros,
}

impl Aimd {
    pub(super) fn new(now: Micros) -> Self {
        Self {
            target: INITIAL,
            capacity: None,
            starting: true,
            former: None,
            updated: now,
            reduced: 0,
        }
    }

    /// Bits a second.
    pub(super) fn target(&self) -> f64 {
        self.target
    }

    /// Whether nothing was too much yet: then the rate is what was tried so far, not what fits.
    pub(super) fn is_starting(&self) -> bool {
        self.starting
    }

    /// When the rate was last reduced.
    pub(super) fn reduced(&self) -> Micros {
        self.reduced
    }

    /// Time passed in which nothing spoke against the rate; `carried` is what arrived.
    pub(super) fn grow(&mut self, carried: f64, queued: bool, now: Micros) {
        let seconds = now.saturating_sub(self.updated).min(SECOND) as f64 / SECOND as f64;
        self.updated = now;
        let limit = (UNTESTED * carried + UNTESTED_MORE).max(self.target);
        let grown = self.target + self.growth(queued) * seconds;
        // A queue that empties carries more than it will when it is empty.
        let proven = if queued {
            0.0
        } else {
            carried.min(grown * 2.0)
        };
        self.target = grown.min(limit).max(proven).clamp(LEAST, MOST);
        if self
            .capacity
            .is_some_and(|c| carried > c.mean * (1.0 + 3.0 * c.deviation))
        {
            self.capacity = None; // the link has become wider
        }
        if self.former.is_some_and(|former| self.target >= former) {
            self.former = None;
        }
    }

    /// Time passed in which the rate had better stay.
    pub(super) fn hold(&mut self, now: Micros) {
        self.updated = now;
    }

    /// The queue grows while `carried` arrives; `least` is kept in any case.
    pub(super) fn reduce(&mut self, carried: f64, least: f64, wait: Micros, now: Micros) {
        let long = wait.saturating_sub(LONG).min(LONGER) as f64 / LONGER as f64;
        let rate = carried * (KEPT - KEPT_LESS * long);
        self.note_capacity(carried.max(least));
        self.reduce_to(rate.max(least), now);
    }

    /// Packets are lost because of us; `rate` would fit.
    pub(super) fn reduce_for_loss(&mut self, rate: f64, now: Micros) {
        self.note_capacity(rate);
        self.reduce_to(rate, now);
    }

    /// The link was seen to carry this.
    pub(super) fn raise(&mut self, rate: f64) {
        self.target = self.target.max(rate).clamp(LEAST, MOST);
        if self
            .capacity
            .is_some_and(|c| rate > c.mean * (1.0 + 3.0 * c.deviation))
        {
            self.capacity = None;
        }
    }

    /// Somebody else fills the queue: this was carried before, and where he leaves off is not known.
    pub(super) fn contest(&mut self, rate: f64) {
        self.raise(rate);
        self.capacity = None;
    }

    /// Nothing is heard: less and less is sent (in the spirit of RFC 8083).
    pub(super) fn halve(&mut self, now: Micros) {
        self.former = Some(self.former.unwrap_or(self.target));
        self.reduced = now;
        self.target = (self.target / 2.0).max(LEAST);
    }

    /// The other end is heard again: go on near where we were, which is returned.
    pub(super) fn resume(&mut self, part: f64, now: Micros) -> Option<f64> {
        self.updated = now;
        let former = self.former?;
        self.raise(former * part);
        Some(former)
    }

    fn growth(&self, queued: bool) -> f64 {
        let near = NEAR.max(self.target * NEAR_PART).min(self.target * 0.2);
        if self
            .former
            .is_some_and(|former| self.target < former * 0.95)
            && !queued
        {
            return self.target * RETURNING;
        }
        let is_near = |c: Capacity| self.target > c.mean * (1.0 - 3.0 * c.deviation);
        if queued || self.capacity.is_some_and(is_near) {
            near
        } else if self.starting {
            self.target * STARTING
        } else {
            near.max(self.target * FAR)
        }
    }

    fn reduce_to(&mut self, rate: f64, now: Micros) {
        self.starting = false;
        self.former = None;
        self.updated = now;
        self.reduced = now;
        let least = self.target * LEAST_KEPT;
        self.target = rate.max(least).min(self.target).clamp(LEAST, MOST);
    }

    fn note_capacity(&mut self, carried: f64) {
        let Some(capacity) = self.capacity.as_mut() else {
            let (_, deviation) = DEVIATION;
            self.capacity = Some(Capacity {
                mean: carried,
                deviation,
            });
            return;
        };
        let off = (carried - capacity.mean) / capacity.mean.max(1.0);
        if off.abs() > 3.0 * capacity.deviation.max(0.05) {
            capacity.mean = carried; // another link
            capacity.deviation = DEVIATION.1;
            return;
        }
        capacity.mean += off * capacity.mean * 0.1;
        capacity.deviation += (off.abs() - capacity.deviation) * 0.1;
        capacity.deviation = capacity.deviation.clamp(DEVIATION.0, DEVIATION.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_no_further_than_what_arrives_bears_out() {
        let mut aimd = Aimd::new(SECOND);
        (0..600).for_each(|step| aimd.grow(400e3, false, SECOND + step * SECOND / 10));
        assert!((600e3..620e3).contains(&aimd.target()), "{}", aimd.target());
    }

    #[test]
    fn does_not_decay_to_what_is_sent() {
        let mut aimd = Aimd::new(SECOND);
        aimd.raise(5e6);
        (0..600).for_each(|step| aimd.grow(50e3, false, SECOND + step * SECOND / 10));
        assert!(aimd.target() >= 5e6);
    }

    #[test]
    fn is_careful_near_what_was_too_much() {
        let mut aimd = Aimd::new(SECOND);
        aimd.raise(1.1e6);
        aimd.reduce(1e6, 0.0, 0, SECOND);
        let reduced = aimd.target();
        assert!((840e3..860e3).contains(&reduced), "{reduced}");
        (1..=10).for_each(|step| aimd.grow(reduced, false, SECOND + step * SECOND / 10));
        assert!(aimd.target() - reduced < 40e3, "{}", aimd.target());
    }

    #[test]
    fn takes_up_where_an_interruption_began() {
        let mut aimd = Aimd::new(SECOND);
        aimd.raise(2e6);
        (0..10).for_each(|step| aimd.halve(SECOND + step * SECOND));
        assert!(aimd.target() <= LEAST);
        aimd.resume(0.75, 20 * SECOND);
        assert!((1.4e6..1.6e6).contains(&aimd.target()));
        (1..=20).for_each(|step| aimd.grow(1.4e6, false, 20 * SECOND + step * SECOND / 10));
        assert!(aimd.target() > 1.9e6, "{}", aimd.target());
    }
}
