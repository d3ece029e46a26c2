//! Each case of the gateway room with one object broken at a time: no other host's rows change. What depends on an object is
//! what changes when it is taken away; whatever stands in it, nothing else may. `make bad-input` runs all of it, `make test`
//! a sample.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::{
    gateway::rows::{Cluster, Endpoints, TlsSecret, VirtualHost, WireListener},
    status::rows::EntryPoint,
    world,
};
use portolan_engine::Row;
use portolan_model::{Object, ObjectKey, Origin, intake::intake};
use serde_json::{Value, json};

use super::{Run, case::cases};

/// Fields that an object of these kinds cannot be without.
const REQUIRED: [&str; 16] = [
    "name",
    "port",
    "protocol",
    "gatewayClassName",
    "listeners",
    "controllerName",
    "spec",
    "value",
    "type",
    "certificateRefs",
    "backendRef",
    "from",
    "to",
    "kind",
    "namespace",
    "rules",
];
/// Fields with a value out of a list.
const ENUMS: [&str; 9] =
    ["type", "protocol", "from", "kind", "group", "mode", "method", "scheme", "replaceFullPath"];

/// Rows that decide what hosts answer and what is said of them, by table and key.
type Rows = BTreeMap<(&'static str, String), String>;
type Hosts = BTreeMap<String, Arc<VirtualHost>>;

fn rows(run: &Run) -> (Rows, Hosts) {
    let mut all = Rows::new();
    macro_rules! note {
        ($($row:ty),*) => {$(
            for row in run.engine.rows::<$row>() {
                all.insert((<$row as Row>::NAME, format!("{:?}", row.key)), format!("{row:?}"));
            }
        )*};
    }
    note!(WireListener, Cluster, Endpoints, TlsSecret, EntryPoint);
    let hosts = run.engine.rows::<VirtualHost>();
    (all, hosts.map(|host| (format!("{:?}", host.key), Arc::clone(host))).collect())
}

/// Keys of rows that are not the same in both.
fn changed<V: PartialEq, K: Ord + Clone>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Vec<K> {
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(key)));
    keys.filter(|key| before.get(key) != after.get(key)).cloned().collect()
}

/// Paths of all values that do not say which object it is.
fn paths(value: &Value, at: &str, out: &mut Vec<String>) {
    let mut each = |name: String, value: &Value| {
        let path = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        let identity = ["/apiVersion", "/kind", "/metadata", "/metadata/name", "/metadata/namespace"];
        if !identity.contains(&&*path) {
            out.push(path.clone());
        }
        paths(value, &path, out);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| each(key.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, value)| each(n.to_string(), value)),
        _ => {}
    }
}

/// What may stand in the place of a value: another type, a name that nothing has, a word that is in no list.
fn wrong(key: &str, value: &Value) -> Vec<Value> {
    let mut made = match value {
        Value::Object(_) => vec![json!("text"), json!([]), json!(7)],
        Value::Array(items) => vec![json!("text"), json!({}), json!([items, 7])],
        Value::String(text) => {
            let mut made =
                vec![json!({"a": 1}), json!([text]), json!(true), json!(""), json!("no such: Thing")];
            if ENUMS.contains(&key) {
                made.push(json!(format!("{text}x")));
                made.push(json!(text.to_lowercase() + "-"));
            } else {
                made.extend([json!("no-such-thing"), json!("a..b"), json!("x".repeat(300))]);
            }
            made
        }
        Value::Number(_) => vec![json!("text"), json!([]), json!(-1), json!(0), json!(70_000), json!(1.5)],
        _ => vec![json!("text"), json!({}), json!(7)],
    };
    made.retain(|wrong| wrong != value);
    made
}

/// The object with one thing wrong, each with words for it.
fn broken(object: &Object) -> Vec<(String, Value)> {
    let json = (*object.json).clone();
    let mut all = Vec::new();
    paths(&json, "", &mut all);
    let mut made = Vec::new();
    for path in all {
        let (parent, key) = path.rsplit_once('/').unwrap();
        for value in wrong(key, json.pointer(&path).unwrap()) {
            let mut other = json.clone();
            let what = format!("{path} is {}", value.to_string().chars().take(20).collect::<String>());
            *other.pointer_mut(&path).unwrap() = value;
            made.push((what, other));
        }
        if REQUIRED.contains(&key) {
            let mut other = json.clone();
            if let Some(map) = other.pointer_mut(parent).and_then(Value::as_object_mut) {
                map.remove(key);
                made.push((format!("{path} is missing"), other));
            }
        }
    }
    made
}

