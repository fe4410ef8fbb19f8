//! RTP (RFC 3550 section 5) and which protocol a datagram of the one socket speaks (RFC 7983).

use super::{ParseError, Reader, extension};

/// Octets of an RTP header without contributing sources and extension.
pub const FIXED_HEADER_LEN: usize = 12;

/// What a datagram is, by its first octets (RFC 7983 section 7, RFC 5761 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A connectivity check (RFC 8489).
    Stun,
    /// A DTLS record: handshake, or data channel.
    Dtls,
    /// Media, protected.
    Rtp,
    /// Reports and feedback, protected.
    Rtcp,
    /// ZRTP, TURN channel data, QUIC or nothing known: not for us.
    Other,
}

/// Tells the protocol of a datagram; an empty or one-octet datagram is [`Class::Other`].
pub fn classify(datagram: &[u8]) -> Class {
    match *datagram {
        [0..=3, _, ..] => Class::Stun,
        [20..=63, _, ..] => Class::Dtls,
        [128..=191, second, ..] if is_rtcp(second) => Class::Rtcp,
        [128..=191, _, ..] => Class::Rtp,
        _ => Class::Other,
    }
}

/// Whether a packet with this second octet is RTCP when both share a port: RTCP types 192 to 223,
/// which as RTP would be payload types 64 to 95 with the marker set (RFC 5761 section 4).
pub fn is_rtcp(second_octet: u8) -> bool {
    (192..=223).contains(&second_octet)
}

/// An RTP packet in the clear, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Marker bit; its meaning is the payload format's.
    pub marker: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the payload's clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Header extension: "defined by profile" and its octets, for [`extension::elements`].
    pub extension: Option<(u16, &'a [u8])>,
    /// Payload, padding removed; empty in a packet that only pads.
    pub payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// Parses a decrypted datagram (RFC 3550 section 5.1, 5.3.1).
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(datagram);
        let first = reader.u8()?;
        let second = reader.u8()?;
        check_version(first)?;
        let sequence = reader.u16()?;
        let timestamp = reader.u32()?;
        let ssrc = reader.u32()?;
        reader.take(contributing_len(first))?;
        let extension = match has_extension(first) {
            true => Some(read_extension(&mut reader)?),
            false => None,
        };
        Ok(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence,
            timestamp,
            ssrc,
            extension,
            payload: without_padding(first, reader.rest())?,
        })
    }
}

/// Octets of the fixed header, the contributing sources and the extension: what SRTP leaves in the
/// clear and authenticates (RFC 3711 section 3.1). Never more than `datagram.len()`.
pub fn header_len(datagram: &[u8]) -> Result<usize, ParseError> {
    let mut reader = Reader::new(datagram);
    let [first, ..] = reader.array::<FIXED_HEADER_LEN>()?;
    check_version(first)?;
    reader.take(contributing_len(first))?;
    if has_extension(first) {
        read_extension(&mut reader)?;
    }
    Ok(datagram.len() - reader.rest().len())
}

/// The fields of an RTP header that a sender chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpHeader {
    /// Marker bit.
    pub marker: bool,
    /// Payload type; its low 7 bits are written.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the payload's clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Appends the header and the given extension elements (id, data) to `out`; without elements
    /// these are 12 octets. The payload is for the caller to append.
    pub fn write<'a>(
        &self,
        out: &mut Vec<u8>,
        elements: impl Iterator<Item = (u8, &'a [u8])> + Clone,
    ) {
        let start = out.len();
        out.extend_from_slice(&self.fixed());
        if extension::write_elements(out, elements) {
            out[start] |= EXTENSION_BIT;
        }
    }

    /// The 12 octets of this header with neither padding, extension nor contributing sources.
    pub fn fixed(&self) -> [u8; FIXED_HEADER_LEN] {
        let mut header = [0; FIXED_HEADER_LEN];
        header[0] = VERSION_2;
        header[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        header
    }
}

const VERSION_2: u8 = 0x80;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;

/// Appends `count` octets of padding to the packet that begins at `start` (RFC 3550 section 5.1).
pub fn pad(out: &mut Vec<u8>, start: usize, count: u8) {
    if count > 0 {
        out[start] |= PADDING_BIT;
        out.resize(out.len() + usize::from(count) - 1, 0);
        out.push(count);
    }
}

fn check_version(first: u8) -> Result<(), ParseError> {
    match first >> 6 {
        2 => Ok(()),
        _ => Err(ParseError::Version),
    }
}

fn has_extension(first: u8) -> bool {
    first & EXTENSION_BIT != 0
}

/// Octets of the contributing sources, whose count is the low nibble.
fn contributing_len(first: u8) -> usize {
    usize::from(first & 0x0f) * 4
}

fn read_extension<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), ParseError> {
    let profile = reader.u16()?;
    let words = usize::from(reader.u16()?);
    Ok((profile, reader.take(words * 4)?))
}

