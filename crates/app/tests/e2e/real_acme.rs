//! `up --real-acme`: certificates from a real Pebble over HTTPS, with challenges in a real BIND, and none from there without it.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_testkit::{Bind, BindZone, Pebble, PebbleOptions, skip};
use tempfile::TempDir;

use super::instance::{Instance, envoy};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const HOST: &str = "web.example.com";

fn bind(folder: &Path) -> Option<Bind> {
    let options = "update-policy { grant acme zonesub TXT; };";
    let zone = BindZone { name: "example.com", options, records: "" };
    let server = Bind::start(folder, &[("acme", "hmac-sha256", SECRET)], &[zone]);
    if server.is_none() {
        skip("e2e real acme", "named is missing; scripts/setup test brings it");
    }
    server
}

fn pebble(bind: &Bind, sleep: u8) -> Option<Pebble> {
    let server = Pebble::start(bind.address(), PebbleOptions { sleep, ..PebbleOptions::default() });
    if server.is_none() {
        skip("e2e real acme", "pebble is missing; scripts/setup test brings it");
    }
    server
}

fn tsig(secret: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: tsig, namespace: cert-manager}}\nstringData: {{secret: {secret}}}\n"
    )
}

fn issuer(pebble: &Pebble, bind: &Bind, more: &str) -> String {
    let bundle = STANDARD.encode(&pebble.tls_root);
    format!(
        "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {{name: le}}\nspec:\n  acme:\n    server: {}\n    caBundle: {bundle}\n    \
         email: ops@example.com\n    privateKeySecretRef: {{name: le-account}}\n{more}    solvers:\n      - dns01:\n          rfc2136:\n            \
         nameserver: {}\n            tsigKeyName: acme\n            tsigAlgorithm: HMACSHA256\n            tsigSecretSecretRef: {{name: tsig, key: secret}}\n",
        pebble.directory(),
        bind.address()
    )
}

const EDGE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: edge}\nspec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}\n---\n\
    apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: net, annotations: {cert-manager.io/cluster-issuer: le}}\nspec:\n  \
    gatewayClassName: edge\n  listeners:\n    - {name: https, port: 443, protocol: HTTPS, hostname: web.example.com, tls: {certificateRefs: [{name: web-tls}]}}\n---\n\
    apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: net}\nspec: {ports: [{port: 80}]}\n---\n\
    apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web, namespace: net}\nspec:\n  parentRefs: [{name: gw}]\n  \
    hostnames: [web.example.com]\n  rules: [{backendRefs: [{name: web, port: 80}]}]\n";

fn repository(pebble: &Pebble, bind: &Bind) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("edge.yaml", EDGE);
    write("issuer.yaml", &issuer(pebble, bind, ""));
    dir
}

fn says(instance: &Instance, what: &str) {
    instance.wait(what, || instance.status().to_string().contains(what).then_some(()));
}

#[test]
fn certificates_come_from_the_issuers_own_server_when_that_is_asked_for() {
    let Some(envoy) = envoy("e2e real acme") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(bind) = bind(folder.path()) else { return };
    let Some(pebble) = pebble(&bind, 0) else { return };
    let dir = repository(&pebble, &bind);
    std::fs::write(dir.path().join("tsig.yaml"), tsig(SECRET)).unwrap();
    let mut instance = Instance::start(dir, envoy);
    let entry = instance.reach(HOST, "live");
    let issuer_of = |entry: &serde_json::Value| entry["certificate"]["issuer"].as_str().unwrap().to_owned();
    assert!(issuer_of(&entry).starts_with("Portolan development "), "{entry}");
    assert!(!pebble.log().contains("POST"), "nobody was asked:\n{}", pebble.log());
    instance.kill_nine();

    // What the stand-in issued is replaced, and nobody but the issuer's own server is asked.
    instance.arguments = vec!["--real-acme".to_owned()];
    instance.up();
    let entry = instance.wait("a certificate of Pebble's", || {
        instance.entry(HOST).filter(|entry| entry["state"] == "live" && issuer_of(entry).contains("Pebble"))
    });
    assert!(instance.status()["substitutions"].to_string().find("development CA").is_none());
    let serial = entry["certificate"]["serial"].clone();
    // A restart orders nothing.
    instance.kill_nine();
    let asked = pebble.log().matches("POST /order-plz").count();
    instance.up();
    let entry = instance.reach(HOST, "live");
    assert_eq!(entry["certificate"]["serial"], serial);
    assert_eq!(pebble.log().matches("POST /order-plz").count(), asked);
    // A renewal does.
    assert!(instance.run(&["renew", "net/web-tls"]).status.success());
    instance.wait("another serial", || {
        instance
            .entry(HOST)
            .filter(|entry| entry["certificate"]["serial"] != serial && entry["state"] == "live")
    });

    // What is not honoured closes: nothing is ordered with less than was asked for.
    instance.write("issuer.yaml", &issuer(&pebble, &bind, "    profile: short\n"));
    says(&instance, "profile is not built");
    instance.write("issuer.yaml", &issuer(&pebble, &bind, "").replace("caBundle: ", "caBundle: eA== #"));
    says(&instance, "cert bundle didn't contain any valid certificates");
    instance.write("issuer.yaml", &issuer(&pebble, &bind, ""));
    instance.reach(HOST, "live");
}

#[test]
fn an_order_waits_for_its_key_and_goes_on_after_a_kill() {
    let Some(envoy) = envoy("e2e real acme") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(bind) = bind(folder.path()) else { return };
    // Long enough to be killed while the value stands and Pebble has not looked.
    let Some(pebble) = pebble(&bind, 4) else { return };
    let mut instance = Instance::start_with(repository(&pebble, &bind), envoy, &["--real-acme"]);
    says(&instance, "waiting for Secret cert-manager/tsig with the TSIG key of ClusterIssuer/le");
    instance.write("tsig.yaml", &tsig(SECRET));
    let kept = instance.state.path().join("acme-orders/net..web-tls.json");
    instance.wait_within(Duration::from_mins(1), "a value that is written", || {
        let text = std::fs::read_to_string(&kept).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        assert!(!text.contains(SECRET) && !text.contains("PRIVATE KEY"), "{text}");
        (json["state"]["presented"].as_array()?.len() == 1
            && json["state"]["authorizations"][0]["presented"] == true)
            .then_some(())
    });
    instance.kill_nine();
    let orders = || pebble.log().matches("POST /order-plz").count();
    let before = orders();
    instance.up();
    instance.reach(HOST, "live");
    // Rejected nonces are posted again.
    assert!(orders() == before, "{before} before, {} after:\n{}", orders(), pebble.log());
    instance.wait("the order to be forgotten", || (!kept.exists()).then_some(()));
    let zone = portolan_testkit::suites::program("dig").map(|dig| {
        let port = bind.address().port().to_string();
        let words = ["@127.0.0.1", "-p", &port, "_acme-challenge.web.example.com", "TXT", "+short"];
        std::process::Command::new(dig).args(words).output().unwrap().stdout
    });
    assert_eq!(zone.unwrap_or_default(), b"", "the value of the killed run is gone too");
}
