#![allow(clippy::unwrap_used)]

use super::{CertificateRequestParams, KeyEncoding, KeyKind, Usage};
use crate::{
    Name,
    input::{CertificateSpec, ConstrainedNames, NameConstraints},
};

fn spec() -> CertificateSpec {
    CertificateSpec {
        common_name: String::new(),
        dns_names: vec![Name::new("a.example"), Name::new("*.a.example")],
        ip_addresses: vec![Name::new("192.0.2.1"), Name::new("2001:db8::1")],
        duration: 3_600_000,
        algorithm: Name::new("RSA"),
        size: 2048,
        ..CertificateSpec::default()
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
    let uri = CertificateSpec { uris: vec![Name::new("a b")], ..spec() };
    let mail = CertificateSpec { emails: vec![Name::new("A <a@b>")], ..spec() };
    let other = CertificateSpec { other_names: vec![("1.x".into(), "v".into())], ..spec() };
    let literal = CertificateSpec { literal_subject: "cn=a".into(), ..spec() };
    let signature = CertificateSpec { signature_algorithm: "ECDSAWithSHA256".into(), ..spec() };
    let range = ConstrainedNames { ip_ranges: vec!["10.0.0.0/33".into()], ..ConstrainedNames::default() };
    let constraints = NameConstraints { permitted: range, ..NameConstraints::default() };
    let constrained = CertificateSpec { name_constraints: Some(constraints), is_ca: true, ..spec() };
    for (bad, field, code) in [
        (long, "spec.commonName", 330),
        (dns("a..b"), "spec.dnsNames", 331),
        (dns("a.*.b"), "spec.dnsNames", 331),
        (dns("ü.example"), "spec.dnsNames", 331),
        (dns(""), "spec.dnsNames", 331),
        (dns("-a.example"), "spec.dnsNames", 331),
        (ip, "spec.ipAddresses", 332),
        (usage, "spec.usages", 333),
        (uri, "spec.uris", 337),
        (mail, "spec.emailAddresses", 337),
        (other, "spec.otherNames", 337),
        (literal, "spec.literalSubject", 337),
        (constrained, "spec.nameConstraints", 337),
        (signature, "spec.signatureAlgorithm", 336),
        (size, "spec.privateKey", 334),
    ] {
        let error = CertificateRequestParams::try_from(&bad).unwrap_err();
        assert_eq!((error.field, error.code.0), (field, code), "{error}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn names_are_held_once_and_in_one_form() {
    let list = |texts: &[&str]| texts.iter().map(|text| Name::new(text)).collect::<Vec<_>>();
    let doubled = CertificateSpec {
        dns_names: list(&["a.example", "b.example", "a.example"]),
        ip_addresses: list(&["2001:0DB8:0:0:0:0:0:7", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"]),
        ..spec()
    };
    let params = CertificateRequestParams::try_from(&doubled).unwrap();
    assert_eq!(params.dns_names, ["a.example", "b.example"]);
    let addresses: Vec<String> = params.ip_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["2001:db8::7", "192.0.2.7"]);
}
