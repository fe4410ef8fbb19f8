//! Parity of a viewer's pictures (FlexFEC), where a retransmission would be waited for long: what one
//! lost packet took away can be put together from its neighbours, without asking.

use super::{Link, RtpSink, RtpSinkConfig, seal};
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::crypto::CryptoError;
use crate::outbox::{Outbox, Transmit};
use crate::packet::extension::ExtensionMap;
use crate::packet::rtp::RtpHeader;
use crate::repair::flexfec::{FecPlan, FlexFec};
use crate::track::downtrack::Numbers;

/// On a shorter way a retransmission comes soon enough; who has parity keeps it a little below.
const LONG_WAY: Micros = 250 * MILLISECOND;
const STILL_LONG: Micros = 220 * MILLISECOND;
/// Where less is lost than this, there is little to mend; who has parity keeps it a little below.
const LOSSY: f64 = 0.005;
const STILL_LOSSY: f64 = 0.003;
/// Header, extension and tag of a packet, about, and what parity adds to the longest it covers.
const OVERHEAD: u64 = 40;
const PARITY_OVERHEAD: u64 = 32;
/// A plan this sparse mends next to nothing.
const MOST_IN_GROUP: u64 = 16;

/// What there is to mend on a viewer's way, and what may be spent on it.
#[derive(Clone, Copy, Debug)]
pub struct Shield {
    /// Round trip.
    pub rtt: Micros,
    /// Part of the packets that the link loses whatever is sent.
    pub loss: f64,
    /// Time that the losses in a row take, on the average.
    pub burst: Micros,
    /// Bits a second that the link carries beyond what is sent.
    pub spare: u64,
    /// Time since it was chosen last.
    pub elapsed: Micros,
}

/// The parity of one stream, and the stream that carries it.
#[derive(Debug)]
pub(super) struct Protection {
    payload_type: u8,
    ssrc: u32,
    sequence: u64,
    /// While there is something to mend.
    parity: Option<FlexFec>,
    payload: Vec<u8>,
    /// Packets and octets of the stream when it was planned last.
    planned: (u64, u64),
}

impl Protection {
    /// None where it was not negotiated.
    pub(super) fn new(config: &RtpSinkConfig) -> Option<Self> {
        let (payload_type, ssrc) = config.flexfec?;
        Some(Self {
            payload_type,
            ssrc,
            sequence: u64::from(config.start.0.rotate_left(5) & 0x7fff),
            parity: None,
            payload: Vec::new(),
            planned: (0, 0),
        })
    }

    /// The SSRC of the parity, and its next number.
    pub(super) fn next(&self) -> (u32, u64) {
        (self.ssrc, self.sequence + 1)
    }

    pub(super) fn go_on_from(&mut self, next: u64) {
        self.sequence = next.saturating_sub(1);
    }

    /// A packet as it goes out, not sealed yet.
    pub(super) fn handle_packet(
        &mut self,
        sequence: u64,
        packet: &[u8],
        extensions: &ExtensionMap,
        now: Micros,
    ) {
        if let Some(parity) = self.parity.as_mut() {
            parity.handle_packet(sequence, packet, extensions, now);
        }
    }

    fn poll(&mut self, now: Micros) -> bool {
        self.payload.clear();
        let parity = self.parity.as_mut();
        parity.is_some_and(|parity| parity.poll_payload(now, &mut self.payload))
    }
}

impl RtpSink {
    /// Choose anew how its packets are protected, once a second; returns the bits a second that it
    /// takes.
    pub fn plan_protection(&mut self, shield: &Shield) -> u64 {
        let Some(protection) = self.protection.as_mut() else {
            return 0;
        };
        let now = (self.counters.packets, self.counters.octets);
        let (packets, octets) = std::mem::replace(&mut protection.planned, now);
        let (packets, octets) = (now.0 - packets, now.1 - octets);
        let plan = choose(shield, packets, octets, protection.parity.is_some());
        let Some((plan, bits_per_second)) = plan else {
            protection.parity = None;
            return 0;
        };
        match &mut protection.parity {
            Some(parity) => parity.set_plan(plan),
            none => *none = Some(FlexFec::new(self.config.ssrc, plan)),
        }
        bits_per_second
    }

    /// Whether packets of it are protected now.
    #[inline]
    pub fn is_protected(&self) -> bool {
        self.protection.as_ref().is_some_and(|p| p.parity.is_some())
    }

