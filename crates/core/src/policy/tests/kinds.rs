//! Policies over every kind that is stored: what is denied has no effect, and opens nothing.

use portolan_model::input::{
    GatewayClass, Issuer, ReferenceGrant, Restriction, SealedSecret, Secret, Service,
};

use super::{apply, edge, findings, policy, step};
use crate::{
    certificates::rows::{IssueWanted, IssuerState},
    gateway::rows::{GatewayOwner, ListenerCertificate, Unresolved, VirtualHost},
};

const NEVER: &str = "  validations:\n  - {expression: 'false', message: nope}\n";
const ROUTES: &str = "resources: [httproutes, grpcroutes, gateways, certificates]";

/// A policy that denies everything of these resources.
fn never(resources: &str) -> String {
    policy("p", "Deny", NEVER).replace(ROUTES, &format!("resources: [{resources}]"))
}

/// A policy over these resources whose one validation is this expression.
fn only(resources: &str, expression: &str) -> String {
    let spec = format!("  validations:\n  - {{expression: \"{expression}\", message: nope}}\n");
    policy("p", "Deny", &spec).replace(ROUTES, &format!("resources: [{resources}]"))
}

const GRANT: &str = "
apiVersion: v1
kind: Service
metadata: {name: hidden, namespace: payroll}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: let-in, namespace: payroll}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: team}]
  to: [{group: '', kind: Service}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: steal, namespace: team}
spec:
  parentRefs: [{name: edge}]
  hostnames: [steal.example.com]
  rules: [{backendRefs: [{name: hidden, namespace: payroll, port: 80}]}]
";

#[test]
fn a_denied_grant_grants_nothing() {
    let mut engine = edge("");
    apply(&mut engine, GRANT);
    step(&mut engine);
    assert_eq!((engine.rows::<ReferenceGrant>().count(), engine.rows::<Unresolved>().count()), (1, 0));
    apply(&mut engine, &never("referencegrants"));
    step(&mut engine);
    let unresolved: Vec<_> = engine.rows::<Unresolved>().map(|row| row.references[0].0.to_string()).collect();
    assert_eq!(
        (engine.rows::<ReferenceGrant>().count(), unresolved),
        (0, vec!["RefNotPermitted".to_owned()])
    );
    let denied: Vec<_> = findings(&engine).into_iter().filter(|line| line.starts_with("501 ")).collect();
    assert_eq!(denied, ["501 ReferenceGrant/payroll/let-in : denied by ValidatingAdmissionPolicy p: nope"]);
}

#[test]
fn a_denied_class_service_or_slice_serves_nothing() {
    let mut engine = edge(&never("gatewayclasses"));
    assert_eq!(engine.rows::<GatewayClass>().count(), 0);
    assert!(engine.rows::<GatewayOwner>().all(|row| row.controller.is_none()));
    assert_eq!(engine.rows::<VirtualHost>().count(), 0);
    let why = "201 Gateway/team/edge spec.gatewayClassName: GatewayClass edge is denied by ValidatingAdmissionPolicy p";
    assert!(findings(&engine).contains(&why.to_owned()), "{:?}", findings(&engine));
    apply(&mut engine, &never("services"));
    step(&mut engine);
    assert_eq!((engine.rows::<GatewayClass>().count(), engine.rows::<Service>().count()), (1, 0));
}

#[test]
fn a_denied_issuer_issues_nothing_and_a_denied_sealed_secret_is_not_opened() {
    let more = "
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: own}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: own, namespace: team}
spec: {selfSigned: {}}
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: s, namespace: team}
spec: {encryptedData: {a: AgA=}}
";
    let mut engine = edge(&only(
        "issuers, clusterissuers, sealedsecrets",
        "!has(object.spec.selfSigned) && has(object.spec.nothing)",
    ));
    apply(&mut engine, more);
    step(&mut engine);
    assert_eq!((engine.rows::<Issuer>().count(), engine.rows::<IssuerState>().count()), (0, 0));
    assert_eq!(engine.rows::<SealedSecret>().count(), 0);
    apply(&mut engine, &only("issuers", "object.metadata.namespace == 'other'"));
    step(&mut engine);
    let issuers: Vec<_> = engine.rows::<Issuer>().map(|row| row.key.0.to_string()).collect();
    assert_eq!((issuers, engine.rows::<SealedSecret>().count()), (vec!["own".to_owned()], 1));
}

