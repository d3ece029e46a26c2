//! What a reading means for the store: objects, the namespaces that they need, and what may go.

use std::collections::BTreeSet;

use portolan_effects::{
    render::Whole,
    store::{Stored, Write},
};
use portolan_model::{Name, Object, ObjectKey, Origin, intake::MANAGED_BY};
use serde_json::json;

use super::{Driver, GIT, OURS};

impl Driver {
    /// What has to be written for these objects, and what may go.
    pub(super) fn writes(&mut self, objects: Vec<Object>, whole: &Whole) -> Vec<Write> {
        let mut writes = Vec::with_capacity(objects.len());
        let mut namespaces: BTreeSet<Name> = BTreeSet::new();
        let mut here: BTreeSet<Name> = BTreeSet::new();
        let strict = self.is_strict(&objects);
        for object in objects {
            let object = self.admitted(object, strict, whole);
            let stored = self.store.get(&object.key);
            if is_namespace(&object.key) {
                here.insert(object.key.name.name.clone());
                if stored.is_some_and(is_made) {
                    // Made by us for want of this one.
                    writes.push(Write::Delete(object.key.clone(), OURS));
                }
            } else if !self.store.may_apply(&object.key, GIT) {
                self.reading.refused.insert(object.key.clone(), object.clone());
            }
            namespaces.insert(object.key.name.namespace.clone());
            writes.push(Write::Apply(Box::new(object), GIT));
        }
        let missing = namespaces.into_iter().filter(|namespace| {
            let key = namespace_key(namespace);
            !namespace.is_empty() && !here.contains(namespace) && self.store.get(&key).is_none()
        });
        let mut made: Vec<Write> =
            missing.map(|namespace| Write::Apply(Box::new(namespace_object(&namespace)), OURS)).collect();
        made.append(&mut writes);
        let store = &self.store;
        self.reading.unwanted.retain(|key| store.get(key).is_some_and(|stored| stored.manager == GIT));
        let gone = self.pruned(whole, &made);
        made.extend(gone);
        let mut writes = self.in_order(made);
        let lost: Vec<Name> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Delete(key, GIT) if is_namespace(key) => Some(key.name.name.clone()),
                _ => None,
            })
            .collect();
        if !lost.is_empty() {
            self.keep_namespaces(lost, &mut writes);
        }
        writes
    }

    /// A namespace that the repository no longer brings, and whose objects it still does, is made by us.
    fn keep_namespaces(&self, lost: Vec<Name>, writes: &mut Vec<Write>) {
        let deleted: BTreeSet<ObjectKey> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Delete(key, _) => Some(key.clone()),
                _ => None,
            })
            .collect();
        let stored = self.store.list().filter(|s| s.manager == GIT && !deleted.contains(&s.object.key));
        let mut used: BTreeSet<Name> = stored.map(|s| s.object.key.name.namespace.clone()).collect();
        used.extend(writes.iter().filter_map(|write| match write {
            Write::Apply(object, GIT) => Some(object.key.name.namespace.clone()),
            _ => None,
        }));
        let kept = lost.into_iter().filter(|namespace| used.contains(namespace));
        writes.extend(kept.map(|namespace| Write::Apply(Box::new(namespace_object(&namespace)), OURS)));
    }
}

fn namespace_key(name: &Name) -> ObjectKey {
    ObjectKey::new("", "Namespace", "", name.clone())
}

fn is_namespace(key: &ObjectKey) -> bool {
    key.kind.is("", "Namespace")
}

/// Whether it is a namespace that Portolan made.
fn is_made(stored: &Stored) -> bool {
    let label = stored.object.json.pointer("/metadata/labels").and_then(|labels| labels.get(MANAGED_BY.0));
    stored.manager == OURS && label.and_then(serde_json::Value::as_str) == Some(MANAGED_BY.1)
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
