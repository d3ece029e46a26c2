//! What a real API server says to objects, and what we say.
//!
//! `make schema-diff` writes thousands of cases, has a real API server judge them in the rig, and compares: all of it in
//! `docs/results/schemas.md`. A sample of its answers stands in `testdata/recorded.jsonl`; the test here compares with that.
//! The steps are chosen by `SCHEMA_DIFF`: `cases` writes the file of that name, `compare` reads the answers.
#![allow(clippy::unwrap_used)]

mod answers;
mod bases;
mod cases;
mod compare;
mod edits;
mod mutations;
mod record;
mod report;
mod sample;
mod values;

use std::{env, fs, path::PathBuf};

use portolan_schema::{Definitions, admit, judges_updates, update};

/// Where the files of a run are.
fn folder() -> PathBuf {
    PathBuf::from(env::var("SCHEMA_DIFF_DIR").unwrap_or_else(|_| "/nonexistent".to_owned()))
}

fn number(name: &str, otherwise: usize) -> usize {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn what_we_say_is_what_a_real_server_said() {
    let recorded = record::read();
    assert!(recorded.len() >= 600, "only {} answers are recorded", recorded.len());
    let bases = bases::read();
    let mut wrong = Vec::new();
    for (case, answer) in &recorded {
        let outcome = compare::compare(case, &bases, answer);
        if !outcome.same() && !report::known(case, &outcome) {
            wrong.push(outcome.text(case));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), recorded.len(), wrong.join("\n"));
}

/// An object is judged by itself when it is read, and beside what is stored only by what looks at both: together that has to be
/// what is said of the whole update.
#[test]
fn an_update_is_judged_in_two_parts_as_in_one() {
    let (bases, definitions) = (bases::read(), Definitions::builtin());
    let (mut both, mut refused) = (0, 0);
    for case in cases::all(&bases, 9, 600).into_iter().filter(|case| case.update) {
        let old = admit(&definitions, bases[case.base].object.clone(), None).unwrap().object;
        // What is refused by itself is not judged further.
        let Ok(new) = admit(&definitions, case.object(&bases), None) else { continue };
        let whole = admit(&definitions, case.object(&bases), Some(&old)).err().unwrap_or_default();
        let part = update(&definitions, &new.object, &old);
        both += 1;
        refused += usize::from(!part.is_empty());
        let definition = &bases[case.base].definition;
        assert_eq!(part, whole, "{}: {}", definition.kind, case.object(&bases));
        let judges = judges_updates(&definitions, &definition.group, &definition.version, &definition.kind);
        assert!(judges || whole.is_empty(), "{}", definition.kind);
    }
    println!("{both} updates, {refused} refused for what was stored");
    assert!(both > 100 && refused > 10, "{both} {refused}");
}

/// Not a test: a step of `make schema-diff`.
#[test]
fn run() {
    let bases = bases::read();
    let seed = number("SCHEMA_DIFF_SEED", 9) as u64;
    match env::var("SCHEMA_DIFF").unwrap_or_default().as_str() {
        "cases" => {
            let all = cases::all(&bases, seed, number("SCHEMA_DIFF_OF_KIND", 600));
            let lines: Vec<String> = all.iter().map(|case| case.question(&bases).to_string()).collect();
            println!("{} cases", lines.len());
            fs::write(folder().join("cases.jsonl"), lines.join("\n") + "\n").unwrap();
        }
        "compare" => {
            let all = cases::all(&bases, seed, number("SCHEMA_DIFF_OF_KIND", 600));
            let text = fs::read_to_string(folder().join("answers.jsonl")).unwrap();
            let answers: Vec<_> = text.lines().map(answers::Answer::read).collect();
            assert_eq!(all.len(), answers.len(), "the answers are to other cases");
            let outcomes: Vec<_> = all
                .iter()
                .zip(&answers)
                .map(|(case, answer)| compare::compare(case, &bases, answer))
                .collect();
            record::write(&all, &answers, &outcomes);
            let report = report::report(&all, &answers, &outcomes);
            if let Ok(path) = env::var("SCHEMA_DIFF_REPORT") {
                fs::write(path, &report.text).unwrap();
            }
            println!("{}", report.text);
            fs::write(folder().join("differences.txt"), report.differences).unwrap();
            assert!(report.met, "the goals are not met: {}", folder().join("differences.txt").display());
        }
        _ => {}
    }
}
