//! Invariant: the elements of an extension take no more octets than it has, none has id 0, and
//! written again, in whichever form, they read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::packet::extension::{elements, write_elements};

fuzz_target!(|input: (u16, &[u8])| {
    let (profile, bytes) = input;
    for profile in [profile, 0xbede, 0x1000 | profile & 0xf] {
        let read: Vec<_> = elements(profile, bytes).collect();
        assert!(read.iter().map(|(_, data)| 1 + data.len()).sum::<usize>() <= bytes.len());
        assert!(read.iter().all(|(id, _)| *id != 0));
        let mut out = Vec::new();
        if write_elements(&mut out, read.iter().copied()) && bytes.len() < 0xffff {
            let profile = u16::from_be_bytes([out[0], out[1]]);
            assert!(elements(profile, &out[4..]).eq(read));
        }
    }
});
