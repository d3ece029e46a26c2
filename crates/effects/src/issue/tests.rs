#![allow(clippy::unwrap_used)]

use portolan_model::{
    Instant, Redacted,
    certificate::{CertificateRequestParams, KeyEncoding, KeyKind, Usage},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::*;

use super::{IssueError, KeyError, PrivateKey, certificate_request, self_signed, sign_with_ca};

const NOW: Instant = Instant(1_795_000_000_000);
const HOUR: i64 = 3_600_000;

fn params(key: KeyKind) -> CertificateRequestParams {
    CertificateRequestParams {
        common_name: "a.example".to_owned(),
        dns_names: vec!["a.example".to_owned(), "*.a.example".to_owned()],
        ip_addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        organization: Some("Example".to_owned()),
        duration: 48 * HOUR,
        is_ca: false,
        usages: vec![Usage::DigitalSignature, Usage::KeyEncipherment, Usage::ServerAuth, Usage::IpsecUser],
        key,
        encoding: KeyEncoding::Traditional,
    }
}

fn ca(duration: i64, subject: &str) -> (String, Redacted, PrivateKey) {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let params = CertificateRequestParams {
        common_name: subject.to_owned(),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        organization: None,
        duration,
        is_ca: true,
        usages: vec![Usage::CertSign, Usage::CrlSign],
        ..params(KeyKind::P256)
    };
    let made = self_signed(&params, &key, NOW).unwrap();
    (made.chain, key.to_pem(KeyEncoding::Traditional).unwrap(), key)
}

fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

#[test]
fn keys_are_written_as_cert_manager_writes_them_and_read_back() {
    for (kind, traditional) in [
        (KeyKind::Rsa2048, "RSA PRIVATE KEY"),
        (KeyKind::P256, "EC PRIVATE KEY"),
        (KeyKind::P384, "EC PRIVATE KEY"),
        (KeyKind::P521, "EC PRIVATE KEY"),
        (KeyKind::Ed25519, "PRIVATE KEY"),
    ] {
        let key = PrivateKey::generate(kind).unwrap();
        for (encoding, label) in
            [(KeyEncoding::Traditional, traditional), (KeyEncoding::Pkcs8, "PRIVATE KEY")]
        {
            let pem = key.to_pem(encoding).unwrap();
            let text = std::str::from_utf8(pem.expose()).unwrap();
            assert!(text.starts_with(&format!("-----BEGIN {label}-----\n")), "{kind:?}");
            assert!(text.lines().all(|line| line.len() <= 64));
            let again = PrivateKey::from_pem(&pem).unwrap();
            assert_eq!(again.pair().public_key_raw(), key.pair().public_key_raw(), "{kind:?} {encoding:?}");
            assert_eq!(again.to_pem(encoding).unwrap(), pem, "{kind:?} {encoding:?}");
        }
        assert_eq!(format!("{key:?}"), "PrivateKey([redacted])");
    }
}

#[test]
fn larger_rsa_keys_have_their_size() {
    let key = PrivateKey::generate(KeyKind::Rsa3072).unwrap();
    let der = certificate_request(&params(KeyKind::Rsa3072), &key).unwrap();
    let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
    let public = request.certification_request_info.subject_pki.parsed().unwrap();
    assert_eq!(public.key_size(), 3072);
}

#[test]
fn damaged_keys_are_refused_without_showing_them() {
    for (text, error) in [
        ("", KeyError::NotPem),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", KeyError::NotPem),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", KeyError::Unsupported),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", KeyError::Unsupported),
        ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", KeyError::Unsupported),
    ] {
        assert_eq!(PrivateKey::from_pem(&Redacted::from(text)).unwrap_err(), error);
    }
}

#[test]
fn a_request_says_what_is_wanted_and_is_signed() {
    for kind in [KeyKind::Rsa2048, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let key = PrivateKey::generate(kind).unwrap();
        let der = certificate_request(&params(kind), &key).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        request.verify_signature().unwrap();
        let info = &request.certification_request_info;
        assert_eq!(info.subject.iter_organization().next().unwrap().as_str().unwrap(), "Example");
        let names = request.requested_extensions().unwrap().find_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.clone()),
            _ => None,
        });
        assert_eq!(names.unwrap().len(), 4, "{kind:?}");
    }
}

