//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 §6): those of ACME accounts.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_parser::der_parser::der::parse_der;

/// Shortest and longest RSA modulus of an account, in bytes (2048 and 8192 bits).
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Signature algorithms of account keys (RFC 7518 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
}

impl Algorithm {
    /// All, in the order in which a server lists them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::Es384];

    /// Name in a JWS header (`alg`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// Name of the curve (`crv`) and length of a coordinate in bytes; none for RSA.
    const fn curve(self) -> Option<(&'static str, usize)> {
        match self {
            Self::Rs256 => None,
            Self::Es256 => Some(("P-256", 32)),
            Self::Es384 => Some(("P-384", 48)),
        }
    }
}

/// A public key of an account: RSA (`first` is the modulus, `second` the exponent) or ECDSA (the coordinates). Big-endian;
/// numbers of RSA without leading zeros, coordinates in full length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jwk {
    algorithm: Algorithm,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Jwk {
    /// From the key as it stands in a certificate: the DER of an `RSAPublicKey` (RFC 8017 §A.1.1) or an uncompressed
    /// point (SEC 1 §2.3.3).
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Option<Self> {
        if let Some((_, length)) = algorithm.curve() {
            let point = raw.strip_prefix(&[4]).filter(|point| point.len() == 2 * length)?;
            let (x, y) = point.split_at(length);
            return Self { algorithm, first: x.to_vec(), second: y.to_vec() }.sound();
        }
        let (_, sequence) = parse_der(raw).ok()?;
        let numbers = sequence.as_sequence().ok()?;
        let number = |at: usize| {
            let bytes = numbers.get(at)?.as_slice().ok()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        Self { algorithm, first: number(0)?, second: number(1)? }.sound()
    }

    /// From JSON, as a JWS header has it. `None` for kinds of key that no account may have.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        match text("kty")? {
            "RSA" => Self { algorithm: Algorithm::Rs256, first: bytes("n")?, second: bytes("e")? }.sound(),
            "EC" => {
                let named = |algorithm: &Algorithm| algorithm.curve().map(|(name, _)| name) == text("crv");
                let algorithm = Algorithm::ALL.into_iter().find(named)?;
                Self { algorithm, first: bytes("x")?, second: bytes("y")? }.sound()
            }
            _ => None,
        }
    }

    fn sound(self) -> Option<Self> {
        let sound = match self.algorithm.curve() {
            Some((_, length)) => self.first.len() == length && self.second.len() == length,
            None => {
                RSA_BYTES.contains(&self.first.len())
                    && self.first[0] != 0
                    && (1..=4).contains(&self.second.len())
                    && self.second[0] != 0
                    && self.second.last().is_some_and(|byte| byte % 2 == 1)
                    && self.second != [1]
            }
        };
        sound.then_some(self)
    }

    /// The only algorithm that signatures of this key may have.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let (first, second) = (URL_SAFE_NO_PAD.encode(&self.first), URL_SAFE_NO_PAD.encode(&self.second));
        match self.algorithm.curve() {
            None => json!({ "kty": "RSA", "n": first, "e": second }),
            Some((crv, _)) => json!({ "kty": "EC", "crv": crv, "x": first, "y": second }),
        }
    }

    /// The thumbprint of RFC 7638 with SHA-256, base64url.
    pub fn thumbprint(&self) -> String {
        let (first, second) = (URL_SAFE_NO_PAD.encode(&self.first), URL_SAFE_NO_PAD.encode(&self.second));
        // Members in lexical order without blanks (RFC 7638 §3.3): written out, not left to a serialiser's settings.
        let canonical = match self.algorithm.curve() {
            None => format!(r#"{{"e":"{second}","kty":"RSA","n":"{first}"}}"#),
            Some((crv, _)) => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{first}","y":"{second}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let point = || [&[4], &*self.first, &*self.second].concat();
        match self.algorithm {
            Algorithm::Rs256 => RsaPublicKeyComponents { n: &*self.first, e: &*self.second }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Algorithm::Es256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(message, signature).is_ok()
            }
            Algorithm::Es384 => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(message, signature).is_ok()
            }
        }
    }
}