#[test]
fn a_denied_secret_is_not_served() {
    let more = "
apiVersion: v1
kind: Secret
metadata: {name: tls, namespace: team, labels: {from: hand}}
type: kubernetes.io/tls
data: {tls.crt: Y2VydA==, tls.key: a2V5}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: tls, namespace: team}
spec:
  gatewayClassName: edge
  listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}}]
";
    // Its values are not seen, its keys and labels are.
    let sees = "object.type != 'kubernetes.io/tls' || !has(object.metadata.labels.from) || object.data['tls.key'] != 'AAAA'";
    let mut engine = edge(&only("secrets", sees));
    apply(&mut engine, more);
    step(&mut engine);
    let refused = engine.rows::<ListenerCertificate>().next().and_then(|row| row.secret.clone().err());
    let (reason, message) = refused.unwrap();
    assert_eq!(&*reason, "InvalidCertificateRef");
    assert!(message.contains("denied by ValidatingAdmissionPolicy p"), "{message}");
    // It stays where Portolan looks whether it has to be made.
    assert_eq!(engine.rows::<Secret>().count(), 1);
    assert!(!findings(&engine).iter().any(|line| line.contains("a2V5")));
}

#[test]
fn a_denied_restriction_opens_nothing() {
    let mut engine = edge(&never("securitypolicies, clienttrafficpolicies"));
    let restriction = "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: auth, namespace: team}
spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: good}]}
";
    apply(&mut engine, restriction);
    step(&mut engine);
    assert_eq!(engine.rows::<Restriction>().count(), 1);
    let said = findings(&engine);
    assert!(said.iter().any(|line| line.starts_with("501 SecurityPolicy/team/auth")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("228 HTTPRoute/team/good")), "{said:?}");
}

#[test]
fn kinds_that_nothing_is_decided_on_are_judged_too() {
    let more = "
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: app, namespace: argocd}
spec: {project: default}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: old, namespace: team}
spec: {}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
";
    let mut engine = edge(&never("applications, ingresses, namespaces"));
    apply(&mut engine, more);
    step(&mut engine);
    let denied: Vec<_> = findings(&engine)
        .into_iter()
        .filter(|line| line.starts_with("501 "))
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(denied, ["Namespace/team", "Application/argocd/app", "Ingress/team/old"]);
    // One for kinds of which no object is here says nothing, though it uses what is not served.
    let pods = only("pods", "authorizer.group('').check('get').allowed()");
    let engine = edge(&pods.replace("name: p", "name: q"));
    assert!(!findings(&engine).iter().any(|line| line.starts_with("504 ")), "{:?}", findings(&engine));
}

#[test]
fn metadata_is_what_an_api_server_has_written() {
    let holds = |resources: &str, expression: &str| {
        let mut engine = edge(&only(resources, expression));
        apply(&mut engine, "apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {env: dev}}\n");
        step(&mut engine);
        assert!(
            !findings(&engine).iter().any(|line| line.starts_with("501 ")),
            "{expression}: {:?}",
            findings(&engine)
        );
    };
    holds("httproutes, gateways, gatewayclasses", "object.metadata.generation == 1");
    holds("services, namespaces", "!has(object.metadata.generation)");
    holds("'*'", "has(object.metadata.uid) && has(object.metadata.creationTimestamp)");
    holds(
        "namespaces",
        "object.metadata.labels['kubernetes.io/metadata.name'] == 'team' && namespaceObject == null",
    );
    holds("gatewayclasses", "namespaceObject == null && !has(object.metadata.namespace)");
    holds(
        "httproutes",
        "namespaceObject.metadata.labels.env == 'dev' && namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'team' && namespaceObject.status.phase == 'Active'",
    );
}

