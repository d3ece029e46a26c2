//! Whether all was looked at that may change an answer, and what was not (`core::gitops::verdict`).

use std::fmt::Write as _;

use portolan_core::{World, gitops::verdict, world::Finding};
use portolan_engine::Engine;
use serde_json::{Value, json};

/// Objects that are named of one cause.
const MOST: usize = 6;

/// The verdict as JSON.
pub fn of(engine: &Engine<World>) -> Value {
    let findings: Vec<_> = engine.rows::<Finding>().collect();
    let causes = verdict::causes(findings.iter().map(|row| &row.problem));
    json!({"complete": causes.is_empty(), "notLookedAt": causes})
}

/// The verdict of a status or of what was rendered, for people; nothing where it is complete.
pub fn lines(out: &mut String, status: &Value) {
    let causes: Vec<&Value> = status["verdict"]["notLookedAt"].as_array().into_iter().flatten().collect();
    if causes.is_empty() {
        return;
    }
    // Said only where it helps: what else is wrong has an exit code of its own.
    let anyway = if super::code(status, true) == 0 { " (--allow-incomplete for exit code 0)" } else { "" };
    let _ = writeln!(out, "\nThe verdict is incomplete; not looked at, and possibly deciding{anyway}:");
    for cause in causes {
        let objects: Vec<&str> =
            cause["objects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let more = match objects.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let some = objects.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
        let (what, code) =
            (cause["what"].as_str().unwrap_or_default(), cause["code"].as_str().unwrap_or_default());
        // The words are for several.
        let count = if objects.len() == 1 { String::new() } else { format!("{} ", objects.len()) };
        let _ = writeln!(out, "  {count}{what} ({code}): {some}{more}");
    }
}
