//! What the link to one viewer carries, by what the viewer tells of our packets.
//!
//! [`SentPackets`](super::SentPackets) says packet by packet what became of them and then, once a
//! feedback, that this was all: only then is anything decided. One rate is kept. It falls when the
//! queue grows ([`super::delay`]) or when loss is ours ([`super::loss`]), by what arrived; it grows
//! when neither speaks against it ([`super::aimd`]), no further than what arrives bears out, and
//! jumps when a cluster of probes shows more ([`super::probe`]). While nothing is heard it falls,
//! and is taken up again where it was.

use super::aimd::Aimd;
use super::delay::{Delay, Usage};
use super::loss::{Loss, Verdict};
use super::probe::{Probe, Prober};
use super::rate::RateWindow;
use crate::clock::{MILLISECOND, Micros, SECOND};

/// A queue that grows is believed when packets really wait: jitter tilts the line, but raises the
/// least time on the way by less.
const CONFIRMED: Micros = 30 * MILLISECOND;
/// After a reduction the next one waits for its effect, a round trip and the viewer's patience with
/// feedback, unless packets wait longer by [`WORSE`]. It is long against short round trips, lest who
/// has one gives way more often than others on the same link.
const PATIENCE: Micros = 300 * MILLISECOND;
/// Growth waits for a round trip and this.
const PAUSE: Micros = 100 * MILLISECOND;
const WORSE: Micros = 50 * MILLISECOND;
/// With packets waiting longer than this the rate grows but slowly; and if they still do when a
/// reduction should have told, there must be another: a queue that is full grows no more.
const QUEUED: Micros = 60 * MILLISECOND;
/// With packets waiting longer than this, probes would only make it worse.
const BUSY: Micros = 30 * MILLISECOND;
/// If the queue is longer after a reduction took effect, by this, and so again, so many times within
/// this time each, it is another who fills it until it overflows (TCP). Against him only loss
/// counts, until packets have not waited for a while: he would not leave the queue empty.
const DEFIED: Micros = 10 * MILLISECOND;
const DEFIED_WITHIN: Micros = 6 * SECOND;
const DEFIED_TIMES: u32 = 3;
/// Nor is a queue ours in which packets wait no less though we send so little of what was carried
/// before it stood, and all of that arrives.
const SHRUNK: f64 = 0.5;
const ARRIVES: f64 = 0.9;
const EMPTY: Micros = 20 * MILLISECOND;
const EMPTY_FOR: Micros = 2 * SECOND;
/// How fast what is carried by an empty queue is followed, by feedback.
const FITTING: f64 = 0.05;
/// What is kept of the carried rate when loss was ours; less against a competitor, who gives way
/// further, and so that we see the queue empty if there is none.
const LOSSY: f64 = 0.97;
const CONTESTED: f64 = 0.85;
/// Who sends less than this part of the estimate is limited by the lesson, and keeps so much of the
/// estimate at once, for loss and for a queue that is not longer than [`QUEUED`].
const LIMITED: f64 = 0.7;
const KEPT_UNUSED: f64 = 0.85;
/// Nothing heard of what was sent for this time, or three round trips, is an outage.
const OUTAGE: Micros = SECOND;
const OUTAGE_TRIPS: Micros = 3;
/// After an outage so much of the former rate is taken up at once, the rest as it is borne out; less
/// after a long one, for it may end in another place.
const RESUMED: f64 = 0.75;
const RESUMED_LATE: f64 = 0.5;
const LONG_OUTAGE: Micros = 60 * SECOND;
/// A packet that took this much longer or shorter than the one before did not: somebody's clock was
/// set, or somebody lies. After so many in a row we believe in a new clock.
const IMPLAUSIBLE: i64 = 10 * SECOND as i64;
const NEW_CLOCK: u32 = 100;
/// Arrivals are counted from so long before the first, so that none is negative.
const BEFORE: i64 = 60 * SECOND as i64;
/// A change is told from this part on, and not more often than this; bad news sooner.
const TOLD_CHANGE: f64 = 0.08;
const TOLD_INTERVAL: Micros = 250 * MILLISECOND;
const BAD_NEWS_INTERVAL: Micros = 100 * MILLISECOND;
/// A change of loss, in parts of all packets, that is told.
const TOLD_LOSS: f64 = 0.02;
/// Loss from which a link loses at all: that it begins to, or no longer does, is told.
const LOSES: f64 = 0.002;

