//! What left the repository: which of it goes, and what stays as Argo CD and Flux let it stay. `core::gitops::sync` decides.

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::gitops::{
    rows::Kept,
    sync::{Facts, Policy, Reason, Verdict, plan},
};
use portolan_effects::{
    render::Whole,
    store::{Stored, Write},
};
use portolan_model::{Instant, Object, ObjectKey};

use super::{Driver, GIT, now};

impl Driver {
    /// What of the unwanted objects is to be deleted. What stays is put as rows, and Applications that stay are followed on.
    pub(super) fn pruned(&mut self, whole: &Whole, coming: &[Write]) -> Vec<ObjectKey> {
        let leaving: BTreeMap<ObjectKey, &Object> = {
            let unwanted = self.reading.unwanted.iter().filter_map(|key| self.store.get(key));
            let sure = unwanted.filter(|stored| is_sure(stored, whole));
            sure.map(|stored| (stored.object.key.clone(), &stored.object)).collect()
        };
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
        let mut goes = Vec::new();
        let mut kept = BTreeMap::new();
        for (key, verdict) in verdicts {
            match verdict {
                // One that is followed on goes with what it brings, which is known once it is followed no more.
                Verdict::Goes if whole.applications.iter().any(|app| app.key == key) => {}
                Verdict::Goes => goes.push(key),
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
        goes
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

/// Whether an object has left for certain: not if it may stand in something that could not be read.
fn is_sure(stored: &Stored, whole: &Whole) -> bool {
    if whole.refused.contains_key(&stored.object.key) {
        return false;
    }
    let Some(source) = &stored.object.origin.source else {
        // Where it stood is not known since the last start.
        return whole.unsure.is_empty() && whole.unsure_files.is_empty();
    };
    if whole.unsure_files.contains(&*source.file) {
        return false;
    }
    let application = &stored.object.origin.application;
    let known = application.is_empty() || whole.applications.iter().any(|a| a.key.name.name == *application);
    // An Application that is gone may be the child of one that could not be read.
    whole.unsure.is_empty() || (known && !whole.unsure.contains(application))
}
