//! The certificate of a sealing key: what values are sealed for.

use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::Instant;
use x509_parser::{pem::Pem, prelude::*};

use super::cipher;

/// Why a certificate cannot be sealed for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not PEM with a certificate in it.
    #[error("it holds no PEM certificate")]
    NotPem,
    /// The key is not RSA with 2048 to 8192 bits.
    #[error("its key is not RSA with 2048 to 8192 bits")]
    NotRsa,
    /// Nobody should hold the key any more; kubeseal refuses it too.
    #[error("it has expired at {0}; fetch the controller's newest certificate")]
    Expired(Instant),
    /// The encryption failed.
    #[error("the value could not be encrypted")]
    Failed,
}

/// Start of validity of the first certificate in a PEM text.
pub(super) fn begins(pem: &[u8]) -> Option<Instant> {
    let block =
        Pem::iter_from_buffer(pem).filter_map(Result::ok).find(|block| block.label == "CERTIFICATE")?;
    let (_, certificate) = parse_x509_certificate(&block.contents).ok()?;
    Some(Instant(certificate.validity().not_before.timestamp().saturating_mul(1000)))
}

/// Something to seal for.
pub struct SealingCertificate {
    public: OaepPublicEncryptingKey,
}

impl std::fmt::Debug for SealingCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingCertificate(RSA-{})", self.public.key_size_bits())
    }
}

impl SealingCertificate {
    /// Reads the first certificate of a PEM file. `now` tells whether it has expired.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_pem(pem: &[u8], now: Instant) -> Result<Self, CertificateError> {
        let certificate = Pem::iter_from_buffer(pem)
            .filter_map(Result::ok)
            .find(|block| block.label == "CERTIFICATE")
            .ok_or(CertificateError::NotPem)?;
        let (_, certificate) =
            parse_x509_certificate(&certificate.contents).map_err(|_| CertificateError::NotPem)?;
        let end = Instant(certificate.validity().not_after.timestamp().saturating_mul(1000));
        if end < now {
            return Err(CertificateError::Expired(end));
        }
        Self::from_public(certificate.public_key().raw)
    }

    /// From a SubjectPublicKeyInfo in DER.
    pub(super) fn from_public(der: &[u8]) -> Result<Self, CertificateError> {
        let public = PublicEncryptingKey::from_der(der)
            .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(Into::into))
            .map_err(|_| CertificateError::NotRsa)?;
        Ok(Self { public })
    }

    /// Seals a value under a label; standard base64, as it stands in `encryptedData`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, value: &[u8], label: &[u8]) -> Result<String, CertificateError> {
        let sealed = cipher::close(&self.public, value, label).map_err(|_| CertificateError::Failed)?;
        Ok(STANDARD.encode(sealed))
    }
}
