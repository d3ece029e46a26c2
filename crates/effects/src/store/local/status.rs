//! Statuses of objects. They are computed state: kept in memory only, made again by the first step after a start.

use portolan_model::{Instant, Name, ObjectKey};
use serde_json::Value;

use super::Store;

impl Store {
    /// Sets the `status` of an object, or takes it away. Stamps `lastTransitionTime` of conditions whose `status` is
    /// another than before, and keeps the old time of all others (Kubernetes API conventions). Touches neither the
    /// object's generation nor its resource version, so nothing follows from it. An object that is not there has none.
    /// `true` if something changed.
    pub fn set_status(&mut self, key: &ObjectKey, status: Option<Value>, now: Instant) -> bool {
        let Some(mut status) = status else { return self.statuses.remove(key).is_some() };
        if !self.objects.contains_key(key) {
            return false;
        }
        let old = self.status(key);
        stamp(&mut status, old.as_ref().unwrap_or(&Value::Null), &Value::String(now.rfc3339()));
        let text = Name::from(status.to_string());
        if self.statuses.get(key) == Some(&text) {
            return false;
        }
        self.statuses.insert(key.clone(), text);
        true
    }

    /// The `status` of an object, times of transition included.
    pub fn status(&self, key: &ObjectKey) -> Option<Value> {
        // As text: a tenth of the memory that the tree takes, and read rarely.
        serde_json::from_str(self.statuses.get(key)?).ok()
    }
}

/// Carries times over from `old` to `new`, which has none.
fn stamp(new: &mut Value, old: &Value, now: &Value) {
    match new {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                let old = old.get(key).unwrap_or(&Value::Null);
                if key == "conditions" {
                    conditions(value, old, now);
                } else {
                    stamp(value, old, now);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let before = old.as_array().and_then(|old| old.iter().find(|other| same(item, other)));
                stamp(item, before.unwrap_or(&Value::Null), now);
            }
        }
        _ => {}
    }
}

/// Whether two entries of a list are about the same: a listener by its name, a parent by its reference.
fn same(one: &Value, other: &Value) -> bool {
    ["name", "parentRef"].iter().any(|key| one.get(key).is_some() && one.get(key) == other.get(key))
}

fn conditions(new: &mut Value, old: &Value, now: &Value) {
    for condition in new.as_array_mut().into_iter().flatten() {
        let before = old.as_array().and_then(|old| old.iter().find(|o| o["type"] == condition["type"]));
        let kept = before.filter(|before| before["status"] == condition["status"]);
        let at = kept.map_or(now, |before| &before["lastTransitionTime"]);
        condition["lastTransitionTime"] = at.clone();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::Write;
    use portolan_model::{Object, Origin};
    use serde_json::json;

    fn listener(name: &str, status: &str, reason: &str) -> Value {
        json!({"name": name, "conditions": [{"type": "Programmed", "status": status, "reason": reason}]})
    }

    #[test]
    fn a_time_of_transition_moves_only_with_the_status_of_its_own_condition() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let key = ObjectKey::new("gateway.networking.k8s.io", "Gateway", "ns", "g");
        let json = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g", "namespace": "ns"}});
        let gateway = Object::from_json(json, Origin::default()).unwrap();
        store.write(vec![Write::Apply(Box::new(gateway), "git")], Instant(0)).unwrap();
        let at = |n: i64| Instant(n * 1000);
        let both = |a: Value, b: Value| Some(json!({"listeners": [a, b]}));
        let time = |store: &Store, path: &str| store.status(&key).unwrap().pointer(path).unwrap().clone();
        let (first, second) =
            ("/listeners/0/conditions/0/lastTransitionTime", "/listeners/1/conditions/0/lastTransitionTime");
        assert!(store.set_status(
            &key,
            both(listener("a", "False", "Pending"), listener("b", "False", "Pending")),
            at(1)
        ));
        assert!(!store.set_status(
            &key,
            both(listener("a", "False", "Pending"), listener("b", "False", "Pending")),
            at(2)
        ));
        // Listeners change places, one becomes programmed, the other only changes its reason.
        assert!(store.set_status(
            &key,
            both(listener("b", "True", "Programmed"), listener("a", "False", "Invalid")),
            at(3)
        ));
        assert_eq!(time(&store, first), at(3).rfc3339());
        assert_eq!(time(&store, second), at(1).rfc3339());
        assert!(store.set_status(&key, None, at(4)));
        assert_eq!(store.status(&key), None);
    }
}
