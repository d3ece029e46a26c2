//! Health as Argo CD words it, through `portolan status --output json`: one Application for each verdict.

use std::fs;

use serde_json::{Value, json};

use super::instance::{Instance, envoy, first_steps};

fn application(name: &str, source: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: default\n  destination: {{server: https://kubernetes.default.svc, namespace: {name}}}\n  syncPolicy: {{automated: {{prune: true}}}}\n  source: {{{source}}}\n---\n"
    )
}

const POLICY: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: names}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [gateway.networking.k8s.io], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: [httproutes]}]
  validations: [{expression: \"object.metadata.name != 'denied'\", message: not under this name}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: names}
spec: {policyName: names, validationActions: [Deny]}
";
const FINE: &str = "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own, namespace: shop}\nspec: {selfSigned: {}}\n";
const WRONG: &str = "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: late, namespace: shop}\nspec: {ca: {secretName: root}}\n";
const WAITS: &str = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: web, namespace: shop}\nspec: {secretName: web, dnsNames: [web.shop.test], issuerRef: {name: late}}\n";
const DENIED: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: denied, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  hostnames: [denied.dev.example.com]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n";

const REFUSED: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: refused, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  hostnames: [refused.dev.example.com]\n  rules: [{backendRefs: [{name: app1, port: \"80\"}]}]\n";
const CLASSLESS: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: classless, namespace: shop}\nspec: {gatewayClassName: nope, listeners: [{name: http, port: 80, protocol: HTTP}]}\n";

#[test]
fn each_verdict_of_health_is_shown_with_its_message() {
    let Some(envoy) = envoy("e2e health") else { return };
    let dir = first_steps();
    let at = |path: &str| dir.path().join(path);
    let ignored = WAITS
        .replace(
            "name: web, namespace: shop}",
            "name: aside, namespace: shop, annotations: {argocd.argoproj.io/ignore-healthcheck: 'true'}}",
        )
        .replace("secretName: web", "secretName: aside");
    let folders = [
        ("base", POLICY),
        ("fine", FINE),
        ("wrong", WRONG),
        ("waits", WAITS),
        ("denied", DENIED),
        ("ignored", &*ignored),
        ("refused", REFUSED),
        ("classless", CLASSLESS),
    ];
    let mut apps = String::new();
    for (name, text) in folders {
        fs::create_dir_all(at(name)).unwrap();
        fs::write(at(name).join("one.yaml"), text).unwrap();
        apps += &application(name, &format!("repoURL: https://git.example.com/r.git, path: {name}"));
    }
    apps +=
        &application("unread", "repoURL: https://charts.example.com, chart: anything, targetRevision: 1.0.0");
    for file in ["gateway.yaml", "team-a.yaml", "certificates.yaml"] {
        fs::rename(at(file), at("base").join(file)).unwrap();
    }
    fs::write(at("apps.yaml"), apps).unwrap();
    let instance = Instance::start_with(dir, envoy, &["--root", "apps.yaml"]);
    instance.reach("app1.dev.example.com", "live");
    let status = instance.status();
    let app = |name: &str| -> Value {
        let key = format!("Application/argocd/{name}");
        let apps = status["applications"].as_array().unwrap();
        apps.iter().find(|app| app["application"] == *key).unwrap().clone()
    };
    for (name, health, object, message) in [
        (
            "wrong",
            "Degraded",
            "Issuer/shop/late",
            "Error getting keypair for CA issuer: secret \"root\" not found",
        ),
        (
            "waits",
            "Progressing",
            "Certificate/shop/web",
            "Issuing certificate as Secret does not exist; waiting for the CA of Issuer/shop/late: Secret shop/root",
        ),
        ("classless", "Progressing", "Gateway/shop/classless", "Waiting for controller"),
        ("denied", "Missing", "HTTPRoute/team-a/denied", "policy names keeps it out: not under this name"),
    ] {
        let app = app(name);
        let one = json!([{"object": object, "health": health, "message": message}]);
        assert_eq!((&app["health"], &app["unhealthy"]), (&health.into(), &one), "{name}");
        assert_eq!(app["message"], format!("{object}: {message}"));
    }
    let refused = app("refused");
    assert_eq!((&refused["health"], &refused["objects"]), (&"Missing".into(), &0.into()));
    assert_eq!(refused["outOfSync"], json!(["HTTPRoute/team-a/refused"]));
    let why = refused["unhealthy"][0]["message"].as_str().unwrap();
    assert!(why.contains("as Kubernetes refuses it: spec.rules[0].backendRefs[0].port"), "{why}");
    let fine = app("fine");
    assert_eq!(fine["outOfSync"], json!([]));
    assert_eq!(
        (&fine["health"], &fine["message"], &fine["objects"]),
        (&"Healthy".into(), &Value::Null, &1.into())
    );
    // It waits, and Argo CD is told not to look.
    assert_eq!(app("ignored")["health"], "Healthy");
    let unread = app("unread");
    let why = unread["message"].as_str().unwrap();
    assert_eq!(unread["health"], "Unknown");
    assert!(why.starts_with("Application/argocd/unread: was not rendered: "), "{why}");
    // An edit that an API server refuses: what stood before is there, and not what the repository has.
    instance.write("fine/one.yaml", &FINE.replace("selfSigned: {}", "selfSigned: 5"));
    instance.wait("the edit to be told", || {
        let status = instance.status();
        let fine = status["applications"]
            .as_array()?
            .iter()
            .find(|app| app["application"] == "Application/argocd/fine")?
            .clone();
        (fine["outOfSync"] == json!(["Issuer/shop/own"]) && fine["health"] == "Healthy").then_some(())
    });
}
