//! Private keys: made, read and written as PEM.

use aws_lc_rs::{
    encoding::AsDer,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RsaEncoding,
    },
};
use portolan_model::{
    Redacted,
    certificate::{KeyEncoding, KeyKind, Signature},
};
use rcgen::{KeyPair, RsaKeySize};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use x509_parser::der_parser::der::parse_der;
use zeroize::Zeroizing;

/// Why a private key cannot be used. Never holds key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or no private key in it.
    #[error("the private key is not PEM with a PKCS#1, PKCS#8 or SEC1 block")]
    NotPem,
    /// Not a key of a kind that is served.
    #[error("the private key is damaged or of a kind that is not served (RSA, ECDSA P-256/384/521, Ed25519)")]
    Unsupported,
    /// The key could not be generated.
    #[error("no private key could be generated")]
    Generate,
}

/// A private key. Its bytes are zeroized when it goes and never printed.
pub struct PrivateKey {
    pair: KeyPair,
    /// The key in PKCS#8, from which every other form is made.
    pkcs8: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}

impl PrivateKey {
    /// Makes a new key. RSA takes up to a second: call it where blocking is allowed.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pair = match kind {
            KeyKind::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyKind::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyKind::Rsa4096 => rsa(RsaKeySize::_4096),
            KeyKind::Rsa8192 => return Self::large(),
            KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyKind::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyKind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        }
        .map_err(|_| KeyError::Generate)?;
        let pkcs8 = version_1(Zeroizing::new(pair.serialize_der()))?;
        Ok(Self { pair, pkcs8 })
    }

    /// RSA with 8192 bits, which takes minutes.
    fn large() -> Result<Self, KeyError> {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa8192)
            .map_err(|_| KeyError::Generate)?;
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).map_err(unsupported)?;
        let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
        let pair = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8.to_vec())).map_err(unsupported)?;
        Ok(Self { pair, pkcs8 })
    }

    /// Reads a key from PEM: PKCS#1, PKCS#8 or SEC1.
    ///
    /// # Errors
    /// [`KeyError::NotPem`] or [`KeyError::Unsupported`].
    pub fn from_pem(pem: &Redacted) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| KeyError::NotPem)?;
        let pkcs8 = version_1(to_pkcs8(&der)?)?;
        let wrapped = PrivatePkcs8KeyDer::from(pkcs8.to_vec());
        let pair = KeyPair::try_from(&wrapped).map_err(|_| KeyError::Unsupported)?;
        Ok(Self { pair, pkcs8 })
    }

    /// Writes the key as PEM.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when the key does not have the form asked for.
    pub fn to_pem(&self, encoding: KeyEncoding) -> Result<Redacted, KeyError> {
        let (label, der) = match encoding {
            KeyEncoding::Pkcs8 => ("PRIVATE KEY", self.pkcs8.clone()),
            KeyEncoding::Traditional => match self.kind_of() {
                Kind::Rsa => ("RSA PRIVATE KEY", inner_key(&self.pkcs8)?),
                Kind::Ec(curve) => ("EC PRIVATE KEY", sec1(curve, &self.pkcs8)?),
                Kind::Ed25519 => ("PRIVATE KEY", self.pkcs8.clone()),
            },
        };
        Ok(pem(label, &der))
    }

    /// How the key signs, as an `AlgorithmIdentifier` in DER.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when it cannot sign so.
    pub(super) fn algorithm(&self, how: Signature) -> Result<Vec<u8>, KeyError> {
        Ok(self.signer(how)?.0)
    }

    /// Signs; gives the algorithm as well.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when it cannot sign so.
    pub(super) fn sign(&self, how: Signature, content: &[u8]) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
        let (algorithm, hash) = self.signer(how)?;
        let signature = match self.kind_of() {
            Kind::Rsa => {
                let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&self.pkcs8).map_err(unsupported)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(hash.ok_or(KeyError::Unsupported)?, &SystemRandom::new(), content, &mut signature)
                    .map_err(unsupported)?;
                signature
            }
            Kind::Ec(curve) => {
                let pair = EcdsaKeyPair::from_pkcs8(curve, &self.pkcs8).map_err(unsupported)?;
                pair.sign(&SystemRandom::new(), content).map_err(unsupported)?.as_ref().to_vec()
            }
            Kind::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(&self.pkcs8).map_err(unsupported)?;
                pair.sign(content).as_ref().to_vec()
            }
        };
        Ok((algorithm, signature))
    }

    /// The algorithm, and for RSA the padding: by the key's size, as cert-manager has it (`pkg/util/pki/csr.go`).
    fn signer(&self, how: Signature) -> Result<(Vec<u8>, Option<&'static dyn RsaEncoding>), KeyError> {
        const ECDSA: [u64; 6] = [1, 2, 840, 10045, 4, 3];
        const RSA: [u64; 6] = [1, 2, 840, 113_549, 1, 1];
        let (prefix, last, parameters, hash): (&[u64], u64, bool, Option<&'static dyn RsaEncoding>) =
            match (self.kind_of(), how) {
                (Kind::Rsa, how) => {
                    let usual = match self.pair.public_key_raw().len() {
                        // The modulus and a few bytes around it.
                        512.. => Signature::RsaSha512,
                        384.. => Signature::RsaSha384,
                        _ => Signature::RsaSha256,
                    };
                    match if how == Signature::Usual { usual } else { how } {
                        Signature::RsaSha512 => (&RSA, 13, true, Some(&RSA_PKCS1_SHA512)),
                        Signature::RsaSha384 => (&RSA, 12, true, Some(&RSA_PKCS1_SHA384)),
                        Signature::RsaSha256 | Signature::Usual => (&RSA, 11, true, Some(&RSA_PKCS1_SHA256)),
                    }
                }
                (Kind::Ec(curve), Signature::Usual) => {
                    let last = if curve == &ECDSA_P256_SHA256_ASN1_SIGNING {
                        2
                    } else if curve == &ECDSA_P384_SHA384_ASN1_SIGNING {
                        3
                    } else {
                        4
                    };
                    (&ECDSA, last, false, None)
                }
                (Kind::Ed25519, Signature::Usual) => (&[1, 3, 101], 112, false, None),
                _ => return Err(KeyError::Unsupported),
            };
        let id = yasna::models::ObjectIdentifier::from_slice(&[prefix, &[last]].concat());
        let algorithm = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_oid(&id);
                if parameters {
                    writer.next().write_null();
                }
            });
        });
        Ok((algorithm, hash))
    }

    /// For building requests and certificates.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// The key as PKCS#8 DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    fn kind_of(&self) -> Kind {
        let algorithm = self.pair.algorithm();
        if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
            Kind::Ec(&ECDSA_P256_SHA256_ASN1_SIGNING)
        } else if algorithm == &rcgen::PKCS_ECDSA_P384_SHA384 {
            Kind::Ec(&ECDSA_P384_SHA384_ASN1_SIGNING)
        } else if algorithm == &rcgen::PKCS_ED25519 {
            Kind::Ed25519
        } else if algorithm == &rcgen::PKCS_RSA_SHA256 {
            Kind::Rsa
        } else {
            Kind::Ec(&ECDSA_P521_SHA512_ASN1_SIGNING)
        }
    }
}

