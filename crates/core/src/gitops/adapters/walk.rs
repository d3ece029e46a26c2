//! Every key that a repository gives to a component, and what becomes of it.

use std::collections::BTreeSet;

use portolan_model::Severity;
use serde_json::Value;

use super::{Reader, keys};
use crate::gitops::ledger::Fate;

/// Looks up each key that is set; what was read counts as used whatever the tables say.
pub(super) fn walk(reader: &mut Reader<'_>) {
    let Some(known) = keys::of(&reader.values.component) else { return };
    let mut found = Vec::new();
    let values = reader.values;
    below(reader, &known, &values.values, "", &mut found);
    // Flags have told of some of them already.
    let told: BTreeSet<String> = reader.given.iter().map(|(.., path)| path.clone()).collect();
    for (path, fate) in found.into_iter().filter(|(path, _)| !told.contains(path)) {
        match fate {
            Some((fate, why)) => reader.given.push((fate, why, path)),
            None => unknown(reader, &known, &path),
        }
    }
}

type Found = (String, Option<(Fate, &'static str)>);

fn below(reader: &Reader<'_>, known: &keys::Keys, value: &Value, at: &str, out: &mut Vec<Found>) {
    let Value::Object(map) = value else { return };
    for (name, value) in map {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let read_below = {
            let prefix = format!("{path}.");
            reader.used.iter().any(|other| other.starts_with(&prefix))
        };
        if value.is_object() && (read_below || known.has_below(&path)) {
            below(reader, known, value, &path, out);
        } else if reader.used.contains(&path) {
            out.push((path, Some((Fate::Used, ""))));
        } else {
            match known.fate(&path) {
                // Said and unset are the same.
                Some((Fate::NotLookedAt, _)) if known.is_default(&path, value) => {}
                fate => out.push((path, fate)),
            }
        }
    }
}

/// A key that the chart does not have changes nothing in a cluster either; but it may be meant to.
fn unknown(reader: &mut Reader<'_>, known: &keys::Keys, path: &str) {
    const WHY: &str = "not known to the chart";
    let meant = portolan_model::nearest(path, known.that_matter());
    // External-dns is stopped by what may narrow it, which says the same.
    let is_told = reader.problems.iter().any(|problem| *problem.field == *path);
    let fate = if is_told { Fate::Refused } else { Fate::Irrelevant };
    reader.given.push((fate, WHY, path.to_owned()));
    if let Some(meant) = meant.filter(|_| !is_told) {
        let message = format!("{path} is not known to the chart; {meant} is");
        let hint = format!("write {meant}, or remove it");
        reader.problem(647, Severity::Warning, path, &message, &hint);
    }
}
