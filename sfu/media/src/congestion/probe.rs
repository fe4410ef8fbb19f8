//! Whether the link would carry more: a cluster of packets sent faster than the estimate.
//!
//! What a viewer is sent is given by the lesson, so an estimate can seldom be tested by media alone.
//! A cluster is whatever leaves in its time, media and padding together: padding is asked for only
//! where media leave room. Its answer is the rate at which it arrived.

use crate::clock::{MILLISECOND, Micros, SECOND};

/// A cluster lasts this: long against the jitter of most links, short against a queue (at twice the
/// rate of the link it leaves half of that waiting).
const DURATION: Micros = 80 * MILLISECOND;
/// But it has at least this many bytes: five packets of a small size...
const LEAST_BYTES: u64 = 1_500;
/// ...and at most this many: 40 ms of 8 Mbit/s, for which no narrow line pays.
const MOST_BYTES: u64 = 40_000;
/// Padding asked for at once is at least this: RTP padding has at most 255 octets a packet.
const LEAST_PADDING: u64 = 200;
/// At the start these multiples of the estimate are tried.
const FIRST: [f64; 2] = [2.0, 4.0];
/// Later this multiple at most, where more is wanted: what it leaves waiting on a link that carries
/// no more is gone in a fifth of a second.
const FACTOR: f64 = 2.5;
/// What is wanted is tried with this in hand.
const MARGIN: f64 = 1.15;
/// More is wanted if it is this much more.
const WORTH: f64 = 1.05;
/// Between two clusters; twice as long after each that found nothing, up to the most.
const INTERVAL: Micros = 2 * SECOND;
const MOST_INTERVAL: Micros = 32 * SECOND;
/// A cluster that arrives this much slower than it was sent has met the link's capacity.
const SLOWED: f64 = 0.85;
/// What is believed of an answer: the estimate may use this part of it, less where it met a limit.
const BELIEVED: f64 = 0.95;
const BELIEVED_AT_LIMIT: f64 = 0.85;
/// Nor is more believed than this multiple of what the cluster was meant to be.
const MOST_BELIEVED: f64 = 1.5;
/// A cluster of which less than this arrived has no answer.
const LEAST_ARRIVED: f64 = 0.6;
/// If the rate must be reduced so soon after a cluster raised it, that was a mistake.
const REGRET: Micros = 5 * SECOND;

/// Padding to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Of the cluster, for logs.
    pub id: u32,
    /// At which the cluster is sent.
    pub bits_per_second: u64,
    /// To be sent at once, as padding or as repetitions.
    pub bytes: u64,
}

/// A cluster that is being sent or whose answer is awaited.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    rate: f64,
    began: Micros,
    bytes: u64,
    first: u64,
    /// One past its last packet, once it is all sent.
    end: Option<u64>,
    sent: u64,
    // What is told of it.
    arrived: u64,
    told: u64,
    began_arriving: Option<i64>,
    arrivals: Line,
    sendings: Line,
}

/// The line with the least squares through points of bytes so far and time: what jitter does to
/// some packets counts for little, where the first and the last alone would be off by all of it.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    points: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Line {
    fn add(&mut self, bytes: u64, time: i64) {
        let (x, y) = (bytes as f64, time as f64);
        self.points += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
    }

    /// Bits a second; infinite where all came at once, none if there are no two points.
    fn rate(&self) -> Option<f64> {
        let spread = self.points * self.xx - self.x * self.x;
        let slope = (self.points * self.xy - self.x * self.y) / spread;
        (spread > 0.0).then(|| 8.0 * SECOND as f64 / slope.max(0.0))
    }
}

/// Decides when to probe and reads the answers.
#[derive(Debug, Default)]
pub(super) struct Prober {
    id: u32,
    cluster: Option<Cluster>,
    firsts: usize,
    wanted: f64,
    next: Micros,
    backoff: u32,
    raised: Option<Micros>,
    recovery: Option<f64>,
}

impl Prober {
    /// Bits a second that would be used if the link carried them.
    pub(super) fn set_wanted(&mut self, bits_per_second: f64, now: Micros) {
        if bits_per_second > self.wanted * 1.2 {
            self.next = self.next.min(now + SECOND); // the next layer has come into sight
        }
        self.wanted = bits_per_second;
    }

