//! Argo CD's verdicts and messages for the kinds that we show: each case of its own tests (argoproj/argo-cd
//! `resource_customizations/*/health_test.yaml`, `gitops-engine/pkg/health/health_test.go`), with inputs of our own.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{Status, Status::*, health};

const GATEWAY: &str = "gateway.networking.k8s.io/v1";
const CERT: &str = "cert-manager.io/v1";

fn object(api: &str, kind: &str, status: &Value) -> Value {
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x", "generation": 3}, "status": status})
}

/// `type status generation message`, the message left out with `-`.
fn condition(text: &str) -> Value {
    let mut words = text.splitn(4, ' ');
    let mut word = || words.next().unwrap_or("-");
    let mut made = json!({"type": word(), "status": word()});
    let generation = word();
    if generation != "-" {
        made["observedGeneration"] = json!(generation.parse::<i64>().unwrap());
    }
    let message = word();
    if message != "-" {
        made["message"] = json!(message);
    }
    made
}

fn all(texts: &[&str]) -> Value {
    texts.iter().map(|text| condition(text)).collect()
}

fn of(texts: &[&str]) -> Value {
    json!({"conditions": all(texts)})
}

fn parent(name: Option<&str>, texts: &[&str]) -> Value {
    json!({"parentRef": name.map_or_else(|| json!({}), |name| json!({"name": name})), "conditions": all(texts)})
}

fn parents(list: &[Value]) -> Value {
    json!({"parents": list})
}

