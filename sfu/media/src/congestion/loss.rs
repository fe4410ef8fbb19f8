//! Which loss is ours. A radio link loses some packets whatever we send; a full queue loses what is
//! too much. Only the second is a reason to send less: taken for the same, a link that loses 5% of
//! anything ends at the bottom.
//!
//! The inherent loss is learned where our rate surely fits: well below one that fitted, no queue.
//! Loss above it by more than chance explains (packets are lost in bursts, so chance explains a lot),
//! in two windows in a row, is first taken for ours, and a trial: the rate goes down to what the
//! link delivered, corrected by the inherent loss. If the loss goes, it was ours. If it stays though
//! we send clearly less, it is the link's: the inherent loss is raised and the rate is given back.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// A window covers at least this time of sending, or the round trip...
const LEAST_SPAN: Micros = 500 * MILLISECOND;
/// ...and this many packets, or it is too uncertain...
const LEAST_PACKETS: u32 = 40;
/// ...unless this passes: then it is closed and nothing follows from it.
const MOST_SPAN: Micros = 5 * SECOND;
/// Loss that no round trip may be waited for: half of it is enough.
const GRAVE: f64 = 0.20;
/// Standard deviations of chance that are allowed, and a floor for what they do not cover.
const DEVIATIONS: f64 = 2.0;
const FLOOR: f64 = 0.01;
/// With packets waiting, loss is likely ours; as much as this is normal beside a competitor that
/// fills queues (draft-ietf-rmcat-gcc-02 section 6: below 2% the rate may grow).
const TOLERATED: f64 = 0.02;
/// Packets that wait no longer than this have no queue before them.
const NO_QUEUE: Micros = 30 * MILLISECOND;
/// Packets that wait longer than this lie in a queue that may be full.
const LONG_QUEUE: Micros = 60 * MILLISECOND;
/// A rate fits surely below this part of one that fitted.
const SURE: f64 = 0.9;
/// A rate that fitted says less as time passes: this a second.
const FORGET: f64 = 0.01;
/// How fast the inherent loss is learned.
const GAIN: f64 = 0.15;
/// At the start the loss found is believed up to this; above, it must stand a trial.
const BELIEVED: f64 = 0.10;
const FIRST_WINDOWS: u32 = 3;
/// More than this is never believed to be inherent.
const MOST_INHERENT: f64 = 0.40;
/// A trial is conclusive at this part of its rate or below...
const CLEARLY_LESS: f64 = 0.95;
/// ...and if this part of its loss is left, the loss is inherent:
const STAYS: f64 = 0.7;
/// if so in this many windows.
const CONCLUSIVE: u32 = 2;
/// A trial is given up after so many windows.
const TRIAL_WINDOWS: u32 = 6;
/// At once the rate is not reduced below this part.
const LEAST_KEPT: f64 = 0.5;

/// What follows from a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The rate may grow.
    Clear,
    /// The rate should stay until more is known.
    Suspicious,
    /// The rate is too high: this many bits a second were carried.
    Congested(f64),
    /// It was the link's loss: this rate, given up for a trial, is carried.
    Inherent(f64),
}

/// A rate was lowered for its loss.
#[derive(Clone, Copy, Debug)]
struct Trial {
    rate: f64,
    target: f64,
    loss: f64,
    windows: u32,
    /// Windows at a clearly lower rate in which the loss stayed.
    stayed: u32,
}

/// Packets of a window, by the time of their sending.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    first: Micros,
    last: Micros,
    packets: u32,
    lost: u32,
    bytes: u64,
}

/// The loss side of the estimator.
#[derive(Debug, Default)]
pub(super) struct Loss {
    window: Window,
    /// Packets sent before this say nothing any more.
    ignored_until: Micros,
    windows: u32,
    inherent: f64,
    smoothed: f64,
    /// The highest rate of late that fitted.
    fitted: f64,
    suspicious: bool,
    trial: Option<Trial>,
    runs: Runs,
}

/// Losses in a row.
#[derive(Debug, Default)]
struct Runs {
    last_lost: Option<u64>,
    lost: f64,
    runs: f64,
}

impl Loss {
    /// A packet is known to have come or not.
    #[inline]
    pub(super) fn handle_told(&mut self, sequence: u64, sent: Micros, bytes: u32, came: bool) {
        if !came {
            self.runs.handle_lost(sequence);
        }
        if sent < self.ignored_until {
            return;
        }
        let window = &mut self.window;
        if window.packets == 0 {
            window.first = sent;
        }
        window.last = window.last.max(sent);
        window.packets += 1;
        window.lost += u32::from(!came);
        window.bytes += u64::from(bytes);
    }

    /// A packet told lost came after all, out of order.
    #[inline]
    pub(super) fn handle_found(&mut self) {
        self.window.lost = self.window.lost.saturating_sub(1);
    }

    /// Part of the packets that the link loses whatever we send.
    pub(super) fn inherent(&self) -> f64 {
        self.inherent
    }

