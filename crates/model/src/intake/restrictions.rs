//! What restricts traffic and is not enforced yet: it must never be open in silence.
//! Source: Envoy Gateway v1.9 `api/v1alpha1`, Gateway API v1.6 `apis/v1`.

use super::{
    fields::{self, Field},
    gateway::{reference, selector},
    node::Root,
};
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
    if made.features.is_empty() && made.tls_features.is_empty() {
        return None;
    }
    if kind.kind != "Gateway" {
        targets(root, &name.namespace, &mut made);
    }
    let names = made.features.iter().chain(&made.tls_features).map(|n| &**n).collect::<Vec<_>>().join(", ");
    let field = fields.first().map_or("spec", String::as_str).to_owned();
    root.problem(
        206,
        Severity::Warning,
        &field,
        format!("{names} restricts traffic and is not enforced yet"),
        "the hosts that it covers say so in `unenforced`; bind them to loopback only",
    );
    Some(made)
}

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
