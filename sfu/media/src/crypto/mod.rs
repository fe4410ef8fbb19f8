//! SRTP and SRTCP (RFC 3711, RFC 7714) with the keys that DTLS agreed on (RFC 5764).
//!
//! Contract: under one [`Outbound`] the caller never seals two different packets with the same SSRC,
//! rollover counter and sequence number. To send a packet again is to send the sealed octets again, or
//! the payload in a stream of its own (RTX). Otherwise the key stream repeats and GCM falls.
//!
//! One direction of one connection is one context: what is sealed here is opened by a peer's
//! [`Inbound`] with the same keys. Packets are sealed and opened where they lie. An [`Inbound`] learns
//! only from what it has authenticated: no forged packet makes, moves or evicts state.
//!
//! Not supported, as WebRTC does without: master key identifiers, key derivation rates, encrypted
//! header extensions (RFC 6904), SRTCP in the clear.

mod cm;
mod gcm;
mod kdf;
mod replay;

use std::fmt;

pub use kdf::{SessionKeys, Usage};

use crate::packet::rtp;
use cm::CounterMode;
use gcm::Gcm;
use replay::Streams;

/// Octets that [`Outbound::seal_rtp`] adds at most.
pub const RTP_OVERHEAD: usize = gcm::TAG_LEN;
/// Octets that [`Outbound::seal_rtcp`] adds at most.
pub const RTCP_OVERHEAD: usize = gcm::TAG_LEN + INDEX_LEN;
/// Sources that one [`Inbound`] follows, in RTP and in RTCP each: two video sections of three
/// encodings, audio, and their retransmissions take 14. Whoever owns it forgets those that are gone.
pub const MAX_STREAMS: usize = 128;

/// The SRTCP index and its E bit (RFC 3711 section 3.4).
const INDEX_LEN: usize = 4;
const ENCRYPTED: u32 = 1 << 31;
/// What SRTCP leaves in the clear: the first header and the sender's SSRC.
const RTCP_HEADER_LEN: usize = 8;

/// A protection profile of the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// AEAD_AES_128_GCM (RFC 7714): tags of 16 octets.
    AeadAes128Gcm,
    /// AES_CM_128_HMAC_SHA1_80 (RFC 3711): tags of 10 octets. GStreamer negotiates only this.
    AesCm128HmacSha1_80,
}

impl Profile {
    /// By the name that OpenSSL's `SSL_get_selected_srtp_profile` gives.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "SRTP_AEAD_AES_128_GCM" => Some(Self::AeadAes128Gcm),
            "SRTP_AES128_CM_SHA1_80" => Some(Self::AesCm128HmacSha1_80),
            _ => None,
        }
    }

    /// Octets of a master key followed by its master salt.
    pub fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 16 + 12,
            Self::AesCm128HmacSha1_80 => 16 + 14,
        }
    }
}

/// Why a packet is not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptoError {
    /// The caller's mistake: key and salt have not the profile's length.
    KeyLength,
    /// The caller's mistake: the buffer has no room for the tag.
    NoRoom,
    /// 2^31 SRTCP packets were sealed (RFC 3711 section 9.2): the connection needs new keys.
    Exhausted,
    /// The cryptographic library refused; nothing but lack of memory is known to cause it.
    Library,
    /// No whole version 2 header and tag are there.
    Truncated,
    /// The packet was not made with these keys, or was changed on its way.
    Authentication,
    /// The packet came before, or is too old to know.
    Replayed,
    /// The packet is of a new source, and [`MAX_STREAMS`] are followed already.
    TooManyStreams,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyLength => "key and salt have not the profile's length",
            Self::NoRoom => "the buffer has no room for the tag",
            Self::Exhausted => "too many packets were sealed with one key",
            Self::Library => "the cryptographic library refused",
            Self::Truncated => "the packet has no whole header and tag",
            Self::Authentication => "the packet is not authentic",
            Self::Replayed => "the packet came before or is too old",
            Self::TooManyStreams => "the connection has too many sources",
        })
    }
}

impl std::error::Error for CryptoError {}

/// Seals what is sent; see the module's contract.
pub struct Outbound {
    rtp: Cipher,
    rtcp: Cipher,
    /// The next SRTCP index: one counter for all sources, which each of them sees grow.
    rtcp_index: u32,
}

impl Outbound {
    /// From the master key and salt of this direction.
    pub fn new(profile: Profile, key_and_salt: &[u8]) -> Result<Self, CryptoError> {
        let [rtp, rtcp] = SessionKeys::derive_both(profile, key_and_salt)?;
        Self::with_session_keys(profile, &rtp, &rtcp)
    }

    /// From session keys that are derived already.
    pub fn with_session_keys(
        profile: Profile,
        rtp: &SessionKeys,
        rtcp: &SessionKeys,
    ) -> Result<Self, CryptoError> {
        let (rtp, rtcp) = (Cipher::new(profile, rtp)?, Cipher::new(profile, rtcp)?);
        Ok(Self {
            rtp,
            rtcp,
            rtcp_index: 0,
        })
    }

    /// Seals the RTP packet in the first `len` octets of `packet`, where `roc` counts how often its
    /// sequence number wrapped, and returns how long it is then: at most [`RTP_OVERHEAD`] more.
    pub fn seal_rtp(&self, roc: u32, packet: &mut [u8], len: usize) -> Result<usize, CryptoError> {
        let plain = packet.get(..len).ok_or(CryptoError::NoRoom)?;
        let header = RtpHeader::read(plain)?;
        let index = u64::from(roc) << 16 | u64::from(header.sequence);
        match &self.rtp {
            Cipher::Gcm(cipher) => cipher.seal_rtp(header.ssrc, index, packet, header.len, len),
            Cipher::Cm(cipher) => cipher.seal_rtp(header.ssrc, index, packet, header.len, len),
        }
    }

