//! Key files in their forms.

use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::{encoding::AsDer as _, rsa};
use portolan_model::{Instant, Redacted, certificate::KeyEncoding};

use super::*;
use crate::issue::PrivateKey;

fn pem(encoding: KeyEncoding) -> String {
    let bytes = std::fs::read(demo("key")).unwrap();
    let key = PrivateKey::from_pem(&Redacted::new(bytes)).unwrap();
    String::from_utf8(key.to_pem(encoding).unwrap().expose().to_vec()).unwrap()
}

/// A key of its own, as PKCS#8 PEM.
fn fresh() -> String {
    let der = rsa::PrivateDecryptingKey::generate(rsa::KeySize::Rsa2048).unwrap().as_der().unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
}

fn secret(key: &str, made: &str, label: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"creationTimestamp": made, "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": label}},
        "data": {"tls.key": STANDARD.encode(key)},
    })
}

fn add(content: &str) -> Result<SealingKeys, &'static str> {
    let mut keys = SealingKeys::default();
    keys.add(content.as_bytes()).map(|()| keys)
}

fn opens(keys: &SealingKeys) -> bool {
    let text = certificate().seal(b"v", b"").unwrap();
    keys.unseal(&sealed("s", SealingScope::Cluster, &text)).is_ok()
}

#[test]
fn every_form_of_a_key_is_read() {
    let (old, new) = (pem(KeyEncoding::Traditional), pem(KeyEncoding::Pkcs8));
    assert!(
        old.starts_with("-----BEGIN RSA PRIVATE KEY-----") && new.starts_with("-----BEGIN PRIVATE KEY-----")
    );
    let crt = std::fs::read_to_string(demo("crt")).unwrap();
    let one = secret(&old, "2026-01-01T00:00:00Z", "active");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret(&fresh(), "2025-01-01T00:00:00Z", "active"), one]});
    let block = new.replace('\n', "\n    ");
    let forms = [
        old.clone(),
        new.clone(),
        format!("{crt}{new}"),
        format!("{}{new}", fresh()),
        one.to_string(),
        list.to_string(),
        format!("apiVersion: v1\nkind: Secret\nstringData:\n  tls.key: |\n    {block}\n"),
    ];
    for form in forms {
        let keys = add(&form).unwrap();
        assert!(opens(&keys), "{}", &form[..40]);
        let shown = format!("{keys:?}");
        assert!(!shown.contains("BEGIN") && shown.len() < 40, "{shown}");
    }
    let twice = add(&format!("{old}{new}")).unwrap();
    assert_eq!(twice.len(), 1, "the same key in two forms is one key");
}

#[test]
fn the_newest_key_that_is_not_retired_seals() {
    let demo = pem(KeyEncoding::Traditional);
    let list = |label: &str| {
        let items = [
            secret(&fresh(), "2024-01-01T00:00:00Z", "active"),
            secret(&demo, "2026-01-01T00:00:00Z", label),
        ];
        add(&json!({"kind": "List", "items": items}).to_string()).unwrap()
    };
    let seals_for_demo = |keys: &SealingKeys| {
        let text = keys.certificate().unwrap().seal(b"v", b"").unwrap();
        open(&sealed("s", SealingScope::Cluster, &text)).is_ok()
    };
    assert!(seals_for_demo(&list("active")));
    let retired = list("compromised");
    assert!(!seals_for_demo(&retired) && opens(&retired), "a retired key opens, but seals no more");
}

#[test]
fn what_is_no_key_says_so_and_shows_nothing() {
    let ecdsa = PrivateKey::generate(portolan_model::certificate::KeyKind::P256).unwrap();
    let ecdsa = String::from_utf8(ecdsa.to_pem(KeyEncoding::Pkcs8).unwrap().expose().to_vec()).unwrap();
    let crt = std::fs::read_to_string(demo("crt")).unwrap();
    let damaged = pem(KeyEncoding::Pkcs8).replacen("\nMII", "\nMIQ", 1);
    let text = |content: &str| add(content).unwrap_err();
    for (content, wanted) in [
        ("", "no private key"),
        (crt.as_str(), "no private key"),
        (ecdsa.as_str(), "not RSA"),
        (damaged.as_str(), "damaged"),
        ("apiVersion: v1\nkind: ConfigMap\n", "no Secret"),
        ("apiVersion: other.example/v1\nkind: Secret\n", "no Secret"),
        ("apiVersion: v1\nkind: Secret\ndata: {}\n", "tls.key"),
        ("apiVersion: v1\nkind: Secret\ndata: {tls.key: '%'}\n", "tls.key"),
        ("kind: [\n", "neither PEM nor YAML"),
    ] {
        assert!(text(content).contains(wanted), "{content:.30}: {}", text(content));
    }
    let bytes = SealingKeys::default().add(&[0xff, 0xfe]).unwrap_err();
    assert!(bytes.contains("neither"), "{bytes}");
}

#[test]
fn files_are_named_in_errors_and_open_modes_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let missing = SealingKeys::load(&[&path]).unwrap_err().to_string();
    assert!(missing.contains("key.pem cannot be read"), "{missing}");
    std::fs::write(&path, "nothing").unwrap();
    let wrong = SealingKeys::load(&[&path]).unwrap_err().to_string();
    assert!(wrong.contains("key.pem: it holds"), "{wrong}");
    std::fs::copy(demo("key"), &path).unwrap();
    for (mode, exposed) in [(0o600, false), (0o640, true), (0o604, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let keys = SealingKeys::load(&[&path]).unwrap();
        let wanted = exposed.then(|| Exposed { path: path.clone(), mode });
        assert_eq!(keys.exposed(), wanted.as_slice());
    }
}

#[test]
fn a_certificate_must_be_valid_and_rsa() {
    let crt = std::fs::read(demo("crt")).unwrap();
    let late = SealingCertificate::from_pem(&crt, Instant(i64::MAX)).unwrap_err();
    assert!(matches!(late, CertificateError::Expired(_)), "{late}");
    let none = SealingCertificate::from_pem(b"nothing", Instant(0)).unwrap_err();
    assert_eq!(none, CertificateError::NotPem);
    let key = std::fs::read(demo("key")).unwrap();
    assert_eq!(SealingCertificate::from_pem(&key, Instant(0)).unwrap_err(), CertificateError::NotPem);
}
