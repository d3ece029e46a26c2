//! What a certificate must say, valid by construction: the form that keys, requests and signatures are made from.

mod names;
mod subject;

use std::{net::IpAddr, str::FromStr};

use crate::{
    Code, Name,
    input::{CertificateSpec, Subject},
};

pub use names::{NameConstraints, Names, Range, range};
pub use subject::Rdn;

/// Longest `commonName` (X.520 `ub-common-name`), in characters.
pub const LONGEST_COMMON_NAME: usize = 64;

/// What marks a temporary certificate: common name of its issuer, serial number in its subject. cert-manager writes the same
/// (`GenerateLocallySignedTemporaryCertificate`), so one that it left, or that was mirrored, is known as such too.
pub const TEMPORARY: (&str, &str) = ("cert-manager.local", "1234567890");

/// What a certificate must say and which key it is for. Made from a [`CertificateSpec`], which holds the same as the
/// user wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequestParams {
    /// The common name, empty if none; it stands in `subject`.
    pub common_name: String,
    /// The subject: sets of object identifiers and values, in the order of the certificate.
    pub subject: Vec<Rdn>,
    /// `dnsNames` in lower case, in the order written, each once.
    pub dns_names: Vec<String>,
    /// `ipAddresses`, each once.
    pub ip_addresses: Vec<IpAddr>,
    /// `uris`, each once.
    pub uris: Vec<String>,
    /// `emailAddresses`, each once.
    pub emails: Vec<String>,
    /// `otherNames`: object identifier and value.
    pub other_names: Vec<(String, String)>,
    /// Length of validity in milliseconds.
    pub duration: i64,
    /// `isCA`.
    pub is_ca: bool,
    /// `nameConstraints`; `None` if nothing is constrained.
    pub name_constraints: Option<NameConstraints>,
    /// `usages`, sorted; cert-manager's default where none are written, `cert sign` added for a CA.
    pub usages: Vec<Usage>,
    /// The private key's kind and size.
    pub key: KeyKind,
    /// How the private key is written.
    pub encoding: KeyEncoding,
    /// How the request is signed.
    pub signature: Signature,
    /// The request does not say the usages.
    pub plain_request: bool,
}

/// How a request is signed: the certificate itself is signed as the signer's key is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Signature {
    /// As the key is used: RSA by its size, ECDSA by its curve.
    #[default]
    Usual,
    /// RSA with SHA-256.
    RsaSha256,
    /// RSA with SHA-384.
    RsaSha384,
    /// RSA with SHA-512.
    RsaSha512,
}

impl CertificateRequestParams {
    /// Sets the common name as the whole subject.
    #[must_use]
    pub fn named(self, common_name: &str) -> Self {
        let subject = subject::sequence(&Subject::default(), common_name);
        Self { common_name: common_name.to_owned(), subject, ..self }
    }

    /// The same, marked as [`TEMPORARY`] in its subject; Go's order has the serial number last.
    #[must_use]
    pub fn temporary(mut self) -> Self {
        const SERIAL_NUMBER: &str = "2.5.4.5";
        for part in &mut self.subject {
            part.retain(|(id, _)| id != SERIAL_NUMBER);
        }
        self.subject.retain(|part| !part.is_empty());
        self.subject.push(vec![(SERIAL_NUMBER.to_owned(), TEMPORARY.1.to_owned())]);
        self
    }
}

/// Kinds of private key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with 2048 bits.
    #[default]
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// RSA with 8192 bits.
    Rsa8192,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyEncoding {
    /// The algorithm's own form, cert-manager's default: PKCS#1 for RSA, SEC1 for ECDSA. Ed25519 has none and is
    /// written as PKCS#8.
    #[default]
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
    /// cert-manager's webhook refuses it as well; else it is only not made here.
    pub upstream: bool,
}

impl TryFrom<&CertificateSpec> for CertificateRequestParams {
    type Error = InvalidRequest;

