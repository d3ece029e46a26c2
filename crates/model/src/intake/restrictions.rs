//! What restricts traffic and is not enforced yet: it must never be open in silence.
//! Source: Envoy Gateway v1.9 `api/v1alpha1`, Gateway API v1.6 `apis/v1`.

use super::{
    fields::{self, Field},
    gateway::{reference, selector},
    node::{Node, Root},
};
use serde_json::Value;

use crate::{
    Kind, LabelSelector, Name, NamespacedName, ObjectKey, Severity,
    input::{ParentRef, Restriction},
};

/// Policies of Envoy Gateway that may restrict traffic.
pub const POLICIES: [&str; 5] = [
    "SecurityPolicy",
    "ClientTrafficPolicy",
    "BackendTrafficPolicy",
    "EnvoyPatchPolicy",
    "EnvoyExtensionPolicy",
];

pub(super) fn restriction(root: &mut Root<'_>) -> Option<Restriction> {
    let ObjectKey { kind, name } = root.object.key.clone();
    let mut made = Restriction {
        key: root.object.key.clone(),
        targets: vec![],
        single: false,
        selectors: vec![],
        everywhere: false,
        whole: false,
        features: vec![],
        tls_features: vec![],
    };
    let mut fields: Vec<String> = Vec::new();
    match (&*kind.group, &*kind.kind) {
        ("gateway.networking.k8s.io", "Gateway") => {
            fields = frontend(root, &name, &mut made);
        }
        ("gateway.networking.k8s.io", "BackendTLSPolicy")
        | ("gateway.envoyproxy.io", "SecurityPolicy" | "EnvoyPatchPolicy" | "EnvoyExtensionPolicy") => {
            made.features.push(kind.kind.clone());
            fields.push("spec".into());
        }
        ("gateway.envoyproxy.io", "ClientTrafficPolicy" | "BackendTrafficPolicy") => {
            fields = traffic(root, &kind, &mut made);
        }
        _ => return None,
    }
    // Which of its fields restrict is not to be seen.
    let unread = root.spec();
    if kind.kind != "Gateway" && unread.present() && !unread.value.is_object() {
        made.features = vec![kind.kind.clone()];
        fields = vec!["spec".into()];
    }
    if made.features.is_empty() && made.tls_features.is_empty() {
        return None;
    }
    if kind.kind != "Gateway" {
        targets(root, &name.namespace, &mut made);
    }
    let names = made.features.iter().chain(&made.tls_features).map(|n| &**n).collect::<Vec<_>>().join(", ");
    let field = fields.first().map_or("spec", String::as_str).to_owned();
    let several = made.features.len() + made.tls_features.len() > 1;
    let mut message = format!(
        "{names} {} traffic and {} not enforced yet",
        if several { "restrict" } else { "restricts" },
        if several { "are" } else { "is" }
    );
    if made.whole {
        message.push_str("; what it targets cannot be read, so it is taken for all of its namespace");
    }
    let hint = "the hosts that it covers say so in `unenforced`; bind them to loopback only";
    root.problem(206, Severity::Warning, &field, message, hint);
    Some(made)
}

/// Whether something that a policy targets cannot be read, or nothing of it: it was written to restrict, and what is not known.
/// What an API server takes is never one.
pub(super) fn unreadable(root: &Root<'_>) -> bool {
    let spec = root.spec();
    let (list, single, chosen) = (spec.get("targetRefs"), spec.get("targetRef"), spec.get("targetSelectors"));
    let envoys = &*root.object.key.kind.group == "gateway.envoyproxy.io";
    let kind = |node: &Node<'_>| match node.value.get("kind").and_then(Value::as_str) {
        None | Some("") => false,
        // Its definitions hold the kinds; that of Gateway API leaves them to who implements it.
        Some(kind) if envoys => match node.value.get("group") {
            None => TARGETS.contains(&kind),
            Some(Value::String(group)) => match &**group {
                "gateway.networking.k8s.io" => TARGETS.contains(&kind),
                "gateway.networking.x-k8s.io" => kind == "XListenerSet",
                group => group.is_empty() && kind == "Service",
            },
            Some(_) => false,
        },
        Some(_) => node.value.get("group").is_some_and(Value::is_string),
    };
    let named = |node: &Node<'_>| {
        kind(node) && node.value.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty())
    };
    let wrong = |list: &Node<'_>, good: &dyn Fn(&Node<'_>) -> bool| {
        list.present() && (!list.value.is_array() || list.items().iter().any(|node| !good(node)))
    };
    let nothing = !single.present() && chosen.items().is_empty() && list.items().is_empty();
    // An empty list is taken by Envoy Gateway's definitions, for nothing.
    let meant = nothing && !(envoys && list.value.is_array());
    wrong(&list, &named) || (single.present() && !named(&single)) || wrong(&chosen, &kind) || meant
}

