//! From the work tree to the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_effects::{folder, store::Write};
use portolan_model::{Name, Object, ObjectKey, Origin, Problem, input::InputProblems, intake::MANAGED_BY};
use serde_json::{Value, json};

use super::{Driver, GIT, OURS};

impl Driver {
    /// Reads the folder and brings the store to it.
    pub(super) fn reload(&mut self) -> anyhow::Result<()> {
        let mut read = folder::read(&self.root);
        let mut files: BTreeMap<ObjectKey, Vec<Problem>> = BTreeMap::new();
        for problem in std::mem::take(&mut read.problems) {
            files.entry(problem.object.clone()).or_default().push(problem);
        }
        let old: Vec<ObjectKey> = self
            .engine
            .rows::<InputProblems>()
            .filter(|p| p.key.kind.kind == "File" && !files.contains_key(&p.key))
            .map(|p| p.key.clone())
            .collect();
        for key in old {
            self.engine.remove::<InputProblems>(&key);
        }
        for (key, problems) in files {
            self.engine.put(InputProblems { key, problems });
        }
        let mut writes = Vec::new();
        let mut wanted = BTreeSet::new();
        let mut namespaces: BTreeSet<Name> = BTreeSet::new();
        for object in read.objects {
            let object = with_namespace(object);
            wanted.insert(object.key.clone());
            namespaces.insert(object.key.name.namespace.clone());
            writes.push(Write::Apply(Box::new(object), GIT));
        }
        for namespace in namespaces.into_iter().filter(|n| !n.is_empty()) {
            let key = ObjectKey::new("", "Namespace", "", namespace.clone());
            if !wanted.contains(&key) && self.store.get(&key).is_none() {
                writes.insert(0, Write::Apply(Box::new(namespace_object(&namespace)), OURS));
            }
        }
        // Prune what we applied and is no longer there; an unreadable file removes nothing that stood in it.
        let gone =
            self.store.list().filter(|s| s.manager == GIT && !wanted.contains(&s.object.key)).filter(|s| {
                match &s.object.origin.source {
                    Some(source) => !read.unsure.iter().any(|file| *file == *source.file),
                    None => read.unsure.is_empty(),
                }
            });
        writes.extend(gone.map(|s| Write::Delete(s.object.key.clone(), GIT)).collect::<Vec<_>>());
        self.write(writes)
    }
}

/// Kinds without a namespace; every other object without one goes to `default`.
const CLUSTER_SCOPED: [&str; 12] = [
    "Namespace",
    "GatewayClass",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PersistentVolume",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ClusterPolicy",
    "PriorityClass",
];

fn with_namespace(mut object: Object) -> Object {
    if object.key.name.namespace.is_empty() && !CLUSTER_SCOPED.contains(&&*object.key.kind.kind) {
        object.key.name.namespace = "default".into();
        let json = Arc::make_mut(&mut object.json);
        if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("namespace".into(), "default".into());
        }
    }
    object
}

fn namespace_object(name: &str) -> Object {
    let json = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/metadata.name": name, MANAGED_BY.0: MANAGED_BY.1},
        },
    });
    Object::from_json(json, Origin::default()).expect("kind and name are set above")
}
