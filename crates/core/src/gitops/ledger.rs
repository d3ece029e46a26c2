//! The ledger: what becomes of everything that a repository says. Each key of a replaced component's values, each flag, each
//! kind of object, and of the kinds and families that are read each field and annotation is used, refused, irrelevant or not
//! looked at; nothing is in none of the four.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_model::{
    Kind, Name, Object, ObjectKey, Problem, Severity,
    intake::{
        self, Standing, families,
        fates::{self, Effect},
    },
};
use serde::Serialize;

use super::verdict;
use crate::{dns::annotations::family, secrets::reflection};

/// What becomes of something that the repository says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// Nobody looks at it, and it may change an answer.
    NotLookedAt,
    /// It cannot be used, or is not followed on purpose; a finding says so.
    Refused,
    /// It cannot change an answer; the ledger says why.
    Irrelevant,
    /// It is followed.
    Used,
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Whose it is: `values of cert-manager (Application/argocd/dev-01-cert-manager)`, or `objects`.
    pub of: Name,
    /// What becomes of it.
    pub fate: Fate,
    /// Why; empty for what is used.
    pub why: Name,
    /// The keys, flags or kinds.
    pub items: Vec<String>,
    /// Of how many things: objects of a kind are counted one by one.
    pub count: usize,
}

/// Whose it is, what becomes of it, why, and what it is.
pub type Line = (Name, Fate, Name, String);

/// Entries of the same kind together, what was not looked at first.
pub fn gather(lines: impl IntoIterator<Item = Line>) -> Vec<Entry> {
    gather_counted(lines.into_iter().map(|line| (line, 1)))
}

fn gather_counted(lines: impl IntoIterator<Item = (Line, usize)>) -> Vec<Entry> {
    let mut all: BTreeMap<(Fate, Name, Name), BTreeMap<String, usize>> = BTreeMap::new();
    for ((of, fate, why, item), count) in lines {
        *all.entry((fate, of, why)).or_default().entry(item).or_default() += count;
    }
    all.into_iter()
        .map(|((fate, of, why), items)| Entry {
            of,
            fate,
            why,
            count: items.values().sum(),
            items: items.into_keys().collect(),
        })
        .collect()
}