/// How a viewer's link does, for who decides what to send over it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkState {
    /// For all media together, retransmissions and headers included.
    pub bits_per_second: u64,
    /// From sending a packet to hearing of it, smoothed: the round trip, the queue, and the viewer's
    /// patience.
    pub rtt: Micros,
    /// Part of the packets that are lost, smoothed over a few windows.
    pub loss: f64,
    /// Packets lost in a row, on the average; at least 1.
    pub mean_loss_burst: f64,
    /// Part of the packets that the link loses whatever is sent.
    pub inherent_loss: f64,
    /// Whether we hear from the viewer; not during an outage.
    pub feedback: bool,
}

/// One packet of which news has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub sequence: u64,
    pub sent: Micros,
    pub bytes: u32,
    /// On the viewer's clock, if it came.
    pub arrived: Option<i64>,
}

/// The estimate of one viewer's link.
#[derive(Debug)]
pub(super) struct Estimator {
    aimd: Aimd,
    delay: Delay,
    loss: Loss,
    prober: Prober,
    arrivals: RateWindow,
    sendings: RateWindow,
    origin: Option<i64>,
    transit: i64,
    implausible: u32,
    rtt: Micros,
    /// How long packets waited when the rate was last reduced.
    reduced_wait: Micros,
    /// The longest that packets waited since then.
    worst_wait: Micros,
    /// When packets last waited.
    waited: Micros,
    /// Reductions in a row that the queue defied.
    defied: u32,
    /// What was carried when the queue was last empty.
    fitted: f64,
    outage: Option<Micros>,
    next_halving: Micros,
    /// Packets sent before this saw another link.
    stale_until: Micros,
    told: LinkState,
    told_at: Micros,
}

impl Estimator {
    pub(super) fn new(now: Micros) -> Self {
        Self {
            aimd: Aimd::new(now),
            delay: Delay::default(),
            loss: Loss::default(),
            prober: Prober::default(),
            arrivals: RateWindow::default(),
            sendings: RateWindow::default(),
            origin: None,
            transit: 0,
            implausible: 0,
            rtt: 0,
            reduced_wait: 0,
            worst_wait: 0,
            fitted: 0.0,
            waited: now,
            defied: 0,
            outage: None,
            next_halving: 0,
            stale_until: 0,
            told: LinkState::default(),
            told_at: 0,
        }
    }

    /// Bits a second for all media.
    pub(super) fn target(&self) -> u64 {
        self.aimd.target() as u64
    }

    /// Whether the link may well carry more: its limit was not met yet.
    pub(super) fn is_starting(&self) -> bool {
        self.aimd.is_starting()
    }

    pub(super) fn set_wanted(&mut self, bits_per_second: u64, now: Micros) {
        self.prober.set_wanted(bits_per_second as f64, now);
    }

    // ------------------------------------------------------------------ handle

    /// A packet has left.
    #[inline]
    pub(super) fn handle_sent(&mut self, bytes: u32, sequence: u64) {
        self.prober.handle_sent(bytes, sequence);
    }

    /// News of a packet; false if it cannot be true.
    pub(super) fn handle_told(&mut self, told: Told) -> bool {
        let Told {
            sequence,
            sent,
            bytes,
            arrived,
        } = told;
        if let Some(arrived) = arrived {
            if !self.is_plausible(sent, arrived) {
                return false;
            }
            let origin = *self.origin.get_or_insert(arrived.saturating_sub(BEFORE));
            let since = arrived.saturating_sub(origin).max(0);
            self.arrivals.add(bytes, since as Micros);
            if sent >= self.stale_until {
                self.delay.handle_arrival(sent, arrived);
            }
        }
        self.sendings.add(bytes, sent);
        self.loss
            .handle_told(sequence, sent, bytes, arrived.is_some());
        self.prober.handle_told(sequence, sent, bytes, arrived);
        true
    }

    /// A packet told lost came after all.
    pub(super) fn handle_found(&mut self) {
        self.loss.handle_found();
    }

