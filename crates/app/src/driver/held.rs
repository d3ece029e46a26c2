//! Rules that failed: a bug of ours. It is logged once, and shown as a finding as long as it lasts.

use std::{collections::BTreeMap, sync::Arc};

use portolan_engine::{Changes, Held};
use portolan_model::{Code, ObjectKey, Problem, Severity, input::InputProblems};

use super::{Driver, source::Source};

fn key(rule: &str) -> ObjectKey {
    ObjectKey::new("", "Rule", "", rule)
}

/// One problem a rule, however many inputs it fails for.
fn problems(held: &[Held]) -> BTreeMap<&'static str, Problem> {
    let mut by_rule: BTreeMap<&'static str, Vec<&Held>> = BTreeMap::new();
    for run in held {
        by_rule.entry(run.claimant.rule).or_default().push(run);
    }
    let problem = |rule: &'static str, runs: &[&Held]| Problem {
        object: key(rule),
        code: Code(90),
        field: "".into(),
        severity: Severity::Error,
        message: format!(
            "rule {rule} failed for {} of its inputs, among them {}: {}; what it made of them before is kept",
            runs.len(),
            runs[0].claimant.input,
            runs[0].message
        ),
        hint: "this is a bug in Portolan: report it with this message".into(),
    };
    by_rule.into_iter().map(|(rule, runs)| (rule, problem(rule, &runs))).collect()
}

impl<S: Source> Driver<S> {
    /// Takes over what the step says of failed rules, if it says something new.
    pub(super) fn note_held(&mut self, step: &Changes) {
        if Arc::ptr_eq(&self.held, &step.held) {
            return;
        }
        let before = std::mem::replace(&mut self.held, Arc::clone(&step.held));
        let now = problems(&self.held);
        for rule in problems(&before).into_keys().filter(|rule| !now.contains_key(rule)) {
            self.cx.engine.remove::<InputProblems>(&key(rule));
        }
        for problem in now.into_values() {
            tracing::error!("{}", problem.message);
            self.cx.engine.put(InputProblems { key: problem.object.clone(), problems: vec![problem] });
        }
        self.cx.facts = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_engine::Claimant;

    #[test]
    fn a_thousand_failures_of_one_rule_are_one_problem() {
        let held: Vec<Held> = (0..1000)
            .map(|n| Held {
                claimant: Claimant { rule: "host_rules", input: format!("routes {n}") },
                message: "index out of bounds (a.rs:1)".into(),
            })
            .collect();
        let problems = problems(&held);
        assert_eq!(problems.len(), 1);
        let text = &problems["host_rules"].message;
        assert!(text.contains("1000") && text.contains("routes 0: index out of bounds (a.rs:1)"), "{text}");
    }
}
