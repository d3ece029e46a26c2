use portolan_model::{
    NamespacedName,
    input::{SealedSecret, SealingScope},
};

use super::*;
use crate::secrets::rows::{ComponentCredential, Over, Reach, Unopened, UnsealFailure, UnsealWanted};
use crate::secrets::{refused, unseal::IMMUTABLE};

const SEALED: &str = "
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: dns, namespace: cert-manager}
spec: {encryptedData: {password: AAAA, user: AAAA}}
";
const ISSUER: &str = "
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec:
  acme:
    server: https://acme.example/directory
    privateKeySecretRef: {name: account}
    solvers:
    - dns01: {cloudDNS: {project: p, serviceAccountSecretRef: {name: dns, key: k}}}
";

fn key() -> NamespacedName {
    NamespacedName::new("cert-manager", "dns")
}

fn wanted(engine: &Engine<World>) -> Option<SealedSecret> {
    engine.get::<UnsealWanted>(&key()).map(|row| row.sealed.clone())
}

fn fail(engine: &mut Engine<World>, failures: &[(&str, Unopened)]) {
    let sealed = wanted(engine).unwrap();
    let failures = failures.iter().map(|(name, why)| ((*name).into(), *why)).collect();
    engine.put(UnsealFailure { key: key(), sealed, failures, templates: [].into(), refused: None });
    step(engine);
}

/// The one finding about the SealedSecret.
fn finding(engine: &Engine<World>) -> (Severity, String) {
    let mut all = findings(engine);
    all.retain(|f| f.0 == 151);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].2, "SealedSecret/cert-manager/dns");
    (all[0].1, all[0].3.clone())
}

#[test]
fn where_the_controller_does_not_look_nothing_is_opened() {
    let mut engine = world::engine();
    apply(&mut engine, SEALED);
    let reach = |namespaces: &[&str]| Reach {
        unsealed: Some(namespaces.iter().map(|name| (*name).into()).collect()),
        ..Reach::default()
    };
    engine.put(reach(&["sealed-secrets"]));
    step(&mut engine);
    assert_eq!((wanted(&engine), codes(&engine)), (None, vec![157]));
    engine.put(reach(&["sealed-secrets", "cert-manager"]));
    step(&mut engine);
    assert!(wanted(&engine).is_some());
    assert_eq!(codes(&engine), Vec::<u16>::new());
    engine.put(reach(&[]));
    step(&mut engine);
    assert_eq!((wanted(&engine), codes(&engine)), (None, vec![157]));
    engine.put(Reach::default());
    step(&mut engine);
    assert!(wanted(&engine).is_some());
}

#[test]
fn what_does_not_open_is_one_error_until_it_changes() {
    let mut engine = world::engine();
    apply(&mut engine, SEALED);
    step(&mut engine);
    assert_eq!(wanted(&engine).unwrap().scope, SealingScope::Strict);
    assert_eq!(codes(&engine), Vec::<u16>::new());
    let cases = [
        (vec![("password", Unopened::NoKeys), ("user", Unopened::NoKeys)], "there is no sealing key"),
        (vec![("user", Unopened::NoKeyOpens(2))], "no key opens it (2 tried)"),
        (vec![("user", Unopened::Scope(SealingScope::Cluster))], "it was sealed cluster-wide, which"),
        (
            vec![("password", Unopened::TooShort), ("user", Unopened::Damaged)],
            "password: the value is cut short; user: the value is damaged",
        ),
    ];
    for (failures, text) in cases {
        fail(&mut engine, &failures);
        let (severity, message) = finding(&engine);
        assert!(severity == Severity::Error && message.contains(text), "{message}");
    }
    apply(&mut engine, &SEALED.replace("user: AAAA", "user: BBBB"));
    step(&mut engine);
    assert_eq!(codes(&engine), Vec::<u16>::new(), "the failure was about another text");
}

#[test]
fn the_credential_of_a_substituted_issuer_blocks_nothing() {
    let unopened = [("user", Unopened::NoKeys)];
    let mut engine = world::engine();
    apply(&mut engine, &format!("{SEALED}---{ISSUER}"));
    step(&mut engine);
    fail(&mut engine, &unopened);
    let (severity, message) = finding(&engine);
    assert!(severity == Severity::Info && message.contains("ClusterIssuer/letsencrypt"), "{message}");

    // Another namespace's Secret of that name is none of the ClusterIssuer's, but one of an Issuer there.
    let elsewhere = |text: &str| text.replace("cert-manager}", "team-a}");
    let mut other = world::engine();
    apply(&mut other, &format!("{}---{ISSUER}", elsewhere(SEALED)));
    step(&mut other);
    let key = NamespacedName::new("team-a", "dns");
    let sealed = other.get::<UnsealWanted>(&key).unwrap().sealed.clone();
    let failures = [("user".into(), Unopened::NoKeys)].into();
    other.put(UnsealFailure { key, sealed, failures, templates: [].into(), refused: None });
    step(&mut other);
    let severity = |engine: &Engine<World>| findings(engine).iter().find(|f| f.0 == 151).unwrap().1;
    assert_eq!(severity(&other), Severity::Error);
    let issuer = ISSUER.replace("ClusterIssuer", "Issuer").replace("letsencrypt}", "le, namespace: team-a}");
    apply(&mut other, &issuer);
    step(&mut other);
    assert_eq!(severity(&other), Severity::Info);

    // Somebody else who needs it makes it an error: a CA issuer, then a Gateway.
    let ca = "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: ca}\nspec: {ca: {secretName: dns}}\n";
    apply(&mut engine, ca);
    step(&mut engine);
    assert_eq!(finding(&engine).0, Severity::Error);
    world::remove(&mut engine, &ObjectKey::new("cert-manager.io", "ClusterIssuer", "", "ca"));
    step(&mut engine);
    assert_eq!(finding(&engine).0, Severity::Info);
    apply(
        &mut engine,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: cert-manager}\nspec:\n  gatewayClassName: c\n  listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: dns}]}}]\n",
    );
    step(&mut engine);
    assert_eq!(finding(&engine).0, Severity::Error);
}