struct Base {
    rows: Rows,
    hosts: Hosts,
    /// What depends on the object.
    depends: (Vec<(&'static str, String)>, Vec<String>),
}

impl Base {
    /// Rows that changed and have nothing to do with the object.
    fn harmed(&self, run: &Run, object: &ObjectKey) -> Vec<String> {
        let (rows, hosts) = rows(run);
        let others = changed(&self.rows, &rows).into_iter().filter(|key| !self.depends.0.contains(key));
        // What only the object itself asks for is no other host's.
        let own = |key: &(&str, String)| {
            !self.rows.contains_key(key) && rows.get(key).is_some_and(|row| row.contains(&*object.name.name))
        };
        let mut harmed: Vec<String> = others.filter(|key| !own(key)).map(|key| format!("{key:?}")).collect();
        for key in changed(&self.hosts, &hosts).into_iter().filter(|key| !self.depends.1.contains(key)) {
            let before = self.hosts.get(&key).map_or(&[][..], |host| &host.entries[..]);
            let after = hosts.get(&key).map_or(&[][..], |host| &host.entries[..]);
            let mine = before.is_empty() && after.iter().all(|entry| entry.route.object() == *object);
            if !mine {
                harmed.push(format!("virtual host {key}"));
            }
        }
        harmed
    }
}

fn step(run: &mut Run) {
    let changes = run.engine.step(run.now.0);
    assert!(changes.errors.is_empty() && changes.conflicts.is_empty(), "{:?}", changes.conflicts);
    assert!(changes.held.is_empty(), "a rule failed: {:?}", changes.held);
}

#[test]
fn one_broken_object_changes_no_other_hosts_rows() {
    let whole = std::env::var_os("PORTOLAN_BAD_INPUT").is_some();
    let (mut runs, mut skipped, mut wrong) = (0_usize, 0_usize, Vec::new());
    for case in cases().into_iter().filter(|case| case.room == "gateway") {
        let mut run = Run::of(&case);
        let (before, hosts) = rows(&run);
        for (at, object) in case.objects.iter().enumerate() {
            // What a later document or a fact replaces is not what the case is made of.
            let (name, later) = (object.key.name.to_string(), &case.objects[at + 1..]);
            if later.iter().any(|later| later.key == object.key)
                || !case.facts["certificates"][&name].is_null()
            {
                continue;
            }
            world::remove(&mut run.engine, &object.key);
            step(&mut run);
            let (without, hosts_without) = rows(&run);
            let depends = (changed(&before, &without), changed(&hosts, &hosts_without));
            let base = Base { rows: before.clone(), hosts: hosts.clone(), depends };
            for (what, json) in broken(object) {
                skipped += 1;
                if !whole && !skipped.is_multiple_of(41) {
                    continue;
                }
                let Ok(bad) = Object::from_json(json, Origin::default()) else { continue };
                if bad.key != object.key {
                    continue;
                }
                // It is broken from the start; or it was whole and is edited.
                for edited in [false, true] {
                    world::remove(&mut run.engine, &object.key);
                    if edited {
                        world::put(&mut run.engine, &object.key, intake(object));
                        step(&mut run);
                        assert_eq!(
                            rows(&run),
                            (before.clone(), hosts.clone()),
                            "whole again: {}",
                            object.key
                        );
                    }
                    world::put(&mut run.engine, &bad.key, intake(&bad));
                    step(&mut run);
                    runs += 1;
                    for harmed in base.harmed(&run, &object.key) {
                        let case = case.folder.file_name().unwrap().to_string_lossy().into_owned();
                        wrong.push(format!(
                            "{case}: {} {what} (edited: {edited}) changes {harmed}",
                            object.key
                        ));
                    }
                }
            }
            world::remove(&mut run.engine, &object.key);
            world::put(&mut run.engine, &object.key, intake(object));
            step(&mut run);
            assert_eq!(rows(&run), (before.clone(), hosts.clone()), "whole again: {}", object.key);
        }
    }
    println!("{runs} runs of {skipped} mistakes");
    assert!(runs >= 500, "only {runs} runs");
    assert!(wrong.is_empty(), "{} harms:\n{}", wrong.len(), wrong.join("\n"));
}
