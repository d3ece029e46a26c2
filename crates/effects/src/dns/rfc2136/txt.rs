//! TXT values by dynamic updates alone: what an ACME solver's key may do, which often may not transfer the zone.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use domain::tsig;
use portolan_model::{Name, dns::RecordType};

use super::{
    Key,
    exchange::{Connection, Failure},
    meaning,
    servers::{self, Named},
    update,
};
use crate::dns::{embedded::bytes_of, query};

/// TTL of a challenge's record set, in seconds: short, since a resolver that caches one half of a set fails the other.
const TTL: u32 = 60;
/// Longest wait for one message.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server of dynamic updates that takes TXT values. Nothing of the zone is read but who answers for it.
#[derive(Debug)]
pub struct TxtUpdates {
    /// `host:port`.
    address: Name,
    key: Option<tsig::Key>,
}

impl TxtUpdates {
    /// A server at `host:port`, and the key that signs updates.
    ///
    /// # Errors
    /// One sentence: what of the key cannot be used.
    pub fn new(address: Name, key: Option<&Key>) -> Result<Self, String> {
        Ok(Self { address, key: key.map(Key::of_library).transpose()? })
    }

    async fn server(&self) -> Result<SocketAddr, String> {
        let found = tokio::net::lookup_host(&*self.address).await;
        let mut found =
            found.map_err(|error| format!("the name server {} is not found: {error}", self.address))?;
        found.next().ok_or_else(|| format!("the name server {} has no address", self.address))
    }

    /// Adds a value; one that is there already is no error, and others stay.
    ///
    /// # Errors
    /// One sentence: why it is not known to be there.
    pub async fn add(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.change(fqdn, value, Some(TTL)).await
    }

    /// Removes a value; one that is not there is no error, and others stay.
    ///
    /// # Errors
    /// One sentence: why it is not known to be gone.
    pub async fn remove(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.change(fqdn, value, None).await
    }

    async fn change(&self, fqdn: &str, value: &str, add: Option<u32>) -> Result<(), String> {
        let server = self.server().await?;
        let zone = query::zone_of(server, fqdn).await?.name;
        let bytes = bytes_of(RecordType::Txt, value)?;
        let message = update::of_value(&zone, (&Name::new(fqdn), RecordType::Txt), bytes, add)?;
        let sent = async { Connection::open(server, self.key.as_ref(), PATIENCE).await?.ask(message).await };
        match sent.await {
            Ok(_) => Ok(()),
            Err(Failure::Code(code)) => Err(format!("{server} answers {code}: {}", meaning(code, &zone))),
            Err(Failure::Unreachable(why) | Failure::Lost(why) | Failure::Signature(why)) => Err(why),
        }
    }

    /// Whether the server, and all that the zone names, answer with the value.
    ///
    /// # Errors
    /// One sentence: who does not.
    pub async fn visible(&self, fqdn: &str, value: &str) -> Result<(), String> {
        let server = self.server().await?;
        let zone = query::zone_of(server, fqdn).await?;
        let named =
            zone.servers.into_iter().map(|(name, addresses): (Name, Vec<IpAddr>)| Named { name, addresses });
        for server in servers::all(&[server], named.collect()).await {
            let answer =
                query::ask(server, fqdn, RecordType::Txt).await.map_err(|error| error.to_string())?;
            if !answer.authoritative {
                return Err(format!("{server} is not authoritative for it ({})", answer.rcode));
            }
            if !answer.values(RecordType::Txt).any(|found| found == value) {
                return Err(format!("{server} does not have it yet ({})", answer.rcode));
            }
        }
        Ok(())
    }
}
