//! All problems by the object that they are about.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{ObjectKey, Problem};

/// How often each problem was found, and which objects have others than when they were last told.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    all: BTreeMap<ObjectKey, BTreeMap<Problem, usize>>,
    changed: BTreeSet<ObjectKey>,
}

impl Subjects {
    /// Adds one finding of it.
    pub(super) fn add(&mut self, problem: &Problem) {
        let count = self.all.entry(problem.object.clone()).or_default().entry(problem.clone()).or_default();
        *count += 1;
        if *count == 1 {
            self.changed.insert(problem.object.clone());
        }
    }

    /// Takes one away.
    pub(super) fn remove(&mut self, problem: &Problem) {
        let Some(problems) = self.all.get_mut(&problem.object) else { return };
        let Some(count) = problems.get_mut(problem) else { return };
        *count -= 1;
        if *count == 0 {
            problems.remove(problem);
            self.changed.insert(problem.object.clone());
            if problems.is_empty() {
                self.all.remove(&problem.object);
            }
        }
    }

    /// The objects whose problems may be others now, with all of them.
    pub(super) fn take_changed(&mut self) -> BTreeMap<ObjectKey, Vec<Problem>> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed
            .map(|key| {
                let problems = self.all.get(&key).map(|all| all.keys().cloned().collect());
                (key, problems.unwrap_or_default())
            })
            .collect()
    }
}
