//! SRTP and SRTCP against published vectors and libsrtp, and as two ends of one connection.

use proptest::prelude::*;
use tongbu_media::crypto::{
    CryptoError, Inbound, MAX_STREAMS, Outbound, Profile, RTCP_OVERHEAD, RTP_OVERHEAD, SessionKeys,
    Usage,
};

const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .flat_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    assert_eq!(digits.len() % 2, 0);
    digits
        .as_chunks()
        .0
        .iter()
        .map(|[high, low]| high << 4 | low)
        .collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// The master key and salt 00 01 02 ...
fn master(profile: Profile) -> Vec<u8> {
    (0..profile.key_len() as u8).collect()
}

fn outbound(profile: Profile) -> Outbound {
    Outbound::new(profile, &master(profile)).unwrap()
}

fn inbound(profile: Profile) -> Inbound {
    Inbound::new(profile, &master(profile)).unwrap()
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&hex("81ce0002 cafebabe 01020304"));
    packet
}

fn seal_rtp(outbound: &Outbound, roc: u32, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + RTP_OVERHEAD, 0);
    let len = outbound.seal_rtp(roc, &mut packet, plain.len()).unwrap();
    packet.truncate(len);
    packet
}

fn seal_rtcp(outbound: &mut Outbound, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + RTCP_OVERHEAD, 0);
    let len = outbound.seal_rtcp(&mut packet, plain.len()).unwrap();
    packet.truncate(len);
    packet
}

fn open_rtp(inbound: &mut Inbound, sealed: &[u8]) -> Result<(Vec<u8>, u64), CryptoError> {
    let mut packet = sealed.to_vec();
    let (len, index) = inbound.open_rtp(&mut packet)?;
    packet.truncate(len);
    Ok((packet, index))
}

fn open_rtcp(inbound: &mut Inbound, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut packet = sealed.to_vec();
    let len = inbound.open_rtcp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

/// The session key and salt of RFC 7714 sections 16 and 17, the same for RTP and RTCP.
fn rfc_7714_keys() -> SessionKeys {
    SessionKeys {
        encryption: array("000102030405060708090a0b0c0d0e0f"),
        authentication: [0; 20],
        salt: array("517569642070726f2071756f 0000"),
    }
}

#[test]
fn rfc_7714_section_16_1_seals_and_opens_rtp() {
    let keys = rfc_7714_keys();
    let plain = hex(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
        69736120 696e2070 61727465 73207472 6573",
    );
    let sealed = hex(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
        0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
    );
    let outbound = Outbound::with_session_keys(PROFILES[0], &keys, &keys).unwrap();
    assert_eq!(seal_rtp(&outbound, 0, &plain), sealed);
    let mut inbound = Inbound::with_session_keys(PROFILES[0], &keys, &keys).unwrap();
    assert_eq!(open_rtp(&mut inbound, &sealed), Ok((plain, 0xf17b)));
}

#[test]
fn rfc_7714_section_17_1_seals_and_opens_rtcp() {
    let keys = rfc_7714_keys();
    let plain = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef",
    );
    let sealed = hex(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
        c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    );
    let mut outbound = Outbound::with_session_keys(PROFILES[0], &keys, &keys).unwrap();
    for _ in 0..0x5d4 {
        seal_rtcp(&mut outbound, &plain);
    }
    assert_eq!(seal_rtcp(&mut outbound, &plain), sealed);
    let mut inbound = Inbound::with_session_keys(PROFILES[0], &keys, &keys).unwrap();
    assert_eq!(open_rtcp(&mut inbound, &sealed), Ok(plain));
}

#[test]
fn rfc_7714_section_17_3_a_packet_in_the_clear_is_refused() {
    let keys = rfc_7714_keys();
    let tagged = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
    );
    let mut inbound = Inbound::with_session_keys(PROFILES[0], &keys, &keys).unwrap();
    assert_eq!(
        open_rtcp(&mut inbound, &tagged),
        Err(CryptoError::Authentication)
    );
}

