//! One round over what is due: whole zones, or some names of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use portolan_core::dns::{
    Part, Plan,
    observe::{finding_problem, provider_problem, published},
    plan_of,
    rows::{DnsSettings, PublishedKey, PublishedRecord, WantedName},
};
use portolan_model::{
    Name, Problem,
    dns::{GroupResult, RecordType, Snapshot, zone_for},
};

use super::{Keeper, Report};
use crate::dns::ProviderError;

impl Keeper {
    /// Brings these names (`None`: all zones) to what is wanted.
    pub(super) async fn round(&mut self, names: Option<&BTreeSet<Name>>) -> Report {
        let mut report = Report { generation: self.generation, ..Report::default() };
        let components = self.components.clone();
        if components.is_empty() {
            return report;
        }
        if components.iter().any(|component| component.managed) {
            match self.provider.zones().await {
                Ok(zones) => {
                    self.problems.remove(&Name::default());
                    for (zone, names) in due(&zones, names) {
                        let part = names.map(|names| Part::of(names, zone, &components));
                        self.zone(zone, &zones, &components, part, &mut report).await;
                    }
                }
                Err(error) => self.failed(&Name::default(), &error, &mut report),
            }
        } else {
            self.problems.clear();
        }
        self.ask(&mut report).await;
        let problems: BTreeSet<(Name, Problem)> = self.problems.values().flatten().cloned().collect();
        if problems != self.told {
            report.problems = Some(problems.clone());
            self.told = problems;
        }
        report
    }

    async fn zone(
        &mut self,
        zone: &Name,
        zones: &[Name],
        components: &[DnsSettings],
        part: Option<Part>,
        report: &mut Report,
    ) {
        // What is wrong with the zone as a whole is only found to be over by looking at the whole.
        let whole = |problems: &BTreeSet<(Name, Problem)>| problems.iter().any(|(name, _)| name.is_empty());
        let part = part.filter(|_| !self.problems.get(zone).is_some_and(whole));
        let (mut part, mut observed) = match self.read(zone, part).await {
            Ok(read) => read,
            Err(error) => return self.failed(zone, &error, report),
        };
        let mut problems: BTreeSet<(Name, Problem)> = BTreeSet::new();
        // What one component gives up another may have waited for: again, until all have what they want. And once more if
        // a part turns out to concern the whole.
        for _ in 0..=components.len() {
            problems.clear();
            let wanted = self.wanted_in(zone, zones, part.as_ref());
            self.planned.fetch_add(wanted.len() as u64, Ordering::Relaxed);
            let mut wrote = false;
            for component in components.iter().filter(|component| component.managed) {
                let owned = self.owned.get(&(zone.clone(), component.key.clone())).copied().unwrap_or(0);
                let of = part.as_ref().map(|part| (part, owned));
                let made = plan_of(component, components, &wanted, &observed, of);
                problems.extend(made.problems.iter().map(|finding| finding_problem(zone, finding)));
                if part.is_some() && whole(&problems) {
                    break;
                }
                if made.is_empty() {
                    continue;
                }
                wrote = true;
                problems.extend(self.write(&made, report).await);
                (part, observed) = match self.read(zone, part).await {
                    Ok(read) => read,
                    Err(error) => return self.failed(zone, &error, report),
                };
            }
            if part.is_some() && whole(&problems) {
                (part, observed) = match self.read(zone, None).await {
                    Ok(read) => read,
                    Err(error) => return self.failed(zone, &error, report),
                };
                continue;
            }
            if !wrote || report.unfinished {
                break;
            }
        }
        if let Some(part) = &part {
            let kept = self.problems.remove(zone).unwrap_or_default();
            problems.extend(kept.into_iter().filter(|(name, _)| !part.names.contains(name)));
        }
        self.problems.insert(zone.clone(), problems);
        if observed.complete {
            self.saw(&observed, components, part.as_ref(), report);
        }
    }

    /// Reads a part of a zone, or (`None`, or where the provider can do no less) all of it.
    async fn read(&self, zone: &Name, part: Option<Part>) -> Result<(Option<Part>, Snapshot), ProviderError> {
        if let Some(part) = part
            && let Some(mut observed) = self.provider.snapshot_of(zone, &part.read()).await?
        {
            observed.sets.retain(|set| part.holds(set));
            return Ok((Some(part), observed));
        }
        Ok((None, self.provider.snapshot(zone).await?))
    }

