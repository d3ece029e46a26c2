//! Values that Envoy refuses: the rule is left out, its route says so, and everybody else's changes are served meanwhile.

use serde_json::Value;
use tempfile::TempDir;

use super::instance::{Instance, envoy, portolan};

const BASE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: gw}
spec:
  gatewayClassName: edge
  listeners: [{name: web, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: v1
kind: Namespace
metadata: {name: gw}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: team}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: team}
spec: {ports: [{name: http, port: 80}]}
";

/// Rules of which Envoy refuses each, by name.
const BAD: [(&str, &str); 14] = [
    (
        "hosthdr",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: o.lab.test}]}}], backendRefs: [{name: two, port: 80}]}",
    ),
    (
        "behost",
        "{backendRefs: [{name: one, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: y.lab.test}]}}]}]}",
    ),
    (
        "bigweight",
        "{backendRefs: [{name: one, port: 80, weight: 4000000000}, {name: two, port: 80, weight: 4000000000}]}",
    ),
    ("emptyhdr", "{matches: [{headers: [{name: '', value: x}]}], backendRefs: [{name: one, port: 80}]}"),
    ("hash", "{matches: [{path: {type: PathPrefix, value: '/a#b'}}], backendRefs: [{name: one, port: 80}]}"),
    (
        "prefix-query",
        "{matches: [{path: {type: PathPrefix, value: '/find?kind=a'}}], backendRefs: [{name: one, port: 80}]}",
    ),
    (
        "pseudo",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: ':path', value: /x}]}}], backendRefs: [{name: one, port: 80}]}",
    ),
    (
        "re2-rep",
        "{matches: [{path: {type: RegularExpression, value: '/a{2000}'}}], backendRefs: [{name: one, port: 80}]}",
    ),
    (
        "re2-x",
        "{matches: [{path: {type: RegularExpression, value: '(?x)/ab c'}}], backendRefs: [{name: one, port: 80}]}",
    ),
    (
        "re2-braces",
        r"{matches: [{path: {type: RegularExpression, value: '/\u{61}'}}], backendRefs: [{name: one, port: 80}]}",
    ),
    ("redhost", "{filters: [{type: RequestRedirect, requestRedirect: {hostname: \"bad\\nhost\"}}]}"),
    (
        "resphost",
        "{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: host, value: x}]}}], backendRefs: [{name: one, port: 80}]}",
    ),
    (
        "rmhost",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [host]}}], backendRefs: [{name: one, port: 80}]}",
    ),
    (
        "two-rewrites",
        "{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}, {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /y}}}], backendRefs: [{name: one, port: 80}]}",
    ),
];

fn route(name: &str, host: &str, rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("  - {rule}\n")).collect();
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: team}}\nspec:\n  \
         parentRefs: [{{name: front, namespace: gw}}]\n  hostnames: [{host}]\n  rules:\n{rules}"
    )
}

fn good(backend: &str) -> String {
    route("good", "good.lab.test", &[&format!("{{backendRefs: [{{name: {backend}, port: 80}}]}}")])
}

