//! What a certificate must say, valid by construction: the form that keys, requests and signatures are made from.

use std::{net::IpAddr, str::FromStr};

use crate::{Code, input::CertificateSpec};

/// Longest `commonName` (X.520 `ub-common-name`), in characters.
pub const LONGEST_COMMON_NAME: usize = 64;

/// What a certificate must say and which key it is for. Made from a [`CertificateSpec`], which holds the same as the
/// user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequestParams {
    /// `commonName`, empty if none.
    pub common_name: String,
    /// `dnsNames` in lower case, in the order written.
    pub dns_names: Vec<String>,
    /// `ipAddresses`.
    pub ip_addresses: Vec<IpAddr>,
    /// `subject.organizations`: one at most is served.
    pub organization: Option<String>,
    /// Length of validity in milliseconds.
    pub duration: i64,
    /// `isCA`.
    pub is_ca: bool,
    /// `usages`, sorted; cert-manager's default where none are written, `cert sign` added for a CA.
    pub usages: Vec<Usage>,
    /// The private key's kind and size.
    pub key: KeyKind,
    /// How the private key is written.
    pub encoding: KeyEncoding,
}

/// Kinds of private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
}

/// How a private key is written as PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyEncoding {
    /// The algorithm's own form, cert-manager's default: PKCS#1 for RSA, SEC1 for ECDSA. Ed25519 has none and is
    /// written as PKCS#8.
    Traditional,
    /// PKCS#8.
    Pkcs8,
}

macro_rules! usages {
    ($($(#[$doc:meta])* $name:ident = $text:literal $(| $other:literal)*),* $(,)?) => {
        /// A key usage or extended key usage, by cert-manager's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Usage {
            $($(#[$doc])* $name,)*
        }

        impl Usage {
            /// cert-manager's name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl FromStr for Usage {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                match text {
                    $($text $(| $other)* => Ok(Self::$name),)*
                    _ => Err(()),
                }
            }
        }
    };
}

usages! {
    /// digitalSignature
    DigitalSignature = "digital signature" | "signing",
    /// contentCommitment (nonRepudiation)
    ContentCommitment = "content commitment",
    /// keyEncipherment
    KeyEncipherment = "key encipherment",
    /// keyAgreement
    KeyAgreement = "key agreement",
    /// dataEncipherment
    DataEncipherment = "data encipherment",
    /// keyCertSign
    CertSign = "cert sign",
    /// cRLSign
    CrlSign = "crl sign",
    /// encipherOnly
    EncipherOnly = "encipher only",
    /// decipherOnly
    DecipherOnly = "decipher only",
    /// anyExtendedKeyUsage
    Any = "any",
    /// id-kp-serverAuth
    ServerAuth = "server auth",
    /// id-kp-clientAuth
    ClientAuth = "client auth",
    /// id-kp-codeSigning
    CodeSigning = "code signing",
    /// id-kp-emailProtection
    EmailProtection = "email protection" | "s/mime",
    /// id-kp-ipsecEndSystem
    IpsecEndSystem = "ipsec end system",
    /// id-kp-ipsecTunnel
    IpsecTunnel = "ipsec tunnel",
    /// id-kp-ipsecUser
    IpsecUser = "ipsec user",
    /// id-kp-timeStamping
    Timestamping = "timestamping",
    /// id-kp-OCSPSigning
    OcspSigning = "ocsp signing",
    /// Microsoft server gated crypto
    MicrosoftSgc = "microsoft sgc",
    /// Netscape server gated crypto
    NetscapeSgc = "netscape sgc",
}

/// Why no certificate can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// Path of the field.
    pub field: &'static str,
    /// Stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl TryFrom<&CertificateSpec> for CertificateRequestParams {
    type Error = InvalidRequest;

    fn try_from(spec: &CertificateSpec) -> Result<Self, InvalidRequest> {
        let invalid = |field, code, message, hint| InvalidRequest { field, code: Code(code), message, hint };
        if spec.common_name.chars().count() > LONGEST_COMMON_NAME {
            let message = format!("commonName has more than {LONGEST_COMMON_NAME} characters");
            return Err(invalid(
                "spec.commonName",
                330,
                message,
                "put the name into dnsNames and leave commonName out",
            ));
        }
        if spec.organizations.len() > 1 {
            let message = "more than one organization is not served".to_owned();
            return Err(invalid("spec.subject.organizations", 335, message, "leave one organization"));
        }
        let dns_names: Vec<String> = spec.dns_names.iter().map(ToString::to_string).collect();
        if let Some(name) = dns_names.iter().find(|name| !is_dns_name(name)) {
            let message = format!("{name} is not a DNS name that a certificate can hold");
            let hint = "use letters, digits, hyphens and dots; a wildcard only as the whole first label";
            return Err(invalid("spec.dnsNames", 331, message, hint));
        }
        let mut ip_addresses = Vec::new();
        for text in &spec.ip_addresses {
            let message = || format!("{text} is not an IP address");
            let hint = "write it like 192.0.2.1 or 2001:db8::1";
            ip_addresses.push(text.parse().map_err(|_| invalid("spec.ipAddresses", 332, message(), hint))?);
        }
        let mut usages = Vec::new();
        for text in &spec.usages {
            let message = || format!("{text} is not a usage");
            let hint = "use cert-manager's names, such as `digital signature`, `server auth`, `client auth`";
            usages.push(text.parse().map_err(|()| invalid("spec.usages", 333, message(), hint))?);
        }
        if usages.is_empty() {
            usages = vec![Usage::DigitalSignature, Usage::KeyEncipherment];
        }
        if spec.is_ca {
            usages.push(Usage::CertSign);
        }
        usages.sort();
        usages.dedup();
        let key = match (&*spec.algorithm, spec.size) {
            ("RSA", 2048) => KeyKind::Rsa2048,
            ("RSA", 3072) => KeyKind::Rsa3072,
            ("RSA", 4096) => KeyKind::Rsa4096,
            ("ECDSA", 256) => KeyKind::P256,
            ("ECDSA", 384) => KeyKind::P384,
            ("ECDSA", 521) => KeyKind::P521,
            ("Ed25519", _) => KeyKind::Ed25519,
            (algorithm, size) => {
                let message = format!("no {algorithm} keys of size {size} are made");
                let hint = "use RSA with 2048, 3072 or 4096, ECDSA with 256, 384 or 521, or Ed25519";
                return Err(invalid("spec.privateKey", 334, message, hint));
            }
        };
        Ok(Self {
            common_name: spec.common_name.clone(),
            dns_names,
            ip_addresses,
            organization: spec.organizations.first().cloned(),
            duration: spec.duration,
            is_ca: spec.is_ca,
            usages,
            key,
            encoding: if spec.pkcs8 { KeyEncoding::Pkcs8 } else { KeyEncoding::Traditional },
        })
    }
}

/// A DNS name in the preferred syntax (RFC 5280 §4.2.1.6, underscores allowed as CAs for private names do), maybe with
/// a wildcard as its first label.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests;
