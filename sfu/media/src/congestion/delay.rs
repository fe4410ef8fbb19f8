//! Whether the queue before the bottleneck grows, by the times at which packets arrive
//! (draft-ietf-rmcat-gcc-02 section 5, with the line fitted by least squares instead of a Kalman
//! filter).
//!
//! Packets sent in a burst are one group: they queue behind each other whatever the link does. From
//! group to group the time on the way changes; the changes, added up and smoothed, are a curve over
//! the time of arrival, and the slope of the line through its last points is how fast the queue
//! grows. The slope is compared with a threshold that follows it, lest jitter or a competitor that
//! reacts to loss alone starve us (section 5.4).

use super::queue::Queue;
use crate::clock::{MILLISECOND, Micros, SECOND};

/// Packets sent within this are one group (section 5.2)...
const BURST: Micros = 5 * MILLISECOND;
/// ...or within this part of the round trip, up to [`MAX_BURST`]: where we hear of a queue after
/// 600 ms only, a line through more time costs nothing and jitter tilts it less.
const BURST_SHARE: Micros = 40;
const MAX_BURST: Micros = 15 * MILLISECOND;
/// Packets that were held up together are a group no longer than this.
const MAX_GROUP: i64 = 100 * MILLISECOND as i64;
/// Points through which the line is fitted.
const POINTS: usize = 20;
/// How much of the former smoothed delay stays at each point.
const SMOOTHING: f64 = 0.9;
/// The slope counts by as many points as there have been, up to this, and by [`GAIN`], so that it
/// is comparable with a threshold in milliseconds.
const FULL_WEIGHT: u32 = 60;
const GAIN: f64 = 4.0;
/// The threshold at the start, and its bounds (section 5.4).
const THRESHOLD: f64 = 12.5;
const THRESHOLDS: (f64, f64) = (6.0, 600.0);
/// How fast the threshold follows the slope up and down, by millisecond (section 5.4).
const RISE: f64 = 0.0087;
const FALL: f64 = 0.039;
/// A slope this much above the threshold does not move it: it is an outlier (section 5.4).
const OUTLIER: f64 = 15.0;
/// The slope must be above the threshold for this long (section 5.4).
const OVERUSE_TIME: Micros = 10 * MILLISECOND;
/// After such a pause the curve begins anew.
const PAUSE: Micros = 2 * SECOND;
/// A rise that one group makes for this part or more is a step of the way, not a growing queue: a
/// satellite was changed, a radio paused.
const STEP: f64 = 0.7;

/// What the link makes of what we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    /// The queue is as it was.
    #[default]
    Normal,
    /// The queue grows.
    Over,
    /// The queue empties.
    Under,
}

/// A group of packets.
#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Micros,
    last_sent: Micros,
    first_arrived: i64,
    last_arrived: i64,
}

/// A point of the curve, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Point {
    arrived: f64,
    delay: f64,
    /// By how much the delay changed here, before smoothing.
    change: f64,
}

/// The delay side of the estimator.
#[derive(Debug)]
pub(super) struct Delay {
    /// How long packets wait.
    pub queue: Queue,
    burst: Micros,
    group: Option<Group>,
    former: Option<Group>,
    points: [Point; POINTS],
    count: u32,
    origin: i64,
    accumulated: f64,
    smoothed: f64,
    threshold: f64,
    above_for: Micros,
    above_groups: u32,
    slope: f64,
    usage: Usage,
}

impl Default for Delay {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            burst: BURST,
            group: None,
            former: None,
            points: [Point::default(); POINTS],
            count: 0,
            origin: 0,
            accumulated: 0.0,
            smoothed: 0.0,
            threshold: THRESHOLD,
            above_for: 0,
            above_groups: 0,
            slope: 0.0,
            usage: Usage::Normal,
        }
    }
}

impl Delay {
    /// Windows follow the round trip.
    pub(super) fn set_rtt(&mut self, rtt: Micros) {
        self.burst = (rtt / BURST_SHARE).clamp(BURST, MAX_BURST);
    }

    /// A packet came; both times in microseconds, each on its own clock.
    pub(super) fn handle_arrival(&mut self, sent: Micros, arrived: i64) {
        self.queue
            .handle_transit(sent, arrived.saturating_sub_unsigned(sent));
        let Some(group) = self.group.as_mut() else {
            self.group = Some(Group::of(sent, arrived));
            return;
        };
        if sent < group.first_sent {
            return; // overtaken by a later group; its time would say nothing of the queue
        }
        if group.takes(sent, arrived, self.burst) {
            group.last_sent = group.last_sent.max(sent);
            group.last_arrived = group.last_arrived.max(arrived);
            return;
        }
        let complete = *group;
        self.group = Some(Group::of(sent, arrived));
        if let Some(former) = self.former.replace(complete) {
            self.handle_group(former, complete);
        }
    }

    /// What the link makes of what we send.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Forget the curve, but not the way's least time: what lies in between says nothing.
    pub(super) fn restart(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        *self = Self {
            queue,
            burst: self.burst,
            threshold: self.threshold,
            ..Self::default()
        };
    }

    fn handle_group(&mut self, former: Group, group: Group) {
        let sent = group.last_sent.saturating_sub(former.last_sent);
        let arrived = group.last_arrived.saturating_sub(former.last_arrived);
        if sent > PAUSE || arrived > PAUSE as i64 {
            self.restart();
            return;
        }
        let change = arrived.saturating_sub_unsigned(sent) as f64 / 1e3;
        if self.count == 0 {
            self.origin = group.last_arrived;
        }
        self.accumulated += change;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        self.points[self.count as usize % POINTS] = Point {
            arrived: group.last_arrived.saturating_sub(self.origin) as f64 / 1e3,
            delay: self.smoothed,
            change,
        };
        self.count = self.count.saturating_add(1);
        let slope = match self.count as usize >= POINTS {
            true => slope(&self.points).unwrap_or(self.slope),
            false => 0.0,
        };
        self.judge(slope, sent);
    }