#[test]
fn a_ca_issuer_signs_what_is_wanted() {
    let (root, root_key, root_pair) = ca(1000 * HOUR, "root");
    let key = PrivateKey::generate(KeyKind::Rsa2048).unwrap();
    let issued = sign_with_ca(&root, &root_key, &params(KeyKind::Rsa2048), &key, NOW).unwrap();
    assert_eq!(issued.ca, root.replace("\r\n", "\n"), "ca.crt is the root");
    let chain = ders(&issued.chain);
    assert_eq!(chain.len(), 1, "the self-signed root is not in tls.crt");
    let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
    let (_, root_cert) = {
        let der = ders(&root);
        let der: &'static CertificateDer<'static> = Box::leak(Box::new(der[0].clone()));
        parse_x509_certificate(der).unwrap()
    };
    leaf.verify_signature(Some(root_cert.public_key())).unwrap();
    assert_eq!(leaf.validity().not_before.timestamp() * 1000, NOW.0);
    assert_eq!(leaf.validity().not_after.timestamp() * 1000, NOW.0 + 48 * HOUR);
    assert!(!leaf.is_ca());
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && usage.key_encipherment() && !usage.key_cert_sign());
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.client_auth);
    assert_eq!(extended.other[0].to_id_string(), "1.3.6.1.5.5.7.3.7");
    let aki = leaf.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(aki) => aki.key_identifier.as_ref().map(|k| k.0.to_vec()),
        _ => None,
    });
    let ski = root_cert.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(ski) => Some(ski.0.to_vec()),
        _ => None,
    });
    assert_eq!(aki.unwrap(), ski.unwrap());
    assert_eq!(root_pair.pair().public_key_raw(), root_cert.public_key().subject_public_key.data.as_ref());
}

#[test]
fn an_intermediate_goes_into_the_chain_and_validates() {
    let (root, root_key, _) = ca(1000 * HOUR, "root");
    let middle_key = PrivateKey::generate(KeyKind::P256).unwrap();
    let middle = CertificateRequestParams {
        common_name: "middle".to_owned(),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        is_ca: true,
        duration: 10 * HOUR,
        usages: vec![Usage::CertSign],
        ..params(KeyKind::P256)
    };
    let middle = sign_with_ca(&root, &root_key, &middle, &middle_key, NOW).unwrap();
    let pem = middle_key.to_pem(KeyEncoding::Pkcs8).unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let issued = sign_with_ca(&middle.chain, &pem, &params(KeyKind::P256), &key, NOW).unwrap();
    assert_eq!(ders(&issued.chain).len(), 2);
    let (_, leaf) = {
        let der: &'static CertificateDer<'static> = Box::leak(Box::new(ders(&issued.chain)[0].clone()));
        parse_x509_certificate(der).unwrap()
    };
    assert_eq!(leaf.validity().not_after.timestamp() * 1000, NOW.0 + 10 * HOUR, "not longer than its issuer");

    // With the whole chain in the issuer's Secret the root is ca.crt and stays out of tls.crt.
    let whole = format!("{}{root}", middle.chain);
    let issued = sign_with_ca(&whole, &pem, &params(KeyKind::P256), &key, NOW).unwrap();
    assert_eq!((ders(&issued.chain).len(), ders(&issued.ca)), (2, ders(&root)));
    verify(&issued.chain, &issued.ca, "b.a.example");
}

fn verify(chain: &str, root: &str, name: &'static str) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ders(root)[0].clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let chain = ders(chain);
    let now = rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_millis(
        u64::try_from(NOW.0 + HOUR).unwrap(),
    ));
    rustls::client::danger::ServerCertVerifier::verify_server_cert(
        &*verifier,
        &chain[0],
        &chain[1..],
        &name.try_into().unwrap(),
        &[],
        now,
    )
    .unwrap();
}

#[test]
fn a_self_signed_certificate_is_its_own_ca() {
    for kind in [KeyKind::Rsa2048, KeyKind::P256, KeyKind::Ed25519] {
        let key = PrivateKey::generate(kind).unwrap();
        let issued = self_signed(&params(kind), &key, NOW).unwrap();
        assert_eq!(issued.chain, issued.ca);
        let der = ders(&issued.chain);
        let (_, leaf) = parse_x509_certificate(&der[0]).unwrap();
        leaf.verify_signature(None).unwrap();
        assert_eq!(leaf.subject(), leaf.issuer());
    }
}

#[test]
fn an_unusable_issuer_says_why() {
    let (root, root_key, _) = ca(1000 * HOUR, "root");
    let (_, other_key, _) = ca(1000 * HOUR, "other");
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let wanted = params(KeyKind::P256);
    let leaf = self_signed(&wanted, &key, NOW).unwrap().chain;
    let leaf_key = key.to_pem(KeyEncoding::Pkcs8).unwrap();
    let later = NOW.plus_millis(2000 * HOUR);
    for (chain, ca_key, now, why) in [
        (root.as_str(), &other_key, NOW, "does not belong"),
        (leaf.as_str(), &leaf_key, NOW, "not a CA"),
        (root.as_str(), &root_key, later, "expired"),
        ("", &root_key, NOW, "holds no certificate"),
        (root.as_str(), &Redacted::from("x"), NOW, "not PEM"),
    ] {
        let error = sign_with_ca(chain, ca_key, &wanted, &key, now).unwrap_err();
        assert!(matches!(&error, IssueError::Issuer(text) if text.contains(why)), "{error}");
    }
}
