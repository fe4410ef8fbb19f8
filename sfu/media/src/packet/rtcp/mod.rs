//! RTCP: compound packets in the clear (RFC 3550 section 6) and the feedback of RFC 4585, RFC 5104,
//! REMB, transport-wide congestion control and RFC 3611.
//!
//! Reading borrows, and every iterator is bounded by the octets it walks. Writers append one packet
//! each to a `Vec<u8>`; a compound packet is a few of them in a row, a report first (RFC 3550
//! section 6.1) unless reduced size was negotiated (RFC 5506).

mod feedback;
mod report;
mod twcc;
mod write;
mod xr;

pub use feedback::{Fir, FirEntry, Nack, Remb};
pub use report::{Bye, ReceiverReport, ReportBlock, ReportBlocks, SenderInfo, SenderReport};
pub use twcc::{TransportFeedback, transport_feedback};
pub use write::{
    bye, fir, nack, pli, receiver_report, remb, sdes_cname, sender_report, xr_dlrr, xr_rrtr,
};
pub use xr::{Dlrr, DlrrEntries, Xr, XrBlock};

use super::{ParseError, Reader};

/// RTCP packet types and the formats within them.
mod kind {
    pub(super) const SENDER_REPORT: u8 = 200;
    pub(super) const RECEIVER_REPORT: u8 = 201;
    pub(super) const SDES: u8 = 202;
    pub(super) const BYE: u8 = 203;
    pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
    pub(super) const XR: u8 = 207;

