//! What each layer of a stream costs on the wire, smoothed: rates are allocated by it, and a
//! keyframe must not look like a need.

use crate::clock::{Micros, SECOND};

/// Spatial and temporal layers told apart; those above count as the highest.
const SPATIAL: usize = 4;
const TEMPORAL: usize = 4;
/// Rates are measured over this.
const WINDOW: Micros = SECOND / 2;
/// A new window counts for one part of this, at last: over 8 s, for a page of slides is turned
/// every so often, and until the next costs next to nothing.
const SMOOTHING: u64 = 16;
/// What carries less carries nothing.
const LEAST: u64 = 1_000;
/// RTP header, its extensions and the SRTP tag, about.
const OVERHEAD: usize = 40;
/// A stream that brought nothing for so long is not being sent.
const IDLE: Micros = SECOND;

/// Bytes of the window, and bits a second smoothed.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    bytes: u64,
    bits_per_second: u64,
}

/// The rates of one stream.
#[derive(Debug, Default)]
pub struct Meter {
    cells: [[Cell; TEMPORAL]; SPATIAL],
    window_start: Option<Micros>,
    last_packet: Option<Micros>,
    windows: u64,
}

impl Meter {
    /// A packet of these spatial and temporal layers came.
    #[inline]
    pub fn handle_packet(&mut self, spatial: u8, temporal: u8, payload: usize, now: Micros) {
        let start = *self.window_start.get_or_insert(now);
        if now >= start + WINDOW {
            self.turn(now - start);
            self.window_start = Some(now);
        }
        let spatial = usize::from(spatial).min(SPATIAL - 1);
        let temporal = usize::from(temporal).min(TEMPORAL - 1);
        self.cells[spatial][temporal].bytes += (payload + OVERHEAD) as u64;
        self.last_packet = Some(now);
    }

    /// Whether nothing has come lately.
    pub fn idle(&self, now: Micros) -> bool {
        self.last_packet.is_none_or(|at| now >= at + IDLE)
    }

    /// Bits a second of all layers together.
    pub fn total(&self) -> u64 {
        self.cells.iter().flatten().map(|c| c.bits_per_second).sum()
    }

    /// What it costs to take a spatial and temporal layer with all below it, for each that
    /// carries something; the cheapest first within a spatial layer.
    pub fn rates(&self) -> impl Iterator<Item = (u8, u8, u64)> {
        let cost = |spatial: usize, temporal: usize| -> u64 {
            let below = self.cells[..=spatial]
                .iter()
                .flat_map(move |s| &s[..=temporal]);
            below.map(|c| c.bits_per_second).sum()
        };
        let all = (0..SPATIAL).flat_map(|s| (0..TEMPORAL).map(move |t| (s, t)));
        all.filter(|&(s, t)| self.cells[s][t].bits_per_second >= LEAST)
            .map(move |(s, t)| (s as u8, t as u8, cost(s, t)))
    }

    /// A slide that stands still brings a packet now and then: a window is as long as it took.
    fn turn(&mut self, elapsed: Micros) {
        self.windows = (self.windows + 1).min(SMOOTHING);
        let smoothing = self.windows;
        for cell in self.cells.iter_mut().flatten() {
            let rate = cell.bytes * 8 * SECOND / elapsed;
            cell.bits_per_second = (cell.bits_per_second * (smoothing - 1) + rate) / smoothing;
            cell.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;

    /// Ten packets of each temporal layer a second, of 1,210 bytes on the wire.
    fn feed(meter: &mut Meter, from: Micros, seconds: u64, temporal: &[u8]) {
        for tick in 0..seconds * 10 {
            let now = from + tick * 100 * MILLISECOND;
            for &temporal in temporal {
                meter.handle_packet(0, temporal, 1_210 - OVERHEAD, now);
            }
        }
    }

    #[test]
    fn a_layer_costs_what_lies_below_it_too() {
        let mut meter = Meter::default();
        feed(&mut meter, SECOND, 5, &[0, 1, 2]);
        let rates: Vec<_> = meter.rates().collect();
        let of = |layers: u64| 96_800 * layers;
        assert_eq!(rates, [(0, 0, of(1)), (0, 1, of(2)), (0, 2, of(3))]);
        assert_eq!(meter.total(), of(3));
    }

    #[test]
    fn a_burst_does_not_look_like_a_need() {
        let mut meter = Meter::default();
        feed(&mut meter, SECOND, 10, &[0]);
        meter.handle_packet(0, 0, 50_000, 11 * SECOND);
        feed(&mut meter, 11 * SECOND, 1, &[0]);
        assert!(meter.total() < 150_000, "{}", meter.total());
        feed(&mut meter, 12 * SECOND, 30, &[0]);
        assert!(meter.total() < 105_000, "{}", meter.total());
    }

    #[test]
    fn a_layer_that_ends_costs_nothing_soon() {
        let mut meter = Meter::default();
        feed(&mut meter, SECOND, 5, &[0, 1]);
        feed(&mut meter, 6 * SECOND, 60, &[0]);
        assert_eq!(meter.rates().count(), 1);
        assert!(meter.idle(67 * SECOND) && !meter.idle(66 * SECOND));
    }
}
