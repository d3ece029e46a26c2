//! Opens SealedSecrets and writes mirrors. What comes out of a SealedSecret is held in memory, so it is opened again at
//! each start, before anything is served.

mod filling;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_core::secrets::{
    REFLECTS, refused,
    rows::{Mirror, MirrorUnwanted, MirrorWanted, UnsealFailure, UnsealWanted},
};
use portolan_effects::{
    mirror,
    sealed::{self, SealingKeys, Templates, secret_object},
    store::Write,
};
use portolan_engine::Changes;
use portolan_model::{
    Code, Name, NamespacedName, ObjectKey, Problem, Redacted, Severity, Stamp,
    input::{InputProblems, Maker, SourceProblems},
};
use serde_json::Value;

use super::{Context, Effect, GIT, Wake, now, wanted};
use filling::{Filling, PATIENCE};

/// Managers of what is opened and of what is mirrored.
const OPENED: &str = Maker::Unsealed.manager();
const MIRRORED: &str = Maker::Mirrored.manager();

/// Opens and mirrors.
pub struct Secrets {
    /// Private keys that SealedSecrets are opened with.
    keys: SealingKeys,
    /// Go templates of SealedSecrets.
    filling: Filling,
}

impl Effect for Secrets {
    /// Names key files that other users can read.
    fn start(&mut self, cx: &mut Context) {
        self.tell_exposed_keys(cx);
    }

    /// Opens, mirrors and removes what the step asks for; after a refused write, all that is still wanted.
    fn follow(&mut self, step: &Changes, cx: &mut Context) {
        let mut writes = self.open_sealed(step, cx);
        writes.extend(wanted::<MirrorWanted, _>(step, cx).iter().filter_map(|row| mirror(&row.mirror, cx)));
        let unwanted: BTreeSet<ObjectKey> =
            wanted::<MirrorUnwanted, _>(step, cx).iter().map(|row| row.key.object()).collect();
        for key in unwanted {
            // One that a user wrote keeps its owner, and loses what was filled in.
            writes.extend(unfill(&key, cx));
            delete(&mut writes, key, MIRRORED, cx);
        }
        cx.write_own(writes);
    }

    fn take(&mut self, cx: &mut Context) {
        self.take_executed(cx);
    }

    fn begin(&mut self, _cx: &mut Context) {
        self.filling.begin();
    }

    fn due(&self) -> Option<tokio::time::Instant> {
        self.filling.due()
    }

    fn is_busy(&self) -> bool {
        !self.filling.is_idle()
    }
}

impl Secrets {
    /// With these keys and this way to execute templates.
    pub fn new(keys: SealingKeys, templates: Templates, wake: &Wake) -> Self {
        Self { keys, filling: Filling::new(templates, wake) }
    }

    fn open_sealed(&mut self, step: &Changes, cx: &mut Context) -> Vec<Write> {
        let mut writes = Vec::new();
        for change in step.of::<UnsealWanted>() {
            if change.after.is_none() {
                let key = &change.key;
                cx.engine.remove::<UnsealFailure>(key);
                self.filling.forget(key);
                cx.facts = true;
                delete(&mut writes, secret_key(key), OPENED, cx);
                // What is only patched, or independent, stays as it is.
                let over = change.before.as_ref().map(|row| row.over);
                if let Some(over) = over
                    && over.goes()
                    && cx.store.get(&secret_key(key)).is_some_and(|stored| stored.manager == GIT)
                {
                    writes.extend(sealed::unfill(key, over).map(|fill| Write::Fill(Box::new(fill))));
                }
            }
        }
        if cx.again {
            let opened = cx.store.list().filter(|stored| stored.manager == OPENED);
            let opened = opened.map(|stored| stored.object.key.clone());
            let left = opened.filter(|key| cx.engine.get::<UnsealWanted>(&key.name).is_none());
            for key in left.collect::<Vec<_>>() {
                delete(&mut writes, key, OPENED, cx);
            }
        }
        let (wanted, mut templated) = (wanted::<UnsealWanted, _>(step, cx), Vec::new());
        let sealed: Vec<_> = wanted.iter().map(|row| &row.sealed).collect();
        for (row, result) in wanted.iter().zip(self.keys.unseal_all(&sealed)) {
            match result {
                Ok(values) if sealed::is_templated(&row.sealed) => {
                    self.filling.want(row, values);
                    templated.push(Arc::clone(row));
                }
                Ok(values) => {
                    self.filling.forget(&row.key);
                    writes.extend(opened(row, &values, cx));
                }
                Err(failures) => {
                    // What is being executed for an earlier text is not wanted any more: the Secret that is there stays.
                    self.filling.forget(&row.key);
                    let (key, sealed, templates) = (row.key.clone(), row.sealed.clone(), BTreeMap::new());
                    cx.engine.put(UnsealFailure { key, sealed, failures, templates, refused: None });
                }
            }
            cx.facts = true;
        }
        // Waited for only where a Secret is served that would be missed; for all of them together.
        if let Some(until) = cx.patience {
            let others = self.filling.wait(until.min(tokio::time::Instant::now() + PATIENCE));
            templated.extend(others);
            templated.sort_by(|a, b| a.key.cmp(&b.key));
            templated.dedup_by(|a, b| a.key == b.key);
        }
        writes.extend(self.executed(templated, cx));
        writes
    }

