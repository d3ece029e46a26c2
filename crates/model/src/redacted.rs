//! Secret values that never show themselves.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

/// Key of the fingerprints of this process.
static KEY: OnceLock<hmac::Key> = OnceLock::new();

/// One of this process alone.
fn random() -> hmac::Key {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the system has randomness");
    hmac::Key::new(hmac::HMAC_SHA256, &bytes)
}

/// Takes the key of a state, so that its fingerprints are the same over restarts. The first call counts; without one the key is
/// random. To be called before any fingerprint is made.
pub fn key_fingerprints(key: &[u8]) {
    let _ = KEY.set(hmac::Key::new(hmac::HMAC_SHA256, key));
}

/// A secret value. Compares by content, prints as its fingerprint only, and is zeroed when the last copy goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(Arc<Zeroizing<Vec<u8>>>);

impl Redacted {
    /// Takes the bytes; the caller's copy is moved in, not duplicated.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes. Call only where the value is really used (a handshake, a signature, the store).
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the value is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First 8 hex digits of a keyed hash: enough to tell two values apart, and nobody without the key can confirm a guess.
    pub fn fingerprint(&self) -> String {
        let digest = hmac::sign(KEY.get_or_init(random), &self.0);
        digest.as_ref().iter().take(4).fold(String::with_capacity(8), |mut text, byte| {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl From<&str> for Redacted {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[redacted {} bytes, fingerprint {}]", self.len(), self.fingerprint())
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