#[test]
fn the_credential_of_a_replaced_component_blocks_nothing() {
    let mut engine = world::engine();
    apply(&mut engine, SEALED);
    engine.put(ComponentCredential { key: key(), component: "external-dns".into() });
    step(&mut engine);
    fail(&mut engine, &[("user", Unopened::NoKeyOpens(1))]);
    let (severity, message) = finding(&engine);
    assert!(severity == Severity::Info && message.contains("external-dns needs no credential"), "{message}");
}

#[test]
fn a_missing_credential_is_told_and_a_sealed_one_is_not_missing() {
    let mut engine = world::engine();
    apply(&mut engine, ISSUER);
    step(&mut engine);
    let found: Vec<_> = findings(&engine).into_iter().filter(|f| f.0 == 154).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].1, &*found[0].2), (Severity::Info, "ClusterIssuer/letsencrypt"));
    assert!(found[0].3.contains("cert-manager/dns"), "{}", found[0].3);
    apply(&mut engine, SEALED);
    step(&mut engine);
    assert!(!codes(&engine).contains(&154));
}

#[test]
fn a_secret_that_is_there_keeps_its_maker() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: dns, namespace: cert-manager}\n";
    let mut engine = world::engine();
    apply(&mut engine, &format!("{SEALED}---\n{secret}"));
    step(&mut engine);
    assert_eq!(wanted(&engine), None);
    let found = findings(&engine);
    assert_eq!((found[0].0, found[0].1), (152, Severity::Error));
    assert!(found[0].3.contains("comes from the repository"), "{}", found[0].3);
    remove(&mut engine, "Secret", "cert-manager", "dns");
    step(&mut engine);
    assert!(wanted(&engine).is_some());
    let ours = secret.replace(
        "name: dns,",
        "labels: {app.kubernetes.io/managed-by: portolan}, ownerReferences: [{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret}], name: dns,",
    );
    apply(&mut engine, &ours);
    step(&mut engine);
    assert!(wanted(&engine).is_some() && codes(&engine).is_empty(), "what we opened is ours");
}

#[test]
fn a_go_template_that_cannot_be_executed_is_told_and_no_secret_is_made() {
    let mut engine = world::engine();
    let template = "encryptedData: {a: AAAA}, template: {data: {plain: 'x { y', url: 'http://{{ .user'}}";
    apply(&mut engine, &SEALED.replace("encryptedData: {password: AAAA, user: AAAA}", template));
    step(&mut engine);
    let sealed = wanted(&engine).unwrap();
    assert_eq!(sealed.template.keys().map(|k| &**k).collect::<Vec<_>>(), ["plain", "url"]);
    assert_eq!(codes(&engine), Vec::<u16>::new(), "nothing is wrong before it was tried");
    let templates = [("url".into(), "unclosed action".to_owned())].into();
    engine.put(UnsealFailure { key: key(), sealed, failures: [].into(), templates, refused: None });
    step(&mut engine);
    let found = findings(&engine);
    assert_eq!((found.len(), found[0].0, found[0].1), (1, 153, Severity::Error));
    assert!(found[0].3.contains("unclosed action"), "{}", found[0].3);
    // What was corrected is tried again.
    let mended = template.replace(".user", ".a }}");
    apply(&mut engine, &SEALED.replace("encryptedData: {password: AAAA, user: AAAA}", &mended));
    step(&mut engine);
    assert_eq!(codes(&engine), Vec::<u16>::new());
}

#[test]
fn an_immutable_secret_that_is_there_is_one_error_until_the_sealed_secret_fits_it() {
    let mut engine = world::engine();
    apply(&mut engine, SEALED);
    step(&mut engine);
    let sealed = wanted(&engine).unwrap();
    engine.put(UnsealFailure {
        key: key(),
        sealed,
        failures: [].into(),
        templates: [].into(),
        refused: Some("data: Forbidden: field is immutable when `immutable` is set".into()),
    });
    step(&mut engine);
    assert_eq!(codes(&engine), [156]);
    apply(&mut engine, &SEALED.replace("user: AAAA", "user: BBBB"));
    step(&mut engine);
    assert_eq!(codes(&engine), Vec::<u16>::new(), "the failure was about another text");
}

