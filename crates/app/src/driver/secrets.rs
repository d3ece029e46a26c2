//! Opens SealedSecrets and writes mirrors. What comes out of a SealedSecret is held in memory, so it is opened again at
//! each start, before anything is served.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_core::secrets::{
    REFLECTS, immutable,
    rows::{ComponentCredential, Mirror, MirrorUnwanted, MirrorWanted, UnsealFailure, UnsealWanted},
};
use portolan_effects::{
    mirror,
    sealed::{self, secret_object},
    store::Write,
};
use portolan_engine::Changes;
use portolan_model::{
    Code, Name, NamespacedName, ObjectKey, Problem, Redacted, Severity, Stamp,
    input::{InputProblems, Maker, SourceProblems},
};
use serde_json::Value;

use super::{Driver, GIT, now};

/// Managers of what is opened and of what is mirrored.
const OPENED: &str = Maker::Unsealed.manager();
const MIRRORED: &str = Maker::Mirrored.manager();

impl Driver {
    /// Opens, mirrors and removes what the step asks for; after a refused write, all that is still wanted.
    pub(super) fn follow_secrets(&mut self, step: &Changes) {
        let all = std::mem::take(&mut self.rewrite_secrets);
        let mut writes = self.open_sealed(step, all);
        let mirrors: Vec<Arc<Mirror>> = if all {
            self.engine.rows::<MirrorWanted>().map(|row| Arc::clone(&row.mirror)).collect()
        } else {
            let changed = step.of::<MirrorWanted>();
            changed.iter().filter_map(|c| c.after.as_ref().map(|row| Arc::clone(&row.mirror))).collect()
        };
        writes.extend(mirrors.iter().filter_map(|mirror| self.mirror(mirror)));
        let unwanted: BTreeSet<ObjectKey> = if all {
            self.engine.rows::<MirrorUnwanted>().map(|row| row.key.object()).collect()
        } else {
            step.of::<MirrorUnwanted>().iter().filter(|c| c.after.is_some()).map(|c| c.key.object()).collect()
        };
        for key in unwanted {
            // One that a user wrote keeps its owner, and loses what was filled in.
            writes.extend(self.unfill(&key));
            self.delete(&mut writes, key, MIRRORED);
        }
        if !writes.is_empty() {
            self.write_own(writes);
        }
    }

