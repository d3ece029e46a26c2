//! Namespaces that nobody writes down: a cluster has a namespace before anything stands in it, so one is made for want of it, gives
//! way to one that the repository brings, and takes its place while something still stands there.

use std::collections::BTreeSet;

use portolan_model::{Name, Object, ObjectKey, Origin, intake::MANAGED_BY};
use serde_json::{Value, json};

/// Key of a namespace.
pub fn key(name: &Name) -> ObjectKey {
    ObjectKey::new("", "Namespace", "", name.clone())
}

/// Whether an object is a namespace.
pub fn is(key: &ObjectKey) -> bool {
    key.kind.is("", "Namespace")
}

/// Whether it says of itself that Portolan has made it.
pub fn is_made(object: &Object) -> bool {
    let label = object.json.pointer("/metadata/labels").and_then(|labels| labels.get(MANAGED_BY.0));
    is(&object.key) && label.and_then(Value::as_str) == Some(MANAGED_BY.1)
}

/// A namespace as Portolan makes it.
pub fn made(name: &Name) -> Object {
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

/// Namespaces to make before these objects are applied: those that none of them is, and that are not there.
pub fn missing<'a>(
    coming: impl Iterator<Item = &'a ObjectKey> + Clone,
    is_there: impl Fn(&ObjectKey) -> bool,
) -> BTreeSet<Name> {
    let brought: BTreeSet<&Name> = coming.clone().filter(|key| is(key)).map(|key| &key.name.name).collect();
    let used: BTreeSet<&Name> =
        coming.map(|key| &key.name.namespace).filter(|name| !name.is_empty()).collect();
    used.difference(&brought).filter(|name| !is_there(&key(name))).map(|name| (*name).clone()).collect()
}

/// Of namespaces that the repository brings no longer, those to make in their place: some of what it still brings stands there.
pub fn still_used<'a>(
    lost: impl IntoIterator<Item = &'a Name>,
    staying: impl Iterator<Item = &'a ObjectKey>,
) -> BTreeSet<Name> {
    let used: BTreeSet<&Name> = staying.map(|key| &key.name.namespace).collect();
    lost.into_iter().filter(|name| used.contains(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(namespace: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", namespace, "settings")
    }

    fn namespace(name: &str) -> ObjectKey {
        key(&Name::new(name))
    }

    fn names(all: &BTreeSet<Name>) -> Vec<&str> {
        all.iter().map(|name| &**name).collect()
    }

    #[test]
    fn what_is_neither_brought_nor_there_is_made() {
        let cluster_wide = ObjectKey::new("gateway.networking.k8s.io", "GatewayClass", "", "edge");
        let coming = [
            object("brought"),
            namespace("brought"),
            object("there"),
            object("new"),
            object("new"),
            cluster_wide,
        ];
        let made = missing(coming.iter(), |key| *key == namespace("there"));
        assert_eq!(names(&made), ["new"]);
        assert!(missing([].iter(), |_| false).is_empty());
    }

    #[test]
    fn a_lost_one_is_made_while_something_stands_there() {
        let (used, empty) = (Name::new("used"), Name::new("empty"));
        let staying = [object("used"), object("another"), namespace("empty")];
        assert_eq!(names(&still_used([&used, &empty], staying.iter())), ["used"]);
    }

    #[test]
    fn its_own_are_known_by_their_label() {
        let name = Name::new("shop");
        assert!(is_made(&made(&name)));
        let mut theirs = made(&name);
        theirs.json.edit(|json| json["metadata"]["labels"][MANAGED_BY.0] = "helm".into());
        assert!(!is_made(&theirs));
    }
}
