//! The gate: from desired records to wanted records. A name that stands in its zone as ours is held whatever its desired records lack now
//! (address, ack, certificate); one that does not stand there waits until one of its desired records may be published.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_model::{
    Code, Name, RouteKey, Severity,
    dns::{RecordSet, RecordType},
};

use super::{
    Policy, WantedRecord, merge,
    registry::resource_label,
    rows::{
        DesiredRecord, DnsAnswer, DnsSettings, DnsState, PublishedRecord, RecordProblem, Stage, WantedName,
    },
    targets::record_sets,
};
use crate::{
    Cx, problem,
    world::{Finding, ProblemsByName, PublishedByName},
};

/// The policy forbids a change ([`super::DnsProblem::PolicyForbids`]).
const POLICY: Code = Code(418);

pub(super) fn record_findings(cx: &mut Cx<'_>, problem: &Arc<RecordProblem>) {
    cx.emit(Finding { problem: problem.key.1.clone() });
}

pub(super) fn wanted_names(cx: &mut Cx<'_>, name: &Name, all_desired: &[Arc<DesiredRecord>]) {
    let all = all_desired;
    let hosts: BTreeSet<Name> = all_desired.iter().filter_map(|desired| desired.host.clone()).collect();
    let mut state = DnsState {
        key: name.clone(),
        hosts: hosts.into_iter().collect(),
        stage: Stage::Outside,
        why: String::new(),
    };
    // A name outside is outside for all; a route outside leaves the name to the others.
    let mut all_desired: Vec<&Arc<DesiredRecord>> =
        all_desired.iter().filter(|desired| desired.outside.is_none()).collect();
    if all_desired.is_empty() {
        state.why = left_out(cx, name, all);
        cx.emit(state);
        return;
    }
    let published = cx.find::<PublishedByName>(name);
    // Who has the name keeps it, as among controllers in a cluster; else the first by name has it.
    let holds = |component: &Name| published.iter().any(|record| record.components.contains(component));
    let component = all_desired
        .iter()
        .map(|desired| &desired.key.3)
        .min_by_key(|component| (!holds(component), *component));
    let Some(component) = component.cloned() else { return };
    let Some(settings) = cx.get::<DnsSettings>(&component) else { return };
    others(cx, name, &all_desired, &settings);
    all_desired.retain(|desired| desired.key.3 == component);
    let ours: Vec<Arc<PublishedRecord>> = published
        .into_iter()
        .filter(|record| {
            record.components.contains(&component) && settings.plan.types.contains(&record.set.r#type)
        })
        .collect();
    weighted(cx, name, &mut all_desired);
    if settings.scope.one_route {
        of_one_route(cx, name, &all_desired);
    }
    let unmanaged = |desired: &&Arc<DesiredRecord>| {
        !desired.targets.is_empty() && sets(name, desired, &settings).is_empty()
    };
    if all_desired.iter().all(unmanaged) {
        "its targets are of types that are not managed".clone_into(&mut state.why);
        let message = format!("{name} is not published: {}", state.why);
        let hint = "add the type to managedRecordTypes, or give the Gateway other targets";
        for desired in &all_desired {
            problem(cx, desired.key.1.object(), 438, Severity::Warning, "", message.clone(), hint);
        }
        cx.emit(state);
        return;
    }
    let mut closed = None;
    let mut records = Vec::new();
    for desired in all_desired {
        let why = match &desired.gate {
            Err(why) => Some(why.clone()),
            Ok(()) if desired.targets.is_empty() => Some(format!("Gateway {} has no address", desired.key.2)),
            Ok(()) => None,
        };
        // What is published already with these very targets passed the gate once and stays open.
        let open =
            why.is_none() || !desired.targets.is_empty() && desired.targets.iter().all(|t| stands(&ours, t));
        if open {
            records.extend(sets(name, desired, &settings));
        } else {
            closed = closed.or(why);
            records.extend(ours.iter().map(|record| held(desired, &record.set)));
        }
    }
    let records = merge(records);
    (state.stage, state.why) = stage(cx, name, &records, &ours, closed, &settings);
    cx.emit(state);
    if !records.is_empty() {
        cx.emit(WantedName { key: name.clone(), component, records });
    }
}

/// Why nobody publishes the name; its routes are told.
fn left_out(cx: &mut Cx<'_>, name: &Name, all_desired: &[Arc<DesiredRecord>]) -> String {
    let mut first = None;
    for desired in all_desired {
        let Some(outside) = &desired.outside else { continue };
        let severity = if outside.chosen { Severity::Info } else { Severity::Warning };
        let message = format!("{name} is not published: {}", outside.why);
        let hint = "nothing to do if that is meant; else widen the filter of external-dns";
        problem(cx, desired.key.1.object(), 438, severity, "", message, hint);
        first.get_or_insert_with(|| outside.why.clone());
    }
    first.unwrap_or_default()
}

/// Of several record sets of one name (set identifiers) those with weight 0 are not answered while another has more.
fn weighted(cx: &mut Cx<'_>, name: &Name, all_desired: &mut Vec<&Arc<DesiredRecord>>) {
    let apart: BTreeSet<&Name> = all_desired.iter().map(|desired| &desired.identifier).collect();
    if apart.len() < 2 {
        return;
    }
    let weights: Vec<String> = all_desired
        .iter()
        .filter(|desired| !desired.identifier.is_empty())
        .map(|desired| {
            let weight =
                desired.weight.map_or_else(|| "without a weight".to_owned(), |weight| weight.to_string());
            format!("{} {weight}", desired.identifier)
        })
        .collect();
    let message = format!(
        "{name} is asked for as several record sets ({}), and is one here: all targets whose weight is not 0 are answered \
         alike",
        weights.join(", ")
    );
    let hint = "nothing to do, if only the provider in the cloud is to choose among them";
    for desired in all_desired.iter() {
        problem(cx, desired.key.1.object(), 439, Severity::Warning, "", message.clone(), hint);
    }
    let all = all_desired.clone();
    all_desired.retain(|desired| !passed_over(desired, &all));
}

/// Whether a desired record is not answered beside the others of its name: its weight is 0, and another of a set of its own has
/// more.
pub fn passed_over(desired: &DesiredRecord, of_its_name: &[impl Borrow<Arc<DesiredRecord>>]) -> bool {
    let mut others = of_its_name.iter().map(Borrow::borrow);
    desired.weight == Some(0)
        && others.clone().any(|other| other.identifier != desired.identifier)
        && others.any(|other| other.weight != Some(0))
}

/// Says that the declared version would choose among routes whose targets are united here.
fn of_one_route(cx: &mut Cx<'_>, name: &Name, all_desired: &[&Arc<DesiredRecord>]) {
    let mut by_route: BTreeMap<&RouteKey, BTreeSet<&Name>> = BTreeMap::new();
    for desired in all_desired {
        by_route.entry(&desired.key.1).or_default().extend(&desired.targets);
    }
    let different: BTreeSet<_> = by_route.values().filter(|targets| !targets.is_empty()).collect();
    if different.len() < 2 {
        return;
    }
    let message = format!(
        "{name} points to the addresses of {} routes together; external-dns before 0.21, which is declared, publishes those of one",
        by_route.len()
    );
    let hint = "nothing to do from external-dns 0.21 on; else let one route have the name";
    for route in by_route.keys() {
        problem(cx, route.object(), 440, Severity::Warning, "spec.hostnames", message.clone(), hint);
    }
}

/// Names the desired records of other components that are not followed: those under another owner, and those that the component
/// which has the name does not make itself.
fn others(cx: &mut Cx<'_>, name: &Name, all_desired: &[&Arc<DesiredRecord>], settings: &DnsSettings) {
    for desired in all_desired.iter().filter(|desired| desired.key.3 != settings.key) {
        let Some(other) = cx.get::<DnsSettings>(&desired.key.3) else { continue };
        let same = |own: &&&Arc<DesiredRecord>| {
            own.key.3 == settings.key && (&own.key.1, &own.key.2) == (&desired.key.1, &desired.key.2)
        };
        if other.plan.owner == settings.plan.owner && all_desired.iter().find(same).is_some() {
            continue;
        }
        let message = format!(
            "{name} is asked for by external-dns {} (owner {}) and {} (owner {}), and published by {}",
            settings.key, settings.plan.owner, other.key, other.plan.owner, settings.key
        );
        let hint = "give the two domainFilters, sources or filters of routes that do not overlap";
        problem(cx, desired.key.1.object(), 437, Severity::Warning, "", message, hint);
    }
}

fn sets(name: &Name, desired: &DesiredRecord, settings: &DnsSettings) -> Vec<WantedRecord> {
    let targets = desired.targets.iter().map(|target| &**target).collect::<Vec<_>>();
    let resource = resource_label(&desired.key.1.object());
    record_sets(name, &targets.iter().copied(), desired.ttl)
        .into_iter()
        .filter(|set| settings.plan.types.contains(&set.r#type))
        .map(|set| WantedRecord { set, resource: resource.clone() })
        .collect()
}

/// What stands, desired again by a desired record that cannot say more at the moment.
fn held(desired: &DesiredRecord, set: &RecordSet) -> WantedRecord {
    WantedRecord {
        set: RecordSet { ttl: desired.ttl, ..set.clone() },
        resource: resource_label(&desired.key.1.object()),
    }
}

fn stands(ours: &[Arc<PublishedRecord>], target: &Name) -> bool {
    ours.iter().any(|record| record.set.values.iter().any(|value| *value == **target))
}

fn stage(
    cx: &mut Cx<'_>,
    name: &Name,
    records: &[WantedRecord],
    ours: &[Arc<PublishedRecord>],
    closed: Option<String>,
    settings: &DnsSettings,
) -> (Stage, String) {
    if records.is_empty() {
        let why = closed.unwrap_or_else(|| "its targets are of a type that is not managed".to_owned());
        return (Stage::Waiting, why);
    }
    let written = |r#type: RecordType| {
        let observed = ours.iter().find(|record| record.set.r#type == r#type);
        let wanted = records.iter().filter(|record| record.set.r#type == r#type);
        observed.is_some_and(|observed| {
            settings.plan.policy == Policy::CreateOnly
                || wanted.map(|w| &w.set.values).any(|v| v.iter().all(|v| observed.set.values.contains(v)))
        })
    };
    let addresses = records.iter().any(|record| record.set.r#type != RecordType::Cname);
    let mut types: Vec<RecordType> = records.iter().map(|record| record.set.r#type).collect();
    // A CNAME beside addresses is never written; a finding says so.
    types.retain(|r#type| !addresses || *r#type != RecordType::Cname);
    if !types.into_iter().all(written) {
        let problems = cx.find::<ProblemsByName>(name);
        let error = problems.iter().find(|problem| problem.key.1.severity == Severity::Error);
        return match error {
            Some(problem) => (Stage::Refused, problem.key.1.message.clone()),
            None => match problems.iter().find(|problem| problem.key.1.code == POLICY) {
                Some(problem) => (Stage::Kept, problem.key.1.message.clone()),
                None => (Stage::Writing, "its record is being written".to_owned()),
            },
        };
    }
    match cx.get::<DnsAnswer>(name).map(|answer| answer.state.clone()) {
        Some(Ok(())) => (Stage::Answered, "answered by the authoritative server".to_owned()),
        Some(Err(why)) => (Stage::Asking, why),
        None => (Stage::Asking, "waiting for the authoritative server's answer".to_owned()),
    }
}
