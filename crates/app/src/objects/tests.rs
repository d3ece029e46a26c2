#![allow(clippy::unwrap_used)]
use portolan_effects::store::{Event, EventKind, Store, Write};
use portolan_model::{Instant, Object, ObjectKey, Origin};

use super::*;

fn store(dir: &std::path::Path, objects: Vec<Value>) -> Store {
    let mut store = Store::open(dir).unwrap();
    let writes = objects
        .into_iter()
        .map(|json| Write::Apply(Box::new(Object::from_json(json, Origin::default()).unwrap()), "git"))
        .collect();
    store.write(writes, Instant(0)).unwrap();
    store
}

fn ask(store: &Store, kind: &str, namespace: Option<&str>, name: Option<&str>) -> Result<Value, String> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    find(store, &Query { kind: kind.into(), namespace: own(namespace), name: own(name) })
}

#[test]
fn no_value_of_a_secret_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let metadata = json!({"name": "s", "namespace": "n", "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"a\":\"aHVudGVyMg==\"}}",
    }});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata,
        "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "hunter2"}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n"}, "spec": {"env": "hunter2"}});
    let store = store(dir.path(), vec![secret, deployment]);
    for kind in ["secret", "deployments"] {
        let text = ask(&store, kind, None, None).unwrap().to_string();
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
    }
    let secret = &ask(&store, "Secrets", Some("n"), Some("s")).unwrap()["items"][0];
    let shown = secret["data"]["a"].as_str().unwrap();
    assert!(shown.starts_with("[redacted 7 bytes, fingerprint "), "{shown}");
    // Nobody who guesses the value can tell that the guess is right.
    assert!(!shown.contains("f52fbd32"), "the fingerprint is the bare SHA-256");
    assert_eq!(secret["data"]["a"], secret["stringData"]["b"], "one value has one fingerprint");
}

#[test]
fn a_password_in_a_certificate_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let keystores = json!({"jks": {"create": true, "password": "hunter2"},
        "pkcs12": {"create": true, "passwordSecretRef": {"name": "store", "key": "password"}}});
    let certificate = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
        "metadata": {"name": "c", "namespace": "n"}, "spec": {"secretName": "tls", "keystores": keystores}});
    let store = store(dir.path(), vec![certificate]);
    let shown = &ask(&store, "cert", Some("n"), Some("c")).unwrap()["items"][0]["spec"];
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    let password = shown["keystores"]["jks"]["password"].as_str().unwrap();
    assert!(password.starts_with("[redacted 7 bytes, fingerprint "), "{password}");
    assert_eq!(
        (&shown["secretName"], &shown["keystores"]["pkcs12"]["passwordSecretRef"]["key"]),
        (&json!("tls"), &json!("password"))
    );
}

#[test]
fn what_renew_takes_for_a_certificate() {
    for text in ["a/web", "Certificate/a/web", "cert/a/web", "certificates.cert-manager.io/a/web"] {
        assert_eq!(of_certificate(text).unwrap(), "a/web", "{text}");
    }
    assert_eq!(of_certificate("Certificate/web").unwrap(), "web");
    assert_eq!(of_certificate("web").unwrap(), "web");
    // Two words are namespace and name.
    assert_eq!(of_certificate("cert/web").unwrap(), "cert/web");
    for text in ["Secret/a/web", "gateway/a/web", "certificates.acme.example/a/web", "Secret/web"] {
        assert!(of_certificate(text).unwrap_err().to_string().contains("is no Certificate"), "{text}");
    }
}

#[test]
fn an_object_shows_the_computed_status_and_never_a_written_one() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = |name: &str| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": name, "namespace": "n"}, "spec": {}, "status": {"written": "by hand"}})
    };
    let mut store = store(dir.path(), vec![gateway("a"), gateway("b")]);
    let key = ObjectKey::new("gateway.networking.k8s.io", "Gateway", "n", "a");
    let condition = json!({"type": "Accepted", "status": "False", "reason": "Invalid", "message": "why"});
    store.set_status(&key, Some(json!({"conditions": [condition]})), Instant(0));
    let found = ask(&store, "gateways", Some("n"), None).unwrap();
    assert_eq!(found["items"][0]["status"]["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:00Z");
    assert_eq!(found["items"][0]["metadata"]["generation"], 1);
    assert_eq!(found["items"][1]["status"], Value::Null);
    let lines = table(&found);
    assert!(lines.contains("Accepted=False(Invalid)") && lines.contains("why"), "{lines}");
}

