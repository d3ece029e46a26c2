//! CertificateRequests, Orders and Challenges: written as they are wanted, on one machine in memory only. They record what happens; nothing
//! reads them back.

use std::collections::BTreeSet;

use portolan_core::capability::Capability;
use portolan_core::certificates::rows::RecordWanted;
use portolan_effects::store::{Cache as _, Write};
use portolan_engine::Changes;
use portolan_model::{Object, ObjectKey, Origin, input::Certificate};
use serde_json::json;

use super::{Context, Effect, Platform, wanted};
use crate::rights::Right;

/// Manager of the records: it overwrites nobody's objects, and nobody overwrites its.
const RECORDS: &str = "portolan-certificates";

/// Kinds of records, owners first: what is owned names the uid of its owner.
const KINDS: [(&str, &str); 3] = [
    ("cert-manager.io", "CertificateRequest"),
    ("acme.cert-manager.io", "Order"),
    ("acme.cert-manager.io", "Challenge"),
];

/// Writes and removes them.
#[derive(Default)]
pub struct Records {
    /// Those whose owner is not seen yet.
    waiting: BTreeSet<ObjectKey>,
}

impl<P: Platform> Effect<P> for Records {
    fn rights(&self) -> Vec<Right> {
        const MADE: &[&str] = &["get", "create", "patch", "delete"];
        let of = |(group, resource)| Right::anywhere(group, resource, MADE).of(Capability::Certificates);
        [
            ("cert-manager.io", "certificaterequests"),
            ("acme.cert-manager.io", "orders"),
            ("acme.cert-manager.io", "challenges"),
        ]
        .map(of)
        .into()
    }

    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        let mut gone: Vec<ObjectKey> = step
            .of::<RecordWanted>()
            .iter()
            .filter(|change| change.after.is_none())
            .map(|change| change.key.clone())
            .collect();
        for key in &gone {
            cx.withdraw(key);
        }
        if cx.again {
            gone.extend(unwanted(cx));
        }
        let mut wanted = wanted::<RecordWanted, _>(step, cx);
        let known: BTreeSet<ObjectKey> = wanted.iter().map(|row| row.key.clone()).collect();
        let waiting = std::mem::take(&mut self.waiting).into_iter().filter(|key| !known.contains(key));
        wanted.extend(waiting.filter_map(|key| cx.engine.get::<RecordWanted>(&key)));
        if P::SHARED {
            gone.extend(wanted.iter().flat_map(|row| replaced(row, cx)));
        }
        if gone.is_empty() && wanted.is_empty() {
            return;
        }
        for (group, kind) in KINDS {
            let rows = wanted.iter().filter(|row| row.key.kind.is(group, kind));
            let mut writes = Vec::new();
            for row in rows {
                match owned(row, cx) {
                    Some(object) => writes.push(Write::Hold(Box::new(object), RECORDS)),
                    None => drop(self.waiting.insert(row.key.clone())),
                }
            }
            let gone = gone.iter().filter(|key| key.kind.is(group, kind) && is_record(key, cx));
            writes.extend(gone.map(|key| Write::Delete(key.clone(), RECORDS)));
            cx.write_own(writes);
        }
        // What is not recorded any more is forgotten.
        let changes = step.of::<RecordWanted>().iter().filter(|change| change.after.is_none());
        for row in changes.filter_map(|change| change.before.as_ref()) {
            if row.key.kind.is("cert-manager.io", "CertificateRequest") {
                cx.forget_issuance(&row.issuance);
            }
        }
    }
}

/// Records that nothing wants any more. Where others go on with what this process leaves, what they have recorded stays: only Challenges
/// are of no use when nobody is at them.
fn unwanted<P: Platform>(cx: &Context<P>) -> Vec<ObjectKey> {
    let records = cx.store.list().filter(|stored| stored.manager == RECORDS);
    let records = records.map(|stored| stored.object.key.clone());
    let lasting = |key: &ObjectKey| P::SHARED && &*key.kind.kind != "Challenge";
    records.filter(|key| !lasting(key) && cx.engine.get::<RecordWanted>(key).is_none()).collect()
}

/// CertificateRequests of earlier runs that are past the `revisionHistoryLimit` of their Certificate now that this one is made. What they own
/// goes with them.
fn replaced<P: Platform>(row: &RecordWanted, cx: &Context<P>) -> Vec<ObjectKey> {
    let (certificate, revision) = &row.issuance;
    let limit = cx.engine.get::<Certificate>(certificate).map(|certificate| certificate.revisions);
    let Some(limit) = limit.filter(|_| row.key.kind.is("cert-manager.io", "CertificateRequest")) else {
        return Vec::new();
    };
    let old = |object: &Object| {
        let noted = |name: &str| object.annotation(&format!("cert-manager.io/certificate-{name}"));
        let before = noted("revision").and_then(|text| text.parse::<u32>().ok());
        noted("name").is_some_and(|name| *name == *certificate.name)
            && before.is_some_and(|before| before.saturating_add(limit) <= *revision)
    };
    let ours = cx.store.list().filter(|stored| {
        let key = &stored.object.key;
        stored.manager == RECORDS && key.kind == row.key.kind && key.name.namespace == certificate.namespace
    });
    ours.filter(|stored| old(&stored.object)).map(|stored| stored.object.key.clone()).collect()
}

/// Whether a status that is computed for this key is about the object that is stored there.
pub fn may_show<P: Platform>(key: &ObjectKey, cx: &Context<P>) -> bool {
    !KINDS.iter().any(|(group, kind)| key.kind.is(group, kind)) || is_record(key, cx)
}

fn is_record<P: Platform>(key: &ObjectKey, cx: &Context<P>) -> bool {
    cx.store.get(key).is_some_and(|stored| stored.manager == RECORDS)
}

/// The object with its owner reference; `None` while somebody else's object has the owner's name.
fn owned<P: Platform>(row: &RecordWanted, cx: &Context<P>) -> Option<Object> {
    let owner = cx.store.get(&row.owner)?;
    if !row.owner.kind.is("cert-manager.io", "Certificate") && !is_record(&row.owner, cx) {
        return None;
    }
    let uid = owner.object.stamp.as_ref().map(|stamp| &*stamp.uid);
    let mut body = row.body.clone();
    body["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner.object.json["apiVersion"],
        "kind": row.owner.kind.kind,
        "name": row.owner.name.name,
        "uid": uid,
        "controller": true,
        // Where API servers ask for it, holding the owner back needs a right on its finalizers.
        "blockOwnerDeletion": !P::SHARED,
    }]);
    Object::from_json(body, Origin::default()).ok()
}