/// RFC 3550 section 5.1: the last octet counts the padding, itself included.
fn without_padding(first: u8, payload: &[u8]) -> Result<&[u8], ParseError> {
    if first & PADDING_BIT == 0 {
        return Ok(payload);
    }
    let padding = payload.last().map_or(0, |&count| usize::from(count));
    match payload.len().checked_sub(padding) {
        Some(len) if padding > 0 => Ok(&payload[..len]),
        _ => Err(ParseError::Malformed("padding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: 96,
        sequence: 0x1234,
        timestamp: 0x1122_3344,
        ssrc: 0xcafe_babe,
    };

    #[test]
    fn parses_every_field_of_a_full_header() {
        let datagram = [
            0xb1, 0xe0, 0x12, 0x34, 0x11, 0x22, 0x33, 0x44, 0xca, 0xfe, 0xba, 0xbe, // fixed
            0, 0, 0, 7, // one contributing source
            0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0, // extension of one word
            b'h', b'i', 0, 0, 3, // payload, three octets of padding
        ];
        let packet = RtpPacket::parse(&datagram).unwrap();
        assert_eq!(
            packet,
            RtpPacket {
                marker: true,
                payload_type: 96,
                sequence: 0x1234,
                timestamp: 0x1122_3344,
                ssrc: 0xcafe_babe,
                extension: Some((0xbede, &[0x10, 0xff, 0, 0])),
                payload: b"hi",
            }
        );
        assert_eq!(header_len(&datagram), Ok(24));
    }

    #[test]
    fn every_cut_of_a_header_is_truncated() {
        let mut datagram = Vec::new();
        HEADER.write(&mut datagram, [(3, &b"mid"[..])].into_iter());
        for len in 0..datagram.len() {
            assert_eq!(
                RtpPacket::parse(&datagram[..len]),
                Err(ParseError::Truncated),
                "{len}"
            );
            assert_eq!(
                header_len(&datagram[..len]),
                Err(ParseError::Truncated),
                "{len}"
            );
        }
        assert_eq!(RtpPacket::parse(&datagram).unwrap().payload, b"");
    }

    #[test]
    fn padding_may_fill_the_payload_but_not_exceed_it() {
        let mut datagram = HEADER.fixed().to_vec();
        datagram[0] |= PADDING_BIT;
        assert_eq!(
            RtpPacket::parse(&datagram),
            Err(ParseError::Malformed("padding"))
        );
        datagram.push(0);
        assert_eq!(
            RtpPacket::parse(&datagram),
            Err(ParseError::Malformed("padding"))
        );
        datagram[12] = 1;
        assert_eq!(RtpPacket::parse(&datagram).unwrap().payload, b"");
        datagram[12] = 2;
        assert_eq!(
            RtpPacket::parse(&datagram),
            Err(ParseError::Malformed("padding"))
        );
    }

    #[test]
    fn another_version_is_refused() {
        let mut datagram = HEADER.fixed();
        datagram[0] = 0x40;
        assert_eq!(RtpPacket::parse(&datagram), Err(ParseError::Version));
        assert_eq!(header_len(&datagram), Err(ParseError::Version));
    }

    #[test]
    fn datagrams_are_told_apart_by_rfc_7983() {
        let class = |first, second| classify(&[first, second]);
        assert_eq!(class(0, 1), Class::Stun);
        assert_eq!(class(1, 1), Class::Stun);
        assert_eq!(class(4, 0), Class::Other);
        assert_eq!(class(16, 0), Class::Other); // ZRTP
        assert_eq!(class(20, 254), Class::Dtls);
        assert_eq!(class(63, 254), Class::Dtls);
        assert_eq!(class(64, 0), Class::Other); // TURN channel
        assert_eq!(class(0x80, 96), Class::Rtp);
        assert_eq!(class(0x80, 0x80 | 96), Class::Rtp);
        assert_eq!(class(0x80, 0x80 | 63), Class::Rtp); // RED at 63, marked
        assert_eq!(class(0x80, 200), Class::Rtcp);
        assert_eq!(class(0x8f, 206), Class::Rtcp);
        assert_eq!(class(192, 200), Class::Other);
        assert_eq!(classify(&[]), Class::Other);
        assert_eq!(classify(&[0x80]), Class::Other);
    }

    proptest! {
        #[test]
        fn never_panics_and_agrees_on_the_header(datagram: Vec<u8>) {
            classify(&datagram);
            if let Ok(packet) = RtpPacket::parse(&datagram) {
                let header = header_len(&datagram).unwrap();
                prop_assert!(header + packet.payload.len() <= datagram.len());
            }
        }

        #[test]
        fn what_is_written_is_parsed(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            element in proptest::collection::vec(any::<u8>(), 1..20), payload: Vec<u8>,
        ) {
            let header = RtpHeader { marker, payload_type, sequence, timestamp, ssrc };
            let mut datagram = Vec::new();
            header.write(&mut datagram, [(5, element.as_slice())].into_iter());
            prop_assert_eq!(header_len(&datagram), Ok(datagram.len()));
            datagram.extend_from_slice(&payload);
            let packet = RtpPacket::parse(&datagram).unwrap();
            let (profile, bytes) = packet.extension.unwrap();
            prop_assert!(extension::elements(profile, bytes).eq([(5, element.as_slice())]));
            let read = RtpHeader {
                marker: packet.marker,
                payload_type: packet.payload_type,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                ssrc: packet.ssrc,
            };
            prop_assert_eq!(read, header);
            prop_assert_eq!(packet.payload, payload.as_slice());
        }
    }
}
