//! What is derived from the one master secret: keyed hashes of personal data, sealed webhook secrets, checks of link tokens.
//! Every use has its own derived key, so that knowing one tells nothing of another.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, KeyInit as HmacKeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::base::{Chance, random_bytes};

const NONCE_LENGTH: usize = 12;

/// The master secret and the operations that need it.
#[derive(Clone)]
pub struct Keyring {
    master: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("what was sealed cannot be opened with this master secret")]
    Open,
    #[error("the text could not be sealed")]
    Seal,
}

impl Keyring {
    #[must_use]
    pub fn new(master: [u8; 32]) -> Self {
        Self { master }
    }

    /// HMAC-SHA256 of the parts, each led by its length, cut to 16 bytes: enough to tell values apart, nothing to read them by.
    #[must_use]
    pub fn hash(&self, brand_id: Uuid, purpose: &str, value: &str) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.mac(&[purpose.as_bytes(), brand_id.as_bytes(), value.as_bytes()])[..16]);
        bytes
    }

    /// The check that a link token carries, so that a guessed one is refused without a look-up.
    #[must_use]
    pub fn token_check(&self, random: &[u8]) -> [u8; 4] {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.mac(&[b"link token", random])[..4]);
        bytes
    }

    /// Encrypts (AES-256-GCM) under a key of this brand and purpose. The nonce stands first.
    pub fn seal(&self, brand_id: Uuid, purpose: &str, plain: &[u8], chance: &dyn Chance) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LENGTH] = random_bytes(chance);
        let sealed = self
            .cipher(brand_id, purpose)
            .encrypt(&Nonce::from(nonce), plain)
            .map_err(|_error: aes_gcm::aead::Error| SealError::Seal)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Keyring::seal`] made for the same brand and purpose.
    pub fn open(&self, brand_id: Uuid, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LENGTH>().ok_or(SealError::Open)?;
        self.cipher(brand_id, purpose)
            .decrypt(&Nonce::from(*nonce), body)
            .map_err(|_error: aes_gcm::aead::Error| SealError::Open)
    }

    fn cipher(&self, brand_id: Uuid, purpose: &str) -> Aes256Gcm {
        Aes256Gcm::new(&self.mac(&[b"seal", purpose.as_bytes(), brand_id.as_bytes()]).into())
    }

    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as HmacKeyInit>::new_from_slice(&self.master).expect("a key of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}
