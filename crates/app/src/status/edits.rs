//! Edits that the store has not taken: what stood before is in force, and what is shown says so.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::{World, policy::rows::Denied};
use portolan_effects::store::Cache;
use portolan_engine::Engine;
use portolan_model::{Object, ObjectKey, Origin, Problem, input::Judged};
use serde_json::{Value, json};

use crate::host;

/// One edit of an object that is stored.
pub struct Edit {
    /// The object.
    pub key: ObjectKey,
    /// The Application that brings it.
    pub owner: Option<Arc<ObjectKey>>,
    /// Hostnames that it would ask for, as far as the edit is kept.
    hosts: Vec<String>,
    place: String,
    why: String,
}

/// All of them: those that policies deny, and those that the store refuses.
pub fn of(
    engine: &Engine<World>,
    store: &dyn Cache,
    unjudged: &BTreeMap<ObjectKey, Object>,
    refused: &BTreeMap<ObjectKey, Problem>,
) -> Vec<Edit> {
    let denied = unjudged.iter().filter_map(|(key, object)| {
        let denied = engine.get::<Denied>(&Judged::edit_of(key))?;
        let hosts = object.json["spec"]["hostnames"].as_array().into_iter().flatten();
        Some(Edit {
            key: key.clone(),
            owner: object.origin.owner.clone(),
            hosts: hosts.filter_map(Value::as_str).map(str::to_ascii_lowercase).collect(),
            place: place(&object.origin),
            why: format!("denied by ValidatingAdmissionPolicy {}: {}", denied.policy, denied.message),
        })
    });
    let refused = refused.iter().filter_map(|(key, problem)| {
        let origin = &store.get(key)?.object.origin;
        Some(Edit {
            key: key.clone(),
            owner: origin.owner.clone(),
            hosts: Vec::new(),
            place: place(origin),
            why: problem.message.clone(),
        })
    });
    denied.chain(refused).collect()
}

fn place(origin: &Origin) -> String {
    origin.shown().map_or_else(String::new, |place| format!(" ({place})"))
}

impl Edit {
    /// Whether it asks for the name, itself or by a wildcard.
    fn asks(&self, asked: &str) -> bool {
        let mut names = std::iter::once(asked.to_owned()).chain(host::wildcards(asked));
        names.any(|name| self.hosts.contains(&name))
    }

    fn told(&self) -> String {
        format!(
            "the edit of {}{} is not taken, and what stood before stays: {}",
            self.key, self.place, self.why
        )
    }
}

/// The steps of an explanation: edits of the objects that a host comes from, and those that ask for its name.
pub fn explain(
    edits: &[Edit],
    asked: &str,
    objects: &[ObjectKey],
    step: &mut impl FnMut(&str, bool, String),
) {
    for edit in edits.iter().filter(|edit| objects.contains(&edit.key) || edit.asks(asked)) {
        step("edit", false, edit.told());
    }
}

/// The explanation of a name that only edits ask for; `None` if none does.
pub fn only(edits: &[Edit], asked: &str) -> Option<Value> {
    let asking: Vec<&Edit> = edits.iter().filter(|edit| edit.asks(asked)).collect();
    let first = asking.first()?;
    let steps: Vec<Value> =
        asking.iter().map(|edit| json!({"step": "edit", "ok": false, "evidence": edit.told()})).collect();
    let message = format!("only an edit of {} asks for it, which is not taken", first.key);
    Some(json!({
        "hostname": asked, "entryPoint": asked, "state": "refused", "message": message, "steps": steps, "reasons": [],
    }))
}
