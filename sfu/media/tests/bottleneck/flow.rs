//! A flow of media: a source that follows the estimate in its way, the pacer, the far end.

use std::collections::VecDeque;

use tongbu_media::clock::{MILLISECOND, Micros, SECOND};
use tongbu_media::congestion::{LinkState, PACING_INTERVAL, Pacer, SentPackets, TwccRecorder};
use tongbu_media::packet::rtcp::{Rtcp, packets};

use super::link::seconds;
use super::{Link, Packet, Random};

/// Bytes on the wire of a full packet, and of one that is all padding.
const FULL: usize = 1_200;
const PADDING: usize = 280;
const PICTURES: u64 = 30;
/// More than this in the queue of the source is thrown away, as a route does.
const MOST_WAITING: usize = 1_024;

/// What is sent.
#[derive(Clone, Debug)]
pub enum Source {
    /// The estimate, between two rates (RFC 8867: an ideal encoder).
    Adaptive(f64, f64),
    /// The highest of these rates that the estimate allows, as layers are chosen; the next one
    /// wanted.
    Layers(Vec<f64>),
    /// Rates by schedule, whatever the estimate says; and what is wanted, likewise.
    Fixed(Vec<(f64, f64)>, Vec<(f64, f64)>),
}

/// What a flow is like.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    pub source: Source,
    /// Seconds between which it sends.
    pub active: (f64, f64),
    /// One way, besides the link's.
    pub extra_delay: Micros,
    /// Whether it pads for probes.
    pub pads: bool,
    /// Media goes the other way: the links change their parts.
    pub reverse: bool,
    /// A picture each so many is this many times the size of the others.
    pub keyframes: Option<(u64, f64)>,
}

/// One flow at work.
pub struct Flow {
    pub config: FlowConfig,
    pub sent: SentPackets,
    pub pacer: Pacer,
    pub state: Option<LinkState>,
    pub changes: u64,
    pub padded: u64,
    twcc: TwccRecorder,
    waiting: VecDeque<usize>,
    next_picture: Micros,
    pictures: u64,
    random: Random,
}

impl FlowConfig {
    pub fn new(source: Source) -> Self {
        Self {
            source,
            active: (0.0, f64::MAX),
            extra_delay: 0,
            pads: true,
            reverse: false,
            keyframes: None,
        }
    }
}

impl Flow {
    pub fn new(config: FlowConfig, random: Random) -> Self {
        Self {
            config,
            sent: SentPackets::default(),
            pacer: Pacer::default(),
            state: None,
            changes: 0,
            padded: 0,
            twcc: TwccRecorder::default(),
            waiting: VecDeque::new(),
            next_picture: 0,
            pictures: 0,
            random,
        }
    }

    /// Bits a second.
    pub fn target(&self) -> f64 {
        self.sent.estimate().unwrap_or(300_000) as f64
    }

    pub fn step(&mut self, index: usize, now: Micros, there: &mut Link, back: &mut Link) {
        let (there, back) = if self.config.reverse {
            (back, there)
        } else {
            (there, back)
        };
        let at = seconds(now);
        if at >= self.config.active.0 && at < self.config.active.1 && now >= self.next_picture {
            // Cameras do not keep step with each other.
            let drift = (self.random.normal() * 1_000.0) as i64;
            self.next_picture = (now + SECOND / PICTURES).saturating_add_signed(drift);
            self.take_picture(at, now);
        }
        if now.is_multiple_of(PACING_INTERVAL) {
            if let Some(state) = self.sent.poll_change(now) {
                self.state = Some(state);
                self.changes += 1;
            }
            self.pacer.set_pace(self.sent.pace());
            self.pad(index, now, there);
        }
        self.send(index, now, there);
        if now.is_multiple_of(10 * MILLISECOND) {
            let mut rtcp = Vec::new();
            self.twcc.poll(now, 1, &mut rtcp);
            if !rtcp.is_empty() {
                let bytes = rtcp.len() + 60;
                back.send(Packet::Feedback(index, rtcp), bytes, now);
            }
        }
    }

    pub fn handle_media(&mut self, sequence: u16, at: Micros) {
        self.twcc.handle_packet(sequence, 7, at);
    }

    pub fn handle_feedback(&mut self, rtcp: &[u8], at: Micros) {
        for packet in packets(rtcp) {
            if let Ok(Rtcp::TransportFeedback(feedback)) = packet {
                self.sent.handle_feedback(&feedback, at);
            }
        }
    }

    fn take_picture(&mut self, at: f64, now: Micros) {
        let target = self.target();
        let (rate, wanted) = match &self.config.source {
            Source::Adaptive(least, most) => (target.clamp(*least, *most), *most),
            Source::Layers(layers) => {
                let fits = layers.iter().copied().filter(|rate| *rate <= target * 0.97);
                let rate = fits.fold(layers[0], f64::max);
                let next = layers.iter().copied().filter(|next| *next > rate);
                (rate, next.fold(f64::INFINITY, f64::min) * 1.05)
            }
            Source::Fixed(rates, wanted) => (scheduled(rates, at), scheduled(wanted, at)),
        };
        let wanted = if wanted.is_finite() { wanted } else { 0.0 };
        self.sent.set_wanted(wanted as u64, now);
        self.pacer.set_load((rate / 8.0) as u64);
        self.pictures += 1;
        let mut bytes = rate / 8.0 / PICTURES as f64 * (1.0 + 0.1 * self.random.normal());
        if let Some((each, times)) = self.config.keyframes {
            // The others make up for it.
            let others = each as f64 / (each as f64 + times - 1.0);
            let key = self.pictures.is_multiple_of(each);
            bytes *= if key { times * others } else { others };
        }
        let mut bytes = bytes.max(50.0) as usize;
        while bytes > 0 {
            let size = bytes.min(FULL);
            self.waiting.push_back(size.max(60));
            bytes -= size;
        }
        while self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
        }
    }

    fn send(&mut self, index: usize, now: Micros, link: &mut Link) {
        self.pacer.refill(now);
        while !self.waiting.is_empty() && self.pacer.allows() {
            let bytes = self.waiting.pop_front().unwrap_or(FULL);
            self.transmit(index, bytes, now, link);
        }
    }

    fn pad(&mut self, index: usize, now: Micros, link: &mut Link) {
        if !self.config.pads {
            return;
        }
        if let Some(probe) = self.sent.poll_probe(now) {
            let mut left = probe.bytes as usize;
            while left > 0 {
                self.padded += PADDING as u64;
                self.transmit(index, PADDING, now, link);
                left = left.saturating_sub(PADDING);
            }
        }
    }

    fn transmit(&mut self, index: usize, bytes: usize, now: Micros, link: &mut Link) {
        let sequence = self.sent.next_sequence();
        self.sent.handle_sent(bytes, now);
        self.pacer.spend(bytes);
        link.send(Packet::Media(index, sequence), bytes, now);
    }
}

fn scheduled(schedule: &[(f64, f64)], at: f64) -> f64 {
    let steps = schedule.iter().rev();
    steps
        .clone()
        .find(|(from, _)| *from <= at)
        .map_or(0.0, |(_, rate)| *rate)
}