#[test]
fn what_has_no_namespace_is_not_left_out_by_its_labels() {
    let denied = |labels: &str| {
        let selector =
            "validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {env: prod}}}";
        let text =
            never("gatewayclasses, namespaces, services").replace("validationActions: [Deny]", selector);
        let mut engine = edge(&text);
        apply(
            &mut engine,
            &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: team, labels: {{{labels}}}}}\n"),
        );
        step(&mut engine);
        let lines = findings(&engine).into_iter().filter(|line| line.starts_with("501 "));
        lines
            .map(|line| line.split(' ').nth(1).unwrap().split('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(denied("env: dev"), ["GatewayClass"]);
    assert_eq!(denied("env: prod"), ["Namespace", "Service", "Service", "GatewayClass"]);
}

/// What stands in a Namespace that could not be created could not be either, and its labels choose nothing.
#[test]
fn a_denied_namespace_takes_along_what_is_in_it() {
    let namespace = "\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {edge: open}}\n";
    let denying = only("namespaces", "!has(object.metadata.labels.edge)") + namespace;
    let engine = edge(&denying);
    let all = findings(&engine);
    assert!(all.iter().any(|line| line.starts_with("501 Namespace/team")), "{all:?}");
    assert_eq!(engine.rows::<portolan_model::input::Namespace>().count(), 0);
    assert_eq!(super::admitted(&engine), Vec::<String>::new());
    let engine = edge(&denying.replace(", labels: {edge: open}", ""));
    assert_eq!(engine.rows::<portolan_model::input::Namespace>().count(), 1);
    assert_eq!(super::admitted(&engine), ["bad", "good"]);
    // Some are there before any policy is, without what the repository says of them.
    let default = denying.replace("name: team, labels", "name: default, labels");
    let mut engine = edge(&default);
    apply(&mut engine, &super::EDGE.replace("namespace: team", "namespace: default"));
    step(&mut engine);
    let labels: Vec<_> =
        engine.rows::<portolan_model::input::Namespace>().map(|row| row.labels.len()).collect();
    assert_eq!((labels, super::admitted(&engine).len()), (vec![1, 1], 4), "{:?}", findings(&engine));
    // It evades no other policy by labels that it could not have.
    let selected = policy("other", "Deny", NEVER).replace(
        "validationActions: [Deny]",
        "validationActions: [Deny], matchResources: {namespaceSelector: {matchExpressions: [{key: edge, operator: DoesNotExist}]}}",
    );
    let engine = edge(&(denying + "\n---\n" + &selected));
    assert_eq!(super::admitted(&engine), Vec::<String>::new());
}

const CERTIFICATE: &str = "
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: own, namespace: team}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: team, labels: {team: a}}
spec: {secretName: web-tls, dnsNames: [web.example.com], issuerRef: {name: own}}
";

/// cert-manager's own objects: what it may not create is not issued.
#[test]
fn a_denied_request_is_not_issued() {
    let wanted = |text: &str| {
        let mut engine = edge(&(text.to_owned() + CERTIFICATE));
        step(&mut engine);
        (engine.rows::<IssueWanted>().count(), findings(&engine))
    };
    for (resource, expression, issued) in [
        ("certificaterequests", "object.spec.issuerRef.name != 'own'", 0),
        (
            "certificaterequests",
            "object.spec.issuerRef.name == 'own' && object.metadata.labels.team == 'a'",
            1,
        ),
        (
            "certificaterequests",
            "object.metadata.name == 'web-1' && object.metadata.namespace == 'team' && request.operation == 'CREATE'",
            1,
        ),
        ("orders", "false", 1),
        ("'*'", "object.kind != 'CertificateRequest'", 0),
    ] {
        let (count, all) = wanted(&only(resource, expression));
        assert_eq!(count, issued, "{resource} {expression}: {all:?}");
        let said = all.iter().any(|line| {
            line.contains("CertificateRequest/team/web-1 is denied by ValidatingAdmissionPolicy p: nope")
        });
        assert_eq!(said, issued == 0, "{resource} {expression}: {all:?}");
    }
}

/// The repository's own definition says what its resource is called.
#[test]
fn a_resource_is_called_as_its_definition_says() {
    let definition = "\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: oxen.farm.example.com}\nspec:\n  \
        group: farm.example.com\n  scope: Namespaced\n  names: {plural: oxen, kind: Ox}\n  versions: [{name: v1, served: true, storage: true}]\n";
    let ox = "\n---\napiVersion: farm.example.com/v1\nkind: Ox\nmetadata: {name: one, namespace: team}\n";
    let denied = |text: &str| findings(&edge(text)).iter().any(|line| line.starts_with("501 Ox/team/one"));
    assert!(denied(&(never("oxen") + definition + ox)));
    assert!(!denied(&(never("oxes") + definition + ox)));
    assert!(denied(&(never("oxes") + ox)), "without one it is guessed");
    let seen = only("oxen", "request.resource.resource != 'oxen'");
    assert!(denied(&(seen + definition + ox)));
}
