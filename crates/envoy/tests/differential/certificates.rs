//! Secrets with certificates as users have them, whole and broken. Keys are made anew in each run.

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
    date_time_ymd,
};
use serde_json::{Value, json};

/// Names of the Secrets, and of one that does not exist.
pub const NAMES: [&str; 28] = [
    "p256",
    "p384",
    "p521",
    "ed25519",
    "ed25519-with-public-key",
    "rsa2048",
    "no-names",
    "expired",
    "long-name",
    "chain",
    "twice",
    "mismatch",
    "broken-second",
    "garbage-second",
    "key-second",
    "other-end",
    "other-label-second",
    "more-in-a-block",
    "more-in-the-key",
    "two-line-ends",
    "text-around",
    "cut",
    "empty",
    "no-pem",
    "no-key",
    "two-keys",
    "key-and-parameters",
    "missing",
];

fn params(names: &[String]) -> CertificateParams {
    CertificateParams::new(names).unwrap()
}

/// A certificate signed by its own key, and that key.
fn pair(algorithm: &'static SignatureAlgorithm) -> (String, String) {
    of(&params(&["a.example.com".into(), "*.example.com".into()]), algorithm)
}

fn of(params: &CertificateParams, algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A leaf and the CA that signed it.
fn chain() -> (String, String) {
    let mut params_of_ca = params(&[]);
    params_of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key_of_ca = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let ca = params_of_ca.self_signed(&key_of_ca).unwrap().pem();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let leaf = params(&["a.example.com".into()])
        .signed_by(&key, &Issuer::new(params_of_ca, key_of_ca))
        .unwrap()
        .pem();
    (format!("{leaf}{ca}"), key.serialize_pem())
}

/// Chain and key of each.
fn material(name: &str) -> Option<(String, String)> {
    let (crt, key) = pair(&PKCS_ECDSA_P256_SHA256);
    let block =
        |content: &str| format!("{crt}-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n");
    Some(match name {
        "p256" => (crt, key),
        "p384" => pair(&PKCS_ECDSA_P384_SHA384),
        "p521" => pair(&PKCS_ECDSA_P521_SHA512),
        // PKCS#8 of version 2 is what is made here; version 1 is the same without what follows the private key.
        "ed25519-with-public-key" => pair(&PKCS_ED25519),
        "ed25519" => {
            let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
            let crt = params(&["a.example.com".into()]).self_signed(&key).unwrap().pem();
            let short = Ed25519KeyPair::from_pkcs8(&key.serialize_der()).unwrap().to_pkcs8v1().unwrap();
            (crt, KeyPair::try_from(short.as_ref()).unwrap().serialize_pem())
        }
        "rsa2048" => pair(&PKCS_RSA_SHA256),
        "no-names" => of(&params(&[]), &PKCS_ECDSA_P256_SHA256),
        "expired" => {
            let mut params = params(&["a.example.com".into()]);
            (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
            of(&params, &PKCS_ECDSA_P256_SHA256)
        }
        "long-name" => of(&params(&["a.".repeat(120) + "com"]), &PKCS_ECDSA_P256_SHA256),
        "chain" => chain(),
        "twice" => (crt.repeat(2), key),
        "mismatch" => (crt, pair(&PKCS_ECDSA_P256_SHA256).1),
        "broken-second" => (block("AAAA"), key),
        "garbage-second" => (block("%%%"), key),
        "key-second" => (format!("{crt}{key}"), key),
        "other-end" => (crt.replace("END CERTIFICATE", "END X"), key),
        "other-label-second" => {
            (block("AAAA").replacen("\n-----BEGIN CERTIFICATE", "\n-----BEGIN X509 CERTIFICATE", 1), key)
        }
        "more-in-a-block" => {
            (block("AAAA").replace("-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n", ""), key)
        }
        "more-in-the-key" => (crt, key.replace("\n-----END", "\nAAAA\n-----END")),
        "two-line-ends" => (crt.replace('\n', "\r\n"), key.replace('\n', "\r\n")),
        "text-around" => (format!("subject=a\n{crt}that was it\n"), format!("Bag Attributes\n{key}")),
        "cut" => (crt[..crt.len() / 2].to_owned(), key),
        "empty" => (String::new(), key),
        "no-pem" => ("MIIB".into(), key),
        "no-key" => (crt, String::new()),
        "two-keys" => (crt, format!("{key}{}", pair(&PKCS_ECDSA_P256_SHA256).1)),
        "key-and-parameters" => {
            let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
            (crt, format!("{parameters}{key}"))
        }
        _ => return None,
    })
}

/// All Secrets.
pub fn secrets() -> impl Iterator<Item = Value> {
    NAMES.iter().filter_map(|name| {
        let (crt, key) = material(name)?;
        Some(json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": "a"}, "stringData": {"tls.crt": crt, "tls.key": key}}))
    })
}
