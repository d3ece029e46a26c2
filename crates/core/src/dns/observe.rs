//! What a provider's zone tells: rows of published records, the object of a problem, and which zone a name belongs to.

use portolan_model::{
    Name, NamespacedName, ObjectKey, Problem, RouteKey, RouteKind,
    dns::{RecordType, Snapshot, labels, text_of, zone_for},
};

use super::{
    Finding, Settings,
    observed::{Observed, is_owner},
    rows::{PublishedKey, PublishedRecord, RecordProblem},
};

/// The record sets of a zone as facts. TXT sets that carry no ownership of their own (challenge tokens, SPF and the
/// like) are nobody's business here and left out.
pub fn published(snapshot: &Snapshot, settings: &Settings) -> Vec<PublishedRecord> {
    let zone = Observed::new(snapshot, settings);
    zone.data()
        .map(|set| (set, zone.owner(set, settings)))
        .filter(|(set, owner)| set.r#type != RecordType::Txt || owner.is_some())
        .map(|(set, owner)| PublishedRecord {
            key: PublishedKey { zone: snapshot.zone.clone(), name: set.name.clone(), r#type: set.r#type },
            set: set.clone(),
            registry: owner.as_ref().map(|(txt, _)| (*txt).clone()),
            ours: owner.is_some_and(|(_, ownership)| is_owner(&ownership, settings)),
        })
        .collect()
}

/// A finding of a plan as a fact.
pub fn record_problem(zone: &Name, finding: &Finding) -> RecordProblem {
    let name = finding.about.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
    RecordProblem {
        key: (name, finding.problem.on(object(&finding.resource).unwrap_or_else(|| zone_object(zone)))),
    }
}

/// A problem with a zone as a whole, or with its provider.
pub fn zone_problem(problem: Problem) -> RecordProblem {
    RecordProblem { key: (Name::default(), problem) }
}

/// What problems of a zone are filed on.
pub fn zone_object(zone: &Name) -> ObjectKey {
    ObjectKey::new("", "Zone", "", zone.clone())
}

/// The object behind a resource label such as `httproute/namespace/name`.
fn object(resource: &str) -> Option<ObjectKey> {
    let mut parts = resource.splitn(3, '/');
    let kind = match parts.next()? {
        "httproute" => RouteKind::Http,
        "grpcroute" => RouteKind::Grpc,
        _ => return None,
    };
    Some(RouteKey { kind, name: NamespacedName::new(parts.next()?, parts.next()?) }.object())
}

/// The zone that the embedded provider should hold for a name: the longest of the domain filters and the solvers' zones
/// that holds it, else its last two labels. `None` if the filters leave the name out.
pub fn embedded_zone(name: &Name, settings: &Settings, solver_zones: &[Name]) -> Option<Name> {
    let filters: Vec<Name> =
        settings.domain_filter.iter().map(|filter| filter.trim_start_matches('.').into()).collect();
    if let Some(zone) = zone_for(name, filters.iter().chain(solver_zones)) {
        return Some(zone.clone());
    }
    if !settings.in_scope(name) {
        return None;
    }
    let labels = labels(name).ok()?;
    Some(text_of(&labels[labels.len().saturating_sub(2)..]).into()).filter(|zone: &Name| !zone.is_empty())
}
