//! All parts side by side: which object of each key is taken, and what that changes. The work is that of the parts that
//! changed.

use std::collections::{BTreeMap, BTreeSet};
use std::{path::PathBuf, sync::Arc};

use portolan_model::{Kind, Name, Object, ObjectKey, Origin, Problem, Source};
use portolan_schema::{Brought, Definitions};

use super::{
    held::Held,
    order,
    part::{Change, PartKey, Rank},
    place::{Placed, place},
    problems,
    subjects::Subjects,
};

/// Definitions of one kind, by the part that brings them and their number in it.
type Defining = BTreeMap<(Arc<PartKey>, usize), Arc<Brought>>;

/// Everything that was read, without the objects themselves: the store has them.
#[derive(Debug, Default)]
pub(super) struct Merged {
    parts: BTreeMap<Arc<PartKey>, Part>,
    /// Where each object stands; more than one place is a conflict, and the first wins.
    places: BTreeMap<ObjectKey, Vec<Rank>>,
    /// Kinds that CustomResourceDefinitions define; of several that counts which is taken ([`Rank`]).
    defined: BTreeMap<Kind, Defining>,
    definitions: Definitions,
    subjects: Subjects,
    /// Conflicts that were told.
    twice: BTreeMap<ObjectKey, Vec<Problem>>,
    /// Problems of Applications and of the root, as told.
    whole: Vec<Problem>,
    /// Parts of which something could not be read.
    unsure: BTreeSet<Arc<PartKey>>,
    /// Plain files that hold something else than objects.
    no_manifests: BTreeSet<Arc<PartKey>>,
    /// Applications of which nothing is applied.
    held: Held,
    /// How often a kind got another definition.
    redefined: u64,
    /// Keys that this reading touches, with what was taken before it.
    touched: BTreeMap<ObjectKey, Option<Rank>>,
    /// Objects that this reading brings.
    fresh: BTreeMap<Rank, Object>,
    /// Documents that were judged in this reading.
    judged: usize,
}

/// What is kept of a part.
#[derive(Debug, Default)]
struct Part {
    brought: Vec<Standing>,
    problems: Vec<Problem>,
    unapplied: Vec<(ObjectKey, Origin)>,
    defines: Vec<Arc<Brought>>,
    /// Objects that an API server would not store.
    refused: Vec<(ObjectKey, Origin)>,
    /// Those of them that it might store in the place of older ones.
    late: Vec<Object>,
    /// Numbers in `brought` of objects that it would not store and that are taken all the same.
    unfit: Vec<usize>,
    unsure: bool,
    unsure_file: Option<String>,
    no_manifest: Option<String>,
    /// Its Application refuses to share objects.
    alone: bool,
}

impl Part {
    /// Kinds of everything that stands in it.
    fn kinds(&self) -> impl Iterator<Item = &Kind> {
        let brought = self.brought.iter().map(|brought| &brought.key);
        let refused = self.refused.iter().map(|(key, _)| key);
        let unapplied = self.unapplied.iter().map(|(key, _)| key);
        brought.chain(refused).chain(unapplied).map(|key| &key.kind)
    }
}

#[derive(Debug)]
struct Standing {
    key: ObjectKey,
    wave: i32,
    place: Option<Source>,
}

/// What a reading changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// New, read again or taken from another place, in the order of writing.
    pub(super) objects: Vec<Object>,
    pub(super) gone: Vec<ObjectKey>,
    pub(super) problems: BTreeMap<ObjectKey, Vec<Problem>>,
    /// Documents that were judged.
    pub(super) judged: usize,
}

