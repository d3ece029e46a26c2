//! The ledger in numbers: what became of all that the repository says.

use std::{collections::BTreeMap, fmt::Write as _};

use portolan_model::shown;
use serde_json::Value;

use crate::columns;

const FATES: [&str; 4] = ["used", "irrelevant", "refused", "notLookedAt"];

/// How many things of each owner (objects, fields, annotations, the values of a component) became what.
fn sums(ledger: &Value) -> BTreeMap<String, [u64; 4]> {
    let mut sums: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for entry in ledger.as_array().into_iter().flatten() {
        let Some(at) = FATES.iter().position(|fate| entry["fate"] == *fate) else { continue };
        let of = shown::text(entry["of"].as_str().unwrap_or_default()).into_owned();
        sums.entry(of).or_default()[at] += entry["count"].as_u64().unwrap_or(0);
    }
    sums
}

/// A table, a line for each owner; nothing where there is none.
pub fn table(out: &mut String, ledger: &Value) {
    let sums = sums(ledger);
    if sums.is_empty() {
        return;
    }
    let mut table = columns::Columns::new(["OF", "USED", "IRRELEVANT", "REFUSED", "NOT LOOKED AT"]);
    for (of, counts) in sums {
        table.row(std::iter::once(of).chain(counts.map(|count| count.to_string())));
    }
    let _ = writeln!(out, "What was read (--output json says which and why)\n{}", table.lines());
}

/// The same in one line.
pub fn line(out: &mut String, ledger: &Value) {
    let sums = sums(ledger);
    if sums.is_empty() {
        return;
    }
    let all = sums.values().fold([0; 4], |all: [u64; 4], one| std::array::from_fn(|at| all[at] + one[at]));
    let [used, irrelevant, refused, unseen] = all;
    let _ = writeln!(
        out,
        "\nof what was read (objects, fields, annotations, values): {used} used, {irrelevant} irrelevant, {refused} refused, \
         {unseen} not looked at; --output json says which and why"
    );
}
