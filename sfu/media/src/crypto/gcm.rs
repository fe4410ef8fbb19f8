//! AEAD_AES_128_GCM (RFC 7714).
//!
//! SRTP is `header ‖ ciphertext ‖ tag`, SRTCP `header ‖ ciphertext ‖ tag ‖ E and index`.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{CryptoError, ENCRYPTED, INDEX_LEN, RTCP_HEADER_LEN, SessionKeys};

pub(super) const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 12;

pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; NONCE_LEN],
}

impl Gcm {
    pub(super) fn new(keys: &SessionKeys) -> Result<Self, CryptoError> {
        let key = UnboundKey::new(&AES_128_GCM, &keys.encryption);
        let key = LessSafeKey::new(key.map_err(|_| CryptoError::Library)?);
        let [salt @ .., _, _] = keys.salt;
        Ok(Self { key, salt })
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
        let (header, rest) = sealed.split_at_mut(header_len);
        self.seal(ssrc, index, header, rest)?;
        Ok(len + TAG_LEN)
    }

    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, CryptoError> {
        let len = packet.len();
        let (header, rest) = packet.split_at_mut(header_len);
        self.open(ssrc, index, header, rest)?;
        Ok(len - TAG_LEN)
    }

    pub(super) fn seal_rtcp(
        &self,
        ssrc: u32,
        index: u32,
        packet: &mut [u8],
        len: usize,
    ) -> Result<usize, CryptoError> {
        let total = len + TAG_LEN + INDEX_LEN;
        let packet = packet.get_mut(..total).ok_or(CryptoError::NoRoom)?;
        let (sealed, trailer) = packet.split_at_mut(len + TAG_LEN);
        trailer.copy_from_slice(&(index | ENCRYPTED).to_be_bytes());
        let (header, rest) = sealed.split_at_mut(RTCP_HEADER_LEN);
        self.seal(ssrc, index.into(), &rtcp_aad(header, index), rest)?;
        Ok(total)
    }

    /// `packet` has a whole header and an [`Self::rtcp_trailer`], of which `index` is.
    pub(super) fn open_rtcp(
        &self,
        ssrc: u32,
        index: u32,
        packet: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let sealed_len = packet.len() - INDEX_LEN;
        let (header, rest) = packet[..sealed_len].split_at_mut(RTCP_HEADER_LEN);
        self.open(ssrc, index.into(), &rtcp_aad(header, index), rest)?;
        Ok(sealed_len - TAG_LEN)
    }

    /// The E bit and the index of a datagram that is long enough to have all parts.
    pub(super) fn rtcp_trailer(packet: &[u8]) -> Result<u32, CryptoError> {
        match packet.split_last_chunk() {
            Some((rest, trailer)) if rest.len() >= RTCP_HEADER_LEN + TAG_LEN => {
                Ok(u32::from_be_bytes(*trailer))
            }
            _ => Err(CryptoError::Truncated),
        }
    }

    /// Seals `text`, whose last octets are the room for the tag.
    fn seal(&self, ssrc: u32, index: u64, aad: &[u8], text: &mut [u8]) -> Result<(), CryptoError> {
        let (text, tag) = text
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(CryptoError::NoRoom)?;
        let nonce = self.nonce(ssrc, index);
        let sealed = self
            .key
            .seal_in_place_scatter(nonce, Aad::from(aad), text, &[], tag);
        sealed.map_err(|_| CryptoError::Library)
    }

    /// Opens `text`, whose last octets are the tag.
    fn open(&self, ssrc: u32, index: u64, aad: &[u8], text: &mut [u8]) -> Result<(), CryptoError> {
        let (text, tag) = text
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(CryptoError::Truncated)?;
        let nonce = self.nonce(ssrc, index);
        let opened = self
            .key
            .open_in_place_separate_tag(nonce, Aad::from(aad), tag, text);
        opened.map(drop).map_err(|_| CryptoError::Authentication)
    }

    /// RFC 7714 sections 8.1 and 9.1: 16 zero bits, SSRC, 48-bit index; an SRTCP index is the same
    /// with zeros above its 31 bits.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let block = u128::from(ssrc) << 48 | u128::from(index);
        let [_, _, _, _, block @ ..] = block.to_be_bytes();
        let mut nonce = self.salt;
        nonce
            .iter_mut()
            .zip(block)
            .for_each(|(octet, mask)| *octet ^= mask);
        Nonce::from(&nonce)
    }
}

/// RFC 7714 section 9.2: the header, then the E bit and the index.
fn rtcp_aad(header: &[u8], index: u32) -> [u8; RTCP_HEADER_LEN + INDEX_LEN] {
    let mut aad = [0; RTCP_HEADER_LEN + INDEX_LEN];
    aad[..RTCP_HEADER_LEN].copy_from_slice(header);
    aad[RTCP_HEADER_LEN..].copy_from_slice(&(index | ENCRYPTED).to_be_bytes());
    aad
}
