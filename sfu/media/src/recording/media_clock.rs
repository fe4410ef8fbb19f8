//! A track's media clock, and the publisher's wall clock that its sender reports tell of.
//!
//! `media` is a track's time by its RTP timestamps, `offset` what must be added to come to the
//! node's time, `late` an arrival minus `media`: its least value of the last seconds is that of the
//! promptest frame.
//!
//! Two kinds of change look alike in a sender report, which says "wall clock minus media": the wall
//! clock was set, or the media clock jumped. They are told apart by `late`, which moves with the
//! media clock only. A report that says something new is believed when the next one says it too.
//!
//! All times are integers in microseconds.

use std::collections::VecDeque;

/// Frames later than this, behind a stalled link, are taken for a broken clock.
pub const MAX_LAG_US: i64 = 8_000_000;
/// Frames that say they are from further in the future are taken for a broken clock.
const MAX_LEAD_US: i64 = 1_000_000;
/// The offset of sound moves by 1/200 of the elapsed time: 5 ms each second, inaudible.
pub const SLEW: i64 = 200;
/// That of pictures by 1/20: one lasts 35 ms instead of 33.
pub const SLEW_PICTURES: i64 = 20;

/// Silence may last longer or shorter than it did.
const SLEW_PAUSE: i64 = 4;
const PAUSE_US: i64 = 200_000;
/// Below this a sender report's jitter is not worth a sample of another length.
const DEADBAND_US: i64 = 2_000;
/// A first report that is off by more tells of another wall clock.
pub(super) const STEP_US: i64 = 2_000_000;
/// Reports that differ by more say something new,
const CHANGE_US: i64 = 15_000;
/// and by less, the same.
const SAME_US: i64 = 6_000;
/// Clocks are off by less than 500 ppm: so much change since the last one is none.
const DRIFTS: i64 = 2_000;
/// What is wrong by more is corrected at once.
const SNAP_US: i64 = 500_000;
/// How far arrivals may drift off before the offset follows them.
const DRIFT_US: i64 = 50_000;
/// Ticks that run ahead of the arrivals by more in one frame have jumped,
const JUMP_US: i64 = 150_000;
/// if they make the frame come so much sooner than the promptest one.
const LEAD_US: i64 = 100_000;
/// So many frames in a row that do not get on show that the clock stands, or ran back.
const STUCK: u32 = 3;
const WINDOW_US: i64 = 10_000_000;
/// The median of so many reports is believed.
const REPORTS: usize = 3;

/// Node time minus a publisher's wall clock; `None` before the first believed report.
pub(super) type Base = Option<i64>;

/// The publisher's wall clock minus `media`, by the last reports.
#[derive(Debug, Default)]
pub(super) struct Reports(VecDeque<i64>);

impl Reports {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, report: i64) {
        if self.0.len() == REPORTS {
            self.0.pop_front();
        }
        self.0.push_back(report);
    }

    /// The lower one of two.
    pub(super) fn median(&self) -> Option<i64> {
        let mut sorted = [0; REPORTS];
        let sorted = &mut sorted[..self.0.len()];
        for (to, from) in sorted.iter_mut().zip(&self.0) {
            *to = *from;
        }
        sorted.sort_unstable();
        sorted.get(sorted.len().wrapping_sub(1) / 2).copied()
    }
}

/// One track's clock. Ask [`unwrap`](Self::unwrap) of each frame once, in order, then
/// [`place`](Self::place).
#[derive(Debug)]
pub(super) struct MediaClock {
    pub(super) reports: Reports,
    pub(super) settled: bool,
    /// How often it was given up, and begun anew from the arrivals.
    pub(super) rebased: u64,
    /// The last frame was placed by its arrival.
    pub(super) broken: bool,
    offset: i64,
    target: Option<i64>,
    rate: i64,
    slew_by: i64,
    timestamp: Option<u32>,
    ticks: i64,
    media: Option<i64>,
    arrival: i64,
    wall: Option<i64>,
    /// Arrival minus placed time, smoothed,
    lag: i64,
    /// and that of the promptest frame in the beginning.
    lag_then: i64,
    /// Least `late` of this window,
    low: Option<i64>,
    /// and of the one before.
    low_before: Option<i64>,
    /// When the window began.
    turn: i64,
    /// Least `late` since the last report,
    since: Option<i64>,
    /// and before it.
    before: Option<i64>,
    /// When the last one came.
    reported: i64,
    /// A report that said something new.
    odd: Option<i64>,
    /// How far its reports are off those of its mates for good.
    apart: i64,
    stuck: u32,
    stuck_at: i64,
}

