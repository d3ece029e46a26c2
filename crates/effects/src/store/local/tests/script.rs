//! A series of batches that every process computes alike, and what must stand after each: for the tests that cut the
//! store off.

use std::collections::BTreeMap;

use portolan_model::{Instant, Object, ObjectKey, Origin};
use serde_json::{Value, json};

use crate::store::{Store, Write};

/// Random numbers that are the same in every process.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, most: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn pick<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[usize::try_from(self.below(N as u64)).unwrap()]
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("", "Thing", "ns", name)
}

fn object(name: &str, value: u64, bytes: usize) -> Box<Object> {
    let json = json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name, "namespace": "ns"},
        "spec": {"value": value, "padding": "x".repeat(bytes)}});
    Box::new(Object::from_json(json, Origin::default()).unwrap())
}

/// What batch `n` wants: objects that come, change, grow, shrink and go, held ones among them, and a mark that says `n`.
fn writes(n: u64) -> Vec<(String, Option<u64>, usize)> {
    let mut dice = Dice(n);
    let mut writes: Vec<_> = (0..=dice.below(4))
        .map(|_| {
            let name = format!("{}{}", dice.pick(["o", "o", "o", "held"]), dice.below(12));
            let value = (dice.below(3) > 0).then(|| n * 10 + dice.below(10));
            // Some rows take pages of their own.
            (name, value, dice.pick([10, 300, 3_000, 20_000]))
        })
        .collect();
    writes.push(("mark".to_owned(), Some(n), 0));
    writes
}

/// Does batch `n`; returns once it is acknowledged.
pub fn play(store: &mut Store, n: u64) {
    let write = |(name, value, bytes): (String, Option<u64>, usize)| match value {
        None => Write::Delete(key(&name), "git"),
        Some(value) if name.starts_with("held") => Write::Hold(object(&name, value, bytes), "git"),
        Some(value) => Write::Apply(object(&name, value, bytes), "git"),
    };
    store.write(writes(n).into_iter().map(write).collect(), Instant(0)).unwrap();
}

/// What stands on disk after batch `n`.
fn after(n: u64) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (name, value, _) in (1..=n).flat_map(writes).filter(|(name, ..)| !name.starts_with("held")) {
        match value {
            Some(value) => all.insert(name, value),
            None => all.remove(&name),
        };
    }
    all
}

/// The last batch that a newly opened store holds. It must hold that batch and all before it, whole.
pub fn last(store: &Store) -> u64 {
    let value = |json: &Value| json.pointer("/spec/value").and_then(Value::as_u64).unwrap();
    let all: BTreeMap<String, u64> = store
        .list()
        .map(|stored| (stored.object.key.name.name.to_string(), value(&stored.object.json)))
        .collect();
    let mark = all.get("mark").copied().unwrap_or(0);
    assert_eq!(all, after(mark), "every batch up to {mark} is whole, and nothing of the next is there");
    let versions = store.list().filter_map(|stored| stored.object.stamp.as_ref());
    assert!(versions.into_iter().all(|stamp| stamp.version <= store.version()), "versions go on");
    mark
}