    /// Try this rate as soon as can be: it was carried before an interruption.
    pub(super) fn recover(&mut self, rate: f64, now: Micros) {
        self.cluster = None;
        self.recovery = Some(rate);
        self.next = now;
    }

    /// The rate had to be reduced.
    pub(super) fn handle_reduced(&mut self, rtt: Micros, now: Micros) {
        self.firsts = FIRST.len();
        self.recovery = None;
        if self.cluster.take().is_some()
            || self
                .raised
                .take()
                .is_some_and(|at| now < at + REGRET + 2 * rtt)
        {
            self.backoff += 1;
        }
        self.next = self.next.max(now + self.interval());
    }

    /// A packet has left. Cheap while no cluster is being sent.
    #[inline]
    pub(super) fn handle_sent(&mut self, bytes: u32, sequence: u64) {
        if let Some(cluster) = self.cluster.as_mut()
            && cluster.end.is_none()
        {
            if cluster.sent == 0 {
                cluster.first = sequence;
            }
            cluster.sent += u64::from(bytes);
            if cluster.sent >= cluster.bytes {
                cluster.end = Some(sequence + 1);
            }
        }
    }

    /// Padding due now. Ask every 5 to 10 ms.
    pub(super) fn poll(
        &mut self,
        target: f64,
        may_begin: bool,
        sequence: u64,
        rtt: Micros,
        now: Micros,
    ) -> Option<Probe> {
        if self.cluster.is_none() && may_begin && now >= self.next {
            self.begin(target, sequence, now);
        }
        let interval = self.interval();
        let cluster = self.cluster.as_mut()?;
        let elapsed = now.saturating_sub(cluster.began);
        if cluster.end.is_none() && elapsed > 3 * DURATION {
            if cluster.sent == 0 {
                self.give_up(interval, now);
                return None;
            }
            cluster.end = Some(sequence); // nobody padded: let us see what media say
        }
        if elapsed > 2 * rtt + SECOND {
            self.give_up(interval, now);
            return None;
        }
        if cluster.end.is_some() {
            return None;
        }
        // What is due by the end of the tick, so that the first tick already sends.
        let tick = 5 * MILLISECOND;
        let due = (cluster.rate * (elapsed + tick) as f64 / (8.0 * SECOND as f64)) as u64;
        let bytes = due.min(cluster.bytes).saturating_sub(cluster.sent);
        (bytes >= LEAST_PADDING).then_some(Probe {
            id: self.id,
            bits_per_second: cluster.rate as u64,
            bytes,
        })
    }

    /// A packet is known to have come, or not (`arrived` is none).
    #[inline]
    pub(super) fn handle_told(
        &mut self,
        sequence: u64,
        sent: Micros,
        bytes: u32,
        arrived: Option<i64>,
    ) {
        let Some(cluster) = self.cluster.as_mut() else {
            return;
        };
        let beyond = cluster.end.is_some_and(|end| sequence >= end);
        if cluster.sent == 0 || sequence < cluster.first || beyond {
            return;
        }
        cluster.told += u64::from(bytes);
        let Some(arrived) = arrived else {
            return;
        };
        let began = *cluster.began_arriving.get_or_insert(arrived);
        let since = sent.saturating_sub(cluster.began) as i64;
        cluster.sendings.add(cluster.arrived, since);
        cluster.arrived += u64::from(bytes);
        cluster
            .arrivals
            .add(cluster.arrived, arrived.saturating_sub(began));
    }

    /// The answer of the cluster, once all of it is told: what the estimate may be raised to.
    pub(super) fn poll_answer(&mut self, told_until: u64, target: f64, now: Micros) -> Option<f64> {
        let cluster = self.cluster?;
        if told_until < cluster.end? {
            return None;
        }
        self.cluster = None;
        let answer = cluster.answer().filter(|rate| *rate > target);
        match answer {
            Some(_) => {
                self.backoff = 0;
                self.raised = Some(now);
                self.next = now;
            }
            None => {
                self.firsts = FIRST.len();
                self.backoff += 1;
                self.next = now + self.interval();
            }
        }
        answer
    }

