//! Writers: each appends whole RTCP packets to `out`. What one packet cannot hold goes into
//! another behind it; an empty request writes nothing.

use super::xr::{DLRR, Dlrr, RRTR};
use super::{FirEntry, ReportBlock, SenderInfo, kind};

/// Report blocks or sources that a header's five bits can count.
const MAX_COUNT: usize = 31;
/// Sequence numbers in one NACK: at worst 1036 octets, which fit a datagram with SRTCP's share.
const MAX_NACK: usize = 256;
pub(super) const REMB_IDENTIFIER: [u8; 4] = *b"REMB";

/// A sender report; blocks beyond the 31st follow in receiver reports (RFC 3550 section 6.1).
pub fn sender_report(out: &mut Vec<u8>, ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) {
    let (first, more) = blocks.split_at(blocks.len().min(MAX_COUNT));
    packet(out, first.len() as u8, kind::SENDER_REPORT, |out| {
        put(out, &[ssrc, (info.ntp >> 32) as u32, info.ntp as u32]);
        put(out, &[info.rtp, info.packet_count, info.octet_count]);
        first.iter().for_each(|block| block.write(out));
    });
    if !more.is_empty() {
        receiver_report(out, ssrc, more);
    }
}

/// A receiver report for every 31 blocks, and an empty one for none (RFC 3550 section 6.4.2).
pub fn receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    let (first, more) = blocks.split_at(blocks.len().min(MAX_COUNT));
    packet(out, first.len() as u8, kind::RECEIVER_REPORT, |out| {
        put(out, &[ssrc]);
        first.iter().for_each(|block| block.write(out));
    });
    if !more.is_empty() {
        receiver_report(out, ssrc, more);
    }
}

/// A source description of one chunk with its canonical name (RFC 3550 section 6.5.1), of which
/// the first 255 octets are written.
pub fn sdes_cname(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    const CNAME: u8 = 1;
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    packet(out, 1, kind::SDES, |out| {
        put(out, &[ssrc]);
        out.extend_from_slice(&[CNAME, cname.len() as u8]);
        out.extend_from_slice(cname);
        // At least one null octet ends the list, and it ends on a word.
        let item = 2 + cname.len();
        out.resize(out.len() + (item + 1).next_multiple_of(4) - item, 0);
    });
}

/// Farewell of these sources (RFC 3550 section 6.6).
pub fn bye(out: &mut Vec<u8>, ssrcs: &[u32]) {
    for ssrcs in ssrcs.chunks(MAX_COUNT) {
        packet(out, ssrcs.len() as u8, kind::BYE, |out| put(out, ssrcs));
    }
}

/// Asks for the packets with these sequence numbers again (RFC 4585 section 6.2.1). They are sorted,
/// oldest first; duplicates are told once.
pub fn nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, lost: &[u16]) {
    for lost in lost.chunks(MAX_NACK) {
        packet(out, kind::NACK, kind::TRANSPORT_FEEDBACK, |out| {
            put(out, &[sender_ssrc, media_ssrc]);
            put_pairs(out, lost);
        });
    }
}

/// Packs sequence numbers into pairs of a first one (PID) and the 16 behind it (BLP).
fn put_pairs(out: &mut Vec<u8>, mut lost: &[u16]) {
    while let [pid, rest @ ..] = lost {
        let distance = |sequence: &u16| sequence.wrapping_sub(*pid);
        let within = rest
            .iter()
            .take_while(|sequence| distance(sequence) <= 16)
            .count();
        let (covered, rest) = rest.split_at(within);
        let bits = covered
            .iter()
            .fold(0u32, |bits, sequence| bits | 1 << distance(sequence));
        put(out, &[u32::from(*pid) << 16 | bits >> 1]);
        lost = rest;
    }
}

/// Tells that a picture was lost (RFC 4585 section 6.3.1): asks for a keyframe.
pub fn pli(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
    packet(out, kind::PLI, kind::PAYLOAD_FEEDBACK, |out| {
        put(out, &[sender_ssrc, media_ssrc])
    });
}

/// Commands keyframes (RFC 5104 section 4.3.1), in packets of up to 31 commands.
pub fn fir(out: &mut Vec<u8>, sender_ssrc: u32, entries: &[FirEntry]) {
    for entries in entries.chunks(MAX_COUNT) {
        packet(out, kind::FIR, kind::PAYLOAD_FEEDBACK, |out| {
            put(out, &[sender_ssrc, 0]);
            for entry in entries {
                put(out, &[entry.ssrc, u32::from(entry.sequence) << 24]);
            }
        });
    }
}

