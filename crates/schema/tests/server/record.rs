//! The recorded sample: `testdata/recorded.jsonl`, a case with its answer a line.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    answers::Answer,
    bases,
    cases::{Case, Random},
    compare::Outcome,
    edits::Edit,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/testdata/recorded.jsonl");
/// How many of a kind.
const OF_KIND: usize = 12;

pub fn read() -> Vec<(Case, Answer)> {
    let bases = bases::read();
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let base = bases.iter().position(|base| line["base"] == *base.id);
        let case = Case {
            base: base.unwrap_or_else(|| panic!("no base {}", line["base"])),
            what: line["what"].as_str().unwrap().to_owned(),
            edits: line["edits"].as_array().unwrap().iter().map(Edit::read).collect(),
            update: line["update"] == true,
            strict: line["strict"] == true,
            ruled: false,
        };
        let answer = Answer::recall(&line["answer"], &case.object(&bases));
        (case, answer)
    };
    text.lines().map(read).collect()
}

/// Writes the bases, and of each kind some cases by chance, half of them refused ones.
pub fn write(cases: &[Case], answers: &[Answer], outcomes: &[Outcome]) {
    if std::env::var_os("SCHEMA_DIFF_RECORD").is_none() {
        return;
    }
    let bases = bases::read();
    let mut groups: BTreeMap<(&str, bool, bool, bool), Vec<usize>> = BTreeMap::new();
    let mut chosen = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let kind = &*bases[case.base].definition.kind;
        if !outcomes[at].same() {
            continue;
        }
        if case.edits.is_empty() || (case.what.starts_with("rule ") && !case.update) {
            chosen.push(at);
        } else {
            groups.entry((kind, answers[at].refused, case.update, case.ruled)).or_default().push(at);
        }
    }
    let mut random = Random(1);
    for ((_, _, update, _), group) in groups {
        chosen.extend(random.some(&group, if update { OF_KIND / 12 } else { OF_KIND / 3 }));
    }
    chosen.sort_unstable();
    let lines: Vec<String> = chosen
        .into_iter()
        .map(|at| {
            let case = &cases[at];
            let mut line = json!({
                "base": bases[case.base].id, "what": case.what,
                "edits": case.edits.iter().map(Edit::write).collect::<Vec<_>>(),
                "answer": answers[at].write(&case.object(&bases)),
            });
            if case.update {
                line["update"] = json!(true);
            }
            if case.strict {
                line["strict"] = json!(true);
            }
            line.to_string()
        })
        .collect();
    std::fs::write(FILE, lines.join("\n") + "\n").unwrap();
}
