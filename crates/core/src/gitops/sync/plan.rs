//! Which of the live objects that left the repository go, and why the others stay.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Instant, Kind, Object, ObjectKey, Origin};

use super::{
    options::{self, Choice},
    policy::{Application, Kustomization, Policy, Set},
    reason::Reason,
};

/// What becomes of an object that nothing brings any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is removed.
    Goes,
    /// It stays live, as it is.
    Stays(Reason),
}

/// Kind of what stands in place of a Kustomization as what applied an object that it has let go.
const DROPPED: &str = "Dropped";

impl Verdict {
    /// What stands as what applied the object from now on, if it is another: each apply of a Kustomization replaces its inventory
    /// (`status.inventory`), and what `spec.prune: false` has left out of it once, it never deletes, whatever it says later.
    pub fn let_go(&self) -> Option<ObjectKey> {
        let Self::Stays(reason) = self else { return None };
        let reason = if let Reason::Extraneous(reason) = reason { reason } else { reason };
        let Reason::Dropped(by) = reason else { return None };
        Some(ObjectKey { kind: Kind::new("", DROPPED), name: by.clone() })
    }

    /// Whether an Application of which this is said is synced on: not one that is being deleted (`autoSync`), whatever its deletion
    /// waits for.
    pub fn is_synced(&self, key: &ObjectKey) -> bool {
        match self {
            Self::Goes | Self::Stays(Reason::Deleting(_)) => false,
            Self::Stays(Reason::DeleteConfirm(by, _)) => by != key,
            Self::Stays(_) => true,
        }
    }
}

/// What the plan looks at beside the objects that leave.
pub struct Facts<'a> {
    /// What applies objects now, as the repository has it.
    pub followed: &'a BTreeMap<ObjectKey, Policy>,
    /// Whether an object is live and does not leave.
    pub stands: &'a dyn Fn(&ObjectKey) -> bool,
    /// Whether one of those that apply objects still brings any.
    pub brings: &'a dyn Fn(&ObjectKey) -> bool,
    /// What stands in the place of an object that leaves and is none that an API server takes ([`stands_for`]): a misspelt kind,
    /// group or name removes nothing.
    pub instead: &'a dyn Fn(&Object) -> Option<ObjectKey>,
    /// Objects that a person lets go, whatever keeps them.
    pub released: &'a BTreeSet<ObjectKey>,
    /// Since when an object leaves: a confirmation has to be of later.
    pub since: &'a dyn Fn(&ObjectKey) -> Instant,
}

/// Judges all objects that leave. Each is as it is live: its own annotations count as they were applied last.
pub fn plan(facts: &Facts<'_>, leaving: &BTreeMap<ObjectKey, &Object>) -> BTreeMap<ObjectKey, Verdict> {
    let mut plan = Plan { facts, leaving, done: BTreeMap::new(), asked: BTreeSet::new() };
    for key in leaving.keys() {
        plan.verdict(key);
    }
    plan.confirm();
    plan.done
}

struct Plan<'a> {
    facts: &'a Facts<'a>,
    leaving: &'a BTreeMap<ObjectKey, &'a Object>,
    done: BTreeMap<ObjectKey, Verdict>,
    /// What is being judged: an Application may bring itself.
    asked: BTreeSet<ObjectKey>,
}

/// What an object that leaves has from what applied it.
enum Owner<'a> {
    /// It is there and applies.
    Here(&'a Policy),
    /// It leaves as well.
    Goes(Policy),
}

impl<'a> Plan<'a> {
    fn verdict(&mut self, key: &ObjectKey) -> Verdict {
        if let Some(done) = self.done.get(key) {
            return done.clone();
        }
        let leaving = self.leaving;
        let Some(object) = leaving.get(key) else { return Verdict::Goes };
        if !self.asked.insert(key.clone()) {
            // Applied by itself: its file is gone, and Argo CD does not delete an Application for that.
            return Verdict::Stays(Reason::ByHand);
        }
        let released = self.facts.released.contains(key);
        let verdict = match self.judge(object).filter(|_| !released) {
            None => Verdict::Goes,
            Some(reason) if options::ignores_extraneous(object) => {
                Verdict::Stays(Reason::Extraneous(Box::new(reason)))
            }
            Some(reason) => Verdict::Stays(reason),
        };
        self.done.insert(key.clone(), verdict.clone());
        verdict
    }

    /// Why the object stays.
    fn judge(&mut self, object: &Object) -> Option<Reason> {
        // Of objects from before owners were noted nothing is known: what the repository brought goes when it does not.
        let by = &**object.origin.owner.as_ref()?;
        if *by == object.key && by.kind.is("", "Namespace") {
            return Some(Reason::MadeNamespace);
        }
        if *by == object.key {
            // It manages itself, and no file brings it any more.
            return Some(Reason::ByHand);
        }
        match self.owner(by) {
            Err(reason) => reason,
            Ok(Owner::Here(policy)) => self.pruned(object, by, policy),
            Ok(Owner::Goes(policy)) => deleted(object, by, &policy),
        }
    }

