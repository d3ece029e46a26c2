//! PEM and X.509: certificates, chains, keys, and what is made of them (CSRs, signatures, keystores).
#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::certificates::rows::Store;
use portolan_effects::{
    fuzzing,
    issue::{Authority, PrivateKey, certificate_request, self_signed, sign_with_ca},
    sealed::SealingCertificate,
};
use portolan_fuzz::target;
use portolan_model::{
    Instant, Redacted,
    certificate::{CertificateRequestParams, KeyEncoding, KeyKind},
    input::{Pkcs12Profile, Points, StoreForm},
    intake::tls,
};

const NOW: Instant = Instant(1_790_000_000_000);

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeyKind::P256).expect("randomness"));

fn params() -> CertificateRequestParams {
    CertificateRequestParams {
        dns_names: vec!["a.example.com".into()],
        duration: 3_600_000,
        ..CertificateRequestParams::default()
    }
}

/// A CA of ours, so that a stranger's chain stands beside a key that fits nothing in it, and a leaf that fits its own.
static OURS: LazyLock<(Redacted, Redacted)> = LazyLock::new(|| {
    let params = CertificateRequestParams { is_ca: true, ..params() };
    let issued = self_signed(&params, &KEY, &Points::default(), NOW).expect("it is made");
    (issued.chain.as_str().into(), KEY.to_pem(KeyEncoding::Pkcs8).expect("it has that form"))
});

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn pair(chain: &str, key: &str) {
    let (chain, key) = (Redacted::from(chain), Redacted::from(key));
    if let Ok(read) = tls::read(&chain, Some(&key)) {
        assert!(read.dns_names.is_sorted());
        let _ = tls::too_weak(&read.key);
    }
    let _ = tls::unread(&key);
    let _ = SealingCertificate::from_pem(chain.expose(), NOW);
    let points = Points::default();
    for key in [&key, &OURS.1] {
        for root in [None, Some(&OURS.0), Some(&chain)] {
            let authority = Authority { chain: &chain, key, root, points: &points };
            let _ = sign_with_ca(authority, &params(), &KEY, NOW);
        }
    }
    let _ = sign_with_ca(
        Authority { chain: &OURS.0, key: &OURS.1, root: Some(&chain), points: &points },
        &params(),
        &KEY,
        NOW,
    );
}

/// A key that is read is written in both forms and read again as the same.
fn key(text: &str) {
    let Ok(key) = PrivateKey::from_pem(&Redacted::from(text)) else { return };
    assert!(certificate_request(&params(), &key).is_ok(), "it signs");
    for encoding in [KeyEncoding::Pkcs8, KeyEncoding::Traditional] {
        let written = key.to_pem(encoding).expect("every key that is read has both forms");
        let again = PrivateKey::from_pem(&written).expect("our own");
        assert!(again.pkcs8() == key.pkcs8(), "the same key");
    }
}

fn keystores(chain: &str, ca: &str) {
    let data: BTreeMap<_, _> = [
        ("tls.key".into(), OURS.1.clone()),
        ("tls.crt".into(), Redacted::from(chain)),
        ("ca.crt".into(), Redacted::from(ca)),
    ]
    .into();
    let forms = [StoreForm::Jks { alias: "a".into() }, StoreForm::Pkcs12(Pkcs12Profile::Modern2023)];
    for form in forms {
        let _ = fuzzing::keystore(&Store { form, password: "changeit".into() }, &data, NOW);
    }
}

target!(|bytes| {
    let Some(([how], rest)) = bytes.split_first_chunk() else { return };
    let text = String::from_utf8_lossy(rest);
    let half = rest.len() / 2;
    let certificate = pem("CERTIFICATE", rest);
    match how % 9 {
        0 => pair(&text, &OURS.1.expose().iter().map(|b| char::from(*b)).collect::<String>()),
        1 => {
            let (chain, key) = text.split_once('\0').unwrap_or((&text, ""));
            pair(chain, key);
        }
        2 => pair(&certificate, &String::from_utf8_lossy(OURS.1.expose())),
        3 => pair(&(pem("CERTIFICATE", &rest[..half]) + &pem("CERTIFICATE", &rest[half..])), ""),
        4 => key(&text),
        5 => key(&pem("PRIVATE KEY", rest)),
        6 => key(&pem("EC PRIVATE KEY", rest)),
        7 => key(&pem("RSA PRIVATE KEY", rest)),
        _ => keystores(&certificate, &certificate),
    }
});
