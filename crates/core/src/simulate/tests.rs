#![allow(clippy::unwrap_used)]

use portolan_model::{Object, Origin, Severity, input::Namespace, intake::intake, yaml};

use super::*;
use crate::policy::rows::Submitted;
use crate::{
    certificates::rows::ShimSettings,
    engine,
    status::rows::State,
    world::{self, Finding},
};

const NOW: Instant = Instant(1_790_000_000_000);

/// The engine after everything has worked.
fn simulated(text: &str) -> Engine<World> {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    let mut engine = engine();
    engine.put(Settings {
        key: Name::default(),
        cluster_resource_namespace: "cert-manager".into(),
        shim: ShimSettings::default(),
    });
    engine.put(DnsSettings::of_folder("dev"));
    for namespace in ["team-a", "team-b", "edge"] {
        engine.put(Submitted(Arc::new(Namespace { name: namespace.into(), labels: BTreeMap::new() })));
    }
    for document in documents {
        let object = Object::from_json(document.json, Origin::default()).unwrap();
        world::put(&mut engine, &object.key, intake(&object));
    }
    assert!(simulate(&mut engine, NOW), "it comes to rest");
    engine
}

fn errors(engine: &Engine<World>) -> Vec<String> {
    let errors = engine.rows::<Finding>().filter(|row| row.problem.severity == Severity::Error);
    errors.map(|row| format!("{} {}", row.problem.code, row.problem.message)).collect()
}

fn state(engine: &Engine<World>, host: &str) -> (State, String) {
    let entry = engine.get::<EntryPoint>(&host.into()).unwrap();
    (entry.state, entry.why.clone())
}

/// A Gateway whose Secret is `tls` in its own namespace, and a route for `app.example.com`.
fn edge(service: &str) -> String {
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: c}}
spec: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: g, namespace: edge}}
spec:
  gatewayClassName: c
  listeners:
    - {{name: https, port: 443, protocol: HTTPS, hostname: '*.example.com', tls: {{certificateRefs: [{{name: tls}}]}},
       allowedRoutes: {{namespaces: {{from: All}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: app, namespace: team-a}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: app, namespace: team-a}}
spec:
  parentRefs: [{{name: g, namespace: edge}}]
  hostnames: [app.example.com]
  rules: [{{backendRefs: [{{name: {service}, port: 80}}]}}]
"
    )
}

#[test]
fn a_sealed_ca_becomes_a_mirrored_certificate_a_host_and_a_record() {
    let engine = simulated(&format!(
        "{}
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {{name: ca, namespace: cert-manager}}
spec:
  encryptedData: {{tls.crt: AgAB, tls.key: AgAB}}
  template: {{type: kubernetes.io/tls}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {{name: ca}}
spec: {{ca: {{secretName: ca}}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: wildcard, namespace: team-b}}
spec:
  secretName: tls
  dnsNames: ['*.example.com']
  issuerRef: {{kind: ClusterIssuer, name: ca}}
  secretTemplate:
    annotations:
      reflector.v1.k8s.emberstack.com/reflection-allowed: 'true'
      reflector.v1.k8s.emberstack.com/reflection-allowed-namespaces: edge
      reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'
      reflector.v1.k8s.emberstack.com/reflection-auto-namespaces: edge
",
        edge("app")
    ));
    assert_eq!(errors(&engine), Vec::<String>::new());
    assert_eq!(state(&engine, "app.example.com").0, State::Live);
    let mirror = engine.get::<Secret>(&NamespacedName::new("edge", "tls")).unwrap();
    assert_eq!(mirror.maker, Maker::Mirrored);
    assert_eq!(engine.rows::<PublishedRecord>().len(), 1);
}

#[test]
fn what_needs_an_edit_stays_refused() {
    let engine = simulated(&edge("nobody"));
    let (state, why) = state(&engine, "app.example.com");
    assert_eq!(state, State::Refused, "{why}");
    assert!(errors(&engine).iter().any(|error| error.starts_with("PTL-0223")), "{:?}", errors(&engine));
}

#[test]
fn a_secret_that_nobody_makes_is_what_a_host_waits_for() {
    let engine = simulated(&edge("app"));
    let (state, why) = state(&engine, "app.example.com");
    assert_eq!(state, State::Pending);
    assert!(why.contains("edge/tls"), "{why}");
    assert_eq!(engine.rows::<PublishedRecord>().len(), 0, "the gate stays closed");
}

#[test]
fn a_sealed_certificate_is_taken_to_cover_its_listener() {
    let engine = simulated(&format!(
        "{}
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {{name: tls, namespace: edge}}
spec:
  encryptedData: {{tls.crt: AgAB, tls.key: AgAB}}
  template: {{type: kubernetes.io/tls}}
",
        edge("app")
    ));
    assert_eq!(errors(&engine), Vec::<String>::new());
    assert_eq!(state(&engine, "app.example.com").0, State::Live);
}

#[test]
fn a_value_that_no_key_opens_makes_no_secret() {
    let engine = simulated(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s, namespace: a}\nspec: {encryptedData: {good: Z29vZA==, bad: no base64!}}\n",
    );
    assert_eq!(engine.rows::<Secret>().count(), 0);
    let findings: Vec<_> = engine.rows::<Finding>().map(|row| row.problem.code.0).collect();
    assert_eq!(findings, [1, 151]);
}

