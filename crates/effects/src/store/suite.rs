//! What every store must do, as one suite: run it against each store. It uses objects of a kind of its own in namespaces
//! of its own, panics at the first broken promise of [`contract`](super::contract), and removes what it made.
#![allow(clippy::missing_panics_doc)]

mod objects;
mod removals;
mod sides;
mod watching;

use std::time::Duration;

use portolan_model::{Instant, Kind, Object, ObjectKey, Origin};
use serde_json::{Value, json};

use super::{Capabilities, ObjectStore, Stored, Watch, Write, Written};

/// Managers of the suite.
const ONE: &str = "suite-one";
const OTHER: &str = "suite-other";
const NOW: Instant = Instant(1_700_000_000_000);

/// Runs the whole suite. `open` gives the store, each time the same one; where a store can be closed, it is meant to open
/// it anew, so that what was promised to be kept is read back.
pub async fn check<S, F>(open: impl Fn() -> F)
where
    S: ObjectStore,
    F: Future<Output = S>,
{
    let suite = Suite { store: open().await };
    suite.applied_by_one_manager().await;
    suite.generations_and_versions().await;
    suite.batches_are_in_order().await;
    suite.filled_fields_stay().await;
    suite.removed_by_its_manager_only().await;
    suite.preconditions().await;
    suite.watches_tell_everything_in_order().await;
    suite.what_is_too_old_is_said().await;
    suite.statuses_stand_apart().await;
    suite.events_are_counted_and_bounded().await;
    suite.held_objects().await;
    let kept = suite.prepare_a_restart().await;
    drop(suite);
    let suite = Suite { store: open().await };
    suite.kept_over_a_restart(kept).await;
    suite.clean_up().await;
}

struct Suite<S> {
    store: S,
}

fn kind() -> Kind {
    Kind::new("suite.portolan.dev", "Thing")
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("suite.portolan.dev", "Thing", "suite", name)
}

#[allow(clippy::needless_pass_by_value, reason = "made where it is called")]
fn object(name: &str, spec: Value) -> Object {
    let json = json!({
        "apiVersion": "suite.portolan.dev/v1", "kind": "Thing",
        "metadata": {"name": name, "namespace": "suite"}, "spec": spec,
    });
    Object::from_json(json, Origin::default()).expect("kind and name are set above")
}

fn labelled(name: &str, spec: Value, label: &str) -> Object {
    let mut object = object(name, spec);
    object.json.edit(|json| json["metadata"]["labels"] = json!({"l": label}));
    object
}

fn apply(object: Object) -> Write {
    Write::Apply(Box::new(object), ONE)
}

impl<S: ObjectStore> Suite<S> {
    fn can(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn write(&self, writes: Vec<Write>) -> Vec<Written> {
        let count = writes.len();
        let done = self.store.write(writes, NOW).await.expect("the store takes writes");
        assert_eq!(done.len(), count, "one outcome a write");
        done
    }

    async fn one(&self, write: Write) -> Written {
        self.write(vec![write]).await.remove(0)
    }

    async fn get(&self, name: &str) -> Option<Stored> {
        self.store.get(&key(name)).await.expect("the store can be read")
    }

    /// Generation and version of an object that is there.
    async fn stamp(&self, name: &str) -> portolan_model::Stamp {
        self.get(name).await.and_then(|stored| stored.object.stamp).expect("stored objects have a stamp")
    }

    async fn spec(&self, name: &str) -> Option<Value> {
        self.get(name).await.map(|stored| stored.object.json["spec"].clone())
    }

    async fn version(&self) -> u64 {
        self.store.list(None).await.expect("the store can be listed").1
    }

    async fn delete(&self, name: &str) {
        assert_eq!(self.one(Write::Delete(key(name), ONE)).await, Written::Deleted(key(name)));
    }

    async fn clean_up(&self) {
        let (left, _) = self.store.list(Some(&kind())).await.expect("the store can be listed");
        for stored in left {
            let manager = [ONE, OTHER].into_iter().find(|manager| stored.manager == *manager);
            let manager = manager.expect("only the suite applies its kind");
            self.one(Write::Delete(stored.object.key.clone(), manager)).await;
        }
        let (left, _) = self.store.list(Some(&kind())).await.expect("the store can be listed");
        assert!(left.is_empty());
    }
}

/// The next change of the suite's own objects.
async fn next(watch: &mut dyn Watch) -> super::Noted {
    loop {
        let change = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
        let change = change.expect("a watch tells what happened").expect("the suite is not too late");
        if change.key.kind == kind() {
            return change;
        }
    }
}