    /// What applied an object; or why it stays without it.
    fn owner(&mut self, by: &ObjectKey) -> Result<Owner<'a>, Option<Reason>> {
        let (facts, leaving) = (self.facts, self.leaving);
        if let Some(policy) = facts.followed.get(by) {
            return Ok(Owner::Here(policy));
        }
        if let Some(object) = leaving.get(by) {
            return match (self.verdict(by), Policy::of(object)) {
                (Verdict::Goes, Some(policy)) => Ok(Owner::Goes(policy)),
                _ => Err(Some(Reason::Unread(by.clone()))),
            };
        }
        Err(match &*by.kind.kind {
            // The state is that of a folder: another root is another answer to what it holds.
            "Folder" | "Chart" if by.kind.group.is_empty() => None,
            "File" if by.kind.group.is_empty() => Some(Reason::ByHand),
            DROPPED if by.kind.group.is_empty() => Some(Reason::Dropped(by.name.clone())),
            _ if (facts.stands)(by) => Some(Reason::Unread(by.clone())),
            _ => Some(Reason::Left(by.clone())),
        })
    }

    /// Of an object that is no longer brought by what still applies.
    fn pruned(&self, object: &Object, by: &ObjectKey, policy: &Policy) -> Option<Reason> {
        // What is refused fails in the dry run, and nothing is removed after that: in Argo CD (`runTasks`), in Flux and with
        // `kubectl apply --prune`.
        let instead = || (self.facts.instead)(object).map(|other| Reason::Instead(by.clone(), other));
        let reason = match policy {
            Policy::Whole => None,
            Policy::ByHand => Some(Reason::ByHand),
            Policy::Application(app) => self.pruned_by_argo(object, by, app),
            Policy::Set(Set { deletes, .. }) => (!deletes).then(|| Reason::SetKeeps(by.clone())),
            Policy::Kustomization(Kustomization { prune: false, .. }) => {
                Some(Reason::Dropped(by.name.clone()))
            }
            Policy::Kustomization(_) => flux_keeps(object),
            Policy::Release { .. } => helm_keeps(object, by),
        };
        reason.or_else(instead)
    }

    fn pruned_by_argo(&self, object: &Object, by: &ObjectKey, app: &Application) -> Option<Reason> {
        if !app.automated {
            return Some(Reason::NotAutomated(by.clone()));
        }
        if !app.prune {
            return Some(Reason::NoPrune(by.clone()));
        }
        match options::of_object(object, "Prune") {
            Some(Choice::Never) => return Some(Reason::PruneFalse),
            None if app.prune_option == Some(Choice::Never) => {
                return Some(Reason::AllPruneFalse(by.clone()));
            }
            _ => {}
        }
        (!app.allow_empty && !(self.facts.brings)(by)).then(|| Reason::WipesOut(by.clone()))
    }

    /// What is to be confirmed holds back all that would go with it: the sync, or the deletion, waits as a whole.
    fn confirm(&mut self) {
        let mut waits: BTreeMap<ObjectKey, (ObjectKey, bool)> = BTreeMap::new();
        let goes: Vec<(&ObjectKey, &Object, &ObjectKey)> = self
            .leaving
            .iter()
            .filter(|(key, _)| {
                self.done.get(*key) == Some(&Verdict::Goes) && !self.facts.released.contains(*key)
            })
            .filter_map(|(key, object)| Some((key, *object, &**object.origin.owner.as_ref()?)))
            .collect();
        for (key, object, by) in &goes {
            let here = self.facts.followed.get(*by);
            let gone = || self.leaving.get(*by).and_then(|owner| Policy::of(owner));
            let is_here = here.is_some();
            let Some(Policy::Application(app)) = here.cloned().or_else(gone) else { continue };
            let (name, all) =
                if is_here { ("Prune", app.prune_option) } else { ("Delete", app.delete_option) };
            let asks = |name: &str, all| options::of_object(object, name).or(all) == Some(Choice::Confirm);
            // A deletion has to be confirmed for either option (`isObjRequiresDeletionConfirmation`).
            let asked = asks(name, all) || !is_here && asks("Prune", app.prune_option);
            if asked && app.approved.is_none_or(|at| at < (self.facts.since)(key)) {
                waits.entry((*by).clone()).or_insert_with(|| ((*key).clone(), is_here));
            }
        }
        if waits.is_empty() {
            return;
        }
        // An Application that waits is there.
        let mut all: Vec<(ObjectKey, Reason)> = Vec::new();
        for (key, _, by) in goes {
            let reason = |by: &ObjectKey, (first, here): &(ObjectKey, bool)| {
                let make = if *here { Reason::PruneConfirm } else { Reason::DeleteConfirm };
                make(by.clone(), first.clone())
            };
            if let Some(waiting) = waits.get(by) {
                all.push((key.clone(), reason(by, waiting)));
            } else if let Some(waiting @ (_, false)) = waits.get(key) {
                all.push((key.clone(), reason(key, waiting)));
            }
        }
        self.done.extend(all.into_iter().map(|(key, reason)| (key, Verdict::Stays(reason))));
        self.below();
        let deleted = waits.into_iter().filter(|(_, (_, here))| !here);
        self.above(deleted.map(|(by, _)| by));
    }

    /// An Application that stays as another one waits is there as before, with all that it brought.
    fn below(&mut self) {
        loop {
            let stays = |by: &ObjectKey| matches!(self.done.get(by), Some(Verdict::Stays(_)));
            let held: Vec<(ObjectKey, Reason)> = self
                .leaving
                .iter()
                .filter(|(key, _)| {
                    self.done.get(*key) == Some(&Verdict::Goes) && !self.facts.released.contains(*key)
                })
                .filter_map(|(key, object)| Some((key, &**object.origin.owner.as_ref()?)))
                .filter(|(_, by)| !self.facts.followed.contains_key(*by) && stays(by))
                .map(|(key, by)| (key.clone(), Reason::Unread(by.clone())))
                .collect();
            if held.is_empty() {
                return;
            }
            self.done.extend(held.into_iter().map(|(key, reason)| (key, Verdict::Stays(reason))));
        }
    }

    /// What goes is there until all that it brought is gone: its finalizer waits.
    fn above(&mut self, waiting: impl Iterator<Item = ObjectKey>) {
        for mut key in waiting {
            while let Some(by) = self.leaving.get(&key).and_then(|object| object.origin.owner.as_deref()) {
                if self.done.get(by) != Some(&Verdict::Goes) {
                    break;
                }
                self.done.insert(by.clone(), Verdict::Stays(Reason::Deleting(key)));
                key = by.clone();
            }
        }
    }
}

