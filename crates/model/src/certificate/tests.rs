#![allow(clippy::unwrap_used)]

use super::{CertificateRequestParams, KeyEncoding, KeyKind, Usage};
use crate::{Name, input::CertificateSpec};

fn spec() -> CertificateSpec {
    CertificateSpec {
        common_name: String::new(),
        dns_names: vec![Name::new("a.example"), Name::new("*.a.example")],
        ip_addresses: vec![Name::new("192.0.2.1"), Name::new("2001:db8::1")],
        organizations: vec!["Example".to_owned()],
        duration: 3_600_000,
        is_ca: false,
        usages: Vec::new(),
        algorithm: Name::new("RSA"),
        size: 2048,
        pkcs8: false,
    }
}

#[test]
fn defaults_are_those_of_cert_manager() {
    let params = CertificateRequestParams::try_from(&spec()).unwrap();
    assert_eq!(params.usages, [Usage::DigitalSignature, Usage::KeyEncipherment]);
    assert_eq!((params.key, params.encoding), (KeyKind::Rsa2048, KeyEncoding::Traditional));
    let ca = CertificateSpec { is_ca: true, usages: vec![Name::new("server auth")], ..spec() };
    let params = CertificateRequestParams::try_from(&ca).unwrap();
    assert_eq!(params.usages, [Usage::CertSign, Usage::ServerAuth]);
}

#[test]
fn what_cannot_be_made_is_said_with_its_field() {
    let long = CertificateSpec { common_name: "x".repeat(65), ..spec() };
    let dns = |name: &str| CertificateSpec { dns_names: vec![Name::new(name)], ..spec() };
    let usage = CertificateSpec { usages: vec![Name::new("serving")], ..spec() };
    let ip = CertificateSpec { ip_addresses: vec![Name::new("192.0.2.256")], ..spec() };
    let size = CertificateSpec { size: 1024, ..spec() };
    let two = CertificateSpec { organizations: vec!["A".to_owned(), "B".to_owned()], ..spec() };
    for (bad, field, code) in [
        (long, "spec.commonName", 330),
        (dns("a..b"), "spec.dnsNames", 331),
        (dns("a.*.b"), "spec.dnsNames", 331),
        (dns("ü.example"), "spec.dnsNames", 331),
        (dns(""), "spec.dnsNames", 331),
        (dns("-a.example"), "spec.dnsNames", 331),
        (ip, "spec.ipAddresses", 332),
        (usage, "spec.usages", 333),
        (two, "spec.subject.organizations", 335),
        (size, "spec.privateKey", 334),
    ] {
        let error = CertificateRequestParams::try_from(&bad).unwrap_err();
        assert_eq!((error.field, error.code.0), (field, code), "{error}");
        assert!(!error.hint.is_empty());
    }
}
