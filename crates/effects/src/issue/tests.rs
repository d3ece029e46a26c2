#![allow(clippy::unwrap_used)]

use portolan_model::{
    Instant, Redacted,
    certificate::{
        CertificateRequestParams, KeyEncoding, KeyKind, NameConstraints, Names, Signature, Usage, range,
    },
    input::Points,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::*;

use super::{
    Authority, IssueError, Issued, KeyError, PrivateKey, certificate_request, self_signed, sign_with_ca,
};

const NOW: Instant = Instant(1_795_000_000_000);
const HOUR: i64 = 3_600_000;

fn params(key: KeyKind) -> CertificateRequestParams {
    CertificateRequestParams {
        dns_names: vec!["a.example".to_owned(), "*.a.example".to_owned()],
        ip_addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        duration: 48 * HOUR,
        usages: vec![Usage::DigitalSignature, Usage::KeyEncipherment, Usage::ServerAuth, Usage::IpsecUser],
        key,
        ..CertificateRequestParams::default()
    }
    .named("a.example")
}

fn ca(duration: i64, subject: &str) -> (Redacted, Redacted, PrivateKey) {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let params = CertificateRequestParams {
        duration,
        is_ca: true,
        usages: vec![Usage::CertSign, Usage::CrlSign],
        key: KeyKind::P256,
        ..CertificateRequestParams::default()
    }
    .named(subject);
    let made = self_signed(&params, &key, &Points::default(), NOW).unwrap();
    (Redacted::from(&*made.chain), key.to_pem(KeyEncoding::Traditional).unwrap(), key)
}

/// By a CA that knows no root above and names no places.
fn sign(
    chain: &Redacted,
    ca_key: &Redacted,
    params: &CertificateRequestParams,
    key: &PrivateKey,
    now: Instant,
) -> Result<Issued, IssueError> {
    let authority = Authority { chain, key: ca_key, root: None, points: &Points::default() };
    sign_with_ca(authority, params, key, now)
}

fn text(pem: &Redacted) -> &str {
    std::str::from_utf8(pem.expose()).unwrap()
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
        assert_eq!(info.subject.iter_common_name().next().unwrap().as_str().unwrap(), "a.example");
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
    let issued = sign(&root, &root_key, &params(KeyKind::Rsa2048), &key, NOW).unwrap();
    assert_eq!(issued.ca, text(&root), "ca.crt is the root");
    let chain = ders(&issued.chain);
    assert_eq!(chain.len(), 1, "the self-signed root is not in tls.crt");
    let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
    let (_, root_cert) = {
        let der = ders(text(&root));
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
        is_ca: true,
        duration: 10 * HOUR,
        usages: vec![Usage::CertSign],
        key: KeyKind::P256,
        ..CertificateRequestParams::default()
    }
    .named("middle");
    let middle = sign(&root, &root_key, &middle, &middle_key, NOW).unwrap();
    let pem = middle_key.to_pem(KeyEncoding::Pkcs8).unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let issued = sign(&Redacted::from(&*middle.chain), &pem, &params(KeyKind::P256), &key, NOW).unwrap();
    assert_eq!(ders(&issued.chain).len(), 2);
    let (_, leaf) = {
        let der: &'static CertificateDer<'static> = Box::leak(Box::new(ders(&issued.chain)[0].clone()));
        parse_x509_certificate(der).unwrap()
    };
    assert_eq!(leaf.validity().not_after.timestamp() * 1000, NOW.0 + 10 * HOUR, "not longer than its issuer");

    // With the whole chain in the issuer's Secret, in whatever order above the CA and with the root in ca.crt or not, the
    // root is ca.crt and stays out of tls.crt.
    let top = text(&root).to_owned();
    for (chain, extra) in [
        (format!("{}{top}", middle.chain), None),
        (middle.chain.clone(), Some(root.clone())),
        (format!("{}{top}{top}", middle.chain), Some(root.clone())),
    ] {
        let chain = Redacted::from(&*chain);
        let authority =
            Authority { chain: &chain, key: &pem, root: extra.as_ref(), points: &Points::default() };
        let issued = sign_with_ca(authority, &params(KeyKind::P256), &key, NOW).unwrap();
        assert_eq!((ders(&issued.chain).len(), ders(&issued.ca)), (2, ders(&top)));
        verify(&issued.chain, &issued.ca, "b.a.example");
    }
}

/// While a CA is changed, the old root beside the new one would become `ca.crt`, which verifies nothing.
#[test]
fn certificates_that_are_no_part_of_the_chain_are_refused() {
    let (new, new_key, _) = ca(1000 * HOUR, "House newroot");
    let (old, _, _) = ca(1000 * HOUR, "House oldroot");
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let both = Redacted::from(&*format!("{}{}", text(&new), text(&old)));
    let error = sign(&both, &new_key, &params(KeyKind::P256), &key, NOW).unwrap_err().to_string();
    assert!(
        error.contains("certificate chain is malformed or broken") && error.contains("oldroot"),
        "{error}"
    );
    let points = Points::default();
    let authority = Authority { chain: &new, key: &new_key, root: Some(&old), points: &points };
    assert!(sign_with_ca(authority, &params(KeyKind::P256), &key, NOW).is_err());
    let authority = Authority { root: Some(&new), ..authority };
    assert_eq!(sign_with_ca(authority, &params(KeyKind::P256), &key, NOW).unwrap().ca, text(&new));
}

/// Everything that can stand in a certificate, read by OpenSSL.
#[test]
fn every_field_stands_in_the_certificate() {
    let own = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<String>>();
    let constraints = NameConstraints {
        critical: true,
        permitted: Names {
            dns: own(&["tenant.example"]),
            ranges: vec![range("10.0.0.0/8").unwrap(), range("2001:db8::/32").unwrap()],
            emails: own(&["tenant.example"]),
            uris: own(&[".tenant.example"]),
        },
        excluded: Names { dns: own(&["pay.tenant.example"]), ..Names::default() },
    };
    let oid = |id: &str, values: &[&str]| -> Vec<(String, String)> {
        values.iter().map(|value| (id.to_owned(), (*value).to_owned())).collect()
    };
    let (root, root_key, _) = ca(1000 * HOUR, "root");
    let params = CertificateRequestParams {
        subject: vec![
            oid("2.5.4.6", &["NL"]),
            oid("2.5.4.10", &["Shop", "Lučić"]),
            oid("2.5.4.3", &["cart"]),
        ],
        uris: own(&["spiffe://shop.example/ns/shop/sa/cart"]),
        emails: own(&["cart@shop.example"]),
        other_names: vec![("1.3.6.1.4.1.311.20.2.3".into(), "cart@corp.example".into())],
        name_constraints: Some(constraints),
        is_ca: true,
        usages: vec![
            Usage::CertSign,
            Usage::CrlSign,
            Usage::DecipherOnly,
            Usage::ServerAuth,
            Usage::OcspSigning,
        ],
        ..params(KeyKind::P256)
    };
    let points = Points {
        crl: vec!["http://crl.shop.example/b.crl".into()],
        ocsp: vec!["http://ocsp.shop.example".into()],
        issuing: vec!["http://ca.shop.example/ca.crt".into()],
    };
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let authority = Authority { chain: &root, key: &root_key, root: None, points: &points };
    let issued = sign_with_ca(authority, &params, &key, NOW).unwrap();
    assert!(parse_x509_certificate(&ders(&issued.chain)[0]).unwrap().0.is_empty());
    let Some(openssl) = portolan_testkit::suites::program("openssl") else {
        return portolan_testkit::suites::skip("certificates read by OpenSSL", "openssl is missing");
    };
    let dir = tempfile::tempdir().unwrap();
    let show = |name: &str, content: &[u8], args: &[&str]| {
        let file = dir.path().join(name);
        std::fs::write(&file, content).unwrap();
        let output = std::process::Command::new(&openssl).args(args).arg("-in").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = show(
        "leaf.pem",
        issued.chain.as_bytes(),
        &["x509", "-noout", "-text", "-nameopt", "RFC2253,utf8,-esc_msb"],
    );
    for part in [
        "CN=cart",
        "O=Shop",
        "Lučić",
        "C=NL",
        "URI:spiffe://shop.example/ns/shop/sa/cart",
        "email:cart@shop.example",
        "DNS:a.example, DNS:*.a.example",
        "IP Address:192.0.2.7",
        "CA:TRUE",
        "Certificate Sign, CRL Sign, Decipher Only",
        "TLS Web Server Authentication, OCSP Signing",
        "X509v3 Name Constraints: critical",
        "IP:10.0.0.0/255.0.0.0",
        "URI:.tenant.example",
        "URI:http://crl.shop.example/b.crl",
        "OCSP - URI:http://ocsp.shop.example",
        "CA Issuers - URI:http://ca.shop.example/ca.crt",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(shown.contains("othername"), "{shown}");
    let request = certificate_request(&params, &key).unwrap();
    let shown = show("request.der", &request, &["req", "-inform", "DER", "-noout", "-text", "-verify"]);
    for part in
        ["spiffe://shop.example", "Name Constraints", "Certificate Sign", "TLS Web Server Authentication"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let plain = CertificateRequestParams { plain_request: true, ..params };
    let shown = show(
        "plain.der",
        &certificate_request(&plain, &key).unwrap(),
        &["req", "-inform", "DER", "-noout", "-text"],
    );
    assert!(!shown.contains("Certificate Sign") && shown.contains("spiffe://"), "{shown}");
}

/// RSA signs by its size, and a request as it is asked to (cert-manager `pkg/util/pki/csr.go`).
#[test]
fn signatures_are_those_of_cert_manager() {
    let small = PrivateKey::generate(KeyKind::Rsa2048).unwrap();
    let middle = PrivateKey::generate(KeyKind::Rsa3072).unwrap();
    let curve = PrivateKey::generate(KeyKind::P384).unwrap();
    for (key, how, oid) in [
        (&small, Signature::Usual, "1.2.840.113549.1.1.11"),
        (&small, Signature::RsaSha512, "1.2.840.113549.1.1.13"),
        (&middle, Signature::Usual, "1.2.840.113549.1.1.12"),
        (&curve, Signature::Usual, "1.2.840.10045.4.3.3"),
    ] {
        let params = CertificateRequestParams { signature: how, ..params(KeyKind::Rsa2048) };
        let der = certificate_request(&params, key).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        request.verify_signature().unwrap();
        assert_eq!(request.signature_algorithm.algorithm.to_id_string(), oid);
    }
    let params = CertificateRequestParams { signature: Signature::RsaSha512, ..params(KeyKind::P384) };
    assert!(certificate_request(&params, &curve).is_err());
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
        let issued = self_signed(&params(kind), &key, &Points::default(), NOW).unwrap();
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
    let leaf = Redacted::from(&*self_signed(&wanted, &key, &Points::default(), NOW).unwrap().chain);
    let leaf_key = key.to_pem(KeyEncoding::Pkcs8).unwrap();
    let later = NOW.plus_millis(2000 * HOUR);
    for (chain, ca_key, now, why) in [
        (&root, &other_key, NOW, "does not belong"),
        (&leaf, &leaf_key, NOW, "not a CA"),
        (&root, &root_key, later, "expired"),
        (&root, &root_key, NOW.plus_millis(1000 * HOUR), "expired"),
        (&root, &root_key, NOW.plus_millis(-HOUR), "not valid before"),
        (&Redacted::from(""), &root_key, NOW, "holds no certificate"),
        (&root, &Redacted::from("x"), NOW, "not PEM"),
    ] {
        let error = sign(chain, ca_key, &wanted, &key, now).unwrap_err();
        assert!(matches!(&error, IssueError::Issuer(text) if text.contains(why)), "{error}");
    }
}