/// Whether a refused object `key` stands where `gone` stood: in its file, or under its name but for capitals, and brought by the same.
/// (In a cluster anything that is refused holds back all that its Application would remove.)
pub fn stands_for(gone: &Object, key: &ObjectKey, origin: &Origin) -> bool {
    let file = |origin: &Origin| origin.source.as_ref().map(|source| source.file.clone());
    let same_file = || file(&gone.origin).is_some_and(|one| file(origin) == Some(one));
    let same_name = || {
        key.name.namespace == gone.key.name.namespace
            && key.name.name.eq_ignore_ascii_case(&gone.key.name.name)
    };
    origin.owner == gone.origin.owner && *key != gone.key && (same_file() || same_name())
}

/// Of an object whose Application, Kustomization or HelmRelease goes (`shouldBeDeleted`).
fn deleted(object: &Object, by: &ObjectKey, policy: &Policy) -> Option<Reason> {
    match policy {
        // The Applications of a set are its own, and go with it.
        Policy::Whole | Policy::Set(_) => None,
        Policy::ByHand => Some(Reason::ByHand),
        Policy::Application(app) => {
            if !app.cascades {
                return Some(Reason::Orphaned(by.clone()));
            }
            if is_definition(object) {
                return Some(Reason::Definition(by.clone()));
            }
            match options::of_object(object, "Delete") {
                Some(Choice::Never) => return Some(Reason::DeleteFalse(by.clone())),
                None if app.delete_option == Some(Choice::Never) => {
                    return Some(Reason::AllDeleteFalse(by.clone()));
                }
                _ => {}
            }
            options::helm_keeps(object).then(|| Reason::HelmKeep(by.clone()))
        }
        Policy::Kustomization(Kustomization { suspended: true, .. })
        | Policy::Release { suspended: true } => Some(Reason::Suspended(by.clone())),
        Policy::Kustomization(Kustomization { cascades: false, .. }) => {
            Some(Reason::DeletionPolicy(by.clone()))
        }
        Policy::Kustomization(_) => flux_keeps(object),
        Policy::Release { .. } => helm_keeps(object, by),
    }
}

/// What kustomize-controller leaves out of every deletion.
fn flux_keeps(object: &Object) -> Option<Reason> {
    let prune = options::flux_says(&object.json, "prune", "disabled").then_some("prune: disabled");
    prune.or_else(|| options::flux_leaves(&object.json)).map(Reason::FluxKeeps)
}

/// What Helm leaves. It deletes no definition that stands in `crds/`.
fn helm_keeps(object: &Object, by: &ObjectKey) -> Option<Reason> {
    if options::helm_keeps(object) {
        return Some(Reason::HelmKeep(by.clone()));
    }
    is_definition(object).then(|| Reason::Definition(by.clone()))
}

fn is_definition(object: &Object) -> bool {
    object.key.kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
}
