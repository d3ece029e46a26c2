//! What left the repository: which of it goes, and what stays as Argo CD and Flux let it stay. `core::gitops::sync` decides.

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::gitops::{
    rows::Kept,
    sync::{Doubt, Facts, Outcome, Policy, Verdict, outcome, plan, stands_for},
};
use portolan_effects::{
    render::Whole,
    store::{Stored, Write},
};
use portolan_model::{
    Code, Instant, Object, ObjectKey, Origin, Problem, Severity, input::InputProblems, intake::intake,
};

use super::{Driver, GIT, now};

/// There is no such kind, or its group is misspelt.
const NO_SUCH_KIND: Code = Code(2);

impl Driver {
    /// What of the unwanted objects is to be deleted, or is noted as let go. What stays is put as rows, and Applications that stay are followed on.
    pub(super) fn pruned(&mut self, whole: &Whole, coming: &[Write]) -> Vec<Write> {
        let store = &self.cx.store;
        let applications = || whole.applications.iter().map(|app| &app.key).collect::<BTreeSet<_>>();
        let doubt = Doubt {
            followed: applications(),
            unwanted: &self.source.reading.unwanted,
            live: &|key| store.get(key).map(|stored| &stored.object.origin),
            refused: &|key| whole.refused.contains_key(key),
            unsure: &whole.unsure,
            unsure_files: &whole.unsure_files,
            elsewhere: &whole.elsewhere,
        };
        let unwanted = self.source.reading.unwanted.iter().filter_map(|key| self.cx.store.get(key));
        let (sure, doubted): (Vec<&Stored>, Vec<&Stored>) =
            unwanted.partition(|stored| doubt.is_gone(&stored.object.key, &stored.object.origin));
        let leaving: BTreeMap<ObjectKey, &Object> =
            sure.into_iter().map(|stored| (stored.object.key.clone(), &stored.object)).collect();
        let doubted: BTreeMap<ObjectKey, ObjectKey> = doubted
            .into_iter()
            .filter_map(|stored| {
                Some((ObjectKey::clone(stored.object.origin.owner.as_ref()?), stored.object.key.clone()))
            })
            .collect();
        let at = now();
        self.source.reading.leaving.retain(|key, _| leaving.contains_key(key));
        for key in leaving.keys() {
            self.source.reading.leaving.entry(key.clone()).or_insert(at);
        }
        let followed = self.followed(whole, &leaving, coming);
        let refused = if leaving.is_empty() { Vec::new() } else { self.no_objects(whole, coming) };
        let coming: BTreeMap<&ObjectKey, Option<&ObjectKey>> = coming
            .iter()
            .filter_map(|write| match write {
                Write::Apply(object, GIT) => Some((&object.key, object.origin.owner.as_deref())),
                _ => None,
            })
            .collect();
        let (store, since) = (&self.cx.store, &self.source.reading.leaving);
        let facts = Facts {
            followed: &followed,
            stands: &|key| coming.contains_key(key) || store.get(key).is_some(),
            brings: &|by| {
                let owned = |stored: &Stored| stored.object.origin.owner.as_deref() == Some(by);
                coming.values().any(|owner| *owner == Some(by))
                    || store.list().any(|stored| owned(stored) && !leaving.contains_key(&stored.object.key))
            },
            instead: &|object| {
                refused
                    .iter()
                    .find(|(key, origin)| stands_for(object, key, origin))
                    .map(|(key, _)| key.clone())
            },
            released: &self.source.reading.released,
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
            let mut object = self.cx.store.get(key)?.base().clone();
            let other = object.origin.owner.as_deref() != Some(&by);
            object.origin.owner = Some(by.into());
            other.then(|| Write::Apply(Box::new(object), GIT))
        };
        let mut writes: Vec<Write> = verdicts.iter().filter_map(let_go).collect();
        let Outcome { go, kept } = outcome(verdicts, &applications(), &doubted);
        writes.extend(go.into_iter().map(|key| Write::Delete(key, GIT)));
        let unwanted = &self.source.reading.unwanted;
        self.source.reading.released.retain(|key| unwanted.contains(key));
        let before: BTreeSet<ObjectKey> = self.cx.engine.rows::<Kept>().map(|row| row.key.clone()).collect();
        for key in before.iter().filter(|key| !kept.contains_key(key)) {
            self.cx.engine.remove::<Kept>(key);
            self.cx.facts = true;
        }
        for (key, reason) in kept {
            self.cx.engine.put(Kept { key, reason });
            self.cx.facts = true;
        }
        writes
    }

    /// What the repository has and no API server takes: refused at the door, or of a kind that there is not.
    fn no_objects(&self, whole: &Whole, coming: &[Write]) -> Vec<(ObjectKey, Origin)> {
        let is_none = |problem: &Problem| problem.code == NO_SUCH_KIND && problem.severity == Severity::Error;
        let come = coming.iter().filter_map(|write| match write {
            Write::Apply(object, GIT) => Some(&**object),
            _ => None,
        });
        let come = come.filter(|object| intake(object).problems.iter().any(is_none));
        let stand = self.cx.engine.rows::<InputProblems>().filter(|row| row.problems.iter().any(is_none));
        let stand = stand.filter_map(|row| Some(&self.cx.store.get(&row.key)?.object));
        let none = come.chain(stand).map(|object| (object.key.clone(), object.origin.clone()));
        let unfit = &self.source.reading.unfit;
        let refused = whole.refused.iter().filter(|(key, _)| unfit.contains(*key));
        refused.map(|(key, origin)| (key.clone(), origin.clone())).chain(none).collect()
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
            let stands = || self.cx.store.get(by).map(|stored| &stored.object);
            let is_set = by.kind.is("argoproj.io", "ApplicationSet") && !leaving.contains_key(by);
            is_set.then(|| comes.or_else(stands).and_then(Policy::of)).flatten()
        };
        let policy = |by: &ObjectKey| known.get(by).map(|policy| (*policy).clone()).or_else(|| set(by));
        owners.into_iter().filter_map(|by| Some((by.clone(), policy(by)?))).collect()
    }

    /// An Application that stays is synced from the repository as before.
    fn keep_following(&mut self, standing: Vec<Object>) {
        let Some(tree) = &mut self.source.reading.tree else { return };
        if tree.follow(standing) {
            self.source.reading.again = true;
        }
    }

    /// Lets objects go that stay although the repository does not bring them: what `argocd app sync --prune` is.
    pub(super) fn prune(&mut self, asked: &str) -> Result<usize, String> {
        let kept: Vec<ObjectKey> = self.cx.engine.rows::<Kept>().map(|row| row.key.clone()).collect();
        let meant: Vec<ObjectKey> =
            kept.into_iter().filter(|key| asked == "all" || key.to_string() == asked).collect();
        if meant.is_empty() {
            return Err(format!(
                "{asked} is nothing that stays without the repository; `portolan status` lists what does"
            ));
        }
        let count = meant.len();
        self.source.reading.released.extend(meant);
        self.reload();
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
