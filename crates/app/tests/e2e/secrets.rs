//! SealedSecrets and mirrors, from the file to the handshake.

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use portolan_effects::{
    issue::{PrivateKey, self_signed},
    store::{Store, Write, Written},
};
use portolan_model::{
    Instant, Object, ObjectKey, Origin,
    certificate::{CertificateRequestParams, KeyEncoding, KeyKind, Usage},
};
use portolan_testkit::suites;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::instance::{Instance, envoy, first_steps, names, portolan, private};

/// A value that stands beside the key pair in the sealed Secret.
const MARKER: &str = "marker-of-a-sealed-value";
const HOST: &str = "app.sealed.example.com";

/// The public demo pair in a folder of its own, the key private as it should be.
fn demo() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source = suites::repository().join("examples/platform/demo-sealing-key");
    for (from, to) in [("PUBLIC-DEMO-ONLY.key", "key"), ("PUBLIC-DEMO-ONLY.crt", "crt")] {
        std::fs::copy(source.join(from), dir.path().join(to)).unwrap();
    }
    std::fs::set_permissions(dir.path().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    dir
}

fn path(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

/// A key pair for the wildcard of [`HOST`]: chain and key.
fn pair() -> (String, String) {
    pair_for(&["*.sealed.example.com"])
}

/// A self-signed key pair for these names: chain and key.
pub fn pair_for(names: &[&str]) -> (String, String) {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let params = CertificateRequestParams {
        dns_names: names.iter().map(|name| (*name).into()).collect(),
        duration: 48 * 3_600_000,
        usages: vec![Usage::DigitalSignature, Usage::ServerAuth],
        key: KeyKind::P256,
        encoding: KeyEncoding::Pkcs8,
        ..CertificateRequestParams::default()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let begin = Instant(i64::try_from(now.as_millis()).unwrap() - 3_600_000);
    let chain = self_signed(&params, &key, &portolan_model::input::Points::default(), begin).unwrap().chain;
    let pem = key.to_pem(KeyEncoding::Pkcs8).unwrap();
    (chain, String::from_utf8(pem.expose().to_vec()).unwrap())
}

/// Seals by the real binary, as a user does.
fn seal(secret: &Value, certificate: &str) -> String {
    let mut child = portolan()
        .args(["seal", "--cert", certificate])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(secret.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A listener in a namespace of its own, whose certificate is the mirror of a sealed Secret in another. Gives the key.
fn sealed_edge(dir: &TempDir, keys: &TempDir) -> String {
    let (chain, key) = pair();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "sealed-tls", "namespace": "vault", "annotations": {
            "reflector.v1.k8s.emberstack.com/reflection-allowed": "true",
            "reflector.v1.k8s.emberstack.com/reflection-auto-enabled": "true",
            "reflector.v1.k8s.emberstack.com/reflection-auto-namespaces": "sealed-.*",
        }},
        "stringData": {"tls.crt": chain, "ca.crt": chain, "tls.key": key, "marker": MARKER},
    });
    std::fs::write(dir.path().join("sealed.yaml"), seal(&secret, &path(keys, "crt"))).unwrap();
    let edge = edge("sealed-edge", "sealed-tls", "*.sealed.example.com", HOST);
    std::fs::write(dir.path().join("sealed-edge.yaml"), edge).unwrap();
    key
}

/// A namespace with a Gateway that serves `host` with a Secret of that namespace.
fn edge(namespace: &str, secret: &str, listener: &str, host: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gate, namespace: {namespace}}}\nspec:\n  gatewayClassName: infra-shared-01\n  listeners: [{{name: https, port: 443, protocol: HTTPS, hostname: \"{listener}\", tls: {{certificateRefs: [{{name: {secret}}}]}}, allowedRoutes: {{namespaces: {{from: All}}}}}}]\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {namespace}, namespace: team-a}}\nspec:\n  parentRefs: [{{name: gate, namespace: {namespace}}}]\n  hostnames: [{host}]\n  rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
    )
}

fn answers(instance: &Instance, host: &str) -> Value {
    let entry = instance.reach(host, "live");
    let status = instance.client(&entry).get(entry["url"].as_str().unwrap()).send().unwrap().status();
    assert_eq!(status, 200, "{host}");
    entry
}

/// Files of the state that hold a text, or its base64 in any of the three alignments.
fn holding(dir: &Path, text: &str) -> Vec<String> {
    let encoded: Vec<String> = (0..3)
        .map(|shift| {
            let aligned = &text.as_bytes()[shift..];
            base64_of(&aligned[..aligned.len() / 3 * 3])
        })
        .collect();
    let (mut found, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                let has = |part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
                if has(text) || encoded.iter().any(|part| has(part)) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

fn base64_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |value: usize| char::from(DIGITS[value & 63]);
    bytes
        .chunks_exact(3)
        .flat_map(|b| {
            let n = usize::from(b[0]) << 16 | usize::from(b[1]) << 8 | usize::from(b[2]);
            [digit(n >> 18), digit(n >> 12), digit(n >> 6), digit(n)]
        })
        .collect()
}

/// Code, severity and object of each finding of this room.
fn findings(instance: &Instance) -> Vec<(String, String, String)> {
    let text = |f: &Value, key: &str| f[key].as_str().unwrap_or_default().to_owned();
    let status = instance.status();
    let all = status["findings"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|f| (text(f, "code"), text(f, "severity"), text(f, "object")))
        .filter(|f| f.0.starts_with("PTL-01"))
        .collect()
}

#[test]
fn a_sealed_certificate_serves_and_never_reaches_the_disk() {
    let Some(envoy) = envoy("e2e sealed certificate") else { return };
    let (dir, keys) = (first_steps(), demo());
    let key = sealed_edge(&dir, &keys);
    let body = key.lines().nth(1).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--sealing-key", &path(&keys, "key")]);
    let before = answers(&instance, HOST);
    answers(&instance, "app1.dev.example.com");
    assert_eq!(findings(&instance), []);
    let clean = |instance: &Instance, when: &str| {
        for text in [MARKER, body] {
            assert_eq!(holding(instance.state.path(), text), Vec::<String>::new(), "{when}");
        }
        let there = holding(instance.state.path(), "wildcard-dev");
        assert!(!there.is_empty(), "the look through the state finds what is there");
    };
    clean(&instance, "while it runs");

    // Killed and started again: opened again, and served with the same certificate by the same Envoy.
    let pid = instance.envoy_pid();
    instance.kill_nine();
    instance.up();
    let after = answers(&instance, HOST);
    assert_eq!(after["certificate"], before["certificate"]);
    assert_eq!(instance.envoy_pid(), pid);
    clean(&instance, "after a restart");

    // Removed from the repository: the Secret and its mirror go, and the listener's chain with them.
    std::fs::remove_file(instance.dir.path().join("sealed.yaml")).unwrap();
    // The answer of the DNS server may be waited for once more before that.
    instance.wait("the host to say that its Secret is gone", || {
        let entry = instance.entry(HOST)?;
        (entry["state"] == "pending" && entry["message"].as_str()?.contains("not there yet")).then_some(())
    });
    answers(&instance, "app1.dev.example.com");
    let output = instance.run(&["down"]);
    assert!(output.status.success() && !names(pid, instance.state.path()));
    clean(&instance, "after the end");
}

/// Certificate and key come of Go templates over what was sealed: served, by the same Envoy over a kill too, and never on the disk.
#[test]
fn a_sealed_template_serves_and_never_reaches_the_disk() {
    let Some(envoy) = envoy("e2e sealed template") else { return };
    let (dir, keys) = (first_steps(), demo());
    let (chain, key) = pair();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sealed-tls", "namespace": "sealed-edge"},
        "stringData": {"chain": chain, "private": key, "marker": MARKER},
    });
    let sealed = seal(&secret, &path(&keys, "crt"));
    let data = "    data:\n      tls.crt: '{{ .chain }}'\n      ca.crt: '{{ .chain }}'\n      tls.key: '{{ .private | trim }}'\n      both: 'v={{ .marker | quote }}'\n";
    let templated = sealed.replacen("  template:\n", &format!("  template:\n{data}"), 1);
    assert_ne!(templated, sealed, "{sealed}");
    std::fs::write(dir.path().join("sealed.yaml"), &templated).unwrap();
    let edge = edge("sealed-edge", "sealed-tls", "*.sealed.example.com", HOST);
    std::fs::write(dir.path().join("sealed-edge.yaml"), edge).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--sealing-key", &path(&keys, "key")]);
    let before = answers(&instance, HOST);
    assert_eq!(findings(&instance), []);
    let body = key.lines().nth(1).unwrap().to_owned();
    let clean = |instance: &Instance, when: &str| {
        for text in [MARKER, &body] {
            assert_eq!(holding(instance.state.path(), text), Vec::<String>::new(), "{when}");
        }
    };
    clean(&instance, "while it runs");
    let pid = instance.envoy_pid();
    instance.kill_nine();
    instance.up();
    assert_eq!(answers(&instance, HOST)["certificate"], before["certificate"]);
    assert_eq!(instance.envoy_pid(), pid);

    // One that fails is a finding without a value, and what was made stays.
    let broken = templated.replace("{{ .private | trim }}", "{{ fail .private }}");
    instance.write("sealed.yaml", &broken);
    instance
        .wait("the finding", || findings(&instance).iter().any(|found| found.0 == "PTL-0153").then_some(()));
    let said = instance.status().to_string();
    assert!(!said.contains(&body) && said.contains("tls.key"), "{said}");
    answers(&instance, HOST);
    let log = std::fs::read_to_string(instance.dir.path().join("up.log")).unwrap();
    assert!(!log.contains(&body) && !log.contains(MARKER) && log.contains("PTL-0153"), "{log}");
    clean(&instance, "after a failure");
    instance.write("sealed.yaml", &templated);
    instance.wait("the finding goes", || findings(&instance).is_empty().then_some(()));
    answers(&instance, HOST);
}

