//! One name of a zone: all desired records for it, all sets that stand there, and what is done (external-dns `plan/plan.go`,
//! `plan/conflict.go`, and where we are stricter).

use std::collections::BTreeSet;

use portolan_model::{
    Name,
    dns::{Change, Group, RecordSet, RecordType, in_zone},
};

use super::{
    Action, Because, DnsProblem, Ownership, Plan, Policy, Settings, Verb, WantedRecord,
    observed::{Entry, Observed, is_owner},
    plan::{find, leave},
};

/// A name under decision.
pub(super) struct Row<'r, 'a> {
    pub zone: &'r Name,
    pub name: &'r Name,
    pub observed: &'r Observed<'a>,
    pub settings: &'r Settings,
}

/// A desired record that cannot be carried out.
type Blocked = (Because, Option<DnsProblem>);

impl<'a> Row<'_, 'a> {
    /// Decides the row. `claimed` are the registry names that earlier sets of this plan use.
    pub fn decide(&self, all_desired: &[&WantedRecord], claimed: &mut BTreeSet<Name>, plan: &mut Plan) {
        let ours: Vec<(&RecordSet, &RecordSet, Ownership)> = self
            .observed
            .at(self.name)
            .filter(|set| self.settings.types.contains(&set.r#type))
            .filter_map(|set| self.observed.ours(set, self.settings).map(|(txt, whose)| (set, txt, whose)))
            .collect();
        let winners = self.winners(all_desired, &ours, plan);
        // Targets lost for a moment: whatever we own at the name is held.
        let mut held = None;
        for desired in all_desired.iter().filter(|desired| desired.set.values.is_empty()) {
            leave(plan, desired, Because::NoTargets);
            held = Some(Because::NoTargets);
        }
        let mut gone: Vec<(&RecordSet, &RecordSet, Ownership)> = ours
            .iter()
            .filter(|(set, ..)| !winners.iter().any(|desired| desired.set.r#type == set.r#type))
            .cloned()
            .collect();
        let mut removed: Vec<RecordType> = Vec::new();
        for desired in &winners {
            // A set of the other kind (CNAME against all others) makes way in the same group.
            let clashing = |set: &RecordSet| {
                (set.r#type == RecordType::Cname) != (desired.set.r#type == RecordType::Cname)
            };
            let (replaced, rest): (Vec<_>, Vec<_>) =
                gone.iter().cloned().partition(|(set, ..)| clashing(set));
            match self.make(desired, &replaced, &removed, claimed) {
                Ok(action) => {
                    removed.extend(replaced.iter().map(|(set, ..)| set.r#type));
                    if action.verb != (Verb::Leave { because: Because::AsWanted }) {
                        gone = rest;
                    }
                    plan.actions.push(action);
                }
                Err((because, problem)) => {
                    leave(plan, desired, because.clone());
                    if let Some(problem) = problem {
                        find(plan, desired, problem);
                    }
                    held.get_or_insert(because);
                }
            }
        }
        for (set, txt, whose) in gone {
            if let (None, Some(desired)) = (&held, winners.first())
                && self.settings.policy != Policy::Sync
            {
                find(plan, desired, self.forbidden(format!("delete {}", set.r#type)));
            }
            let because = match (&held, self.settings.policy) {
                (Some(because), _) => Some(because.clone()),
                (None, Policy::Sync) => None,
                (None, _) => Some(Because::Policy),
            };
            let changes = if because.is_none() { removal(set, txt) } else { Vec::new() };
            claimed.insert(txt.name.clone());
            plan.actions.push(Action {
                set: set.clone(),
                resource: whose.resource().into(),
                verb: because.map_or(Verb::Delete, |because| Verb::Leave { because }),
                group: Group { changes },
            });
        }
    }

    /// The desired record that counts for each type; the others are reported.
    fn winners<'w>(
        &self,
        all_desired: &[&'w WantedRecord],
        ours: &[(&RecordSet, &RecordSet, Ownership)],
        plan: &mut Plan,
    ) -> Vec<&'w WantedRecord> {
        let with_values = all_desired.iter().copied().filter(|desired| !desired.set.values.is_empty());
        let others = with_values.clone().any(|desired| desired.set.r#type != RecordType::Cname);
        let mut winners: Vec<&WantedRecord> = Vec::new();
        for r#type in RecordType::ALL {
            let mut candidates: Vec<_> = with_values.clone().filter(|w| w.set.r#type == r#type).collect();
            if r#type == RecordType::Cname && (others || self.name == self.zone) {
                for desired in candidates {
                    leave(plan, desired, Because::Problem);
                    find(
                        plan,
                        desired,
                        if self.name == self.zone {
                            DnsProblem::CnameAtApex { zone: self.zone.clone() }
                        } else {
                            DnsProblem::CnameBesideOther { name: self.name.clone() }
                        },
                    );
                }
                continue;
            }
            let holder =
                ours.iter().find(|(set, ..)| set.r#type == r#type).map(|(.., whose)| whose.resource());
            candidates.sort_by_cached_key(|desired| {
                (
                    holder != Some(desired.resource.as_str()),
                    desired.set.values.len(),
                    size(&desired.set),
                    desired.resource.clone(),
                    desired.set.ttl,
                )
            });
            let Some((winner, losers)) = candidates.split_first() else { continue };
            for loser in losers.iter().filter(|loser| loser.set != winner.set) {
                leave(plan, loser, Because::Problem);
                let winner = winner.resource.clone();
                find(plan, loser, DnsProblem::Conflict { name: self.name.clone(), r#type, winner });
            }
            winners.push(winner);
        }
        winners
    }

    fn make(
        &self,
        desired: &WantedRecord,
        replaced: &[(&'a RecordSet, &'a RecordSet, Ownership)],
        removed: &[RecordType],
        claimed: &mut BTreeSet<Name>,
    ) -> Result<Action, Blocked> {
        let set = &desired.set;
        let txt_name = self.registry_name(set)?;
        if !claimed.insert(txt_name.clone()) {
            return Err(taken(set, txt_name));
        }
        let current = self.observed.set(&set.name, set.r#type);
        if let Some(foreign) = self.foreign(current) {
            let owner = self.observed.owner(foreign);
            let owner = owner.and_then(|(_, whose)| whose.owner().map(str::to_owned));
            let problem =
                DnsProblem::NotOurs { name: set.name.clone(), r#type: foreign.r#type, owner: owner.clone() };
            return Err((Because::NotOurs { owner }, Some(problem)));
        }
        if current.is_none() {
            // Not only managed types: a CNAME may not stand beside a TXT either (RFC 1034 section 3.6.2).
            let alias = set.r#type == RecordType::Cname;
            let stays = |at: &RecordSet| {
                (alias || at.r#type == RecordType::Cname)
                    && !removed.contains(&at.r#type)
                    && !replaced.iter().any(|(gone, ..)| gone.r#type == at.r#type)
            };
            if self.observed.at(&set.name).any(stays) {
                let problem = DnsProblem::CnameBesideOther { name: set.name.clone() };
                return Err((Because::Problem, Some(problem)));
            }
        }
        let mut changes: Vec<Change> = replaced.iter().flat_map(|(set, txt, _)| removal(set, txt)).collect();
        let mut from: Vec<RecordSet> = replaced.iter().map(|(set, ..)| (*set).clone()).collect();
        let same = current.is_some_and(|current| is_same(set, current));
        changes.push(match current {
            None => Change::create(set.clone()),
            Some(current) => {
                from.push(current.clone());
                let ttl = set.ttl.or(current.ttl);
                Change::replace(current.clone(), RecordSet { ttl, ..set.clone() })
            }
        });
        let mut entry_same = false;
        changes.push(match self.observed.entry(&set.name, set.r#type, &txt_name) {
            Entry::Free => {
                let text = Ownership::new(&self.settings.owner, &desired.resource).text();
                Change::create(RecordSet {
                    name: txt_name,
                    r#type: RecordType::Txt,
                    ttl: None,
                    values: vec![text],
                })
            }
            Entry::Of(txt, whose) if is_owner(&whose, self.settings) => {
                let owner = self.settings.owner.to_string();
                entry_same =
                    whose.resource() == desired.resource.as_str() && whose.owner() == Some(owner.as_str());
                let mut new = txt.clone();
                if !entry_same {
                    let mut whose = whose;
                    whose.labels.insert("owner".to_owned(), owner);
                    whose.labels.insert("resource".to_owned(), desired.resource.to_string());
                    new.values[0] = whose.text();
                    new.values.sort_unstable();
                }
                Change::replace(txt.clone(), new)
            }
            Entry::Of(_, whose) => {
                let owner = whose.owner().map(str::to_owned);
                let problem =
                    DnsProblem::NotOurs { name: txt_name, r#type: RecordType::Txt, owner: owner.clone() };
                return Err((Because::NotOurs { owner }, Some(problem)));
            }
            Entry::Taken => return Err(taken(set, txt_name)),
        });
        let verb = match (from.is_empty(), self.settings.policy) {
            (true, _) => Verb::Create,
            _ if same && entry_same && replaced.is_empty() => Verb::Leave { because: Because::AsWanted },
            (false, policy)
                if policy == Policy::CreateOnly || policy != Policy::Sync && !replaced.is_empty() =>
            {
                let what = match from.iter().find(|from| from.r#type != set.r#type) {
                    Some(old) => format!("replace {} by {}", old.r#type, set.r#type),
                    None => format!("change {}", set.r#type),
                };
                return Err((Because::Policy, Some(self.forbidden(what))));
            }
            (false, _) => Verb::Update { from },
        };
        if matches!(verb, Verb::Leave { .. }) {
            changes.clear();
        }
        let group = Group { changes };
        Ok(Action { set: set.clone(), resource: desired.resource.clone(), verb, group })
    }

    fn forbidden(&self, what: String) -> DnsProblem {
        DnsProblem::PolicyForbids { name: self.name.clone(), what, policy: self.settings.policy.as_str() }
    }

    fn registry_name(&self, set: &RecordSet) -> Result<Name, Blocked> {
        let txt = self.observed.registry.txt_name(&set.name, set.r#type);
        let txt = txt.map_err(|problem| (Because::Problem, Some(problem)))?;
        if in_zone(&txt, self.zone) {
            return Ok(txt);
        }
        let problem =
            DnsProblem::RegistryOutsideZone { name: set.name.clone(), txt, zone: self.zone.clone() };
        Err((Because::Problem, Some(problem)))
    }

    /// The set that forbids the desired record: the set itself if it is not ours, or, for a new set, any address or alias of the name
    /// that is not ours.
    fn foreign(&self, current: Option<&'a RecordSet>) -> Option<&'a RecordSet> {
        let foreign = |set: &&'a RecordSet| self.observed.ours(set, self.settings).is_none();
        if current.is_some() {
            return current.filter(foreign);
        }
        let counts =
            |set: &&RecordSet| set.r#type == RecordType::Cname || self.settings.types.contains(&set.r#type);
        self.observed.at(self.name).filter(counts).find(foreign)
    }
}

fn taken(set: &RecordSet, txt: Name) -> Blocked {
    (Because::Problem, Some(DnsProblem::RegistryNameTaken { name: set.name.clone(), txt }))
}

/// Whether the zone holds what is wanted. A TTL that is not desired is not compared; the values of our own sets are in
/// normal form, those of other writers are brought into it first.
fn is_same(wanted: &RecordSet, observed: &RecordSet) -> bool {
    let observed_values = RecordSet::new(
        observed.name.clone(),
        observed.r#type,
        None,
        observed.values.iter().map(String::as_str),
    )
    .values;
    wanted.values == observed_values && (wanted.ttl.is_none() || wanted.ttl == observed.ttl)
}

/// Removes a set and its entry. Other values that somebody keeps in the entry's TXT set stay.
fn removal(set: &RecordSet, txt: &RecordSet) -> Vec<Change> {
    let rest: Vec<String> = txt.values.iter().skip(1).cloned().collect();
    let entry = if rest.is_empty() {
        Change::delete(txt.clone())
    } else {
        Change::replace(txt.clone(), RecordSet { values: rest, ..txt.clone() })
    };
    vec![Change::delete(set.clone()), entry]
}

/// Orders the values of equal-sized sets: addresses by number, names by text.
fn size(set: &RecordSet) -> (Vec<std::net::IpAddr>, Vec<String>) {
    let mut addresses: Vec<_> = set.values.iter().filter_map(|value| value.parse().ok()).collect();
    addresses.sort_unstable();
    (addresses, set.values.clone())
}
