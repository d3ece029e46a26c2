//! Sealed values: what is opened, what is sealed, and the files that keys are in.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_effects::{
    fuzzing,
    issue::PrivateKey,
    sealed::{Sealing, SealingKeys, label, read_secrets, seal_secret, secret_object},
};
use portolan_fuzz::target;
use portolan_model::{
    NamespacedName, Object, Origin,
    certificate::{KeyEncoding, KeyKind},
    input::{SealedSecret, SealingScope},
    intake::{Fact, intake},
};
use serde_json::json;

const SCOPES: [SealingScope; 3] = [SealingScope::Strict, SealingScope::Namespace, SealingScope::Cluster];

static KEYS: LazyLock<SealingKeys> = LazyLock::new(|| {
    let key = PrivateKey::generate(KeyKind::Rsa2048).expect("there is randomness");
    let pem = key.to_pem(KeyEncoding::Pkcs8).expect("it has that form");
    fuzzing::sealing_keys(pem.expose()).expect("a key of ours")
});

/// What is said of a value that is opened is in one of these namespaces.
fn sealed(scope: SealingScope, value: String) -> Option<SealedSecret> {
    let annotation = match scope {
        SealingScope::Strict => json!({}),
        SealingScope::Namespace => json!({"sealedsecrets.bitnami.com/namespace-wide": "true"}),
        SealingScope::Cluster => json!({"sealedsecrets.bitnami.com/cluster-wide": "true"}),
    };
    let json = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
        "metadata": {"name": "token", "namespace": "team-a", "annotations": annotation},
        "spec": {"encryptedData": {"value": value}},
    });
    match intake(&Object::from_json(json, Origin::default()).ok()?).fact? {
        Fact::SealedSecret(sealed) => Some(sealed),
        _ => None,
    }
}

/// A value of a stranger: opened, or a reason.
fn opened(text: &str, scope: SealingScope) {
    let Some(sealed) = sealed(scope, text.to_owned()) else { return };
    if let Ok(values) = KEYS.unseal(&sealed) {
        let object = secret_object(&sealed, &values, "uid");
        assert_eq!(object.key.name, NamespacedName::new("team-a", "token"));
    }
}

/// A value that was sealed here and damaged: it opens only if nothing was.
fn damaged(bytes: &[u8], scope: SealingScope, wanted: SealingScope) {
    let [at, flip, cut, plain @ ..] = bytes else { return };
    let certificate = KEYS.certificate().expect("there is a key");
    let sealed_text = certificate.seal(plain, &label(scope, "team-a", "token")).expect("it is sealed");
    let mut envelope = STANDARD.decode(sealed_text).expect("our own");
    let length = envelope.len();
    envelope[usize::from(*at) % length] ^= flip;
    envelope.truncate(length - usize::from(*cut) % 64);
    let Some(sealed) = sealed(wanted, STANDARD.encode(&envelope)) else { panic!("it is one") };
    let whole = *flip == 0 && cut % 64 == 0 && scope == wanted;
    match KEYS.unseal(&sealed) {
        Ok(values) => {
            assert!(whole, "what was damaged, or sealed for another scope, is opened");
            assert_eq!(values["value"].expose(), plain);
        }
        Err(why) => assert!(!whole, "{why:?}"),
    }
}

/// Secrets of a stranger, sealed: each value opens to what it was.
fn sealed_documents(text: &str, scope: SealingScope) {
    let Ok(secrets) = read_secrets(text) else { return };
    let certificate = KEYS.certificate().expect("there is a key");
    for secret in secrets.iter().take(2) {
        let how = Sealing { scope: Some(scope), ..Sealing::default() };
        if let Ok(made) = seal_secret(secret, how, &certificate) {
            assert_eq!(made["kind"], "SealedSecret");
        }
    }
}

target!(|bytes| {
    let Some(([how], rest)) = bytes.split_first_chunk() else { return };
    let scope = SCOPES[usize::from(how >> 4) % 3];
    match (how % 5, std::str::from_utf8(rest)) {
        (0, Ok(text)) => opened(text, scope),
        (1, _) => opened(&STANDARD.encode(rest), scope),
        (2, _) => drop(fuzzing::sealing_keys(rest)),
        (3, Ok(text)) => sealed_documents(text, scope),
        (4, _) => damaged(rest, scope, SCOPES[usize::from(how >> 6) % 3]),
        _ => {}
    }
});