fn folder(files: &[(&str, String)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("base.yaml"), BASE).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// Status of a request, and the Service whose stand-in answered.
fn ask(entry: &Value, host: &str, path: &str) -> (u16, String) {
    let url = format!("http://{}:{}{path}", entry["address"].as_str().unwrap(), entry["port"]);
    let client =
        reqwest::blocking::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = client.get(url).header("host", host).send().unwrap();
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_str(&answer.text().unwrap()).unwrap_or_default();
    (status, body["service"].as_str().unwrap_or_default().to_owned())
}

fn serves(instance: &Instance, entry: &Value, service: &str) {
    instance.wait(&format!("good.lab.test to be answered by {service}"), || {
        (ask(entry, "good.lab.test", "/") == (200, format!("team/{service}"))).then_some(())
    });
}

#[test]
fn a_neighbour_changes_beside_each_value_that_envoy_refuses() {
    let Some(envoy) = envoy("e2e refused values") else { return };
    let mut instance = Instance::start(folder(&[("good.yaml", good("one"))]), envoy);
    let entry = instance.reach("good.lab.test", "live");
    for (at, (name, rule)) in BAD.iter().enumerate() {
        let host = format!("{name}.lab.test");
        instance.write(&format!("{name}.yaml"), &route(name, &host, &[rule]));
        let said = || {
            let status = instance.status();
            let said = status["findings"].as_array()?.iter().any(|f| {
                f["object"].as_str().is_some_and(|o| o.ends_with(&format!("team/{name}")))
                    && f["severity"] == "error"
            });
            said.then_some(())
        };
        instance.wait(&format!("a finding about {name}"), said);
        let service = if at % 2 == 0 { "two" } else { "one" };
        instance.write("good.yaml", &good(service));
        serves(&instance, &entry, service);
        assert_ne!(ask(&entry, &host, "/").0, 200, "{name}");
    }
    // All of them at once, after a restart: the table is complete.
    instance.kill_nine();
    instance.up();
    let entry = instance.reach("good.lab.test", "live");
    serves(&instance, &entry, "one");
    for (name, _) in BAD {
        assert_ne!(ask(&entry, &format!("{name}.lab.test"), "/").0, 200, "{name}");
    }
    assert_eq!(ask(&entry, "hosthdr.lab.test", "/").0, 500);
    // The door leaves it out whole, as an API server would.
    assert_eq!(ask(&entry, "prefix-query.lab.test", "/find").0, 404);
    assert_eq!(ask(&entry, "prefix-query.lab.test", "/other").0, 404);
    // A route that is removed is gone, and one that is mended is served.
    instance.write(
        "hosthdr.yaml",
        &route("hosthdr", "hosthdr.lab.test", &["{backendRefs: [{name: two, port: 80}]}"]),
    );
    instance.reach("hosthdr.lab.test", "live");
    assert_eq!(ask(&entry, "hosthdr.lab.test", "/"), (200, "team/two".into()));
}

#[test]
fn a_match_that_is_left_out_is_answered_by_no_wider_rule() {
    let Some(envoy) = envoy("e2e refused matches") else { return };
    let rules = [
        "{matches: [{path: {type: RegularExpression, value: '/admin/(?x).*'}}], backendRefs: [{name: two, port: 80}]}",
        "{matches: [{path: {value: /}}], backendRefs: [{name: one, port: 80}]}",
    ];
    let wide = route("wide", "'*.lab.test'", &["{backendRefs: [{name: two, port: 80}]}"]);
    let files = [("shop.yaml", route("shop", "shop.lab.test", &rules)), ("wide.yaml", wide)];
    let instance = Instance::start(folder(&files), envoy);
    let entry = instance.reach("shop.lab.test", "live");
    assert_eq!(ask(&entry, "shop.lab.test", "/x"), (200, "team/one".into()));
    assert_eq!(ask(&entry, "shop.lab.test", "/admin/x").0, 500);
    let described = instance.run(&["get", "httproute", "team/shop", "--output", "json"]);
    let text = String::from_utf8_lossy(&described.stdout).into_owned();
    assert!(text.contains("PartiallyInvalid") && text.contains("Dropped Rule"), "{text}");
    // A host whose only match is left out does not fall to the wider host.
    let only = "{matches: [{path: {type: RegularExpression, value: '/a{2000}'}}], backendRefs: [{name: one, port: 80}]}";
    instance.write("only.yaml", &route("only", "only.lab.test", &[only]));
    instance
        .wait("only.lab.test to be closed", || (ask(&entry, "only.lab.test", "/a").0 == 500).then_some(()));
}

#[test]
fn rendering_names_rule_and_field() {
    let all: Vec<(String, String)> = BAD
        .iter()
        .map(|(name, rule)| (format!("{name}.yaml"), route(name, &format!("{name}.lab.test"), &[rule])))
        .collect();
    let files: Vec<(&str, String)> = all.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    let dir = folder(&files);
    let output = portolan().arg("render").arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for (name, _) in BAD {
        assert!(text.contains(&format!("HTTPRoute/team/{name}")), "{name}: {text}");
    }
    assert!(text.contains("spec.rules[0].filters[0].requestHeaderModifier.set[0].name"), "{text}");
}
