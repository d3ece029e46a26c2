//! Valid objects of every kind, which the cases are made of.

use portolan_schema::{Definition, Definitions, Lookup};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A valid object.
pub struct Base {
    /// Its kind and name.
    pub id: String,
    pub object: Value,
    pub definition: Arc<Definition>,
}

impl Base {
    /// Of its collection at the server.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let Definition { group, version, plural, namespaced, .. } = &*self.definition;
        let root =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let namespace = namespace.unwrap_or("default");
        if *namespaced {
            format!("{root}/namespaces/{namespace}/{plural}")
        } else {
            format!("{root}/{plural}")
        }
    }
}

/// The address of a request names the namespace, so the server puts it in.
pub fn in_namespace(object: &mut Value, definition: &Definition) {
    let map = object.as_object_mut().expect("an object");
    let metadata = map.entry("metadata").or_insert_with(|| serde_json::json!({}));
    if let Some(metadata) = metadata.as_object_mut().filter(|_| definition.namespaced) {
        metadata.entry("namespace").or_insert_with(|| "default".into());
    }
}

/// Changes of bases that rules in CEL are about, by base: `testdata/rules.yaml`.
pub fn rules() -> BTreeMap<String, Vec<Value>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/testdata/rules.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Those of `testdata/bases`.
pub fn read() -> Vec<Base> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/testdata/bases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        all.extend(objects.into_iter().filter(|object| !object.is_null()).map(base));
    }
    all
}

fn base(mut object: Value) -> Base {
    let text = |key: &str| object[key].as_str().unwrap().to_owned();
    let (api, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api.split_once('/').unwrap_or(("", &api));
    let Lookup::Found(definition) = Definitions::builtin().find(group, version, &kind) else {
        panic!("{api} {kind} is not packed")
    };
    in_namespace(&mut object, &definition);
    let id = format!("{kind}.{version}/{}", object["metadata"]["name"].as_str().unwrap());
    Base { id, object, definition }
}
