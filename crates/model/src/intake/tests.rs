#![allow(clippy::unwrap_used)]
mod unread;

use super::{Fact, intake};
use crate::{Object, Origin, input::*, yaml};

fn read(text: &str) -> super::Intake {
    let (mut documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    intake(&Object::from_json(documents.remove(0).json, Origin::default()).unwrap())
}

#[test]
fn a_route_gets_its_defaults_and_names_what_is_wrong() {
    let got = read(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: ns}\nspec:\n  parentRefs: [{name: g}]\n  hostnames: [App.Example.com, 'a b']\n  rules:\n  - matches: [{path: {value: /x/}}, {path: {type: RegularExpression, value: '('}}]\n    filters: [{type: ExtensionRef}]\n",
    );
    let Some(Fact::Route(route)) = got.fact else { panic!("{got:?}") };
    assert_eq!(route.hostnames, ["app.example.com"]);
    assert_eq!(route.parents[0].name.to_string(), "ns/g");
    assert_eq!(route.rules[0].matches.len(), 1);
    assert_eq!(route.rules[0].matches[0].path, PathMatch::Prefix("/x".into()));
    assert_eq!(route.rules[0].filters, [Filter::Unsupported("ExtensionRef".into())]);
    let fields: Vec<String> = got.problems.iter().map(|p| p.field.to_string()).collect();
    assert_eq!(
        fields,
        ["spec.hostnames[1]", "spec.rules[0].matches[1].path.value", "spec.rules[0].filters[0].type"]
    );
}

#[test]
fn a_secret_is_decoded_and_never_shown() {
    let got = read(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\ndata: {a: c2VjcmV0LXZhbHVl, b: '%'}\nstringData: {c: other-value}\n",
    );
    let text = format!("{got:?}");
    assert!(!text.contains("secret-value") && !text.contains("other-value"), "{text}");
    let Some(Fact::Secret(secret)) = got.fact else { panic!() };
    assert_eq!(secret.data["a"].expose(), b"secret-value");
    assert_eq!(got.problems[0].field, "data.b");
}

#[test]
fn kinds_of_our_groups_that_are_not_known_are_reported_others_are_left_alone() {
    let odd = read("apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoute\nmetadata: {name: r}\n");
    assert_eq!(odd.problems.len(), 1);
    let foreign = read("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: r}\n");
    assert!(foreign.problems.is_empty() && !foreign.ours);
}

#[test]
fn hostnames() {
    use super::gateway::hostname;
    assert!(hostname("*.Example.com").is_some_and(|h| h == "*.example.com"));
    for bad in ["", "*", "a..b", "-a.b", "a.*.b", "10.0.0.1", "a_b.c"] {
        assert!(hostname(bad).is_none(), "{bad}");
    }
}

#[test]
fn an_admission_policy_and_its_binding() {
    let got = read(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: p}\nspec:\n  failurePolicy: Sometimes\n  paramKind: {apiVersion: rules.example.com/v1, kind: HostRule}\n  matchConstraints:\n    resourceRules: [{apiGroups: ['', '*'], apiVersions: ['*'], operations: [CREATE], resources: [httproutes]}]\n  matchConditions: [{name: c, expression: 'true'}]\n  variables: [{expression: 'true'}]\n  validations: [{expression: 'false', message: denied}]\n",
    );
    let Some(Fact::AdmissionPolicy(policy)) = got.fact else { panic!("{got:?}") };
    assert!(policy.fail_closed);
    assert_eq!(policy.param_kind, Some((crate::Kind::new("rules.example.com", "HostRule"), "v1".into())));
    assert_eq!(policy.constraints.rules[0].groups, ["", "*"]);
    let fields: Vec<_> = got.problems.iter().map(|p| (p.code.0, &*p.field)).collect();
    assert_eq!(fields, [(1, "spec.failurePolicy"), (1, "spec.variables[0].name")]);

    let got = read(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: b}\nspec:\n  policyName: p\n  validationActions: [Warn, Audit]\n  paramRef: {selector: {matchLabels: {a: b}}, parameterNotFoundAction: Allow}\n",
    );
    let Some(Fact::AdmissionBinding(binding)) = got.fact else { panic!("{got:?}") };
    assert_eq!((binding.deny, binding.warn, got.problems), (false, true, vec![]));
    let param = binding.param.unwrap();
    assert_eq!((param.name, param.deny_if_missing, param.selector.labels.len()), (None, false, 1));
}

