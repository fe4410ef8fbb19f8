//! What was sent to one viewer, by transport-wide sequence number, and what became of it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! This is the face of a viewer's congestion control: tell it of every packet that leaves and of all
//! feedback, and poll it. What it remembers is made when the first packet leaves, and the estimate
//! when the first feedback comes: a viewer that has neither costs nothing.

use super::estimator::{Estimator, LinkState, Told};
use super::pacer::Pace;
use super::probe::Probe;
use crate::clock::{Micros, SECOND};
use crate::packet::rtcp::TransportFeedback;

/// Packets remembered: over four seconds of 4 Mbit/s, several round trips of a satellite.
const REMEMBERED: usize = 2_048;
/// Rate and loss are told over this.
const WINDOW: Micros = SECOND;
/// Feedback is refused if there is more of it in a second than this, and the burst that a stall may
/// have held up: browsers send 4 to 20 a second.
const FEEDBACK_RATE: u64 = 100;
const FEEDBACK_BURST: u64 = 100;
/// Reference times wrap after this (section 3.1: 24 bits of 64 ms).
const ARRIVAL_WRAP: i64 = (1 << 24) * 64_000;
/// Waiting for feedback is looked at this often.
const POLL_INTERVAL: Micros = SECOND / 40;

/// What is known of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// It was never sent, or its fate is told and will not change.
    #[default]
    Settled,
    /// Nothing.
    Pending,
    /// It was told lost; it may still come, out of order.
    Lost,
}

/// One packet on its way; microseconds of the clock's low 32 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    at: u32,
    bytes: u16,
    fate: Fate,
}

/// How the link does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets that the viewer told to have come.
    pub delivered: u64,
    /// Packets that it told lost, or never told of.
    pub lost: u64,
    /// Bytes a second that arrived, over the last second.
    pub delivered_per_second: u64,
    /// From sending a packet to the feedback on it: the round trip and the viewer's patience.
    pub feedback_delay: Micros,
    /// News that cannot be true (of packets that were never sent, with impossible times), and
    /// feedback that came too often. None of it was used.
    pub refused: u64,
}

/// The packets on their way to one viewer, and what its link carries.
#[derive(Debug)]
pub struct SentPackets {
    next: u64,
    /// Everything before it was told of.
    told: u64,
    /// Empty until the first packet.
    ring: Box<[Sent]>,
    window_start: Micros,
    window_bytes: u64,
    counters: LinkCounters,
    estimator: Option<Box<Estimator>>,
    heard: Heard,
    wanted: u64,
    next_poll: Micros,
}

/// The feedback itself.
#[derive(Debug, Default)]
struct Heard {
    count: Option<u8>,
    /// The newest arrival in it, unwrapped.
    arrival: Option<i64>,
    at: Micros,
    credit: u64,
    credited: Micros,
}

impl Default for SentPackets {
    fn default() -> Self {
        Self {
            next: 1,
            told: 1,
            ring: Box::default(),
            window_start: 0,
            window_bytes: 0,
            counters: LinkCounters::default(),
            estimator: None,
            heard: Heard::default(),
            wanted: 0,
            next_poll: 0,
        }
    }
}

impl SentPackets {
    /// The number of the next packet; note its size with [`Self::handle_sent`].
    #[inline]
    pub fn next_sequence(&self) -> u16 {
        self.next as u16
    }

    // ------------------------------------------------------------------ handle

    /// The packet with the next number leaves now.
    #[inline]
    pub fn handle_sent(&mut self, bytes: usize, now: Micros) {
        if self.ring.is_empty() {
            self.ring = vec![Sent::default(); REMEMBERED].into();
        }
        let bytes = bytes.min(u16::MAX.into()) as u16;
        self.ring[self.next as usize % REMEMBERED] = Sent {
            at: now as u32,
            bytes,
            fate: Fate::Pending,
        };
        if let Some(estimator) = self.estimator.as_mut() {
            estimator.handle_sent(bytes.into(), self.next);
        }
        self.next += 1;
    }

    /// The viewer tells what came. What cannot be true is refused.
    pub fn handle_feedback(&mut self, feedback: &TransportFeedback<'_>, now: Micros) {
        let base = self.sequence(feedback.base_sequence);
        let Some(base) = base.filter(|_| self.heard.may_handle(now)) else {
            self.counters.refused += 1;
            return;
        };
        self.turn_window(now);
        let follows = self.heard.follows(feedback.feedback_count);
        let mut estimator = self.estimator.take().unwrap_or_else(|| {
            let mut estimator = Box::new(Estimator::new(now));
            estimator.set_wanted(self.wanted, now);
            estimator
        });
        self.pass_over(base, follows, now, &mut estimator);
        let newest = self.read(feedback, base, now, &mut estimator);
        self.heard.at = now;
        estimator.handle_feedback(newest, self.told, now);
        self.estimator = Some(estimator);
    }

