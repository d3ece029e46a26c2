//! What a certificate and its key say. Parsing only: signatures are made elsewhere.

mod authority;

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::{extensions::GeneralName, oid_registry::OID_X509_SERIALNUMBER, pem::Pem, prelude::*};

use crate::{Instant, Name, Redacted, certificate::TEMPORARY, input::TlsPair};

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
    let leaf = certificate(&pem.contents).ok_or("tls.crt is not a certificate")?;
    others(chain.expose())?;
    let key = key.ok_or("tls.key is missing")?;
    readable(key.expose())?;
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
        temporary: is_temporary(&leaf),
        authority: leaf.is_ca().then(|| Box::new(authority::read(&leaf, chain.expose()))),
    };
    zeroize::Zeroize::zeroize(&mut both);
    Ok(pair)
}

/// Whether it stands there until an issuer has signed.
fn is_temporary(leaf: &X509Certificate<'_>) -> bool {
    let says = |attribute: Option<&AttributeTypeAndValue<'_>>, text: &str| {
        attribute.and_then(|attribute| attribute.as_str().ok()) == Some(text)
    };
    says(leaf.issuer().iter_common_name().next(), TEMPORARY.0)
        && says(leaf.subject().iter_by_oid(&OID_X509_SERIALNUMBER).next(), TEMPORARY.1)
}

/// A certificate with nothing behind it.
fn certificate(der: &[u8]) -> Option<X509Certificate<'_>> {
    parse_x509_certificate(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

/// Reads the blocks behind the leaf: a chain is sent whole, and Envoy refuses it for any certificate in it that it cannot read.
fn others(chain: &[u8]) -> Result<(), String> {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    for (at, block) in Pem::iter_from_buffer(chain).enumerate().skip(1) {
        let whole = block.is_ok_and(|block| {
            !block.label.ends_with("CERTIFICATE") || certificate(&block.contents).is_some()
        });
        if !whole {
            return Err(format!("block {} of tls.crt is not a certificate", at + 1));
        }
    }
    match CertificateDer::pem_slice_iter(chain).find_map(Result::err) {
        Some(_) => Err("tls.crt is not PEM: a block does not end as it begins".to_owned()),
        None => Ok(()),
    }
}

/// Whether there is a private key that needs no password.
fn readable(key: &[u8]) -> Result<(), String> {
    use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
    let text = String::from_utf8_lossy(key);
    // PKCS#8 has a label of its own for it, PKCS#1 and SEC 1 a header line (RFC 1421 §4.6.1.1).
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("tls.key is encrypted, and nobody gives its password to a gateway".to_owned());
    }
    match PrivateKeyDer::from_pem_slice(key) {
        Ok(_) => Ok(()),
        Err(_) => Err("tls.key holds no private key in PEM".to_owned()),
    }
}

/// Why Envoy 1.40 would not take the key of a certificate (`ContextImpl`): RSA below 2048 bits, and curves other than P-256,
/// P-384 and P-521. `None` if it would, or if the kind is not known.
pub fn too_weak(kind: &str) -> Option<String> {
    let fits = match kind.split_once(' ') {
        Some(("RSA", bits)) => bits.parse::<u32>().is_ok_and(|bits| bits >= 2048),
        Some(("ECDSA", bits)) => matches!(bits, "256" | "384" | "521"),
        _ => true,
    };
    let takes = "RSA of 2048 bits or more, ECDSA P-256, P-384 and P-521, and Ed25519";
    (!fits).then(|| format!("its key is {kind}, and Envoy takes {takes}"))
}

/// Why Envoy 1.40 would not read a private key that others read: BoringSSL (`EVP_parse_private_key`) takes PKCS#8 of version 0
/// (RFC 5208) only, not the later one that carries the public key too (RFC 5958 §2, `v2`).
pub fn unread(key: &Redacted) -> Option<String> {
    use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
    let Ok(PrivateKeyDer::Pkcs8(der)) = PrivateKeyDer::from_pem_slice(key.expose()) else { return None };
    let der = der.secret_pkcs8_der();
    // The first element of the sequence is the version; it stands after tag and length.
    let long = der.get(1).filter(|length| **length > 0x80).map_or(0, |length| usize::from(length & 0x7f));
    let version = der.get(2 + long..5 + long);
    let why =
        "tls.key is PKCS#8 of version 2 (RFC 5958), and Envoy takes version 1; write it with `openssl pkey`";
    (version == Some(&[2, 1, 1])).then(|| why.to_owned())
}

