#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod kill;
mod script;

use portolan_model::{Object, Origin};
use serde_json::json;

use super::*;
use crate::store::suite;

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    suite::check(|| async { Shared::new(Store::open(dir.path()).unwrap()) }).await;
}

fn object(name: &str, value: i64) -> Object {
    let json =
        json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name}, "spec": {"value": value}});
    Object::from_json(json, Origin::default()).unwrap()
}

fn apply(name: &str, value: i64) -> Write {
    Write::Apply(Box::new(object(name, value)), "git")
}

#[test]
fn objects_keep_their_age_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.write(vec![apply("a", 1), apply("b", 1)], Instant(1000)).unwrap();
    let done = store.write(vec![apply("a", 2), apply("b", 1)], Instant(9000)).unwrap();
    assert!(matches!(&done[..], [Written::Changed(_), Written::Unchanged]));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let a = store.get(&object("a", 0).key).unwrap();
    assert_eq!(a.object.generation(), 2);
    assert_eq!(a.object.stamped()["metadata"]["creationTimestamp"], "1970-01-01T00:00:01Z");
    assert_eq!(a.object.json.pointer("/spec/value").unwrap(), 2);
}

/// An object that is the same and that something else applies now: after a restart it decides what may go.
#[test]
fn what_applies_an_object_survives_a_restart_also_if_only_that_changed() {
    let dir = tempfile::tempdir().unwrap();
    let by = |name: &str| {
        let owner = ObjectKey::new("argoproj.io", "Application", "argocd", name);
        let mut object = object("a", 1);
        object.origin.owner = Some(Arc::new(owner));
        Write::Apply(Box::new(object), "git")
    };
    let mut store = Store::open(dir.path()).unwrap();
    store.write(vec![by("first")], Instant(0)).unwrap();
    assert_eq!(store.write(vec![by("first")], Instant(0)).unwrap(), [Written::Unchanged]);
    store.write(vec![by("second")], Instant(0)).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let owner = store.get(&object("a", 0).key).unwrap().object.origin.owner.clone().unwrap();
    assert_eq!(owner.to_string(), "Application/argocd/second");
}

#[test]
fn the_present_owner_keeps_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.write(vec![apply("a", 1)], Instant(0)).unwrap();
    let other = store
        .write(
            vec![
                Write::Apply(Box::new(object("a", 5)), "portolan"),
                Write::Delete(object("a", 0).key, "portolan"),
            ],
            Instant(0),
        )
        .unwrap();
    assert!(other.iter().all(|w| matches!(w, Written::OwnedBy(_, owner) if owner == "git")));
    assert_eq!(store.get(&object("a", 0).key).unwrap().object.json.pointer("/spec/value").unwrap(), 1);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("store.redb")).unwrap();
    let text = Store::open(dir.path()).unwrap_err().to_string();
    assert!(text.contains("store.redb cannot be opened"), "{text}");
}

fn bytes(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("store.redb")).unwrap()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn secret(name: &str, value: &str) -> Object {
    let json = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "ns"}, "data": {"k": value}});
    Object::from_json(json, Origin::default()).unwrap()
}

/// A Secret goes to whoever stands first in the order of makers, whoever wrote it first.
#[test]
fn who_stands_first_takes_a_secret_over() {
    const ORDER: [&str; 4] = ["git", "portolan-sealed-secrets", "portolan", "portolan-reflector"];
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let key = secret("s", "").key;
    for first in ORDER {
        for second in ORDER {
            let write = |store: &mut Store, manager: &'static str| {
                let write = Write::Apply(Box::new(secret("s", manager)), manager);
                store.write(vec![write], Instant(0)).unwrap().remove(0)
            };
            let before = |manager| ORDER.iter().position(|other| *other == manager);
            write(&mut store, first);
            let wins = before(second) < before(first);
            assert_eq!(store.may_apply(&key, second), wins || second == first, "{second} over {first}");
            let written = write(&mut store, second);
            let owner = if wins { second } else { first };
            match written {
                Written::Changed(_) => assert!(wins, "{second} over {first}"),
                Written::Unchanged => assert_eq!(second, first),
                other => assert_eq!(other, Written::OwnedBy(key.clone(), first.into())),
            }
            let stored = store.get(&key).unwrap();
            assert_eq!((&*stored.manager, &stored.object.json["data"]["k"]), (owner, &owner.into()));
            store.write(vec![Write::Delete(key.clone(), owner)], Instant(0)).unwrap();
        }
    }
    // Only of Secrets and ConfigMaps: of anything else the first keeps it.
    let thing = |manager| Write::Apply(Box::new(object("a", 1)), manager);
    store.write(vec![thing("portolan-reflector")], Instant(0)).unwrap();
    let refused = store.write(vec![thing("git")], Instant(0)).unwrap().remove(0);
    assert!(matches!(refused, Written::OwnedBy(..)), "{refused:?}");
}

