#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const NOW: Instant = Instant(1_700_000_000_000);
const LATER: Instant = Instant(1_700_000_060_000);
const MINE: &str = "portolan.dev/gateway";
const THEIRS: &str = "example.com/other";

fn ours(types: &[&str]) -> Ours {
    let types = types.iter().map(|kind| (*kind).to_owned()).collect();
    Ours { controllers: [MINE.into()].into(), types, fields: BTreeSet::new() }
}

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "R", "message": "", "observedGeneration": 1})
}

fn at(mut condition: Value, time: Instant) -> Value {
    condition["lastTransitionTime"] = time.rfc3339().into();
    condition
}

fn parent(controller: &str, gateway: &str, conditions: &[Value]) -> Value {
    json!({"parentRef": {"name": gateway}, "controllerName": controller, "conditions": conditions})
}

#[test]
fn conditions_of_others_stay_where_they_are() {
    let theirs = at(condition("example.com/Scanned", "True"), NOW);
    let before = json!({"conditions": [at(condition("Accepted", "True"), NOW), theirs, at(condition("Old", "True"), NOW)]});
    let wanted = json!({"conditions": [condition("Programmed", "False"), condition("Accepted", "True")]});
    let merged = merge(&before, &wanted, &ours(&["Accepted", "Programmed", "Old"]), LATER);
    assert_eq!(
        merged["conditions"],
        json!([at(condition("Accepted", "True"), NOW), theirs, at(condition("Programmed", "False"), LATER)])
    );
    // A status that is another has another time; a reason has not.
    let mut turned = condition("Accepted", "True");
    turned["reason"] = "Other".into();
    let wanted = json!({"conditions": [turned.clone(), condition("Programmed", "True")]});
    let merged = merge(&merged, &wanted, &ours(&[]), LATER.plus_millis(1000));
    assert_eq!(merged["conditions"][0], at(turned, NOW));
    assert_eq!(merged["conditions"][2], at(condition("Programmed", "True"), LATER.plus_millis(1000)));
}

#[test]
fn entries_of_other_controllers_are_theirs() {
    let theirs = parent(THEIRS, "edge", &[at(condition("Accepted", "False"), NOW)]);
    let before = json!({"parents": [theirs, parent(MINE, "gone", &[]), parent(MINE, "edge", &[at(condition("Accepted", "True"), NOW)])]});
    let wanted = json!({"parents": [parent(MINE, "edge", &[condition("Accepted", "True")]), parent(MINE, "new", &[condition("Accepted", "True")])]});
    let merged = merge(&before, &wanted, &ours(&[]), LATER);
    assert_eq!(
        merged["parents"],
        json!([
            theirs,
            parent(MINE, "edge", &[at(condition("Accepted", "True"), NOW)]),
            parent(MINE, "new", &[at(condition("Accepted", "True"), LATER)])
        ])
    );
    assert_eq!(merge(&merged, &Value::Null, &ours(&[]), LATER)["parents"], json!([theirs]));
}

#[test]
fn a_full_list_keeps_the_entries_of_others() {
    let theirs: Vec<Value> = (0..16)
        .map(
            |n| json!({"ancestorRef": {"name": format!("g{n}")}, "controllerName": THEIRS, "conditions": []}),
        )
        .collect();
    let wanted =
        json!({"ancestors": [{"ancestorRef": {"name": "mine"}, "controllerName": MINE, "conditions": []}]});
    let merged = merge(&json!({"ancestors": theirs}), &wanted, &ours(&[]), NOW);
    assert_eq!(merged["ancestors"], json!(theirs));
}

#[test]
fn listeners_are_ours_and_foreign_conditions_on_them_are_not() {
    let theirs = at(condition("example.com/Scanned", "True"), NOW);
    let before = json!({"listeners": [
        {"name": "gone", "attachedRoutes": 1, "conditions": []},
        {"name": "web", "attachedRoutes": 1, "conditions": [theirs, at(condition("Programmed", "True"), NOW)]},
    ], "example.com": 1});
    let wanted = json!({"listeners": [{"name": "web", "attachedRoutes": 2, "conditions": [condition("Programmed", "True")]}]});
    let merged = merge(&before, &wanted, &ours(&["Programmed"]), LATER);
    let web = json!({"name": "web", "attachedRoutes": 2, "conditions": [theirs, at(condition("Programmed", "True"), NOW)]});
    assert_eq!(merged, json!({"listeners": [web], "example.com": 1}));
}

#[test]
fn fields_that_are_not_wanted_any_more_go() {
    let mut mine = ours(&[]);
    mine.fields = ["renewalTime".to_owned(), "conditions".to_owned()].into();
    let before =
        json!({"renewalTime": "x", "theirs": 1, "conditions": [at(condition("Ready", "True"), NOW)]});
    assert_eq!(
        merge(&before, &json!({"notAfter": "y"}), &mine, NOW),
        json!({"theirs": 1, "notAfter": "y", "conditions": [at(condition("Ready", "True"), NOW)]})
    );
}

