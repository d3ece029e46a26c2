//! What Envoy refuses harms only itself. Faults are planted in the encoder (`envoy/src/fault.rs`), so that they reach a
//! real Envoy however well rows are judged before.

use std::path::Path;

use tempfile::TempDir;

use super::instance::{Instance, envoy};

const BASE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: v1
kind: Namespace
metadata: {name: gw}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: gw}
spec:
  gatewayClassName: edge
  listeners: [{name: web, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: second, namespace: gw}
spec:
  gatewayClassName: edge
  listeners: [{name: web, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
";

fn service(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: team}}\nspec: {{ports: [{{port: 80}}]}}\n"
    )
}

/// A route of one host; each rule has a path, a backend and, if it is `bad`, a planted fault.
fn route(host: &str, gateway: &str, rules: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {host}, namespace: team}}\nspec:\n  \
         parentRefs: [{{name: {gateway}, namespace: gw}}]\n  hostnames: [{host}.lab.test]\n  rules:\n"
    );
    for (path, to, bad) in rules {
        let headers = if *bad == "match" { ", headers: [{name: x-planted-match, value: x}]" } else { "" };
        text += &format!("  - matches: [{{path: {{type: PathPrefix, value: {path}}}{headers}}}]\n");
        if *bad == "header" {
            text += "    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-planted-fault, value: z}]}}]\n";
        }
        text += &format!("    backendRefs: [{{name: {to}, port: 80}}]\n");
    }
    text
}

fn base() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let services = ["one", "two", "three"].map(service).concat();
    std::fs::write(dir.path().join("base.yaml"), format!("{BASE}{services}")).unwrap();
    dir
}

fn write(dir: &Path, host: &str, rules: &[(&str, &str, &str)]) {
    std::fs::write(dir.join(format!("{host}.yaml")), route(host, "front", rules)).unwrap();
}

/// What a host answers: the Service, or the status.
fn answer(instance: &Instance, host: &str, path: &str) -> Option<String> {
    let status = instance.status();
    let entries = status["entryPoints"].as_array()?;
    let entry =
        entries.iter().find(|e| e["port"] == 8080 && !e["address"].as_str().unwrap_or("").is_empty())?;
    let own = entries.iter().find(|e| e["hostname"] == format!("{host}.lab.test")).unwrap_or(entry);
    let url = format!("http://{}:{}{path}", own["address"].as_str()?, own["port"]);
    let client = reqwest::blocking::Client::new();
    let response = client.get(url).header("host", format!("{host}.lab.test")).send().ok()?;
    if response.status() != 200 {
        return Some(response.status().as_u16().to_string());
    }
    let json: serde_json::Value = serde_json::from_str(&response.text().ok()?).ok()?;
    Some(json["service"].as_str()?.to_owned())
}

