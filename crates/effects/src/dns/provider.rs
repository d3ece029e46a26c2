//! What a DNS provider can be asked for. Providers decide nothing and keep no plan: they read zones, change them as told, and
//! say what came of it.

use std::{collections::BTreeSet, net::SocketAddr};

use async_trait::async_trait;
use portolan_model::{
    Name,
    dns::{ChangeSet, GroupResult, RecordType, Snapshot},
};

use super::query;

/// What a provider can do, as data, so that planners and reports need not know providers by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Name for people, such as `embedded`.
    pub name: &'static str,
    /// Types that can be written.
    pub types: &'static [RecordType],
    /// Whether a group is really indivisible; without it a crash can leave a set without its registry TXT.
    pub atomic_groups: bool,
    /// Whether preconditions are checked by the provider itself, not by reading before writing.
    pub compare_and_swap: bool,
    /// Whether `*` is accepted in labels that are not just `*` (`a-*.example.com`, the registry name of a wildcard).
    pub star_in_label: bool,
    /// Seconds: the range of TTLs, and the TTL of sets that ask for none.
    pub ttl: TtlRange,
    /// Longest TXT value, in bytes.
    pub max_text: usize,
}

/// TTLs that a provider accepts, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlRange {
    /// Lowest.
    pub min: u32,
    /// Highest.
    pub max: u32,
    /// Used where none is asked for.
    pub default: u32,
}

/// Why a provider did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It does not hold the zone.
    #[error("the provider has no zone {zone:?}; add it to the provider or change the hostname")]
    NoSuchZone {
        /// The zone asked for.
        zone: Name,
    },
    /// It objects to the content; asking again changes nothing.
    #[error("the provider refused: {why}")]
    Refused {
        /// What it objects to.
        why: String,
    },
    /// It could not be reached or did not answer; ask again later.
    #[error("the provider is not available: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
}

/// A provider of zones.
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Names of the zones that it holds, in normal form, sorted.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`].
    async fn zones(&self) -> Result<Vec<Name>, ProviderError>;

    /// Everything of the managed types in a zone, SOA and NS of the apex left out. `complete` is true only if the provider
    /// proved it; nothing is planned on an incomplete one.
    ///
    /// # Errors
    /// [`ProviderError::NoSuchZone`], [`ProviderError::Unavailable`].
    async fn snapshot(&self, zone: &Name) -> Result<Snapshot, ProviderError>;

    /// The same of these names only, those that the zone does not hold left out; `None` if the provider can only be read
    /// whole.
    ///
    /// # Errors
    /// As [`DnsProvider::snapshot`].
    async fn snapshot_of(
        &self,
        _zone: &Name,
        _names: &BTreeSet<Name>,
    ) -> Result<Option<Snapshot>, ProviderError> {
        Ok(None)
    }

    /// Makes the groups in order; a refused group does not stop the ones after it. One result a group, in the same order.
    /// Sets with `ttl: None` get the provider's default TTL.
    async fn apply(&self, changes: &ChangeSet) -> Vec<GroupResult>;

    /// Adds one value to a set and keeps the others: the challenge tokens of an apex and of its wildcard share one TXT set. A
    /// new set gets `ttl`; an existing one keeps its own. A value that is there already is no error.
    ///
    /// # Errors
    /// [`ProviderError`], as it comes.
    async fn add_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        ttl: Option<u32>,
        value: &str,
    ) -> Result<(), ProviderError>;

    /// Removes one value from a set and keeps the others; the last one takes the set with it. A value that is not there is
    /// no error.
    ///
    /// # Errors
    /// [`ProviderError`], as it comes.
    async fn remove_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
    ) -> Result<(), ProviderError>;

    /// The authoritative servers: self-checks and the development CA ask only these.
    fn servers(&self) -> Vec<SocketAddr>;

    /// Those that answer for a name: of several zones each may have its own.
    async fn servers_of(&self, _name: &str) -> Vec<SocketAddr> {
        self.servers()
    }

    /// Whether every authoritative server answers `fqdn` with a set that holds `value`. Asks each one directly over DNS (UDP,
    /// then TCP where the answer is truncated). False if one does not answer, or if there is none.
    async fn visible(&self, fqdn: &str, r#type: RecordType, value: &str) -> bool {
        query::visible(&self.servers(), fqdn, r#type, value).await
    }
}