    /// That was all of a feedback. `newest` is when the last packet in it was sent, `told_until` one
    /// past the last packet ever told of.
    pub(super) fn handle_feedback(&mut self, newest: Option<Micros>, told_until: u64, now: Micros) {
        if let Some(newest) = newest {
            self.note_round_trip(now.saturating_sub(newest));
        }
        if let Some(since) = self.outage.take() {
            self.end_outage(since, now);
        }
        let wait = self.delay.queue.wait();
        let carried = self.carried();
        // Whether what we hear was sent well after the last reduction.
        let effective = newest.is_some_and(|sent| sent > self.aimd.reduced() + PATIENCE);
        let verdict = self.loss.poll(self.aimd.target(), wait, self.rtt, now);
        let usage = self.delay.usage();
        if wait > EMPTY {
            self.waited = now;
        } else {
            self.fitted += (carried - self.fitted) * FITTING;
            if now > self.waited + EMPTY_FOR {
                self.defied = 0;
            }
        }
        self.worst_wait = self.worst_wait.max(wait);
        let settled = now > self.aimd.reduced() + self.rtt + PATIENCE;
        let grows = usage == Usage::Over && wait > CONFIRMED;
        let stands = usage != Usage::Under && wait > QUEUED && settled;
        if (grows || stands) && !self.is_contested() {
            if settled || wait > self.reduced_wait + WORSE {
                if settled {
                    self.note_defiance(wait, now);
                    self.note_shrinking(carried, wait, effective, now);
                }
                (self.reduced_wait, self.worst_wait) = (wait, wait);
                let least = if wait > QUEUED {
                    0.0
                } else {
                    self.least_kept()
                };
                self.aimd.reduce(carried, least, wait, now);
                self.handle_reduced(now);
                if self.is_contested() {
                    self.aimd.contest(self.fitted * CONTESTED);
                }
            } else {
                self.aimd.hold(now);
            }
        } else {
            self.follow(verdict, usage, carried, wait, now);
        }
        let answer = self.prober.poll_answer(told_until, self.aimd.target(), now);
        if let Some(rate) = answer.filter(|_| usage != Usage::Over) {
            self.aimd.raise(rate);
        }
    }

    // ------------------------------------------------------------------ poll

    /// Time has passed; `waiting` is for how long we have waited for news of something sent.
    pub(super) fn poll(&mut self, waiting: Micros, now: Micros) {
        let limit = OUTAGE.max(OUTAGE_TRIPS * self.rtt);
        if waiting <= limit {
            return;
        }
        if self.outage.is_none() {
            self.outage = Some(now.saturating_sub(waiting));
            self.next_halving = now;
        }
        if now >= self.next_halving {
            self.aimd.halve(now);
            self.next_halving = now + limit;
        }
    }

    /// Padding due now.
    pub(super) fn poll_probe(&mut self, sequence: u64, now: Micros) -> Option<Probe> {
        let calm = self.outage.is_none()
            && self.delay.usage() == Usage::Normal
            && self.delay.queue.wait() < BUSY
            && now > self.aimd.reduced() + self.rtt + PATIENCE;
        self.prober
            .poll(self.aimd.target(), calm, sequence, self.rtt, now)
    }

    /// How the link does, if that has changed by enough.
    pub(super) fn poll_change(&mut self, now: Micros) -> Option<LinkState> {
        let elapsed = now.saturating_sub(self.told_at);
        if elapsed < BAD_NEWS_INTERVAL {
            return None;
        }
        let state = self.state();
        let former = &self.told;
        let change = state.bits_per_second as f64 / former.bits_per_second.max(1) as f64 - 1.0;
        let worse = change < -TOLD_CHANGE || state.feedback != former.feedback;
        let differs = change > TOLD_CHANGE
            || (state.loss - former.loss).abs() > TOLD_LOSS
            || (state.loss >= LOSES) != (former.loss >= LOSES)
            || (state.inherent_loss - former.inherent_loss).abs() > TOLD_LOSS
            || state.rtt.abs_diff(former.rtt) > former.rtt / 2;
        if !(worse || differs && elapsed >= TOLD_INTERVAL) {
            return None;
        }
        self.told = state;
        self.told_at = now;
        Some(state)
    }

