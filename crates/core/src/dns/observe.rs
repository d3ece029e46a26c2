//! What a provider's zone tells: rows of published records, the object of a problem, and which zone a name belongs to.

use std::collections::BTreeMap;

use portolan_model::{
    Code, Name, NamespacedName, ObjectKey, Problem, RouteKey, RouteKind, Severity,
    dns::{RecordType, Snapshot, in_zone, labels, text_of, zone_for},
};

use super::{
    Action, Finding, Settings,
    observed::{Observed, is_owner},
    rows::{DnsSettings, PublishedKey, PublishedRecord},
};

/// The record sets of a zone as facts. TXT sets that carry no ownership of their own (challenge tokens, SPF and the
/// like) are nobody's business here and left out.
pub fn published(snapshot: &Snapshot, components: &[DnsSettings]) -> Vec<PublishedRecord> {
    let mut found: BTreeMap<PublishedKey, PublishedRecord> = BTreeMap::new();
    for component in components {
        let settings = &component.plan;
        let zone = Observed::new(snapshot, settings);
        for set in zone.data() {
            let owner = zone.owner(set);
            if set.r#type == RecordType::Txt && owner.is_none() {
                continue;
            }
            let zone = snapshot.zone.clone();
            let key = PublishedKey { zone, name: set.name.clone(), r#type: set.r#type };
            let row = found.entry(key.clone()).or_insert_with(|| PublishedRecord {
                key,
                set: set.clone(),
                registry: None,
                ours: false,
                components: Vec::new(),
            });
            let ours = owner.as_ref().is_some_and(|(_, ownership)| is_owner(ownership, settings));
            if !row.ours && (ours || row.registry.is_none()) {
                row.registry = owner.map(|(txt, _)| txt.clone());
            }
            row.ours |= ours;
            row.components.extend(ours.then(|| component.key.clone()));
        }
    }
    found.into_values().collect()
}

/// A finding of a plan with the record name that it is about; the empty name is for the zone as a whole.
pub fn finding_problem(zone: &Name, finding: &Finding) -> (Name, Problem) {
    let name = finding.about.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
    let object = object(&finding.resource).unwrap_or_else(|| zone_object(zone));
    (name, finding.problem.on(object))
}

/// A provider did not do what it was asked: for one set, or (`None`) for the zone; an empty zone is the whole provider.
pub fn provider_problem(zone: &Name, action: Option<&Action>, why: &str) -> (Name, Problem) {
    let problem = |object, code, severity, message| Problem {
        object,
        code: Code(code),
        field: Name::default(),
        severity,
        message,
        hint: "nothing is lost: it is tried again by itself; see the provider's words if this stays"
            .to_owned(),
    };
    if let Some(action) = action {
        let object = object(&action.resource).unwrap_or_else(|| zone_object(zone));
        let message = format!("{} {} was not written: {why}", action.set.name, action.set.r#type);
        (action.set.name.clone(), problem(object, 433, Severity::Warning, message))
    } else {
        let what = if zone.is_empty() { "the DNS provider".to_owned() } else { format!("zone {zone}") };
        let message = format!("{what} cannot be kept: {why}");
        (Name::default(), problem(zone_object(zone), 434, Severity::Error, message))
    }
}

/// The server of a component's records cannot be used.
pub const UNUSABLE: Code = Code(441);

/// What is said of a component whose records are to go to their real provider, and do not: it writes nothing.
pub fn place_problem(component: &Name, why: &str) -> (Name, Problem) {
    let problem = Problem {
        object: if component.is_empty() {
            zone_object(component)
        } else {
            ObjectKey::new("argoproj.io", "Application", "argocd", component.clone())
        },
        code: UNUSABLE,
        field: Name::default(),
        severity: Severity::Error,
        message: format!("with --real-dns no record of this external-dns is made, changed or removed: {why}"),
        hint: "see docs/guides/real-dns.md; without --real-dns its records go to the embedded zones"
            .to_owned(),
    };
    (Name::default(), problem)
}

/// What problems of a zone are filed on.
pub fn zone_object(zone: &Name) -> ObjectKey {
    ObjectKey::new("", "Zone", "", zone.clone())
}

/// The object behind a resource label such as `httproute/namespace/name`.
fn object(resource: &str) -> Option<ObjectKey> {
    let mut parts = resource.splitn(3, '/');
    let label = parts.next()?;
    let kind = RouteKind::ALL.into_iter().find(|kind| kind.kind().eq_ignore_ascii_case(label))?;
    Some(RouteKey { kind, name: NamespacedName::new(parts.next()?, parts.next()?) }.object())
}

/// The zone that the embedded provider should hold for a name: the longest of the domain filters and the solvers' zones
/// that holds it, else its last two labels. `None` if the filters leave the name out. A filter that is itself a name to publish
/// (`wanted`) lies in its parent, as the registry's entry for it does, unless a solver knows it as a zone.
pub fn embedded_zone(
    name: &Name,
    settings: &Settings,
    solver_zones: &[Name],
    wanted: impl Fn(&Name) -> bool,
) -> Option<Name> {
    let held = |filter: &Name| match filter.strip_prefix("*.") {
        Some(parent) => (filter == name).then(|| parent.into()),
        None => Some(filter.trim_start_matches('.').into()),
    };
    let filters: Vec<Name> = settings.domain_filter.iter().filter_map(held).collect();
    if let Some(zone) = zone_for(name, filters.iter().chain(solver_zones)) {
        let parent = zone.split_once('.').map(|(_, parent)| Name::new(parent));
        let parent = parent.filter(|parent| parent.contains('.') && !solver_zones.contains(zone));
        let outside = |zone: &Name| {
            settings.registry.txt_name(zone, RecordType::A).is_ok_and(|txt| !in_zone(&txt, zone))
        };
        return Some(parent.filter(|_| wanted(zone) && outside(zone)).unwrap_or_else(|| zone.clone()));
    }
    if !settings.in_scope(name) {
        return None;
    }
    last_two_labels(name)
}

/// The last two labels of a name: the zone to hold it in where nothing names one. `None` for what is no name.
pub fn last_two_labels(name: &str) -> Option<Name> {
    let labels = labels(name).ok()?;
    Some(text_of(&labels[labels.len().saturating_sub(2)..]).into()).filter(|zone: &Name| !zone.is_empty())
}
