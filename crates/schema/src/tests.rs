//! What is refused, in which words, and what an object looks like that is taken.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{Admitted, Brought, Definitions, admit};

fn try_it(object: Value) -> Result<Admitted, Vec<String>> {
    admit(&Definitions::builtin(), object, None)
        .map_err(|causes| causes.iter().map(ToString::to_string).collect())
}

fn route(spec: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "r", "namespace": "shop"}, "spec": spec,
    })
}

/// The causes, without the one that says that rules were not asked.
fn refused(object: Value) -> Vec<String> {
    let mut causes = try_it(object).map(|_| ()).unwrap_err();
    causes.retain(|cause| !cause.contains("some validation rules were not checked"));
    causes
}

#[test]
fn a_value_of_another_type_is_refused() {
    let with = |rule: Value| route(json!({"parentRefs": [{"name": "gw"}], "rules": [rule]}));
    let cases = [
        (
            route(json!({"parentRefs": [{"name": "gw", "sectionName": true}]})),
            "spec.parentRefs[0].sectionName: Invalid value: \"boolean\": spec.parentRefs[0].sectionName in body must be of type string: \"boolean\"",
        ),
        (
            with(json!({"matches": {"path": {"value": "/x"}}})),
            "spec.rules[0].matches: Invalid value: \"object\": spec.rules[0].matches in body must be of type array: \"object\"",
        ),
        (
            with(json!({"matches": [{"path": "/x"}]})),
            "spec.rules[0].matches[0].path: Invalid value: \"string\": spec.rules[0].matches[0].path in body must be of type object: \"string\"",
        ),
        (
            with(json!({"backendRefs": [{"name": "a", "port": "80"}]})),
            "spec.rules[0].backendRefs[0].port: Invalid value: \"string\": spec.rules[0].backendRefs[0].port in body must be of type integer: \"string\"",
        ),
        (
            with(json!({"backendRefs": [{"name": "a", "port": 80, "weight": 1_000_001}]})),
            "spec.rules[0].backendRefs[0].weight: Invalid value: 1000001: spec.rules[0].backendRefs[0].weight in body should be less than or equal to 1000000",
        ),
        (
            with(json!({"matches": [{"path": {"type": "Prefix"}}]})),
            "spec.rules[0].matches[0].path.type: Unsupported value: \"Prefix\": supported values: \"Exact\", \"PathPrefix\", \"RegularExpression\"",
        ),
        (
            route(json!({"hostnames": ["A.example"]})),
            "spec.hostnames[0]: Invalid value: \"A.example\": spec.hostnames[0] in body should match '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'",
        ),
        (
            with(json!({"filters": [{"requestHeaderModifier": {"remove": ["x"]}}]})),
            "spec.rules[0].filters[0].type: Required value",
        ),
        (
            with(
                json!({"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}}]}),
            ),
            "spec.rules[0].filters[0].requestHeaderModifier.set[1]: Duplicate value: {\"name\":\"a\"}",
        ),
    ];
    for (object, words) in cases {
        assert_eq!(refused(object), [words]);
    }
    let fraction = with(json!({"backendRefs": [{"name": "a", "port": 80, "weight": 1.5}]}));
    assert_eq!(
        refused(fraction),
        [
            "spec.rules[0].backendRefs[0].weight: Invalid value: \"float64\": spec.rules[0].backendRefs[0].weight in body must be of type int32: \"float64\"",
            "<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in spec.rules[0].backendRefs[0].weight",
        ]
    );
}

#[test]
fn defaults_are_filled_in_and_unknown_fields_are_dropped_and_named() {
    let object = route(json!({"parentRefs": [{"name": "gw", "sectonName": "a"}], "rules": [{
        "matches": null, "tiemouts": {"request": "1s"}, "backendRefs": [{"name": "web", "port": 80}]
    }]}));
    let taken = try_it(object).unwrap();
    let unknown: Vec<(&str, Option<&str>)> =
        taken.warnings.iter().map(|unknown| (&*unknown.path, unknown.nearest.as_deref())).collect();
    assert_eq!(
        unknown,
        [
            ("spec.parentRefs[0].sectonName", Some("sectionName")),
            ("spec.rules[0].tiemouts", Some("timeouts"))
        ]
    );
    assert_eq!(
        taken.object["spec"],
        json!({
            "parentRefs": [{"name": "gw", "group": "gateway.networking.k8s.io", "kind": "Gateway"}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": "web", "port": 80, "group": "", "kind": "Service", "weight": 1}],
            }],
        })
    );
}

#[test]
fn metadata_is_judged_for_every_kind() {
    let mut object = route(json!({}));
    object["metadata"] = json!({"name": "Shop route", "namespace": "shop", "labels": {"a": "b c"}});
    let words = refused(object);
    assert!(
        words[0]
            .starts_with("metadata.name: Invalid value: \"Shop route\": a lowercase RFC 1123 subdomain must")
    );
    assert!(
        words[1]
            .starts_with("metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or")
    );
    let mut object = route(json!({}));
    object["metadata"]["annotations"] = json!({"a": true});
    assert_eq!(
        refused(object),
        [
            "HTTPRoute in version \"v1\" cannot be handled as a HTTPRoute: json: cannot unmarshal bool into Go struct field ObjectMeta.annotations of type string"
        ]
    );
}

#[test]
fn kinds_of_kubernetes_are_decoded_as_go_does() {
    let service = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b"}, "spec": spec});
    assert_eq!(
        refused(service(json!({"ports": [{"port": "80"}]}))),
        [
            "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32"
        ]
    );
    let taken = try_it(service(json!({"ports": [{"port": 80, "prot": "x"}], "selector": null}))).unwrap();
    assert_eq!(
        taken.object["spec"],
        json!({
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "type": "ClusterIP",
            "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        })
    );
    assert_eq!(taken.warnings[0].path, "spec.ports[0].prot");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"}, "data": {"a": "Y!=="}});
    assert_eq!(
        refused(secret),
        ["Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 1"]
    );
}

#[test]
fn definitions_of_the_repository_win_and_other_versions_are_refused() {
    let old =
        json!({"apiVersion": "cert-manager.io/v1alpha2", "kind": "Certificate", "metadata": {"name": "a"}});
    assert_eq!(
        refused(old.clone()),
        ["no matches for kind \"Certificate\" in version \"cert-manager.io/v1alpha2\""]
    );
    let mut own = Definitions::builtin();
    let crd = json!({"kind": "CustomResourceDefinition", "spec": {
        "group": "cert-manager.io", "scope": "Cluster", "names": {"kind": "Certificate"},
        "versions": [{"name": "v1alpha2", "served": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    }});
    own.bring(Arc::new(Brought::read(&crd).unwrap()));
    assert!(admit(&own, old, None).unwrap().known);
    let other = json!({"apiVersion": "example.org/v1", "kind": "Thing", "any": 1});
    assert_eq!(try_it(other.clone()).unwrap(), Admitted { object: other, warnings: vec![], known: false });
}

#[test]
fn every_kind_that_is_packed_can_be_read_and_its_patterns_are_patterns() {
    let mut patterns = 0;
    for definition in Definitions::packed() {
        let mut todo = vec![Arc::clone(definition.schema())];
        let mut left = 200_000;
        while let Some(schema) = todo.pop() {
            left -= 1;
            assert!(left > 0, "{} has no end", definition.kind);
            todo.extend(schema.properties.iter().map(|(_, child)| child.clone()));
            todo.extend(schema.items.iter().chain(schema.additional()).cloned());
            if let Some(pattern) = &schema.pattern {
                patterns += 1;
                assert!(pattern.is_found_in("").is_some(), "{}: {}", definition.kind, pattern.text);
            }
        }
    }
    assert!(patterns > 100, "only {patterns} patterns were seen");
}

#[test]
fn the_first_address_of_a_service_stays() {
    let service = |more: Value| {
        let mut spec = json!({"ports": [{"port": 80}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let json = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "n"}, "spec": spec});
        try_it(json).unwrap().object
    };
    let said = |old: Value, new: Value| {
        let causes = crate::update(&Definitions::builtin(), &service(new), &service(old));
        causes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    for (old, new, shown) in [
        (json!({"clusterIP": "None"}), json!({"clusterIP": "10.0.0.9"}), "[\"10.0.0.9\"]"),
        (json!({"clusterIP": "10.0.0.5"}), json!({"clusterIP": "10.0.0.6"}), "[\"10.0.0.6\"]"),
        (json!({"clusterIP": "10.0.0.5"}), json!({"clusterIP": "None"}), "[\"None\"]"),
        // Some address that a cluster has chosen.
        (json!({}), json!({"clusterIP": "None"}), "[\"None\"]"),
    ] {
        let words = format!("spec.clusterIPs[0]: Invalid value: {shown}: may not change once set");
        assert_eq!(said(old.clone(), new.clone()), words, "{old} {new}");
    }
    for (old, new) in [
        (json!({"clusterIP": "10.0.0.5"}), json!({})),
        (json!({"clusterIP": "None"}), json!({})),
        (json!({"clusterIP": "10.0.0.5"}), json!({"clusterIP": "10.0.0.5", "sessionAffinity": "ClientIP"})),
        (
            json!({"clusterIP": "None"}),
            json!({"type": "ExternalName", "externalName": "a.example", "clusterIP": ""}),
        ),
        (json!({"clusterIP": "10.0.0.5", "clusterIPs": ["10.0.0.5"]}), json!({"clusterIP": "10.0.0.5"})),
    ] {
        assert_eq!(said(old.clone(), new.clone()), "", "{old} {new}");
    }
}

/// A kind with a schema for its `spec`.
fn widgets(spec: Value) -> Definitions {
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}});
    let mut definitions = Definitions::builtin();
    definitions.bring(Arc::new(Brought::read(&crd).unwrap()));
    definitions
}

#[test]
fn what_an_update_leaves_as_it_was_keeps_its_faults() {
    let number = json!({"type": "integer", "maximum": 10});
    let named = json!({"type": "object", "required": ["more"], "properties": {"name": {"type": "string"},
        "n": number, "more": {"type": "string"}}});
    let definitions = widgets(json!({"type": "object", "properties": {
        "num": number, "word": {"type": "string", "pattern": "^[a-z]+$"}, "other": {"type": "string"},
        "plain": {"type": "array", "items": number},
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "named": {"type": "array", "items": named, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        "either": {"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
    }}));
    let object = |spec: &Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "n"}, "spec": spec});
    let said = |old: Option<&Value>, new: &Value| {
        let old = old.map(object);
        match admit(&definitions, object(new), old.as_ref()) {
            Ok(_) => Vec::new(),
            Err(causes) => causes.into_iter().map(|cause| cause.path).collect(),
        }
    };
    let old = json!({"num": 15, "word": "ABC", "plain": [15], "set": ["a", "a"], "either": {},
        "named": [{"name": "x", "n": 15}, {"name": "y", "n": 1, "more": ""}]});
    assert!(said(None, &old).len() > 5, "{:?}", said(None, &old));
    let with = |key: &str, value: Value| {
        let mut new = old.clone();
        new[key] = value;
        new
    };
    for (key, value) in [
        ("other", json!("new")),
        // Items of a list that is a map are told by their keys.
        ("named", json!([{"name": "z", "more": ""}, {"name": "x", "n": 15}])),
        ("set", json!(["b", "b"])),
        ("num", json!(9)),
    ] {
        assert_eq!(said(Some(&old), &with(key, value.clone())), Vec::<String>::new(), "{key}: {value}");
    }
    for (key, value, path) in [
        ("num", json!(16), "spec.num"),
        ("word", json!("ABCD"), "spec.word"),
        // Of other lists nothing tells which item was which.
        ("plain", json!([15, 1]), "spec.plain[0]"),
        ("named", json!([{"name": "x", "n": 14}]), "spec.named[0].more"),
        ("either", json!({"c": "x"}), "<nil>"),
    ] {
        let causes = said(Some(&old), &with(key, value.clone()));
        assert!(causes.iter().any(|cause| cause == path), "{key}: {value}: {causes:?}");
    }
}
