//! Bad input is data: whatever stands in one field of one object, no rule fails, no two rules claim one row, and what comes
//! of it is rows and findings. `make fuzz` runs many more cases.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use portolan_core::{
    World,
    certificates::rows::{Settings, ShimSettings},
    dns::rows::DnsSettings,
    engine,
    simulate::simulate,
    world,
};
use portolan_engine::Engine;
use portolan_model::{Instant, Name, Object, Origin, Severity, intake::intake, yaml};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000_000;

/// Objects of every kind that is acted on.
const MORE: &str = r#"
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata:
  name: sealed
  namespace: team-a
  annotations: {sealedsecrets.bitnami.com/namespace-wide: "true"}
spec:
  encryptedData: {token: AgAB}
  template: {type: Opaque, metadata: {annotations: {a: b}}}
---
apiVersion: v1
kind: Secret
metadata:
  name: source
  namespace: team-a
  annotations:
    reflector.v1.k8s.emberstack.com/reflection-allowed: "true"
    reflector.v1.k8s.emberstack.com/reflection-auto-enabled: "true"
    reflector.v1.k8s.emberstack.com/reflection-auto-namespaces: "gateway-.*"
data: {a: Yg==}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: acme}
spec:
  acme:
    server: https://acme.example/directory
    email: ops@example.com
    privateKeySecretRef: {name: account}
    solvers:
      - selector: {dnsZones: [example.com]}
        dns01: {cloudDNS: {project: p, serviceAccountSecretRef: {name: sa, key: key.json}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: acme
  namespace: team-a
  annotations: {portolan.dev/renew-at: "2026-11-24T00:00:00Z"}
spec:
  secretName: acme-tls
  commonName: acme.example.com
  dnsNames: [acme.example.com, "*.acme.example.com"]
  duration: 2160h
  renewBefore: 360h
  usages: [server auth]
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always, encoding: PKCS8}
  issuerRef: {kind: ClusterIssuer, name: acme}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: hosts}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [gateway.networking.k8s.io], apiVersions: ["*"], operations: [CREATE], resources: [httproutes]}
  variables: [{name: hosts, expression: "has(object.spec.hostnames) ? object.spec.hostnames : []"}]
  validations:
    - {expression: "variables.hosts.all(h, h.endsWith('.example.com'))", message: outside}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: hosts}
spec: {policyName: hosts, validationActions: [Deny]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: grant, namespace: team-a}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: gateway-system}]
  to: [{group: "", kind: Service}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app1-1, namespace: team-a, labels: {kubernetes.io/service-name: app1}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
ports: [{name: http, port: 8080, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: old, namespace: team-a}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: old, namespace: team-a}
subsets: [{addresses: [{ip: 127.0.0.1}], notReadyAddresses: [{ip: '::1'}], ports: [{port: 8080, protocol: TCP}]}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: p, namespace: team-a}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app1}]
"#;

fn documents() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/first-steps");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut documents = Vec::new();
    for text in files.iter().map(|file| std::fs::read_to_string(file).unwrap()).chain([MORE.to_owned()]) {
        let (found, errors) = yaml::load(&text);
        assert_eq!(errors, []);
        documents.extend(found.into_iter().map(|document| document.json));
    }
    documents
}

/// Paths of all values of a document, `apiVersion` and `kind` left out: they say what it is.
fn paths(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if at.is_empty() && (key == "apiVersion" || key == "kind") {
                    continue;
                }
                let path = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                out.push(path.clone());
                paths(value, &path, out);
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                let path = format!("{at}/{n}");
                out.push(path.clone());
                paths(value, &path, out);
            }
        }
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(1.5)),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof![
            Just(""),
            Just("*"),
            Just("*.example.com"),
            Just("a..b"),
            Just("xn--"),
            Just("-1h"),
            Just("9999999999999999h"),
            Just("((("),
            Just("a/b/c"),
            Just("../../etc/passwd"),
            Just("{{ .x }}"),
            Just("2026-13-45T99:00:00Z"),
        ]
        .prop_map(Value::from),
        Just(Value::from("x".repeat(300))),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z.]{1,10}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn filled(documents: &[Value]) -> Engine<World> {
    let mut engine = engine();
    engine.put(Settings {
        key: Name::default(),
        cluster_resource_namespace: "cert-manager".into(),
        shim: ShimSettings::default(),
    });
    engine.put(DnsSettings::of_folder("dev"));
    for json in documents {
        let Ok(object) = Object::from_json(json.clone(), Origin::default()) else { continue };
        world::put(&mut engine, &object.key, intake(&object));
    }
    engine
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_field_is_rows_and_findings(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), value in any_value()) {
        let mut documents = documents();
        let which = which.index(documents.len());
        let mut all = Vec::new();
        paths(&documents[which], "", &mut all);
        let path = at.get(&all).clone();
        *documents[which].pointer_mut(&path).unwrap() = value;
        let mut engine = filled(&documents);
        let step = engine.step(NOW);
        prop_assert!(step.errors.is_empty() && step.conflicts.is_empty(), "{:?} {:?}", step.errors, step.conflicts);
        prop_assert!(step.held.is_empty(), "a rule failed: {:?}", step.held);
        prop_assert!(simulate(&mut engine, Instant(NOW)), "it comes to rest");
        let step = engine.step(NOW);
        prop_assert!(step.held.is_empty(), "a rule failed: {:?}", step.held);
        for row in engine.rows::<world::Finding>() {
            let problem = &row.problem;
            prop_assert!(!problem.message.is_empty(), "{problem:?}");
            prop_assert!(problem.severity != Severity::Error || !problem.hint.is_empty(), "{problem:?}");
        }
    }

    #[test]
    fn any_text_is_documents_or_errors(text in "(\\PC|[\n :#&*!|>'\"{}\\[\\],-]){0,200}") {
        let (documents, errors) = yaml::load(&text);
        for error in &errors {
            prop_assert!(!error.message.is_empty() && error.line > 0, "{error:?}");
        }
        for document in documents {
            if let Ok(object) = Object::from_json(document.json, Origin::default()) {
                intake(&object);
            }
        }
    }
}
