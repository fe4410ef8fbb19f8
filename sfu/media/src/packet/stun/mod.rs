//! STUN binding (RFC 8489) as ICE uses it for connectivity checks (RFC 8445 section 7): what an
//! ICE-lite server reads and answers, and what a client writes.
//!
//! An agent acts only on a message whose [`Message::verify`] holds: parsing tells what a datagram
//! claims, not who sent it.

mod write;

pub use write::{write_request, write_success};

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

use super::{ParseError, Reader};

/// Octets of a transaction id.
pub const TRANSACTION_ID_LEN: usize = 12;

/// Picks a response's request; random, 96 bits.
pub type TransactionId = [u8; TRANSACTION_ID_LEN];

/// What a binding message is (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks for an answer.
    Request,
    /// A keepalive: to be ignored.
    Indication,
    /// Answers a request.
    Success,
    /// Refuses a request.
    Error,
}

/// A binding message, borrowed from its datagram; FINGERPRINT was right if it was there.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Request, response or indication.
    pub class: Class,
    /// Ties a response to its request.
    pub transaction_id: TransactionId,
    /// USERNAME (RFC 8489 section 14.3).
    pub username: Option<&'a [u8]>,
    /// PRIORITY (RFC 8445 section 7.1.1); some clients omit it.
    pub priority: Option<u32>,
    /// The tie-breaker of ICE-CONTROLLING, which a client of a lite server sends (RFC 8445 section 7.3.1.1).
    pub controlling: Option<u64>,
    /// USE-CANDIDATE: the client nominates this pair (RFC 8445 section 7.3.1.5).
    pub use_candidate: bool,
    /// XOR-MAPPED-ADDRESS of a success response (RFC 8489 section 14.2).
    pub mapped: Option<SocketAddr>,
    integrity: Option<Integrity<'a>>,
}

/// MESSAGE-INTEGRITY (RFC 8489 section 14.5) and what it covers.
#[derive(Clone, Copy, Debug)]
struct Integrity<'a> {
    /// From the header up to the attribute.
    covered: &'a [u8],
    tag: &'a [u8],
}

const HEADER_LEN: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_a442;
/// RFC 8489 section 14.7
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const INTEGRITY_LEN: usize = 20;
mod attribute {
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(super) const PRIORITY: u16 = 0x0024;
    pub(super) const USE_CANDIDATE: u16 = 0x0025;
    pub(super) const FINGERPRINT: u16 = 0x8028;
    pub(super) const ICE_CONTROLLING: u16 = 0x802a;
}

