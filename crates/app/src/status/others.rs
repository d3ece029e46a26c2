//! Gateways that another controller serves, with their routes: what becomes of them there is not known here.

use std::{collections::BTreeMap, fmt::Write as _};

use portolan_core::{World, gateway::rows::GatewayOwner};
use portolan_engine::Engine;
use portolan_model::{GatewayKey, Name, input::Route, shown};
use serde_json::{Value, json};

use crate::columns;

/// One entry a Gateway.
pub fn gateways(engine: &Engine<World>) -> Value {
    let owners = engine.rows::<GatewayOwner>().filter(|owner| owner.ours().is_none());
    let others: BTreeMap<GatewayKey, Name> =
        owners.filter_map(|owner| Some((owner.key.clone(), owner.controller.clone()?))).collect();
    if others.is_empty() {
        return Value::Array(Vec::new());
    }
    let mut routes: BTreeMap<&GatewayKey, Vec<Value>> = BTreeMap::new();
    for route in engine.rows::<Route>() {
        let mut parents: Vec<&GatewayKey> = route.parents.iter().map(|parent| &parent.name).collect();
        parents.sort();
        parents.dedup();
        for (key, _) in parents.into_iter().filter_map(|parent| others.get_key_value(parent)) {
            let one = json!({"route": route.key.to_string(), "hostnames": route.hostnames});
            routes.entry(key).or_default().push(one);
        }
    }
    let one = |(key, controller): (&GatewayKey, &Name)| {
        json!({
            "gateway": key.to_string(), "controller": controller,
            "routes": routes.remove(key).unwrap_or_default(),
        })
    };
    others.iter().map(one).collect()
}

/// A table for people; nothing if there are none.
pub fn lines(out: &mut String, others: &Value) {
    let mut table =
        columns::Columns::new(["GATEWAY OF ANOTHER CONTROLLER", "CONTROLLER", "ROUTE", "HOSTNAMES"]);
    let text = |value: &Value| shown::text(value.as_str().unwrap_or_default()).into_owned();
    for one in others.as_array().into_iter().flatten() {
        let routes = one["routes"].as_array().map_or(&[][..], Vec::as_slice);
        if routes.is_empty() {
            table.row([text(&one["gateway"]), text(&one["controller"]), "-".into(), "-".into()]);
        }
        for route in routes {
            let hosts = route["hostnames"].as_array().into_iter().flatten();
            let hosts = hosts.map(text).collect::<Vec<_>>().join(", ");
            table.row([text(&one["gateway"]), text(&one["controller"]), text(&route["route"]), hosts]);
        }
    }
    if !table.is_empty() {
        let _ = writeln!(out, "{}", table.lines());
    }
}
