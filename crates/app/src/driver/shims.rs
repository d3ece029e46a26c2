//! Certificates that objects ask for by annotations, as cert-manager's shims make them. They are stored: whose one is, and how it
//! was before an annotation broke, does not follow from the repository.

use portolan_core::certificates::rows::{Settings, ShimCertificate};
use portolan_effects::store::Write;
use portolan_engine::Changes;
use portolan_model::{Name, Object, ObjectKey, input::Maker};

use super::Driver;

/// Manager of them.
const SHIM: &str = Maker::Shim.manager();

impl Driver {
    /// Writes and removes what the step asks for; after a refused write, all that is still wanted.
    pub(super) fn follow_shims(&mut self, step: &Changes) {
        let changes = step.of::<ShimCertificate>();
        let gone = changes.iter().filter(|change| change.after.is_none()).filter_map(|c| c.before.as_ref());
        let gone = gone.map(|row| row.object());
        let gone = gone.filter(|key| self.store.get(key).is_some_and(|stored| stored.manager == SHIM));
        let mut writes: Vec<Write> = gone.map(|key| Write::Delete(key, SHIM)).collect();
        let known = self.reading.done && self.engine.get::<Settings>(&Name::default()).is_some();
        if known && (self.rewrite_secrets || !std::mem::replace(&mut self.shims_known, true)) {
            writes.extend(self.unasked().map(|key| Write::Delete(key, SHIM)));
        }
        if self.rewrite_secrets {
            writes.extend(self.engine.rows::<ShimCertificate>().filter_map(|row| self.shim(row)));
        } else {
            writes.extend(changes.iter().filter_map(|change| self.shim(change.after.as_ref()?)));
        }
        if !writes.is_empty() {
            self.write_own(writes);
        }
    }

    /// Those that nothing asks for, such as what lost its annotation while nothing ran.
    fn unasked(&self) -> impl Iterator<Item = ObjectKey> {
        let made = self.store.list().filter(|stored| stored.manager == SHIM);
        made.map(|stored| stored.object.key.clone())
            .filter(|key| self.engine.get::<ShimCertificate>(&key.name).is_none())
    }

    /// The Certificate under its owner, and where that stands.
    fn shim(&self, row: &ShimCertificate) -> Option<Write> {
        let mut body = row.body.clone()?;
        let owner = &self.store.get(&row.source)?.object;
        let uid = owner.stamp.as_ref().map(|stamp| &*stamp.uid);
        body["metadata"]["ownerReferences"][0]["uid"] = uid.into();
        let object = Object::from_json(body, owner.origin.clone()).ok()?;
        Some(Write::Apply(Box::new(object), SHIM))
    }
}
