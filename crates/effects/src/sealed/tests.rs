#![allow(clippy::unwrap_used)]

mod files;
mod kubeseal;

use std::{fmt::Write as _, path::PathBuf, sync::OnceLock};

use portolan_testkit::suites;
use serde_json::{Value, json};

use super::*;

fn demo(ending: &str) -> PathBuf {
    suites::repository().join(format!("examples/platform/demo-sealing-key/PUBLIC-DEMO-ONLY.{ending}"))
}

/// The public demo pair, RSA-4096 as controllers make it.
fn keys() -> &'static SealingKeys {
    static KEYS: OnceLock<SealingKeys> = OnceLock::new();
    KEYS.get_or_init(|| SealingKeys::load(&[demo("key")]).unwrap())
}

fn certificate() -> SealingCertificate {
    SealingCertificate::from_pem(&std::fs::read(demo("crt")).unwrap(), portolan_model::Instant(0)).unwrap()
}

fn sealed(name: &str, scope: SealingScope, text: &str) -> SealedSecret {
    SealedSecret {
        key: portolan_model::NamespacedName::new("ns", name),
        generation: 1,
        scope,
        encrypted: [(Name::new("k"), Name::new(text))].into(),
        r#type: "Opaque".into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        template: BTreeMap::new(),
        immutable: false,
        refused: None,
    }
}

fn open(sealed: &SealedSecret) -> Result<Vec<u8>, Unopened> {
    match keys().unseal(sealed) {
        Ok(values) => Ok(values["k"].expose().to_vec()),
        Err(failures) => Err(failures["k"]),
    }
}

const SCOPES: [SealingScope; 3] = [SealingScope::Strict, SealingScope::Namespace, SealingScope::Cluster];

#[test]
fn a_value_opens_only_where_its_scope_says() {
    use SealingScope::{Cluster, Namespace, Strict};
    for (scope, renamed, moved) in [(Strict, false, false), (Namespace, true, false), (Cluster, true, true)] {
        let text = certificate().seal(b"value", &label(scope, "ns", "s")).unwrap();
        assert!(text.starts_with("Ag"), "two bytes of length of an RSA-4096 ciphertext");
        let mut it = sealed("s", scope, &text);
        assert_eq!(open(&it).unwrap(), b"value");
        it.key.name = "other".into();
        assert_eq!(open(&it).is_ok(), renamed, "{scope} in another name");
        it.key.namespace = "elsewhere".into();
        assert_eq!(open(&it).is_ok(), moved, "{scope} in another namespace");
        // What the annotations lost is said, and the value stays closed.
        for claimed in SCOPES.into_iter().filter(|other| *other != scope) {
            assert_eq!(open(&sealed("s", claimed, &text)).unwrap_err(), Unopened::Scope(scope));
        }
    }
}

#[test]
fn empty_and_large_values_come_back_whole() {
    for value in [Vec::new(), vec![7; 1 << 20]] {
        let text = certificate().seal(&value, b"").unwrap();
        assert_eq!(open(&sealed("s", SealingScope::Cluster, &text)).unwrap(), value);
    }
    // A session key is fresh each time.
    assert_ne!(certificate().seal(b"v", b"").unwrap(), certificate().seal(b"v", b"").unwrap());
}

#[test]
fn garbage_is_refused_and_never_panics() {
    let good = STANDARD.decode(certificate().seal(b"value", b"").unwrap()).unwrap();
    let why = |bytes: &[u8]| open(&sealed("s", SealingScope::Cluster, &STANDARD.encode(bytes))).unwrap_err();
    for length in (0..good.len()).step_by(37).chain([0, 1, 2, 513, 514, good.len() - 1]) {
        let got = why(&good[..length]);
        let wanted = if length < 514 { Unopened::TooShort } else { Unopened::Damaged };
        assert_eq!(got, wanted, "cut to {length}");
    }
    for at in [0, 1, 2, 300, 513, 514, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let got = why(&bad);
        assert!(
            matches!(got, Unopened::NoKeyOpens(1) | Unopened::Damaged | Unopened::TooShort),
            "bit at {at}: {got}"
        );
    }
    let text = |text: &str| open(&sealed("s", SealingScope::Cluster, text)).unwrap_err();
    assert_eq!(text("%%"), Unopened::NotBase64);
    assert_eq!(text(""), Unopened::TooShort);
    let none = SealingKeys::default().unseal(&sealed("s", SealingScope::Cluster, "AAAA")).unwrap_err();
    assert_eq!(none["k"], Unopened::NoKeys);
}