type Case = (&'static str, &'static str, Value, Status, &'static str);

fn certificates() -> Vec<Case> {
    let missing = "Issuing certificate as Secret does not exist";
    let acme = "The ACME account was registered with the ACME server";
    let failed = "Failed to verify ACME account: acme: : 404 page not found\n";
    let ready = format!("Ready False 1 {failed}");
    let solver = "Resource validation failed: spec.acme.config: Required value: no ACME solver configuration \
                  specified for domain \"cd.apps.argoproj.io\"";
    let mut cases = vec![
        (CERT, "Certificate", Value::Null, Progressing, "Waiting for certificate"),
        (
            CERT,
            "Certificate",
            of(&[&format!("Issuing True 1 {missing}"), &format!("Ready False 1 {missing}")]),
            Progressing,
            missing,
        ),
        (
            CERT,
            "Certificate",
            of(&[&format!("Ready False 1 {missing}"), &format!("Issuing True 1 {missing}")]),
            Progressing,
            missing,
        ),
        (CERT, "Certificate", of(&[&format!("Ready False - {solver}")]), Degraded, solver),
        (
            CERT,
            "Certificate",
            of(&["Ready True - Certificate issued successfully"]),
            Healthy,
            "Certificate issued successfully",
        ),
        (
            CERT,
            "Certificate",
            of(&["Ready True - Certificate renewed successfully", "Issuing False - x"]),
            Healthy,
            "Certificate renewed successfully",
        ),
    ];
    for (kind, waiting) in
        [("Issuer", "Initializing issuer"), ("ClusterIssuer", "Initializing ClusterIssuer")]
    {
        cases.extend([
            (CERT, kind, Value::Null, Progressing, waiting),
            (CERT, kind, of(&[&format!("Ready True 1 {acme}")]), Healthy, acme),
            (CERT, kind, of(&[&ready]), Degraded, failed),
        ]);
    }
    let sealed = "bitnami.com/v1alpha1";
    let key = "no key could decrypt secret (.dockerconfigjson)";
    cases.extend([
        (sealed, "SealedSecret", Value::Null, Progressing, "Waiting for Sealed Secret to be decrypted"),
        (sealed, "SealedSecret", of(&[&format!("Synced False - {key}")]), Degraded, key),
        (sealed, "SealedSecret", of(&["Synced True"]), Healthy, ""),
    ]);
    cases
}

fn gateways() -> Vec<Case> {
    let waiting = "Waiting for GatewayClass status";
    let accepted = "GatewayClass has been accepted";
    let nobody = "GatewayClass has not been accepted by any controller";
    let listener = json!({"conditions": all(&["Accepted True 3 x", "Programmed True 3 x"]), "listeners": [
        {"name": "a", "conditions": all(&["Accepted True 3 x", "Programmed True 3 x"])},
        {"name": "b", "conditions": all(&["Accepted False 3 Listener has not been accepted", "Programmed False 3 x"])},
    ]});
    let healthy = json!({"conditions": all(&["Accepted True 3 x", "Programmed True 3 x"]),
        "listeners": [{"name": "a", "conditions": all(&["Accepted True 3 x", "ResolvedRefs True 3 x", "Programmed True 3 x"])}]});
    let refs = of(&["Accepted True 3 x", "ResolvedRefs False 3 Failed to resolve references"]);
    let controller = "Gateway has not been accepted by any controller";
    vec![
        (GATEWAY, "GatewayClass", of(&[&format!("Accepted True 3 {accepted}")]), Healthy, accepted),
        (GATEWAY, "GatewayClass", of(&[&format!("Accepted False 3 {nobody}")]), Degraded, nobody),
        (
            GATEWAY,
            "GatewayClass",
            of(&["Accepted Unknown 3 Waiting for controller"]),
            Progressing,
            "Waiting for controller",
        ),
        (GATEWAY, "GatewayClass", Value::Null, Progressing, waiting),
        (GATEWAY, "GatewayClass", of(&[&format!("Accepted True 2 {accepted}")]), Progressing, waiting),
        (GATEWAY, "Gateway", healthy, Healthy, "Gateway is healthy"),
        (GATEWAY, "Gateway", refs, Degraded, "Failed to resolve references"),
        (
            GATEWAY,
            "Gateway",
            of(&[&format!("Accepted False 3 {controller}"), "Programmed False 3 x"]),
            Degraded,
            controller,
        ),
        (GATEWAY, "Gateway", listener, Degraded, "Listener: Listener has not been accepted"),
        (
            GATEWAY,
            "Gateway",
            of(&["Accepted True 3 x", "Programmed False 3 Gateway is still being programmed"]),
            Progressing,
            "Gateway is still being programmed",
        ),
    ]
}

fn routes() -> Vec<Case> {
    let missing = "BackendRef service-does-not-exist not found";
    let invalid = "Route has not been accepted due to invalid configuration";
    let refs = format!("ResolvedRefs False 3 {missing}");
    let refused = format!("Accepted False 3 {invalid}");
    let mut cases = Vec::new();
    for (kind, healthy) in [("HTTPRoute", "HTTPRoute is healthy"), ("GRPCRoute", "GRPCRoute is healthy")] {
        let gateway = |texts: &[&str]| parents(&[parent(Some("example-gateway"), texts)]);
        cases.extend([
            (GATEWAY, kind, gateway(&["Accepted True 3 x", "ResolvedRefs True 3 x"]), Healthy, healthy),
            (
                GATEWAY,
                kind,
                gateway(&["Accepted True 3 x", &refs]),
                Degraded,
                "Parent example-gateway: BackendRef service-does-not-exist not found",
            ),
            (
                GATEWAY,
                kind,
                gateway(&[&refused, "ResolvedRefs True 3 x"]),
                Degraded,
                "Parent example-gateway: Route has not been accepted due to invalid configuration",
            ),
            (
                GATEWAY,
                kind,
                gateway(&["Accepted True 3 x", "Programmed False 3 Route is still being programmed"]),
                Progressing,
                "Parent example-gateway: Route is still being programmed",
            ),
        ]);
    }
    let old = parent(Some("old-gateway"), &["Accepted False 1 gone"]);
    let now = parent(Some("example-gateway"), &["Accepted True 3 x", "ResolvedRefs True 3 x"]);
    let nameless = parents(&[parent(None, &["Accepted True 3 x", &refs])]);
    cases.extend([
        (GATEWAY, "HTTPRoute", parents(&[old, now]), Healthy, "HTTPRoute is healthy"),
        (
            GATEWAY,
            "GRPCRoute",
            parents(&[parent(Some("example-gateway"), &["ResolvedRefs False 3"])]),
            Degraded,
            "Parent example-gateway: Failed condition: ResolvedRefs",
        ),
        (GATEWAY, "GRPCRoute", nameless, Degraded, "Parent : BackendRef service-does-not-exist not found"),
    ]);
    cases
}

/// As many as Argo CD has for these kinds.
#[test]
fn argo_cd_s_own_verdicts_and_messages() {
    let (certificates, gateways, routes) = (certificates(), gateways(), routes());
    assert_eq!(certificates.len() + gateways.len() + routes.len(), 36);
    for (api, kind, status, wanted, message) in [certificates, gateways, routes].concat() {
        let found = health(&object(api, kind, &status)).unwrap();
        assert_eq!((found.status, &*found.message), (wanted, message), "{kind} with {status}");
    }
}

#[test]
fn backend_tls_policies() {
    let ancestors = |texts: &[&str]| json!({"ancestors": [{"ancestorRef": {"name": "example-gateway"}, "conditions": all(texts)}]});
    let (missing, invalid) =
        ("Referenced CA certificate ConfigMap 'default/example-ca' does not exist", "must be 'System'");
    for (status, wanted, message) in [
        (
            ancestors(&["Accepted True 3 x", "ResolvedRefs True 3 x"]),
            Healthy,
            "BackendTLSPolicy is healthy".to_owned(),
        ),
        (
            ancestors(&["Accepted True 3 x", &format!("ResolvedRefs False 3 {missing}")]),
            Degraded,
            format!("Ancestor example-gateway: {missing}"),
        ),
        (
            ancestors(&[&format!("Accepted False 3 {invalid}")]),
            Degraded,
            format!("Ancestor example-gateway: {invalid}"),
        ),
        (Value::Null, Progressing, "Waiting for BackendTLSPolicy status".into()),
        (
            ancestors(&["Accepted True 2 x"]),
            Progressing,
            "Waiting for Ancestor example-gateway to update BackendTLSPolicy status".into(),
        ),
    ] {
        let found = health(&object(GATEWAY, "BackendTLSPolicy", &status)).unwrap();
        assert_eq!((found.status, found.message), (wanted, message), "{status}");
    }
}

/// What the verdicts above leave open: fixed words for a condition without any, and what is looked at first.
#[test]
fn the_order_and_the_words_of_last_resort() {
    let not_programmed = json!({"conditions": all(&["Accepted True 3 x", "Programmed Unknown 3"]),
        "listeners": [{"name": "a", "conditions": all(&["ResolvedRefs False 3 no Secret"])}]});
    let listener = json!({"conditions": all(&["Programmed True 3 x"]),
        "listeners": [{"name": "a", "conditions": all(&["ResolvedRefs False 3 no Secret"])}]});
    let waits =
        json!({"conditions": [], "listeners": [{"name": "a", "conditions": all(&["Programmed False 3"])}]});
    let stale = parents(&[parent(Some("g"), &["Accepted False 1 old"])]);
    let both = parents(&[parent(Some("g"), &["Accepted False 3 a", "ResolvedRefs False 3 r"])]);
    for (kind, status, wanted, message) in [
        ("Gateway", not_programmed, Progressing, "Gateway is still being programmed"),
        ("Gateway", listener, Degraded, "Listener: no Secret"),
        ("Gateway", waits, Progressing, "Listener: Listener is still being programmed"),
        ("Gateway", json!({}), Progressing, "Waiting for Gateway status"),
        ("GatewayClass", of(&["Accepted True 3"]), Healthy, "GatewayClass is accepted"),
        ("GatewayClass", of(&["Accepted False 3"]), Degraded, "GatewayClass is not accepted"),
        ("HTTPRoute", stale.clone(), Progressing, "Waiting for HTTPRoute status"),
        ("GRPCRoute", stale, Degraded, "Parent g: old"),
        ("GRPCRoute", parents(&[]), Progressing, "Waiting for GRPCRoute status"),
        ("HTTPRoute", both, Degraded, "Parent g: r"),
    ] {
        let found = health(&object(GATEWAY, kind, &status)).unwrap();
        assert_eq!((found.status, &*found.message), (wanted, message), "{kind} with {status}");
    }
}

#[test]
fn addresses_deletion_and_kinds_without_a_rule() {
    let address = json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}});
    for (api, kind, r#type, status, wanted) in [
        ("v1", "Service", "LoadBalancer", &Value::Null, Progressing),
        ("v1", "Service", "LoadBalancer", &address, Healthy),
        ("v1", "Service", "ClusterIP", &Value::Null, Healthy),
        ("networking.k8s.io/v1", "Ingress", "", &address, Healthy),
        ("networking.k8s.io/v1", "Ingress", "", &json!({"loadBalancer": {"ingress": []}}), Progressing),
        ("extensions/v1beta1", "Ingress", "", &Value::Null, Progressing),
    ] {
        let mut object = object(api, kind, status);
        object["spec"] = json!({"type": r#type});
        let found = health(&object).unwrap();
        assert_eq!((found.status, &*found.message), (wanted, ""), "{kind} {type} {status}");
    }
    let mut going = object(GATEWAY, "Gateway", &of(&["Programmed True 3 x"]));
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(health(&going).unwrap().message, "Pending deletion");
    for (api, kind) in [
        ("argoproj.io/v1alpha1", "Application"),
        ("acme.cert-manager.io/v1", "Order"),
        ("v1", "Secret"),
        ("serving.knative.dev/v1", "Service"),
    ] {
        assert_eq!(health(&object(api, kind, &Value::Null)), None, "{kind}");
    }
    assert!(
        Healthy < Suspended
            && Suspended < Progressing
            && Progressing < Missing
            && Missing < Degraded
            && Degraded < Unknown
    );
}