#[test]
fn without_its_key_a_sealed_secret_is_one_finding_and_harms_nothing_else() {
    let Some(envoy) = envoy("e2e sealed without a key") else { return };
    let (dir, keys) = (first_steps(), demo());
    sealed_edge(&dir, &keys);
    // A key that lies in the repository is not taken by itself.
    std::fs::copy(keys.path().join("key"), dir.path().join("key.pem")).unwrap();
    let mut instance = Instance::start(dir, envoy);
    answers(&instance, "app1.dev.example.com");
    let sealed = ("PTL-0151".to_owned(), "error".to_owned(), "SealedSecret/vault/sealed-tls".to_owned());
    assert_eq!(findings(&instance), [sealed]);
    assert_eq!(instance.reach(HOST, "pending")["certificate"], Value::Null);
    let status = instance.status();
    let all = status["findings"].as_array().unwrap();
    let finding = all.iter().find(|f| f["code"] == "PTL-0151").unwrap();
    assert_eq!((&finding["file"], &finding["field"]), (&json!("sealed.yaml"), &json!("spec.encryptedData")));
    assert!(finding["message"].as_str().unwrap().contains("there is no sealing key"), "{finding}");
    assert!(instance.run(&["down"]).status.success());

    // An open mode is told, and the key works all the same.
    std::fs::set_permissions(keys.path().join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    instance.arguments = vec!["--sealing-key".into(), path(&keys, "key")];
    instance.up();
    answers(&instance, HOST);
    let exposed = ("PTL-0155".to_owned(), "warning".to_owned(), format!("SealingKey/{}", path(&keys, "key")));
    assert_eq!(findings(&instance), [exposed]);
}

#[test]
fn a_key_file_that_is_none_ends_up_with_2() {
    let Some(envoy) = envoy("e2e sealing key refused") else { return };
    let (dir, state) = (first_steps(), private());
    let up = |key: &str| -> (Option<i32>, String) {
        let mut command: Command = portolan();
        command.arg("up").arg(dir.path()).args(["--once", "--sealing-key", key, "--state"]);
        let output = command.arg(state.path()).arg("--envoy").arg(&envoy).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = up("/nonexistent/key");
    assert!(code == Some(2) && text.contains("/nonexistent/key cannot be read"), "{text}");
    let (code, text) = up(&path(&dir, "gateway.yaml"));
    assert!(code == Some(2) && text.contains("give a PEM private key"), "{text}");
}

/// The example whose wildcard certificate is mirrored into namespaces that are named `edge-` and something.
fn reflected() -> TempDir {
    let dir = first_steps();
    let file = dir.path().join("certificates.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let template = "  secretName: ingress-tls\n  secretTemplate:\n    annotations:\n      reflector.v1.k8s.emberstack.com/reflection-allowed: \"true\"\n      reflector.v1.k8s.emberstack.com/reflection-allowed-namespaces: \"edge-.*\"\n      reflector.v1.k8s.emberstack.com/reflection-auto-enabled: \"true\"\n";
    assert!(text.contains("  secretName: ingress-tls\n"));
    std::fs::write(file, text.replace("  secretName: ingress-tls\n", template)).unwrap();
    dir
}

fn secret(namespace: &str) -> ObjectKey {
    ObjectKey::new("", "Secret", namespace, "ingress-tls")
}

#[test]
fn a_namespace_that_comes_gets_its_mirror_and_renewals_follow() {
    let Some(envoy) = envoy("e2e reflector") else { return };
    let mut instance = Instance::start(reflected(), envoy);
    let source = answers(&instance, "app1.dev.example.com");
    let host = "one.dev.example.com";
    instance.write("edge.yaml", &edge("edge-one", "ingress-tls", "*.dev.example.com", host));
    let serial = |entry: &Value| entry["certificate"]["serial"].clone();
    assert_eq!(serial(&answers(&instance, host)), serial(&source));
    assert!(instance.run(&["renew", "gateway-system/wildcard-dev"]).status.success());
    let renewed = instance.wait("the renewed mirror", || {
        let entry = instance.entry(host)?;
        (serial(&entry) != serial(&source) && entry["state"] == "live").then_some(entry)
    });
    assert_eq!(serial(&renewed), serial(&answers(&instance, "app1.dev.example.com")));

    // An edit of the template reaches the Secret without a new certificate: no longer allowed, no mirror.
    let (open, closed) = ("edge-.*", "nowhere");
    instance.edit("certificates.yaml", open, closed);
    let pending = instance.reach(host, "pending");
    assert!(pending["message"].as_str().unwrap().contains("not there yet"), "{pending}");
    instance.edit("certificates.yaml", closed, open);
    assert_eq!(serial(&answers(&instance, host)), serial(&renewed));

    // A Secret of that name which is there keeps its content: one warning.
    let own = "apiVersion: v1\nkind: Secret\nmetadata: {name: ingress-tls, namespace: edge-own}\nstringData: {k: own}\n";
    instance.write("own.yaml", own);
    let wanted =
        ("PTL-0160".to_owned(), "warning".to_owned(), "Secret/gateway-system/ingress-tls".to_owned());
    instance.wait("the finding", || (findings(&instance) == [wanted.clone()]).then_some(()));

    // Changed behind its back while it does not run: repaired at the next start.
    instance.write("two.yaml", &edge("edge-two", "ingress-tls", "*.dev.example.com", "two.dev.example.com"));
    answers(&instance, "two.dev.example.com");
    assert!(instance.run(&["down"]).status.success());
    {
        let mut store = Store::open(instance.state.path()).unwrap();
        assert!(store.get(&secret("edge-two")).is_some());
        assert_eq!(store.get(&secret("edge-own")).unwrap().object.json["data"], json!({"k": "b3du"}));
        let stored = store.get(&secret("edge-one")).unwrap();
        assert_eq!(stored.manager, "portolan-reflector");
        let annotations = &stored.object.json["metadata"]["annotations"];
        assert_eq!(annotations["reflector.v1.k8s.emberstack.com/reflects"], "gateway-system/ingress-tls");
        assert_eq!(annotations["reflector.v1.k8s.emberstack.com/auto-reflects"], "True");
        let mut json = (*stored.object.json).clone();
        json["data"]["tls.key"] = json!("bm90aGluZw==");
        let object = Object::from_json(json, Origin::default()).unwrap();
        let done =
            store.write(vec![Write::Apply(Box::new(object), "portolan-reflector")], Instant(0)).unwrap();
        assert!(matches!(done[..], [Written::Changed(_)]));
    }
    // A namespace that went meanwhile takes its mirror with it.
    std::fs::remove_file(instance.dir.path().join("two.yaml")).unwrap();
    instance.up();
    assert_eq!(serial(&answers(&instance, host)), serial(&renewed));
    instance.wait("the removed route to be forgotten", || {
        instance.entry("two.dev.example.com").is_none().then_some(())
    });
    assert!(instance.run(&["down"]).status.success());
    let store = Store::open(instance.state.path()).unwrap();
    let data = |namespace: &str| store.get(&secret(namespace)).unwrap().object.json["data"].clone();
    assert_eq!(data("edge-one"), data("gateway-system"));
    assert!(store.get(&secret("edge-two")).is_none());
}

/// A Secret of the repository that is annotated `managed` gets its content from the SealedSecret, and has its own again
/// when that goes.
#[test]
fn a_managed_secret_is_written_over_as_long_as_its_sealed_secret_is_there() {
    let Some(envoy) = envoy("e2e managed secret") else { return };
    let (dir, keys) = (first_steps(), demo());
    let secret = |annotations: &Value, crt: &str, key: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "taken-tls", "namespace": "sealed-taken", "annotations": annotations},
            "stringData": {"tls.crt": crt, "ca.crt": crt, "tls.key": key},
        })
    };
    let (chain, key) = pair();
    let sealed = seal(&secret(&json!({}), &chain, &key), &path(&keys, "crt"));
    let placeholder = secret(&json!({"sealedsecrets.bitnami.com/managed": "true"}), "none", "none");
    std::fs::write(dir.path().join("taken.yaml"), placeholder.to_string()).unwrap();
    let edge = edge("sealed-taken", "taken-tls", "*.sealed.example.com", HOST);
    std::fs::write(dir.path().join("taken-edge.yaml"), edge).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--sealing-key", &path(&keys, "key")]);
    let refused = instance.reach(HOST, "refused");
    assert!(refused["message"].as_str().unwrap().contains("cannot be served"), "{refused}");
    instance.write("taken-sealed.yaml", &sealed);
    answers(&instance, HOST);
    instance.kill_nine();
    assert_eq!(holding(instance.state.path(), &key), Vec::<String>::new(), "opened values stay in memory");
    instance.up();
    answers(&instance, HOST);
    std::fs::remove_file(instance.dir.path().join("taken-sealed.yaml")).unwrap();
    instance.reach(HOST, "refused");
}