fn answers(instance: &Instance, host: &str, path: &str, expected: &str) {
    let mut last = None;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while last.as_deref() != Some(expected) {
        assert!(
            std::time::Instant::now() < until,
            "{host}{path}: {last:?}, not {expected}\n{}",
            instance.status()
        );
        last = answer(instance, host, path);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn refused(instance: &Instance, host: &str) -> String {
    let entry = instance.reach(&format!("{host}.lab.test"), "refused");
    let findings = entry["findings"].as_array().unwrap();
    assert!(findings.iter().any(|f| f["code"] == "PTL-0231"), "{entry}");
    entry["message"].as_str().unwrap().to_owned()
}

#[test]
fn case_02_one_rule_that_envoy_refuses_harms_only_itself() {
    let Some(envoy) = envoy("e2e isolation of a rule") else { return };
    let dir = base();
    for n in 0..40 {
        write(dir.path(), &format!("h{n}"), &[("/", "one", "")]);
    }
    let mut instance = Instance::start(dir, envoy);
    for n in [0, 17, 39] {
        instance.reach(&format!("h{n}.lab.test"), "live");
    }
    // A bad rule comes among good ones.
    let folder = instance.dir.path().to_owned();
    write(&folder, "bad", &[("/good", "one", ""), ("/bad", "two", "header"), ("/", "three", "")]);
    let why = refused(&instance, "bad");
    assert!(why.contains("rule 1 of") && why.contains("bad"), "{why}");
    let status = instance.status();
    let finding = status["findings"].as_array().unwrap().iter().find(|f| f["code"] == "PTL-0231").unwrap();
    assert_eq!(finding["field"], "spec.rules[1]");
    answers(&instance, "bad", "/good", "team/one");
    answers(&instance, "bad", "/bad", "500");
    answers(&instance, "bad", "/", "team/three");
    // Everybody else goes on: another backend, a removal, a new host.
    write(&folder, "h17", &[("/", "two", "")]);
    answers(&instance, "h17", "/", "team/two");
    std::fs::remove_file(folder.join("h39.yaml")).unwrap();
    answers(&instance, "h39", "/", "404");
    write(&folder, "new", &[("/", "three", "")]);
    answers(&instance, "new", "/", "team/three");
    instance.reach("new.lab.test", "live");
    // A restart takes nothing away.
    instance.kill_nine();
    instance.up();
    instance.reach("h0.lab.test", "live");
    answers(&instance, "bad", "/good", "team/one");
    answers(&instance, "bad", "/bad", "500");
    answers(&instance, "h17", "/", "team/two");
    refused(&instance, "bad");
    // Mended.
    write(&folder, "bad", &[("/good", "one", ""), ("/bad", "two", ""), ("/", "three", "")]);
    answers(&instance, "bad", "/bad", "team/two");
    instance.reach("bad.lab.test", "live");
}

#[test]
fn a_match_that_envoy_refuses_leaves_no_request_to_the_next_rule() {
    let Some(envoy) = envoy("e2e isolation of a match") else { return };
    let dir = base();
    write(dir.path(), "h0", &[("/", "one", "")]);
    write(dir.path(), "bad", &[("/first", "one", ""), ("/bad", "two", "match"), ("/", "three", "")]);
    let instance = Instance::start(dir, envoy);
    instance.reach("h0.lab.test", "live");
    refused(&instance, "bad");
    answers(&instance, "bad", "/first", "team/one");
    answers(&instance, "bad", "/bad", "500");
    answers(&instance, "bad", "/", "500");
    answers(&instance, "h0", "/", "team/one");
}

#[test]
fn case_01_an_endpoint_that_envoy_refuses_concerns_one_backend() {
    let Some(envoy) = envoy("e2e isolation of an endpoint") else { return };
    let dir = base();
    write(dir.path(), "good", &[("/", "one", "")]);
    std::fs::write(dir.path().join("other.yaml"), route("other", "second", &[("/", "one", "")])).unwrap();
    let mut instance = Instance::start(dir, envoy);
    instance.reach("good.lab.test", "live");
    instance.reach("other.lab.test", "live");
    let folder = instance.dir.path().to_owned();
    let vendor = format!(
        "{}---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: vendor-1, namespace: team, labels: \
         {{kubernetes.io/service-name: vendor}}}}\naddressType: IPv4\nports: [{{port: 6}}]\nendpoints: [{{addresses: \
         [127.0.0.1]}}]\n---\n{}",
        service("vendor"),
        route("vendor", "front", &[("/", "vendor", "")])
    );
    std::fs::write(folder.join("ext.yaml"), vendor).unwrap();
    answers(&instance, "vendor", "/", "503");
    write(&folder, "good", &[("/", "two", "")]);
    answers(&instance, "good", "/", "team/two");
    std::fs::remove_file(folder.join("other.yaml")).unwrap();
    instance.wait("other to go", || instance.entry("other.lab.test").is_none().then_some(()));
    instance.kill_nine();
    instance.up();
    instance.reach("good.lab.test", "live");
    answers(&instance, "good", "/", "team/two");
}