    /// Seals the compound RTCP packet in the first `len` octets of `packet`, and returns how long it
    /// is then: at most [`RTCP_OVERHEAD`] more.
    pub fn seal_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, CryptoError> {
        let plain = packet.get(..len).ok_or(CryptoError::NoRoom)?;
        let ssrc = rtcp_ssrc(plain)?;
        let index = self.rtcp_index;
        if index >= ENCRYPTED {
            return Err(CryptoError::Exhausted);
        }
        let sealed = match &self.rtcp {
            Cipher::Gcm(cipher) => cipher.seal_rtcp(ssrc, index, packet, len),
            Cipher::Cm(cipher) => cipher.seal_rtcp(ssrc, index, packet, len),
        }?;
        self.rtcp_index += 1;
        Ok(sealed)
    }
}

/// Opens what is received.
pub struct Inbound {
    rtp: Cipher,
    rtcp: Cipher,
    rtp_streams: Streams,
    /// Apart for each source: libsrtp, and so every browser, counts SRTCP by source.
    rtcp_streams: Streams,
}

impl Inbound {
    /// From the master key and salt of this direction.
    pub fn new(profile: Profile, key_and_salt: &[u8]) -> Result<Self, CryptoError> {
        let [rtp, rtcp] = SessionKeys::derive_both(profile, key_and_salt)?;
        Self::with_session_keys(profile, &rtp, &rtcp)
    }

    /// From session keys that are derived already.
    pub fn with_session_keys(
        profile: Profile,
        rtp: &SessionKeys,
        rtcp: &SessionKeys,
    ) -> Result<Self, CryptoError> {
        let (rtp, rtcp) = (Cipher::new(profile, rtp)?, Cipher::new(profile, rtcp)?);
        Ok(Self {
            rtp,
            rtcp,
            rtp_streams: Streams::default(),
            rtcp_streams: Streams::default(),
        })
    }

    /// Opens an RTP datagram in place and returns the length of the plain packet, which begins where
    /// the datagram does, and its index: rollover counter and sequence number, 48 bits.
    ///
    /// After an error the datagram's payload is undefined.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<(usize, u64), CryptoError> {
        let header = RtpHeader::read(packet)?;
        let index = self.rtp_streams.index(header.ssrc, header.sequence)?;
        self.rtp_streams.check(header.ssrc, index)?;
        let len = match &self.rtp {
            Cipher::Gcm(cipher) => cipher.open_rtp(header.ssrc, index, packet, header.len),
            Cipher::Cm(cipher) => cipher.open_rtp(header.ssrc, index, packet, header.len),
        }?;
        self.rtp_streams.accept(header.ssrc, index);
        Ok((len, index))
    }

    /// A source is gone, or has been silent for longer than all others: one more may be followed.
    /// What is known of its numbers is lost.
    pub fn forget(&mut self, ssrc: u32) {
        self.rtp_streams.forget(ssrc);
        self.rtcp_streams.forget(ssrc);
    }

    /// Opens an RTCP datagram in place and returns the length of the plain compound packet, which
    /// begins where the datagram does. One without the E bit is [`CryptoError::Authentication`].
    ///
    /// After an error the datagram's content is undefined.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, CryptoError> {
        let ssrc = rtcp_ssrc(packet)?;
        let trailer = match &self.rtcp {
            Cipher::Gcm(_) => Gcm::rtcp_trailer(packet),
            Cipher::Cm(_) => CounterMode::rtcp_trailer(packet),
        }?;
        if trailer & ENCRYPTED == 0 {
            return Err(CryptoError::Authentication);
        }
        let index = trailer & !ENCRYPTED;
        self.rtcp_streams.check(ssrc, index.into())?;
        let len = match &self.rtcp {
            Cipher::Gcm(cipher) => cipher.open_rtcp(ssrc, index, packet),
            Cipher::Cm(cipher) => cipher.open_rtcp(ssrc, index, packet),
        }?;
        self.rtcp_streams.accept(ssrc, index.into());
        Ok(len)
    }
}

/// The transform of one usage in one direction.
///
/// Both lie inline: one more pointer to follow for each packet would save memory only for the rare
/// counter mode peer.
#[allow(clippy::large_enum_variant)]
enum Cipher {
    Gcm(Gcm),
    Cm(CounterMode),
}

impl Cipher {
    fn new(profile: Profile, keys: &SessionKeys) -> Result<Self, CryptoError> {
        match profile {
            Profile::AeadAes128Gcm => Gcm::new(keys).map(Self::Gcm),
            Profile::AesCm128HmacSha1_80 => CounterMode::new(keys).map(Self::Cm),
        }
    }
}

/// What the transforms need of an RTP header.
struct RtpHeader {
    ssrc: u32,
    sequence: u16,
    /// Octets that stay in the clear.
    len: usize,
}

impl RtpHeader {
    fn read(packet: &[u8]) -> Result<Self, CryptoError> {
        let len = rtp::header_len(packet).map_err(|_| CryptoError::Truncated)?;
        let [_, _, s, q, _, _, _, _, a, b, c, d, ..] = *packet else {
            return Err(CryptoError::Truncated);
        };
        let (sequence, ssrc) = (u16::from_be_bytes([s, q]), u32::from_be_bytes([a, b, c, d]));
        Ok(Self {
            ssrc,
            sequence,
            len,
        })
    }
}

/// The SSRC of a compound packet's first sender, which names its stream.
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, CryptoError> {
    match *packet {
        [_, _, _, _, a, b, c, d, ..] => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(CryptoError::Truncated),
    }
}