impl<'a> Message<'a> {
    /// Parses a datagram that is one binding message.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(datagram);
        let class = class(reader.u16()?)?;
        let len = usize::from(reader.u16()?);
        if reader.u32()? != MAGIC_COOKIE {
            return Err(ParseError::Version);
        }
        let mut message = Self {
            class,
            transaction_id: reader.array()?,
            username: None,
            priority: None,
            controlling: None,
            use_candidate: false,
            mapped: None,
            integrity: None,
        };
        if len % 4 != 0 || len != reader.rest().len() {
            return Err(ParseError::Malformed("length"));
        }
        while !reader.is_empty() {
            message.read_attribute(datagram, &mut reader)?;
        }
        Ok(message)
    }

    fn read_attribute(
        &mut self,
        datagram: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Result<(), ParseError> {
        let before = &datagram[..datagram.len() - reader.rest().len()];
        let kind = reader.u16()?;
        let len = usize::from(reader.u16()?);
        let value = reader.take(len)?;
        // Attributes end on a word; what fills it up is not looked at (RFC 8489 section 14).
        reader.take(len.next_multiple_of(4) - len)?;
        match kind {
            attribute::FINGERPRINT => return check_fingerprint(before, value, reader),
            // Nothing vouches for what follows the integrity (RFC 8489 section 14.5).
            _ if self.integrity.is_some() => {}
            attribute::USERNAME => self.username = Some(value),
            attribute::PRIORITY => self.priority = Some(Reader::new(value).u32()?),
            attribute::ICE_CONTROLLING => self.controlling = Some(Reader::new(value).u64()?),
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::XOR_MAPPED_ADDRESS => {
                self.mapped = Some(read_address(value, &self.transaction_id)?);
            }
            attribute::MESSAGE_INTEGRITY => {
                self.integrity = Some(Integrity {
                    covered: before,
                    tag: value,
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The two halves of USERNAME: the fragment of the one who is asked, that of the one who asks
    /// (RFC 8445 section 7.2.2). A server finds its own in the first.
    pub fn username_fragments(&self) -> Option<(&'a str, &'a str)> {
        str::from_utf8(self.username?).ok()?.split_once(':')
    }

    /// Whether MESSAGE-INTEGRITY is there and made with this password, compared in constant time:
    /// for a request the password of the one who is asked (RFC 8445 section 7.2.2).
    pub fn verify(&self, password: &[u8]) -> bool {
        self.integrity.is_some_and(|Integrity { covered, tag }| {
            let expected = integrity(covered, password);
            constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok()
        })
    }
}

/// The class of a binding message: its bits lie between those of the method (RFC 8489 section 5).
fn class(message_type: u16) -> Result<Class, ParseError> {
    match message_type {
        0x0001 => Ok(Class::Request),
        0x0011 => Ok(Class::Indication),
        0x0101 => Ok(Class::Success),
        0x0111 => Ok(Class::Error),
        _ => Err(ParseError::Malformed("method")),
    }
}

/// FINGERPRINT is the last attribute and covers all before it (RFC 8489 section 14.7).
fn check_fingerprint(before: &[u8], value: &[u8], after: &Reader<'_>) -> Result<(), ParseError> {
    match after.is_empty() && value == fingerprint(before) {
        true => Ok(()),
        false => Err(ParseError::Malformed("fingerprint")),
    }
}

fn fingerprint(covered: &[u8]) -> [u8; 4] {
    (crc32fast::hash(covered) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// The HMAC-SHA1 over a message up to MESSAGE-INTEGRITY, with the header's length as if that
/// attribute ended the message (RFC 8489 section 14.5).
///
/// `covered` begins with a whole header: 20 octets were read or written before any attribute.
fn integrity(covered: &[u8], password: &[u8]) -> hmac::Tag {
    let len = (covered.len() - HEADER_LEN + 4 + INTEGRITY_LEN) as u16;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password);
    let mut context = hmac::Context::with_key(&key);
    context.update(&covered[..2]);
    context.update(&len.to_be_bytes());
    context.update(&covered[4..]);
    context.sign()
}

/// What addresses are masked with, lest middleboxes rewrite them (RFC 8489 section 14.2): the
/// cookie, then the transaction id.
fn mask(transaction_id: &TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(transaction_id);
    mask
}

const IPV4: u8 = 1;
const IPV6: u8 = 2;
const PORT_MASK: u16 = (MAGIC_COOKIE >> 16) as u16;

fn read_address(value: &[u8], transaction_id: &TransactionId) -> Result<SocketAddr, ParseError> {
    let mut reader = Reader::new(value);
    let _reserved = reader.u8()?;
    let family = reader.u8()?;
    let port = reader.u16()? ^ PORT_MASK;
    let ip = match family {
        IPV4 => IpAddr::from(unmask(reader.array::<4>()?, transaction_id)),
        IPV6 => IpAddr::from(unmask(reader.array::<16>()?, transaction_id)),
        _ => return Err(ParseError::Malformed("address family")),
    };
    Ok(SocketAddr::new(ip, port))
}

/// Masks or unmasks up to 16 octets.
fn unmask<const N: usize>(mut octets: [u8; N], transaction_id: &TransactionId) -> [u8; N] {
    octets
        .iter_mut()
        .zip(mask(transaction_id))
        .for_each(|(octet, mask)| *octet ^= mask);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The transaction id and password of RFC 5769 section 2.
    pub(super) const ID: TransactionId = [183, 231, 167, 1, 188, 52, 214, 134, 250, 135, 223, 174];
    pub(super) const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

    const RFC_5769_REQUEST: &str = "
        00010058 2112a442 b7e7a701bc34d686fa87dfae
        80220010 5354554e207465737420636c69656e74
        00240004 6e0001ff
        80290008 932ff9b151263b36
        00060009 6576746a3a68367659202020
        00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
        80280004 e57a3bcf";
    pub(super) const RFC_5769_IPV4_RESPONSE: &str = "
        0101003c 2112a442 b7e7a701bc34d686fa87dfae
        8022000b 7465737420766563746f7220
        00200008 0001a147e112a643
        00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
        80280004 c07d4c96";
    pub(super) const RFC_5769_IPV6_RESPONSE: &str = "
        01010048 2112a442 b7e7a701bc34d686fa87dfae
        8022000b 7465737420766563746f7220
        00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
        00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
        80280004 c8fb0b4c";

    pub(super) fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .flat_map(|c| c.to_digit(16))
            .map(|d| d as u8)
            .collect();
        digits
            .as_chunks()
            .0
            .iter()
            .map(|[high, low]| high << 4 | low)
            .collect()
    }

    /// Sets the header's length to what is there.
    fn fix_length(datagram: &mut [u8]) {
        let len = (datagram.len() - HEADER_LEN) as u16;
        datagram[2..4].copy_from_slice(&len.to_be_bytes());
    }

    #[test]
    fn rfc_5769_sample_request() {
        let datagram = hex(RFC_5769_REQUEST);
        let message = Message::parse(&datagram).unwrap();
        assert_eq!(message.class, Class::Request);
        assert_eq!(message.transaction_id, ID);
        assert_eq!(message.username_fragments(), Some(("evtj", "h6vY")));
        assert_eq!(message.priority, Some(0x6e00_01ff));
        assert_eq!(message.controlling, None);
        assert!(!message.use_candidate);
        assert!(message.verify(PASSWORD));
        assert!(!message.verify(b"another"));
    }

    #[test]
    fn rfc_5769_sample_responses() {
        for (response, mapped) in [
            (RFC_5769_IPV4_RESPONSE, "192.0.2.1:32853"),
            (
                RFC_5769_IPV6_RESPONSE,
                "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
            ),
        ] {
            let datagram = hex(response);
            let message = Message::parse(&datagram).unwrap();
            assert_eq!(message.class, Class::Success);
            assert_eq!(message.mapped, Some(mapped.parse().unwrap()));
            assert!(message.verify(PASSWORD));
        }
    }

    #[test]
    fn no_integrity_verifies_nothing() {
        let mut datagram = hex(RFC_5769_REQUEST);
        datagram.truncate(datagram.len() - 32);
        fix_length(&mut datagram);
        assert!(!Message::parse(&datagram).unwrap().verify(PASSWORD));
    }

    #[test]
    fn what_follows_the_integrity_is_not_believed() {
        let mut datagram = Vec::new();
        write_request(&mut datagram, &ID, "a:b", PASSWORD, false);
        datagram.truncate(datagram.len() - 8);
        datagram.extend_from_slice(&hex("00250000 00060004 613a6363"));
        fix_length(&mut datagram);
        let message = Message::parse(&datagram).unwrap();
        assert!(message.verify(PASSWORD));
        assert!(!message.use_candidate);
        assert_eq!(message.username, Some(&b"a:b"[..]));
    }

    #[test]
    fn a_fingerprint_must_be_right_and_last() {
        let error = Err(ParseError::Malformed("fingerprint"));
        let mut datagram = hex(RFC_5769_REQUEST);
        *datagram.last_mut().unwrap() ^= 1;
        assert_eq!(Message::parse(&datagram).map(|_| ()), error);
        let mut datagram = hex(RFC_5769_REQUEST);
        datagram.extend_from_slice(&hex("00250000"));
        fix_length(&mut datagram);
        let right = fingerprint(&datagram[..100]);
        datagram[104..108].copy_from_slice(&right);
        assert_eq!(Message::parse(&datagram).map(|_| ()), error);
    }

    #[test]
    fn frames_of_other_shapes_are_refused() {
        let parse = |at: usize, octet: u8| {
            let mut datagram = hex(RFC_5769_REQUEST);
            datagram[at] = octet;
            Message::parse(&datagram).map(|_| ()).unwrap_err()
        };
        assert_eq!(parse(1, 3), ParseError::Malformed("method"));
        assert_eq!(parse(3, 0x54), ParseError::Malformed("length"));
        assert_eq!(parse(3, 0x5c), ParseError::Malformed("length"));
        assert_eq!(parse(4, 0), ParseError::Version);
        assert_eq!(parse(23, 0xff), ParseError::Truncated);
        let datagram = hex(RFC_5769_REQUEST);
        for len in 0..datagram.len() {
            assert!(Message::parse(&datagram[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_user_name_without_colon_or_utf_8_has_no_fragments() {
        for name in ["abc", ""] {
            let mut out = Vec::new();
            write_request(&mut out, &ID, name, PASSWORD, false);
            assert_eq!(Message::parse(&out).unwrap().username_fragments(), None);
        }
        let mut datagram = hex("0001000c 2112a442 b7e7a701bc34d686fa87dfae 00060004 ff3aff00");
        fix_length(&mut datagram);
        assert_eq!(
            Message::parse(&datagram).unwrap().username_fragments(),
            None
        );
    }

    proptest! {
        #[test]
        fn never_panics(tail: Vec<u8>, datagram: Vec<u8>) {
            let _ = Message::parse(&datagram);
            let mut datagram = hex(RFC_5769_REQUEST)[..HEADER_LEN].to_vec();
            datagram.extend_from_slice(&tail[..tail.len() / 4 * 4]);
            fix_length(&mut datagram);
            if let Ok(message) = Message::parse(&datagram) {
                message.username_fragments();
                prop_assert!(!message.verify(PASSWORD));
            }
        }

        #[test]
        fn one_flipped_bit_is_noticed(at in 0usize..100 * 8) {
            let mut datagram = hex(RFC_5769_REQUEST);
            datagram[at / 8] ^= 1 << (at % 8);
            prop_assert!(!Message::parse(&datagram).is_ok_and(|message| message.verify(PASSWORD)));
        }
    }
}