    /// How the link does.
    pub(super) fn state(&self) -> LinkState {
        LinkState {
            bits_per_second: self.target(),
            rtt: self.rtt,
            loss: self.loss.smoothed(),
            mean_loss_burst: self.loss.mean_burst(),
            inherent_loss: self.loss.inherent(),
            feedback: self.outage.is_none(),
        }
    }

    /// How long packets wait in the queue.
    pub(super) fn queue(&self) -> Micros {
        self.delay.queue.wait()
    }

    // ------------------------------------------------------------------ decisions

    fn follow(
        &mut self,
        verdict: Option<Verdict>,
        usage: Usage,
        carried: f64,
        wait: Micros,
        now: Micros,
    ) {
        let calm = usage == Usage::Normal || self.is_contested();
        let settled = now > self.aimd.reduced() + self.rtt + PAUSE;
        match verdict {
            Some(Verdict::Congested(rate)) => {
                let part = if self.is_contested() {
                    CONTESTED
                } else {
                    LOSSY
                };
                let rate = (rate * part).max(self.least_kept());
                self.aimd.reduce_for_loss(rate, now);
                self.handle_reduced(now);
            }
            Some(Verdict::Inherent(rate)) => self.aimd.raise(rate),
            _ if self.loss.is_suspicious() || !settled || !calm => {
                self.aimd.hold(now);
            }
            _ => self.aimd.grow(carried, wait > QUEUED, now),
        }
    }

    /// What is left of the rate at least: one that is not used is not what was too much.
    fn least_kept(&self) -> f64 {
        let used = self.sendings.bits_per_second().unwrap_or(0.0);
        match used < LIMITED * self.aimd.target() {
            true => self.aimd.target() * KEPT_UNUSED,
            false => 0.0,
        }
    }

    /// Whether somebody else fills the queue.
    fn is_contested(&self) -> bool {
        self.defied >= DEFIED_TIMES
    }

    fn note_defiance(&mut self, wait: Micros, now: Micros) {
        if wait > self.reduced_wait + DEFIED && now < self.aimd.reduced() + DEFIED_WITHIN {
            self.defied += 1;
        } else if wait + DEFIED < self.reduced_wait {
            self.defied = 0;
        }
    }

    fn note_shrinking(&mut self, carried: f64, wait: Micros, effective: bool, now: Micros) {
        let sent = self.sendings.bits_per_second().unwrap_or(0.0);
        let stands = effective
            && wait + DEFIED >= self.worst_wait
            && now < self.aimd.reduced() + DEFIED_WITHIN;
        if stands && carried >= ARRIVES * sent && carried < SHRUNK * self.fitted {
            self.defied = DEFIED_TIMES;
        }
    }

    fn handle_reduced(&mut self, now: Micros) {
        self.prober.handle_reduced(self.rtt, now);
    }

    fn end_outage(&mut self, since: Micros, now: Micros) {
        let long = now.saturating_sub(since) > LONG_OUTAGE;
        let part = if long { RESUMED_LATE } else { RESUMED };
        if let Some(former) = self.aimd.resume(part, now) {
            self.prober.recover(former, now);
        }
        self.stale_until = now;
        self.delay.restart();
        self.loss.handle_outage(now);
    }

    /// Bits a second that we sent and that arrived, but for what the link loses anyway.
    fn carried(&self) -> f64 {
        let arrived = self.arrivals.bits_per_second();
        let sent = self.sendings.bits_per_second().unwrap_or(0.0);
        arrived.map_or(0.0, |rate| (rate / (1.0 - self.loss.inherent())).min(sent))
    }

    fn note_round_trip(&mut self, sample: Micros) {
        self.rtt = match self.rtt {
            0 => sample,
            rtt => (rtt * 7 + sample) / 8,
        };
        self.delay.set_rtt(self.rtt);
    }

    fn is_plausible(&mut self, sent: Micros, arrived: i64) -> bool {
        let transit = arrived.saturating_sub_unsigned(sent);
        let known = self.origin.is_some();
        let off = transit.saturating_sub(self.transit).saturating_abs();
        if known && off > IMPLAUSIBLE {
            self.implausible += 1;
            if self.implausible < NEW_CLOCK {
                return false;
            }
            self.origin = None;
            self.arrivals.clear();
            self.delay.restart();
            self.delay.queue.clear();
        }
        self.implausible = 0;
        self.transit = transit;
        true
    }
}
