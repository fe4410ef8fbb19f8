//! What a receiver report says of one received stream (RFC 3550, 6.4.1 and appendix A).

use crate::clock::Micros;
use crate::packet::rtcp::ReportBlock;

/// A sender report as it was received.
#[derive(Clone, Copy, Debug)]
pub struct SenderClock {
    /// NTP time in the report, 32.32 bits.
    pub ntp: u64,
    /// The RTP timestamp of that time.
    pub timestamp: u32,
    /// When the report arrived here.
    pub arrival: Micros,
}

/// Counts of one SSRC.
#[derive(Debug)]
pub struct Reception {
    ssrc: u32,
    clock_rate: u32,
    first: u64,
    highest: u64,
    received: u64,
    reported_expected: u64,
    reported_received: u64,
    jitter: f64,
    last_transit: Option<i64>,
}

impl Reception {
    /// Counting begins with the first packet, whose unwrapped number is `first`.
    pub fn new(ssrc: u32, clock_rate: u32, first: u64) -> Self {
        Self {
            ssrc,
            clock_rate,
            first,
            highest: first,
            received: 0,
            reported_expected: 0,
            reported_received: 0,
            jitter: 0.0,
            last_transit: None,
        }
    }

    /// Note a packet of the stream itself, not a retransmission.
    pub fn handle_packet(&mut self, sequence: u64, timestamp: u32, now: Micros) {
        self.received += 1;
        self.highest = self.highest.max(sequence);
        let arrival = (u128::from(now) * u128::from(self.clock_rate) / 1_000_000) as i64;
        let transit = arrival - i64::from(timestamp);
        if let Some(last) = self.last_transit.replace(transit) {
            // Modulo 2^32, as timestamps are (A.8).
            let difference = f64::from((transit - last) as i32).abs();
            self.jitter += (difference - self.jitter) / 16.0;
        }
    }

    /// The report block since the last one.
    pub fn report(&mut self, clock: Option<SenderClock>, now: Micros) -> ReportBlock {
        let expected = self.highest - self.first + 1;
        let lost = expected as i64 - self.received as i64;
        let interval = expected - self.reported_expected;
        let lost_in_interval = interval.saturating_sub(self.received - self.reported_received);
        self.reported_expected = expected;
        self.reported_received = self.received;
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost_in_interval * 256)
                .checked_div(interval)
                .unwrap_or(0)
                .min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: self.highest as u32,
            jitter: self.jitter as u32,
            lsr: clock.map_or(0, |c| (c.ntp >> 16) as u32),
            dlsr: clock.map_or(0, |c| {
                (now.saturating_sub(c.arrival) * 65_536 / 1_000_000) as u32
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_lost_is_sixty_four() {
        let mut reception = Reception::new(1, 90_000, 0);
        for sequence in (0..100).filter(|s| s % 4 != 1) {
            reception.handle_packet(sequence, sequence as u32 * 3_000, sequence * 33_333);
        }
        let report = reception.report(None, 0);
        assert_eq!(report.fraction_lost, 64);
        assert_eq!(report.cumulative_lost, 25);
        assert_eq!(report.highest_sequence, 99);
    }

    #[test]
    fn an_even_stream_has_no_jitter() {
        let mut reception = Reception::new(1, 1_000_000, 0);
        for sequence in 0..100 {
            reception.handle_packet(sequence, sequence as u32 * 20_000, sequence * 20_000);
        }
        assert_eq!(reception.report(None, 0).jitter, 0);
    }
}
