//! When packets go on to the viewers: a picture together, so that they leave as one train, and who
//! waits for his pacer has them still.

use super::{Released, Route};
use crate::clock::Micros;

/// Packets kept for viewers whose pacer holds them back; who falls behind further misses some.
const MAX_RELEASED: usize = 1_024;
/// Packets of a picture that are held at most for its end to come.
const MAX_HELD: usize = 64;
/// A picture that comes within this time is sent at once by its publisher.
const BURST: Micros = 300;
/// Padding may make packets of one size where they differ by less than this part of it.
const EVEN: usize = 64;

impl Route {
    /// Whether packets wait to be released.
    #[inline]
    pub fn is_holding(&self) -> bool {
        self.held_since.is_some()
    }

    /// When to release what waits: when a picture is whole, at the latest after `hold`, for
    /// trains are longer then. From a publisher who sends a picture at once it is whole in a
    /// moment: that moment is waited for in any case. Sound never waits.
    #[inline]
    pub fn due(&self, hold: Micros) -> Option<Micros> {
        let since = self.held_since?;
        let held = (self.first + self.queue.len() as u64 - self.unreleased) as usize;
        let at_once = !self.video || self.whole || held >= MAX_HELD;
        let burst = if self.spread <= BURST { BURST } else { 0 };
        Some(since + if at_once { 0 } else { hold.max(burst) })
    }

    /// Let out what waits; returns the numbers of these packets, for [`Self::released`].
    #[inline]
    pub fn release(&mut self) -> std::ops::Range<u64> {
        let from = self.unreleased;
        self.unreleased = self.first + self.queue.len() as u64;
        self.held_since = None;
        self.whole = false;
        if self.video {
            let held = (from - self.first) as usize;
            even_out(self.queue.make_contiguous().split_at_mut(held).1);
        }
        from..self.unreleased
    }

    /// Packets let out, from this number on.
    #[inline]
    pub fn released(&self, from: u64) -> impl Iterator<Item = &Released> {
        let from = from.saturating_sub(self.first) as usize;
        let until = (self.unreleased - self.first) as usize;
        self.queue.range(from.min(until)..until)
    }

    /// Since when the oldest packet waits that somebody was not sent yet.
    pub fn waits_since(&self) -> Micros {
        self.queue.front().map_or(0, |oldest| oldest.packet.arrival)
    }

    /// Forget packets that everyone has, and those nobody can be waited for any more.
    #[inline]
    pub fn trim(&mut self) {
        let needed = self.lagging.iter().map(|l| l.next).min();
        let needed = needed.unwrap_or(self.unreleased);
        let excess = self.queue.len().saturating_sub(MAX_RELEASED) as u64;
        let count = (needed - self.first)
            .max(excess)
            .min(self.unreleased - self.first);
        self.queue.drain(..count as usize);
        self.first += count;
        let first = self.first;
        self.lagging
            .iter_mut()
            .for_each(|l| l.next = l.next.max(first));
    }

    /// How long pictures take to come; of each packet taken.
    #[inline]
    pub(super) fn measure_spread(&mut self, timestamp: u32, now: Micros) {
        let (picture, begun) = self.picture;
        if picture != timestamp {
            self.spread = self.latest.saturating_sub(begun);
            self.picture = (timestamp, now);
        }
        self.latest = now;
    }
}

/// Pad packets that differ little to one size. Encoders cut a picture into packets that differ
/// by an octet, and each difference would end a train; the last of a train may be shorter.
fn even_out(packets: &mut [Released]) {
    let mut rest = packets;
    while !rest.is_empty() {
        let len = |released: &Released| released.packet.payload.len();
        let (mut least, mut most) = (usize::MAX, 0);
        let alike = |released: &&Released| {
            let (low, high) = (least.min(len(released)), most.max(len(released)));
            let fits = high - low <= high / EVEN;
            if fits {
                (least, most) = (low, high);
            }
            fits
        };
        let count = rest.iter().take_while(alike).count().max(1);
        let (run, others) = rest.split_at_mut(count);
        for released in &mut run[..count - 1] {
            // At most 1/64 of a payload: it fits the one octet that counts it.
            released.padding = (most - len(released)) as u8;
        }
        rest = others;
    }
}