impl MediaClock {
    pub(super) fn new(clock_rate: u32, slew_by: i64) -> Self {
        Self {
            reports: Reports::default(),
            settled: false,
            rebased: 0,
            broken: false,
            offset: 0,
            target: None,
            rate: i64::from(clock_rate.max(1)),
            slew_by,
            timestamp: None,
            ticks: 0,
            media: None,
            arrival: 0,
            wall: None,
            lag: 0,
            lag_then: 0,
            low: None,
            low_before: None,
            turn: 0,
            since: None,
            before: None,
            reported: 0,
            odd: None,
            apart: 0,
            stuck: 0,
            stuck_at: 0,
        }
    }

    /// The media time of a frame's RTP timestamp; the 32 bits wrap as often as they like.
    pub(super) fn unwrap(&mut self, timestamp: u32) -> i64 {
        self.ticks += self.ahead(timestamp);
        self.timestamp = Some(timestamp);
        self.micros(self.ticks)
    }

    /// The media time of a timestamp near the last frame's, which stays the last.
    pub(super) fn glance(&mut self, timestamp: u32) -> i64 {
        let ahead = self.ahead(timestamp);
        self.timestamp.get_or_insert(timestamp);
        self.micros(self.ticks + ahead)
    }

    /// Choose the first offset: by the publisher's wall clock when arrivals do not object.
    /// `earliest` is the offset by which the promptest of the held frames was not late at all,
    /// `arrival` that of the first.
    pub(super) fn settle(&mut self, earliest: i64, arrival: i64, base: Base) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.offset = earliest;
        if let (Some(report), Some(base)) = (self.reports.median(), base) {
            let reported = base + report;
            if (reported - earliest).abs() < STEP_US {
                self.offset = reported;
                self.target = Some(reported);
            } else {
                self.apart = earliest - reported;
            }
        }
        self.lag = earliest - self.offset;
        self.lag_then = self.lag;
        self.low = Some(earliest);
        self.turn = arrival;
        self.arrival = arrival;
    }

    /// The node's time at which this frame was sent, had the way here no jitter.
    pub(super) fn place(&mut self, media: i64, arrival: i64) -> i64 {
        let elapsed = self.media.map_or(1, |before| media - before);
        let late = arrival - media;
        let jumped =
            || elapsed - (arrival - self.arrival) > JUMP_US && late < self.floor(late) - LEAD_US;
        let mut wall = if elapsed <= 0 || jumped() {
            self.place_odd(media, arrival, elapsed)
        } else {
            self.place_even(media, arrival, elapsed)
        };
        self.arrival = arrival;
        if let Some(last) = self.wall {
            wall = wall.max(last + 1);
        }
        self.wall = Some(wall);
        wall
    }

    fn place_even(&mut self, media: i64, arrival: i64, elapsed: i64) -> i64 {
        self.slew(elapsed);
        let late = arrival - media;
        let lag = late - self.offset;
        if !(-MAX_LEAD_US + 1..MAX_LAG_US).contains(&lag) {
            return self.rebase(media, arrival);
        }
        self.media = Some(media);
        self.stuck = 0;
        self.broken = false;
        self.lag += (lag - self.lag) >> 4;
        self.low = Some(self.low.map_or(late, |low| low.min(late)));
        self.since = Some(self.since.map_or(late, |since| since.min(late)));
        if arrival - self.turn >= WINDOW_US {
            self.low_before = self.low.replace(late);
            self.turn = arrival;
        }
        media + self.offset
    }

    // --- reports

    /// Take a reading of the publisher's wall clock minus `media`. Returns by how much the wall
    /// clock was set forward, if it was: its other tracks are to [`shift`](Self::shift).
    pub(super) fn learn(&mut self, report: i64, arrival: i64, base: &mut Base) -> Option<i64> {
        let drift = (arrival - self.reported).max(0) / DRIFTS;
        self.reported = arrival;
        if !self.settled {
            self.reports.push(report);
            return None;
        }
        let known = *base.get_or_insert(self.offset - report);
        let change = self.difference(report, known);
        let mut set = None;
        let allowed = if self.reports.is_empty() {
            STEP_US
        } else {
            CHANGE_US + drift
        };
        if change.abs() > allowed {
            if !self.confirms(report, drift) {
                return None;
            }
            set = self.change(report, change, base);
        } else {
            self.reports.push(report);
        }
        self.odd = None;
        self.before = self.since.take();
        self.follow_arrivals(base);
        if let (Some(base), Some(report)) = (*base, self.reports.median()) {
            self.target = Some(base + self.apart + report);
        }
        set
    }

    /// The publisher's wall clock was set: what was learned is to be read with that.
    pub(super) fn shift(&mut self, change: i64) {
        for report in &mut self.reports.0 {
            *report += change;
        }
        self.odd = None;
    }

    /// By how much a report says something new: one by one they vary, and slowly they drift.
    fn difference(&self, report: i64, base: i64) -> i64 {
        match (self.reports.median(), self.reports.0.back()) {
            (Some(median), Some(last)) => {
                let (first, second) = (report - median, report - last);
                if second.abs() < first.abs() {
                    second
                } else {
                    first
                }
            }
            _ => report - (self.offset - base - self.apart),
        }
    }

    /// Another report said the same, and frames came since which show what it means.
    fn confirms(&mut self, report: i64, drift: i64) -> bool {
        match self.odd {
            Some(odd) if (report - odd).abs() <= SAME_US + drift => self.since.is_some(),
            _ => {
                self.odd = Some(report);
                self.since = None;
                false
            }
        }
    }

    /// Reports say that wall clock minus media grew by `change`: which of the two was it?
    fn change(&mut self, report: i64, change: i64, base: &mut Base) -> Option<i64> {
        let odd = self.odd.unwrap_or(report);
        let mut set = None;
        if self.reports.is_empty() {
            // Known by arrivals so far: this one has a wall clock of its own.
            self.apart -= change;
        } else if self.media_moved(change) {
            self.reports.0.clear();
            self.snap(report, *base);
        } else {
            *base = base.map(|base| base - change);
            self.reports.0.clear();
            set = Some(change);
        }
        self.reports.push(odd);
        self.reports.push(report);
        set
    }

    fn media_moved(&self, change: i64) -> bool {
        let (Some(since), Some(before)) = (self.since, self.before) else {
            return false;
        };
        let moved = since - before;
        (moved - change).abs() < moved.abs()
    }

    fn snap(&mut self, report: i64, base: Base) {
        let Some(right) = base.map(|base| base + self.apart + report) else {
            return;
        };
        if (right - self.offset).abs() > SNAP_US {
            self.lag_then += self.offset - right;
            self.offset = right;
            self.lag = self.lag_then;
        }
    }

    /// Let the publisher's wall clock drift with ours: all its tracks move, and stay in sync.
    fn follow_arrivals(&self, base: &mut Base) {
        let error = self.drift();
        if let Some(base) = base
            && error.abs() > DRIFT_US
        {
            *base += error.clamp(-1_000, 1_000);
        }
    }

    // --- arrivals

    /// The least `late` of one to two windows, or this one when there is no other.
    fn floor(&self, late: i64) -> i64 {
        let lows = [self.low, self.low_before];
        lows.into_iter().flatten().min().unwrap_or(late)
    }

    /// How much later frames come than in the beginning; 0 while too little was seen.
    fn drift(&self) -> i64 {
        match self.low_before {
            Some(_) => self.floor(0) - self.offset - self.lag_then,
            None => 0,
        }
    }

    /// Move the offset towards its target, slowly. Without reports the arrivals are all there is
    /// to follow.
    fn slew(&mut self, elapsed: i64) {
        let (error, bearable) = match self.target {
            Some(target) => (target - self.offset, DEADBAND_US),
            None => (self.drift(), DRIFT_US),
        };
        if error.abs() < bearable {
            return;
        }
        let by = if elapsed > PAUSE_US {
            SLEW_PAUSE
        } else {
            self.slew_by
        };
        let limit = (elapsed / by).max(1);
        self.offset += error.clamp(-limit, limit);
    }

    /// A frame whose ticks jumped ahead, stand still or ran back. The latter two may be one
    /// frame's mistake, or one that came twice: the clock is given up when they go on.
    fn place_odd(&mut self, media: i64, arrival: i64, elapsed: i64) -> i64 {
        self.stuck += 1;
        let goes_on = self.stuck > 1 && media > self.stuck_at;
        if elapsed > 0 || goes_on || self.stuck >= STUCK {
            return self.rebase(media, arrival);
        }
        self.stuck_at = media;
        self.broken = true;
        arrival - self.lag
    }

    /// The ticks are insane: go on from here as if this frame were as late as the others.
    fn rebase(&mut self, media: i64, arrival: i64) -> i64 {
        let wall = arrival - self.lag;
        self.offset = wall - media;
        self.target = None;
        self.reports.0.clear();
        self.odd = None;
        self.since = None;
        self.before = None;
        self.low_before = None;
        self.low = Some(arrival - media);
        self.turn = arrival;
        self.lag_then = self.lag;
        self.media = Some(media);
        self.stuck = 0;
        self.rebased += 1;
        self.broken = true;
        wall
    }

    // --- ticks

    fn ahead(&self, timestamp: u32) -> i64 {
        let last = self.timestamp.unwrap_or(timestamp);
        i64::from(timestamp.wrapping_sub(last).cast_signed())
    }

    fn micros(&self, ticks: i64) -> i64 {
        let micros = (i128::from(ticks) * 1_000_000).div_euclid(i128::from(self.rate));
        micros as i64 // ticks of centuries
    }
}
