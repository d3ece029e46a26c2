//! Certificates in a cluster: issuers that sign themselves and CAs, Gateways that ask by annotation, and a real ACME server whose orders
//! outlive the replica that began them.

use std::{net::IpAddr, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_testkit::{Bind, BindZone, Pebble, PebbleOptions, skip};
use serde_json::{Value, json};

use crate::{
    place::{Backend, Place, eventually, holds},
    replicas::free,
    running::Running,
};

const HOST: &str = "web.example.com";
const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The definitions of cert-manager's kinds, which nobody removes again.
pub fn definitions() {
    let applied = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["crds", "apply", "--only", "cert-manager"])
        .status();
    assert!(applied.unwrap().success());
}

/// Arguments of a replica that makes the certificates of its place.
fn arguments(place: &Place) -> Vec<&str> {
    vec!["--capability", "certificates=act", "--watch-namespace", place.name]
}

/// A Gateway that asks an issuer for the certificate of its listener.
pub fn gateway(place: &Place, annotation: &str) {
    place.apply(&format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: gw, annotations: {{{annotation}}}}}, \
         spec: {{gatewayClassName: {}, listeners: [{{name: https, port: 443, protocol: HTTPS, hostname: {HOST}, \
         tls: {{certificateRefs: [{{name: web-tls}}]}}}}]}}}}\n",
        place.name
    ));
}

fn data(secret: &Value, entry: &str) -> Vec<u8> {
    STANDARD.decode(secret["data"][entry].as_str().unwrap_or_default()).unwrap()
}

/// Waits until a condition of an object holds, of its present generation.
fn ready(place: &Place, what: &str) -> Value {
    eventually(&format!("{what} is ready"), || {
        let object = place.get(what)?;
        holds(&object["status"]["conditions"], "Ready", &object)?;
        Some(object)
    })
}

/// Waits until an object says that it is ready; records have one generation, and do not say which.
pub fn done(place: &Place, what: &str) -> Value {
    eventually(&format!("{what} is ready"), || {
        let object = place.get(what)?;
        let conditions = object["status"]["conditions"].as_array()?;
        let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
        ready.then_some(object)
    })
}

/// What the host answers, asked by a client that believes these roots alone.
fn over_tls(address: IpAddr, roots: &[u8]) -> Option<String> {
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(roots).ok()?])
        .resolve(HOST, (address, 443).into())
        .build()
        .ok()?;
    client.get(format!("https://{HOST}/")).send().ok()?.error_for_status().ok()?.text().ok()
}

