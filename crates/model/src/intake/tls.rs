//! What a certificate and its key say. Parsing only: signatures are made elsewhere.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::{extensions::GeneralName, pem::Pem, prelude::*};

use crate::{Instant, Name, Redacted, input::TlsPair};

/// Reads a PEM chain and the key that belongs to its leaf.
///
/// # Errors
/// A sentence that says what is wrong, without any secret material.
pub fn read(chain: &Redacted, key: Option<&Redacted>) -> Result<TlsPair, String> {
    let pem = Pem::iter_from_buffer(chain.expose())
        .next()
        .ok_or("tls.crt holds no PEM block")?
        .map_err(|_| "tls.crt is not PEM".to_owned())?;
    if pem.label != "CERTIFICATE" {
        return Err(format!("tls.crt begins with a {} block, not a CERTIFICATE", pem.label));
    }
    let (_, leaf) =
        parse_x509_certificate(&pem.contents).map_err(|_| "tls.crt is not a certificate".to_owned())?;
    let key = key.ok_or("tls.key is missing")?;
    let public = leaf.public_key().raw;
    let mut dns_names: Vec<Name> = leaf
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|names| {
            let dns = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(dns) => Some(Name::new(&dns.to_ascii_lowercase())),
                _ => None,
            };
            names.value.general_names.iter().filter_map(dns).collect()
        })
        .unwrap_or_default();
    dns_names.sort();
    dns_names.dedup();
    let common = |name: &X509Name<'_>| {
        name.iter_common_name().next().and_then(|cn| cn.as_str().ok()).map(str::to_owned)
    };
    let mut both = chain.expose().to_vec();
    both.extend_from_slice(key.expose());
    let pair = TlsPair {
        dns_names,
        common_name: common(leaf.subject()).unwrap_or_default(),
        not_before: Instant(leaf.validity().not_before.timestamp().saturating_mul(1000)),
        not_after: Instant(leaf.validity().not_after.timestamp().saturating_mul(1000)),
        serial: hex(leaf.raw_serial()),
        issuer: common(leaf.issuer()).unwrap_or_else(|| leaf.issuer().to_string()),
        public_key: hex(digest(&SHA256, public).as_ref()),
        fingerprint: hex(digest(&SHA256, &both).as_ref()),
        key_matches: key_matches(key.expose(), public),
        is_ca: leaf.is_ca(),
        key: key_kind(leaf.public_key()),
        subject_key_id: key_id(&leaf, |extension| match extension {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
            _ => None,
        }),
        authority_key_id: key_id(&leaf, |extension| match extension {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        }),
    };
    zeroize::Zeroize::zeroize(&mut both);
    Ok(pair)
}

/// Kind and size of a key, in the words of `privateKey.algorithm` and `privateKey.size`.
fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> Name {
    use x509_parser::public_key::PublicKey;
    if key.algorithm.algorithm.to_id_string() == "1.3.101.112" {
        return "Ed25519".into();
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => Name::from(format!("RSA {}", rsa.key_size())),
        // A P-521 point is padded to whole bytes.
        Ok(PublicKey::EC(point)) => Name::from(format!("ECDSA {}", point.key_size().min(521))),
        _ => Name::default(),
    }
}

fn key_id<'c>(
    leaf: &'c X509Certificate<'c>,
    of: impl Fn(&'c ParsedExtension<'c>) -> Option<&'c [u8]>,
) -> Name {
    let id = leaf.extensions().iter().find_map(|extension| of(extension.parsed_extension()));
    Name::from(id.map(hex).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether the private key's public half is the one in the certificate's SubjectPublicKeyInfo.
fn key_matches(pem: &[u8], spki: &[u8]) -> bool {
    use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
    let Ok(key) = PrivateKeyDer::from_pem_slice(pem) else { return false };
    public_of(&key).is_some_and(|public| spki.windows(public.len()).any(|part| part == public))
}

/// The raw public key: what the SubjectPublicKeyInfo's bit string holds.
fn public_of(key: &rustls_pki_types::PrivateKeyDer<'_>) -> Option<Vec<u8>> {
    use aws_lc_rs::{
        rsa::KeyPair as Rsa,
        signature::{
            ECDSA_P256_SHA256_ASN1_SIGNING as P256, ECDSA_P384_SHA384_ASN1_SIGNING as P384,
            ECDSA_P521_SHA512_ASN1_SIGNING as P521, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        },
    };
    use rustls_pki_types::PrivateKeyDer::{Pkcs1, Pkcs8, Sec1};
    let text = |key: &dyn AsRef<[u8]>| key.as_ref().to_vec();
    match key {
        Pkcs1(der) => Rsa::from_der(der.secret_pkcs1_der()).ok().map(|k| text(k.public_key())),
        Sec1(der) => {
            let der = der.secret_sec1_der();
            [&P256, &P384, &P521]
                .into_iter()
                .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())
                .map(|k| text(k.public_key()))
        }
        Pkcs8(der) => {
            let der = der.secret_pkcs8_der();
            (Rsa::from_pkcs8(der).ok().map(|k| text(k.public_key())))
                .or_else(|| {
                    let pair = |curve| EcdsaKeyPair::from_pkcs8(curve, der).ok();
                    [&P256, &P384, &P521].into_iter().find_map(pair).map(|k| text(k.public_key()))
                })
                .or_else(|| Ed25519KeyPair::from_pkcs8(der).ok().map(|k| text(k.public_key())))
        }
        _ => None,
    }
}
