//! The hybrid encryption of one value.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    rand::{SecureRandom as _, SystemRandom},
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey},
};
use portolan_model::Redacted;
use zeroize::Zeroizing;

/// Length of the session key.
const SESSION: usize = 32;

/// The two parts of a sealed value.
pub(super) struct Parts<'a> {
    /// The session key, encrypted for an RSA key.
    session: &'a [u8],
    /// The value, encrypted with the session key; its tag at the end.
    value: &'a [u8],
}

/// Where opening failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The session key: another RSA key or another label.
    Session,
    /// The value itself.
    Value,
}

/// Cuts a sealed value into its parts; `None` when it is shorter than it says.
pub(super) fn split(sealed: &[u8]) -> Option<Parts<'_>> {
    let (length, rest) = sealed.split_first_chunk::<2>()?;
    let (session, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some(Parts { session, value })
}

/// Opens a value with one key under one label.
pub(super) fn open(
    key: &OaepPrivateDecryptingKey,
    parts: &Parts<'_>,
    label: &[u8],
) -> Result<Redacted, Failed> {
    // Another length is another key's: asking the library would only be slower.
    if parts.session.len() != key.key_size_bytes() {
        return Err(Failed::Session);
    }
    let mut buffer = Zeroizing::new(vec![0; key.min_output_size()]);
    let session = key
        .decrypt(&OAEP_SHA256_MGF1SHA256, parts.session, &mut buffer, Some(label))
        .map_err(|_| Failed::Session)?;
    let cipher = cipher(session).map_err(|_| Failed::Value)?;
    let mut value = Zeroizing::new(parts.value.to_vec());
    let length = cipher.open_in_place(nonce(), Aad::empty(), &mut value).map_err(|_| Failed::Value)?.len();
    value.truncate(length);
    Ok(Redacted::new(std::mem::take(&mut *value)))
}

/// Seals a value for a key under a label.
///
/// # Errors
/// When the system has no randomness.
pub(super) fn close(
    key: &OaepPublicEncryptingKey,
    value: &[u8],
    label: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let mut session = Zeroizing::new([0; SESSION]);
    SystemRandom::new().fill(&mut *session)?;
    let mut wrapped = vec![0; key.ciphertext_size()];
    let wrapped = key.encrypt(&OAEP_SHA256_MGF1SHA256, &*session, &mut wrapped, Some(label))?;
    // Sized before, so that no copy of the value is left behind when the buffer grows.
    let mut sealed = Zeroizing::new(Vec::with_capacity(value.len() + AES_256_GCM.tag_len()));
    sealed.extend_from_slice(value);
    cipher(&*session)?.seal_in_place_append_tag(nonce(), Aad::empty(), &mut *sealed)?;
    let length = u16::try_from(wrapped.len()).map_err(|_| Unspecified)?;
    Ok([&length.to_be_bytes()[..], wrapped, &sealed].concat())
}

fn cipher(session: &[u8]) -> Result<LessSafeKey, Unspecified> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, session)?))
}

/// Zero, as upstream: safe because each session key encrypts one value.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