#[test]
fn rfc_3711_appendix_b_2_key_stream() {
    let keys = SessionKeys {
        encryption: array("2b7e151628aed2a6abf7158809cf4f3c"),
        authentication: [0; 20],
        salt: array("f0f1f2f3f4f5f6f7f8f9fafbfcfd"),
    };
    let outbound = Outbound::with_session_keys(PROFILES[1], &keys, &keys).unwrap();
    let sealed = seal_rtp(&outbound, 0, &rtp(0, 0, &vec![0; 0xff02 * 16]));
    let block = |counter: usize| &sealed[12 + counter * 16..][..16];
    assert_eq!(block(0x0000), hex("e03ead0935c95e80e166b16dd92b4eb4"));
    assert_eq!(block(0x0001), hex("d23513162b02d0f72a43a2fe4a5f97ab"));
    assert_eq!(block(0x0002), hex("41e95b3bb0a2e8dd477901e4fca894c0"));
    assert_eq!(block(0xfeff), hex("ec8cdf7398607cb0f2d21675ea9ea1e4"));
    assert_eq!(block(0xff00), hex("362b7c3c6773516318a077d7fc5073ae"));
    assert_eq!(block(0xff01), hex("6a2cc3787889374fbeb4c81b17ba6c44"));
}

#[test]
fn rfc_3711_appendix_b_3_key_derivation() {
    let master = hex("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
    let keys = SessionKeys::derive(PROFILES[1], &master, Usage::Rtp).unwrap();
    assert_eq!(keys.encryption, array("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(keys.salt, array("30cbbc08863d8c85d49db34a9ae1"));
    assert_eq!(
        keys.authentication,
        array("cebe321f6ff7716b6fd4ab49af256a156d38baa4")
    );
}

/// A packet with a contributing source and an extension, and two reports, as libsrtp protected them
/// under the master key 00 01 02 ...: this covers the derivation of GCM's keys, which RFC 7714 gives
/// no vectors of.
#[test]
fn libsrtp_understands_us_and_we_it() {
    const RTP: &str = "91e01234 11223344 cafebabe 00000007 bede0001 10ff0000 0001020304050607
        08090a0b0c0d0e0f 1011121314151617 18191a1b1c1d1e1f 2021222324252627";
    const LIBSRTP: [[&str; 3]; 2] = [
        [
            "91e0123411223344cafebabe00000007bede000110ff0000e17d710df01d503c8e17f669ece7fb69d2daf8
             c3d2ed18d4cdb66505a94b322b80c22ffdb31b9aefac72c72877ea458778682c7d26ad178b",
            "80c90001cafebabe4ad327101055f535c608691b0b2320ca3b4c3f129c959e0f7b9766d880000001",
            "80c90001cafebabe48312e48ff9f6843e22860d228784b75c893c6cdc4241ef21e4bf21080000002",
        ],
        [
            "91e0123411223344cafebabe00000007bede000110ff0000635f4989ed9848514a69778de016053559eed2
             c78df030ad26d77e30522bef006dce0f4821dfe2d0ee9f35a736a5050e5f77",
            "80c90001cafebabe07ae7a099636901dd37a307080000001eb0505a868af0b9e5478",
            "80c90001cafebabebbe591da1a89fbdda112784680000002a61b7814922a81f9190d",
        ],
    ];
    for (profile, [srtp, first, second]) in PROFILES.into_iter().zip(LIBSRTP) {
        let mut outbound = outbound(profile);
        assert_eq!(seal_rtp(&outbound, 0, &hex(RTP)), hex(srtp));
        // libsrtp counts from 1, this plane from 0; RFC 3711 section 3.4 says 0.
        seal_rtcp(&mut outbound, &rtcp(0xcafe_babe));
        assert_eq!(seal_rtcp(&mut outbound, &rtcp(0xcafe_babe)), hex(first));
        assert_eq!(seal_rtcp(&mut outbound, &rtcp(0xcafe_babe)), hex(second));
        let mut inbound = inbound(profile);
        assert_eq!(open_rtp(&mut inbound, &hex(srtp)), Ok((hex(RTP), 0x1234)));
        assert_eq!(open_rtcp(&mut inbound, &hex(second)), Ok(rtcp(0xcafe_babe)));
        assert_eq!(open_rtcp(&mut inbound, &hex(first)), Ok(rtcp(0xcafe_babe)));
    }
}

#[test]
fn profiles_are_named_as_openssl_names_them() {
    assert_eq!(
        Profile::from_name("SRTP_AEAD_AES_128_GCM"),
        Some(PROFILES[0])
    );
    assert_eq!(
        Profile::from_name("SRTP_AES128_CM_SHA1_80"),
        Some(PROFILES[1])
    );
    assert_eq!(Profile::from_name("SRTP_AEAD_AES_256_GCM"), None);
    assert_eq!(PROFILES.map(Profile::key_len), [28, 30]);
}

#[test]
fn keys_of_another_length_are_refused() {
    for profile in PROFILES {
        for len in [0, 16, 27, 29, 31, 64] {
            let error = Some(CryptoError::KeyLength);
            assert_eq!(Outbound::new(profile, &vec![0; len]).err(), error);
            assert_eq!(Inbound::new(profile, &vec![0; len]).err(), error);
        }
    }
}

#[test]
fn a_stream_is_opened_across_the_wrap_in_any_order() {
    for profile in PROFILES {
        let (outbound, mut inbound) = (outbound(profile), inbound(profile));
        let mut indices: Vec<u64> = (0xfff0..0x1_0010).collect();
        indices.chunks_mut(8).for_each(|chunk| chunk.reverse());
        indices.extend([0x1_ffff, 0x2_0005, 0x1_fff0]);
        // From here to the second wrap in strides that a rollover counter can follow.
        indices.splice(32..32, (0x1_4000..0x1_ffff).step_by(0x4000));
        for index in indices {
            let plain = rtp(7, index as u16, b"payload");
            let sealed = seal_rtp(&outbound, (index >> 16) as u32, &plain);
            assert_eq!(open_rtp(&mut inbound, &sealed), Ok((plain, index)));
        }
    }
}

#[test]
fn a_packet_is_opened_once() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = (outbound(profile), inbound(profile));
        let media = seal_rtp(&outbound, 0, &rtp(7, 100, b"payload"));
        let report = seal_rtcp(&mut outbound, &rtcp(7));
        assert!(open_rtp(&mut inbound, &media).is_ok());
        assert!(open_rtcp(&mut inbound, &report).is_ok());
        assert_eq!(open_rtp(&mut inbound, &media), Err(CryptoError::Replayed));
        assert_eq!(open_rtcp(&mut inbound, &report), Err(CryptoError::Replayed));
    }
}

#[test]
fn what_is_1024_packets_late_is_too_old() {
    for profile in PROFILES {
        let (outbound, mut inbound) = (outbound(profile), inbound(profile));
        let mut open = |sequence| {
            let sealed = seal_rtp(&outbound, 0, &rtp(7, sequence, b"payload"));
            open_rtp(&mut inbound, &sealed).map(|(_, index)| index)
        };
        assert_eq!(open(2000), Ok(2000));
        assert_eq!(open(2000 - 1023), Ok(2000 - 1023));
        assert_eq!(open(2000 - 1024), Err(CryptoError::Replayed));
    }
}

/// Browsers count SRTCP by source: the same index of two sources is no replay.
#[test]
fn sources_have_control_indices_of_their_own() {
    for profile in PROFILES {
        let (mut one, mut other) = (outbound(profile), outbound(profile));
        let mut inbound = inbound(profile);
        assert!(open_rtcp(&mut inbound, &seal_rtcp(&mut one, &rtcp(1))).is_ok());
        assert!(open_rtcp(&mut inbound, &seal_rtcp(&mut other, &rtcp(2))).is_ok());
    }
}

#[test]
fn forgeries_leave_no_trace() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = (outbound(profile), inbound(profile));
        // More sources than there is room for, and a sequence number far ahead.
        for ssrc in 0..2 * MAX_STREAMS as u32 {
            let mut media = seal_rtp(&outbound, 0, &rtp(ssrc, 0x7000, b"payload"));
            let mut report = seal_rtcp(&mut outbound, &rtcp(ssrc));
            *media.last_mut().unwrap() ^= 1;
            report[9] ^= 1;
            assert_eq!(
                open_rtp(&mut inbound, &media),
                Err(CryptoError::Authentication)
            );
            assert_eq!(
                open_rtcp(&mut inbound, &report),
                Err(CryptoError::Authentication)
            );
        }
        for ssrc in 0..MAX_STREAMS as u32 {
            let media = seal_rtp(&outbound, 0, &rtp(ssrc, 1, b"payload"));
            assert!(open_rtp(&mut inbound, &media).is_ok());
            assert!(open_rtcp(&mut inbound, &seal_rtcp(&mut outbound, &rtcp(ssrc))).is_ok());
        }
        let media = seal_rtp(&outbound, 0, &rtp(1000, 1, b"payload"));
        let report = seal_rtcp(&mut outbound, &rtcp(1000));
        assert_eq!(
            open_rtp(&mut inbound, &media),
            Err(CryptoError::TooManyStreams)
        );
        assert_eq!(
            open_rtcp(&mut inbound, &report),
            Err(CryptoError::TooManyStreams)
        );
    }
}

