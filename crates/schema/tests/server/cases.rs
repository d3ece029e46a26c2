//! Cases: a base with edits, as a new object or as an update of the base.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{bases::Base, edits::Edit, mutations};

#[derive(Clone, Debug)]
pub struct Case {
    pub base: usize,
    /// What was done to the base, in words.
    pub what: String,
    pub edits: Vec<Edit>,
    /// It is an update of the base.
    pub update: bool,
    /// Unknown fields refuse it.
    pub strict: bool,
    /// Rules in CEL look at what was changed.
    pub ruled: bool,
}

impl Case {
    pub fn id(&self, bases: &[Base]) -> String {
        let how = if self.update { " as an update" } else { "" };
        format!("{}: {}{how}", bases[self.base].id, self.what)
    }

    pub fn object(&self, bases: &[Base]) -> Value {
        let mut object = bases[self.base].object.clone();
        for edit in &self.edits {
            edit.apply(&mut object);
        }
        super::bases::in_namespace(&mut object, &bases[self.base].definition);
        object
    }

    /// As the rig asks it.
    pub fn question(&self, bases: &[Base]) -> Value {
        let base = &bases[self.base];
        let object = self.object(bases);
        let namespace = object["metadata"]["namespace"].as_str();
        let mut out = json!({
            "id": self.id(bases), "path": base.path(namespace), "object": object,
            "validation": if self.strict { "Strict" } else { "Warn" },
        });
        if self.update {
            out["old"] = base.object.clone();
        }
        out
    }
}

/// All cases of a seed, at most so many of each kind; bases as they are always.
pub fn all(bases: &[Base], seed: u64, of_kind: usize) -> Vec<Case> {
    let mut by_kind: BTreeMap<&str, Vec<Case>> = BTreeMap::new();
    for (at, base) in bases.iter().enumerate() {
        let kind = by_kind.entry(&base.definition.kind).or_default();
        kind.extend(mutations::of(at, base));
    }
    let mut out = Vec::new();
    for (at, _) in bases.iter().enumerate() {
        out.push(Case {
            base: at,
            what: "as it is".into(),
            edits: vec![],
            update: false,
            strict: true,
            ruled: false,
        });
    }
    for (id, all) in super::bases::rules() {
        let base = bases.iter().position(|base| base.id == id).unwrap_or_else(|| panic!("no base {id}"));
        for (at, edits) in all.iter().enumerate() {
            let edits: Vec<Edit> = edits.as_array().expect("edits").iter().map(Edit::read).collect();
            let case =
                Case { base, what: format!("rule {at}"), edits, update: false, strict: false, ruled: true };
            out.push(Case { update: true, ..case.clone() });
            out.push(case);
        }
    }
    let mut random = Random(seed);
    for (_, cases) in by_kind {
        // Half of them where rules look.
        let (ruled, others): (Vec<_>, Vec<_>) = cases.iter().cloned().partition(|case| case.ruled);
        let mut singles = random.some(&ruled, of_kind / 2);
        singles.extend(random.some(&others, of_kind - singles.len()));
        // Two changes at once, and updates.
        for _ in 0..of_kind / 10 {
            let (Some(a), Some(b)) = (random.one(&cases), random.one(&cases)) else { continue };
            if a.base == b.base && !a.update && !b.update {
                let edits = a.edits.iter().chain(&b.edits).cloned().collect();
                out.push(Case {
                    what: format!("{} + {}", a.what, b.what),
                    edits,
                    strict: false,
                    ..a.clone()
                });
            }
        }
        for one in random.some(&cases, of_kind / 6) {
            let renamed = one.edits.iter().any(|edit| {
                super::edits::shown(&edit.place).starts_with("metadata")
                    || matches!(&*super::edits::shown(&edit.place), "apiVersion" | "kind")
            });
            if !renamed {
                out.push(Case { update: true, ..one });
            }
        }
        out.extend(singles);
    }
    out
}

/// A linear congruential generator: the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit.max(1) as u64).unwrap()
    }

    pub fn one<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())) }
    }

    /// So many of them, in their order.
    pub fn some<T: Clone>(&mut self, all: &[T], count: usize) -> Vec<T> {
        let mut places: Vec<usize> = (0..all.len()).collect();
        for at in 0..count.min(all.len()) {
            let other = at + self.below(all.len() - at);
            places.swap(at, other);
        }
        places.truncate(count);
        places.sort_unstable();
        places.into_iter().map(|at| all[at].clone()).collect()
    }
}