    /// Part of the packets lost of late.
    pub(super) fn smoothed(&self) -> f64 {
        self.smoothed
    }

    /// Packets lost in a row, on the average; 1 while none was lost.
    pub(super) fn mean_burst(&self) -> f64 {
        self.runs.mean()
    }

    /// Whether loss is above what is inherent, but not yet believed.
    pub(super) fn is_suspicious(&self) -> bool {
        self.suspicious
    }

    /// What was sent until now says nothing of the rates to come.
    fn ignore_until(&mut self, now: Micros) {
        self.ignored_until = now;
        self.window = Window::default();
        self.suspicious = false;
    }

    /// The way was interrupted: no trial outlives that.
    pub(super) fn handle_outage(&mut self, now: Micros) {
        self.trial = None;
        self.ignore_until(now);
    }

    /// Judge the window if it is full; `wait` is how long packets wait in the queue.
    pub(super) fn poll(
        &mut self,
        target: f64,
        wait: Micros,
        rtt: Micros,
        now: Micros,
    ) -> Option<Verdict> {
        let window = self.window;
        let span = window.last.saturating_sub(window.first);
        if span > MOST_SPAN && window.packets < LEAST_PACKETS {
            self.window = Window::default();
            return None;
        }
        let loss = f64::from(window.lost) / f64::from(window.packets.max(1));
        let grave = self.is_grave(loss, window.packets);
        let enough = match grave {
            true => LEAST_SPAN.max(rtt) / 2,
            false => LEAST_SPAN.max(rtt),
        };
        if window.packets < LEAST_PACKETS || span < enough {
            return None;
        }
        self.window = Window::default();
        self.windows += 1;
        self.smoothed += (loss - self.smoothed) * 0.3;
        self.fitted *= 1.0 - FORGET * (span as f64 / SECOND as f64).min(10.0);
        let rate = (window.bytes * 8 * SECOND) as f64 / span as f64;
        let verdict = self.judge(rate, loss, window.packets, target, wait);
        if matches!(verdict, Verdict::Congested(_) | Verdict::Inherent(_)) {
            self.ignore_until(now);
        }
        Some(verdict)
    }

    fn judge(&mut self, rate: f64, loss: f64, packets: u32, target: f64, wait: Micros) -> Verdict {
        if let Some(verdict) = self.judge_trial(rate, loss, packets, wait) {
            return verdict;
        }
        self.learn(rate, loss, packets, wait);
        let mut allowed = self.inherent + self.chance(packets);
        if wait > LONG_QUEUE {
            allowed = allowed.max(self.inherent + TOLERATED);
        }
        if loss <= allowed {
            self.suspicious = false;
            self.fitted = self.fitted.max(rate);
            return Verdict::Clear;
        }
        if !self.suspicious && !self.is_grave(loss, packets) {
            self.suspicious = true;
            return Verdict::Suspicious;
        }
        self.suspicious = false;
        if wait <= LONG_QUEUE {
            self.trial = Some(Trial {
                rate,
                target,
                loss,
                windows: 0,
                stayed: 0,
            });
        }
        Verdict::Congested(self.carried(rate, loss))
    }

    fn judge_trial(&mut self, rate: f64, loss: f64, packets: u32, wait: Micros) -> Option<Verdict> {
        let mut trial = self.trial.take()?;
        trial.windows += 1;
        if wait > LONG_QUEUE || trial.windows > TRIAL_WINDOWS {
            return None;
        }
        if loss <= self.inherent + self.chance(packets) || loss < STAYS * trial.loss {
            return None; // it went: the loss was ours
        }
        if rate > CLEARLY_LESS * trial.rate {
            self.trial = Some(trial);
            let less = CLEARLY_LESS * CLEARLY_LESS * trial.rate;
            return Some(Verdict::Congested(self.carried(rate, loss).min(less)));
        }
        trial.stayed += 1;
        if trial.stayed < CONCLUSIVE {
            self.trial = Some(trial);
            return Some(Verdict::Suspicious);
        }
        if loss > MOST_INHERENT {
            return None;
        }
        // Half of it: a trial begins with a window that had bad luck.
        self.inherent += (loss.min(trial.loss) - self.inherent) / 2.0;
        Some(Verdict::Inherent(trial.target))
    }

    fn learn(&mut self, rate: f64, loss: f64, packets: u32, wait: Micros) {
        let less = loss < self.inherent - self.chance(packets);
        if wait > NO_QUEUE && !less {
            return;
        }
        if self.windows <= FIRST_WINDOWS && loss <= BELIEVED {
            self.inherent += (loss - self.inherent) / f64::from(self.windows);
        } else if less || rate < SURE * self.fitted {
            let seen = loss.min(self.inherent + 2.0 * self.chance(packets));
            self.inherent += (seen.min(MOST_INHERENT) - self.inherent) * GAIN;
        }
    }

