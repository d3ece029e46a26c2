//! The planner: wanted records and a zone's snapshot in, decisions out. Pure; run by the effect before every write and by
//! `plan` and `explain` without one.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{
    Name,
    dns::{RecordSet, Snapshot, in_zone, normal_name},
};

use super::{
    Action, Because, DnsProblem, Finding, Part, Plan, Settings, Verb, WantedRecord, observed::Observed,
    row::Row,
};

/// More deletions than this at once, and more than [`BREAKER_PERCENT`] of what we own, open the breaker.
pub const BREAKER_SETS: usize = 10;
/// See [`BREAKER_SETS`].
pub const BREAKER_PERCENT: usize = 30;

/// Decides what one zone needs.
///
/// `wanted` are the desired records whose names belong to this zone ([`portolan_model::dns::zone_for`]), after [`super::merge`]. A
/// desired record without values means "targets lost for the moment": what we own at that name is held.
pub fn plan(wanted: &[WantedRecord], observed: &Snapshot, settings: &Settings) -> Plan {
    decide(wanted, observed, settings, None)
}

/// Decides what these names of a zone need. `wanted` and `observed` are what concerns the part; `owned` is how many sets of
/// the whole zone are ours.
pub fn plan_part(
    wanted: &[WantedRecord],
    observed: &Snapshot,
    settings: &Settings,
    part: &Part,
    owned: usize,
) -> Plan {
    decide(wanted, observed, settings, Some((part, owned)))
}

fn decide(
    wanted: &[WantedRecord],
    observed: &Snapshot,
    settings: &Settings,
    part: Option<(&Part, usize)>,
) -> Plan {
    let mut plan = Plan { zone: observed.zone.clone(), actions: Vec::new(), problems: Vec::new() };
    if !observed.complete {
        plan.problems.push(Finding {
            resource: Name::default(),
            about: None,
            problem: DnsProblem::IncompleteSnapshot { zone: observed.zone.clone() },
        });
        return plan;
    }
    let zone = Observed::new(observed, settings);
    let within = |set: &&RecordSet| part.is_none_or(|(part, _)| part.names.contains(&set.name));
    let ours = zone.data().filter(within).filter(|set| zone.ours(set, settings).is_some());
    let owned: Vec<&RecordSet> = ours.collect();
    let mut names: BTreeMap<Name, Vec<&WantedRecord>> = BTreeMap::new();
    let managed = |set: &&&RecordSet| settings.types.contains(&set.r#type) && settings.in_scope(&set.name);
    for set in owned.iter().filter(managed) {
        names.entry(set.name.clone()).or_default();
    }
    for desired in wanted {
        if let Some(problem) = unusable(desired, &observed.zone) {
            leave(&mut plan, desired, Because::Problem);
            find(&mut plan, desired, problem);
        } else if settings.in_scope(&desired.set.name) {
            names.entry(desired.set.name.clone()).or_default().push(desired);
        } else {
            leave(&mut plan, desired, Because::Filtered);
        }
    }
    let mut claimed = BTreeSet::new();
    for (name, all_desired) in &names {
        Row { zone: &observed.zone, name, observed: &zone, settings }.decide(
            all_desired,
            &mut claimed,
            &mut plan,
        );
    }
    breaker(&mut plan, part.map_or(owned.len(), |(_, all)| all.max(owned.len())), settings);
    plan.actions.sort_by(|a, b| {
        let rank = |action: &Action| (action.verb != Verb::Delete, action.set.key(), action.resource.clone());
        rank(a).cmp(&rank(b))
    });
    plan.problems.sort_by(|a, b| (&a.about, &a.resource).cmp(&(&b.about, &b.resource)));
    plan
}

fn unusable(desired: &WantedRecord, zone: &Name) -> Option<DnsProblem> {
    let name = &desired.set.name;
    match normal_name(name) {
        Err(why) => Some(DnsProblem::InvalidName { field: Name::default(), value: name.to_string(), why }),
        Ok(_) if !in_zone(name, zone) => {
            Some(DnsProblem::OutsideZone { name: name.clone(), zone: zone.clone() })
        }
        Ok(_) => None,
    }
}

/// Refuses all deletions of a plan that deletes too much: most likely the desired records were lost, not withdrawn.
fn breaker(plan: &mut Plan, owned: usize, settings: &Settings) {
    let deletions = plan.actions.iter().filter(|action| action.verb == Verb::Delete).count();
    if settings.allow_mass_deletion || deletions <= BREAKER_SETS || deletions * 100 <= owned * BREAKER_PERCENT
    {
        return;
    }
    for action in plan.actions.iter_mut().filter(|action| action.verb == Verb::Delete) {
        action.verb = Verb::Leave { because: Because::Breaker };
        action.group.changes.clear();
    }
    plan.problems.push(Finding {
        resource: Name::default(),
        about: None,
        problem: DnsProblem::TooManyDeletions { zone: plan.zone.clone(), deletions, owned },
    });
}

pub(super) fn leave(plan: &mut Plan, desired: &WantedRecord, because: Because) {
    plan.actions.push(Action {
        set: desired.set.clone(),
        resource: desired.resource.clone(),
        verb: Verb::Leave { because },
        group: portolan_model::dns::Group::default(),
    });
}

pub(super) fn find(plan: &mut Plan, desired: &WantedRecord, problem: DnsProblem) {
    plan.problems.push(Finding {
        resource: desired.resource.clone(),
        about: Some(desired.set.key()),
        problem,
    });
}