/// Bounds the bitrate of these streams (draft-alvestrand-rmcat-remb-03 section 2.2), rounded down
/// to 18 significant bits. Beyond the 255th, streams are left out.
pub fn remb(out: &mut Vec<u8>, sender_ssrc: u32, bitrate_bps: u64, ssrcs: &[u32]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(255)];
    let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(18);
    let mantissa = (bitrate_bps >> exponent) as u32;
    packet(out, kind::APPLICATION, kind::PAYLOAD_FEEDBACK, |out| {
        put(out, &[sender_ssrc, 0, u32::from_be_bytes(REMB_IDENTIFIER)]);
        put(
            out,
            &[(ssrcs.len() as u32) << 24 | exponent << 18 | mantissa],
        );
        put(out, ssrcs);
    });
}

/// Tells a receiver's clock (RFC 3611 section 4.4) as 32.32 fixed point seconds since 1900.
pub fn xr_rrtr(out: &mut Vec<u8>, ssrc: u32, ntp: u64) {
    packet(out, 0, kind::XR, |out| {
        put(
            out,
            &[
                ssrc,
                u32::from(RRTR) << 24 | 2,
                (ntp >> 32) as u32,
                ntp as u32,
            ],
        );
    });
}

/// Answers receivers' reference times (RFC 3611 section 4.5), 31 to a packet.
pub fn xr_dlrr(out: &mut Vec<u8>, ssrc: u32, entries: &[Dlrr]) {
    for entries in entries.chunks(MAX_COUNT) {
        let words = entries.len() as u32 * 3;
        packet(out, 0, kind::XR, |out| {
            put(out, &[ssrc, u32::from(DLRR) << 24 | words]);
            for entry in entries {
                put(out, &[entry.ssrc, entry.lrr, entry.dlrr]);
            }
        });
    }
}

/// Appends a packet: its common header, then the body, which is whole words and at most 65,535 of
/// them; every writer of this folder bounds its list so.
pub(super) fn packet(
    out: &mut Vec<u8>,
    count: u8,
    packet_type: u8,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count, packet_type, 0, 0]);
    body(out);
    let words = (out.len() - start) / 4 - 1;
    out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
}