/// Kind and size of a key, in the words of `privateKey.algorithm` and `privateKey.size`.
fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> Name {
    use x509_parser::public_key::PublicKey;
    if key.algorithm.algorithm.to_id_string() == "1.3.101.112" {
        return "Ed25519".into();
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => Name::from(format!("RSA {}", rsa.key_size())),
        Ok(PublicKey::EC(point)) => Name::from(match other_curve(key) {
            // Named by its identifier: it may be as long as P-256.
            Some(curve) => format!("ECDSA {curve}"),
            // A P-521 point is padded to whole bytes.
            None => format!("ECDSA {}", point.key_size().min(521)),
        }),
        _ => Name::default(),
    }
}

/// The curve of an EC key, if it is none of P-256, P-384 and P-521.
fn other_curve(key: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    const TLS: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
    (!TLS.contains(&&*curve)).then_some(curve)
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

/// The certificates of a bundle of authorities, written as Envoy reads them.
///
/// # Errors
/// A sentence without a subject that says why it is none.
pub fn bundle(text: &[u8]) -> Result<String, String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut made = String::new();
    for (at, block) in Pem::iter_from_buffer(text).enumerate() {
        let whole = block.ok().filter(|block| block.label == "CERTIFICATE");
        let whole = whole.filter(|block| certificate(&block.contents).is_some());
        let Some(block) = whole else { return Err(format!("block {} is not a certificate", at + 1)) };
        made.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(&block.contents).as_bytes().chunks(64) {
            made.push_str(&String::from_utf8_lossy(line));
            made.push('\n');
        }
        made.push_str("-----END CERTIFICATE-----\n");
    }
    if made.is_empty() { Err("there is no certificate in PEM".to_owned()) } else { Ok(made) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn a_key_that_cannot_be_used_is_named_as_what_it_is() {
        let why = |pem: &str| readable(pem.as_bytes()).unwrap_err();
        assert!(
            why("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
                .contains("encrypted")
        );
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert!(why(old).contains("encrypted"));
        assert!(why("").contains("no private key"));
        assert!(
            why("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("no private key")
        );
        assert!(readable(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_ok());
    }

    #[test]
    fn a_chain_is_read_to_its_end() {
        let leaf = rcgen::generate_simple_self_signed(["a.example.com".into()]).unwrap();
        let (crt, key) = (leaf.cert.pem(), Redacted::from(&*leaf.signing_key.serialize_pem()));
        let read = |chain: &str| super::read(&Redacted::from(chain), Some(&key));
        let block = |content: &str| {
            format!("{crt}-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")
        };
        for good in
            [crt.clone(), crt.repeat(2), format!("subject=a\n{crt}and no more\n"), crt.replace('\n', "\r\n")]
        {
            assert!(read(&good).is_ok(), "{good}");
        }
        for bad in [block("AAAA"), block("%%%"), block("")] {
            assert!(read(&bad).unwrap_err().starts_with("block 2 of tls.crt"), "{bad}");
        }
        let more = STANDARD.encode([leaf.cert.der().as_ref(), &[0; 3]].concat());
        let more = format!("-----BEGIN CERTIFICATE-----\n{more}\n-----END CERTIFICATE-----\n");
        assert!(read(&more).unwrap_err().contains("not a certificate"), "more behind it");
        assert!(read(&format!("{crt}{more}")).unwrap_err().starts_with("block 2"));
        assert!(read(&crt.replace("END CERTIFICATE", "END X")).unwrap_err().contains("does not end"));
    }

    #[test]
    fn a_key_with_its_public_half_is_not_read() {
        use aws_lc_rs::{encoding::AsDer as _, signature::Ed25519KeyPair};
        let key = Ed25519KeyPair::generate().unwrap();
        let pem = |der: &[u8]| {
            let body = STANDARD.encode(der);
            Redacted::from(&*format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"))
        };
        assert!(unread(&pem(key.to_pkcs8().unwrap().as_ref())).unwrap().contains("version 2"));
        assert_eq!(unread(&pem(key.to_pkcs8v1().unwrap().as_ref())), None);
        let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        assert_eq!(unread(&pem(der.as_ref())), None, "a length of several bytes");
        assert_eq!(unread(&Redacted::from("")), None);
    }

    #[test]
    fn keys_that_envoy_refuses() {
        for weak in ["RSA 1024", "RSA 2047", "ECDSA 224", "ECDSA 1.3.132.0.10"] {
            assert!(too_weak(weak).unwrap().contains(weak), "{weak}");
        }
        for fit in ["RSA 2048", "RSA 4096", "ECDSA 256", "ECDSA 384", "ECDSA 521", "Ed25519", ""] {
            assert_eq!(too_weak(fit), None, "{fit}");
        }
    }
}