#[test]
fn held_objects_are_like_others_but_never_on_disk() {
    const PLAIN: &str = "cGxhaW50ZXh0LW9mLWEtc2VhbGVkLXNlY3JldA==";
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let hold = |value: &str| Write::Hold(Box::new(secret("s", value)), "sealed");
    let key = secret("s", "").key;
    // In one batch with what is persisted, and over what was persisted before.
    let batch = vec![hold(PLAIN), apply("a", 1), Write::Apply(Box::new(secret("t", "persisted")), "sealed")];
    store.write(batch, Instant(0)).unwrap();
    store.write(vec![Write::Hold(Box::new(secret("t", PLAIN)), "sealed")], Instant(0)).unwrap();
    assert_eq!(store.list().count(), 3);
    assert_eq!(store.get(&key).unwrap().object.json["data"]["k"], PLAIN);
    assert_eq!(store.get(&key).unwrap().object.generation(), 1);
    assert_eq!(store.write(vec![hold(PLAIN)], Instant(1)).unwrap(), [Written::Unchanged]);
    let foreign = vec![Write::Apply(Box::new(secret("s", "x")), "git"), Write::Delete(key.clone(), "git")];
    for refused in store.write(foreign, Instant(1)).unwrap() {
        assert_eq!(refused, Written::OwnedBy(key.clone(), "sealed".into()));
    }
    drop(store);
    assert!(holds(&bytes(dir.path()), "Thing") && !holds(&bytes(dir.path()), PLAIN));
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.list().map(|s| s.object.key.to_string()).collect::<Vec<_>>(), ["Thing/a"]);
    // Removed from memory as from the disk.
    store.write(vec![hold(PLAIN)], Instant(0)).unwrap();
    let gone = store.write(vec![Write::Delete(key.clone(), "sealed")], Instant(0)).unwrap();
    assert_eq!(gone, [Written::Deleted(key.clone())]);
    assert!(store.get(&key).is_none());
    // And back to the disk, once it need not be secret any more.
    store.write(vec![hold("x"), Write::Apply(Box::new(secret("s", "x")), "sealed")], Instant(0)).unwrap();
    drop(store);
    assert!(Store::open(dir.path()).unwrap().get(&key).is_some());
}

fn filled(value: &str, volatile: bool) -> Write {
    Write::Fill(Box::new(Fill {
        merge: false,
        key: secret("s", "").key,
        fields: json!({"data": {"k": value}, "stringData": null, "metadata": {"annotations": {"version": "1"}}}),
        while_annotated: ("reflects".into(), "a/b".into()),
        volatile,
    }))
}

/// An object that asks to be filled.
fn asking(note: &str) -> Write {
    let json = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "s", "namespace": "ns", "annotations": {"reflects": "a/b", "note": note}},
        "stringData": {"own": "x"},
    });
    Write::Apply(Box::new(Object::from_json(json, Origin::default()).unwrap()), "git")
}

#[test]
fn what_is_filled_in_stays_when_the_owner_applies_the_object_again() {
    const PLAIN: &str = "dm9sYXRpbGUtdmFsdWU=";
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let key = secret("s", "").key;
    assert_eq!(
        store.write(vec![filled("x", false)], Instant(0)).unwrap(),
        [Written::Unchanged],
        "nothing there"
    );
    store.write(vec![asking("1"), filled("x", false)], Instant(0)).unwrap();
    let see = |store: &Store| (*store.get(&key).unwrap().object.json).clone();
    let wanted = |store: &Store, note: &str| {
        let seen = see(store);
        assert_eq!((&seen["data"]["k"], seen.get("stringData")), (&json!("x"), None));
        let annotations = json!({"reflects": "a/b", "note": note, "version": "1"});
        assert_eq!(seen["metadata"]["annotations"], annotations);
    };
    wanted(&store, "1");
    assert_eq!(
        store.write(vec![asking("1"), filled("x", false)], Instant(1)).unwrap(),
        [Written::Unchanged, Written::Unchanged]
    );
    store.write(vec![asking("2")], Instant(2)).unwrap();
    wanted(&store, "2");
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    wanted(&store, "2");
    assert_eq!(
        store.write(vec![asking("2")], Instant(3)).unwrap(),
        [Written::Unchanged],
        "also after a restart"
    );
    // In memory only: after a restart it is as its owner applied it.
    store.write(vec![filled(PLAIN, true)], Instant(4)).unwrap();
    assert_eq!(see(&store)["data"]["k"], PLAIN);
    drop(store);
    assert!(!holds(&bytes(dir.path()), PLAIN));
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!((see(&store).get("data"), &see(&store)["stringData"]["own"]), (None, &json!("x")));
    // Once the owner no longer asks, what was filled in goes.
    store
        .write(vec![filled("x", false), Write::Apply(Box::new(secret("s", "own")), "git")], Instant(5))
        .unwrap();
    assert_eq!(see(&store)["data"]["k"], "own");
    assert_eq!(store.write(vec![filled("x", false)], Instant(6)).unwrap(), [Written::Unchanged]);
}