#[test]
fn one_closed_value_closes_the_secret() {
    let text = certificate().seal(b"value", &label(SealingScope::Strict, "ns", "s")).unwrap();
    let mut it = sealed("s", SealingScope::Strict, &text);
    it.encrypted.insert("other".into(), "AAAA".into());
    let failures = keys().unseal(&it).unwrap_err();
    assert_eq!(failures.into_iter().collect::<Vec<_>>(), [("other".into(), Unopened::NoKeyOpens(1))]);
}

/// Values that an unmodified kubeseal sealed: they stand in the example, so this needs no tool.
#[test]
fn the_example_opens() {
    let example = suites::repository().join("examples/platform/charts");
    let cases = [
        ("cert-manager/templates/clouddns-credentials.yaml", "any", "any", SealingScope::Cluster),
        ("external-dns/templates/google-credentials.yaml", "external-dns", "any", SealingScope::Namespace),
        (
            "team-apps/templates/database-credentials.yaml",
            "payments",
            "database-credentials",
            SealingScope::Strict,
        ),
    ];
    for (file, namespace, name, scope) in cases {
        let text = std::fs::read_to_string(example.join(file)).unwrap();
        let values: Vec<&str> = text.lines().filter_map(|l| l.split_once(": Ag")).map(|(_, v)| v).collect();
        assert!(!values.is_empty(), "{file}");
        for value in values {
            let mut it = sealed(name, scope, &format!("Ag{value}"));
            it.key.namespace = namespace.into();
            assert!(!open(&it).unwrap().is_empty(), "{file}");
        }
    }
}

#[test]
fn a_secret_becomes_a_sealed_secret_without_a_clear_value() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "immutable": true,
        "metadata": {
            "name": "s", "namespace": "ns", "uid": "u", "ownerReferences": [], "managedFields": [{"f": "cGxhaW4="}],
            "labels": {"l": "x"},
            "annotations": {
                "kept": "yes", "kubectl.kubernetes.io/last-applied-configuration": "plain",
                "sealedsecrets.bitnami.com/cluster-wide": "true",
            },
        },
        "data": {"a": "cGxhaW4=", "b": "b2xk"}, "stringData": {"b": "plain"},
    });
    let made = seal_secret(&secret, Sealing::default(), &certificate()).unwrap();
    let text = made.to_string();
    assert!(!text.contains("plain") && !text.contains("cGxhaW4="), "{text}");
    assert_eq!(made["metadata"]["annotations"], json!({"sealedsecrets.bitnami.com/cluster-wide": "true"}));
    let template = &made["spec"]["template"];
    assert_eq!((&template["type"], &template["immutable"]), (&json!("kubernetes.io/tls"), &json!(true)));
    assert_eq!(
        template["metadata"],
        json!({"name": "s", "namespace": "ns", "labels": {"l": "x"}, "annotations": {
            "kept": "yes", "sealedsecrets.bitnami.com/cluster-wide": "true"}})
    );
    let how = Sealing { scope: Some(SealingScope::Strict), name: Some("t"), namespace: Some("other") };
    let made = seal_secret(&secret, how, &certificate()).unwrap();
    assert!(made["metadata"].get("annotations").is_none(), "an explicit scope wins");
    let mut it = sealed("t", SealingScope::Strict, made["spec"]["encryptedData"]["b"].as_str().unwrap());
    it.key.namespace = "other".into();
    assert_eq!(open(&it).unwrap(), b"plain", "stringData wins");
}

#[test]
fn what_cannot_be_sealed_says_why() {
    let seal = |secret: Value| seal_secret(&secret, Sealing::default(), &certificate()).unwrap_err();
    let secret = |metadata: Value, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
    assert_eq!(
        seal(json!({"apiVersion": "v1", "kind": "ConfigMap"})),
        SealError::NotSecret("ConfigMap".into())
    );
    assert_eq!(seal(secret(json!({}), json!({}))), SealError::NoName);
    assert_eq!(seal(secret(json!({"name": "s"}), json!({}))), SealError::NoNamespace(SealingScope::Strict));
    let named = json!({"name": "s", "namespace": "ns"});
    assert_eq!(seal(secret(named.clone(), json!({}))), SealError::Empty("s".into()));
    let mut text = String::new();
    for bad in [json!({"k": "not base64 at all"}), json!({"k": 7}), json!(["x"])] {
        write!(text, "{} ", seal(secret(named.clone(), bad))).unwrap();
    }
    assert_eq!(
        text,
        "data.k of the Secret is not base64 data.k of the Secret is not text data of the Secret is not a mapping "
    );
    assert_eq!(read_secrets("").unwrap_err(), SealError::Nothing);
    assert!(matches!(read_secrets("a: [").unwrap_err(), SealError::NotYaml(..)));
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret"}, {"apiVersion": "v1", "kind": "Secret"}]}"#;
    assert_eq!(read_secrets(list).unwrap().len(), 2);
}
