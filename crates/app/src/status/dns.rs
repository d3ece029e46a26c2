//! DNS of a hostname: its records in the status, and desired record, gate, record, answer in the explanation.

use std::sync::Arc;

use portolan_core::{
    World,
    dns::{
        Ownership,
        observe::UNUSABLE,
        rows::{DesiredRecord, DnsSettings, DnsState, PublishedRecord, RecordProblem, Stage, WantedName},
    },
    world::{DesiredByName, PublishedByName, StatesByHost},
};
use portolan_engine::Engine;
use portolan_model::{Name, dns::RecordSet};
use serde_json::{Value, json};

/// `{managed, records, outside}`: what the zones hold for the names that this host serves, each record with its registry TXT; also
/// where nothing is published of it, since what is there is answered all the same.
pub fn records(engine: &Engine<World>, host: &Name) -> Value {
    let states: Vec<Arc<DnsState>> = engine.find::<StatesByHost>(host);
    let managed = states.iter().any(|state| state.stage != Stage::Outside);
    let mut names: Vec<&Name> = states.iter().map(|state| &state.key).collect();
    if names.is_empty() {
        names.push(host);
    }
    let mut sets: Vec<RecordSet> = Vec::new();
    for name in names {
        for record in engine.find::<PublishedByName>(name) {
            sets.push(record.set.clone());
            sets.extend(record.registry.clone());
        }
    }
    let records: Vec<Value> = sets
        .iter()
        .map(|set| json!({"name": set.name, "type": set.r#type, "ttl": set.ttl, "values": set.values}))
        .collect();
    let left_out = states.iter().find(|state| state.stage == Stage::Outside);
    let outside = left_out.filter(|_| !managed).map(|state| (*state.why).to_owned());
    let outside = outside.or_else(|| unusable(engine).filter(|_| states.is_empty()));
    json!({"managed": managed, "records": records, "outside": outside})
}

/// Why a component makes no records in its real zone, if one does not.
fn unusable(engine: &Engine<World>) -> Option<String> {
    let mut problems = engine.rows::<RecordProblem>().map(|row| &row.key.1);
    let problem = problems.find(|problem| problem.code == UNUSABLE)?;
    Some(format!("a server of records cannot be used ({}): {}", problem.code, problem.message))
}

/// What a table shows: where the names point, or that they are not there yet.
pub fn summary(dns: &Value) -> String {
    let records = dns["records"].as_array().into_iter().flatten().filter(|record| record["type"] != "TXT");
    let values = records.flat_map(|record| record["values"].as_array().into_iter().flatten());
    let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
    values.dedup();
    match (dns["managed"] == true, values.is_empty()) {
        (true, false) => values.join(", "),
        (true, true) => "not published".to_owned(),
        (false, true) => if dns["outside"].is_string() { "not published" } else { "-" }.to_owned(),
        // Somebody else's, or left by an earlier setting: it is answered.
        (false, false) => format!("not published; the zone has {}", values.join(", ")),
    }
}

/// The steps from the desired record to the answer.
/// `is_refused`: no listener takes the host.
pub fn explain(
    engine: &Engine<World>,
    host: &Name,
    is_refused: bool,
    step: &mut impl FnMut(&str, bool, String),
) {
    let states = engine.find::<StatesByHost>(host);
    if states.is_empty() {
        let managed = engine.rows::<DnsSettings>().any(|settings| settings.managed);
        let unusable = unusable(engine);
        let ok = unusable.is_none() || is_refused;
        let why = if managed && is_refused {
            "no name is published of a host that no listener takes"
        } else if let Some(why) = &unusable {
            why
        } else if managed {
            "no name is asked for: only hostnames of routes and of their annotations are published"
        } else {
            "records are not managed here"
        };
        step("DNS", ok, why.to_owned());
        standing(&engine.find::<PublishedByName>(host), step);
    }
    for state in states {
        if state.stage == Stage::Outside {
            step("DNS", true, format!("{} is not published: {}", state.key, state.why));
            standing(&engine.find::<PublishedByName>(&state.key), step);
            continue;
        }
        let published: Vec<Arc<PublishedRecord>> = engine.find::<PublishedByName>(&state.key);
        for desired in engine.find::<DesiredByName>(&state.key) {
            if let Some(why) = &desired.outside {
                step(
                    "DNS desired",
                    true,
                    format!("{} is not asked for by {}: {}", state.key, desired.key.1, why.why),
                );
                continue;
            }
            let component = &desired.key.3;
            let publishes = engine.get::<WantedName>(&state.key).map(|row| row.component.clone());
            if let Some(other) = publishes.filter(|other| other != component) {
                let asks = format!("{} asks for external-dns {component}", desired.key.1);
                step(
                    "DNS desired",
                    true,
                    format!("{asks}, and external-dns {other} publishes {}", state.key),
                );
                continue;
            }
            let (open, gate) = gate(&desired, published.iter().any(|record| record.ours));
            let targets = desired.targets.iter().map(|target| &**target).collect::<Vec<_>>().join(", ");
            step(
                "DNS desired",
                !targets.is_empty(),
                format!("{} at [{targets}], by {}", state.key, desired.key.1),
            );
            step("DNS gate", open, gate);
        }
        for record in &published {
            step("DNS record", record.ours, told(record));
        }
        step("DNS answer", state.stage == Stage::Answered, format!("{}: {}", state.key, state.why));
    }
}

/// What stands in the zones under a name that is not published: it is answered all the same.
fn standing(records: &[Arc<PublishedRecord>], step: &mut impl FnMut(&str, bool, String)) {
    for record in records {
        step("DNS record", true, format!("{}; it is not changed", told(record)));
    }
}

fn told(record: &PublishedRecord) -> String {
    let text = record.registry.as_ref().and_then(|txt| txt.values.first());
    let owner = text.and_then(|text| Ownership::parse(text));
    let whose = match owner.as_ref().and_then(Ownership::owner) {
        Some(owner) => format!("owner {owner}"),
        None => "no owner in the registry".to_owned(),
    };
    format!("{} in zone {}, {whose}", record.set, record.key.zone)
}

fn gate(desired: &DesiredRecord, published: bool) -> (bool, String) {
    match (&desired.gate, published) {
        (Ok(()), _) => (true, format!("open: a listener of {} is acked, valid and answers", desired.key.2)),
        (Err(why), true) => {
            (true, format!("was open, and only a changed desired record withdraws the name now ({why})"))
        }
        (Err(why), false) => (false, why.clone()),
    }
}