    /// Bits a second that would be used if the link carried them: what would bring the next layer.
    /// Probes go up to it; 0 is no probing.
    pub fn set_wanted(&mut self, bits_per_second: u64, now: Micros) {
        self.wanted = bits_per_second;
        if let Some(estimator) = self.estimator.as_mut() {
            estimator.set_wanted(bits_per_second, now);
        }
    }

    // ------------------------------------------------------------------ poll

    /// How the link does, if it has changed by enough to matter: at most ten times a second. Ask
    /// at least each 50 ms, for this also notices when nothing is heard any more.
    #[inline]
    pub fn poll_change(&mut self, now: Micros) -> Option<LinkState> {
        let estimator = self.estimator.as_mut()?;
        if now < self.next_poll {
            return None;
        }
        self.next_poll = now + POLL_INTERVAL;
        if self.told < self.next {
            // What was overwritten was sent long ago; its slot tells of a later packet.
            let oldest = self.told.max(self.next.saturating_sub(REMEMBERED as u64));
            let sent = unwrap_time(self.ring[oldest as usize % REMEMBERED].at, now);
            estimator.poll(now.saturating_sub(sent.max(self.heard.at)), now);
        }
        estimator.poll_change(now)
    }

    /// Padding that is to be sent now, as packets with transport-wide numbers. Ask every 5 to 10 ms;
    /// a viewer to which none can be sent need not be asked.
    #[inline]
    pub fn poll_probe(&mut self, now: Micros) -> Option<Probe> {
        let next = self.next;
        self.estimator.as_mut()?.poll_probe(next, now)
    }

    /// Packets that have left.
    pub fn count(&self) -> u64 {
        self.next - 1
    }

    /// How the link does; none before the first feedback.
    pub fn state(&self) -> Option<LinkState> {
        self.estimator.as_ref().map(|estimator| estimator.state())
    }

    /// What the link is taken to carry, bits a second.
    #[inline]
    pub fn estimate(&self) -> Option<u64> {
        self.estimator.as_ref().map(|estimator| estimator.target())
    }

    /// How fast pictures may leave because of it.
    #[inline]
    pub fn pace(&self) -> Pace {
        match &self.estimator {
            None => Pace::Unknown,
            Some(estimator) if estimator.is_starting() => Pace::Tried(estimator.target()),
            Some(estimator) => Pace::Known(estimator.target()),
        }
    }

    /// How long packets wait before the bottleneck, as far as the viewer's times tell.
    pub fn queue(&self) -> Micros {
        self.estimator
            .as_ref()
            .map_or(0, |estimator| estimator.queue())
    }

    /// How the link does, counted.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    // ------------------------------------------------------------------ feedback

    /// The number of a packet by its low 16 bits; none if it was never sent.
    fn sequence(&self, low: u16) -> Option<u64> {
        let ago = u64::from((self.next as u16).wrapping_sub(low));
        (1..self.next).contains(&ago).then(|| self.next - ago)
    }

    /// What lies before a feedback that was not told of: lost, if this feedback follows the last
    /// one; else it was told of in a feedback that was lost, and nobody knows.
    fn pass_over(&mut self, until: u64, lost: bool, now: Micros, estimator: &mut Estimator) {
        let oldest = self.next.saturating_sub(REMEMBERED as u64);
        for sequence in self.told.max(oldest)..until {
            let sent = &mut self.ring[sequence as usize % REMEMBERED];
            if sent.fate == Fate::Pending {
                sent.fate = Fate::Lost;
                self.counters.lost += 1;
                if lost {
                    estimator.handle_told(Told {
                        sequence,
                        sent: unwrap_time(sent.at, now),
                        bytes: sent.bytes.into(),
                        arrived: None,
                    });
                }
            }
        }
        self.told = self.told.max(until);
    }

