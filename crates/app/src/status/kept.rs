//! What stays although the repository does not bring it any more, and why.

use std::fmt::Write as _;

use portolan_core::{World, gitops::rows::Kept};
use portolan_engine::Engine;
use portolan_model::{ObjectKey, shown};
use serde_json::{Value, json};

use crate::columns;

/// One entry an object.
pub fn kept(engine: &Engine<World>) -> Value {
    let one = |row: std::sync::Arc<Kept>| {
        json!({
            "object": row.key.to_string(), "why": row.reason.to_string(),
            "outOfSync": row.reason.is_out_of_sync().map(ToString::to_string),
        })
    };
    engine.rows::<Kept>().cloned().map(one).collect()
}

/// The step of an explanation: the route is live, and not in the repository.
pub fn explain(engine: &Engine<World>, object: &ObjectKey, step: &mut impl FnMut(&str, bool, String)) {
    if let Some(row) = engine.get::<Kept>(object) {
        step("kept", true, format!("it is not in the repository any more and stays: {}", row.reason));
    }
}

/// A table for people; nothing if nothing stays.
pub fn lines(out: &mut String, kept: &Value) {
    let mut table = columns::Columns::new(["STAYS", "WHY, THOUGH IT IS NOT IN THE REPOSITORY ANY MORE"]);
    for one in kept.as_array().into_iter().flatten() {
        let text = |field: &str| shown::text(one[field].as_str().unwrap_or_default()).into_owned();
        table.row([text("object"), text("why")]);
    }
    if !table.is_empty() {
        let _ = write!(out, "\n{}", table.lines());
    }
}
