#![allow(clippy::unwrap_used)]
use std::io::{BufRead as _, BufReader};

use super::*;

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
    assert!(matches!(&done[..], [Written::Applied(_), Written::Unchanged]));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let a = store.get(&object("a", 0).key).unwrap();
    assert_eq!(a.object.generation(), 2);
    assert_eq!(a.object.json.pointer("/metadata/creationTimestamp").unwrap(), "1970-01-01T00:00:01Z");
    assert_eq!(a.object.json.pointer("/spec/value").unwrap(), 2);
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

/// The child writes and says after each batch that it is durable; the parent kills it and looks.
#[test]
fn acknowledged_writes_survive_kill_nine() {
    const CHILD: &str = "PORTOLAN_TEST_STORE_CHILD";
    if let Ok(dir) = std::env::var(CHILD) {
        let mut store = Store::open(Path::new(&dir)).unwrap();
        for n in 1..100_000 {
            store.write(vec![apply("a", n), apply("b", n)], Instant(n)).unwrap();
            println!("done {n}");
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..20 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::acknowledged_writes_survive_kill_nine", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("done ") {
                acknowledged = n.parse::<i64>().unwrap();
                seen += 1;
            }
            if seen == 1 + round * 3 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acknowledged > 0, "round {round} wrote nothing");
        let store = Store::open(dir.path()).unwrap();
        let value = |name: &str| {
            store
                .get(&object(name, 0).key)
                .unwrap()
                .object
                .json
                .pointer("/spec/value")
                .unwrap()
                .as_i64()
                .unwrap()
        };
        assert!(value("a") >= acknowledged, "lost: {} < {acknowledged}", value("a"));
        assert_eq!(value("a"), value("b"), "a batch is whole");
        assert!(store.version > last, "versions grow");
        last = store.version;
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("store.redb")).unwrap();
    let text = Store::open(dir.path()).unwrap_err().to_string();
    assert!(text.contains("store.redb cannot be opened"), "{text}");
}