/// What becomes of the objects, by kind. `problems` are those that were found when they were read.
pub fn objects<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    problems: impl IntoIterator<Item = &'a Problem>,
) -> Vec<Line> {
    let mut worst: BTreeMap<ObjectKey, (Fate, Name)> = BTreeMap::new();
    let mut note = |problem: &Problem| {
        let found = match verdict::hidden(problem) {
            Some(why) => (Fate::NotLookedAt, why),
            None if problem.severity == Severity::Error => (Fate::Refused, "objects that have an error"),
            None => return,
        };
        let found = (found.0, Name::from(found.1));
        let entry = worst.entry(problem.object.clone()).or_insert_with(|| found.clone());
        *entry = found.min(entry.clone());
    };
    for problem in problems {
        note(problem);
    }
    let mut kinds: BTreeMap<String, (Fate, &'static str)> = BTreeMap::new();
    let mut lines = Vec::new();
    for object in objects {
        let kind = object.key.kind.to_string();
        let (fate, why) = worst.remove(&object.key).unwrap_or_else(|| {
            let (fate, why) = kinds.entry(kind.clone()).or_insert_with(|| of_kind(&object.key.kind));
            (*fate, (*why).into())
        });
        lines.push(("objects".into(), fate, why, kind));
    }
    // What was refused before it became one.
    for (key, (fate, why)) in worst {
        lines.push(("objects".into(), fate, why, key.kind.to_string()));
    }
    lines
}

/// What becomes of objects of a kind about which nothing is said.
fn of_kind(kind: &Kind) -> (Fate, &'static str) {
    match intake::standing(kind) {
        Standing::Ours => (Fate::Used, ""),
        Standing::Elsewhere => {
            (Fate::Irrelevant, "kinds that the edge does nothing with; policies judge them")
        }
        // Where it says itself that it concerns the edge it has a finding, and the verdict turns on it (`intake/foreign/guess.rs`).
        // The others are listed: what they make is missing here, and is told where something asks for it.
        Standing::Unknown => (Fate::NotLookedAt, "kinds that are not known here; policies judge them"),
    }
}

/// What becomes of the fields and annotations of an object, of those that one of the replaced programs reads.
pub fn parts(object: &Object) -> Vec<Line> {
    let line = |of: &str, item: String, effect: Effect| {
        let (fate, why) = match effect {
            Effect::Used => (Fate::Used, ""),
            Effect::Irrelevant(why) => (Fate::Irrelevant, why),
            Effect::Refused(why) => (Fate::Refused, why),
            Effect::NotLookedAt(why) | Effect::Told(why) => (Fate::NotLookedAt, why),
            Effect::Unknown if of == ANNOTATIONS => {
                (Fate::Refused, "annotations that the program does not know")
            }
            Effect::Unknown => (Fate::NotLookedAt, "fields that are not known here"),
        };
        (of.into(), fate, why.into(), item)
    };
    let kind = &object.key.kind;
    let mut lines: Vec<Line> = fates::fields(object)
        .into_iter()
        .map(|(path, effect)| line("fields", format!("{kind} {path}"), effect))
        .collect();
    let annotations = object.json["metadata"]["annotations"].as_object();
    let effect = |annotation: &String| {
        let of = [families::effect, family::effect, reflection::effect];
        Some((annotation.clone(), of.iter().find_map(|effect| effect(annotation))?))
    };
    let known = annotations.into_iter().flat_map(serde_json::Map::keys).filter_map(effect);
    lines.extend(known.map(|(annotation, effect)| line(ANNOTATIONS, annotation, effect)));
    lines
}

const ANNOTATIONS: &str = "annotations";

/// What becomes of the fields and annotations of all objects that there are, object by object. Most have the same fields as
/// others, and share what is told of them.
#[derive(Debug, Default)]
pub struct Parts {
    shapes: BTreeSet<Arc<[Line]>>,
    objects: BTreeMap<ObjectKey, Arc<[Line]>>,
}

impl Parts {
    /// Takes an object, in place of what it was before.
    pub fn put(&mut self, object: &Object) {
        let lines: Arc<[Line]> = parts(object).into();
        let shape = self.shapes.get(&lines).cloned().unwrap_or_else(|| {
            self.shapes.insert(Arc::clone(&lines));
            lines
        });
        self.objects.insert(object.key.clone(), shape);
    }

    /// Forgets an object.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.objects.remove(key);
    }

    /// The entries; shapes that no object has any more are forgotten.
    pub fn entries(&mut self) -> Vec<Entry> {
        let mut counts: BTreeMap<&Arc<[Line]>, usize> = BTreeMap::new();
        for shape in self.objects.values() {
            *counts.entry(shape).or_default() += 1;
        }
        let lines = counts.iter().flat_map(|(shape, count)| shape.iter().map(|line| (line.clone(), *count)));
        let entries = gather_counted(lines);
        self.shapes = counts.into_keys().cloned().collect();
        entries
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_nobody_knows_is_not_irrelevant() {
        let fate = |group: &str, kind: &str| of_kind(&Kind::new(group, kind)).0;
        assert_eq!(fate("gateway.networking.k8s.io", "HTTPRoute"), Fate::Used);
        assert_eq!(fate("apps", "Deployment"), Fate::Irrelevant);
        assert_eq!(fate("monitoring.coreos.com", "ServiceMonitor"), Fate::Irrelevant);
        assert_eq!(fate("acme.example", "AccessPolicy"), Fate::NotLookedAt);
    }

    #[test]
    fn of_an_object_that_changes_only_what_it_is_now_is_told() {
        let object = |name: &str, spec: &serde_json::Value| {
            let json = serde_json::json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": "n", "annotations": {"helm.sh/hook": "post-install"}}, "spec": spec});
            Object::from_json(json, portolan_model::Origin::default()).unwrap()
        };
        let mut parts = Parts::default();
        let plain = serde_json::json!({"ports": [{"port": 80}]});
        parts.put(&object("a", &plain));
        parts.put(&object("b", &plain));
        parts.put(&object("c", &serde_json::json!({"clusterIP": "None", "brandNew": 1})));
        let told = |parts: &mut Parts, fate| {
            let entries = parts.entries();
            let items = entries.iter().filter(|entry| entry.fate == fate);
            items
                .flat_map(|entry| entry.items.iter().map(move |item| (item.clone(), entry.count)))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&mut parts, Fate::NotLookedAt), [("Service spec.brandNew".to_owned(), 1)]);
        assert!(told(&mut parts, Fate::Irrelevant).contains(&("Service spec.clusterIP".to_owned(), 1)));
        parts.put(&object("c", &plain));
        assert!(told(&mut parts, Fate::NotLookedAt).is_empty());
        assert!(told(&mut parts, Fate::Used).contains(&("helm.sh/hook".to_owned(), 3)));
        parts.remove(&object("b", &plain).key);
        assert!(told(&mut parts, Fate::Used).contains(&("helm.sh/hook".to_owned(), 2)));
        assert_eq!(parts.shapes.len(), 1);
    }

    #[test]
    fn entries_are_counted_and_what_was_not_looked_at_stands_first() {
        let line = |fate, why: &str, item: &str| (Name::new("v"), fate, Name::new(why), item.to_owned());
        let all = gather([
            line(Fate::Used, "", "b"),
            line(Fate::Irrelevant, "pods", "a"),
            line(Fate::Used, "", "b"),
            line(Fate::NotLookedAt, "hooks", "c"),
        ]);
        let told: Vec<_> = all.iter().map(|e| (e.fate, e.items.join(" "), e.count)).collect();
        assert_eq!(
            told,
            [
                (Fate::NotLookedAt, "c".to_owned(), 1),
                (Fate::Irrelevant, "a".to_owned(), 1),
                (Fate::Used, "b".to_owned(), 2)
            ]
        );
    }
}