#[test]
fn every_cut_of_a_packet_is_refused() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = (outbound(profile), inbound(profile));
        let media = seal_rtp(&outbound, 0, &rtp(7, 1, b"payload"));
        let report = seal_rtcp(&mut outbound, &rtcp(7));
        for len in 0..media.len() {
            assert!(open_rtp(&mut inbound, &media[..len]).is_err(), "{len}");
        }
        for len in 0..report.len() {
            assert!(open_rtcp(&mut inbound, &report[..len]).is_err(), "{len}");
        }
        for len in 0..22 {
            assert_eq!(
                open_rtp(&mut inbound, &media[..len]),
                Err(CryptoError::Truncated)
            );
            assert_eq!(
                open_rtcp(&mut inbound, &report[..len.min(21)]),
                Err(CryptoError::Truncated)
            );
        }
        assert!(open_rtp(&mut inbound, &media).is_ok());
        assert!(open_rtcp(&mut inbound, &report).is_ok());
    }
}

#[test]
fn sealing_asks_for_a_header_and_for_room() {
    for profile in PROFILES {
        let mut outbound = outbound(profile);
        let plain = rtp(7, 1, b"payload");
        let mut buffer = plain.clone();
        assert_eq!(
            outbound.seal_rtp(0, &mut buffer, plain.len()),
            Err(CryptoError::NoRoom)
        );
        assert_eq!(
            outbound.seal_rtp(0, &mut buffer, plain.len() + 1),
            Err(CryptoError::NoRoom)
        );
        assert_eq!(
            outbound.seal_rtp(0, &mut buffer, 11),
            Err(CryptoError::Truncated)
        );
        assert_eq!(
            outbound.seal_rtcp(&mut buffer, plain.len()),
            Err(CryptoError::NoRoom)
        );
        assert_eq!(
            outbound.seal_rtcp(&mut buffer, 7),
            Err(CryptoError::Truncated)
        );
        assert_eq!(buffer, plain);
    }
}

