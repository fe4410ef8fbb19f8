//! A bottleneck in memory and those who share it, on a virtual clock: what RFC 8867 asks for.
//!
//! Two links, there and back, each with a rate by schedule, a drop-tail queue, a delay, jitter that
//! does not reorder, bursty loss (Gilbert-Elliott) and interruptions. Flows are the real ones:
//! [`SentPackets`], [`Pacer`] and, on the other side, [`TwccRecorder`] with its feedback on the wire.

#![allow(dead_code, unreachable_pub, reason = "each user takes its part")]

pub mod cases;
mod flow;
mod link;
mod series;
mod tcp;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tongbu_media::clock::{MILLISECOND, Micros, SECOND};

pub use flow::{Flow, FlowConfig, Source};
pub use link::{Gilbert, Link, LinkConfig};
pub use series::Series;
pub use tcp::Tcp;

/// Virtual time begins here, that of the cases at 0.
pub const START: Micros = 1_000 * SECOND;
const STEP: Micros = MILLISECOND;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Even between 0 and 1.
    pub fn part(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / ((1u64 << 53) as f64)
    }

    /// With mean 0 and deviation 1, nearly normal: the sum of twelve even parts.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.part()).sum::<f64>() - 6.0
    }
}

/// What travels.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Of a flow: its transport-wide number.
    Media(usize, u16),
    /// RTCP to a flow.
    Feedback(usize, Vec<u8>),
    /// Of a TCP connection: its number.
    Data(usize, u64),
    /// The number acknowledged.
    Ack(usize, u64),
}

impl Packet {
    pub fn bytes(&self, size: usize) -> usize {
        match self {
            Self::Media(..) | Self::Data(..) => size,
            Self::Feedback(_, rtcp) => rtcp.len() + 60,
            Self::Ack(..) => 60,
        }
    }
}

/// Who takes part in a case.
pub struct Case {
    pub name: &'static str,
    pub seconds: u64,
    pub there: LinkConfig,
    pub back: LinkConfig,
    pub flows: Vec<FlowConfig>,
    pub tcps: Vec<Tcp>,
    pub seed: u64,
}

impl Case {
    /// Run it; what was measured each 100 ms.
    pub fn run(&self) -> Series {
        let mut world = World::new(self);
        let end = START + self.seconds * SECOND;
        let mut series = Series::new(self);
        while world.now < end {
            world.step();
            if world.now.is_multiple_of(series::INTERVAL) {
                series.sample(&mut world);
            }
        }
        series
    }
}

/// A packet after the bottleneck: when it arrives, a tie-breaker.
type Flight = Reverse<(Micros, u64, usize)>;

/// A case under way.
pub struct World {
    pub now: Micros,
    pub there: Link,
    pub back: Link,
    pub flows: Vec<Flow>,
    pub tcps: Vec<Tcp>,
    flights: BinaryHeap<Flight>,
    slots: Vec<Option<Packet>>,
    free: Vec<usize>,
    launched: u64,
}

impl World {
    fn new(case: &Case) -> Self {
        let flows =
            case.flows.iter().zip(1..).map(|(flow, number)| {
                Flow::new(flow.clone(), Random::new(case.seed + 1_000 * number))
            });
        Self {
            now: START,
            there: Link::new(case.there.clone(), Random::new(case.seed ^ 0x5eed)),
            back: Link::new(case.back.clone(), Random::new(case.seed ^ 0xfeed)),
            flows: flows.collect(),
            tcps: case.tcps.clone(),
            flights: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            launched: 0,
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        let now = self.now;
        while let Some(&Reverse((at, _, slot))) = self.flights.peek() {
            if at > now {
                break;
            }
            self.flights.pop();
            self.free.push(slot);
            if let Some(packet) = self.slots[slot].take() {
                self.deliver(packet, at);
            }
        }
        for (index, flow) in self.flows.iter_mut().enumerate() {
            flow.step(index, now, &mut self.there, &mut self.back);
        }
        for (index, tcp) in self.tcps.iter_mut().enumerate() {
            tcp.step(index, now, &mut self.there);
        }
        for direction in 0..2 {
            self.carry(direction);
        }
    }

    fn carry(&mut self, direction: usize) {
        let extra = |packet: &Packet, flows: &[Flow]| match packet {
            Packet::Media(flow, _) | Packet::Feedback(flow, _) => flows[*flow].config.extra_delay,
            _ => 0,
        };
        loop {
            let link = if direction == 0 {
                &mut self.there
            } else {
                &mut self.back
            };
            let Some((at, packet)) = link.poll(self.now) else {
                return;
            };
            let at = at + extra(&packet, &self.flows);
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() - 1
            });
            self.slots[slot] = Some(packet);
            self.launched += 1;
            self.flights.push(Reverse((at, self.launched, slot)));
        }
    }

    fn deliver(&mut self, packet: Packet, at: Micros) {
        match packet {
            Packet::Media(flow, sequence) => self.flows[flow].handle_media(sequence, at),
            Packet::Feedback(flow, rtcp) => self.flows[flow].handle_feedback(&rtcp, at),
            Packet::Data(tcp, number) => {
                let ack = Packet::Ack(tcp, number);
                self.back.send(ack, 60, at.max(self.now));
            }
            Packet::Ack(tcp, number) => self.tcps[tcp].handle_ack(number, at),
        }
    }
}