/// Manager-independent: who a Secret is from, by what it holds.
fn value(instance: &Instance, secret: &str, key: &str) -> Option<String> {
    let output = instance.run(&["get", "secret", secret, "--output", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).ok()?;
    // Values are not shown: their keys are.
    json["data"].get(key).or_else(|| json["stringData"].get(key)).map(ToString::to_string)
}

/// One that is patched and managed loses what was put in when its SealedSecret goes, and keeps its own.
#[test]
fn a_patched_secret_that_is_managed_loses_what_was_sealed_at_once() {
    let Some(envoy) = envoy("e2e patched secret") else { return };
    let (dir, keys) = (first_steps(), demo());
    let secret = |annotations: &Value, key: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "both", "namespace": "vault", "annotations": annotations}, "stringData": {key: "v"},
        })
    };
    let annotations =
        json!({"sealedsecrets.bitnami.com/patch": "true", "sealedsecrets.bitnami.com/managed": "true"});
    std::fs::write(dir.path().join("both.yaml"), secret(&annotations, "own").to_string()).unwrap();
    let sealed = seal(&secret(&json!({}), "k2"), &path(&keys, "crt"));
    std::fs::write(dir.path().join("both-sealed.yaml"), sealed).unwrap();
    let instance = Instance::start_with(dir, envoy, &["--sealing-key", &path(&keys, "key")]);
    instance.wait("what was sealed", || value(&instance, "vault/both", "k2"));
    assert!(value(&instance, "vault/both", "own").is_some());
    std::fs::remove_file(instance.dir.path().join("both-sealed.yaml")).unwrap();
    instance.wait("it to go", || value(&instance, "vault/both", "k2").is_none().then_some(()));
    assert!(value(&instance, "vault/both", "own").is_some());
}

