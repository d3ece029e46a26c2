//! Routes of every kind. Source of types and reasons: Gateway API `apis/v1/shared_types.go`, `RouteCondition*`.

use std::sync::Arc;

use portolan_model::{Condition, input::Route};
use serde_json::{Map, Value, json};

use super::rows::{ObjectStatus, Part};
use crate::{
    Cx,
    gateway::rows::{ParentVerdict, Unresolved},
};

pub(super) fn route_status(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let unresolved = cx.get::<Unresolved>(&route.key);
    let resolved = match unresolved.as_ref().and_then(|u| Some((u.references.first()?, &u.references))) {
        None => Condition::new("ResolvedRefs", true, "ResolvedRefs", "All references are resolved"),
        Some(((reason, _), all)) => {
            let message = all.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("; ");
            Condition::new("ResolvedRefs", false, reason, message)
        }
    };
    let mut parts = Vec::new();
    for (at, parent) in route.parents.iter().enumerate() {
        // "Implementations can only populate Route status for the parent resources they are responsible for."
        let Some(verdict) = cx.get::<ParentVerdict>(&(route.key.clone(), at)) else { continue };
        let Some(controller) = &verdict.controller else { continue };
        let mut reference = Map::new();
        let mut put = |key: &str, value: Value| reference.insert(key.to_owned(), value);
        put("group", json!(parent.kind.group));
        put("kind", json!(parent.kind.kind));
        put("namespace", json!(parent.name.namespace));
        put("name", json!(parent.name.name));
        if let Some(section) = &parent.section {
            put("sectionName", json!(section));
        }
        if let Some(port) = parent.port {
            put("port", json!(port));
        }
        let mut conditions = verdict.conditions.clone();
        conditions.push(resolved.clone());
        conditions.sort_by(|a, b| a.r#type.cmp(&b.r#type));
        let fields = [("parentRef", Value::Object(reference)), ("controllerName", json!(controller))];
        parts.push(Part::new(fields, conditions));
    }
    if parts.is_empty() {
        return;
    }
    cx.emit(ObjectStatus {
        parts: Some(("parents".into(), parts)),
        ..ObjectStatus::new(route.key.object(), route.generation)
    });
}
