//! Invariant: walking a compound packet and everything in it ends, within a bound that the datagram's
//! length sets; transport-wide feedback tells exactly as many statuses as it announces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::packet::rtcp::{Rtcp, XrBlock, packets};

fuzz_target!(|datagram: &[u8]| {
    let mut walked = 0;
    for packet in packets(datagram) {
        walked += 1 + packet.map_or(0, |packet| items(&packet));
    }
    // The densest item is a run of lost packets: two octets tell 8191.
    assert!(walked <= 8191 * datagram.len());
});

fn items(packet: &Rtcp<'_>) -> usize {
    match packet {
        Rtcp::SenderReport(report) => report.reports.iter().count(),
        Rtcp::ReceiverReport(report) => report.reports.iter().count(),
        Rtcp::Bye(bye) => bye.ssrcs().count(),
        Rtcp::Nack(nack) => nack.lost().count(),
        Rtcp::Fir(fir) => fir.entries().count(),
        Rtcp::Remb(remb) => remb.ssrcs().count(),
        Rtcp::TransportFeedback(feedback) => {
            let told = feedback.arrivals().count();
            assert_eq!(told, usize::from(feedback.status_count));
            told
        }
        Rtcp::Xr(xr) => xr.blocks().map(block_items).sum(),
        Rtcp::Sdes | Rtcp::Pli { .. } | Rtcp::Unknown { .. } => 0,
    }
}

fn block_items(block: XrBlock<'_>) -> usize {
    match block {
        XrBlock::Dlrr(entries) => 1 + entries.iter().count(),
        _ => 1,
    }
}