impl Merged {
    /// Takes parts over. Gives the paths of the parts that have to be read once more, as their objects are wanted now or
    /// have to be placed anew; call it again with them, then [`Self::finish`].
    pub(super) fn take(&mut self, changes: Vec<Change>) -> BTreeSet<PathBuf> {
        // What is gone and then read is only read.
        let changes: BTreeMap<Arc<PartKey>, Change> =
            changes.into_iter().map(|change| (Arc::clone(&change.key), change)).collect();
        let redefined = self.define(&changes);
        let here: BTreeSet<Arc<PartKey>> = changes.keys().cloned().collect();
        for (key, change) in changes {
            self.remove(&key);
            if change.read.is_some() {
                self.put(change);
            }
        }
        let mut again = BTreeSet::new();
        self.redefined += u64::from(!redefined.is_empty());
        for key in self.touched.keys().cloned().collect::<Vec<_>>() {
            self.share(&key);
        }
        let released = self.held.released();
        if !released.is_empty() {
            let others =
                self.parts.keys().filter(|key| !here.contains(*key) && released.contains(&key.application));
            again.extend(others.map(|key| key.path.clone()));
        }
        if !redefined.is_empty() {
            let others = self.parts.iter().filter(|(key, part)| {
                !here.contains(*key) && part.kinds().any(|kind| redefined.contains(kind))
            });
            again.extend(others.map(|(key, _)| key.path.clone()));
        }
        for (key, before) in &self.touched {
            let Some(first) = self.places.get(key).and_then(|ranks| ranks.first()) else { continue };
            if before.as_ref() != Some(first) && !self.fresh.contains_key(first) {
                again.insert(first.part.path.clone());
            }
        }
        again
    }

    /// Takes over what parts define. Gives the kinds that have another definition than before.
    fn define(&mut self, changes: &BTreeMap<Arc<PartKey>, Change>) -> BTreeSet<Kind> {
        let mut before: BTreeMap<Kind, Option<Arc<Brought>>> = BTreeMap::new();
        for (key, change) in changes {
            let old = self.parts.get(key).map(|part| part.defines.clone()).unwrap_or_default();
            let new = change.defines.clone();
            for one in old.iter().chain(&new) {
                let kind = Kind::new(&*one.group, &*one.kind);
                before.entry(kind).or_insert_with_key(|kind| self.defining(kind));
            }
            for (number, one) in old.iter().enumerate() {
                let kind = Kind::new(&*one.group, &*one.kind);
                if let Some(all) = self.defined.get_mut(&kind) {
                    all.remove(&(Arc::clone(key), number));
                }
            }
            for (number, one) in new.into_iter().enumerate() {
                let kind = Kind::new(&*one.group, &*one.kind);
                self.defined.entry(kind).or_default().insert((Arc::clone(key), number), one);
            }
        }
        let mut changed = BTreeSet::new();
        for (kind, before) in before {
            let now = self.defining(&kind);
            if let Some(now) = &now {
                self.definitions.bring(Arc::clone(now));
            } else {
                self.defined.remove(&kind);
                self.definitions.forget(&kind.group, &kind.kind);
            }
            if now != before {
                changed.insert(kind);
            }
        }
        changed
    }

    /// Notes who refuses to share an object that another Application has.
    fn share(&mut self, key: &ObjectKey) {
        let Some([first, others @ ..]) = self.places.get(key).map(Vec::as_slice) else {
            return self.held.shares(key, Vec::new());
        };
        let refuses = |rank: &&Rank| {
            let (own, has) = (&rank.part.application, &first.part.application);
            own != has
                && super::application::is_kind(has)
                && self.parts.get(&rank.part).is_some_and(|part| part.alone)
        };
        let mut by: Vec<ObjectKey> =
            others.iter().filter(refuses).map(|rank| rank.part.application.clone()).collect();
        by.dedup();
        self.held.shares(key, by);
    }

    fn defining(&self, kind: &Kind) -> Option<Arc<Brought>> {
        let all = self.defined.get(kind)?;
        let ((first, _), _) = all.first_key_value()?;
        // The last of the first Application.
        let same = |part: &PartKey| (&part.chain, &part.application) == (&first.chain, &first.application);
        all.iter().take_while(|((part, _), _)| same(part)).last().map(|(_, one)| Arc::clone(one))
    }

    fn remove(&mut self, key: &Arc<PartKey>) {
        let Some(part) = self.parts.remove(key) else { return };
        self.unsure.remove(key);
        self.no_manifests.remove(key);
        self.held.forbids(key, false);
        for problem in &part.problems {
            self.subjects.remove(problem);
        }
        for (number, brought) in (0..).zip(part.brought) {
            self.touch(&brought.key);
            let rank = Rank { part: Arc::clone(key), wave: brought.wave, number };
            if let Some(ranks) = self.places.get_mut(&brought.key) {
                ranks.retain(|other| *other != rank);
                if ranks.is_empty() {
                    self.places.remove(&brought.key);
                }
            }
            self.fresh.remove(&rank);
        }
    }