    /// Send a packet of parity if one is due; returns its length, 0 for none.
    pub fn send_parity<T: Transmit + ?Sized>(
        &mut self,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) -> usize {
        let Some(mut protection) = self.protection.take() else {
            return 0;
        };
        let mut len = 0;
        if protection.poll(link.now) {
            len = self.write_parity(&mut protection, link, outbox);
        }
        self.protection = Some(protection);
        len
    }

    /// What is due has no place on the link.
    pub fn drop_parity(&mut self, now: Micros) {
        if let Some(protection) = self.protection.as_mut() {
            while protection.poll(now) {}
        }
    }

    fn write_parity<T: Transmit + ?Sized>(
        &mut self,
        protection: &mut Protection,
        link: &mut Link<'_>,
        outbox: &mut Outbox<T>,
    ) -> usize {
        protection.sequence += 1;
        let header = RtpHeader {
            marker: false,
            payload_type: protection.payload_type,
            sequence: protection.sequence as u16,
            timestamp: self.downtrack.last_timestamp(),
            ssrc: protection.ssrc,
        };
        let roc = (protection.sequence >> 16) as u32;
        let transport = link.sent.next_sequence();
        let mut len = 0;
        let sent = outbox.write_as(self.content.again(), link.path, 0, |arena, start| {
            self.write_header(arena, &header, transport, None, Numbers::default());
            arena.extend_from_slice(&protection.payload);
            len = seal(link.srtp, roc, arena, start)?;
            Ok::<_, CryptoError>(())
        });
        self.counters.failed += u64::from(sent.is_err());
        self.counters.fec_packets += u64::from(sent.is_ok());
        self.note_sent(len, link);
        len
    }
}

/// A plan for a stream that had so many packets and octets since the last, and what it costs: no
/// more than the link has to spare, by larger groups if need be.
fn choose(shield: &Shield, packets: u64, octets: u64, protected: bool) -> Option<(FecPlan, u64)> {
    let (long, lossy) = match protected {
        true => (STILL_LONG, STILL_LOSSY),
        false => (LONG_WAY, LOSSY),
    };
    if shield.rtt < long || shield.loss < lossy || packets == 0 || shield.elapsed == 0 {
        return None;
    }
    let rate = packets as f32 * SECOND as f32 / shield.elapsed as f32;
    let burst = rate * shield.burst as f32 / SECOND as f32;
    let plan = FecPlan::choose(shield.loss as f32, burst.max(1.0), rate, shield.rtt)?;
    let bytes = octets + packets * (OVERHEAD + PARITY_OVERHEAD);
    let bits_per_second = bytes * 8 * SECOND / shield.elapsed;
    let least = bits_per_second.div_ceil(shield.spare.max(1));
    if least > MOST_IN_GROUP {
        return None;
    }
    let plan = plan.with_group_of(least as u8);
    let cost = (bits_per_second as f32 * plan.overhead()) as u64;
    Some((plan, cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SATELLITE: Shield = Shield {
        rtt: 600 * MILLISECOND,
        loss: 0.02,
        burst: 20 * MILLISECOND,
        spare: 1_000_000,
        elapsed: SECOND,
    };

    #[test]
    fn parity_is_for_long_and_lossy_ways() {
        let plan = |shield: Shield, protected| choose(&shield, 100, 100_000, protected).is_some();
        assert!(plan(SATELLITE, false));
        for (rtt, loss, new, kept) in [
            (240 * MILLISECOND, 0.02, false, true),
            (200 * MILLISECOND, 0.02, false, false),
            (600 * MILLISECOND, 0.004, false, true),
            (600 * MILLISECOND, 0.002, false, false),
        ] {
            let shield = Shield {
                rtt,
                loss,
                ..SATELLITE
            };
            assert_eq!(
                (plan(shield, false), plan(shield, true)),
                (new, kept),
                "{shield:?}"
            );
        }
        assert!(choose(&SATELLITE, 0, 0, true).is_none(), "nothing is sent");
    }

    #[test]
    fn parity_costs_no_more_than_there_is_to_spare() {
        for spare in [0, 10_000, 30_000, 60_000, 100_000, 200_000, 1_000_000] {
            for loss in [0.01, 0.05, 0.2] {
                let shield = Shield {
                    spare,
                    loss,
                    ..SATELLITE
                };
                match choose(&shield, 100, 100_000, false) {
                    Some((_, cost)) => assert!(cost <= spare, "{cost} of {spare}"),
                    None => assert!(spare < 60_000, "{spare}"),
                }
            }
        }
    }
}