    /// The statuses of a feedback; returns when the last packet that came was sent.
    fn read(
        &mut self,
        feedback: &TransportFeedback<'_>,
        base: u64,
        now: Micros,
        estimator: &mut Estimator,
    ) -> Option<Micros> {
        let mut newest = None;
        let mut offset = None;
        let oldest = self.next.saturating_sub(REMEMBERED as u64);
        for (sequence, (_, arrived)) in (base..).zip(feedback.arrivals()) {
            if sequence < oldest {
                continue; // forgotten
            }
            if sequence >= self.next {
                self.counters.refused += 1;
                break; // and all that follow
            }
            let arrived = arrived.map(|at| {
                at + *offset.get_or_insert_with(|| self.heard.unwrap(at).saturating_sub(at))
            });
            let sent = &mut self.ring[sequence as usize % REMEMBERED];
            let at = unwrap_time(sent.at, now);
            let news = Told {
                sequence,
                sent: at,
                bytes: sent.bytes.into(),
                arrived,
            };
            match (sent.fate, arrived) {
                (Fate::Pending, None) => {
                    sent.fate = Fate::Lost;
                    self.counters.lost += 1;
                    estimator.handle_told(news);
                }
                (Fate::Pending, Some(_)) => {
                    sent.fate = Fate::Settled;
                    self.counters.delivered += 1;
                    self.window_bytes += u64::from(sent.bytes);
                    self.counters.feedback_delay = now.saturating_sub(at);
                    newest = Some(at);
                    self.counters.refused += u64::from(!estimator.handle_told(news));
                }
                (Fate::Lost, Some(_)) => {
                    sent.fate = Fate::Settled;
                    self.counters.delivered += 1;
                    self.counters.lost -= 1;
                    self.window_bytes += u64::from(sent.bytes);
                    estimator.handle_found();
                }
                (Fate::Settled, _) | (Fate::Lost, None) => {}
            }
            self.told = self.told.max(sequence + 1);
        }
        newest
    }

    fn turn_window(&mut self, now: Micros) {
        let elapsed = now.saturating_sub(self.window_start);
        if elapsed >= WINDOW {
            self.counters.delivered_per_second = self.window_bytes * SECOND / elapsed;
            self.window_start = now;
            self.window_bytes = 0;
        }
    }
}

impl Heard {
    /// Whether there was not too much feedback of late.
    fn may_handle(&mut self, now: Micros) -> bool {
        let earned = now.saturating_sub(self.credited) * FEEDBACK_RATE / SECOND;
        if earned > 0 {
            self.credit = (self.credit + earned).min(FEEDBACK_BURST);
            self.credited = now;
        }
        let may = self.credit > 0;
        self.credit -= u64::from(may);
        may
    }

    /// Whether no feedback is missing before the one with this count.
    fn follows(&mut self, count: u8) -> bool {
        let last = self.count.replace(count);
        last.is_none_or(|last| count.wrapping_sub(last) <= 1)
    }

    /// An arrival, unwrapped by the one before.
    fn unwrap(&mut self, at: i64) -> i64 {
        let last = self.arrival.unwrap_or(at);
        let half = ARRIVAL_WRAP / 2;
        let ahead = (at - last + half).rem_euclid(ARRIVAL_WRAP) - half;
        let at = last.saturating_add(ahead);
        self.arrival = Some(at);
        at
    }
}

