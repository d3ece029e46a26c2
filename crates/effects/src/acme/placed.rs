//! Challenges of one order whose names have servers of their own.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::Challenges;
use crate::dns::rfc2136::TxtUpdates;

/// Challenges at the servers that solvers name, by the name of the record set.
#[derive(Debug, Default)]
pub struct PlacedChallenges {
    by_fqdn: BTreeMap<String, Arc<TxtUpdates>>,
}

impl PlacedChallenges {
    /// Record sets with their servers.
    pub fn new(by_fqdn: BTreeMap<String, Arc<TxtUpdates>>) -> Self {
        Self { by_fqdn }
    }

    fn of(&self, fqdn: &str) -> Result<&TxtUpdates, String> {
        self.by_fqdn.get(fqdn).map(|server| &**server).ok_or_else(|| format!("no solver is for {fqdn}"))
    }
}

#[async_trait]
impl Challenges for PlacedChallenges {
    async fn present(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.of(fqdn)?.add(fqdn, value).await
    }

    async fn visible(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.of(fqdn)?.visible(fqdn, value).await
    }

    async fn clean_up(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.of(fqdn)?.remove(fqdn, value).await
    }
}
