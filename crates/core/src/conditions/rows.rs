//! Rows of the conditions room.

use portolan_model::{Condition, Name, ObjectKey, row};
use serde_json::{Map, Value, json};

use crate::gateway::rows::{Force, ListenerKey};

/// The whole `status` of an object as wanted, without times of transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStatus {
    /// The object.
    pub key: ObjectKey,
    /// `metadata.generation` that was decided on: the `observedGeneration` of every condition. 0 for kinds whose
    /// conditions have none.
    pub generation: i64,
    /// Conditions of the object as a whole; none for kinds that have them by parent only.
    pub conditions: Vec<Condition>,
    /// A list of parts with conditions of their own: `listeners` of a Gateway, `parents` of a route.
    pub parts: Option<(Name, Vec<Part>)>,
    /// All other fields of `status`, as JSON.
    pub fields: Vec<(Name, Value)>,
}
row!(ObjectStatus, ObjectKey, "object_statuses");

/// One part of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Fields of the part besides its conditions. As JSON text: the reference of thousands of routes is the same one.
    fields: Vec<(Name, Name)>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

impl Part {
    /// A part with these fields besides its conditions.
    pub fn new(fields: impl IntoIterator<Item = (&'static str, Value)>, conditions: Vec<Condition>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.to_string().into()));
        Self { fields: fields.collect(), conditions }
    }

    /// The fields besides its conditions.
    pub fn fields(&self) -> Map<String, Value> {
        let parsed = |text: &Name| serde_json::from_str(text).expect("it was written from a value");
        self.fields.iter().map(|(name, text)| (name.to_string(), parsed(text))).collect()
    }
}

impl ObjectStatus {
    /// A status without anything.
    pub fn new(key: ObjectKey, generation: i64) -> Self {
        Self { key, generation, conditions: vec![], parts: None, fields: vec![] }
    }

    /// The `status` subtree, still without `lastTransitionTime`.
    pub fn json(&self) -> Value {
        let mut status = fields(&self.fields);
        if !self.conditions.is_empty() {
            status.insert("conditions".into(), self.conditions_json(&self.conditions));
        }
        if let Some((name, parts)) = &self.parts {
            let part = |part: &Part| {
                let mut made = part.fields();
                made.insert("conditions".into(), self.conditions_json(&part.conditions));
                Value::Object(made)
            };
            status.insert(name.to_string(), parts.iter().map(part).collect());
        }
        Value::Object(status)
    }

    fn conditions_json(&self, conditions: &[Condition]) -> Value {
        let one = |c: &Condition| {
            let mut condition = json!({
                "type": c.r#type, "status": c.status, "reason": c.reason, "message": c.message,
            });
            if self.generation > 0 {
                condition["observedGeneration"] = self.generation.into();
            }
            condition
        };
        conditions.iter().map(one).collect()
    }
}

fn fields(fields: &[(Name, Value)]) -> Map<String, Value> {
    fields.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

/// What a listener shows in its Gateway's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// The listener.
    pub key: ListenerKey,
    /// Routes that are accepted and attached.
    pub attached: usize,
    /// Route kinds that it takes.
    pub kinds: Vec<Name>,
    /// `Accepted`, `Conflicted`, `Programmed`, `ResolvedRefs`.
    pub conditions: Vec<Condition>,
    /// Whether it is in force.
    pub force: Force,
}
row!(ListenerStatus, ListenerKey, "listener_statuses");