#[test]
fn certificates_are_issued_served_and_kept_as_they_are_wanted() {
    let Some(place) = Place::new("certificates") else { return };
    definitions();
    let one = Backend::start("one");
    place.service(&one);
    place.apply(
        "{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: own}, spec: {selfSigned: {}}}\n---\n\
         {apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: root}, spec: {secretName: root, isCA: true, commonName: root, \
         issuerRef: {name: own}}}\n---\n\
         {apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: ca}, spec: {ca: {secretName: root}}}\n",
    );
    gateway(&place, "cert-manager.io/issuer: ca");
    place.route("r", HOST, "one");
    // What cert-manager left, and what it did not.
    let certificate = |name: &str| {
        format!(
            "{{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {{name: {name}}}, spec: {{secretName: {name}, \
             dnsNames: [{name}.example.com], issuerRef: {{name: ca}}}}}}\n"
        )
    };
    place.apply(&format!(
        "{{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {{name: left, annotations: {{cert-manager.io/certificate-name: left}}}}, \
         stringData: {{tls.crt: old, tls.key: old}}}}\n---\n\
         {{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {{name: theirs}}, stringData: {{tls.crt: mine, tls.key: mine}}}}\n---\n{}---\n{}",
        certificate("left"),
        certificate("theirs")
    ));
    let mut portolan = Running::with_envoy(&place, &arguments(&place));
    let address = place.address();
    let root = data(&place.get("secret/root").unwrap(), "tls.crt");
    eventually("it is served over TLS", || (over_tls(address, &root)? == "one").then_some(()));

    // Objects that people and tools look at.
    let made = ready(&place, "certificate/web-tls");
    assert_eq!(made["metadata"]["ownerReferences"][0]["kind"], "Gateway");
    assert_eq!(made["status"]["revision"], 1);
    for issuer in ["issuer/own", "issuer/ca"] {
        ready(&place, issuer);
    }
    let request = done(&place, "certificaterequest/web-tls-1");
    assert_eq!(request["metadata"]["ownerReferences"][0]["uid"], made["metadata"]["uid"]);
    let secret = place.get("secret/web-tls").unwrap();
    assert_eq!(secret["metadata"]["annotations"]["cert-manager.io/issuer-name"], "ca");
    let managers = secret["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers.iter().all(|one| one["manager"] == "portolan" && one["operation"] == "Apply"),
        "{managers:?}"
    );
    // Of what somebody else made: taken over where it was made for this Certificate, else not touched.
    ready(&place, "certificate/left");
    assert_ne!(data(&place.get("secret/left").unwrap(), "tls.crt"), b"old");
    eventually("theirs is said", || portolan.findings("PTL-0311").first().cloned());
    assert_eq!(data(&place.get("secret/theirs").unwrap(), "tls.crt"), b"mine");

    // What is deleted comes again: the Secret as another certificate, the Certificate as it was.
    let serial = data(&secret, "tls.crt");
    place.kubectl(&["delete", "secret/web-tls"], "").unwrap();
    eventually("another certificate", || {
        let secret = place.get("secret/web-tls")?;
        (!data(&secret, "tls.crt").is_empty() && data(&secret, "tls.crt") != serial).then_some(())
    });
    place.kubectl(&["delete", "certificate/web-tls"], "").unwrap();
    eventually("the Certificate comes again", || place.get("certificate/web-tls"));
    ready(&place, "certificate/web-tls");
    eventually("it is served over TLS", || (over_tls(address, &root)? == "one").then_some(()));

    // A restart makes nothing anew.
    let before = place.get("secret/web-tls").unwrap()["data"].clone();
    portolan.stop();
    portolan = Running::with_envoy(&place, &arguments(&place));
    eventually("it leads", || portolan.leads().then_some(()));
    ready(&place, "certificate/web-tls");
    eventually("it is served over TLS", || (over_tls(address, &root)? == "one").then_some(()));
    assert_eq!(place.get("secret/web-tls").unwrap()["data"], before);

    // Who does not ask any more loses the Certificate, and keeps the Secret.
    gateway(&place, "");
    place.kubectl(&["annotate", "gateway/gw", "cert-manager.io/issuer-"], "").unwrap();
    eventually("the Certificate goes", || place.get("certificate/web-tls").is_none().then_some(()));
    assert_eq!(place.get("secret/web-tls").unwrap()["data"], before);
}

#[test]
fn who_stands_back_writes_nothing() {
    let Some(place) = Place::new("standback") else { return };
    definitions();
    let now = jiff::Timestamp::now();
    place.apply(&format!(
        "{{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {{name: cert-manager-controller}}, spec: {{holderIdentity: theirs, \
         leaseDurationSeconds: 3600, renewTime: '{now:.6}'}}}}\n---\n\
         {{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {{name: own}}, spec: {{selfSigned: {{}}}}}}\n---\n\
         {{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {{name: web}}, spec: {{secretName: web, dnsNames: [{HOST}], \
         issuerRef: {{name: own}}}}}}\n"
    ));
    // Nobody says what certificates are to do: it is found out.
    let portolan = Running::undecided(&place, &["--local-envoy", "--watch-namespace", place.name]);
    eventually("it leads", || portolan.leads().then_some(()));
    let standing = |status: &Value| {
        let all = status["capabilities"].as_array().unwrap();
        all.iter().find(|one| one["name"] == "certificates").unwrap().clone()
    };
    let found = standing(&portolan.status());
    assert_eq!(found["mode"], "observe", "{found}");
    assert!(found["why"].as_str().unwrap().contains("cert-manager-controller"), "{found}");
    assert_eq!(portolan.findings("PTL-0095").len(), 1);
    // It decides all the same, and shows it.
    eventually("it says what it would do", || {
        portolan.status().to_string().contains("certificate").then_some(())
    });
    assert!(place.get("secret/web").is_none());
    assert!(place.get("issuer/own").unwrap().get("status").is_none());
    // Once the other is gone and that is seen, it acts.
    place.kubectl(&["delete", "lease/cert-manager-controller"], "").unwrap();
    ready(&place, "certificate/web");
}

