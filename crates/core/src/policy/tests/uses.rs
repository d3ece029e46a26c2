//! Who refers to an object that a policy keeps out, itself or with its Namespace: nothing of it is used, and the policy is named instead
//! of a missing object.

use portolan_engine::Engine;
use portolan_model::{
    Instant,
    input::{Secret, TlsPair},
    intake::{Fact, intake},
};

use super::{apply, edge, findings, objects, policy, step};
use crate::{
    World, certificates::rows::IssueWanted, gateway::rows::BackendTrust, secrets::rows::MirrorWanted, world,
};

/// A policy that denies one object by its name.
fn without(kind: &str, name: &str) -> String {
    let spec = format!(
        "  validations:\n  - {{expression: \"object.kind != '{kind}' || object.metadata.name != '{name}'\", message: nope}}\n"
    );
    policy("p", "Deny", &spec)
        .replace("resources: [httproutes, grpcroutes, gateways, certificates]", "resources: ['*']")
}

fn after(policy: &str, more: &str) -> Engine<World> {
    let mut engine = edge(policy);
    apply(&mut engine, more);
    step(&mut engine);
    engine
}

const USERS: &str = "
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: own, namespace: team}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: team}
spec: {secretName: web-tls, dnsNames: [web.example.com], issuerRef: {name: own}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: team}
spec: {parentRef: {name: edge}, listeners: [{name: more, port: 8081, protocol: HTTP}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: roots, namespace: team}
data: {ca.crt: none}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls, namespace: team}
spec:
  targetRefs: [{group: '', kind: Service, name: app}]
  validation: {hostname: app.example.com, caCertificateRefs: [{group: '', kind: ConfigMap, name: roots}]}
";

#[test]
fn who_refers_to_a_denied_object_is_told_the_policy() {
    let by = "denied by ValidatingAdmissionPolicy p";
    for (kind, name, user, says) in [
        ("Issuer", "own", "314 Certificate/team/web ", format!("Issuer/team/own is {by}")),
        ("Gateway", "edge", "ListenerSet/team/more ", format!("Gateway team/edge is {by}")),
        ("Gateway", "edge", "HTTPRoute/team/good ", format!("Gateway team/edge is {by}")),
        (
            "GatewayClass",
            "edge",
            "HTTPRoute/team/good ",
            format!("the GatewayClass of Gateway team/edge, edge, is {by}"),
        ),
        ("Service", "app", "223 HTTPRoute/team/good ", format!("Service team/app is {by}")),
        ("ConfigMap", "roots", "BackendTLSPolicy/team/tls ", format!("ConfigMap team/roots is {by}")),
    ] {
        let engine = after(&without(kind, name), USERS);
        let all = findings(&engine);
        let said = |line: &&String| line.contains(user) && line.contains(&says);
        assert!(all.iter().any(|line| said(&line)), "{kind}: {all:#?}");
        assert!(!all.iter().any(|line| line.contains("does not exist")), "{kind}: {all:#?}");
        assert!(engine.rows::<BackendTrust>().all(|row| row.tls.is_err()), "{kind}");
    }
}

/// A Secret and a ConfigMap stand in their tables also when they are denied; so it is with those in a Namespace that is.
#[test]
fn what_stands_in_a_denied_namespace_is_not_used_from_elsewhere() {
    let namespaces = "
apiVersion: v1
kind: Namespace
metadata: {name: closed}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
";
    let mirrored = |kind: &str, field: &str| {
        format!(
            "apiVersion: v1
kind: {kind}
metadata:
  name: shared
  namespace: closed
  annotations: {{reflector.v1.k8s.emberstack.com/reflection-allowed: 'true', reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'}}
{field}
---
apiVersion: v1
kind: {kind}
metadata: {{name: by-hand, namespace: team, annotations: {{reflector.v1.k8s.emberstack.com/reflects: closed/shared}}}}
"
        )
    };
    for (kind, field) in [("Secret", "data: {a: YQ==}"), ("ConfigMap", "data: {a: b}")] {
        let more = namespaces.to_owned() + &mirrored(kind, field);
        let engine = after(&without("Pod", "none"), &more);
        assert!(engine.rows::<MirrorWanted>().count() > 0, "{kind}: {:#?}", findings(&engine));
        let engine = after(&without("Namespace", "closed"), &more);
        assert_eq!(engine.rows::<MirrorWanted>().count(), 0, "{kind}");
        let says = format!(
            "the source {kind}/closed/shared stands in Namespace/closed, which is denied by ValidatingAdmissionPolicy p"
        );
        let all = findings(&engine);
        assert!(all.iter().any(|line| line.contains(&says)), "{kind}: {all:#?}");
    }
}

const ROOT: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: root, namespace: cert-manager}\n";

/// The CA of a ClusterIssuer stands in cert-manager's own Namespace.
#[test]
fn a_denied_ca_signs_nothing() {
    let more = "
apiVersion: v1
kind: Namespace
metadata: {name: cert-manager}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: ca}
spec: {ca: {secretName: root}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: team}
spec: {secretName: web-tls, dnsNames: [web.example.com], issuerRef: {name: ca, kind: ClusterIssuer}}
";
    for (kind, name, issued) in [("Pod", "none", 1), ("Secret", "root", 0), ("Namespace", "cert-manager", 0)]
    {
        let mut engine = after(&without(kind, name), more);
        let pair =
            TlsPair { not_after: Instant(i64::MAX), is_ca: true, key_matches: true, ..TlsPair::default() };
        let object = objects(ROOT).remove(0);
        let mut read = intake(&object);
        if let Some(Fact::Secret(secret)) = &mut read.fact {
            secret.tls = Some(Ok(pair));
        }
        world::put(&mut engine, &object.key, read);
        step(&mut engine);
        assert_eq!(engine.rows::<IssueWanted>().count(), issued, "{kind}: {:#?}", findings(&engine));
        assert_eq!(engine.rows::<Secret>().count(), 1, "{kind}: it stays where Portolan looks");
    }
}
