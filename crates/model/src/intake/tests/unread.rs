//! Every field of the kinds that are read has its place in a table (`intake/fates`), and the tables say what is true: what is
//! used is asked for, and what nobody asks for is not called used. Whoever reads one more, or updates the schemas, sees it here.

use std::collections::BTreeSet;

use portolan_schema::{Definitions, schema::Schema};
use serde_json::{Map, Value, json};

use super::super::{
    fates::{self, Effect},
    node::Reads,
    read,
};
use crate::{Kind, Object, Origin};

/// Kinds of which intake reads every field that is used; those of Argo CD and Flux are read where they are rendered.
const READ_HERE: [(&str, &str); 21] = [
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("gateway.networking.k8s.io", "GRPCRoute"),
    ("gateway.networking.k8s.io", "TLSRoute"),
    ("gateway.networking.k8s.io", "TCPRoute"),
    ("gateway.networking.k8s.io", "UDPRoute"),
    ("gateway.networking.k8s.io", "ReferenceGrant"),
    ("gateway.networking.k8s.io", "ListenerSet"),
    ("gateway.networking.k8s.io", "BackendTLSPolicy"),
    ("", "Service"),
    ("", "Endpoints"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("bitnami.com", "SealedSecret"),
    ("cert-manager.io", "ClusterIssuer"),
    ("cert-manager.io", "Certificate"),
    ("cert-manager.io", "Issuer"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
];

/// Objects that are made of each definition.
const TURNS: usize = 48;
/// Read with the value that holds them.
const WHOLE: [&str; 0] = [];

/// Items of each list, so that each value of an enumeration comes in one of them.
const ITEMS: usize = 7;

/// Makes values of a schema. Fields by which others are chosen are read in one way at a time, so there are several turns: each
/// has other values of enumerations side by side, and leaves other fields out.
#[derive(Clone, Copy)]
struct Turn {
    round: usize,
    item: usize,
    depth: usize,
}

impl Turn {
    fn value(self, schema: &Schema) -> Value {
        if let Some(value) = schema
            .values
            .get((self.item + self.round * self.depth + self.round / 4) % schema.values.len().max(1))
        {
            return value.clone();
        }
        let within = Self { depth: self.depth + 1, ..self };
        let types = schema.types.names();
        match (types.as_str(), &schema.default) {
            ("object", _) => {
                let mut map = Map::new();
                for (at, (name, property)) in schema.properties.iter().enumerate() {
                    let left_out = self.depth > 1 && (self.round >> (at % 4)) & 1 == 1;
                    if !left_out {
                        let within = Self { item: self.item + at, ..within };
                        map.insert(name.to_string(), within.value(property));
                    }
                }
                if let Some(each) = schema.additional() {
                    map.insert("key".to_owned(), within.value(each));
                }
                Value::Object(map)
            }
            ("array", _) => {
                let each = schema.items.as_deref();
                let items = (0..ITEMS).map(|item| Self { item, ..within });
                each.map_or(json!([]), |each| items.map(|item| item.value(each)).collect())
            }
            (_, Some(default)) => default.clone(),
            ("boolean", _) => json!((self.round + self.item).is_multiple_of(2)),
            ("integer" | "number", _) => json!(1),
            _ => json!("a"),
        }
    }
}

/// Read by somebody else than intake: the door and policies, which judge whole objects.
const BY_OTHERS: [(&str, &str); 5] = [
    ("Secret", "immutable"),
    ("ConfigMap", "immutable"),
    ("ValidatingAdmissionPolicy", "spec.paramKind"),
    ("ValidatingAdmissionPolicy", "spec.variables"),
    ("ValidatingAdmissionPolicy", "spec.matchConditions"),
];

/// Fields of versions that are newer than some definitions which may be packed.
const NEWER: [(&str, &str); 1] = [("Gateway", "spec.listeners.filters")];

/// What intake asks for, of objects in which every field is set in one of them.
fn asked_for(group: &str, version: &str, kind: &str, schema: &Schema) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for turn in 0..TURNS {
        let mut object = Turn { round: turn, item: turn, depth: 0 }.value(schema);
        let api = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        object["apiVersion"] = json!(api);
        object["kind"] = json!(kind);
        object["metadata"] =
            json!({"name": "a", "namespace": "b", "labels": {"kubernetes.io/service-name": "s"}});
        if kind == "EndpointSlice" {
            object["addressType"] = json!("IPv4");
        }
        if kind.ends_with("Issuer") {
            let only = ["acme", "ca", "selfSigned"][turn % 3];
            object["spec"].as_object_mut().unwrap().retain(|field, _| field == only);
            solve_by_one(&mut object["spec"], turn);
        }
        if kind.ends_with("Route")
            && let Some(rules) = object.pointer_mut("/spec/rules").and_then(Value::as_array_mut)
        {
            rules.push(json!({"filters": chosen_filters(), "backendRefs": [{"name": "a", "filters": chosen_filters()}]}));
        }
        if kind == "Service" {
            object["spec"]["type"] = json!(if turn == 0 { "ExternalName" } else { "ClusterIP" });
        }
        let reads = Reads::default();
        read(&Object::from_json(object, Origin::default()).unwrap(), &reads);
        seen.extend(reads.seen.take());
    }
    seen
}

/// Filters whose fields are read where others say so.
fn chosen_filters() -> Value {
    let path = json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"});
    json!([
        {"type": "RequestRedirect", "requestRedirect": {"path": path}},
        {"type": "URLRewrite", "urlRewrite": {"path": path}},
        {"type": "RequestMirror", "requestMirror": {"fraction": {"numerator": 1, "denominator": 2}}},
    ])
}

/// A solver has one provider.
fn solve_by_one(spec: &mut Value, turn: usize) {
    let Some(solvers) = spec.pointer_mut("/acme/solvers").and_then(Value::as_array_mut) else { return };
    for (at, solver) in solvers.iter_mut().enumerate() {
        let Some(dns01) = solver["dns01"].as_object_mut() else { continue };
        let names: Vec<String> = dns01.keys().filter(|name| *name != "cnameStrategy").cloned().collect();
        if let Some(only) = names.get((at + turn) % names.len().max(1)) {
            dns01.retain(|name, _| name == only || name == "cnameStrategy");
        }
    }
}

/// Fields of a definition by what the tables say: those in none, and those that have a class themselves.
fn told(kind: &Kind, schema: &Schema, path: &str, none: &mut Vec<String>, all: &mut Vec<(String, Effect)>) {
    for (name, property) in &schema.properties {
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        match fates::effect(kind, &path) {
            Some(Effect::Unknown) => none.push(format!("{kind} {path}")),
            Some(effect) => all.push((path, effect)),
            None => told(kind, property.items.as_deref().unwrap_or(property), &path, none, all),
        }
    }
}

/// Whether the field, or one below it, was asked for.
fn is_asked_for(seen: &BTreeSet<String>, path: &str) -> bool {
    let below = format!("{path}.");
    seen.contains(path) || seen.range(below.clone()..).next().is_some_and(|field| field.starts_with(&below))
}

#[test]
fn every_field_has_a_class_and_what_is_used_is_asked_for() {
    let (mut none, mut unread, mut walked) = (Vec::new(), Vec::new(), BTreeSet::new());
    for definition in Definitions::packed() {
        let (group, version, name) = (&*definition.group, &*definition.version, &*definition.kind);
        if !fates::kinds().any(|known| known == (group, name)) {
            continue;
        }
        walked.insert((group.to_owned(), name.to_owned()));
        let kind = Kind::new(group, name);
        let mut all = Vec::new();
        told(&kind, definition.schema(), "", &mut none, &mut all);
        if !READ_HERE.contains(&(group, name)) {
            continue;
        }
        let seen = asked_for(group, version, name, definition.schema());
        let is_spec = |path: &str| !path.starts_with("metadata") && path != "apiVersion" && path != "kind";
        for (path, effect) in all.iter().filter(|(path, _)| is_spec(path)) {
            let by_others = BY_OTHERS.contains(&(name, path));
            if *effect == Effect::Used && !by_others && !is_asked_for(&seen, path) {
                unread.push(format!("{kind} {path}"));
            }
        }
    }
    assert_eq!(
        (none, unread),
        (vec![], vec![]),
        "fields in no table; fields that are called used and are not read"
    );
    let known: BTreeSet<_> =
        fates::kinds().map(|(group, kind)| (group.to_owned(), kind.to_owned())).collect();
    let not_packed: Vec<_> = known.difference(&walked).map(|(group, _)| group.as_str()).collect();
    assert!(not_packed.iter().all(|group| group.ends_with(".toolkit.fluxcd.io")), "{not_packed:?}");
}

#[test]
fn what_stands_in_a_table_is_a_field() {
    let mut no_field = Vec::new();
    for (group, name) in fates::kinds() {
        let versions: Vec<_> =
            Definitions::packed().filter(|one| &*one.group == group && &*one.kind == name).collect();
        let is_field = |path: &str| versions.iter().any(|one| below(one.schema(), path).is_some());
        let paths = fates::paths(group, name).filter(|path| !path.starts_with("metadata."));
        let newer = |path: &str| NEWER.contains(&(name, path));
        let wrong =
            paths.filter(|path| !versions.is_empty() && *path != "status" && !newer(path) && !is_field(path));
        no_field.extend(wrong.map(|path| format!("{name} {path}")));
    }
    assert_eq!(no_field, Vec::<String>::new());
}

/// A field below one that is used and stands in no table is read with it, or has no class of its own.
#[test]
fn nothing_below_a_used_field_is_passed_over() {
    let mut found = Vec::new();
    for definition in Definitions::packed() {
        let (group, version, name) = (&*definition.group, &*definition.version, &*definition.kind);
        if !READ_HERE.contains(&(group, name)) {
            continue;
        }
        let seen = asked_for(group, version, name, definition.schema());
        let kind = Kind::new(group, name);
        let (mut none, mut all) = (Vec::new(), Vec::new());
        told(&kind, definition.schema(), "", &mut none, &mut all);
        for (path, _) in
            all.iter().filter(|(path, effect)| *effect == Effect::Used && !path.starts_with("metadata"))
        {
            let Some(schema) = below(definition.schema(), path) else { continue };
            unasked(schema, path, &seen, &mut |field| found.push(format!("{name} {field}")));
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found, WHOLE.map(str::to_owned), "read with the value that holds them, or in need of a class");
}

fn below<'a>(schema: &'a Schema, path: &str) -> Option<&'a Schema> {
    path.split('.')
        .try_fold(schema, |at, part| at.items.as_deref().unwrap_or(at).property(part).map(|found| &**found))
}

/// Fields that nobody asked for although their neighbours were.
fn unasked(schema: &Schema, path: &str, seen: &BTreeSet<String>, say: &mut dyn FnMut(String)) {
    let within = schema.items.as_deref().unwrap_or(schema);
    let fields: Vec<_> =
        within.properties.iter().map(|(name, one)| (format!("{path}.{name}"), one)).collect();
    // What is asked for by itself is read whole.
    if !fields.iter().any(|(field, _)| is_asked_for(seen, field)) {
        return;
    }
    for (field, property) in fields {
        if is_asked_for(seen, &field) {
            unasked(property, &field, seen, say);
        } else {
            say(field);
        }
    }
}
