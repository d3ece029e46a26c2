//! `docs/results/schemas.md`.

use std::{collections::BTreeMap, env, fmt::Write as _};

use super::{answers::Answer, bases, cases::Case, compare::Outcome};

pub struct Report {
    pub text: String,
    pub differences: String,
    pub met: bool,
}

/// Differences with a reason, which are counted apart: why, or nothing.
fn reason(case: &Case, outcome: &Outcome) -> Option<&'static str> {
    let said = |words: &str| outcome.theirs.causes.iter().any(|(_, said)| said.contains(words));
    let touches =
        |field: &str| case.edits.iter().any(|edit| super::edits::shown(&edit.place).contains(field));
    if said("not configured for dual-stack services") {
        return Some("addresses and their families depend on the cluster; here nothing is known of one");
    }
    let given = touches("clusterIP") || touches("healthCheckNodePort");
    let ports = outcome.theirs.causes.iter().any(|(path, _)| path.ends_with(".nodePort"));
    let families = case.update && outcome.verdict && !outcome.object && outcome.id.starts_with("Service");
    if (case.update && given) || families || (ports && touches("ports")) {
        return Some("addresses and ports that a cluster gives are not known here");
    }
    if said("compilation failed") && outcome.verdict && outcome.paths {
        return Some(
            "an expression does not compile, and the compiler's words differ: of several faults the first is told",
        );
    }
    if touches("deprecatedTopology") && !outcome.object {
        return Some("labels that an older API had are moved between versions; nothing reads them");
    }
    if case.update && touches("finalizers") && outcome.id.starts_with("Namespace") {
        return Some("an update of a Namespace keeps the finalizers that it has");
    }
    None
}

pub fn known(case: &Case, outcome: &Outcome) -> bool {
    reason(case, outcome).is_some()
}

pub fn report(cases: &[Case], answers: &[Answer], outcomes: &[Outcome]) -> Report {
    let bases = bases::read();
    let mut kinds: BTreeMap<String, [usize; 6]> = BTreeMap::new();
    let mut whole = [0; 6];
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differences = String::new();
    for ((case, answer), outcome) in cases.iter().zip(answers).zip(outcomes) {
        let definition = &bases[case.base].definition;
        let name = format!("{}/{} {}", definition.group, definition.version, definition.kind);
        let kind = kinds.entry(name).or_default();
        let known = reason(case, outcome);
        if let Some(reason) = known {
            *reasons.entry(reason).or_default() += 1;
        }
        let off = known.is_none();
        let counts = [
            true,
            answer.refused,
            off && !outcome.verdict,
            off && outcome.verdict && !outcome.paths,
            off && outcome.verdict && outcome.paths && !outcome.words,
            off && outcome.verdict && !outcome.object,
        ];
        for (at, count) in counts.into_iter().enumerate() {
            kind[at] += usize::from(count);
            whole[at] += usize::from(count);
        }
        if !outcome.same() {
            differences.push_str(&outcome.text(case));
        }
    }
    let [all, refused, verdicts, paths, words, objects] = whole;
    let say = |name: &str| env::var(name).unwrap_or_else(|_| "not said".into());
    let mut text = format!(
        "# What a real API server says, and what we say\n\n\
         Written by `{}` on {}, {}. kube-apiserver 1.36.3 with the definitions of `scripts/schemas/modules.txt`, every case by \
         `dryRun=All`; how the cases are made: `crates/schema/tests/server`.\n\n\
         {all} cases, {refused} of them refused by the server. Another verdict: **{verdicts}**. Other fields: **{paths}**. Other words for the \
         same fields: **{words}**. Another object with defaults, or other dropped fields: **{objects}**.\n\n\
         | kind | cases | refused | verdict | fields | words | object |\n|---|---|---|---|---|---|---|\n",
        say("SCHEMA_DIFF_COMMAND"),
        say("SCHEMA_DIFF_DATE"),
        say("SCHEMA_DIFF_MACHINE")
    );
    for (kind, [all, refused, verdicts, paths, words, objects]) in kinds {
        writeln!(
            text,
            "| {} | {all} | {refused} | {verdicts} | {paths} | {words} | {objects} |",
            kind.trim_start_matches('/')
        )
        .unwrap();
    }
    for (reason, count) in reasons {
        write!(text, "\n- {count} with a reason, not counted above: {reason}.").unwrap();
    }
    let met = verdicts == 0 && paths == 0 && words * 20 <= refused && objects == 0;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Report { text, differences, met }
}
