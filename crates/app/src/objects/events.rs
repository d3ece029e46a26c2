//! `portolan get events`: what happened to objects, as `kubectl get events` shows it.

use portolan_effects::store::{Cache, Recorded};
use serde_json::{Value, json};

use super::Query;
use crate::{age, columns::Columns};

/// Whether a query asks for events.
pub(super) fn asked_for(kind: &str) -> bool {
    ["event", "events"].iter().any(|name| kind.eq_ignore_ascii_case(name))
}

/// The events of a query: all, or those about objects of a namespace and name. Oldest first.
pub(super) fn find(store: &dyn Cache, query: &Query) -> Value {
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let events = store.events(None);
    let fitting = events.iter().filter(|recorded| {
        let name = &recorded.event.regarding.name;
        fits(&query.namespace, &name.namespace) && fits(&query.name, &name.name)
    });
    json!({"kind": "EventList", "items": fitting.map(Recorded::json).collect::<Vec<_>>()})
}

/// The table of a list of events.
pub(super) fn table(json: &Value) -> String {
    let heads = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"];
    let mut table = Columns::new(heads).optional(&["COUNT", "TYPE"]);
    for item in json["items"].as_array().into_iter().flatten() {
        let text =
            |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let object = ["/involvedObject/kind", "/involvedObject/namespace", "/involvedObject/name"].map(text);
        let object: Vec<&str> = object.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        table.row([
            age::since(&text("/lastTimestamp")),
            text("/type"),
            text("/reason"),
            object.join("/"),
            item["count"].to_string(),
            text("/message"),
        ]);
    }
    table.lines()
}
