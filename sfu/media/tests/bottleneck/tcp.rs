//! A TCP sender, as much of it as a competitor needs: slow start, congestion avoidance, fast
//! retransmit and recovery (RFC 5681, RFC 6582, with what selective acknowledgments know), and a
//! timer. Every packet is acknowledged by itself.

use std::collections::BTreeMap;

use tongbu_media::clock::{MILLISECOND, Micros, SECOND};

use super::link::seconds;
use super::{Link, Packet, Random};

const SEGMENT: usize = 1_500;
const FIRST_WINDOW: f64 = 10.0;
/// A segment is lost when one this much younger was acknowledged.
const REORDERED: u64 = 3;

/// One connection that sends a file, waits, and sends the next.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Seconds between which it sends.
    pub active: (f64, f64),
    /// Sizes of files between these, in segments; one endless file if none.
    pub files: Option<(u64, u64)>,
    /// Mean pause between two files, in seconds.
    pub pause: f64,
    pub random: Random,
    window: f64,
    threshold: f64,
    next: u64,
    left: u64,
    flights: BTreeMap<u64, Micros>,
    recovering_until: u64,
    highest: u64,
    rtt: Micros,
    resumes: Micros,
}

impl Tcp {
    pub fn long(from: f64, until: f64) -> Self {
        Self {
            active: (from, until),
            files: None,
            pause: 0.0,
            random: Random::new(1),
            window: FIRST_WINDOW,
            threshold: f64::MAX,
            next: 1,
            left: u64::MAX,
            flights: BTreeMap::new(),
            recovering_until: 0,
            highest: 0,
            rtt: 200 * MILLISECOND,
            resumes: 0,
        }
    }

    pub fn short(from: f64, files: (u64, u64), pause: f64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let first = from - pause * random.part().max(1e-6).ln();
        Self {
            active: (first, f64::MAX),
            files: Some(files),
            pause,
            left: files.0,
            random,
            ..Self::long(first, f64::MAX)
        }
    }

    pub fn step(&mut self, index: usize, now: Micros, link: &mut Link) {
        let at = seconds(now);
        if at < self.active.0 || now < self.resumes {
            return;
        }
        let timeout = (3 * self.rtt).max(200 * MILLISECOND);
        let stalled = self
            .flights
            .first_key_value()
            .is_some_and(|(_, sent)| now > sent + timeout);
        if stalled {
            self.threshold = (self.window / 2.0).max(2.0);
            self.window = 1.0;
            self.lose_all();
        }
        while at < self.active.1 && self.left > 0 && (self.flights.len() as f64) < self.window {
            self.flights.insert(self.next, now);
            link.send(Packet::Data(index, self.next), SEGMENT, now);
            self.next += 1;
            self.left -= 1;
        }
        if self.left == 0 && self.flights.is_empty() {
            self.next_file(now);
        }
    }

    pub fn handle_ack(&mut self, number: u64, now: Micros) {
        let Some(sent) = self.flights.remove(&number) else {
            return;
        };
        self.rtt = (self.rtt * 7 + now.saturating_sub(sent)) / 8;
        self.highest = self.highest.max(number);
        self.window += if self.window < self.threshold {
            1.0
        } else {
            1.0 / self.window
        };
        while let Some((&first, _)) = self.flights.first_key_value() {
            if first + REORDERED > self.highest {
                break;
            }
            self.flights.remove(&first);
            self.left = self.left.saturating_add(1);
            if first >= self.recovering_until {
                self.threshold = (self.window / 2.0).max(2.0);
                self.window = self.threshold;
                self.recovering_until = self.next;
            }
        }
    }

    fn lose_all(&mut self) {
        self.left = self.left.saturating_add(self.flights.len() as u64);
        self.flights.clear();
        self.recovering_until = self.next;
    }

    fn next_file(&mut self, now: Micros) {
        let Some((least, most)) = self.files else {
            return;
        };
        let part = self.random.part();
        self.left = least + ((most - least) as f64 * part) as u64;
        let pause = -self.pause * self.random.part().max(1e-6).ln();
        self.resumes = now + (pause * SECOND as f64) as Micros;
        self.window = FIRST_WINDOW;
        self.threshold = f64::MAX;
    }
}