pub(super) fn put(out: &mut Vec<u8>, words: &[u32]) {
    words
        .iter()
        .for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::super::{ParseError, Rtcp, XrBlock, packets};
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn write(writer: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        writer(&mut out);
        out
    }

    fn only(datagram: &[u8]) -> Rtcp<'_> {
        let all: Result<Vec<_>, ParseError> = packets(datagram).collect();
        let [packet] = all.unwrap()[..] else {
            panic!("not one packet")
        };
        packet
    }

    prop_compose! {
        fn block()(
            ssrc: u32, fraction_lost: u8, cumulative_lost in -(1i32 << 23)..1 << 23,
            highest_sequence: u32, jitter: u32, lsr: u32, dlsr: u32,
        ) -> ReportBlock {
            ReportBlock {
                ssrc, fraction_lost, cumulative_lost, highest_sequence, jitter, lsr, dlsr,
            }
        }
    }

    #[test]
    fn a_nack_packs_neighbours_across_the_wrap() {
        let out = write(|out| nack(out, 1, 2, &[0xfffe, 0xffff, 0, 14, 15, 40]));
        assert_eq!(out[..12], [0x81, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(
            out[12..],
            [0xff, 0xfe, 0x80, 0x03, 0, 15, 0, 0, 0, 40, 0, 0]
        );
    }

    #[test]
    fn a_canonical_name_ends_on_a_word_with_a_null() {
        for len in 0..300 {
            let out = write(|out| sdes_cname(out, 7, &"n".repeat(len)));
            let len = len.min(255);
            assert_eq!(out.len() % 4, 0);
            assert_eq!(out[8..10], [1, len as u8]);
            let tail = &out[10 + len..];
            assert!((1..=4).contains(&tail.len()) && tail.iter().all(|&octet| octet == 0));
            assert!(matches!(only(&out), Rtcp::Sdes));
        }
    }

    #[test]
    fn remb_is_18_bits_and_an_exponent() {
        let out = write(|out| remb(out, 1, 1_000_000, &[0x0102_0304]));
        assert_eq!(out[..4], [0x8f, 206, 0, 5]);
        assert_eq!(&out[12..16], b"REMB");
        assert_eq!(out[16..], [1, 0x0b, 0xd0, 0x90, 1, 2, 3, 4]); // 250000 << 2
    }

    #[test]
    fn an_absurd_remb_saturates() {
        let mut out = write(|out| remb(out, 1, 1, &[]));
        out[17..20].fill(0xff);
        assert!(matches!(only(&out), Rtcp::Remb(remb) if remb.bitrate_bps == u64::MAX));
    }

    #[test]
    fn other_application_feedback_is_unknown() {
        let mut out = write(|out| remb(out, 1, 1, &[]));
        out[12] = b'X';
        assert!(matches!(only(&out), Rtcp::Unknown { packet_type: 206 }));
    }

    #[test]
    fn losses_beyond_24_bits_saturate() {
        let lost = |cumulative_lost| {
            let block = ReportBlock {
                cumulative_lost,
                ..Default::default()
            };
            let out = write(|out| receiver_report(out, 1, &[block]));
            let Rtcp::ReceiverReport(report) = only(&out) else {
                panic!()
            };
            report.reports.iter().next().unwrap().cumulative_lost
        };
        assert_eq!(lost(i32::MAX), (1 << 23) - 1);
        assert_eq!(lost(i32::MIN), -(1 << 23));
        assert_eq!(lost(-1), -1);
    }

    #[test]
    fn empty_requests_write_nothing() {
        let out = write(|out| {
            bye(out, &[]);
            nack(out, 1, 2, &[]);
            fir(out, 1, &[]);
            xr_dlrr(out, 1, &[]);
        });
        assert!(out.is_empty());
    }

    #[test]
    fn a_reference_time_is_read() {
        let out = write(|out| xr_rrtr(out, 9, 0x0123_4567_89ab_cdef));
        let Rtcp::Xr(xr) = only(&out) else { panic!() };
        assert_eq!(xr.ssrc, 9);
        let blocks: Vec<_> = xr.blocks().collect();
        assert!(matches!(
            blocks[..],
            [XrBlock::Rrtr {
                ntp: 0x0123_4567_89ab_cdef
            }]
        ));
    }

    proptest! {
        #[test]
        fn reports_come_back(
            ssrc: u32, ntp: u64, rtp: u32, packet_count: u32, octet_count: u32,
            blocks in vec(block(), 0..70),
        ) {
            let info = SenderInfo { ntp, rtp, packet_count, octet_count };
            let out = write(|out| sender_report(out, ssrc, &info, &blocks));
            let mut read = Vec::new();
            for (index, packet) in packets(&out).enumerate() {
                match packet.unwrap() {
                    Rtcp::SenderReport(report) if index == 0 => {
                        prop_assert_eq!((report.ssrc, report.info), (ssrc, info));
                        read.extend(report.reports.iter());
                    }
                    Rtcp::ReceiverReport(report) if index > 0 => {
                        prop_assert_eq!(report.ssrc, ssrc);
                        read.extend(report.reports.iter());
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(read, blocks);
        }

        #[test]
        fn nacks_come_back(start: u16, steps in vec(1u16..40, 0..600)) {
            let lost: Vec<u16> = steps
                .iter()
                .scan(start, |sequence, step| {
                    *sequence = sequence.wrapping_add(*step);
                    Some(*sequence)
                })
                .collect();
            let out = write(|out| nack(out, 1, 2, &lost));
            let mut read = Vec::new();
            for packet in packets(&out) {
                let Rtcp::Nack(nack) = packet.unwrap() else { panic!() };
                prop_assert_eq!(nack.media_ssrc, 2);
                read.extend(nack.lost());
            }
            prop_assert_eq!(read, lost);
        }

        #[test]
        fn byes_and_commands_come_back(ssrcs in vec(any::<u32>(), 1..31), sequence: u8) {
            let out = write(|out| bye(out, &ssrcs));
            let Rtcp::Bye(read) = only(&out) else { panic!() };
            prop_assert!(read.ssrcs().eq(ssrcs.iter().copied()));
            let entries: Vec<_> =
                ssrcs.iter().map(|&ssrc| FirEntry { ssrc, sequence }).collect();
            let out = write(|out| fir(out, 1, &entries));
            let Rtcp::Fir(read) = only(&out) else { panic!() };
            prop_assert!(read.entries().eq(entries));
        }

        #[test]
        fn rembs_come_back_within_18_bits(bitrate: u64, ssrcs in vec(any::<u32>(), 0..5)) {
            let out = write(|out| remb(out, 1, bitrate, &ssrcs));
            let Rtcp::Remb(read) = only(&out) else { panic!() };
            prop_assert!(read.ssrcs().eq(ssrcs));
            prop_assert!(read.bitrate_bps <= bitrate);
            prop_assert!(bitrate - read.bitrate_bps <= bitrate >> 17);
        }

        #[test]
        fn answers_to_reference_times_come_back(
            ssrc: u32, entries in vec(any::<[u32; 3]>(), 1..31),
        ) {
            let entries: Vec<_> =
                entries.iter().map(|&[ssrc, lrr, dlrr]| Dlrr { ssrc, lrr, dlrr }).collect();
            let out = write(|out| xr_dlrr(out, ssrc, &entries));
            let Rtcp::Xr(xr) = only(&out) else { panic!() };
            prop_assert_eq!(xr.ssrc, ssrc);
            let blocks: Vec<_> = xr.blocks().collect();
            let [XrBlock::Dlrr(read)] = blocks[..] else { panic!() };
            prop_assert!(read.iter().eq(entries));
        }
    }
}
