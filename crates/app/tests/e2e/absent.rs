//! What is in no file and may be in a cluster is no error: a Service has a stand-in, a Secret that is made elsewhere is not known.

use super::{
    backends::{ask, folder, route, to},
    instance::{Instance, envoy},
};

#[test]
fn what_only_a_cluster_has_gets_a_stand_in_and_what_is_made_elsewhere_is_unknown() {
    let Some(envoy) = envoy("e2e absent") else { return };
    let api = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: api, namespace: default}\nspec:\n  parentRefs: [{name: front, namespace: gw}]\n  hostnames: [api.lab.test]\n  rules: [{backendRefs: [{name: kubernetes, port: 443}]}]\n";
    let tls = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: tls, namespace: team}\nspec:\n  gatewayClassName: edge\n  listeners: [{name: web, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web-tls}]}}]\n";
    let secret = "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: web-tls, namespace: team}\nspec: {secretStoreRef: {name: vault}}\n";
    let held = "---\napiVersion: v1\nkind: Service\nmetadata: {name: held, namespace: team}\nspec: {ports: [{port: 80}]}\n";
    let of_tls = route("held", &to("held", 80)).replace("{name: front, namespace: gw}", "{name: tls}");
    let other = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: mesh, namespace: team}\nspec:\n  gatewayClassName: istio-waypoint\n  listeners: [{name: mesh, port: 15008, protocol: HBONE}]\n";
    let of_other = route("inside", &to("held", 80)).replace("{name: front, namespace: gw}", "{name: mesh}");
    let instance =
        Instance::start(folder(&format!("{api}{tls}{secret}{held}{of_tls}{other}{of_other}")), envoy);
    let entry = instance.reach("api.lab.test", "live");
    assert_eq!(ask(&entry, "api.lab.test", "/", &[]).status, 200);
    let status = instance.status();
    let said = status["substitutions"].as_array().unwrap().iter().filter_map(|one| one.as_str());
    assert!(said.into_iter().any(|one| one.contains("API server's own") && one.contains("echo")), "{status}");
    assert!(status["findings"].as_array().unwrap().iter().all(|one| one["severity"] != "error"), "{status}");
    let held = instance.reach("held.lab.test", "unknown");
    assert!(held["message"].as_str().unwrap().contains("from ExternalSecret/team/web-tls"), "{held}");
    assert!(instance.entry("inside.lab.test").is_none(), "nothing is said of how it is served there");
    let others = &status["otherGateways"][0];
    assert_eq!(others["gateway"], "team/mesh");
    assert_eq!(others["routes"][0]["hostnames"][0], "inside.lab.test");
    assert_eq!(instance.run(&["status"]).status.code(), Some(1), "the verdict is incomplete");
    assert_eq!(instance.run(&["status", "--allow-incomplete"]).status.code(), Some(0));
}