    fn put(&mut self, mut change: Change) {
        let key = Arc::clone(&change.key);
        let defines = std::mem::take(&mut change.defines);
        let alone = change.alone;
        let Placed {
            objects,
            refused,
            late,
            unfit,
            judged,
            problems,
            unapplied,
            unsure,
            unsure_file,
            no_manifest,
            forbidden,
            ..
        } = place(change, &self.definitions);
        self.judged += judged;
        self.held.forbids(&key, forbidden);
        for problem in &problems {
            self.subjects.add(problem);
        }
        if unsure || unsure_file.is_some() {
            self.unsure.insert(Arc::clone(&key));
        }
        if no_manifest.is_some() {
            self.no_manifests.insert(Arc::clone(&key));
        }
        let mut brought = Vec::with_capacity(objects.len());
        for (number, object) in (0..).zip(objects) {
            self.touch(&object.key);
            let rank = Rank { part: Arc::clone(&key), wave: object.origin.wave, number };
            let ranks = self.places.entry(object.key.clone()).or_insert_with(|| Vec::with_capacity(1));
            let at = ranks.binary_search(&rank).unwrap_or_else(|at| at);
            ranks.insert(at, rank.clone());
            let (wave, place) = (object.origin.wave, object.origin.source.clone());
            brought.push(Standing { key: object.key.clone(), wave, place });
            self.fresh.insert(rank, object);
        }
        self.parts.insert(
            key,
            Part {
                brought,
                problems,
                unapplied,
                defines,
                refused,
                late,
                unfit,
                unsure,
                unsure_file,
                no_manifest,
                alone,
            },
        );
    }

    fn touch(&mut self, key: &ObjectKey) {
        if !self.touched.contains_key(key) {
            let first = self.places.get(key).and_then(|ranks| ranks.first()).cloned();
            self.touched.insert(key.clone(), first);
        }
    }

    /// Ends a reading. `whole` are the problems of Applications and of the root.
    pub(super) fn finish(&mut self, whole: Vec<Problem>) -> Changed {
        let mut changed = Changed { judged: std::mem::take(&mut self.judged), ..Changed::default() };
        let mut taken = Vec::new();
        for (key, before) in std::mem::take(&mut self.touched) {
            self.tell_twice(&key);
            match self.places.get(&key).and_then(|ranks| ranks.first()) {
                None if before.is_some() => changed.gone.push(key),
                None => {}
                // What is live of it stays as it is.
                Some(first) if self.held.is(&first.part.application) => {}
                Some(first) => taken.extend(self.fresh.remove_entry(first)),
            }
        }
        self.fresh.clear();
        taken.sort_by(|(a, one), (b, other)| {
            let kind = |object: &Object| order::rank(&object.key.kind);
            a.waves()
                .cmp(b.waves())
                .then_with(|| kind(one).cmp(&kind(other)))
                .then_with(|| one.key.cmp(&other.key))
        });
        changed.objects = taken.into_iter().map(|(_, object)| object).collect();
        let old = std::mem::replace(&mut self.whole, whole);
        for problem in &self.whole {
            self.subjects.add(problem);
        }
        for problem in &old {
            self.subjects.remove(problem);
        }
        changed.problems = self.subjects.take_changed();
        changed
    }

