//! What left the repository: which of it goes, and what stays as Argo CD and Flux let it stay. `core::gitops::sync` decides.

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::gitops::{
    rows::Kept,
    sync::{Facts, Policy, Reason, Verdict, plan},
};
use portolan_effects::{
    render::Whole,
    store::{Store, Stored, Write},
};
use portolan_model::{Instant, Object, ObjectKey};

use super::{Driver, GIT, now};

impl Driver {
    /// What of the unwanted objects is to be deleted, or is noted as let go. What stays is put as rows, and Applications that stay are followed on.
    pub(super) fn pruned(&mut self, whole: &Whole, coming: &[Write]) -> Vec<Write> {
        let doubt = Doubt::new(&self.store, &self.reading.unwanted, whole);
        let unwanted = self.reading.unwanted.iter().filter_map(|key| self.store.get(key));
        let (sure, doubted): (Vec<&Stored>, Vec<&Stored>) =
            unwanted.partition(|stored| doubt.is_gone(stored));
        let leaving: BTreeMap<ObjectKey, &Object> =
            sure.into_iter().map(|stored| (stored.object.key.clone(), &stored.object)).collect();
        // What applied them is there until that is known: afterwards nobody could tell how it treats them.
        let doubted: BTreeMap<ObjectKey, ObjectKey> = doubted
            .into_iter()
            .filter_map(|stored| {
                Some((ObjectKey::clone(stored.object.origin.owner.as_ref()?), stored.object.key.clone()))
            })
            .collect();
        let at = now();
        self.reading.leaving.retain(|key, _| leaving.contains_key(key));
        for key in leaving.keys() {
            self.reading.leaving.entry(key.clone()).or_insert(at);
        }
        let followed = self.followed(whole, &leaving, coming);
        let coming: BTreeMap<&ObjectKey, Option<&ObjectKey>> = coming
            .iter()
            .filter_map(|write| match write {
                Write::Apply(object, GIT) => Some((&object.key, object.origin.owner.as_deref())),
                _ => None,
            })
            .collect();
        let (store, since) = (&self.store, &self.reading.leaving);
        let facts = Facts {
            followed: &followed,
            stands: &|key| coming.contains_key(key) || store.get(key).is_some(),
            brings: &|by| {
                let owned = |stored: &Stored| stored.object.origin.owner.as_deref() == Some(by);
                coming.values().any(|owner| *owner == Some(by))
                    || store.list().any(|stored| owned(stored) && !leaving.contains_key(&stored.object.key))
            },
            released: &self.reading.released,
            since: &|key| since.get(key).copied().unwrap_or(Instant(i64::MAX)),
        };
        let verdicts = plan(&facts, &leaving);
        let standing: Vec<Object> = verdicts
            .iter()
            .filter(|(key, verdict)| key.kind.is("argoproj.io", "Application") && verdict.is_synced(key))
            .filter_map(|(key, _)| leaving.get(key).map(|object| (*object).clone()))
            .collect();
        self.keep_following(standing);
        let let_go = |(key, verdict): (&ObjectKey, &Verdict)| {
            let by = verdict.let_go()?;
            let mut object = self.store.get(key)?.base().clone();
            let other = object.origin.owner.as_deref() != Some(&by);
            object.origin.owner = Some(by.into());
            other.then(|| Write::Apply(Box::new(object), GIT))
        };
        let mut writes: Vec<Write> = verdicts.iter().filter_map(let_go).collect();
        let mut kept = BTreeMap::new();
        for (key, verdict) in verdicts {
            match verdict {
                // One that is followed on goes with what it brings, which is known once it is followed no more.
                Verdict::Goes if whole.applications.iter().any(|app| app.key == key) => {}
                Verdict::Goes => match doubted.get(&key).filter(|first| **first != key) {
                    Some(first) => {
                        kept.insert(key, Reason::Doubted(first.clone()));
                    }
                    None => writes.push(Write::Delete(key, GIT)),
                },
                Verdict::Stays(Reason::Unread(_)) => {}
                Verdict::Stays(reason) => {
                    kept.insert(key, reason);
                }
            }
        }
        let unwanted = &self.reading.unwanted;
        self.reading.released.retain(|key| unwanted.contains(key));
        let before: BTreeSet<ObjectKey> = self.engine.rows::<Kept>().map(|row| row.key.clone()).collect();
        for key in before.iter().filter(|key| !kept.contains_key(key)) {
            self.engine.remove::<Kept>(key);
            self.facts = true;
        }
        for (key, reason) in kept {
            self.engine.put(Kept { key, reason });
            self.facts = true;
        }
        writes
    }