    fn try_from(spec: &CertificateSpec) -> Result<Self, InvalidRequest> {
        let (subject, common_name) = subject_of(spec)?;
        let key = key_of(spec)?;
        if common_name.len() > LONGEST_COMMON_NAME {
            let message = format!("commonName has more than {LONGEST_COMMON_NAME} characters");
            let hint = "put the name into dnsNames and leave commonName out";
            return Err(invalid("spec.commonName", 330, message, hint));
        }
        let dns = |name: &Name| is_dns_name(name).then(|| name.to_string());
        let hint = "use letters, digits, hyphens and dots; a wildcard only as the whole first label";
        let wrong = ("spec.dnsNames", 331, "not a DNS name that a certificate can hold", hint);
        let dns_names = each(&spec.dns_names, dns, wrong)?;
        let wrong = ("spec.ipAddresses", 332, "not an IP address", "write it like 192.0.2.1 or 2001:db8::1");
        let ip_addresses = each(&spec.ip_addresses, |text| names::address(text), wrong)?;
        let text = |fits: fn(&str) -> bool| move |text: &Name| fits(text).then(|| text.to_string());
        let wrong =
            ("spec.uris", 337, "not a URI", "write it like spiffe://cluster.example/ns/a/sa/b, in ASCII");
        let uris = each(&spec.uris, text(names::is_uri), wrong)?;
        let hint = "write the address itself and nothing else, like a@example.com";
        let wrong = ("spec.emailAddresses", 337, "invalid email address", hint);
        let emails = each(&spec.emails, text(names::is_mailbox), wrong)?;
        let good = |(id, value): &(Name, String)| subject::is_oid(id) && !value.is_empty();
        if let Some((id, _)) = spec.other_names.iter().find(|name| !good(name)) {
            let message = format!("invalid oid syntax, or no utf8Value: {id:?}");
            let hint = "write oid as numbers with dots, and utf8Value as text that is not empty";
            return Err(invalid("spec.otherNames", 337, message, hint));
        }
        let wrong = (
            "spec.usages",
            333,
            "not a usage",
            "use cert-manager's names, such as `digital signature`, `server auth`, `client auth`",
        );
        let mut usages: Vec<Usage> = each(&spec.usages, |text| text.parse().ok(), wrong)?;
        if usages.is_empty() {
            usages = vec![Usage::DigitalSignature, Usage::KeyEncipherment];
        }
        if spec.is_ca {
            usages.push(Usage::CertSign);
        }
        usages.sort();
        usages.dedup();
        let name_constraints = match &spec.name_constraints {
            None => None,
            Some(written) => {
                let hint = "write ranges like 192.0.2.0/24, and all others in ASCII";
                let read = NameConstraints::read(written)
                    .map_err(|why| invalid("spec.nameConstraints", 337, why, hint))?;
                (!read.is_empty()).then_some(read)
            }
        };
        let other_names: Vec<_> =
            spec.other_names.iter().map(|(id, v)| (id.to_string(), v.clone())).collect();
        Ok(Self {
            common_name,
            subject,
            dns_names,
            ip_addresses,
            uris,
            emails,
            other_names,
            duration: spec.duration,
            is_ca: spec.is_ca,
            name_constraints,
            usages,
            key,
            encoding: if spec.pkcs8 { KeyEncoding::Pkcs8 } else { KeyEncoding::Traditional },
            signature: signature_of(spec)?,
            plain_request: spec.plain_request,
        })
    }
}

fn invalid(field: &'static str, code: u16, message: String, hint: &'static str) -> InvalidRequest {
    // Names and URIs reach the CA as they are written.
    let upstream = !matches!(field, "spec.dnsNames" | "spec.uris");
    InvalidRequest { field, code: Code(code), message, hint, upstream }
}

