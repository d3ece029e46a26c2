use serde_json::{Value, json};

use super::{Status, Status::*, health};

fn of(api: &str, kind: &str, status: &Value) -> Option<Status> {
    let object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x", "generation": 2},
        "spec": {"type": "LoadBalancer"}, "status": status});
    health(&object).map(|h| h.status)
}

fn condition(r#type: &str, status: &str) -> Value {
    json!({"type": r#type, "status": status, "message": "m", "observedGeneration": 2})
}

#[test]
fn issuing_is_looked_at_before_ready() {
    let at = |list: &[Value]| of("cert-manager.io/v1", "Certificate", &json!({"conditions": list}));
    assert_eq!(at(&[condition("Ready", "False"), condition("Issuing", "True")]), Some(Progressing));
    assert_eq!(at(&[condition("Ready", "False"), condition("Issuing", "False")]), Some(Degraded));
    assert_eq!(at(&[condition("Ready", "True")]), Some(Healthy));
    assert_eq!(at(&[]), Some(Progressing));
}

#[test]
fn issuers_sealed_secrets_and_classes() {
    for (api, kind, r#type) in [
        ("cert-manager.io/v1", "Issuer", "Ready"),
        ("cert-manager.io/v1", "ClusterIssuer", "Ready"),
        ("bitnami.com/v1alpha1", "SealedSecret", "Synced"),
        ("gateway.networking.k8s.io/v1", "GatewayClass", "Accepted"),
    ] {
        let at = |status| of(api, kind, &json!({"conditions": [condition(r#type, status)]}));
        assert_eq!(
            [at("True"), at("False"), at("Unknown")],
            [Some(Healthy), Some(Degraded), Some(Progressing)],
            "{kind}"
        );
        assert_eq!(of(api, kind, &Value::Null), Some(Progressing), "{kind}");
    }
    let old = json!({"conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 1}]});
    assert_eq!(of("gateway.networking.k8s.io/v1", "GatewayClass", &old), Some(Progressing));
}

#[test]
fn gateways_look_at_every_listener() {
    let at = |status: Value| of("gateway.networking.k8s.io/v1", "Gateway", &status);
    let programmed = condition("Programmed", "True");
    assert_eq!(at(json!({"conditions": [programmed]})), Some(Healthy));
    assert_eq!(at(json!({"conditions": [condition("Programmed", "False")]})), Some(Progressing));
    let listeners = json!([{"name": "https", "conditions": [condition("ResolvedRefs", "False")]}]);
    assert_eq!(at(json!({"conditions": [programmed], "listeners": listeners})), Some(Degraded));
    assert_eq!(at(json!({})), Some(Progressing));
}

#[test]
fn routes_by_parent_and_generation() {
    let at =
        |kind: &str, parents: Value| of("gateway.networking.k8s.io/v1", kind, &json!({"parents": parents}));
    let good = json!({"parentRef": {"name": "a"}, "conditions": [condition("Accepted", "True")]});
    let bad = json!({"parentRef": {"name": "b"}, "conditions": [condition("Accepted", "False")]});
    assert_eq!(at("HTTPRoute", json!([good])), Some(Healthy));
    assert_eq!(at("HTTPRoute", json!([good, bad])), Some(Degraded));
    let old = json!([{"conditions": [{"type": "Accepted", "status": "False", "observedGeneration": 1}]}]);
    assert_eq!(at("HTTPRoute", old.clone()), Some(Progressing));
    assert_eq!(at("GRPCRoute", old), Some(Degraded));
    assert_eq!(at("HTTPRoute", json!([])), Some(Progressing));
}

#[test]
fn addresses_and_kinds_without_a_rule() {
    assert_eq!(of("v1", "Service", &Value::Null), Some(Progressing));
    let address = json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}});
    assert_eq!(of("v1", "Service", &address), Some(Healthy));
    for (api, kind) in
        [("argoproj.io/v1alpha1", "Application"), ("acme.cert-manager.io/v1", "Order"), ("v1", "Secret")]
    {
        assert_eq!(of(api, kind, &Value::Null), None, "{kind}");
    }
    assert!(Healthy < Suspended && Progressing < Missing && Degraded < Unknown);
}
