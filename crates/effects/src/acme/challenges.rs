//! Where the TXT values of DNS-01 are written, and how it is seen that they are there.

use std::sync::Arc;

use async_trait::async_trait;
use portolan_model::{Name, dns::RecordType};

use crate::dns::{DnsProvider, query};

/// TTL of a challenge's record set, in seconds: short, since a resolver that caches one half of a set fails the other.
const TTL: u32 = 60;

/// The way to the DNS. Errors are one sentence without secrets.
#[async_trait]
pub trait Challenges: Send + Sync {
    /// Adds a TXT value, leaving the set's other values alone. A value that is there already is no error.
    async fn present(&self, fqdn: &str, value: &str) -> Result<(), String>;

    /// Whether every authoritative server answers with the value; an error says who does not.
    async fn visible(&self, fqdn: &str, value: &str) -> Result<(), String>;

    /// Takes a TXT value away, leaving the set's other values alone. A value that is not there is no error.
    async fn clean_up(&self, fqdn: &str, value: &str) -> Result<(), String>;
}

/// Challenges in the zones of one provider. Only the provider's own servers are asked.
pub struct ProviderChallenges {
    provider: Arc<dyn DnsProvider>,
}

impl ProviderChallenges {
    /// Challenges in the zones of `provider`.
    pub fn new(provider: Arc<dyn DnsProvider>) -> Self {
        Self { provider }
    }

    /// The longest zone of the provider that holds the name.
    async fn zone(&self, fqdn: &str) -> Result<Name, String> {
        let zones = self.provider.zones().await.map_err(|error| error.to_string())?;
        let holds = |zone: &Name| {
            fqdn.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let longest = zones.into_iter().filter(holds).max_by_key(|zone| zone.as_str().len());
        longest.ok_or_else(|| format!("no zone of provider {} holds it", self.provider.capabilities().name))
    }
}

#[async_trait]
impl Challenges for ProviderChallenges {
    async fn present(&self, fqdn: &str, value: &str) -> Result<(), String> {
        let (zone, name) = (self.zone(fqdn).await?, Name::new(fqdn));
        let added = self.provider.add_value(&zone, &name, RecordType::Txt, Some(TTL), value).await;
        added.map_err(|error| error.to_string())
    }

    async fn visible(&self, fqdn: &str, value: &str) -> Result<(), String> {
        if self.provider.visible(fqdn, RecordType::Txt, value).await {
            return Ok(());
        }
        let servers = self.provider.servers_of(fqdn).await;
        if servers.is_empty() {
            return Err(format!("provider {} names no server to ask", self.provider.capabilities().name));
        }
        // Not there: ask again, one by one, for the sentence that says who is behind.
        for server in servers {
            match query::ask(server, fqdn, RecordType::Txt).await {
                Err(error) => return Err(error.to_string()),
                Ok(answer) if !answer.authoritative => {
                    return Err(format!("{server} is not authoritative for it ({})", answer.rcode));
                }
                Ok(answer) if !answer.values(RecordType::Txt).any(|found| found == value) => {
                    return Err(format!("{server} does not have it yet ({})", answer.rcode));
                }
                Ok(_) => {}
            }
        }
        Err("it has only just appeared".to_owned())
    }

    async fn clean_up(&self, fqdn: &str, value: &str) -> Result<(), String> {
        let (zone, name) = (self.zone(fqdn).await?, Name::new(fqdn));
        let removed = self.provider.remove_value(&zone, &name, RecordType::Txt, value).await;
        removed.map_err(|error| error.to_string())
    }
}