    /// Names key files that other users can read.
    fn tell_exposed_keys(&self, cx: &mut Context) {
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
            cx.engine.put(InputProblems { key, problems: vec![problem] });
        }
    }
}

fn secret_key(key: &NamespacedName) -> ObjectKey {
    ObjectKey::new("", "Secret", key.namespace.clone(), key.name.clone())
}

/// What is written of a SealedSecret whose values are known; `None` where the Secret that is there stays.
fn opened(row: &UnsealWanted, values: &BTreeMap<Name, Redacted>, cx: &mut Context) -> Option<Write> {
    if let Some(fill) = sealed::fill(&row.sealed, values, row.over) {
        let refused = is_refused(row, &fill.fields, cx);
        return (!refused).then(|| Write::Fill(Box::new(fill)));
    }
    let owner =
        ObjectKey::new("bitnami.com", "SealedSecret", row.key.namespace.clone(), row.key.name.clone());
    let uid = stamp(&owner, cx).map(|stamp| Arc::clone(&stamp.uid)).unwrap_or_default();
    let secret = secret_object(&row.sealed, values, &uid);
    let refused = is_refused(row, &secret.json, cx);
    (!refused).then(|| Write::Hold(Box::new(secret), OPENED))
}

/// Whether the Secret that is there stays as it is; what came of it is noted.
fn is_refused(row: &UnsealWanted, wanted: &Value, cx: &mut Context) -> bool {
    let present = cx.store.get(&secret_key(&row.key));
    // A mirror that stands there is no Secret of the controller's: it makes way.
    let present = present.filter(|stored| [OPENED, GIT].contains(&&*stored.manager));
    let refused = refused(present.map(|stored| &*stored.object.json), wanted, row.over);
    let is_refused = refused.is_some();
    if is_refused {
        let (key, sealed) = (row.key.clone(), row.sealed.clone());
        let (failures, templates) = (BTreeMap::new(), BTreeMap::new());
        cx.engine.put(UnsealFailure { key, sealed, failures, templates, refused });
    } else {
        cx.engine.remove::<UnsealFailure>(&row.key);
    }
    cx.facts = true;
    is_refused
}

fn mirror(row: &Mirror, cx: &Context) -> Option<Write> {
    let key = row.key.object();
    let source = ObjectKey { kind: key.kind.clone(), name: row.source.clone() };
    let version = stamp(&source, cx).map(|stamp| stamp.version.to_string()).unwrap_or_default();
    if !row.auto {
        let asked = cx.store.get(&key)?.object.annotation(REFLECTS)?.to_owned();
        return Some(Write::Fill(Box::new(mirror::fill(row, &asked, &version, now()))));
    }
    let object = Box::new(mirror::object(row, &version, now()));
    Some(if row.volatile { Write::Hold(object, MIRRORED) } else { Write::Apply(object, MIRRORED) })
}

fn unfill(key: &ObjectKey, cx: &Context) -> Option<Write> {
    let stored = cx.store.get(key).filter(|stored| stored.is_filled())?;
    let asked = stored.object.annotation(REFLECTS)?;
    Some(Write::Fill(Box::new(mirror::unfill(key, asked))))
}

/// Removes what we made. Somebody else who wanted the name and was refused gets it: the work tree is read again.
fn delete(writes: &mut Vec<Write>, key: ObjectKey, manager: &'static str, cx: &mut Context) {
    if cx.store.get(&key).is_none_or(|stored| stored.manager != manager) {
        return;
    }
    cx.reread |= cx.engine.get::<SourceProblems>(&key).is_some();
    writes.push(Write::Delete(key, manager));
}

fn stamp<'a>(key: &ObjectKey, cx: &'a Context) -> Option<&'a Stamp> {
    cx.store.get(key)?.object.stamp.as_ref()
}
