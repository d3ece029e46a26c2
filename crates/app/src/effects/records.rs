//! CertificateRequests, Orders and Challenges: written as they are wanted, in memory only. They record what happens; nothing
//! reads them back.

use portolan_core::certificates::rows::RecordWanted;
use portolan_effects::store::{Cache as _, Write};
use portolan_engine::Changes;
use portolan_model::{Object, ObjectKey, Origin};
use serde_json::json;

use super::{Context, Effect, Platform, wanted};

/// Manager of the records: it overwrites nobody's objects, and nobody overwrites its.
const RECORDS: &str = "portolan-certificates";

/// Kinds of records, owners first: what is owned names the uid of its owner.
const KINDS: [(&str, &str); 3] = [
    ("cert-manager.io", "CertificateRequest"),
    ("acme.cert-manager.io", "Order"),
    ("acme.cert-manager.io", "Challenge"),
];

/// Writes and removes them.
pub struct Records;

impl Effect for Records {
    fn follow(&mut self, step: &Changes, cx: &mut Context) {
        let mut gone: Vec<ObjectKey> = step
            .of::<RecordWanted>()
            .iter()
            .filter(|change| change.after.is_none())
            .map(|change| change.key.clone())
            .collect();
        if cx.again {
            gone.extend(unwanted(cx));
        }
        let wanted = wanted::<RecordWanted>(step, cx);
        if gone.is_empty() && wanted.is_empty() {
            return;
        }
        for (group, kind) in KINDS {
            let rows = wanted.iter().filter(|row| row.key.kind.is(group, kind));
            let mut writes: Vec<Write> =
                rows.filter_map(|row| Some(Write::Hold(Box::new(owned(row, cx)?), RECORDS))).collect();
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

/// Records that nothing wants any more.
fn unwanted(cx: &Context) -> impl Iterator<Item = ObjectKey> {
    let records = cx.store.list().filter(|stored| stored.manager == RECORDS);
    let records = records.map(|stored| stored.object.key.clone());
    records.filter(|key| cx.engine.get::<RecordWanted>(key).is_none())
}

/// Whether a status that is computed for this key is about the object that is stored there.
pub fn may_show<P: Platform>(key: &ObjectKey, cx: &Context<P>) -> bool {
    !KINDS.iter().any(|(group, kind)| key.kind.is(group, kind)) || is_record(key, cx)
}

fn is_record<P: Platform>(key: &ObjectKey, cx: &Context<P>) -> bool {
    cx.store.get(key).is_some_and(|stored| stored.manager == RECORDS)
}

/// The object with its owner reference; `None` while somebody else's object has the owner's name.
fn owned(row: &RecordWanted, cx: &Context) -> Option<Object> {
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
        "blockOwnerDeletion": true,
    }]);
    Object::from_json(body, Origin::default()).ok()
}
