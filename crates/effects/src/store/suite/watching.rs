//! Watches.

use std::time::Duration;

use serde_json::json;

use super::{ONE, Suite, apply, key, labelled, next, object};
use crate::store::{ObjectStore, Write};

impl<S: ObjectStore> Suite<S> {
    pub(super) async fn watches_tell_everything_in_order(&self) {
        let before = self.version().await;
        let mut early = self.store.watch(before).await.expect("the present can be watched from");
        self.write(vec![apply(object("w", json!({}))), apply(object("v", json!({})))]).await;
        let middle = self.version().await;
        self.one(apply(labelled("w", json!({}), "x"))).await;
        self.one(apply(labelled("w", json!({}), "x"))).await;
        self.delete("v").await;
        let mut late = self.store.watch(middle).await.expect("a moment ago can be watched from");
        let seen = self.stamp("w").await.version;
        let mut versions = Vec::new();
        let mut told = Vec::new();
        loop {
            let change = next(&mut *early).await;
            versions.push(change.version);
            let last = change.deleted;
            told.push((change.key, change.deleted));
            if last {
                break;
            }
        }
        assert!(versions.is_sorted_by(|a, b| a < b), "in order: {versions:?}");
        assert_eq!(told.last(), Some(&(key("v"), true)), "removals are told");
        assert!(
            told.contains(&(key("w"), false)) && versions.iter().any(|version| *version >= seen),
            "the latest change of each"
        );
        let change = next(&mut *late).await;
        assert!(change.version >= seen && change.version > middle, "only what came after: {change:?}");
        assert_eq!((change.key, change.deleted), (key("w"), false));
        assert_eq!(next(&mut *late).await.key, key("v"));
        // Nothing happened since, and what changes nothing is not told; the next change wakes it.
        self.one(apply(labelled("w", json!({}), "x"))).await;
        let waiting = tokio::time::timeout(Duration::from_millis(50), next(&mut *late)).await;
        assert!(waiting.is_err(), "{waiting:?}");
        let (change, ()) = tokio::join!(next(&mut *late), async {
            tokio::task::yield_now().await;
            self.delete("w").await;
        });
        assert!(change.key == key("w") && change.deleted);
    }

    /// Answers from too long ago are refused, before and during a watch.
    pub(super) async fn what_is_too_old_is_said(&self) {
        let first = self.version().await;
        let mut slow = self.store.watch(first).await.expect("the present can be watched from");
        // A store keeps what it likes; this is more than any keeps.
        for round in 0..40_i64 {
            let writes = (0..100).map(|n| apply(object(&format!("t{n}"), json!({"n": round})))).collect();
            self.write(writes).await;
        }
        let told = tokio::time::timeout(Duration::from_secs(30), slow.next()).await;
        let told = told.expect("a slow watch is answered");
        if let Err(too_old) = self.store.watch(first).await.map(|_| ()) {
            assert!(too_old.asked == first && too_old.oldest > first, "{too_old}");
            assert!(told.is_err(), "what is lost is not passed over in silence");
            assert!(self.store.watch(too_old.oldest).await.is_ok(), "it says from where one can watch");
        } else {
            assert!(told.is_ok(), "a store that knows all changes tells them");
        }
        let writes = (0..100).map(|n| Write::Delete(key(&format!("t{n}")), ONE)).collect();
        self.write(writes).await;
    }
}