    /// Formats of transport feedback (RFC 4585 section 6.2, holmer-01 section 3.1).
    pub(super) const NACK: u8 = 1;
    pub(super) const TWCC: u8 = 15;
    /// Formats of payload-specific feedback (RFC 4585 section 6.3, RFC 5104 section 4.3.1).
    pub(super) const PLI: u8 = 1;
    pub(super) const FIR: u8 = 4;
    pub(super) const APPLICATION: u8 = 15;
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum Rtcp<'a> {
    /// RFC 3550 section 6.4.1
    SenderReport(SenderReport<'a>),
    /// RFC 3550 section 6.4.2
    ReceiverReport(ReceiverReport<'a>),
    /// RFC 3550 section 6.5; its chunks are not looked into.
    Sdes,
    /// RFC 3550 section 6.6
    Bye(Bye<'a>),
    /// RFC 4585 section 6.2.1
    Nack(Nack<'a>),
    /// RFC 4585 section 6.3.1: a decoder of `media_ssrc` lost a picture.
    Pli {
        /// The stream whose keyframe is asked for.
        media_ssrc: u32,
    },
    /// RFC 5104 section 4.3.1
    Fir(Fir<'a>),
    /// draft-alvestrand-rmcat-remb-03 section 2.2
    Remb(Remb<'a>),
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1
    TransportFeedback(TransportFeedback<'a>),
    /// RFC 3611
    Xr(Xr<'a>),
    /// A type or format that the plane has no use for.
    Unknown {
        /// RTCP packet type.
        packet_type: u8,
    },
}

/// Iterates over a decrypted compound packet.
///
/// A packet whose content is wrong is an error and the iteration goes on behind it; one whose frame
/// (version, length, padding) is wrong is an error and the last item.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets {
        reader: Reader::new(datagram),
    }
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Rtcp<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        match Frame::read(&mut self.reader) {
            Ok(frame) => Some(frame.parse()),
            Err(error) => {
                self.reader = Reader::new(&[]);
                Some(Err(error))
            }
        }
    }
}

/// A packet by its common header (RFC 3550 section 6.4.1), padding removed from the body.
struct Frame<'a> {
    /// Count of reports or sources, or feedback format: the header's low five bits.
    count: u8,
    packet_type: u8,
    body: Reader<'a>,
}

impl<'a> Frame<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let first = reader.u8()?;
        if first >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let packet_type = reader.u8()?;
        let words = usize::from(reader.u16()?);
        let body = reader.take(words * 4)?;
        let padded = first & 0x20 != 0;
        let body = if padded { without_padding(body)? } else { body };
        Ok(Self {
            count: first & 0x1f,
            packet_type,
            body: Reader::new(body),
        })
    }

    fn parse(self) -> Result<Rtcp<'a>, ParseError> {
        let Self {
            count,
            packet_type,
            body,
        } = self;
        match (packet_type, count) {
            (kind::SENDER_REPORT, _) => SenderReport::read(count, body).map(Rtcp::SenderReport),
            (kind::RECEIVER_REPORT, _) => {
                ReceiverReport::read(count, body).map(Rtcp::ReceiverReport)
            }
            (kind::SDES, _) => Ok(Rtcp::Sdes),
            (kind::BYE, _) => Bye::read(count, body).map(Rtcp::Bye),
            (kind::TRANSPORT_FEEDBACK, kind::NACK) => Nack::read(body).map(Rtcp::Nack),
            (kind::TRANSPORT_FEEDBACK, kind::TWCC) => {
                TransportFeedback::read(body).map(Rtcp::TransportFeedback)
            }
            (kind::PAYLOAD_FEEDBACK, kind::PLI) => feedback::read_pli(body),
            (kind::PAYLOAD_FEEDBACK, kind::FIR) => Fir::read(body).map(Rtcp::Fir),
            (kind::PAYLOAD_FEEDBACK, kind::APPLICATION) => feedback::read_application(body),
            (kind::XR, _) => Xr::read(body).map(Rtcp::Xr),
            _ => Ok(Rtcp::Unknown { packet_type }),
        }
    }
}

/// RFC 3550 section 6.4.1: the last octet counts the padding, itself included.
fn without_padding(body: &[u8]) -> Result<&[u8], ParseError> {
    let padding = body.last().map_or(0, |&count| usize::from(count));
    match body.len().checked_sub(padding) {
        Some(len) if padding > 0 => Ok(&body[..len]),
        _ => Err(ParseError::Malformed("padding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Walks everything that can be walked, and returns how many items that were.
    fn walk(datagram: &[u8]) -> usize {
        packets(datagram)
            .map(|packet| 1 + packet.map_or(0, |packet| items(&packet)))
            .sum()
    }

    fn items(packet: &Rtcp<'_>) -> usize {
        match packet {
            Rtcp::SenderReport(report) => report.reports.iter().count(),
            Rtcp::ReceiverReport(report) => report.reports.iter().count(),
            Rtcp::Bye(bye) => bye.ssrcs().count(),
            Rtcp::Nack(nack) => nack.lost().count(),
            Rtcp::Fir(fir) => fir.entries().count(),
            Rtcp::Remb(remb) => remb.ssrcs().count(),
            Rtcp::TransportFeedback(feedback) => feedback.arrivals().count(),
            Rtcp::Xr(xr) => xr.blocks().map(|block| 1 + block_items(block)).sum(),
            Rtcp::Sdes | Rtcp::Pli { .. } | Rtcp::Unknown { .. } => 0,
        }
    }

    fn block_items(block: XrBlock<'_>) -> usize {
        match block {
            XrBlock::Dlrr(entries) => entries.iter().count(),
            _ => 0,
        }
    }

    #[test]
    fn a_compound_is_walked_in_order() {
        let mut out = Vec::new();
        receiver_report(&mut out, 1, &[]);
        sdes_cname(&mut out, 1, "tongbu");
        pli(&mut out, 1, 2);
        let kinds: Vec<_> = packets(&out).map(Result::unwrap).collect();
        assert!(matches!(
            kinds[..],
            [
                Rtcp::ReceiverReport(_),
                Rtcp::Sdes,
                Rtcp::Pli { media_ssrc: 2 }
            ]
        ));
    }

    #[test]
    fn wrong_content_is_passed_over_and_a_wrong_frame_ends_the_walk() {
        let mut out = vec![0x81, 201, 0, 1, 0, 0, 0, 1]; // one block announced, none there
        pli(&mut out, 1, 2);
        out.extend_from_slice(&[0x80, 206, 0, 9]);
        pli(&mut out, 1, 3);
        let mut walk = packets(&out);
        assert!(matches!(walk.next(), Some(Err(ParseError::Truncated))));
        assert!(matches!(walk.next(), Some(Ok(Rtcp::Pli { media_ssrc: 2 }))));
        assert!(matches!(walk.next(), Some(Err(ParseError::Truncated))));
        assert!(walk.next().is_none());
    }

    #[test]
    fn padding_is_removed_and_checked() {
        let padded = |count| [0xa0, 203, 0, 1, 0, 0, 0, count];
        for count in [1, 4] {
            assert!(matches!(
                packets(&padded(count)).next(),
                Some(Ok(Rtcp::Bye(_)))
            ));
        }
        for count in [0, 5] {
            let error = ParseError::Malformed("padding");
            assert_eq!(packets(&padded(count)).next().unwrap().unwrap_err(), error);
        }
    }

    #[test]
    fn another_version_is_refused() {
        let mut walk = packets(&[0x40, 201, 0, 1, 0, 0, 0, 1]);
        assert!(matches!(walk.next(), Some(Err(ParseError::Version))));
        assert!(walk.next().is_none());
    }

    #[test]
    fn unknown_types_and_formats_are_named_not_refused() {
        for (first, packet_type) in [(0x80, 204), (0x9f, 205), (0x9e, 206)] {
            let datagram = [first, packet_type, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
            let packet = packets(&datagram).next().unwrap().unwrap();
            assert!(matches!(packet, Rtcp::Unknown { packet_type: t } if t == packet_type));
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_is_bounded(datagram: Vec<u8>) {
            prop_assert!(walk(&datagram) <= MOST_PER_OCTET * datagram.len());
        }

        /// Random octets rarely frame a packet; this gives them a right header.
        #[test]
        fn never_panics_on_a_framed_body(
            count in 0u8..32, packet_type in 200u8..208,
            body in proptest::collection::vec(any::<[u8; 4]>(), 0..40),
        ) {
            let mut datagram = vec![0x80 | count, packet_type, 0, body.len() as u8];
            datagram.extend(body.iter().flatten());
            prop_assert!(walk(&datagram) <= MOST_PER_OCTET * datagram.len());
        }
    }

    /// The densest item is a run of lost packets in transport feedback: two octets tell 8191.
    const MOST_PER_OCTET: usize = 8191;
}
