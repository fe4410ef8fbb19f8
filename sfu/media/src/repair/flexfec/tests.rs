//! A receiver of our own, as the draft describes one (section 6.3), gets back what was lost.

use std::collections::BTreeMap;

use super::*;
use crate::packet::rtp::{RtpHeader, pad};

const SSRC: u32 = 0xcafe_babe;
const TRANSPORT_CC: (u8, &str) = (
    3,
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
);
const VIDEO_TIMING: (u8, &str) = (
    7,
    "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
);

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn chance(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn map() -> ExtensionMap {
    ExtensionMap::from_pairs(&[TRANSPORT_CC, VIDEO_TIMING])
}

/// A packet like a camera's: any length, some padded, some with extensions of which part is mutable.
fn packet(sequence: u64, random: &mut Random, mutable: u8) -> Vec<u8> {
    let header = RtpHeader {
        marker: random.next().is_multiple_of(7),
        payload_type: 96,
        sequence: sequence as u16,
        timestamp: (sequence / 5 * 3_000) as u32,
        ssrc: SSRC,
    };
    let transport = [mutable, sequence as u8 & mutable];
    let mut timing = [9; 13];
    timing[VIDEO_TIMING_OWN..].fill(mutable);
    let with_timing = random.next().is_multiple_of(4);
    let elements = [(3, &transport[..]), (7, &timing[..])];
    let elements = &elements[..if with_timing { 2 } else { 1 }];
    let mut packet = Vec::new();
    header.write(&mut packet, elements.iter().copied());
    let len = random.next() % 1_200;
    packet.extend((0..len).map(|_| random.next() as u8));
    pad(&mut packet, 0, (random.next() % 5) as u8);
    packet
}

/// What a packet and its parity have in common: mutable octets are zero.
fn plain(packet: &[u8]) -> Vec<u8> {
    let mut plain = packet.to_vec();
    clear_mutable(&mut plain[FIXED_HEADER_LEN..], packet, &map());
    plain
}

/// The sequence numbers that a payload's mask tells of, and where its parity begins.
fn covered(payload: &[u8]) -> (Vec<u16>, usize) {
    assert_eq!(payload[0] & 0xc0, 0, "R and F");
    assert_eq!(payload[8..12], [1, 0, 0, 0]);
    assert_eq!(payload[12..16], SSRC.to_be_bytes());
    let base = u16::from_be_bytes([payload[16], payload[17]]);
    let mut sequences = Vec::new();
    let mut offset = 0;
    let mut at = 18;
    for octets in [2, 4, 8] {
        let word = payload[at..at + octets]
            .iter()
            .fold(0u64, |word, octet| word << 8 | u64::from(*octet));
        at += octets;
        let bits = octets as u32 * 8 - 1;
        for bit in (0..bits).rev() {
            if word >> bit & 1 == 1 {
                sequences.push(base.wrapping_add(offset));
            }
            offset += 1;
        }
        if word >> bits & 1 == 1 {
            break;
        }
    }
    (sequences, at)
}

/// Section 6.3: the packet that is missing, of those a payload covers, if it is the only one.
fn recover(payload: &[u8], received: &BTreeMap<u16, Vec<u8>>) -> Option<(u16, Vec<u8>)> {
    let (sequences, at) = covered(payload);
    let mut missing = sequences.iter().filter(|s| !received.contains_key(s));
    let lost = *missing.next().filter(|_| missing.next().is_none())?;
    let mut header: Vec<u8> = payload[..8].to_vec();
    let mut body = payload[at..].to_vec();
    for packet in sequences.iter().filter_map(|s| received.get(s)) {
        let packet = plain(packet);
        let length = ((packet.len() - FIXED_HEADER_LEN) as u16).to_be_bytes();
        let [t0, t1, t2, t3] = [packet[4], packet[5], packet[6], packet[7]];
        let sum = [
            packet[0] & 0x3f,
            packet[1],
            length[0],
            length[1],
            t0,
            t1,
            t2,
            t3,
        ];
        xor(&mut header, &sum);
        xor(&mut body, &packet[FIXED_HEADER_LEN..]);
    }
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    assert!(
        body[length..].iter().all(|octet| *octet == 0),
        "beyond the packet"
    );
    let mut packet = vec![0x80 | header[0], header[1]];
    packet.extend_from_slice(&lost.to_be_bytes());
    packet.extend_from_slice(&header[4..8]);
    packet.extend_from_slice(&SSRC.to_be_bytes());
    packet.extend_from_slice(&body[..length]);
    Some((lost, packet))
}

/// What one run over a link came to.
#[derive(Debug, Default)]
struct Outcome {
    sent: usize,
    parities: usize,
    lost: usize,
    mended: usize,
}

/// Send packets 5 ms apart, the parity packets behind them, over the same link; receive, recover.
fn run(plan: FecPlan, packets: u64, mut is_lost: impl FnMut() -> bool) -> Outcome {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut fec = FlexFec::new(SSRC, plan);
    let mut outcome = Outcome::default();
    let mut lost = BTreeMap::new();
    let mut received = BTreeMap::new();
    let mut parities: Vec<Vec<u8>> = Vec::new();
    let first = 0xfff0_u64; // numbers wrap soon
    for sequence in first..first + packets {
        let now = (sequence - first) * 5 * MILLISECOND;
        let packet = packet(sequence, &mut random, sequence as u8);
        fec.handle_packet(sequence, &packet, &map(), now);
        outcome.sent += 1;
        match is_lost() {
            true => lost.insert(sequence as u16, packet),
            false => received.insert(sequence as u16, packet),
        };
        let mut payload = Vec::new();
        while fec.poll_payload(now, &mut payload) {
            outcome.parities += 1;
            if !is_lost() {
                parities.push(std::mem::take(&mut payload));
            }
            payload.clear();
        }
        // As a receiver does: again, for as long as something comes back.
        while let Some((sequence, packet)) = parities.iter().find_map(|p| recover(p, &received)) {
            let original = lost.remove(&sequence).expect("it was lost");
            assert_eq!(packet, plain(&original));
            received.insert(sequence, original);
            outcome.mended += 1;
        }
        // Both remember for a while only.
        let age = |payload: &Vec<u8>| (sequence as u16).wrapping_sub(covered(payload).0[0]);
        parities.retain(|payload| age(payload) < 190);
        received.remove(&(sequence.wrapping_sub(192) as u16));
        let gone = lost.remove(&(sequence.wrapping_sub(192) as u16));
        outcome.lost += usize::from(gone.is_some());
    }
    outcome.lost += outcome.mended + lost.len();
    outcome
}

#[test]
fn any_burst_up_to_the_spacing_is_mended_to_the_octet() {
    for (group, spacing) in [(4, 3), (8, 5), (10, 9), (12, 7), (16, 5)] {
        let plan = FecPlan::new(group, spacing);
        for burst in 1..=u64::from(spacing) {
            for begin in [200, 207, 210] {
                let mut count = 0;
                let outcome = run(plan, 500, || {
                    count += 1;
                    (begin..begin + burst).contains(&count)
                });
                assert_eq!(
                    outcome.mended, outcome.lost,
                    "{plan:?}, {burst}: {outcome:?}"
                );
            }
        }
    }
}

/// The satellite link: 2 % lost in bursts of 4 on average, also of the parity packets. Of 393 packets
/// lost 284 come back, for a tenth more packets; the rest is for retransmission, a round trip later.
#[test]
fn most_of_what_the_satellite_link_loses_is_mended_at_once() {
    let mut random = Random(0x0bad_cafe_dead_beef);
    let mut bad = false;
    let plan = FecPlan::choose(0.02, 4.0, 150.0, 600 * MILLISECOND).unwrap();
    let outcome = run(plan, 20_000, || {
        bad = match bad {
            true => random.chance() >= 0.25,
            false => random.chance() < 0.0051,
        };
        bad
    });
    let mended = outcome.mended as f64 / outcome.lost as f64;
    assert!(mended > 0.7, "{mended}");
    assert!(outcome.parities <= outcome.sent / 10);
}

#[test]
fn a_pause_lets_what_is_pending_leave_in_a_few_packets() {
    let plan = FecPlan::new(12, 7);
    let mut random = Random(77);
    let mut fec = FlexFec::new(SSRC, plan);
    let mut payload = Vec::new();
    for sequence in 0..100 {
        fec.handle_packet(sequence, &packet(sequence, &mut random, 0), &map(), 0);
        while fec.poll_payload(0, &mut payload) {}
    }
    let paused = fec.poll_timeout().unwrap();
    assert_eq!(paused, PAUSE);
    payload.clear();
    assert!(!fec.poll_payload(paused - 1, &mut payload));
    let mut groups = Vec::new();
    while fec.poll_payload(paused, &mut payload) {
        groups.push(covered(&payload).0);
        payload.clear();
    }
    let last_due = 96;
    let mut all: Vec<u16> = groups.concat();
    all.sort_unstable();
    assert!(all.len() > 30 && all.windows(2).all(|pair| pair[0] < pair[1]));
    assert!((last_due..100).all(|sequence| all.contains(&sequence)));
    assert!((2..=8).contains(&groups.len()), "{}", groups.len());
    // the last ones, which no retransmission request will come for soon, are in different packets
    let group_of = |sequence: u16| groups.iter().position(|g| g.contains(&sequence));
    assert_ne!(group_of(99), group_of(98));
    assert_eq!(fec.poll_timeout(), None);
}

#[test]
fn a_slow_stream_does_not_pay_for_each_pause() {
    let plan = FecPlan::new(10, 3);
    let mut random = Random(78);
    let mut fec = FlexFec::new(SSRC, plan);
    let mut payload = Vec::new();
    for sequence in 0..1_000 {
        let now = sequence * 100 * MILLISECOND; // every packet is followed by a pause
        fec.handle_packet(sequence, &packet(sequence, &mut random, 0), &map(), now);
        while fec.poll_payload(now, &mut payload) {}
        while fec.poll_payload(now + PAUSE, &mut payload) {}
        payload.clear();
    }
    let FecCounters {
        covered, parities, ..
    } = fec.counters;
    assert_eq!(covered, 1_000);
    assert!(parities <= 200 + 8, "{parities}");
}

#[test]
fn packets_out_of_order_are_covered_and_copies_and_late_ones_are_not() {
    let plan = FecPlan::new(4, 3);
    let mut random = Random(79);
    let packets: Vec<_> = (0..40).map(|s| packet(s, &mut random, 0)).collect();
    let mut fec = FlexFec::new(SSRC, plan);
    let mut payloads = Vec::new();
    let mut order: Vec<u64> = (0..40).collect();
    order.swap(20, 21);
    order.insert(25, 22); // a copy
    for sequence in order {
        fec.handle_packet(sequence, &packets[sequence as usize], &map(), 0);
        let mut payload = Vec::new();
        while fec.poll_payload(0, &mut payload) {
            payloads.push(std::mem::take(&mut payload));
        }
    }
    fec.handle_packet(5, &packets[5], &map(), 0);
    assert_eq!(fec.counters.uncovered, 1);
    for lost in 8..25 {
        let received = (0..40).filter(|s| *s != lost);
        let received = received
            .map(|s| (s, packets[usize::from(s)].clone()))
            .collect();
        let mended = payloads.iter().find_map(|p| recover(p, &received));
        assert_eq!(mended, Some((lost, plain(&packets[usize::from(lost)]))));
    }
}

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    let mut fec = FlexFec::new(SSRC, FecPlan::new(4, 3));
    fec.handle_packet(0, &[0x80; MAX_PACKET + 1], &map(), 0);
    fec.handle_packet(1, &[0x80; 5], &map(), 0);
    assert_eq!(fec.counters.uncovered, 2);
    assert_eq!(fec.poll_timeout(), None);
    // numbers far apart, as after a pause of hours
    let mut payload = Vec::new();
    for sequence in (0..100).map(|n| n * 1_000_000_007) {
        fec.handle_packet(sequence, &[0x80; 50], &map(), sequence);
        while fec.poll_payload(sequence, &mut payload) {}
    }
    assert!(fec.counters.parities > 90);
}

#[test]
fn a_plan_may_change_at_any_time() {
    let mut random = Random(80);
    let mut fec = FlexFec::new(SSRC, FecPlan::new(12, 7));
    let mut payload = Vec::new();
    let mut sequences = Vec::new();
    for sequence in 0..2_000u64 {
        if sequence.is_multiple_of(37) {
            fec.set_plan(FecPlan::new((sequence % 17) as u8, (sequence % 11) as u8));
        }
        fec.handle_packet(sequence, &packet(sequence, &mut random, 0), &map(), 0);
        while fec.poll_payload(0, &mut payload) {
            sequences.extend(covered(&payload).0);
            payload.clear();
        }
    }
    let before = sequences.len();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), before, "none is covered twice");
    assert!(before > 1_850);
}