    /// What those that applied the leaving objects say now. A set is no Application, and its object says it.
    fn followed(
        &self,
        whole: &Whole,
        leaving: &BTreeMap<ObjectKey, &Object>,
        coming: &[Write],
    ) -> BTreeMap<ObjectKey, Policy> {
        let known: BTreeMap<&ObjectKey, &Policy> =
            whole.applications.iter().map(|app| (&app.key, &app.policy)).collect();
        let owners: BTreeSet<&ObjectKey> =
            leaving.values().filter_map(|object| object.origin.owner.as_deref()).collect();
        let set = |by: &ObjectKey| {
            let comes = coming.iter().find_map(|write| match write {
                Write::Apply(object, GIT) if object.key == *by => Some(&**object),
                _ => None,
            });
            let stands = || self.store.get(by).map(|stored| &stored.object);
            let is_set = by.kind.is("argoproj.io", "ApplicationSet") && !leaving.contains_key(by);
            is_set.then(|| comes.or_else(stands).and_then(Policy::of)).flatten()
        };
        let policy = |by: &ObjectKey| known.get(by).map(|policy| (*policy).clone()).or_else(|| set(by));
        owners.into_iter().filter_map(|by| Some((by.clone(), policy(by)?))).collect()
    }

    /// An Application that stays is synced from the repository as before.
    fn keep_following(&mut self, standing: Vec<Object>) {
        let Some(tree) = &mut self.reading.tree else { return };
        if tree.follow(standing) {
            self.reading.again = true;
        }
    }

    /// Lets objects go that stay although the repository does not bring them: what `argocd app sync --prune` is.
    pub(super) fn prune(&mut self, asked: &str) -> Result<usize, String> {
        let kept: Vec<ObjectKey> = self.engine.rows::<Kept>().map(|row| row.key.clone()).collect();
        let meant: Vec<ObjectKey> =
            kept.into_iter().filter(|key| asked == "all" || key.to_string() == asked).collect();
        if meant.is_empty() {
            return Err(format!(
                "{asked} is nothing that stays without the repository; `portolan status` lists what does"
            ));
        }
        let count = meant.len();
        self.reading.released.extend(meant);
        self.reload();
        Ok(count)
    }
}

/// What of the unwanted objects has left for certain, and what may stand in something that could not be read.
struct Doubt<'a> {
    store: &'a Store,
    unwanted: &'a BTreeSet<ObjectKey>,
    whole: &'a Whole,
    followed: BTreeSet<&'a ObjectKey>,
}

impl<'a> Doubt<'a> {
    fn new(store: &'a Store, unwanted: &'a BTreeSet<ObjectKey>, whole: &'a Whole) -> Self {
        let followed = whole.applications.iter().map(|app| &app.key).collect();
        Self { store, unwanted, whole, followed }
    }

    /// Whether an object has left for certain.
    fn is_gone(&self, stored: &Stored) -> bool {
        let (whole, origin) = (self.whole, &stored.object.origin);
        if whole.refused.contains_key(&stored.object.key) {
            return false;
        }
        if origin.source.as_ref().is_some_and(|source| whole.unsure_files.contains(&*source.file)) {
            return false;
        }
        let by = origin.owner.as_deref().filter(|by| **by != stored.object.key);
        if by.is_some_and(|by| self.goes_with(by)) {
            return true;
        }
        if origin.source.is_none() && !whole.unsure_files.is_empty() {
            // Where it stood is not known since the last start.
            return false;
        }
        whole.unsure.is_empty() || by.is_some_and(|by| self.is_read(by))
    }

    /// Whether what applied an object has itself left for certain, and reads nothing any more. What else cannot be read is none of
    /// its: what tracks an object says who applied it.
    fn goes_with(&self, by: &ObjectKey) -> bool {
        let stored = || self.store.get(by).is_some_and(|stored| self.is_gone(stored));
        !self.followed.contains(by) && self.unwanted.contains(by) && stored()
    }

    /// Whether what applies an object was read whole.
    fn is_read(&self, by: &ObjectKey) -> bool {
        if self.followed.contains(by) {
            return !self.whole.unsure.contains(&by.name.name);
        }
        if by.kind.group.is_empty() {
            // The root: a folder, a chart, a file.
            return !self.whole.unsure.contains("");
        }
        let set = self.store.get(by).filter(|_| by.kind.is("argoproj.io", "ApplicationSet"));
        let above = set.and_then(|set| set.object.origin.owner.as_deref()).filter(|above| *above != by);
        // Of what is not there any more nothing can be read; what is there and is not followed cannot be.
        self.store.get(by).is_none() && !self.whole.unsure.contains("")
            || above.is_some_and(|above| self.is_read(above))
    }
}

#[cfg(test)]
mod tests;
