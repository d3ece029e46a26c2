//! Makes private keys, certificate signing requests, and certificates of `ca` and `selfSigned` issuers.
//!
//! What to make was decided elsewhere and comes as [`portolan_model::certificate::CertificateRequestParams`]; nothing
//! in here waits or reads a clock, but keys need randomness, so it lives with the effects.

mod chain;
mod encode;
mod key;
mod request;
mod sign;
#[cfg(test)]
mod tests;

pub(crate) use key::to_pkcs8;
pub use key::{KeyError, PrivateKey};
pub use request::{certificate_request, request_pem};
pub(crate) use sign::serial;
pub use sign::{Authority, Issued, self_signed, sign_with_ca, temporary};
pub use sign::{pem, set_validity};

/// Why nothing was made. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The key pair of the issuer cannot be used.
    #[error("the issuer's key pair cannot be used: {0}")]
    Issuer(String),
    /// The certificate's own key cannot be used.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The certificate or request cannot be built.
    #[error("the certificate cannot be built: {0}")]
    Build(#[from] rcgen::Error),
    /// The system gives no random bytes.
    #[error("no randomness is to be had")]
    NoRandomness,
}