    /// The detector of over-use (section 5.4).
    fn judge(&mut self, slope: f64, elapsed: Micros) {
        let weighed = f64::from(self.count.min(FULL_WEIGHT)) * slope * GAIN;
        if weighed > self.threshold {
            self.above_for += elapsed;
            self.above_groups += 1;
            let lasts = self.above_for > OVERUSE_TIME && self.above_groups > 1;
            if lasts && slope >= self.slope && !self.is_step() {
                self.usage = Usage::Over;
                self.above_for = 0;
                self.above_groups = 0;
            }
        } else {
            self.above_for = 0;
            self.above_groups = 0;
            let under = weighed < -self.threshold;
            self.usage = if under { Usage::Under } else { Usage::Normal };
        }
        self.slope = slope;
        self.adapt(weighed.abs(), elapsed);
    }

    fn adapt(&mut self, weighed: f64, elapsed: Micros) {
        if weighed > self.threshold + OUTLIER {
            return;
        }
        let speed = if weighed < self.threshold { FALL } else { RISE };
        let milliseconds = elapsed.min(100 * MILLISECOND) as f64 / 1e3;
        self.threshold += speed * (weighed - self.threshold) * milliseconds;
        self.threshold = self.threshold.clamp(THRESHOLDS.0, THRESHOLDS.1);
    }

    /// Whether one group made the rise.
    fn is_step(&self) -> bool {
        let changes = self.points.iter().map(|p| p.change);
        let rise: f64 = changes.clone().sum();
        changes.fold(0.0, f64::max) > STEP * rise
    }
}

impl Group {
    fn of(sent: Micros, arrived: i64) -> Self {
        Self {
            first_sent: sent,
            last_sent: sent,
            first_arrived: arrived,
            last_arrived: arrived,
        }
    }

    /// Whether a packet belongs to it: sent in the same burst, or held up together with it
    /// (section 5.2).
    fn takes(&self, sent: Micros, arrived: i64, burst: Micros) -> bool {
        if sent - self.first_sent <= burst {
            return true;
        }
        let gap = arrived.saturating_sub(self.last_arrived);
        let change = gap.saturating_sub_unsigned(sent - self.last_sent.min(sent));
        change < 0 && gap <= BURST as i64 && arrived.saturating_sub(self.first_arrived) < MAX_GROUP
    }
}

/// Slope of the line with the least squares through the points; none if they lie above each other.
fn slope(points: &[Point]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|p| p.arrived).sum::<f64>() / count;
    let mean_y = points.iter().map(|p| p.delay).sum::<f64>() / count;
    let (mut numerator, mut denominator) = (0.0, 0.0);
    for point in points {
        let x = point.arrived - mean_x;
        numerator += x * (point.delay - mean_y);
        denominator += x * x;
    }
    (denominator > 0.0).then(|| numerator / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets each 10 ms; their time on the way by the number of the packet.
    fn pass(delay: &mut Delay, numbers: std::ops::Range<u64>, way: impl Fn(u64) -> i64) -> bool {
        let mut over = false;
        for number in numbers {
            let sent = 100 * SECOND + number * 10 * MILLISECOND;
            delay.handle_arrival(sent, sent as i64 - 77_000_000 + way(number));
            over |= delay.usage() == Usage::Over;
        }
        over
    }

    fn jitter(number: u64) -> i64 {
        (number * 2_654_435_761 % 15_000) as i64
    }

    #[test]
    fn a_steady_way_is_normal() {
        let mut delay = Delay::default();
        assert!(!pass(&mut delay, 0..500, |_| 40_000));
    }

    #[test]
    fn a_queue_that_grows_is_noticed_soon() {
        let mut delay = Delay::default();
        pass(&mut delay, 0..100, jitter);
        // 10% more than the link carries: a millisecond more at each packet.
        let grows = |number: u64| jitter(number) + (number as i64 - 100) * 1_000;
        assert!(pass(&mut delay, 100..150, grows));
    }

    #[test]
    fn a_queue_that_empties_is_told() {
        let mut delay = Delay::default();
        pass(&mut delay, 0..100, |_| 300_000);
        pass(&mut delay, 100..140, |n| 300_000 - (n as i64 - 100) * 4_000);
        assert_eq!(delay.usage(), Usage::Under);
    }

    #[test]
    fn a_longer_way_is_no_growing_queue() {
        let mut delay = Delay::default();
        pass(&mut delay, 0..200, |n| jitter(n) / 4);
        let step = |number| jitter(number) / 4 + 40_000;
        assert!(!pass(&mut delay, 200..400, step));
    }

    #[test]
    fn jitter_alone_is_no_growing_queue_for_long() {
        let mut delay = Delay::default();
        pass(&mut delay, 0..200, jitter);
        let alarms = (2..20)
            .filter(|round| pass(&mut delay, round * 100..round * 100 + 100, jitter))
            .count();
        assert!(alarms <= 4, "{alarms} of 18");
    }

    #[test]
    fn garbage_is_no_trouble() {
        let mut delay = Delay::default();
        for (sent, arrived) in [(5, i64::MAX), (0, i64::MIN), (u64::MAX, 0), (7, 7), (9, -1)] {
            delay.handle_arrival(sent, arrived);
        }
        pass(&mut delay, 0..10, |_| 0);
        assert!(delay.slope.is_finite());
    }
}