    fn open_sealed(&mut self, step: &Changes, all: bool) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut wanted: Vec<Arc<UnsealWanted>> = Vec::new();
        for change in step.of::<UnsealWanted>() {
            if let Some(row) = &change.after {
                wanted.push(Arc::clone(row));
            } else {
                let key = &change.key;
                self.engine.remove::<UnsealFailure>(key);
                self.filling.forget(key);
                self.facts = true;
                self.delete(&mut writes, secret_key(key), OPENED);
                // What is only patched, or independent, stays as it is.
                let over = change.before.as_ref().map(|row| row.over);
                if let Some(over) = over
                    && over.goes()
                    && self.store.get(&secret_key(key)).is_some_and(|stored| stored.manager == GIT)
                {
                    writes.extend(sealed::unfill(key, over).map(|fill| Write::Fill(Box::new(fill))));
                }
            }
        }
        if all {
            wanted = self.engine.rows::<UnsealWanted>().cloned().collect();
        }
        let sealed: Vec<_> = wanted.iter().map(|row| &row.sealed).collect();
        for (row, result) in wanted.iter().zip(self.keys.unseal_all(&sealed)) {
            match result {
                Ok(values) => {
                    let values = self.filled(row, values);
                    writes.extend(values.and_then(|values| self.opened(row, &values)));
                }
                Err(failures) => {
                    let (key, sealed, templates) = (row.key.clone(), row.sealed.clone(), BTreeMap::new());
                    self.engine.put(UnsealFailure { key, sealed, failures, templates, immutable: false });
                }
            }
            self.facts = true;
        }
        writes
    }

    /// What is written of a SealedSecret whose values are known; `None` where the Secret that is there stays.
    pub(super) fn opened(&mut self, row: &UnsealWanted, values: &BTreeMap<Name, Redacted>) -> Option<Write> {
        if let Some(fill) = sealed::fill(&row.sealed, values, row.over) {
            let refused = self.refused_as_immutable(row, &fill.fields);
            return (!refused).then(|| Write::Fill(Box::new(fill)));
        }
        let owner =
            ObjectKey::new("bitnami.com", "SealedSecret", row.key.namespace.clone(), row.key.name.clone());
        let uid = self.stamp(&owner).map(|stamp| Arc::clone(&stamp.uid)).unwrap_or_default();
        let secret = secret_object(&row.sealed, values, &uid);
        let refused = self.refused_as_immutable(row, &secret.json);
        (!refused).then(|| Write::Hold(Box::new(secret), OPENED))
    }

    /// Whether the Secret that is there stays as it is; what came of it is noted.
    fn refused_as_immutable(&mut self, row: &UnsealWanted, wanted: &Value) -> bool {
        let present = self.store.get(&secret_key(&row.key));
        let immutable = present.is_some_and(|stored| immutable(&stored.object.json, wanted, row.over));
        if immutable {
            let (key, sealed) = (row.key.clone(), row.sealed.clone());
            let (failures, templates) = (BTreeMap::new(), BTreeMap::new());
            self.engine.put(UnsealFailure { key, sealed, failures, templates, immutable });
        } else {
            self.engine.remove::<UnsealFailure>(&row.key);
        }
        self.facts = true;
        immutable
    }

    fn mirror(&self, row: &Mirror) -> Option<Write> {
        let key = row.key.object();
        let source = ObjectKey { kind: key.kind.clone(), name: row.source.clone() };
        let version = self.stamp(&source).map(|stamp| stamp.version.to_string()).unwrap_or_default();
        if !row.auto {
            let asked = self.store.get(&key)?.object.annotation(REFLECTS)?.to_owned();
            return Some(Write::Fill(Box::new(mirror::fill(row, &asked, &version, now()))));
        }
        let object = Box::new(mirror::object(row, &version, now()));
        Some(if row.volatile { Write::Hold(object, MIRRORED) } else { Write::Apply(object, MIRRORED) })
    }

    fn unfill(&self, key: &ObjectKey) -> Option<Write> {
        let stored = self.store.get(key).filter(|stored| stored.is_filled())?;
        let asked = stored.object.annotation(REFLECTS)?;
        Some(Write::Fill(Box::new(mirror::unfill(key, asked))))
    }

    /// Removes what we made. Somebody else who wanted the name and was refused gets it: the work tree is read again.
    fn delete(&mut self, writes: &mut Vec<Write>, key: ObjectKey, manager: &'static str) {
        if self.store.get(&key).is_none_or(|stored| stored.manager != manager) {
            return;
        }
        if self.engine.get::<SourceProblems>(&key).is_some() {
            self.reload();
        }
        writes.push(Write::Delete(key, manager));
    }

    fn stamp(&self, key: &ObjectKey) -> Option<&Stamp> {
        self.store.get(key)?.object.stamp.as_ref()
    }

    /// Names key files that other users can read.
    pub(super) fn tell_exposed_keys(&mut self) {
        for file in self.keys.exposed() {
            let key = ObjectKey::new("", "SealingKey", "", file.path.display().to_string());
            let problem = Problem {
                object: key.clone(),
                code: Code(155),
                field: "".into(),
                severity: Severity::Warning,
                message: format!(
                    "the sealing key can be read by other users of this machine (mode {:o})",
                    file.mode
                ),
                hint: "run chmod 600 on it; the key of examples/platform is public and may stay as it is"
                    .into(),
            };
            self.engine.put(InputProblems { key, problems: vec![problem] });
        }
    }

    /// Tells which Secrets are there only for components that Portolan stands in for.
    pub(super) fn put_credentials(&mut self, wanted: Vec<ComponentCredential>) {
        let gone: Vec<NamespacedName> = self
            .engine
            .rows::<ComponentCredential>()
            .filter(|row| !wanted.iter().any(|other| other.key == row.key))
            .map(|row| row.key.clone())
            .collect();
        for key in gone {
            self.engine.remove::<ComponentCredential>(&key);
        }
        for row in wanted {
            self.engine.put(row);
        }
    }
}

fn secret_key(key: &NamespacedName) -> ObjectKey {
    ObjectKey::new("", "Secret", key.namespace.clone(), key.name.clone())
}