    /// Whether the loss is so far above the inherent that one window is enough.
    fn is_grave(&self, loss: f64, packets: u32) -> bool {
        loss > self.inherent + GRAVE.max(1.5 * self.chance(packets))
    }

    /// How far above the inherent loss chance may lie: the deviation of a mean of so many packets
    /// that are lost in bursts.
    fn chance(&self, packets: u32) -> f64 {
        let packets = f64::from(packets);
        let one = self.inherent.max(0.5 / packets);
        DEVIATIONS * (one * (1.0 - one) * self.runs.mean() / packets).sqrt() + FLOOR
    }

    /// What the link carried of a rate, had it lost but what it loses anyway.
    fn carried(&self, rate: f64, loss: f64) -> f64 {
        rate * ((1.0 - loss) / (1.0 - self.inherent)).clamp(LEAST_KEPT, 1.0)
    }
}

impl Runs {
    /// Halve what is remembered beyond this many losses.
    const REMEMBERED: f64 = 200.0;

    #[inline]
    fn handle_lost(&mut self, sequence: u64) {
        let continues = self.last_lost.is_some_and(|last| last + 1 == sequence);
        self.last_lost = Some(sequence);
        self.lost += 1.0;
        self.runs += f64::from(u8::from(!continues));
        if self.lost > Self::REMEMBERED {
            self.lost /= 2.0;
            self.runs /= 2.0;
        }
    }

    /// Longer bursts than ten are outages, not the link's habit.
    fn mean(&self) -> f64 {
        match self.runs > 0.0 {
            true => (self.lost / self.runs).clamp(1.0, 10.0),
            false => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link of `capacity` bits a second that loses `inherent` besides, in bursts of two.
    struct Lossy {
        loss: Loss,
        target: f64,
        inherent: f64,
        capacity: f64,
        now: Micros,
        sequence: u64,
        state: u64,
    }

    impl Lossy {
        fn new(inherent: f64, capacity: f64, target: f64) -> Self {
            Self {
                loss: Loss::default(),
                target,
                inherent,
                capacity,
                now: SECOND,
                sequence: 0,
                state: 1,
            }
        }

        fn chance(&mut self) -> f64 {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.state >> 33) as f64 / (1u64 << 31) as f64
        }

        /// Send at the target for a while; it grows by 8% a second while nothing speaks against.
        fn pass(&mut self, time: Micros) {
            let until = self.now + time;
            let mut overflow = 0.0;
            let mut burst = false;
            while self.now < until {
                self.now += (1_200.0 * 8.0 / self.target * 1e6) as Micros;
                overflow += (1.0 - self.capacity / self.target).max(0.0);
                let full = overflow >= 1.0;
                overflow -= f64::from(u8::from(full));
                burst = match burst {
                    true => self.chance() < 0.5,
                    false => self.chance() < self.inherent / 2.0,
                };
                self.sequence += 1;
                self.loss
                    .handle_told(self.sequence, self.now, 1_200, !(full || burst));
                match self.loss.poll(self.target, 0, 100 * MILLISECOND, self.now) {
                    Some(Verdict::Clear) => self.target *= 1.04,
                    Some(Verdict::Congested(rate)) => self.target = self.target.min(rate * 0.98),
                    Some(Verdict::Inherent(rate)) => self.target = self.target.max(rate),
                    Some(Verdict::Suspicious) | None => {}
                }
            }
        }
    }

    #[test]
    fn loss_that_is_not_ours_does_not_stop_growth() {
        for inherent in [0.01, 0.02, 0.05] {
            let mut link = Lossy::new(inherent, 5e6, 300e3);
            link.pass(90 * SECOND);
            assert!(link.target > 4e6, "{} bit/s at {inherent}", link.target);
            let learned = link.loss.inherent();
            assert!((learned - inherent).abs() < 0.03, "{learned} of {inherent}");
        }
    }

    #[test]
    fn loss_that_is_ours_does() {
        for inherent in [0.0, 0.02, 0.05] {
            let mut link = Lossy::new(inherent, 1e6, 300e3);
            link.pass(30 * SECOND);
            for _ in 0..60 {
                link.pass(SECOND);
                assert!(
                    (0.7e6..1.3e6).contains(&link.target),
                    "{} at {inherent}",
                    link.target
                );
            }
        }
    }

    #[test]
    fn more_loss_than_before_is_learned_by_a_trial() {
        let mut link = Lossy::new(0.0, 1e6, 300e3);
        link.pass(20 * SECOND);
        link.inherent = 0.15;
        link.capacity = 1e9;
        link.pass(20 * SECOND);
        assert!(link.target > 0.8e6, "{} bit/s", link.target);
    }

    #[test]
    fn bursts_are_counted() {
        let mut loss = Loss::default();
        for sequence in 0..1_000u64 {
            loss.handle_told(sequence, sequence, 100, sequence % 50 > 3);
        }
        assert!(
            (3.9..4.1).contains(&loss.mean_burst()),
            "{}",
            loss.mean_burst()
        );
    }
}
