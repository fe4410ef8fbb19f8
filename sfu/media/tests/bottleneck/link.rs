//! One direction of a path.

use std::collections::VecDeque;

use tongbu_media::clock::{Micros, SECOND};

use super::{Packet, Random, START};

/// Bursty loss: from the good to the bad state and back, by packet; all is lost in the bad one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gilbert {
    pub into: f64,
    pub out: f64,
}

/// What a link is like.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// From these seconds on, bits a second.
    pub rate: Vec<(f64, f64)>,
    /// The queue holds what the link carries in this time.
    pub queue: Micros,
    pub delay: Micros,
    /// Deviation; it only ever adds, and never reorders.
    pub jitter: Micros,
    pub loss: Gilbert,
    /// Nothing passes from these seconds for so many.
    pub outages: Vec<(f64, f64)>,
    /// Each so many seconds for so many seconds a part is lost, and the delay changes by so much and
    /// back: a satellite hands over.
    pub handover: Option<(f64, f64, f64, Micros)>,
}

impl LinkConfig {
    pub fn new(rate: f64, delay: Micros, queue: Micros) -> Self {
        Self {
            rate: vec![(0.0, rate)],
            queue,
            delay,
            jitter: 0,
            loss: Gilbert::default(),
            outages: Vec::new(),
            handover: None,
        }
    }

    pub fn rate_at(&self, seconds: f64) -> f64 {
        let steps = self.rate.iter().rev();
        steps
            .clone()
            .find(|(from, _)| *from <= seconds)
            .map_or(self.rate[0].1, |(_, rate)| *rate)
    }
}

/// One direction at work.
pub struct Link {
    pub config: LinkConfig,
    /// What passed the queue, in bytes, by kind: media of each flow, TCP.
    pub passed: Vec<u64>,
    pub overflowed: u64,
    queue: VecDeque<(Packet, usize, Micros)>,
    queued: usize,
    free_at: Micros,
    last_arrival: Micros,
    bad: bool,
    random: Random,
}

impl Link {
    pub fn new(config: LinkConfig, random: Random) -> Self {
        Self {
            config,
            passed: Vec::new(),
            overflowed: 0,
            queue: VecDeque::new(),
            queued: 0,
            free_at: 0,
            last_arrival: 0,
            bad: false,
            random,
        }
    }

    pub fn rate(&self, now: Micros) -> f64 {
        self.config.rate_at(seconds(now))
    }

    /// How long a packet that comes now would wait.
    pub fn wait(&self, now: Micros) -> Micros {
        (self.queued as f64 * 8e6 / self.rate(now)) as Micros
    }

    pub fn send(&mut self, packet: Packet, bytes: usize, now: Micros) {
        let limit = self.config.queue as f64 * self.rate(now) / 8e6;
        if (self.queued + bytes) as f64 > limit.max(1_500.0) {
            self.overflowed += 1;
            return;
        }
        self.queued += bytes;
        self.queue.push_back((packet, bytes, now));
    }

    /// The next packet that leaves the queue until `now` and is not lost: when it arrives.
    pub fn poll(&mut self, now: Micros) -> Option<(Micros, Packet)> {
        loop {
            let (_, bytes, came) = self.queue.front()?;
            let begun = self.free_at.max(*came);
            let gone = begun + (*bytes as f64 * 8e6 / self.rate(now)) as Micros;
            if gone > now {
                return None;
            }
            let (packet, bytes, _) = self.queue.pop_front()?;
            self.free_at = gone;
            self.queued -= bytes;
            self.count(&packet, bytes);
            if !self.loses(gone) {
                return Some((self.arrival(gone), packet));
            }
        }
    }

    fn count(&mut self, packet: &Packet, bytes: usize) {
        let index = match packet {
            Packet::Media(flow, _) => *flow,
            Packet::Data(tcp, _) => 100 + tcp,
            _ => return,
        };
        if self.passed.len() <= index {
            self.passed.resize(index + 1, 0);
        }
        self.passed[index] += bytes as u64;
    }

    fn loses(&mut self, at: Micros) -> bool {
        let part = self.random.part();
        let turns = if self.bad {
            self.config.loss.out
        } else {
            self.config.loss.into
        };
        self.bad ^= part < turns;
        let seconds = seconds(at);
        let out = |&(from, time): &(f64, f64)| (from..from + time).contains(&seconds);
        let handed = self.config.handover.is_some_and(|(each, time, loss, _)| {
            seconds > each && seconds % each < time && self.random.part() < loss
        });
        self.bad || handed || self.config.outages.iter().any(out)
    }

    fn arrival(&mut self, gone: Micros) -> Micros {
        let jitter = (self.random.normal().abs() * self.config.jitter as f64) as Micros;
        let step = self.config.handover.map_or(0, |(each, _, _, step)| {
            if (seconds(gone) / each) as u64 % 2 == 1 {
                step
            } else {
                0
            }
        });
        let at = gone + self.config.delay + jitter + step;
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }
}

/// Seconds of the case.
pub fn seconds(now: Micros) -> f64 {
    now.saturating_sub(START) as f64 / SECOND as f64
}
