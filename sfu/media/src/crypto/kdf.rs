//! Session keys from a master key (RFC 3711 section 4.3) with a key derivation rate of 0.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};

use super::{CryptoError, Profile};

const KEY_LEN: usize = 16;
const MAX_SALT_LEN: usize = 14;

/// What session keys are for: their labels differ (RFC 3711 section 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Media.
    Rtp,
    /// Control.
    Rtcp,
}

/// The keys of one usage in one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKeys {
    /// Enciphers.
    pub encryption: [u8; KEY_LEN],
    /// Authenticates; AES-GCM has no use for it.
    pub authentication: [u8; 20],
    /// Makes the nonce; AES-GCM takes the first 12 octets.
    pub salt: [u8; MAX_SALT_LEN],
}

impl SessionKeys {
    /// Derives the keys of one usage from a master key and salt of the profile's length.
    ///
    /// A profile's salt may be shorter than 112 bits; zeros fill it up on the right, as libsrtp does
    /// (RFC 7714 section 11 takes RFC 3711's derivation as it is).
    pub fn derive(
        profile: Profile,
        key_and_salt: &[u8],
        usage: Usage,
    ) -> Result<Self, CryptoError> {
        let (key, salt) = split(profile, key_and_salt)?;
        let prf = Prf::new(key, salt)?;
        let first_label = match usage {
            Usage::Rtp => 0,
            Usage::Rtcp => 3,
        };
        Ok(Self {
            encryption: prf.derive(first_label)?,
            authentication: prf.derive(first_label + 1)?,
            salt: prf.derive(first_label + 2)?,
        })
    }

    /// The keys of RTP and of RTCP.
    pub(super) fn derive_both(
        profile: Profile,
        key_and_salt: &[u8],
    ) -> Result<[Self; 2], CryptoError> {
        let derive = |usage| Self::derive(profile, key_and_salt, usage);
        Ok([derive(Usage::Rtp)?, derive(Usage::Rtcp)?])
    }
}

fn split(profile: Profile, key_and_salt: &[u8]) -> Result<(&[u8], &[u8]), CryptoError> {
    match key_and_salt.split_at_checked(KEY_LEN) {
        Some(halves) if key_and_salt.len() == profile.key_len() => Ok(halves),
        _ => Err(CryptoError::KeyLength),
    }
}

/// AES in counter mode as a pseudo-random function (RFC 3711 section 4.3.3).
struct Prf {
    key: EncryptingKey,
    salt: [u8; MAX_SALT_LEN],
}

impl Prf {
    fn new(key: &[u8], master_salt: &[u8]) -> Result<Self, CryptoError> {
        let mut salt = [0; MAX_SALT_LEN];
        salt[..master_salt.len()].copy_from_slice(master_salt);
        Ok(Self {
            key: counter_mode_key(key)?,
            salt,
        })
    }

    fn derive<const N: usize>(&self, label: u8) -> Result<[u8; N], CryptoError> {
        let mut iv = [0; 16];
        iv[..MAX_SALT_LEN].copy_from_slice(&self.salt);
        // The label stands above the 48-bit index, which is 0.
        iv[7] ^= label;
        let mut derived = [0; N];
        apply_key_stream(&self.key, iv, &mut derived)?;
        Ok(derived)
    }
}

pub(super) fn counter_mode_key(key: &[u8]) -> Result<EncryptingKey, CryptoError> {
    let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| CryptoError::KeyLength)?;
    EncryptingKey::ctr(key).map_err(|_| CryptoError::Library)
}

/// Enciphers or deciphers: both add the key stream that begins at the counter block `iv`.
pub(super) fn apply_key_stream(
    key: &EncryptingKey,
    iv: [u8; 16],
    text: &mut [u8],
) -> Result<(), CryptoError> {
    let context = EncryptionContext::Iv128(iv.into());
    key.less_safe_encrypt(text, context)
        .map(drop)
        .map_err(|_| CryptoError::Library)
}