/// A mirror that was first gives way to the repository's own Secret, and takes the name again when that goes.
#[test]
fn the_repository_takes_a_name_from_a_mirror_that_was_first() {
    let Some(envoy) = envoy("e2e mirror gives way") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let own =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: dup, namespace: web-1}\nstringData: {mine: x}\n";
    instance.write(
        "mirror.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: web-1}\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: dup\n  namespace: src\n  annotations:\n    reflector.v1.k8s.emberstack.com/reflection-allowed: \"true\"\n    reflector.v1.k8s.emberstack.com/reflection-auto-enabled: \"true\"\n    reflector.v1.k8s.emberstack.com/reflection-auto-namespaces: web-1\nstringData: {k: v}\n",
    );
    instance.wait("the mirror", || value(&instance, "web-1/dup", "k"));
    assert_eq!(findings(&instance), []);
    instance.write("own.yaml", own);
    instance.wait("the repository's own", || value(&instance, "web-1/dup", "mine"));
    let told = ("PTL-0160".to_owned(), "warning".to_owned(), "Secret/src/dup".to_owned());
    instance.wait("the word about it", || (findings(&instance) == [told.clone()]).then_some(()));
    assert_eq!(value(&instance, "web-1/dup", "k"), None);
    std::fs::remove_file(instance.dir.path().join("own.yaml")).unwrap();
    instance.wait("the mirror again", || value(&instance, "web-1/dup", "k"));
    instance.wait("no word", || findings(&instance).is_empty().then_some(()));
}

