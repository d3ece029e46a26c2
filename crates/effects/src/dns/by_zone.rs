//! Several providers as one: each zone is at the provider that holds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use portolan_model::{
    Name,
    dns::{ChangeSet, GroupResult, RecordType, Snapshot, zone_for},
};

use super::{
    provider::{Capabilities, DnsProvider, ProviderError, TtlRange},
    query,
};

type Providers = BTreeMap<Name, Arc<dyn DnsProvider>>;

/// Providers by zone. Which ones there are may change while it is used; what is under way goes on with those it began with.
#[derive(Default)]
pub struct ByZone {
    zones: RwLock<Providers>,
}

impl ByZone {
    /// Takes these in place of all that there were.
    pub fn set(&self, zones: Providers) {
        *self.zones.write().unwrap_or_else(PoisonError::into_inner) = zones;
    }

    fn of(&self, zone: &Name) -> Result<Arc<dyn DnsProvider>, ProviderError> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        zones.get(zone).cloned().ok_or_else(|| ProviderError::NoSuchZone { zone: zone.clone() })
    }

    fn for_name(&self, name: &str) -> Option<Arc<dyn DnsProvider>> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        zone_for(name, zones.keys()).and_then(|zone| zones.get(zone)).cloned()
    }
}

#[async_trait]
impl DnsProvider for ByZone {
    /// What all can do.
    fn capabilities(&self) -> Capabilities {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = Capabilities {
            name: "by zone",
            types: &RecordType::ALL,
            atomic_groups: true,
            compare_and_swap: true,
            star_in_label: true,
            ttl: TtlRange { min: 0, max: 2_147_483_647, default: 300 },
            max_text: 4000,
        };
        for one in zones.values().map(|provider| provider.capabilities()) {
            all.atomic_groups &= one.atomic_groups;
            all.compare_and_swap &= one.compare_and_swap;
            all.star_in_label &= one.star_in_label;
            all.max_text = all.max_text.min(one.max_text);
        }
        all
    }

    async fn zones(&self) -> Result<Vec<Name>, ProviderError> {
        Ok(self.zones.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect())
    }

    async fn snapshot(&self, zone: &Name) -> Result<Snapshot, ProviderError> {
        self.of(zone)?.snapshot(zone).await
    }

    async fn snapshot_of(
        &self,
        zone: &Name,
        names: &BTreeSet<Name>,
    ) -> Result<Option<Snapshot>, ProviderError> {
        self.of(zone)?.snapshot_of(zone, names).await
    }

    async fn apply(&self, changes: &ChangeSet) -> Vec<GroupResult> {
        match self.of(&changes.zone) {
            Ok(provider) => provider.apply(changes).await,
            Err(error) => vec![GroupResult::Refused { why: error.to_string() }; changes.groups.len()],
        }
    }

    async fn add_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        ttl: Option<u32>,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.of(zone)?.add_value(zone, name, r#type, ttl, value).await
    }

    async fn remove_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.of(zone)?.remove_value(zone, name, r#type, value).await
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<SocketAddr> = zones.values().flat_map(|provider| provider.servers()).collect();
        all.into_iter().collect()
    }

    async fn servers_of(&self, name: &str) -> Vec<SocketAddr> {
        match self.for_name(name) {
            Some(provider) => provider.servers_of(name).await,
            None => Vec::new(),
        }
    }

    async fn visible(&self, fqdn: &str, r#type: RecordType, value: &str) -> bool {
        query::visible(&self.servers_of(fqdn).await, fqdn, r#type, value).await
    }
}