/// Each value once, in the order written. `wrong` is field, code, what is wrong with one, and what to do.
fn each<T: PartialEq>(
    list: &[Name],
    read: impl Fn(&Name) -> Option<T>,
    wrong: (&'static str, u16, &str, &'static str),
) -> Result<Vec<T>, InvalidRequest> {
    let (field, code, what, hint) = wrong;
    let mut all = Vec::with_capacity(list.len());
    for text in list {
        let value = read(text).ok_or_else(|| invalid(field, code, format!("{text} is {what}"), hint))?;
        if !all.contains(&value) {
            all.push(value);
        }
    }
    Ok(all)
}

/// The subject, and the common name in it.
fn subject_of(spec: &CertificateSpec) -> Result<(Vec<Rdn>, String), InvalidRequest> {
    if spec.literal_subject.is_empty() {
        return Ok((subject::sequence(&spec.subject, &spec.common_name), spec.common_name.clone()));
    }
    let sequence = subject::literal(&spec.literal_subject).map_err(|why| {
        let hint = "write it like CN=name,O=Example,C=NL, with the names in capitals (RFC 4514)";
        invalid("spec.literalSubject", 337, why, hint)
    })?;
    let common_name = subject::common_name(&sequence).unwrap_or_default().to_owned();
    Ok((sequence, common_name))
}

fn key_of(spec: &CertificateSpec) -> Result<KeyKind, InvalidRequest> {
    Ok(match (&*spec.algorithm, spec.size) {
        ("RSA", 2048) => KeyKind::Rsa2048,
        ("RSA", 3072) => KeyKind::Rsa3072,
        ("RSA", 4096) => KeyKind::Rsa4096,
        ("RSA", 8192) => KeyKind::Rsa8192,
        ("ECDSA", 256) => KeyKind::P256,
        ("ECDSA", 384) => KeyKind::P384,
        ("ECDSA", 521) => KeyKind::P521,
        ("Ed25519", _) => KeyKind::Ed25519,
        (algorithm, size) => {
            let message = format!("no {algorithm} keys of size {size} are made");
            let hint = "use RSA with 2048, 3072, 4096 or 8192, ECDSA with 256, 384 or 521, or Ed25519";
            let upstream = algorithm != "RSA" || !(2048..=8192).contains(&size);
            return Err(InvalidRequest { upstream, ..invalid("spec.privateKey", 334, message, hint) });
        }
    })
}

/// What cert-manager allows for a key is either its usual signature or one of RSA's; ECDSA with another digest than its
/// curve's is not made.
fn signature_of(spec: &CertificateSpec) -> Result<Signature, InvalidRequest> {
    Ok(match (&*spec.algorithm, spec.size, &*spec.signature_algorithm) {
        (_, _, "")
        | ("ECDSA", 256, "ECDSAWithSHA256")
        | ("ECDSA", 384, "ECDSAWithSHA384")
        | ("ECDSA", 521, "ECDSAWithSHA512")
        | ("Ed25519", _, "PureEd25519") => Signature::Usual,
        ("RSA", _, "SHA256WithRSA") => Signature::RsaSha256,
        ("RSA", _, "SHA384WithRSA") => Signature::RsaSha384,
        ("RSA", _, "SHA512WithRSA") => Signature::RsaSha512,
        (algorithm, size, signature) => {
            let message = format!("{signature} does not go with {algorithm} keys of size {size}");
            let hint = "leave signatureAlgorithm out; for ECDSA use the digest of the curve's size";
            // cert-manager lets a curve go with any digest of ECDSA.
            let upstream = algorithm != "ECDSA" || !signature.starts_with("ECDSAWith");
            return Err(InvalidRequest {
                upstream,
                ..invalid("spec.signatureAlgorithm", 336, message, hint)
            });
        }
    })
}

/// A DNS name in the preferred syntax (RFC 5280 §4.2.1.6, underscores allowed as CAs for private names do), maybe with
/// a wildcard as its first label. A dot at the end is no part of that syntax, and cert-manager signs it all the same; ACME servers
/// refuse it (`core/src/certificates/solvers.rs`).
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
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