/// A time whose low 32 bits are known and which is not over an hour ago.
fn unwrap_time(low: u32, now: Micros) -> Micros {
    now.saturating_sub((now as u32).wrapping_sub(low).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;
    use crate::packet::rtcp::{self, Rtcp};

    fn tell(sent: &mut SentPackets, base: u16, arrivals: &[Option<Micros>], now: Micros) {
        let mut out = Vec::new();
        rtcp::transport_feedback(&mut out, 1, 2, base, 0, arrivals);
        for packet in rtcp::packets(&out) {
            if let Ok(Rtcp::TransportFeedback(feedback)) = packet {
                sent.handle_feedback(&feedback, now);
            }
        }
    }

    fn send(sent: &mut SentPackets, count: usize, now: Micros) -> u16 {
        let first = sent.next_sequence();
        (0..count).for_each(|_| sent.handle_sent(1_000, now));
        first
    }

    #[test]
    fn tells_what_came_and_what_did_not() {
        let mut sent = SentPackets::default();
        let base = send(&mut sent, 4, SECOND);
        let later = SECOND + 40 * MILLISECOND;
        tell(
            &mut sent,
            base,
            &[Some(later), None, Some(later), Some(later)],
            later,
        );
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (3, 1));
        assert_eq!(counters.feedback_delay, 40 * MILLISECOND);
    }

    #[test]
    fn the_same_news_twice_is_counted_once() {
        let mut sent = SentPackets::default();
        let base = send(&mut sent, 2, SECOND);
        for _ in 0..3 {
            tell(&mut sent, base, &[None, Some(SECOND)], SECOND);
        }
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (1, 1));
    }

    #[test]
    fn lost_feedback_is_lost_packets() {
        let mut sent = SentPackets::default();
        send(&mut sent, 10, SECOND);
        let base = send(&mut sent, 1, SECOND);
        tell(&mut sent, base, &[Some(SECOND)], SECOND);
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (1, 10));
    }

    #[test]
    fn tales_of_packets_never_sent_are_ignored() {
        let mut sent = SentPackets::default();
        send(&mut sent, 3, SECOND);
        for base in [4, 900, 30_000, 65_535] {
            tell(&mut sent, base, &[Some(SECOND); 50], SECOND);
        }
        // The first number is 1.
        tell(&mut sent, 0, &[Some(SECOND); 50], SECOND);
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (0, 0));
        assert_eq!(counters.refused, 5);
        // What is told of packets that were sent counts, until it tells of more.
        tell(&mut sent, 1, &[Some(SECOND); 50], SECOND);
        assert_eq!((sent.counters().delivered, sent.counters().refused), (3, 6));
    }

    #[test]
    fn the_rate_is_what_arrived_in_a_second() {
        let mut sent = SentPackets::default();
        for step in 0..300 {
            let now = SECOND + step * 10 * MILLISECOND;
            let base = send(&mut sent, 2, now);
            tell(&mut sent, base, &[Some(now), Some(now)], now);
        }
        let rate = sent.counters().delivered_per_second;
        assert!((198_000..202_000).contains(&rate), "{rate} bytes a second");
    }

    #[test]
    fn that_a_link_begins_to_lose_is_told() {
        let mut sent = SentPackets::default();
        let mut now = SECOND;
        let mut told = None;
        for step in 0..600 {
            now += 10 * MILLISECOND;
            let base = send(&mut sent, 2, now);
            let second = (step % 100 != 99 || step < 300).then_some(now);
            tell(&mut sent, base, &[Some(now), second], now);
            let state = sent.poll_change(now);
            if state.is_some_and(|state| state.loss >= 0.002) {
                told.get_or_insert(step);
            }
        }
        assert!(matches!(told, Some(399..=500)), "{told:?}");
    }

    /// Feedback of all sorts, some true, most not; by a seeded generator.
    #[test]
    fn no_tale_takes_the_estimate_out_of_bounds() {
        for seed in 1..=20u64 {
            let mut sent = SentPackets::default();
            let mut state = seed;
            let mut random = |most: u64| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(seed);
                (state >> 33) % most
            };
            let mut now = SECOND;
            for _ in 0..3_000 {
                now += random(20) * MILLISECOND;
                (0..random(30)).for_each(|_| sent.handle_sent(1_200, now));
                let base = match random(4) {
                    0 => random(65_536) as u16,
                    _ => sent.next_sequence().wrapping_sub(random(60) as u16),
                };
                let lie = [0, SECOND, 1 << 40, now][random(4) as usize];
                let arrivals: Vec<_> = (0..random(40))
                    .map(|_| (random(3) > 0).then_some(lie + random(50_000)))
                    .collect();
                tell(&mut sent, base, &arrivals, now);
                sent.set_wanted(random(1 << 40), now);
                sent.poll_probe(now);
                sent.poll_change(now);
                if let Some(told) = sent.state() {
                    assert!(
                        (30_000..=100_000_000).contains(&told.bits_per_second),
                        "{told:?}"
                    );
                    assert!((0.0..=1.0).contains(&told.loss), "{told:?}");
                    assert!((0.0..=0.5).contains(&told.inherent_loss), "{told:?}");
                }
            }
            assert!(sent.counters().refused > 0);
        }
    }

    #[test]
    fn feedback_that_comes_too_often_is_refused() {
        let mut sent = SentPackets::default();
        let base = send(&mut sent, 1_000, SECOND);
        for number in 0..1_000u16 {
            tell(&mut sent, base + number, &[Some(SECOND)], SECOND);
        }
        let counters = sent.counters();
        assert_eq!(counters.delivered, FEEDBACK_BURST);
        assert_eq!(counters.refused, 1_000 - FEEDBACK_BURST);
    }

    #[test]
    fn what_comes_after_it_was_told_lost_is_not_lost() {
        let mut sent = SentPackets::default();
        let base = send(&mut sent, 3, SECOND);
        tell(&mut sent, base, &[Some(SECOND), None, Some(SECOND)], SECOND);
        tell(&mut sent, base + 1, &[Some(SECOND)], SECOND);
        let counters = sent.counters();
        assert_eq!((counters.delivered, counters.lost), (3, 0));
    }
}
