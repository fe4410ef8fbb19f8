//! Writes binding requests and success responses.

use std::net::{IpAddr, SocketAddr};

use super::{
    HEADER_LEN, IPV4, IPV6, MAGIC_COOKIE, PORT_MASK, TransactionId, attribute, fingerprint,
    integrity, unmask,
};

/// A message's longest USERNAME (RFC 8489 section 14.3 asks for less than 509 octets).
const MAX_USERNAME: usize = 508;

/// Appends a success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT; the
/// password is that of the request.
pub fn write_success(
    out: &mut Vec<u8>,
    transaction_id: &TransactionId,
    mapped: SocketAddr,
    password: &[u8],
) {
    let mut writer = Writer::new(out, 0x0101, transaction_id);
    let mut address = [0; 20];
    let len = mask_address(&mut address, mapped, transaction_id);
    writer.attribute(attribute::XOR_MAPPED_ADDRESS, &address[..len]);
    writer.finish(password);
}

/// Appends a connectivity check as a controlling agent sends it to a lite one: `username` is
/// `theirs:ours`, the password theirs. Of a longer user name 508 octets are written.
pub fn write_request(
    out: &mut Vec<u8>,
    transaction_id: &TransactionId,
    username: &str,
    password: &[u8],
    use_candidate: bool,
) {
    /// A host candidate of component 1 and the highest local preference (RFC 8445 section 5.1.2.1),
    /// with the type preference of peer reflexive ones, as section 7.1.1 asks.
    const PRIORITY: u32 = 110 << 24 | 0xffff << 8 | 255;
    let username = &username.as_bytes()[..username.len().min(MAX_USERNAME)];
    let [a, b, c, d, e, f, g, h, ..] = *transaction_id;
    let mut writer = Writer::new(out, 0x0001, transaction_id);
    writer.attribute(attribute::USERNAME, username);
    writer.attribute(attribute::PRIORITY, &PRIORITY.to_be_bytes());
    // The tie-breaker is to be random; the transaction id is, and a lite agent never compares it.
    writer.attribute(attribute::ICE_CONTROLLING, &[a, b, c, d, e, f, g, h]);
    if use_candidate {
        writer.attribute(attribute::USE_CANDIDATE, &[]);
    }
    writer.finish(password);
}

/// Puts an XOR-MAPPED-ADDRESS into `value` and returns its length.
fn mask_address(
    value: &mut [u8; 20],
    address: SocketAddr,
    transaction_id: &TransactionId,
) -> usize {
    value[2..4].copy_from_slice(&(address.port() ^ PORT_MASK).to_be_bytes());
    // An IPv4 client of a dual-stack socket is to learn its IPv4 address.
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = IPV4;
            value[4..8].copy_from_slice(&unmask(ip.octets(), transaction_id));
            8
        }
        IpAddr::V6(ip) => {
            value[1] = IPV6;
            value[4..20].copy_from_slice(&unmask(ip.octets(), transaction_id));
            20
        }
    }
}

/// Appends one message to `out`.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<u8>, message_type: u16, transaction_id: &TransactionId) -> Self {
        let start = out.len();
        out.extend_from_slice(&message_type.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        out.extend_from_slice(transaction_id);
        Self { out, start }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out
            .extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.out.extend_from_slice(value);
        let padding = value.len().next_multiple_of(4) - value.len();
        self.out.extend_from_slice(&[0; 3][..padding]);
    }

    /// Seals the message: MESSAGE-INTEGRITY, then FINGERPRINT, which covers the final length.
    fn finish(mut self, password: &[u8]) {
        let tag = integrity(&self.out[self.start..], password);
        self.attribute(attribute::MESSAGE_INTEGRITY, tag.as_ref());
        let len = self.out.len() + 8 - self.start - HEADER_LEN;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&(len as u16).to_be_bytes());
        let fingerprint = fingerprint(&self.out[self.start..]);
        self.attribute(attribute::FINGERPRINT, &fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::super::{Class, Message};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_written_as_in_rfc_5769() {
        for (response, mapped) in [
            (RFC_5769_IPV4_RESPONSE, "192.0.2.1:32853"),
            (RFC_5769_IPV4_RESPONSE, "[::ffff:192.0.2.1]:32853"),
            (
                RFC_5769_IPV6_RESPONSE,
                "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
            ),
        ] {
            let mut out = Vec::new();
            write_success(&mut out, &ID, mapped.parse().unwrap(), PASSWORD);
            let address = out.len() - 32; // before integrity and fingerprint
            let expected = hex(response);
            assert_eq!(out[HEADER_LEN..address], expected[36..expected.len() - 32]);
        }
    }

    proptest! {
        #[test]
        fn requests_come_back(
            id: TransactionId, name in "[a-z]{0,600}:[a-z]{4}", password: Vec<u8>, nominate: bool,
        ) {
            let mut out = vec![0xaa]; // appended, wherever it begins
            write_request(&mut out, &id, &name, &password, nominate);
            let message = Message::parse(&out[1..]).unwrap();
            prop_assert_eq!((message.class, message.transaction_id), (Class::Request, id));
            prop_assert_eq!(message.username, Some(&name.as_bytes()[..name.len().min(508)]));
            prop_assert_eq!(message.use_candidate, nominate);
            prop_assert!(message.controlling.is_some() && message.priority.is_some());
            prop_assert!(message.verify(&password));
        }

        #[test]
        fn responses_come_back(id: TransactionId, ip: IpAddr, port: u16, password: Vec<u8>) {
            let mut out = vec![0xaa];
            write_success(&mut out, &id, SocketAddr::new(ip, port), &password);
            let message = Message::parse(&out[1..]).unwrap();
            prop_assert_eq!((message.class, message.transaction_id), (Class::Success, id));
            prop_assert_eq!(message.mapped, Some(SocketAddr::new(ip.to_canonical(), port)));
            prop_assert!(message.verify(&password));
        }
    }
}
