//! Applying, generations, batches, filled fields.

use serde_json::json;

use super::{ONE, OTHER, Suite, apply, key, kind, labelled, object};
use crate::store::{Fill, ObjectStore, Write, Written};

impl<S: ObjectStore> Suite<S> {
    pub(super) async fn applied_by_one_manager(&self) {
        assert!(self.get("a").await.is_none());
        assert_eq!(self.one(apply(object("a", json!({"n": 1})))).await, Written::Created(key("a")));
        assert_eq!(self.one(apply(object("a", json!({"n": 1})))).await, Written::Unchanged);
        assert_eq!(self.one(apply(object("a", json!({"n": 2})))).await, Written::Changed(key("a")));
        let before = self.stamp("a").await;
        let other = self.one(Write::Apply(Box::new(object("a", json!({"n": 9}))), OTHER)).await;
        assert_eq!(other, Written::OwnedBy(key("a"), ONE.into()), "the first keeps it");
        assert_eq!((self.spec("a").await, self.stamp("a").await), (Some(json!({"n": 2})), before));
        // What a user copied out of a cluster is no claim about this store.
        let mut copied = object("a", json!({"n": 2}));
        copied.json.edit(|json| {
            json["status"] = json!({"by": "hand"});
            for (field, value) in
                [("uid", json!("copied")), ("resourceVersion", json!("1")), ("generation", json!(77))]
            {
                json["metadata"][field] = value;
            }
        });
        assert_eq!(self.one(apply(copied)).await, Written::Unchanged);
        let (listed, _) = self.store.list(Some(&kind())).await.expect("the store can be listed");
        assert_eq!(listed.iter().map(|stored| &stored.object.key).collect::<Vec<_>>(), [&key("a")]);
        let shown = listed[0].object.stamped();
        assert_ne!(shown["metadata"]["uid"], "copied");
        assert_eq!((&shown["metadata"]["generation"], shown.get("status")), (&json!(2), None));
        self.delete("a").await;
        assert!(self.get("a").await.is_none());
    }

    pub(super) async fn generations_and_versions(&self) {
        self.one(apply(object("g", json!({"n": 1})))).await;
        let first = self.stamp("g").await;
        assert_eq!(first.generation, 1);
        self.one(apply(labelled("g", json!({"n": 1}), "x"))).await;
        let second = self.stamp("g").await;
        assert_eq!((second.generation, &second.uid), (1, &first.uid), "labels are no new generation");
        self.one(apply(labelled("g", json!({"n": 2}), "x"))).await;
        let third = self.stamp("g").await;
        assert_eq!((third.generation, third.created), (2, first.created));
        self.delete("g").await;
        let gone = self.version().await;
        self.one(apply(object("g", json!({"n": 1})))).await;
        let again = self.stamp("g").await;
        assert_eq!(again.generation, 1);
        assert_ne!(again.uid, first.uid, "another object under the name");
        let versions = [first.version, second.version, third.version, again.version];
        assert!(versions.is_sorted_by(|a, b| a < b), "every change has a larger version: {versions:?}");
        let places = [third.version, gone, self.version().await];
        assert!(places.is_sorted_by(|a, b| a < b), "and a later place in the order of all: {places:?}");
        self.one(apply(object("g", json!({"n": 1})))).await;
        assert_eq!(self.stamp("g").await, again, "what is unchanged has its version still");
        self.delete("g").await;
    }

    pub(super) async fn batches_are_in_order(&self) {
        let done = self
            .write(vec![
                apply(object("b", json!({"n": 1}))),
                apply(object("b", json!({"n": 2}))),
                Write::Apply(Box::new(object("b", json!({"n": 3}))), OTHER),
                Write::Delete(key("b"), ONE),
                Write::Apply(Box::new(object("b", json!({"n": 4}))), OTHER),
                apply(object("c", json!({"n": 1}))),
            ])
            .await;
        let wanted = [
            Written::Created(key("b")),
            Written::Changed(key("b")),
            Written::OwnedBy(key("b"), ONE.into()),
            Written::Deleted(key("b")),
            Written::Created(key("b")),
            Written::Created(key("c")),
        ];
        assert_eq!(done, wanted, "later writes see earlier ones");
        assert_eq!(self.spec("b").await, Some(json!({"n": 4})));
        assert_eq!(self.one(Write::Delete(key("b"), OTHER)).await, Written::Deleted(key("b")));
        self.delete("c").await;
    }

    pub(super) async fn filled_fields_stay(&self) {
        let fill = |value: &str| {
            Write::Fill(Box::new(Fill {
                key: key("f"),
                fields: json!({"data": {"k": value}, "spec": null, "metadata": {"annotations": {"v": "1"}}}),
                merge: false,
                while_annotated: ("asks".into(), "yes".into()),
                volatile: false,
            }))
        };
        let asking = |note: &str| {
            let mut object = object("f", json!({"own": true}));
            object.json.edit(|json| json["metadata"]["annotations"] = json!({"asks": "yes", "note": note}));
            apply(object)
        };
        assert_eq!(self.one(fill("x")).await, Written::Unchanged, "nothing is there to be filled");
        self.one(asking("1")).await;
        assert_eq!(self.one(fill("x")).await, Written::Changed(key("f")));
        assert_eq!(self.one(fill("x")).await, Written::Unchanged);
        for (write, note) in [(asking("1"), "1"), (asking("2"), "2")] {
            self.one(write).await;
            let seen = self.get("f").await.expect("it is there");
            assert_eq!((&seen.object.json["data"]["k"], seen.object.json.get("spec")), (&json!("x"), None));
            let annotations = json!({"asks": "yes", "note": note, "v": "1"});
            assert_eq!(seen.object.json["metadata"]["annotations"], annotations);
            assert_eq!(seen.manager, ONE, "it keeps its owner");
        }
        self.one(apply(object("f", json!({"own": true})))).await;
        assert_eq!(
            self.spec("f").await,
            Some(json!({"own": true})),
            "once nobody asks, what was filled in goes"
        );
        assert_eq!(self.one(fill("x")).await, Written::Unchanged);
        self.delete("f").await;
    }
}