    fn wanted_in(&self, zone: &Name, zones: &[Name], part: Option<&Part>) -> Vec<WantedName> {
        let here = |row: &&WantedName| zone_for(&row.key, zones) == Some(zone);
        let all = self.wanted.values().map(|row| &**row);
        match part {
            None => all.filter(here).cloned().collect(),
            Some(part) => {
                let of = part.names.iter().filter_map(|name| self.wanted.get(name)).map(|row| &**row);
                of.filter(here).cloned().collect()
            }
        }
    }

    async fn write(&self, made: &Plan, report: &mut Report) -> Vec<(Name, Problem)> {
        let changes = made.change_set();
        let results = self.provider.apply(&changes).await;
        let actions = made.actions.iter().filter(|action| !action.group.changes.is_empty());
        let mut problems = Vec::new();
        for (action, result) in actions.zip(results) {
            tracing::info!(set = %action.set, ?result, "DNS");
            let (GroupResult::Refused { why } | GroupResult::Unknown { why }) = result else { continue };
            report.unfinished = true;
            problems.push(provider_problem(&made.zone, Some(action), &why));
        }
        problems
    }

    fn failed(&mut self, zone: &Name, error: &ProviderError, report: &mut Report) {
        report.unfinished = true;
        let problem = provider_problem(zone, None, &error.to_string());
        self.problems.insert(zone.clone(), [problem].into());
    }

    /// Notes what a zone, or some names of it, hold. What changed has to be asked for again.
    fn saw(
        &mut self,
        observed: &Snapshot,
        components: &[DnsSettings],
        part: Option<&Part>,
        report: &mut Report,
    ) {
        let here = |name: &Name| part.is_none_or(|part| part.names.contains(name));
        let now: BTreeMap<PublishedKey, Arc<PublishedRecord>> = published(observed, components)
            .into_iter()
            .filter(|row| here(&row.key.name))
            .map(|row| (row.key.clone(), Arc::new(row)))
            .collect();
        let before: Vec<PublishedKey> = match part {
            None => self.seen.keys().filter(|key| key.zone == observed.zone).cloned().collect(),
            Some(part) => part
                .names
                .iter()
                .flat_map(|name| {
                    let key =
                        |r#type| PublishedKey { zone: observed.zone.clone(), name: name.clone(), r#type };
                    RecordType::ALL.map(key)
                })
                .filter(|key| self.seen.contains_key(key))
                .collect(),
        };
        for key in before {
            if !now.contains_key(&key) {
                self.unsee(&key);
                self.forget(&key.name, report);
                report.published.push((key, None));
            }
        }
        for (key, row) in now {
            if self.seen.get(&key) != Some(&row) {
                self.forget(&key.name, report);
                report.published.push((key, Some(Arc::clone(&row))));
                self.see(row);
            }
        }
    }

    /// Takes in a record that stands.
    pub(super) fn see(&mut self, row: Arc<PublishedRecord>) {
        self.unsee(&row.key);
        for component in &row.components {
            *self.owned.entry((row.key.zone.clone(), component.clone())).or_default() += 1;
        }
        if row.ours && self.answers.get(&row.key.name) != Some(&Ok(())) {
            self.unasked.insert(row.key.name.clone());
        }
        self.seen.insert(row.key.clone(), row);
    }

    fn unsee(&mut self, key: &PublishedKey) {
        let Some(row) = self.seen.remove(key) else { return };
        for component in &row.components {
            if let Some(owned) = self.owned.get_mut(&(key.zone.clone(), component.clone())) {
                *owned = owned.saturating_sub(1);
            }
        }
    }

    fn forget(&mut self, name: &Name, report: &mut Report) {
        if self.answers.remove(name).is_some() {
            report.answers.push((name.clone(), None));
        }
    }
}

/// The zones that are due, with the names of them that are (`None`: all).
fn due<'a>(
    zones: &'a [Name],
    names: Option<&'a BTreeSet<Name>>,
) -> BTreeMap<&'a Name, Option<Vec<&'a Name>>> {
    let Some(names) = names else { return zones.iter().map(|zone| (zone, None)).collect() };
    let mut due: BTreeMap<&Name, Option<Vec<&Name>>> = BTreeMap::new();
    for name in names {
        if let Some(zone) = zone_for(name, zones) {
            due.entry(zone).or_insert_with(|| Some(Vec::new())).get_or_insert_default().push(name);
        }
    }
    due
}
