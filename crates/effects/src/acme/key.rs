//! The private key of an ACME account.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use portolan_model::{
    Redacted,
    certificate::{KeyEncoding, KeyKind},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use super::{Algorithm, Jwk};
use crate::issue::{KeyError, PrivateKey};

/// The private key of an account: RSA, or ECDSA on P-256 or P-384, as Let's Encrypt takes them. Never printed; zeroed
/// when it goes.
pub struct AccountKey {
    key: PrivateKey,
    signer: Signer,
    public: Jwk,
}

enum Signer {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountKey({}, [redacted])", self.public.algorithm().name())
    }
}

impl AccountKey {
    /// Makes a new key. RSA takes up to a second: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for kinds that no ACME server takes (P-521, Ed25519).
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        match kind {
            KeyKind::P521 | KeyKind::Ed25519 => Err(KeyError::Unsupported),
            _ => Self::try_from(PrivateKey::generate(kind)?),
        }
    }

    /// Reads a key from PEM: PKCS#1 (cert-manager's form), PKCS#8 or SEC1.
    ///
    /// # Errors
    /// [`KeyError::NotPem`], [`KeyError::Unsupported`].
    pub fn from_pem(pem: &Redacted) -> Result<Self, KeyError> {
        Self::try_from(PrivateKey::from_pem(pem)?)
    }

    /// Writes the key as cert-manager does, so that it can take over the Secret: PKCS#1 for RSA, SEC1 for ECDSA.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when the key does not have that form.
    pub fn to_pem(&self) -> Result<Redacted, KeyError> {
        self.key.to_pem(KeyEncoding::Traditional)
    }

    /// The public key.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// The public key's thumbprint (RFC 7638), for [`portolan_core::certificates::acme::Wanted::thumbprint`].
    pub fn thumbprint(&self) -> String {
        self.public.thumbprint()
    }

    /// SHA-256 of the private key in base64, over PKCS#1 for RSA as cert-manager has it in `lastPrivateKeyHash`, so that a
    /// change of the key shows. One cannot go back from it to a key.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when the key does not have that form.
    pub fn hash(&self) -> Result<String, KeyError> {
        let pem = self.to_pem()?;
        let der = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(unsupported)?;
        Ok(STANDARD.encode(digest(&SHA256, der.secret_der())))
    }

    /// A flattened JWS (RFC 7515 §7.2.2) over `payload`. `header` gets the algorithm added.
    pub(crate) fn sign(&self, mut header: Value, payload: &[u8]) -> Result<Value, KeyError> {
        header["alg"] = self.public.algorithm().name().into();
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let signature = self.signature(format!("{protected}.{payload}").as_bytes())?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(json!({ "protected": protected, "payload": payload, "signature": signature }))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.signer {
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(unsupported)?;
                Ok(signature)
            }
            Signer::Ecdsa(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(unsupported)
            }
        }
    }
}

impl TryFrom<PrivateKey> for AccountKey {
    type Error = KeyError;

    fn try_from(key: PrivateKey) -> Result<Self, KeyError> {
        let pkcs8 = key.pkcs8();
        let ecdsa = |curve| EcdsaKeyPair::from_pkcs8(curve, pkcs8).map(Signer::Ecdsa).map_err(unsupported);
        let kind = key.pair().algorithm();
        let (algorithm, signer) = if kind == &rcgen::PKCS_RSA_SHA256 {
            (Algorithm::Rs256, RsaKeyPair::from_pkcs8(pkcs8).map(Signer::Rsa).map_err(unsupported)?)
        } else if kind == &rcgen::PKCS_ECDSA_P256_SHA256 {
            (Algorithm::Es256, ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)?)
        } else if kind == &rcgen::PKCS_ECDSA_P384_SHA384 {
            (Algorithm::Es384, ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)?)
        } else {
            return Err(KeyError::Unsupported);
        };
        let public = Jwk::from_raw(algorithm, key.pair().public_key_raw()).ok_or(KeyError::Unsupported)?;
        Ok(Self { key, signer, public })
    }
}

fn unsupported<E>(_: E) -> KeyError {
    KeyError::Unsupported
}