/// A policy that denies Secrets by an expression.
fn no_secrets(expression: &str) -> String {
    format!(
        "
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: p}}
spec:
  failurePolicy: Fail
  matchConstraints: {{resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [secrets]}}]}}
  validations: [{{expression: \"{expression}\"}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: p}}
spec: {{policyName: p, validationActions: [Deny]}}
"
    )
}

#[test]
fn secrets_that_are_made_are_judged_by_policies() {
    const SEALED: &str = "
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: tls, namespace: edge}
spec:
  encryptedData: {tls.crt: AgAB, tls.key: AgAB}
  template: {type: kubernetes.io/tls, metadata: {labels: {tier: open}}}
";
    const ISSUED: &str = "
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: own}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: tls, namespace: edge}
spec: {secretName: tls, dnsNames: ['*.example.com'], issuerRef: {kind: ClusterIssuer, name: own}, secretTemplate: {labels: {tier: open}}}
";
    const MIRRORED: &str = "
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: own}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: tls, namespace: team-b}
spec:
  secretName: tls
  dnsNames: ['*.example.com']
  issuerRef: {kind: ClusterIssuer, name: own}
  secretTemplate:
    annotations:
      reflector.v1.k8s.emberstack.com/reflection-allowed: 'true'
      reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'
";
    for (source, denying) in [
        (SEALED, "object.metadata.name != 'tls'"),
        (SEALED, "object.metadata.labels.tier != 'open'"),
        (ISSUED, "object.metadata.namespace != 'edge'"),
        (ISSUED, "object.type != 'kubernetes.io/tls'"),
        (MIRRORED, "object.metadata.namespace != 'edge'"),
    ] {
        let taken = simulated(&format!("{}{source}{}", edge("app"), no_secrets("true")));
        assert_eq!(state(&taken, "app.example.com").0, State::Live, "{source}: {:?}", errors(&taken));
        let denied = simulated(&format!("{}{source}{}", edge("app"), no_secrets(denying)));
        assert_eq!(state(&denied, "app.example.com").0, State::Refused, "{denying} {source}");
        assert!(errors(&denied).iter().any(|error| error.starts_with("PTL-0501")), "{:?}", errors(&denied));
    }
}

#[test]
fn a_sealed_secret_that_an_api_server_would_not_store_is_not_made() {
    for (spec, words) in [
        (
            "encryptedData: {tls.crt: AgAB}, template: {type: kubernetes.io/tls}",
            "data[tls.key]: Required value",
        ),
        ("encryptedData: {'a b': AgAB}", "data[a b]"),
        ("encryptedData: {a: AgAB}, template: {metadata: {labels: {'x y': z}}}", "metadata.labels"),
        (
            "encryptedData: {a: AgAB}, template: {type: kubernetes.io/basic-auth}",
            "data[username]: Required value",
        ),
        (
            "encryptedData: {a: AgAB}, template: {type: kubernetes.io/dockerconfigjson, data: {.dockerconfigjson: x}}",
            "it is no JSON",
        ),
    ] {
        let text = format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: s, namespace: a}}\nspec: {{{spec}}}\n"
        );
        let engine = simulated(&text);
        assert_eq!(engine.rows::<Secret>().count(), 0, "{spec}");
        let errors = errors(&engine);
        assert!(
            errors.len() == 1 && errors[0].starts_with("PTL-0156") && errors[0].contains(words),
            "{errors:?}"
        );
    }
    let fine = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s, namespace: a}\nspec: {encryptedData: {.dockerconfigjson: AgAB}, template: {type: kubernetes.io/dockerconfigjson}}\n";
    let engine = simulated(fine);
    assert_eq!(
        (engine.rows::<Secret>().count(), errors(&engine)),
        (1, vec![]),
        "what is sealed may be right"
    );
}

