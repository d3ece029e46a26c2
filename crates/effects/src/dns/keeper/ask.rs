//! Whether what stands is answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use futures::StreamExt as _;
use portolan_core::dns::rows::{PublishedKey, PublishedRecord};
use portolan_model::{Name, dns::RecordType};

use super::{Keeper, Report};
use crate::dns::query;

/// Questions under way at once.
const QUESTIONS: usize = 32;

impl Keeper {
    /// Asks every server of the provider for our names that are not known to be answered.
    pub(super) async fn ask(&mut self, report: &mut Report) {
        let unasked = std::mem::take(&mut self.unasked);
        let zones: BTreeSet<Name> = self.owned.keys().map(|(zone, _)| zone.clone()).collect();
        let names: Vec<(Name, Vec<Arc<PublishedRecord>>)> = unasked
            .into_iter()
            .map(|name| {
                let rows = zones.iter().flat_map(|zone| self.ours(zone, &name)).cloned().collect();
                (name, rows)
            })
            .filter(|(_, rows): &(Name, Vec<Arc<PublishedRecord>>)| !rows.is_empty())
            .collect();
        let provider = &self.provider;
        let asked = futures::stream::iter(names).map(|(name, rows)| async move {
            let servers = provider.servers_of(&name).await;
            let state = answered(&servers, &name, &rows).await;
            (name, state)
        });
        let states: Vec<(Name, Result<(), String>)> = asked.buffer_unordered(QUESTIONS).collect().await;
        let mut answers: BTreeMap<Name, Option<Result<(), String>>> =
            std::mem::take(&mut report.answers).into_iter().collect();
        for (name, state) in states {
            if state.is_err() {
                report.unfinished = true;
                self.unasked.insert(name.clone());
            }
            if self.answers.get(&name) != Some(&state) {
                answers.insert(name.clone(), Some(state.clone()));
                self.answers.insert(name, state);
            }
        }
        report.answers = answers.into_iter().collect();
    }

    /// What stands at a name of a zone and is ours.
    fn ours(&self, zone: &Name, name: &Name) -> impl Iterator<Item = &Arc<PublishedRecord>> {
        let key = |r#type| PublishedKey { zone: zone.clone(), name: name.clone(), r#type };
        let keys = RecordType::ALL.map(key);
        keys.into_iter().filter_map(|key| self.seen.get(&key)).filter(|row| row.ours)
    }
}

/// Whether every server answers with every value of these sets.
async fn answered(servers: &[SocketAddr], name: &Name, rows: &[Arc<PublishedRecord>]) -> Result<(), String> {
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