#[test]
fn a_kind_is_group_and_kind() {
    let dir = tempfile::tempdir().unwrap();
    let service = |version: &str, name: &str| {
        let metadata = json!({"name": name, "namespace": "n"});
        json!({"apiVersion": version, "kind": "Service", "metadata": metadata})
    };
    let names = |store: &Store, kind: &str| {
        let found = ask(store, kind, None, None).map(|json| json["items"].clone());
        found.map(|items| {
            let items = items.as_array().cloned().unwrap_or_default();
            let item = |item: &Value| format!("{} {}", item["apiVersion"], item["metadata"]["name"]);
            items.iter().map(item).collect::<Vec<_>>().join(", ").replace('"', "")
        })
    };
    let knative = service("serving.knative.dev/v1", "a");
    let store = store(dir.path(), vec![knative, service("v1", "a"), service("aaa.example/v1", "b")]);
    for kind in ["service", "Services", "services.v1."] {
        assert_eq!(names(&store, kind).unwrap(), "v1 a", "{kind}");
    }
    for kind in ["service.core", "Services.core"] {
        assert_eq!(names(&store, kind).unwrap(), "v1 a", "{kind}");
    }
    for kind in ["service.serving.knative.dev", "services.v1.serving.knative.dev"] {
        assert_eq!(names(&store, kind).unwrap(), "serving.knative.dev/v1 a", "{kind}");
    }
    let none = names(&store, "services.other.dev").unwrap_err();
    assert!(none.contains("Service, Service.aaa.example, Service.serving.knative.dev"), "{none}");
    let one = ask(&store, "services.serving.knative.dev", Some("n"), Some("a")).unwrap();
    assert_eq!(one["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn events_are_listed_by_what_they_are_about() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path(), vec![]);
    assert_eq!(ask(&store, "events", None, None).unwrap()["items"], json!([]), "none is no error");
    for (name, seconds) in [("a", 1), ("b", 2), ("a", 3)] {
        let regarding = ObjectKey::new("cert-manager.io", "Certificate", "n", name);
        let note = format!("the issuer of {name} does not exist");
        let event = Event { regarding, kind: EventKind::Warning, reason: "PTL-0314".into(), note };
        store.record(event, Instant(seconds * 1000));
    }
    let all = ask(&store, "Event", None, None).unwrap();
    let names: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|e| &e["involvedObject"]["name"]).collect();
    assert_eq!(names, ["b", "a"], "oldest first");
    let found = ask(&store, "events", Some("n"), Some("a")).unwrap();
    assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["count"]), (1, &json!(2)));
    let lines = events::table(&found);
    let line = lines.lines().find(|line| line.contains("PTL-0314")).unwrap();
    for part in ["y  ", "Warning", "Certificate/n/a", "the issuer of a does not exist"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn kinds_are_found_by_name_and_plural_and_the_rest_is_an_error() {
    for (kind, wanted) in [
        ("Gateway", "gateway"),
        ("Gateway", "gateways"),
        ("GatewayClass", "gatewayclasses"),
        ("ClusterPolicy", "clusterpolicies"),
        ("HTTPRoute", "httproutes"),
    ] {
        assert!(is_kind(kind, wanted), "{kind} {wanted}");
    }
    let dir = tempfile::tempdir().unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    let store = store(dir.path(), vec![namespace]);
    assert!(ask(&store, "pods", None, None).unwrap_err().contains("stored are: Namespace"));
    assert_eq!(
        ask(&store, "namespace", None, Some("x")).unwrap_err(),
        "namespace x does not exist; they are listed by: portolan get namespace"
    );
    assert!(ask(&store, "namespace", None, Some("n")).is_ok());
}