/// An immutable Secret keeps what it holds while its SealedSecret changes, which says so, and is made anew once it went.
#[test]
fn an_immutable_secret_stays_until_its_sealed_secret_went() {
    let Some(envoy) = envoy("e2e immutable secret") else { return };
    let (dir, keys) = (first_steps(), demo());
    let sealed = |key: &str| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
            "metadata": {"name": "fixed", "namespace": "vault"}, "stringData": {key: "v"},
        });
        seal(&secret, &path(&keys, "crt"))
    };
    std::fs::write(dir.path().join("fixed.yaml"), sealed("first")).unwrap();
    let instance = Instance::start_with(dir, envoy, &["--sealing-key", &path(&keys, "key")]);
    instance.wait("the Secret", || value(&instance, "vault/fixed", "first"));
    instance.write("fixed.yaml", &sealed("second"));
    let told = ("PTL-0156".to_owned(), "error".to_owned(), "SealedSecret/vault/fixed".to_owned());
    instance.wait("the finding", || (findings(&instance) == [told.clone()]).then_some(()));
    assert!(value(&instance, "vault/fixed", "first").is_some(), "it stays as it is");
    assert_eq!(value(&instance, "vault/fixed", "second"), None);
    let output = instance.run(&["get", "sealedsecret", "vault/fixed", "--output", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let synced = &json["status"]["conditions"][0];
    assert_eq!((&synced["type"], &synced["status"]), (&"Synced".into(), &"False".into()), "{json:#}");
    let words = "Secret \"fixed\" is invalid: data: Forbidden: field is immutable when `immutable` is set";
    assert_eq!(synced["message"], words);
    std::fs::remove_file(instance.dir.path().join("fixed.yaml")).unwrap();
    instance.wait("both to go", || value(&instance, "vault/fixed", "first").is_none().then_some(()));
    instance.write("fixed.yaml", &sealed("second"));
    instance.wait("the Secret made anew", || value(&instance, "vault/fixed", "second"));
    assert_eq!(findings(&instance), []);
}

/// What an API server would not store in the place of what stands there leaves it as it is.
#[test]
fn a_secret_that_an_api_server_refuses_keeps_what_stood() {
    let Some(envoy) = envoy("e2e refused secret") else { return };
    let (dir, keys) = (first_steps(), demo());
    let sealed = |kind: &str, key: &str| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {"name": "typed", "namespace": "vault"}, "stringData": {key: "value-of-it"},
        });
        seal(&secret, &path(&keys, "crt"))
    };
    std::fs::write(dir.path().join("typed.yaml"), sealed("Opaque", "first")).unwrap();
    let instance = Instance::start_with(dir, envoy, &["--sealing-key", &path(&keys, "key")]);
    instance.wait("the Secret", || value(&instance, "vault/typed", "first"));
    let told = ("PTL-0156".to_owned(), "error".to_owned(), "SealedSecret/vault/typed".to_owned());
    for (kind, words) in [
        ("example.com/other", "type: Invalid value: field is immutable"),
        ("kubernetes.io/tls", "data[tls.crt]: Required value"),
    ] {
        instance.write("typed.yaml", &sealed(kind, "second"));
        let message = instance.wait("the condition", || {
            let output = instance.run(&["get", "sealedsecret", "vault/typed", "--output", "json"]);
            let json: Value = serde_json::from_slice(&output.stdout).ok()?;
            let synced = &json["status"]["conditions"][0];
            let said = synced["message"].as_str()?.contains(words);
            (said && synced["status"] == "False").then(|| synced["message"].to_string())
        });
        assert!(!message.contains("value-of-it"), "{message}");
        assert_eq!(findings(&instance), std::slice::from_ref(&told));
        assert!(value(&instance, "vault/typed", "first").is_some(), "{kind}: it stays as it is");
    }
    instance.write("typed.yaml", &sealed("Opaque", "third"));
    instance.wait("the Secret", || value(&instance, "vault/typed", "third"));
    assert_eq!(findings(&instance), []);
}