/// The send arena holds other packets behind the one that is sealed.
#[test]
fn sealing_touches_nothing_behind_the_tag() {
    for (profile, tag) in PROFILES.into_iter().zip([16, 10]) {
        let mut outbound = outbound(profile);
        let mut arena = rtp(7, 1, b"payload");
        let len = arena.len();
        arena.resize(200, 0xaa);
        assert_eq!(outbound.seal_rtp(0, &mut arena, len), Ok(len + tag));
        assert!(arena[len + tag..].iter().all(|&octet| octet == 0xaa));
        assert_eq!(outbound.seal_rtcp(&mut arena, len), Ok(len + tag + 4));
        assert!(arena[len + tag + 4..].iter().all(|&octet| octet == 0xaa));
    }
}

#[test]
fn contexts_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Outbound>();
    is_send::<Inbound>();
}

fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(PROFILES[0]), Just(PROFILES[1])]
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(
        profile in profile(), ssrc: u32, sequence: u16, payload: Vec<u8>,
    ) {
        let (mut outbound, mut inbound) = (outbound(profile), inbound(profile));
        let plain = rtp(ssrc, sequence, &payload);
        let sealed = seal_rtp(&outbound, 0, &plain);
        prop_assert_eq!(open_rtp(&mut inbound, &sealed), Ok((plain, sequence.into())));
        let mut plain = rtcp(ssrc);
        plain.extend(payload);
        let sealed = seal_rtcp(&mut outbound, &plain);
        prop_assert_eq!(open_rtcp(&mut inbound, &sealed), Ok(plain));
    }

    #[test]
    fn a_changed_octet_anywhere_is_refused(
        profile in profile(), at: prop::sample::Index, mask in 1u8..=255, payload: Vec<u8>,
    ) {
        let (mut outbound, mut inbound) = (outbound(profile), inbound(profile));
        let mut sealed = seal_rtp(&outbound, 0, &rtp(7, 1, &payload));
        let at_rtp = at.index(sealed.len());
        sealed[at_rtp] ^= mask;
        prop_assert!(open_rtp(&mut inbound, &sealed).is_err());
        let mut sealed = seal_rtcp(&mut outbound, &rtcp(7));
        let at_rtcp = at.index(sealed.len());
        sealed[at_rtcp] ^= mask;
        prop_assert!(open_rtcp(&mut inbound, &sealed).is_err());
    }

    #[test]
    fn noise_is_never_opened(profile in profile(), mut noise: Vec<u8>, as_rtp: bool) {
        let mut inbound = inbound(profile);
        if let Some(first) = noise.first_mut() {
            *first = 0x80;
        }
        match as_rtp {
            true => prop_assert!(open_rtp(&mut inbound, &noise).is_err()),
            false => prop_assert!(open_rtcp(&mut inbound, &noise).is_err()),
        }
    }
}