    fn begin(&mut self, target: f64, sequence: u64, now: Micros) {
        let rate = match (self.recovery.take(), FIRST.get(self.firsts)) {
            (Some(rate), _) => rate,
            (None, Some(factor)) => {
                self.firsts += 1;
                target * factor
            }
            (None, None) if self.wanted > target * WORTH => {
                (self.wanted * MARGIN).min(target * FACTOR)
            }
            (None, None) => return,
        };
        let bytes = (rate * DURATION as f64 / (8.0 * SECOND as f64)) as u64;
        self.id = self.id.wrapping_add(1);
        self.cluster = Some(Cluster {
            rate,
            began: now,
            bytes: bytes.clamp(LEAST_BYTES, MOST_BYTES),
            first: sequence,
            end: None,
            sent: 0,
            arrived: 0,
            told: 0,
            began_arriving: None,
            arrivals: Line::default(),
            sendings: Line::default(),
        });
    }

    fn give_up(&mut self, interval: Micros, now: Micros) {
        self.cluster = None;
        self.next = now + interval;
    }

    fn interval(&self) -> Micros {
        (INTERVAL << self.backoff.min(8)).min(MOST_INTERVAL)
    }
}

impl Cluster {
    fn answer(&self) -> Option<f64> {
        if (self.arrived as f64) < LEAST_ARRIVED * self.told as f64 {
            return None;
        }
        let (sent, arrived) = (self.sendings.rate()?, self.arrivals.rate()?);
        let most = self.rate * MOST_BELIEVED;
        Some(match arrived < SLOWED * sent {
            true => arrived * BELIEVED_AT_LIMIT,
            false => sent.min(arrived).min(most) * BELIEVED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that is past the start.
    fn settled(wanted: f64) -> Prober {
        Prober {
            firsts: FIRST.len(),
            wanted,
            ..Prober::default()
        }
    }

    /// Run one cluster over a link of `capacity`, if one begins; its answer.
    fn probe(prober: &mut Prober, target: f64, capacity: f64, from: Micros) -> Option<f64> {
        let mut sequence = 1;
        let mut free: Micros = 0;
        let mut padding = 0;
        for step in 0..40 {
            let now = from + step * 5 * MILLISECOND;
            let Some(probe) = prober.poll(target, true, sequence, 0, now) else {
                continue;
            };
            let mut bytes = probe.bytes;
            while bytes > 0 {
                let size = bytes.min(250);
                prober.handle_sent(size as u32, sequence);
                free = free.max(now) + (size as f64 * 8e6 / capacity) as Micros;
                prober.handle_told(sequence, now, size as u32, Some(free as i64 + 40_000));
                sequence += 1;
                bytes -= size;
                padding += size;
            }
        }
        assert!(padding <= MOST_BYTES + 250, "{padding} bytes");
        prober.poll_answer(sequence, target, from + SECOND)
    }

    #[test]
    fn a_wide_link_answers_with_the_rate_of_the_cluster() {
        let mut prober = Prober::default();
        let answer = probe(&mut prober, 300e3, 10e6, SECOND).expect("an answer");
        assert!((500e3..650e3).contains(&answer), "{answer}");
        let answer = probe(&mut prober, answer, 10e6, 3 * SECOND).expect("an answer");
        assert!((1.6e6..2.6e6).contains(&answer), "{answer}");
    }

    #[test]
    fn a_narrow_link_answers_with_less_than_it_carries() {
        let mut prober = settled(2e6);
        let answer = probe(&mut prober, 600e3, 900e3, SECOND).expect("an answer");
        assert!((650e3..900e3).contains(&answer), "{answer}");
    }

    #[test]
    fn what_finds_nothing_is_tried_less_often() {
        let mut prober = Prober::default();
        prober.set_wanted(2e6, 0);
        let began = |prober: &mut Prober, from: u64| {
            probe(prober, 1e6, 1e6, from * SECOND);
            prober.id
        };
        let clusters: Vec<u32> = (1..200).map(|second| began(&mut prober, second)).collect();
        assert!(
            clusters.last().is_some_and(|n| (4..12).contains(n)),
            "{clusters:?}"
        );
    }

    #[test]
    fn nothing_is_asked_for_that_nobody_wants() {
        let mut prober = settled(500e3);
        assert_eq!(prober.poll(1e6, true, 1, 0, 100 * SECOND), None);
    }
}