#[test]
fn what_is_immutable_keeps_its_data_and_stays_so() {
    let secret = |immutable: bool, value: &str, label: &str| serde_json::json!({"immutable": immutable, "data": {"k": value}, "metadata": {"labels": {"l": label}}});
    let there = secret(true, "a", "x");
    let immutable =
        |present: &_, wanted: &_, over| refused(Some(present), wanted, over).as_deref() == Some(IMMUTABLE);
    let own = |present: &_, wanted: &_| immutable(present, wanted, Over::Nothing);
    assert!(own(&there, &secret(true, "b", "x")));
    assert!(own(&there, &secret(false, "a", "x")));
    assert!(!own(&there, &secret(true, "a", "y")), "labels may change");
    assert!(!own(&secret(false, "a", "x"), &secret(true, "b", "x")));
    // A Secret of the repository stays immutable by itself.
    let (managed, fill) = (Over::Managed { independent: false }, secret(false, "a", "y"));
    assert!(!immutable(&there, &fill, managed));
    let more = serde_json::json!({"data": {"k": "a", "more": "b"}});
    let mut both = there.clone();
    both["data"]["other"] = "c".into();
    assert!(immutable(&both, &fill, managed), "it would lose a key");
    assert!(!immutable(&both, &fill, Over::Patched { owned: false }));
    assert!(immutable(&both, &more, Over::Patched { owned: false }));
}

#[test]
fn a_patched_secret_is_owned_if_it_is_managed_too() {
    let over = |annotations: &[&str]| {
        let mut engine = world::engine();
        let lines: Vec<String> = annotations
            .iter()
            .map(|name| format!("    sealedsecrets.bitnami.com/{name}: 'true'\n"))
            .collect();
        let lines = lines.concat();
        apply(
            &mut engine,
            &format!(
                "{SEALED}---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: dns\n  namespace: cert-manager\n  annotations:\n{lines}data: {{own: AAAA}}\n"
            ),
        );
        step(&mut engine);
        let over = engine.get::<UnsealWanted>(&key()).unwrap().over;
        (over, over.goes())
    };
    assert_eq!(over(&["patch"]), (Over::Patched { owned: false }, false));
    assert_eq!(over(&["patch", "managed"]), (Over::Patched { owned: true }, true));
    let independent = "skip-set-owner-references";
    assert_eq!(over(&["patch", "managed", independent]), (Over::Patched { owned: false }, false));
    assert_eq!(over(&["managed"]), (Over::Managed { independent: false }, true));
    assert_eq!(over(&["managed", independent]), (Over::Managed { independent: true }, false));
}

#[test]
fn a_secret_that_an_api_server_refuses_is_refused_in_its_words() {
    use serde_json::json;
    let secret = |more: serde_json::Value| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "s", "namespace": "n", "ownerReferences": [{"uid": ""}]}, "data": {"a": "e30="}});
        secret.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        secret
    };
    let new = |more| refused(None, &secret(more), Over::Nothing);
    assert_eq!(new(json!({})), None);
    for (more, words) in [
        (
            json!({"type": "kubernetes.io/tls"}),
            "data[tls.crt]: Required value; data[tls.key]: Required value",
        ),
        (json!({"data": {"a b": "e30="}}), "data[a b]: Invalid value"),
        (json!({"type": "kubernetes.io/dockerconfigjson"}), "data[.dockerconfigjson]: Required value"),
        (
            json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "c2VjcmV0"}}),
            "data[.dockerconfigjson]: Invalid value: it is no JSON",
        ),
        (json!({"type": "kubernetes.io/basic-auth"}), "data[username]: Required value"),
        (json!({"metadata": {"name": "s", "namespace": "n", "labels": {"x y": "z"}}}), "metadata.labels"),
    ] {
        let said = new(more.clone()).unwrap_or_default();
        assert!(said.contains(words), "{more}: {said}");
    }
    // What stands there keeps its type, and takes other data.
    let there = secret(json!({}));
    let edited = |more| refused(Some(&there), &secret(more), Over::Nothing);
    assert_eq!(edited(json!({"data": {"b": "e30="}})), None);
    let said = edited(json!({"type": "example.com/other"})).unwrap();
    assert!(said.contains("type: Invalid value") && said.contains("field is immutable"), "{said}");
    // What is put into a Secret of the repository is judged as it comes to stand there.
    let tls = secret(json!({"type": "kubernetes.io/tls", "data": {"tls.crt": "e30=", "tls.key": "e30="}}));
    let fill = json!({"data": {"more": "e30="}, "metadata": {"labels": {}, "annotations": {}}});
    assert_eq!(refused(Some(&tls), &fill, Over::Patched { owned: true }), None);
    let said = refused(Some(&tls), &fill, Over::Managed { independent: false }).unwrap();
    assert!(said.contains("data[tls.crt]: Required value"), "{said}");
}