    /// Files the conflicts of one key anew.
    fn tell_twice(&mut self, key: &ObjectKey) {
        for problem in self.twice.remove(key).unwrap_or_default() {
            self.subjects.remove(&problem);
        }
        let Some([first, others @ ..]) = self.places.get(key).map(Vec::as_slice) else { return };
        if others.is_empty() {
            return;
        }
        let place = |rank: &Rank| {
            let brought = self.parts.get(&rank.part)?.brought.get(usize::try_from(rank.number).ok()?)?;
            brought.place.as_ref().map(|s| format!("{}:{}", s.file, s.line))
        };
        let (owner, at) = (who(first), place(first));
        // The same document read twice (a root that manages itself), and what an Application makes beside its sources.
        let apart = |rank: &&Rank| {
            let (part, other) = (&first.part, &rank.part);
            // Of what brings others that was said where it was followed (PTL-0612), but of one that manages itself.
            let followed = super::application::is_kind(&other.application) && other.application != *key;
            if portolan_core::gitops::brings(&key.kind) && followed {
                return false;
            }
            let made = other.path.as_os_str().is_empty();
            let is_root = |part: &PartKey| !super::application::is_kind(&part.application);
            // The file of a root is read alone, and by what applies its folder.
            let file = [part, other].iter().any(|part| part.application.kind.is("", "File"));
            let owner = is_root(part) || is_root(other) || part.application == other.application;
            let one = file || owner && part.path == other.path;
            !made && (!one || at.is_none() || at != place(rank))
        };
        let made: Vec<Problem> = others
            .iter()
            .filter(apart)
            .map(|rank| {
                if self.parts.get(&rank.part).is_some_and(|part| part.alone) && rank.part.application != first.part.application {
                    let message = format!(
                        "{} brings {key}, which {owner} ({}) has already, and says FailOnSharedResource=true: nothing of it is applied, and what is live of it stays",
                        rank.part.application,
                        at.as_deref().unwrap_or("?"),
                    );
                    return problems::shares(&rank.part.application, "spec.syncPolicy.syncOptions", message);
                }
                // The finding has the place of the one that is taken. Files alone, so that those of one pair are one finding; but
                // of one file its line tells which it is.
                let own = place(rank);
                let alone = |place: &str| place.rsplit_once(':').map(|(file, _)| file.to_owned());
                let other_file = own.as_deref().and_then(alone);
                let same = other_file.is_some() && other_file == at.as_deref().and_then(alone);
                let file = if same { own } else { other_file }.unwrap_or_else(|| "?".to_owned());
                let other = who(rank);
                let message = if other == owner {
                    format!("{owner} brings {key} twice: the one in {file} is left out")
                } else {
                    format!("{key} is brought by {owner} already; the one of {other} in {file} is left out")
                };
                problems::brought_twice(key, "", message)
            })
            .collect();
        for problem in &made {
            self.subjects.add(problem);
        }
        self.twice.insert(key.clone(), made);
    }

    /// Applications of which a chart could not be read whole.
    pub(super) fn unsure(&self) -> impl Iterator<Item = Name> {
        self.unsure
            .iter()
            .filter(|key| self.parts.get(*key).is_some_and(|part| part.unsure))
            .map(|key| key.name())
    }

    /// Plain files that could not be read whole.
    pub(super) fn unsure_files(&self) -> impl Iterator<Item = String> {
        self.unsure.iter().filter_map(|key| self.parts.get(key)?.unsure_file.clone())
    }

    /// Plain files that hold something else than objects.
    pub(super) fn no_manifests(&self) -> impl Iterator<Item = String> {
        self.no_manifests.iter().filter_map(|key| self.parts.get(key)?.no_manifest.clone())
    }

    /// Objects that are left out as an API server would not store them, with where they stand.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&ObjectKey, &Origin)> {
        self.parts.values().flat_map(|part| &part.refused).map(|(key, origin)| (key, origin))
    }

    /// Those of them that it might store in the place of older ones with the same faults, unless another part brings the object.
    pub(super) fn late(&self) -> impl Iterator<Item = &Object> {
        let all = self.parts.values().flat_map(|part| &part.late);
        all.filter(|object| !self.places.contains_key(&object.key))
    }

    /// Objects that are taken although an API server would not store them.
    pub(super) fn unfit(&self) -> impl Iterator<Item = &ObjectKey> {
        self.parts.iter().flat_map(|(key, part)| {
            let standing = part.unfit.iter().filter_map(|number| part.brought.get(*number));
            standing.map(|one| &one.key).filter(|object| {
                let first = self.places.get(*object).and_then(|ranks| ranks.first());
                first.is_some_and(|first| first.part == *key)
            })
        })
    }

    /// Applications of which nothing is applied.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// Changes whenever a kind gets another definition.
    pub(super) fn redefined(&self) -> u64 {
        self.redefined
    }

    /// What is known of kinds.
    pub(super) fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Hooks and Jobs.
    pub(super) fn unapplied(&self) -> impl Iterator<Item = (&ObjectKey, &Origin)> {
        self.parts.values().flat_map(|part| &part.unapplied).map(|(key, origin)| (key, origin))
    }
}

fn who(rank: &Rank) -> String {
    let name = rank.part.name();
    if super::flux::is_kind(&rank.part.application) {
        return rank.part.application.to_string();
    }
    if name.is_empty() { "the root".to_owned() } else { format!("Application {name}") }
}
