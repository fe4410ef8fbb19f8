//! What is measured of a case, each 100 ms.

use tongbu_media::clock::{MILLISECOND, Micros};

use super::link::seconds;
use super::{Case, World};

pub const INTERVAL: Micros = 100 * MILLISECOND;

/// At one time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Seconds.
    pub at: f64,
    /// Bits a second, there.
    pub capacity: f64,
    /// How long a packet that comes to the bottleneck waits, milliseconds.
    pub queue: f64,
    /// Of each flow: what passed the bottleneck, bits a second.
    pub rates: Vec<f64>,
    /// Of each flow: its estimate.
    pub targets: Vec<f64>,
    /// Of all TCP together.
    pub tcp: f64,
}

/// A case from begin to end.
pub struct Series {
    pub name: &'static str,
    pub samples: Vec<Sample>,
    passed: Vec<u64>,
    tcp: u64,
    /// Of each flow, at the end: loss it believes inherent, bytes padded, changes told.
    pub inherent: Vec<f64>,
    pub padded: Vec<u64>,
    pub changes: Vec<u64>,
}

impl Series {
    pub fn new(case: &Case) -> Self {
        Self {
            name: case.name,
            samples: Vec::new(),
            passed: vec![0; case.flows.len()],
            tcp: 0,
            inherent: Vec::new(),
            padded: Vec::new(),
            changes: Vec::new(),
        }
    }

    pub fn sample(&mut self, world: &mut World) {
        let rate = |bytes: u64| bytes as f64 * 8e6 / INTERVAL as f64;
        let mut rates = Vec::new();
        for (index, flow) in world.flows.iter().enumerate() {
            let link = if flow.config.reverse {
                &world.back
            } else {
                &world.there
            };
            let passed = link.passed.get(index).copied().unwrap_or(0);
            rates.push(rate(passed - self.passed[index]));
            self.passed[index] = passed;
        }
        let tcp: u64 = world.there.passed.iter().skip(100).sum();
        self.samples.push(Sample {
            at: seconds(world.now),
            capacity: world.there.rate(world.now),
            queue: world.there.wait(world.now) as f64 / 1e3,
            rates,
            targets: world.flows.iter().map(|flow| flow.target()).collect(),
            tcp: rate(tcp - self.tcp),
        });
        self.tcp = tcp;
        let states = world
            .flows
            .iter()
            .map(|flow| flow.sent.state().unwrap_or_default());
        self.inherent = states.map(|state| state.inherent_loss).collect();
        self.padded = world.flows.iter().map(|flow| flow.padded).collect();
        self.changes = world.flows.iter().map(|flow| flow.changes).collect();
    }

    pub fn between(&self, from: f64, until: f64) -> impl Iterator<Item = &Sample> + Clone {
        self.samples
            .iter()
            .filter(move |s| s.at > from && s.at <= until)
    }

    /// Mean rate of a flow.
    pub fn rate(&self, flow: usize, from: f64, until: f64) -> f64 {
        mean(self.between(from, until).map(|s| s.rates[flow]))
    }

    pub fn tcp(&self, from: f64, until: f64) -> f64 {
        mean(self.between(from, until).map(|s| s.tcp))
    }

    pub fn target(&self, flow: usize, from: f64, until: f64) -> f64 {
        mean(self.between(from, until).map(|s| s.targets[flow]))
    }

    /// Part of the capacity that all flows take together.
    pub fn utilisation(&self, from: f64, until: f64) -> f64 {
        let used = mean(
            self.between(from, until)
                .map(|s| s.rates.iter().sum::<f64>()),
        );
        used / mean(self.between(from, until).map(|s| s.capacity))
    }

    /// Queue in milliseconds.
    pub fn queue(&self, quantile: f64, from: f64, until: f64) -> f64 {
        let mut queues: Vec<f64> = self.between(from, until).map(|s| s.queue).collect();
        queues.sort_by(f64::total_cmp);
        let index = (queues.len() as f64 * quantile) as usize;
        queues[index.min(queues.len() - 1)]
    }

    /// Jain's index of the flows' rates.
    pub fn fairness(&self, from: f64, until: f64) -> f64 {
        let flows = self.samples[0].rates.len();
        let rates: Vec<f64> = (0..flows)
            .map(|flow| self.rate(flow, from, until))
            .collect();
        let sum: f64 = rates.iter().sum();
        let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
        sum * sum / (flows as f64 * squares)
    }

    /// Seconds after `from` until the estimate of a flow is `rate` or more, or no more.
    pub fn reaches(&self, flow: usize, from: f64, holds: impl Fn(f64) -> bool) -> f64 {
        let found = self
            .between(from, f64::MAX)
            .find(|s| holds(s.targets[flow]));
        found.map_or(f64::INFINITY, |sample| sample.at - from)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}
