//! The header of a viewer's packets, written once and filled in for each.

use super::rtp_sink::RtpSinkConfig;
use crate::packet::extension::Kind;
use crate::packet::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// What all packets of a stream tell of themselves for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The section they belong to.
    pub mid: bool,
    /// How long pictures should wait at the viewer.
    pub playout_delay: Option<[u8; 3]>,
}

/// The extension elements of our own: the transport-wide sequence number, the MID, and the
/// playout delay.
pub(super) fn own_elements<'a>(
    config: &'a RtpSinkConfig,
    told: &'a Told,
    transport: &'a [u8; 2],
) -> impl Iterator<Item = (u8, &'a [u8])> + Clone {
    let map = &config.extensions;
    let transport = map.id(Kind::TransportCc).map(|id| (id, &transport[..]));
    let mid = map.id(Kind::Mid).filter(|_| told.mid);
    let mid = mid.map(|id| (id, config.mid.as_bytes()));
    let delay = told.playout_delay.as_ref();
    let delay = map.id(Kind::PlayoutDelay).zip(delay.map(|d| &d[..]));
    transport.into_iter().chain(mid).chain(delay)
}

/// The header that all packets of a stream share, written once.
pub(super) struct Template {
    bytes: Vec<u8>,
    /// Where the transport-wide sequence number stands, if it was negotiated.
    transport_at: Option<usize>,
}

impl Template {
    pub(super) fn new(config: &RtpSinkConfig, told: &Told) -> Self {
        let header = RtpHeader {
            marker: false,
            payload_type: config.payload_type,
            sequence: 0,
            timestamp: 0,
            ssrc: config.ssrc,
        };
        let mut bytes = Vec::new();
        header.write(&mut bytes, own_elements(config, told, &[0; 2]));
        // It is the first element of the block, after its head of one byte or of two.
        let one_byte = bytes.get(FIXED_HEADER_LEN) == Some(&0xbe);
        let first = FIXED_HEADER_LEN + 4 + if one_byte { 1 } else { 2 };
        let transport_at = config.extensions.id(Kind::TransportCc).map(|_| first);
        Self {
            bytes,
            transport_at,
        }
    }

    /// Whether packets carry a transport-wide sequence number.
    pub(super) fn is_numbered(&self) -> bool {
        self.transport_at.is_some()
    }

    /// The header at the arena's end.
    #[inline]
    pub(super) fn write(&self, arena: &mut Vec<u8>, header: &RtpHeader, transport: u16) {
        let start = arena.len();
        arena.extend_from_slice(&self.bytes);
        let packet = &mut arena[start..];
        packet[1..12].copy_from_slice(&header.fixed()[1..]);
        if let Some(at) = self.transport_at {
            packet[at..at + 2].copy_from_slice(&transport.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::packet::extension::ExtensionMap;
    use crate::packet::rtp::RtpPacket;

    const TRANSPORT_CC: &str =
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: 96,
        sequence: 0x1234,
        timestamp: 0x5678_9abc,
        ssrc: 42,
    };

    fn config(extensions: &[(u8, &str)], mid: &str) -> RtpSinkConfig {
        RtpSinkConfig {
            mid: mid.into(),
            codec: Codec::H264,
            payload_type: 96,
            rtx: None,
            flexfec: None,
            red_payload_type: None,
            clock_rate: 90_000,
            ssrc: 42,
            cname: "lesson".into(),
            extensions: ExtensionMap::from_pairs(extensions),
            start: (0, 0),
        }
    }

    /// The template's header is the one that the general way writes.
    fn compare(config: &RtpSinkConfig, told: &Told) {
        let mut expected = Vec::new();
        HEADER.write(
            &mut expected,
            own_elements(config, told, &0xabcd_u16.to_be_bytes()),
        );
        let mut written = Vec::new();
        Template::new(config, told).write(&mut written, &HEADER, 0xabcd);
        assert_eq!(written, expected);
    }

    #[test]
    fn is_what_the_general_writer_writes() {
        let long = "a-media-id-of-more-than-sixteen-octets";
        for extensions in [
            &[][..],
            &[(3, TRANSPORT_CC)],
            &[(1, MID)],
            &[(1, MID), (3, TRANSPORT_CC)],
            &[(40, TRANSPORT_CC)],
            &[(3, TRANSPORT_CC), (6, Kind::PlayoutDelay.uri())],
        ] {
            for (mid, with_mid) in [("0", true), ("0", false), (long, true)] {
                let told = Told {
                    mid: with_mid,
                    playout_delay: with_mid.then_some([1, 2, 3]),
                };
                compare(&config(extensions, mid), &told);
            }
        }
    }

    #[test]
    fn carries_the_transport_number() {
        let config = config(&[(1, MID), (3, TRANSPORT_CC)], "0");
        let mut written = Vec::new();
        let told = Told {
            mid: true,
            playout_delay: None,
        };
        Template::new(&config, &told).write(&mut written, &HEADER, 7);
        let packet = RtpPacket::parse(&written).expect("a packet");
        let mut elements = config.extensions.read(packet.extension);
        assert_eq!(elements.next(), Some((Kind::TransportCc, &[0, 7][..])));
        assert_eq!(elements.next(), Some((Kind::Mid, &b"0"[..])));
    }
}
