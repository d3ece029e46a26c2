//! The ledger: what becomes of everything that a repository says. Each key of a replaced component's values, each flag, and
//! each kind of object is used, refused, irrelevant or not looked at; nothing is in none of the four.

use std::collections::BTreeMap;

use portolan_model::{
    Kind, Name, Object, ObjectKey, Problem, Severity,
    intake::{
        self, Standing,
        families::{self, Effect},
    },
};
use serde::Serialize;

use super::verdict;

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
    let mut all: BTreeMap<(Fate, Name, Name), BTreeMap<String, usize>> = BTreeMap::new();
    for (of, fate, why, item) in lines {
        *all.entry((fate, of, why)).or_default().entry(item).or_default() += 1;
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
        let found = match verdict::left_out(problem.code) {
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

/// What becomes of the annotations of objects that one of the replaced programs reads.
pub fn annotations<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Vec<Line> {
    let mut lines = Vec::new();
    for object in objects {
        of_object(object, &mut lines);
    }
    lines
}

fn of_object(object: &Object, lines: &mut Vec<Line>) {
    let Some(annotations) = object.json["metadata"]["annotations"].as_object() else { return };
    for annotation in annotations.keys() {
        let (fate, why) = match families::effect(annotation) {
            None => continue,
            Some(Effect::Used) => (Fate::Used, ""),
            Some(Effect::Irrelevant(why)) => (Fate::Irrelevant, why),
            Some(Effect::Unknown) => (Fate::Refused, "annotations that the program does not know"),
        };
        lines.push(("annotations".into(), fate, why.into(), annotation.clone()));
    }
}

#[cfg(test)]
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
