//! What intake does not read of the kinds that are acted on: a list, so that no field is passed over by chance. Whoever reads one
//! more, or updates the schemas, sees it here.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use portolan_schema::{Definitions, schema::Schema};
use serde_json::{Map, Value, json};

use super::super::{node::Reads, read};
use crate::{Object, Origin};

const KINDS: [(&str, &str, &str); 18] = [
    ("gateway.networking.k8s.io", "v1", "GatewayClass"),
    ("gateway.networking.k8s.io", "v1", "Gateway"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute"),
    ("gateway.networking.k8s.io", "v1", "GRPCRoute"),
    ("gateway.networking.k8s.io", "v1", "ReferenceGrant"),
    ("gateway.networking.k8s.io", "v1", "ListenerSet"),
    ("gateway.networking.k8s.io", "v1", "BackendTLSPolicy"),
    ("", "v1", "Service"),
    ("", "v1", "Endpoints"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
    ("", "v1", "Secret"),
    ("", "v1", "ConfigMap"),
    ("bitnami.com", "v1alpha1", "SealedSecret"),
    ("cert-manager.io", "v1", "ClusterIssuer"),
    ("cert-manager.io", "v1", "Certificate"),
    ("cert-manager.io", "v1", "Issuer"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
];

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

/// Fields that nobody asked for, the outermost only.
fn unread(schema: &Schema, path: &str, seen: &BTreeSet<String>, out: &mut Vec<String>) {
    for (name, property) in &schema.properties {
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        if matches!(&*path, "apiVersion" | "kind" | "metadata" | "status") {
            continue;
        }
        if !seen.contains(&path) {
            out.push(path);
            continue;
        }
        let within = property.items.as_deref().unwrap_or(property);
        // What is asked for by itself is read whole.
        let deeper = format!("{path}.");
        if seen.iter().any(|field| field.starts_with(&deeper)) {
            unread(within, &path, seen, out);
        }
    }
}

#[test]
fn what_is_not_read_is_known() {
    let mut found = String::new();
    for (group, version, kind) in KINDS {
        let of = |one: &&std::sync::Arc<portolan_schema::Definition>| {
            (&*one.group, &*one.version, &*one.kind) == (group, version, kind)
        };
        let definition = Definitions::packed().find(of).unwrap();
        let mut seen = BTreeSet::new();
        for turn in 0..16 {
            let mut object = Turn { round: turn, item: turn, depth: 0 }.value(definition.schema());
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
            }
            if kind == "Service" {
                object["spec"]["type"] = json!(if turn == 0 { "ExternalName" } else { "ClusterIP" });
            }
            let reads = Reads::default();
            read(&Object::from_json(object, Origin::default()).unwrap(), &reads);
            seen.extend(reads.seen.take());
        }
        let mut all = Vec::new();
        unread(definition.schema(), "", &seen, &mut all);
        for field in all {
            let _ = writeln!(found, "{kind} {field}");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/intake/testdata/unread.txt");
    if std::env::var_os("PORTOLAN_ACCEPT").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, known, "PORTOLAN_ACCEPT=1 writes it; read what is new");
}
