//! Invariant: whatever parses as RTP has a header and a payload that lie within the datagram, the one
//! before the other, and its fields written again parse to the same packet.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::packet::extension::elements;
use tongbu_media::packet::rtp::{RtpHeader, RtpPacket, classify, header_len};

fuzz_target!(|datagram: &[u8]| {
    classify(datagram);
    let Ok(packet) = RtpPacket::parse(datagram) else {
        return;
    };
    let header = header_len(datagram).expect("what parses has a header");
    assert!(header + packet.payload.len() <= datagram.len());

    let mut again = Vec::new();
    let elements = packet
        .extension
        .map(|(profile, bytes)| elements(profile, bytes));
    written(&packet).write(&mut again, elements.into_iter().flatten());
    again.extend_from_slice(packet.payload);
    let again = RtpPacket::parse(&again).expect("what is written parses");
    assert_eq!(written(&again), written(&packet));
    assert_eq!(again.payload, packet.payload);
});

fn written(packet: &RtpPacket<'_>) -> RtpHeader {
    RtpHeader {
        marker: packet.marker,
        payload_type: packet.payload_type,
        sequence: packet.sequence,
        timestamp: packet.timestamp,
        ssrc: packet.ssrc,
    }
}
