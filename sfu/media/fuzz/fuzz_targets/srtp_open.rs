//! Invariant: what was not sealed with the keys is never opened and leaves no trace: after any series
//! of forgeries, genuine packets of any source are opened as if nothing had come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::crypto::{Inbound, Outbound, Profile, RTCP_OVERHEAD, RTP_OVERHEAD};

const KEY_AND_SALT: [u8; 30] = [0x5a; 30];

fuzz_target!(|forgeries: Vec<Vec<u8>>| {
    for profile in [Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80] {
        let key_and_salt = &KEY_AND_SALT[..profile.key_len()];
        let mut outbound = Outbound::new(profile, key_and_salt).expect("the key is right");
        let mut inbound = Inbound::new(profile, key_and_salt).expect("the key is right");
        for forgery in &forgeries {
            assert!(inbound.open_rtp(&mut forgery.clone()).is_err());
            assert!(inbound.open_rtcp(&mut forgery.clone()).is_err());
        }
        // The forged packets may have named this source: take its octets from them.
        let ssrc = forgeries
            .last()
            .and_then(|packet| packet.get(8..12))
            .unwrap_or(&[0; 4]);
        open_media(&outbound, &mut inbound, ssrc);
        open_report(&mut outbound, &mut inbound, ssrc);
    }
});

fn open_media(outbound: &Outbound, inbound: &mut Inbound, ssrc: &[u8]) {
    let plain = [&[0x80, 96, 0, 1, 0, 0, 0, 0], ssrc, b"payload"].concat();
    let mut packet = plain.clone();
    packet.resize(plain.len() + RTP_OVERHEAD, 0);
    let sealed = outbound
        .seal_rtp(0, &mut packet, plain.len())
        .expect("there is room");
    assert_eq!(
        inbound.open_rtp(&mut packet[..sealed]),
        Ok((plain.len(), 1))
    );
    assert_eq!(packet[..plain.len()], plain);
}

fn open_report(outbound: &mut Outbound, inbound: &mut Inbound, ssrc: &[u8]) {
    let plain = [&[0x80, 201, 0, 1], ssrc].concat();
    let mut packet = plain.clone();
    packet.resize(plain.len() + RTCP_OVERHEAD, 0);
    let sealed = outbound
        .seal_rtcp(&mut packet, plain.len())
        .expect("there is room");
    assert_eq!(inbound.open_rtcp(&mut packet[..sealed]), Ok(plain.len()));
    assert_eq!(packet[..plain.len()], plain);
}
