//! `spec.ignoreDifferences` of an Application: fields that somebody else sets, and that Git does not.

use portolan_model::{Object, ObjectKey};
use serde_json::Value;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ignore {
    group: String,
    kind: String,
    name: String,
    namespace: String,
    pointers: Vec<String>,
}

/// All entries that name fields by `jsonPointers`.
pub(super) fn read(application: &Value) -> Vec<Ignore> {
    let all = application.pointer("/spec/ignoreDifferences").and_then(Value::as_array);
    let one = |entry: &Value| {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let pointers = entry.get("jsonPointers").and_then(Value::as_array);
        let pointers = pointers.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        Ignore {
            group: text("group"),
            kind: text("kind"),
            name: text("name"),
            namespace: text("namespace"),
            pointers: pointers.collect(),
        }
    };
    all.into_iter().flatten().map(one).filter(|entry| !entry.pointers.is_empty()).collect()
}

/// Expressions of `jqPathExpressions`, which nobody evaluates here.
pub(super) fn unread(application: &Value) -> Vec<String> {
    let all = application.pointer("/spec/ignoreDifferences").and_then(Value::as_array);
    let of = |entry: &Value| entry.get("jqPathExpressions").and_then(Value::as_array).cloned();
    let texts = all.into_iter().flatten().filter_map(of).flatten();
    texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

impl Ignore {
    /// Group and kind may be `*`; name and namespace are any where they are left out (`ignore_normalizer.go`).
    fn is_of(&self, key: &ObjectKey) -> bool {
        let is = |said: &str, has: &str| said == "*" || said == has;
        let any = |said: &str, has: &str| said.is_empty() || said == has;
        is(&self.group, &key.kind.group)
            && is(&self.kind, &key.kind.kind)
            && any(&self.name, &key.name.name)
            && any(&self.namespace, &key.name.namespace)
    }
}

/// The object with the ignored fields as they are live; `None` if none is ignored.
pub(super) fn with_live(rules: &[Ignore], live: &Object, new: &Object) -> Option<Value> {
    let pointers: Vec<&String> =
        rules.iter().filter(|rule| rule.is_of(&new.key)).flat_map(|rule| &rule.pointers).collect();
    if pointers.is_empty() {
        return None;
    }
    let mut json = Value::clone(&new.json);
    for pointer in pointers {
        put(&mut json, pointer, live.json.pointer(pointer));
    }
    Some(json)
}

/// Sets or removes what a pointer leads to; what leads nowhere changes nothing.
fn put(json: &mut Value, pointer: &str, value: Option<&Value>) {
    let Some((above, last)) = pointer.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match (json.pointer_mut(above), value) {
        (Some(Value::Object(map)), Some(value)) => {
            map.insert(last, value.clone());
        }
        (Some(Value::Object(map)), None) => {
            map.remove(&last);
        }
        (Some(Value::Array(list)), Some(value)) => {
            if let Some(item) = last.parse::<usize>().ok().and_then(|at| list.get_mut(at)) {
                item.clone_from(value);
            }
        }
        _ => {}
    }
}