#[test]
fn a_record_that_is_discarded_leaves_the_others_of_its_name() {
    let target = "annotations: {external-dns.alpha.kubernetes.io/target: '127.0.0.9,lb.example.net'}";
    let edge =
        edge("app").replacen("name: g, namespace: edge", &format!("name: g, namespace: edge, {target}"), 1);
    let engine = simulated(&format!(
        "{edge}
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {{name: tls, namespace: edge}}
spec:
  encryptedData: {{tls.crt: AgAB, tls.key: AgAB}}
  template: {{type: kubernetes.io/tls}}
"
    ));
    let published: Vec<_> = engine.rows::<PublishedRecord>().map(|row| row.set.r#type).collect();
    assert_eq!(published, [RecordType::A]);
    assert!(engine.rows::<RecordProblem>().next().is_some(), "that the other is not written is said");
    assert_eq!(state(&engine, "app.example.com").0, State::Live);
}

/// Fresh eyes, 2026-11-30: the check before the merge passed what `up` then waits for.
#[test]
fn the_secret_of_an_accounts_key_is_judged_by_policies() {
    let text = |name: &str| {
        format!(
            "{}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {{name: pub}}
spec: {{acme: {{server: 'https://ca.example/d', privateKeySecretRef: {{name: {name}}}, solvers: [{{dns01: {{cloudDNS: {{project: p}}}}}}]}}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: tls, namespace: edge}}
spec: {{secretName: tls, dnsNames: ['*.example.com'], issuerRef: {{name: pub, kind: ClusterIssuer}}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: p}}
spec:
  matchConstraints: {{resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [secrets]}}]}}
  validations: [{{expression: \"object.metadata.name != 'denied'\", message: no such Secret}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: p}}
spec: {{policyName: p, validationActions: [Deny]}}
",
            edge("app")
        )
    };
    let engine = simulated(&text("taken"));
    assert_eq!((errors(&engine), state(&engine, "app.example.com").0), (vec![], State::Live));
    let engine = simulated(&text("denied"));
    let said = errors(&engine);
    assert!(
        said.iter().any(|error| error.starts_with("PTL-0501 denied by ValidatingAdmissionPolicy p")),
        "{said:?}"
    );
    assert_ne!(state(&engine, "app.example.com").0, State::Live, "{said:?}");
}

/// A CA in namespace `edge` and the certificate of the edge that it signs.
fn signed_by(ca: &str, asked: &str) -> String {
    format!(
        "{}---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {{name: own, namespace: edge}}
spec: {{selfSigned: {{}}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: ca, namespace: edge}}
spec: {{isCA: true, {ca}, secretName: ca, issuerRef: {{name: own}}}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {{name: ca, namespace: edge}}
spec: {{ca: {{secretName: ca}}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: tls, namespace: edge}}
spec: {{{asked}, secretName: tls, issuerRef: {{name: ca}}}}
",
        edge("app")
    )
}

#[test]
fn a_ca_signs_only_what_its_own_certificate_will_let_it() {
    let limited = |domains: &str| {
        format!("commonName: ca, nameConstraints: {{permitted: {{dnsDomains: [{domains}]}}}}")
    };
    let wildcard = "dnsNames: ['*.example.com']";
    for good in ["example.com", ".example.com"] {
        let engine = simulated(&signed_by(&limited(good), wildcard));
        assert_eq!(errors(&engine), Vec::<String>::new(), "{good}");
        assert_eq!(state(&engine, "app.example.com").0, State::Live, "{good}");
    }
    let engine = simulated(&signed_by(&limited("example.org"), wildcard));
    let told = errors(&engine);
    assert!(
        matches!(&*told, [one] if one.starts_with("PTL-0320") && one.contains("may not sign *.example.com")),
        "{told:?}"
    );
    assert_ne!(state(&engine, "app.example.com").0, State::Live);
    // Its subject is written as a whole: the certificate has the common name of that.
    let engine = simulated(&signed_by("literalSubject: 'CN=ca,O=shop'", wildcard));
    assert_eq!(errors(&engine), Vec::<String>::new());
    assert_eq!(state(&engine, "app.example.com").0, State::Live);
}

#[test]
fn a_certificate_with_a_common_name_alone_covers_nothing() {
    let engine = simulated(&signed_by("commonName: ca", "commonName: '*.example.com'"));
    let told = errors(&engine);
    assert!(
        matches!(&*told, [one] if one.starts_with("PTL-0211") && one.contains("covers no hostname, not *.example.com")),
        "{told:?}"
    );
    assert_eq!(state(&engine, "app.example.com").0, State::Refused);
}