enum Kind {
    Rsa,
    Ec(&'static EcdsaSigningAlgorithm),
    Ed25519,
}

/// The key without its public half, as Go and so cert-manager write it: Envoy reads no PKCS#8 of version 2 (RFC 5958), which
/// Ed25519 keys are made in here.
fn version_1(pkcs8: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&pkcs8) {
        Ok(key) => Ok(Zeroizing::new(key.to_pkcs8v1().map_err(unsupported)?.as_ref().to_vec())),
        Err(_) => Ok(pkcs8),
    }
}

/// Any of the three forms as PKCS#8.
pub(crate) fn to_pkcs8(der: &PrivateKeyDer<'_>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match der {
        PrivateKeyDer::Pkcs8(der) => Ok(Zeroizing::new(der.secret_pkcs8_der().to_vec())),
        PrivateKeyDer::Pkcs1(der) => {
            let key = aws_lc_rs::rsa::KeyPair::from_der(der.secret_pkcs1_der()).map_err(unsupported)?;
            let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).map_err(unsupported)?;
            Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
        }
        PrivateKeyDer::Sec1(der) => {
            let curves = [
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                &ECDSA_P384_SHA384_ASN1_SIGNING,
                &ECDSA_P521_SHA512_ASN1_SIGNING,
            ];
            let read = |curve| EcdsaKeyPair::from_private_key_der(curve, der.secret_sec1_der()).ok();
            let key = curves.into_iter().find_map(read).ok_or(KeyError::Unsupported)?;
            let pkcs8 = key.to_pkcs8v1().map_err(unsupported)?;
            Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
        }
        _ => Err(KeyError::Unsupported),
    }
}

/// The SEC1 form with the curve named in it (RFC 5915), as OpenSSL and Go write it.
fn sec1(curve: &'static EcdsaSigningAlgorithm, pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let key = EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(unsupported)?;
    let private = key.private_key();
    let der =
        AsDer::<aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_>>::as_der(&private).map_err(unsupported)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

/// The `privateKey` of a PKCS#8 `PrivateKeyInfo` (RFC 5208 §5): for RSA that is the PKCS#1 form.
fn inner_key(pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (_, info) = parse_der(pkcs8).map_err(unsupported)?;
    let parts = info.as_sequence().map_err(unsupported)?;
    let key = parts.get(2).and_then(|part| part.as_slice().ok()).ok_or(KeyError::Unsupported)?;
    Ok(Zeroizing::new(key.to_vec()))
}

/// PEM with lines of 64 characters (RFC 7468 §2).
pub(super) fn pem(label: &str, der: &[u8]) -> Redacted {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let body = Zeroizing::new(STANDARD.encode(der));
    // Sized before: a buffer that grows would leave copies behind.
    let mut text = Vec::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 64);
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body.as_bytes().chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    Redacted::new(text)
}

fn unsupported<E>(_: E) -> KeyError {
    KeyError::Unsupported
}