/// Kinds that a policy of Envoy Gateway may target.
const TARGETS: [&str; 8] =
    ["Gateway", "GatewayClass", "ListenerSet", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"];

/// Fields that restrict; what only tunes is listed.
fn traffic(root: &mut Root<'_>, kind: &Kind, made: &mut Restriction) -> Vec<String> {
    let spec = root.spec();
    let all = fields::of(&kind.kind, spec.value);
    let of = |class| all.iter().filter(move |(_, is)| *is == class).map(|(path, _)| path);
    let mut restricting = Vec::new();
    for path in of(Field::Refused) {
        let list = if path.starts_with("tls.") { &mut made.tls_features } else { &mut made.features };
        list.push(format!("{}.{path}", kind.kind).into());
        restricting.push(format!("spec.{path}"));
    }
    let tuning: Vec<&str> = of(Field::Tuning).map(String::as_str).collect();
    if let Some(first) = tuning.first() {
        let message = format!("{} of {} has no effect here", tuning.join(", "), kind.kind);
        let hint = "nothing that it asks for is open because of that; what Envoy does without it is in docs/concepts/wire.md";
        root.problem(245, Severity::Warning, &format!("spec.{first}"), message, hint);
    }
    restricting
}

/// Client certificates at the listeners of a Gateway, as older releases had it.
fn frontend(root: &Root<'_>, own: &NamespacedName, made: &mut Restriction) -> Vec<String> {
    let gateway = |section: Option<Name>| ParentRef {
        kind: Kind::new("gateway.networking.k8s.io", "Gateway"),
        name: own.clone(),
        section,
        port: None,
    };
    let mut fields = Vec::new();
    for listener in root.spec().get("listeners").items() {
        let validation = listener.get("tls").get("frontendValidation");
        if validation.present() {
            made.targets.push(gateway(listener.get("name").opt()));
            fields.push(validation.path);
        }
    }
    if !fields.is_empty() {
        made.tls_features.push("Gateway.tls.frontend.validation".into());
    }
    fields
}

/// `targetRef`, `targetRefs` and `targetSelectors`.
fn targets(root: &mut Root<'_>, own: &Name, made: &mut Restriction) {
    made.whole = unreadable(root);
    let spec = root.spec();
    made.targets = spec.get("targetRefs").items().iter().map(|node| reference(node, own)).collect();
    let single = spec.get("targetRef");
    if single.present() {
        made.single = true;
        made.targets.push(reference(&single, own));
    }
    for node in spec.get("targetSelectors").items() {
        let kind = reference(&node, own).kind;
        made.everywhere |= node.get("namespaces").present();
        // One that cannot be read is taken to choose everything: here that is the careful side.
        let before = root.problems.len();
        let selector = selector(root, &node);
        let usable = root.problems.len() == before;
        made.selectors.push((kind, if usable { selector } else { LabelSelector::default() }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use crate::{Object, Origin, input::Restriction, intake::intake};

    fn read(group: &str, kind: &str, spec: &Value) -> Option<Restriction> {
        let json = json!({
            "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "p", "namespace": "ns"}, "spec": spec,
        });
        let taken = intake(&Object::from_json(json, Origin::default()).unwrap());
        assert_eq!(taken.restriction.is_some(), taken.problems.iter().any(|p| p.code.0 == 206), "{taken:?}");
        taken.restriction
    }

    fn features(kind: &str, spec: &Value) -> Vec<String> {
        let made = read("gateway.envoyproxy.io", kind, spec);
        made.iter().flat_map(|r| r.features.iter().chain(&r.tls_features)).map(ToString::to_string).collect()
    }

    #[test]
    fn what_only_tunes_is_no_restriction() {
        let (none, client): (Vec<&str>, _) = (vec![], "ClientTrafficPolicy");
        assert_eq!(features(client, &json!({"tls": {"minVersion": "1.2"}, "timeout": {}})), none);
        assert_eq!(features(client, &json!({"headers": {"withUnderscoresAction": "Allow"}})), none);
        assert_eq!(features(client, &json!({"path": {"escapedSlashesAction": "UnescapeAndRedirect"}})), none);
        assert_eq!(
            features(client, &json!({"enableProxyProtocol": false, "tls": {"maxVersion": "1.3"}})),
            none
        );
        assert_eq!(features("BackendTrafficPolicy", &json!({"retry": {}, "loadBalancer": {}})), none);
        assert_eq!(features("EnvoyProxy", &json!({})), none);
        assert_eq!(read("gateway.networking.k8s.io", "Gateway", &json!({"listeners": []})), None);
    }

    #[test]
    fn each_field_that_restricts_is_named() {
        let tls = json!({"tls": {"minVersion": "1.3", "clientValidation": {}}, "connection": {"connectionLimit": {}}});
        assert_eq!(
            features("ClientTrafficPolicy", &tls),
            [
                "ClientTrafficPolicy.connection.connectionLimit",
                "ClientTrafficPolicy.tls.clientValidation",
                "ClientTrafficPolicy.tls.minVersion"
            ]
        );
        assert_eq!(
            features("BackendTrafficPolicy", &json!({"rateLimit": {}, "requestBuffer": {}, "retry": {}})),
            ["BackendTrafficPolicy.rateLimit", "BackendTrafficPolicy.requestBuffer"]
        );
        for (field, value) in [
            ("clientIPDetection", json!({"xForwardedFor": {"numTrustedHops": 1}})),
            ("enableProxyProtocol", json!(true)),
            ("proxyProtocol", json!({})),
            ("path", json!({"escapedSlashesAction": "RejectRequest"})),
            ("headers", json!({"earlyRequestHeaders": {"remove": ["x-internal"]}})),
            ("headers", json!({"withUnderscoresAction": "RejectRequest"})),
            ("unheardOf", json!({})),
        ] {
            assert_eq!(features("ClientTrafficPolicy", &json!({field: value})).len(), 1, "{field} {value}");
        }
        for kind in ["SecurityPolicy", "EnvoyPatchPolicy", "EnvoyExtensionPolicy"] {
            assert_eq!(features(kind, &json!({})), [kind]);
        }
    }

    #[test]
    fn targets_by_name_and_by_labels() {
        let spec = json!({
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "a"},
            "targetRefs": [{"group": "", "kind": "Service", "name": "b"}],
            "targetSelectors": [{"kind": "Gateway", "matchLabels": {"edge": "public"}}],
        });
        let made = read("gateway.envoyproxy.io", "SecurityPolicy", &spec).unwrap();
        let targets: Vec<_> =
            made.targets.iter().map(|t| format!("{}.{} {}", t.kind, t.kind.group, t.name)).collect();
        assert_eq!(targets, ["Service. ns/b", "HTTPRoute.gateway.networking.k8s.io ns/a"]);
        assert_eq!(made.selectors[0].1.labels.len(), 1);
    }

    #[test]
    fn a_target_that_cannot_be_read_is_everything() {
        let route = || json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"});
        let with = |field: &str, value: Value| {
            let mut target = route();
            target[field] = value;
            json!({"targetRefs": [target]})
        };
        let whole = |kind: &str, spec: &Value| read("gateway.envoyproxy.io", kind, spec).unwrap().whole;
        for spec in [
            json!({"targetRefs": route()}),
            json!({"targetRefs": "x"}),
            json!({"targetRefs": ["r"]}),
            json!({"targetRef": "r"}),
            json!({"targetRef": [route()]}),
            json!({"targetRef": {"kind": "HTTPRoute"}}),
            json!({"targetRefs": [route(), {"name": "r"}]}),
            with("name", json!(5)),
            with("name", json!("")),
            with("kind", json!("HTTProute")),
            with("kind", json!(["HTTPRoute"])),
            with("group", json!(7)),
            with("group", json!("")),
            json!({"targetSelectors": {"kind": "Gateway"}}),
            json!({"targetSelectors": [{"kind": "gateway"}]}),
            json!({"targetSelectors": "all"}),
            json!({"targetRefz": [route()]}),
            json!({}),
            json!(5),
        ] {
            assert!(whole("SecurityPolicy", &spec), "{spec}");
        }
        assert!(whole("ClientTrafficPolicy", &json!("connection")));
        for spec in [
            json!({"targetRefs": [route()]}),
            json!({"targetRef": route()}),
            json!({"targetRefs": [{"kind": "HTTPRoute", "name": "r", "sectionName": 5}]}),
            json!({"targetRefs": []}),
            json!({"targetSelectors": [{"kind": "Gateway"}]}),
        ] {
            assert!(!whole("SecurityPolicy", &spec), "{spec}");
        }
    }

    #[test]
    fn a_policy_for_backends_whose_service_cannot_be_read() {
        let read = |targets: &Value| {
            let validation = json!({"hostname": "s.internal", "wellKnownCACertificates": "System"});
            let spec = json!({"targetRefs": targets, "validation": validation});
            let json = json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
                "metadata": {"name": "p", "namespace": "ns"}, "spec": spec,
            });
            let taken = intake(&Object::from_json(json, Origin::default()).unwrap());
            assert_ne!(taken.restriction.is_some(), taken.fact.is_some(), "{targets}");
            taken.restriction.is_some_and(|restriction| restriction.whole)
        };
        let service = |name: Value| json!({"group": "", "kind": "Service", "name": name});
        for targets in [
            service(json!("s")),
            json!("s"),
            json!([service(json!(5))]),
            json!([service(json!(""))]),
            json!(["s"]),
            json!([]),
            json!(null),
            json!([{"kind": "Service", "name": "s"}]),
        ] {
            assert!(read(&targets), "{targets}");
        }
        assert!(!read(&json!([service(json!("s"))])));
        assert!(!read(&json!([{"group": "example.com", "kind": "Bucket", "name": "s"}])));
    }

    #[test]
    fn client_certificates_of_a_gateway() {
        let spec = json!({
            "listeners": [{"name": "old", "port": 1, "protocol": "HTTPS", "tls": {"frontendValidation": {}}}],
            "tls": {"frontend": {"default": {"validation": {}}}},
        });
        let made = read("gateway.networking.k8s.io", "Gateway", &spec).unwrap();
        let at: Vec<_> = made.targets.iter().map(|t| (t.section.as_deref().unwrap_or(""), t.port)).collect();
        assert_eq!(at, [("old", None)]);
        assert_eq!(made.tls_features, ["Gateway.tls.frontend.validation"]);
    }
}
