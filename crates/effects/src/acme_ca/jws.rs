//! Signed requests, verified (RFC 8555 §6.2 to §6.5).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::problem::Problem;
use crate::acme::Jwk;

/// A flattened JWS (RFC 7515 §7.2.2). Unprotected headers and several signatures are forbidden by RFC 8555 §6.2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    nonce: Option<String>,
    url: Option<String>,
    jwk: Option<Value>,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Who signed, as the header names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// The key itself.
    Key(Jwk),
    /// The account's URL.
    Account(String),
}

/// A request that is well-formed; its signature is still to be verified.
pub(super) struct Signed {
    pub(super) signer: Signer,
    pub(super) nonce: String,
    pub(super) url: String,
    pub(super) payload: Vec<u8>,
    alg: String,
    message: String,
    signature: Vec<u8>,
}

impl Signed {
    /// Reads the body of a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let malformed = |why: &str| Problem::malformed(format!("the JWS {why}"));
        let flat: Flattened =
            serde_json::from_slice(body).map_err(|_| malformed("is not a flattened JWS as JSON"))?;
        let decode = |text: &str, part: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| malformed(&format!("has a {part} that is not base64url without padding")))
        };
        let header = decode(&flat.protected, "protected header")?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| malformed("has a protected header that is not as RFC 8555 says"))?;
        if header.crit.is_some() {
            return Err(malformed("has critical extensions, and none is known here"));
        }
        let signer = match (header.jwk, header.kid) {
            (Some(jwk), None) => {
                let unusable = "the key must be RSA of 2048 to 8192 bits, or ECDSA on P-256 or P-384";
                Signer::Key(Jwk::from_json(&jwk).ok_or_else(|| Problem::bad_public_key(unusable))?)
            }
            (None, Some(kid)) => Signer::Account(kid),
            _ => return Err(malformed("must have either jwk or kid")),
        };
        Ok(Self {
            signer,
            nonce: header.nonce.ok_or_else(Problem::bad_nonce)?,
            url: header.url.ok_or_else(|| malformed("names no url"))?,
            payload: decode(&flat.payload, "payload")?,
            alg: header.alg,
            message: format!("{}.{}", flat.protected, flat.payload),
            signature: decode(&flat.signature, "signature")?,
        })
    }

    /// Verifies the signature. The algorithm is the key's, never the header's choice.
    pub(super) fn verify(&self, key: &Jwk) -> Result<(), Problem> {
        if self.alg != key.algorithm().name() {
            return Err(Problem::bad_algorithm());
        }
        if !key.verifies(self.message.as_bytes(), &self.signature) {
            return Err(Problem::unauthorized("the JWS is not signed with the key it names"));
        }
        Ok(())
    }
}