#[test]
fn a_judged_object_has_no_status_and_what_configures_admission_is_none() {
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: ns, resourceVersion: '7'}\nspec: {parentRefs: [{name: g}]}\nstatus: {parents: []}\n";
    let judged = read(route).judged.unwrap();
    assert_eq!(&*judged.resource, "httproutes");
    let json = judged.json.unpack();
    assert!(json.get("status").is_none() && json.pointer("/metadata/resourceVersion").is_none());
    let policy = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: s}\n";
    assert_eq!(read(policy).judged, None);
}

#[test]
fn a_sealed_secret_is_read_with_its_scope_and_template() {
    let got = read(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: s\n  namespace: ns\n  annotations:\n    sealedsecrets.bitnami.com/namespace-wide: 'true'\n    sealedsecrets.bitnami.com/cluster-wide: 'True'\nspec:\n  encryptedData: {a: AAAA, b: '%'}\n  template:\n    type: kubernetes.io/tls\n    immutable: true\n    metadata: {labels: {l: x}, annotations: {note: z}}\n    data: {url: plain}\n",
    );
    let Some(Fact::SealedSecret(sealed)) = got.fact else { panic!("{got:?}") };
    assert_eq!(sealed.scope, SealingScope::Namespace, "only the value true counts");
    assert_eq!(sealed.encrypted.keys().map(|k| &**k).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((&*sealed.r#type, sealed.immutable), ("kubernetes.io/tls", true));
    assert_eq!((&*sealed.labels["l"], &*sealed.annotations["note"]), ("x", "z"));
    assert_eq!(sealed.template["url"], "plain");
    let found: Vec<(u16, &str)> = got.problems.iter().map(|p| (p.code.0, &*p.field)).collect();
    assert_eq!(found, [(1, "spec.encryptedData.b")], "{:?}", got.problems);

    let old = read(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s}\nspec: {data: AAAA}\n",
    );
    assert_eq!(old.problems.iter().map(|p| p.code.0).collect::<Vec<_>>(), [150]);
    let empty = read("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s}\nspec: {}\n");
    assert_eq!(empty.problems[0].field, "spec.encryptedData");
}

#[test]
fn a_config_map_is_read_and_its_maker_told_by_the_marks() {
    let got = read(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  namespace: ns\n  labels: {app.kubernetes.io/managed-by: portolan}\n  annotations: {reflector.v1.k8s.emberstack.com/reflects: a/c}\ndata: {a: x}\nbinaryData: {b: AAAA, bad: '%'}\n",
    );
    let Some(Fact::ConfigMap(map)) = got.fact else { panic!("{got:?}") };
    assert_eq!((map.data.len(), map.binary.len(), map.maker), (1, 1, Maker::Mirrored));
    let fields: Vec<&str> = got.problems.iter().map(|p| &*p.field).collect();
    assert_eq!(fields, ["binaryData.bad"]);

    let maker = |more: &str| {
        let got = read(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s, {more}}}\n"));
        let Some(Fact::Secret(secret)) = got.fact else { panic!("{got:?}") };
        secret.maker
    };
    let ours = "labels: {app.kubernetes.io/managed-by: portolan}";
    assert_eq!(maker(""), Maker::Repository);
    assert_eq!(maker(ours), Maker::Account);
    let issued = "annotations: {portolan.dev/issued-at: x, reflector.v1.k8s.emberstack.com/reflects: a/b}";
    assert_eq!(maker(&format!("{ours}, {issued}")), Maker::Issued, "its template may carry marks of mirrors");
    assert_eq!(
        maker(&format!(
            "{ours}, ownerReferences: [{{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret}}]"
        )),
        Maker::Unsealed
    );
    let namesake = "ownerReferences: [{apiVersion: other.example/v1, kind: SealedSecret}]";
    assert_ne!(maker(&format!("{ours}, {namesake}")), Maker::Unsealed);
    // A mirror that a user wrote by hand is the user's.
    assert_eq!(maker("annotations: {reflector.v1.k8s.emberstack.com/reflects: a/c}"), Maker::Repository);
}

#[test]
fn of_an_object_with_a_value_of_another_type_nothing_is_made() {
    for (kind, spec, field) in [
        ("gateway.networking.k8s.io/v1\nkind: HTTPRoute", "{hostnames: a.example.com}", "spec.hostnames"),
        (
            "gateway.networking.k8s.io/v1\nkind: HTTPRoute",
            "{parentRefs: [{name: g, sectionName: 1}]}",
            "spec.parentRefs[0].sectionName",
        ),
        (
            "gateway.networking.k8s.io/v1\nkind: HTTPRoute",
            "{rules: [{backendRefs: [{name: a, weight: '0'}]}]}",
            "spec.rules[0].backendRefs[0].weight",
        ),
        (
            "gateway.networking.k8s.io/v1\nkind: HTTPRoute",
            "{rules: [{timeouts: {request: soon}}]}",
            "spec.rules[0].timeouts.request",
        ),
        (
            "gateway.networking.k8s.io/v1\nkind: Gateway",
            "{listeners: [{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: 1}}}]}",
            "spec.listeners[0].allowedRoutes.namespaces.from",
        ),
        (
            "gateway.networking.k8s.io/v1\nkind: Gateway",
            "{listeners: [{name: a, protocol: HTTP}]}",
            "spec.listeners[0].port",
        ),
        (
            "gateway.networking.k8s.io/v1\nkind: ReferenceGrant",
            "{to: [{group: '', kind: Service, name: 7}]}",
            "spec.to[0].name",
        ),
        (
            "gateway.networking.k8s.io/v1\nkind: ReferenceGrant",
            "{to: [{group: '', kind: Service, name: ''}]}",
            "spec.to[0].name",
        ),
        (
            "gateway.networking.k8s.io/v1\nkind: HTTPRoute",
            "{parentRefs: [{name: g, sectionName: ''}]}",
            "spec.parentRefs[0].sectionName",
        ),
        ("cert-manager.io/v1\nkind: Certificate", "{isCA: 'true'}", "spec.isCA"),
        ("cert-manager.io/v1\nkind: Issuer", "{ca: {secretName: [a]}}", "spec.ca.secretName"),
        ("bitnami.com/v1alpha1\nkind: SealedSecret", "{encryptedData: {a: 7}}", "spec.encryptedData.a"),
        (
            "discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nports: [{port: 0}]",
            "null",
            "ports[0].port",
        ),
    ] {
        let metadata =
            "metadata: {name: r, namespace: ns, labels: {kubernetes.io/service-name: s}, annotations: {}}";
        let got = read(&format!("apiVersion: {kind}\n{metadata}\nspec: {spec}\n"));
        assert_eq!(got.fact, None, "{kind} {spec}");
        let found: Vec<(u16, &str)> = got.problems.iter().map(|p| (p.code.0, &*p.field)).collect();
        assert!(found.contains(&(1, field)), "{kind} {spec}: {:?}", got.problems);
    }
    let label = read("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: 1}}\n");
    assert_eq!((label.fact, &*label.problems[0].field), (None, "metadata.labels.team"));
}

#[test]
fn of_more_windows_than_are_looked_at_the_first_count_and_it_is_said() {
    let certificate = |windows: usize| {
        let all = "{cron: '0 0 30 2 *', windowDuration: 1h}, ".repeat(windows);
        let got = read(&format!(
            "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: c, namespace: ns}}\nspec:\n  secretName: s\n  dnsNames: [a.example]\n  issuerRef: {{name: i}}\n  renewal: {{policy: RenewBefore, windows: [{all}]}}\n"
        ));
        let Some(Fact::Certificate(certificate)) = got.fact else { panic!("{:?}", got.problems) };
        let told: Vec<_> = got.problems.iter().map(|p| (p.code.0, p.message.clone())).collect();
        (certificate.windows.len(), told)
    };
    assert_eq!(certificate(64), (64, vec![]));
    let message = "65 windows: it is renewed in the first 64 only".into();
    assert_eq!(certificate(65), (64, vec![(323, message)]));
}