fn bind(folder: &std::path::Path) -> Option<Bind> {
    let options = "update-policy { grant acme zonesub TXT; };";
    let zone = BindZone { name: "example.com", options, records: "" };
    let server = Bind::start(folder, &[("acme", "hmac-sha256", SECRET)], &[zone]);
    if server.is_none() {
        skip("rig certificates", "named is missing; scripts/setup test brings it");
    }
    server
}

/// TXT values of the challenge that stand in the zone.
fn values(bind: &Bind) -> String {
    let dig = portolan_testkit::program("dig").expect("scripts/setup test brings dig");
    let port = bind.address().port().to_string();
    let words = ["@127.0.0.1", "-p", &port, "_acme-challenge.web.example.com", "TXT", "+short"];
    String::from_utf8(Command::new(dig).args(words).output().unwrap().stdout).unwrap()
}

#[test]
fn an_order_goes_on_when_the_leader_is_killed() {
    let Some(place) = Place::new("orders") else { return };
    definitions();
    let folder = tempfile::tempdir().unwrap();
    let Some(bind) = bind(folder.path()) else { return };
    // Long enough for the other to lead before Pebble looks.
    let Some(pebble) = Pebble::start(bind.address(), PebbleOptions { sleep: 4, ..PebbleOptions::default() })
    else {
        return skip("rig certificates", "pebble is missing; scripts/setup test brings it");
    };
    place.apply(&format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: tsig}}, stringData: {{secret: {SECRET}}}}}\n---\n\
         {{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {{name: {}}}, spec: {{acme: {{server: '{}', caBundle: {}, \
         email: ops@example.com, privateKeySecretRef: {{name: account}}, solvers: [{{dns01: {{rfc2136: {{nameserver: '{}', \
         tsigKeyName: acme, tsigAlgorithm: HMACSHA256, tsigSecretSecretRef: {{name: tsig, key: secret}}}}}}}}]}}}}}}\n",
        place.name,
        pebble.directory(),
        STANDARD.encode(&pebble.tls_root),
        bind.address()
    ));
    let one = Backend::start("one");
    place.service(&one);
    place.route("r", HOST, "one");
    let replica = || {
        let at = free().to_string();
        Running::start(&place, &[&["--xds-listen", &at], &*arguments(&place)].concat(), None)
    };
    let (first, second) = (replica(), replica());
    let leader = eventually("one of them leads", || [&first, &second].into_iter().position(Running::leads));
    let (dead, alive) = if leader == 0 { (first, second) } else { (second, first) };
    eventually("the account is registered", || {
        let issuer = place.get(&format!("clusterissuer/{}", place.name))?;
        holds(&issuer["status"]["conditions"], "Ready", &issuer)
    });
    gateway(&place, &format!("cert-manager.io/cluster-issuer: {}", place.name));
    let orders = || {
        let all = place.kubectl(
            &["get", "secrets", "--field-selector", "type=portolan.dev/acme-order", "-o", "json"],
            "",
        );
        let all: Value = serde_json::from_str(&all.unwrap()).unwrap();
        all["items"].as_array().unwrap().clone()
    };
    let kept = eventually("a value that is written", || {
        let order = orders().into_iter().next()?;
        let state: Value = serde_json::from_slice(&data(&order, "order")).unwrap();
        (state["state"]["authorizations"][0]["presented"] == json!(true)).then_some(state)
    });
    assert_eq!(kept["certificate"], format!("{}/web-tls", place.name));
    eventually("there is a Challenge to look at", || {
        let challenges = place.kubectl(&["get", "challenges", "-o", "name"], "").ok()?;
        (challenges.lines().count() == 1).then_some(())
    });
    let account = place.get("secret/account").unwrap();
    dead.kill();
    ready(&place, "certificate/web-tls");
    assert!(alive.leads());
    let chain = String::from_utf8(data(&place.get("secret/web-tls").unwrap(), "tls.crt")).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2, "{chain}");
    // One order, whoever carried it out; nothing of it is left.
    assert_eq!(pebble.log().matches("Added order").count(), 1, "{}", pebble.log());
    eventually("the order is forgotten", || orders().is_empty().then_some(()));
    eventually("and its value", || values(&bind).is_empty().then_some(()));
    eventually("and its challenge", || {
        place.kubectl(&["get", "challenges", "-o", "name"], "").ok()?.is_empty().then_some(())
    });
    // The next leader has the key of the same account.
    assert_eq!(place.get("secret/account").unwrap()["data"], account["data"]);
}