#[test]
fn patches_make_the_one_of_the_other() {
    let from = json!({"a": 1, "b": {"c": 1, "d": 2}, "l": [1], "same": {"x": 1}});
    let to = json!({"b": {"c": 1}, "l": [1, 2], "n": {}, "same": {"x": 1}});
    assert_eq!(patch(&from, &to), json!({"a": null, "b": {"d": null}, "l": [1, 2], "n": {}}));
    assert_eq!(patch(&to, &to), Value::Null);
}

fn conditions_of(types: &'static [&'static str]) -> impl Strategy<Value = Vec<Value>> {
    let word = prop::sample::select(vec!["True", "False", "Unknown"]);
    prop::sample::subsequence(types, 0..=types.len())
        .prop_flat_map(move |kinds| {
            let count = kinds.len();
            (Just(kinds), prop::collection::vec(word.clone(), count))
        })
        .prop_map(|(kinds, words)| {
            kinds.iter().zip(words).map(|(kind, word)| condition(kind, word)).collect()
        })
}

fn parents(controller: &'static str) -> impl Strategy<Value = Vec<Value>> {
    let one = (prop::sample::select(vec!["a", "b", "c"]), conditions_of(&["Accepted", "ResolvedRefs"]));
    prop::collection::btree_map("[abc]", one, 0..3).prop_map(move |all| {
        all.into_iter().map(|(gateway, (_, conditions))| parent(controller, &gateway, &conditions)).collect()
    })
}

/// What somebody else sees as theirs.
fn foreign(status: &Value, types: &BTreeSet<String>) -> Vec<Value> {
    let conditions = list(&status["conditions"]).filter(|one| !types.contains(one["type"].as_str().unwrap()));
    let parents = list(&status["parents"]).filter(|entry| entry["controllerName"] != MINE);
    conditions.chain(parents).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(portolan_testkit::suites::cases(256)))]

    #[test]
    fn nothing_of_others_is_touched_and_all_that_is_wanted_is_there(
        theirs in conditions_of(&["x.dev/One", "x.dev/Two"]), old in conditions_of(&["Accepted", "Programmed", "Old"]),
        new in conditions_of(&["Accepted", "Programmed"]),
        their_parents in parents(THEIRS), old_parents in parents(MINE), new_parents in parents(MINE), mix in any::<bool>(),
    ) {
        let stamped = |all: Vec<Value>| all.into_iter().map(|one| at(one, NOW)).collect::<Vec<_>>();
        let (theirs, old) = (stamped(theirs), stamped(old));
        let both = |one: &[Value], other: &[Value]| if mix { [one, other].concat() } else { [other, one].concat() };
        let before = json!({"conditions": both(&theirs, &old), "parents": both(&their_parents, &old_parents)});
        let wanted = json!({"conditions": new, "parents": new_parents});
        let mine = ours(&["Accepted", "Programmed", "Old"]);
        let merged = merge(&before, &wanted, &mine, LATER);
        prop_assert_eq!(foreign(&merged, &mine.types), foreign(&before, &mine.types), "what is theirs, in their order");
        prop_assert_eq!(merge(&merged, &wanted, &mine, LATER.plus_millis(5000)), merged.clone(), "again: nothing");
        // Ours are those that are wanted, and no others.
        let untimed = |all: &Value| list(all).map(|one| {
            let mut one = one.clone();
            one.as_object_mut().unwrap().remove("lastTransitionTime");
            one
        }).collect::<Vec<_>>();
        for want in &new {
            prop_assert!(untimed(&merged["conditions"]).contains(want));
        }
        prop_assert_eq!(list(&merged["conditions"]).count(), theirs.len() + new.len());
        prop_assert_eq!(list(&merged["parents"]).count(), their_parents.len() + new_parents.len());
        // The patch is what brings it there, and taking ours away leaves theirs.
        let mut patched = before.clone();
        apply(&mut patched, &patch(&before, &merged));
        prop_assert_eq!(&patched, &merged);
        let without = merge(&merged, &Value::Null, &mine, LATER);
        prop_assert_eq!(foreign(&without, &mine.types), foreign(&before, &mine.types));
        prop_assert_eq!(list(&without["conditions"]).count() + list(&without["parents"]).count(), theirs.len() + their_parents.len());
    }
}

/// RFC 7386, as the API server does it.
fn apply(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        if !patch.is_null() {
            *target = patch.clone();
        }
        return;
    };
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else if value.is_object() && target[key].is_object() {
            apply(&mut target[key], value);
        } else {
            target[key] = value.clone();
        }
    }
}
