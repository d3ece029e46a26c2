//! CertificateRequests, Orders and Challenges: written as they are wanted, in memory only. They record what happens; nothing
//! reads them back.

use portolan_core::certificates::rows::RecordWanted;
use portolan_effects::store::Write;
use portolan_engine::Changes;
use portolan_model::{Object, ObjectKey, Origin};
use serde_json::json;

use super::Driver;

/// Manager of the records: it overwrites nobody's objects, and nobody overwrites its.
const RECORDS: &str = "portolan-certificates";

impl Driver {
    /// Writes and removes records. An owner is written before what it owns, which names its uid.
    pub(super) fn follow_records(&mut self, step: &Changes) {
        let changes = step.of::<RecordWanted>();
        let kinds = [
            ("cert-manager.io", "CertificateRequest"),
            ("acme.cert-manager.io", "Order"),
            ("acme.cert-manager.io", "Challenge"),
        ];
        for (group, kind) in kinds {
            let writes: Vec<Write> = changes
                .iter()
                .filter(|change| change.key.kind.is(group, kind))
                .filter_map(|change| match &change.after {
                    Some(row) => Some(Write::Hold(Box::new(self.owned(row)?), RECORDS)),
                    None => self.is_record(&change.key).then(|| Write::Delete(change.key.clone(), RECORDS)),
                })
                .collect();
            if !writes.is_empty() {
                self.write_own(writes);
            }
        }
        // What is not recorded any more is forgotten.
        for row in changes.iter().filter(|change| change.after.is_none()).filter_map(|c| c.before.as_ref()) {
            if row.key.kind.is("cert-manager.io", "CertificateRequest") {
                self.forget(&row.issuance);
            }
        }
    }

    /// Whether a status that is computed for this key is about the object that is stored there.
    pub(super) fn may_show(&self, key: &ObjectKey) -> bool {
        let record = matches!(
            (&*key.kind.group, &*key.kind.kind),
            ("cert-manager.io", "CertificateRequest") | ("acme.cert-manager.io", "Order" | "Challenge")
        );
        !record || self.is_record(key)
    }

    fn is_record(&self, key: &ObjectKey) -> bool {
        self.store.get(key).is_some_and(|stored| stored.manager == RECORDS)
    }

    /// The object with its owner reference; `None` while somebody else's object has the owner's name.
    fn owned(&self, row: &RecordWanted) -> Option<Object> {
        let owner = self.store.get(&row.owner)?;
        if !row.owner.kind.is("cert-manager.io", "Certificate") && !self.is_record(&row.owner) {
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
}
