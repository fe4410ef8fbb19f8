//! AES_CM_128_HMAC_SHA1_80 (RFC 3711 sections 4.1.1 and 4.2.1).
//!
//! SRTP is `header ‖ ciphertext ‖ tag`, SRTCP `header ‖ ciphertext ‖ E and index ‖ tag`.

use aws_lc_rs::cipher::EncryptingKey;
use aws_lc_rs::{constant_time, hmac};

use super::kdf::{apply_key_stream, counter_mode_key};
use super::{CryptoError, ENCRYPTED, INDEX_LEN, RTCP_HEADER_LEN, SessionKeys};

const TAG_LEN: usize = 10;
const SALT_LEN: usize = 14;

pub(super) struct CounterMode {
    key: EncryptingKey,
    authentication: hmac::Key,
    salt: [u8; SALT_LEN],
}

impl CounterMode {
    pub(super) fn new(keys: &SessionKeys) -> Result<Self, CryptoError> {
        Ok(Self {
            key: counter_mode_key(&keys.encryption)?,
            authentication: hmac::Key::new(
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &keys.authentication,
            ),
            salt: keys.salt,
        })
    }

    pub(super) fn seal_rtp(
        &self,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        header_len: usize,
        len: usize,
    ) -> Result<usize, CryptoError> {
        let sealed = packet.get_mut(..len + TAG_LEN).ok_or(CryptoError::NoRoom)?;
        let (text, tag) = sealed.split_at_mut(len);
        self.apply(ssrc, index, &mut text[header_len..])?;
        tag.copy_from_slice(&self.tag(text, &rollover(index)));
        Ok(len + TAG_LEN)
    }

    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, CryptoError> {
        let (text, tag) = packet
            .split_last_chunk_mut()
            .ok_or(CryptoError::Truncated)?;
        if text.len() < header_len {
            return Err(CryptoError::Truncated);
        }
        self.verify(text, &rollover(index), tag)?;
        self.apply(ssrc, index, &mut text[header_len..])?;
        Ok(text.len())
    }

    pub(super) fn seal_rtcp(
        &self,
        ssrc: u32,
        index: u32,
        packet: &mut [u8],
        len: usize,
    ) -> Result<usize, CryptoError> {
        let total = len + INDEX_LEN + TAG_LEN;
        let packet = packet.get_mut(..total).ok_or(CryptoError::NoRoom)?;
        let (covered, tag) = packet.split_at_mut(len + INDEX_LEN);
        covered[len..].copy_from_slice(&(index | ENCRYPTED).to_be_bytes());
        self.apply(ssrc, index.into(), &mut covered[RTCP_HEADER_LEN..len])?;
        tag.copy_from_slice(&self.tag(covered, &[]));
        Ok(total)
    }

    /// `packet` has a whole header and an [`Self::rtcp_trailer`], of which `index` is.
    pub(super) fn open_rtcp(
        &self,
        ssrc: u32,
        index: u32,
        packet: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let (covered, tag) = packet
            .split_last_chunk_mut()
            .ok_or(CryptoError::Truncated)?;
        self.verify(covered, &[], tag)?;
        let len = covered.len() - INDEX_LEN;
        self.apply(ssrc, index.into(), &mut covered[RTCP_HEADER_LEN..len])?;
        Ok(len)
    }

    /// The E bit and the index of a datagram that is long enough to have all parts.
    pub(super) fn rtcp_trailer(packet: &[u8]) -> Result<u32, CryptoError> {
        let covered = packet
            .split_last_chunk::<TAG_LEN>()
            .map(|(covered, _)| covered);
        match covered.and_then(|covered| covered.split_last_chunk()) {
            Some((rest, trailer)) if rest.len() >= RTCP_HEADER_LEN => {
                Ok(u32::from_be_bytes(*trailer))
            }
            _ => Err(CryptoError::Truncated),
        }
    }

    /// RFC 3711 section 4.1.1: the counter block is salt, SSRC and index, each in its place, above
    /// 16 bits that count blocks.
    fn apply(&self, ssrc: u32, index: u64, text: &mut [u8]) -> Result<(), CryptoError> {
        let block = u128::from(ssrc) << 64 | u128::from(index) << 16;
        let mut iv = block.to_be_bytes();
        iv.iter_mut()
            .zip(self.salt)
            .for_each(|(octet, salt)| *octet ^= salt);
        apply_key_stream(&self.key, iv, text)
    }

    /// HMAC-SHA1 over both parts, cut to 80 bits.
    fn tag(&self, covered: &[u8], rollover: &[u8]) -> [u8; TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(covered);
        context.update(rollover);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_LEN]);
        tag
    }

    fn verify(
        &self,
        covered: &[u8],
        rollover: &[u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        let expected = self.tag(covered, rollover);
        constant_time::verify_slices_are_equal(&expected, tag)
            .map_err(|_| CryptoError::Authentication)
    }
}

/// The rollover counter, which SRTP authenticates though it does not send it (section 4.2).
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
