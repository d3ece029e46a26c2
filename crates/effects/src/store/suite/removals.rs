//! Removing, and what is left after a restart.

use serde_json::{Value, json};

use super::{ONE, OTHER, Suite, apply, key, object};
use crate::store::{ObjectStore, Precondition, Write, Written};

/// What must be there after a restart.
pub(super) struct Kept {
    object: Value,
    version: u64,
}

impl<S: ObjectStore> Suite<S> {
    pub(super) async fn removed_by_its_manager_only(&self) {
        self.one(apply(object("d", json!({})))).await;
        let refused = self.one(Write::Delete(key("d"), OTHER)).await;
        assert_eq!(refused, Written::OwnedBy(key("d"), ONE.into()));
        assert!(self.get("d").await.is_some());
        self.delete("d").await;
        assert_eq!(self.one(Write::Delete(key("d"), ONE)).await, Written::Unchanged, "it is gone already");
    }

    pub(super) async fn preconditions(&self) {
        self.one(apply(object("p", json!({"n": 1})))).await;
        let seen = self.stamp("p").await;
        let delete = |uid: Option<&str>, version: Option<u64>| {
            Write::DeleteIf(key("p"), ONE, Precondition { uid: uid.map(str::to_owned), version })
        };
        self.one(apply(object("p", json!({"n": 2})))).await;
        let stale = Written::Stale(key("p"));
        assert_eq!(self.one(delete(None, Some(seen.version))).await, stale, "it was changed since");
        assert_eq!(self.one(delete(Some("another"), None)).await, stale);
        assert_eq!(self.one(delete(Some(&seen.uid), Some(seen.version))).await, stale);
        assert_eq!(self.spec("p").await, Some(json!({"n": 2})));
        let refused = Write::DeleteIf(key("p"), OTHER, Precondition::default());
        assert_eq!(self.one(refused).await, Written::OwnedBy(key("p"), ONE.into()));
        assert_eq!(self.one(delete(Some(&seen.uid), None)).await, Written::Deleted(key("p")));
        // The same name again is another object.
        self.one(apply(object("p", json!({"n": 1})))).await;
        assert_eq!(self.one(delete(Some(&seen.uid), None)).await, stale);
        let now = self.stamp("p").await;
        assert_eq!(self.one(delete(Some(&now.uid), Some(now.version))).await, Written::Deleted(key("p")));
        assert_eq!(self.one(delete(None, None)).await, Written::Unchanged);
    }

    /// Held objects are like others to everybody who reads.
    pub(super) async fn held_objects(&self) {
        let hold = |n: i64| Write::Hold(Box::new(object("h", json!({"n": n}))), ONE);
        assert_eq!(self.one(hold(1)).await, Written::Created(key("h")));
        assert_eq!(self.one(hold(1)).await, Written::Unchanged);
        assert_eq!(self.one(hold(2)).await, Written::Changed(key("h")));
        assert_eq!((self.spec("h").await, self.stamp("h").await.generation), (Some(json!({"n": 2})), 2));
        let other = self.one(Write::Apply(Box::new(object("h", json!({}))), OTHER)).await;
        assert_eq!(other, Written::OwnedBy(key("h"), ONE.into()));
    }

    pub(super) async fn prepare_a_restart(&self) -> Kept {
        self.one(apply(object("kept", json!({"n": 1})))).await;
        self.one(apply(object("kept", json!({"n": 2})))).await;
        let stored = self.get("kept").await.expect("just applied");
        // The latest versions belong to an object that is gone, and to one that is held.
        self.one(apply(object("gone", json!({})))).await;
        self.delete("gone").await;
        self.one(Write::Hold(Box::new(object("h", json!({"n": 3}))), ONE)).await;
        Kept { object: stored.object.stamped(), version: self.version().await }
    }

    pub(super) async fn kept_over_a_restart(&self, kept: Kept) {
        let stored = self.get("kept").await.expect("an acknowledged object is there");
        assert_eq!((stored.object.stamped(), &stored.manager), (kept.object, &ONE.into()));
        assert!(self.get("gone").await.is_none());
        assert_eq!(self.get("h").await.is_some(), !self.can().memory_only, "held in memory only");
        self.one(apply(object("after", json!({})))).await;
        let after = self.stamp("after").await.version;
        assert!(after > kept.version, "versions go on: {after} after {}", kept.version);
    }
}
