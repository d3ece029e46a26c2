//! One round over the zones that are due.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use futures::StreamExt as _;
use portolan_core::dns::{
    Plan,
    observe::{finding_problem, provider_problem, published},
    plan_of,
    rows::{DnsSettings, PublishedKey, PublishedRecord, WantedName},
};
use portolan_model::{
    Name, Problem,
    dns::{GroupResult, Snapshot, zone_for},
};

use super::{Keeper, Report};
use crate::dns::{ProviderError, query};

/// Questions under way at once.
const QUESTIONS: usize = 32;

impl Keeper {
    /// Brings the zones of these names (`None`: all zones) to what is wanted.
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
                    let due: Vec<&Name> = match names {
                        None => zones.iter().collect(),
                        Some(names) => {
                            let due: BTreeSet<&Name> =
                                names.iter().filter_map(|name| zone_for(name, &zones)).collect();
                            due.into_iter().collect()
                        }
                    };
                    for zone in due {
                        self.zone(zone, &zones, &components, &mut report).await;
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

    async fn zone(&mut self, zone: &Name, zones: &[Name], components: &[DnsSettings], report: &mut Report) {
        let mut observed = match self.provider.snapshot(zone).await {
            Ok(observed) => observed,
            Err(error) => return self.failed(zone, &error, report),
        };
        let wanted: Vec<WantedName> =
            self.wanted.values().filter(|row| zone_for(&row.key, zones) == Some(zone)).cloned().collect();
        let mut problems: BTreeSet<(Name, Problem)> = BTreeSet::new();
        // What one component gives up another may have waited for: again, until all have what they want.
        for _ in components {
            problems.clear();
            let mut wrote = false;
            for component in components.iter().filter(|component| component.managed) {
                let made = plan_of(component, components, &wanted, &observed);
                problems.extend(made.problems.iter().map(|finding| finding_problem(zone, finding)));
                if made.is_empty() {
                    continue;
                }
                wrote = true;
                problems.extend(self.write(&made, report).await);
                observed = match self.provider.snapshot(zone).await {
                    Ok(observed) => observed,
                    Err(error) => return self.failed(zone, &error, report),
                };
            }
            if !wrote || report.unfinished {
                break;
            }
        }
        self.problems.insert(zone.clone(), problems);
        if observed.complete {
            self.saw(&observed, components, report);
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

    /// Notes what a zone holds. What changed has to be asked for again.
    fn saw(&mut self, observed: &Snapshot, components: &[DnsSettings], report: &mut Report) {
        let now: BTreeMap<PublishedKey, PublishedRecord> =
            published(observed, components).into_iter().map(|row| (row.key.clone(), row)).collect();
        let before: Vec<PublishedKey> =
            self.seen.keys().filter(|key| key.zone == observed.zone).cloned().collect();
        for key in before {
            if !now.contains_key(&key) {
                self.seen.remove(&key);
                self.forget(&key.name, report);
                report.published.push((key, None));
            }
        }
        for (key, row) in now {
            if self.seen.get(&key) != Some(&row) {
                self.forget(&key.name, report);
                report.published.push((key.clone(), Some(row.clone())));
                self.seen.insert(key, row);
            }
        }
    }

    fn forget(&mut self, name: &Name, report: &mut Report) {
        if self.answers.remove(name).is_some() {
            report.answers.push((name.clone(), None));
        }
    }

    /// Asks every server of the provider for our names that are not known to be answered.
    async fn ask(&mut self, report: &mut Report) {
        let mut names: BTreeMap<Name, Vec<PublishedRecord>> = BTreeMap::new();
        for row in self.seen.values().filter(|row| row.ours) {
            if self.answers.get(&row.key.name) != Some(&Ok(())) {
                names.entry(row.key.name.clone()).or_default().push(row.clone());
            }
        }
        let servers = self.provider.servers();
        let asked = futures::stream::iter(names).map(|(name, rows)| {
            let servers = &servers;
            async move {
                let state = answered(servers, &name, &rows).await;
                (name, state)
            }
        });
        let states: Vec<(Name, Result<(), String>)> = asked.buffer_unordered(QUESTIONS).collect().await;
        for (name, state) in states {
            report.unfinished |= state.is_err();
            if self.answers.get(&name) != Some(&state) {
                report.answers.retain(|(other, _)| *other != name);
                report.answers.push((name.clone(), Some(state.clone())));
                self.answers.insert(name, state);
            }
        }
        report.answers.sort();
    }
}

/// Whether every server answers with every value of these sets.
async fn answered(servers: &[SocketAddr], name: &Name, rows: &[PublishedRecord]) -> Result<(), String> {
    if servers.is_empty() {
        return Err("the provider names no server that could be asked".to_owned());
    }
    let asked = match name.strip_prefix("*.") {
        Some(parent) => format!("portolan-probe.{parent}"),
        None => name.to_string(),
    };
    for server in servers {
        for row in rows {
            let answer = query::ask(*server, &asked, row.set.r#type).await.map_err(|e| e.to_string())?;
            let found: Vec<&str> = answer.values(row.set.r#type).collect();
            if !answer.authoritative || !row.set.values.iter().all(|value| found.contains(&value.as_str())) {
                return Err(format!(
                    "{server} answers {asked} {} with {} [{}], not [{}]",
                    row.set.r#type,
                    answer.rcode,
                    found.join(", "),
                    row.set.values.join(", ")
                ));
            }
        }
    }
    Ok(())
}
