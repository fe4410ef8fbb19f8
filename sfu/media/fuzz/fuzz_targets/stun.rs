//! Invariant: no datagram verifies with a password that its maker did not know, and one that is
//! answered gets a response that parses, verifies and tells the address.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::packet::stun::{Class, Message, write_success};

/// Not in the corpus, and too long to be found.
const PASSWORD: &[u8] = b"a password that the fuzzer does not know";

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::parse(datagram) else {
        return;
    };
    message.username_fragments();
    assert!(!message.verify(PASSWORD));

    let mapped = ([192, 0, 2, 1], 7882).into();
    let mut response = Vec::new();
    write_success(&mut response, &message.transaction_id, mapped, PASSWORD);
    let response = Message::parse(&response).expect("what is written parses");
    assert_eq!(response.class, Class::Success);
    assert_eq!(response.transaction_id, message.transaction_id);
    assert_eq!(response.mapped, Some(mapped));
    assert!(response.verify(PASSWORD));
});
