//! A provider of zones on a server of dynamic updates (RFC 2136) with transaction signatures (RFC 8945): BIND, Knot, PowerDNS.
//!
//! ```text
//!  read:  AXFR once, then IXFR --> a copy of the zone at one serial
//!  write: a group = one UPDATE with what must hold as prerequisites --> code --IXFR--> does it stand?
//! ```
//!
//! One message is one transaction to the server, so a group is indivisible, and what it expects is compared by the server itself:
//! nobody else's change between reading and writing is overwritten. After the groups the zone is read again by what changed: an
//! answer that was lost, or a record that the server left out in silence, shows there.

mod exchange;
mod servers;
mod settings;
#[cfg(test)]
mod tests;
mod transfer;
mod txt;
mod update;
mod zone;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use async_trait::async_trait;
use domain::{base::iana::Rcode, base::message_builder::AdditionalBuilder, tsig};
use portolan_model::{
    Name,
    dns::{ChangeSet, GroupResult, RecordType, Snapshot, normal_name, zone_for},
};
use tokio::sync::Mutex;

use self::{
    exchange::{Connection, Failure},
    update::Made,
    zone::{Copy, Held},
};
pub use self::{
    settings::{Algorithm, Key, KeyError, Settings},
    txt::TxtUpdates,
};
use super::{
    embedded::bytes_of,
    provider::{Capabilities, DnsProvider, ProviderError, TtlRange},
    query,
};

/// Zones on a server that takes dynamic updates.
pub struct Rfc2136 {
    settings: Settings,
    key: Option<tsig::Key>,
    /// A copy of each zone. Its lock is held while the zone is read or written: one change after the other.
    zones: BTreeMap<Name, Mutex<Option<Copy>>>,
}

impl std::fmt::Debug for Rfc2136 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rfc2136").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What one request came to.
enum Came {
    Done,
    Refused(String),
    /// Nothing was sent: there was no connection.
    Away(String),
    Unknown(String),
}

impl Rfc2136 {
    /// A provider; nothing is asked yet.
    ///
    /// # Errors
    /// One sentence: what of the settings cannot be used.
    pub fn new(settings: Settings) -> Result<Self, String> {
        if settings.servers.is_empty() {
            return Err("no server is named".into());
        }
        if settings.zones.iter().any(|zone| zone.is_empty()) || settings.zones.is_empty() {
            return Err("no zone is named, and the root is none that could be managed".into());
        }
        let differs = |zone: &&Name| normal_name(zone).map_or(true, |normal| normal != **zone);
        if let Some(zone) = settings.zones.iter().find(differs) {
            // Its records would count as outside of it.
            return Err(format!("zone {zone} is not in normal form (lower case, no dot at the end)"));
        }
        let key = settings.key.as_ref().map(Key::of_library).transpose()?;
        let zones = settings.zones.iter().map(|zone| (zone.clone(), Mutex::default())).collect();
        Ok(Self { settings, key, zones })
    }

    /// What it was made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was read last of the zones that were read, without asking.
    pub async fn known(&self) -> Vec<Snapshot> {
        let mut known = Vec::new();
        for (zone, copy) in &self.zones {
            known.extend(copy.lock().await.as_ref().map(|copy| copy.snapshot(zone, None)));
        }
        known
    }

    async fn open(&self) -> Result<Connection<'_>, Failure> {
        Connection::open(self.settings.servers[0], self.key.as_ref(), self.settings.patience).await
    }

    fn copy_of(&self, zone: &Name) -> Result<&Mutex<Option<Copy>>, ProviderError> {
        self.zones.get(zone).ok_or_else(|| ProviderError::NoSuchZone { zone: zone.clone() })
    }

    /// Brings the copy to what the server holds.
    async fn refresh(&self, zone: &Name, copy: &mut Option<Copy>) -> Result<(), ProviderError> {
        let bound = self.settings.patience * settings::TRANSFER;
        let read = tokio::time::timeout(bound, async {
            let mut connection = self.open().await?;
            transfer::refresh(&mut connection, zone, copy).await
        });
        let read = read.await.unwrap_or_else(|_| {
            Err(Failure::Lost(format!("the transfer of {zone} was not over after {} s", bound.as_secs())))
        });
        read.map_err(|failure| self.not_read(zone, failure))
    }

    fn not_read(&self, zone: &Name, failure: Failure) -> ProviderError {
        let server = self.settings.servers[0];
        match failure {
            Failure::Code(Rcode::NOTAUTH | Rcode::NXDOMAIN) => {
                ProviderError::NoSuchZone { zone: zone.clone() }
            }
            Failure::Code(Rcode::REFUSED) => ProviderError::Refused {
                why: format!(
                    "{server} answers REFUSED to the transfer of {zone}; it must hold the zone and let the key transfer it (allow-transfer)"
                ),
            },
            Failure::Code(code) => ProviderError::Unavailable {
                why: format!("{server} answers {code} to the transfer of {zone}"),
            },
            Failure::Unreachable(why) | Failure::Lost(why) | Failure::Signature(why) => {
                ProviderError::Unavailable { why }
            }
        }
    }

    /// Sends one update over the connection, which is opened if there is none and dropped when it is of no use any more.
    async fn send<'a>(
        &'a self,
        zone: &Name,
        connection: &mut Option<Connection<'a>>,
        message: AdditionalBuilder<Vec<u8>>,
    ) -> Came {
        let server = self.settings.servers[0];
        let mut open = match connection.take() {
            Some(open) => open,
            None => match self.open().await {
                Ok(open) => open,
                Err(Failure::Unreachable(why)) => return Came::Away(why),
                Err(other) => return Came::Unknown(format!("{other:?}")),
            },
        };
        match open.ask(message).await {
            Ok(_) => {
                *connection = Some(open);
                Came::Done
            }
            Err(Failure::Code(code)) => {
                *connection = Some(open);
                Came::Refused(format!("{server} answers {code}: {}", meaning(code, zone)))
            }
            Err(Failure::Unreachable(why) | Failure::Signature(why)) => Came::Refused(why),
            Err(Failure::Lost(why)) => Came::Unknown(why),
        }
    }

    async fn write(&self, changes: &ChangeSet) -> Result<Vec<GroupResult>, ProviderError> {
        let zone = &changes.zone;
        let mut copy = self.copy_of(zone)?.lock().await;
        self.refresh(zone, &mut copy).await?;
        let Some(before) = copy.as_ref() else { return Ok(Vec::new()) };
        let mut made = Made::new();
        let mut connection = None;
        let mut came: Vec<(Came, Made)> = Vec::new();
        // Who does not answer once is not waited for with every group.
        let mut lost: Option<String> = None;
        for group in &changes.groups {
            if let Some(why) = &lost {
                came.push((Came::Refused(format!("not sent: {why}")), Made::new()));
                continue;
            }
            let ttl = self.settings.default_ttl;
            let update = match update::of_group(zone, &group.changes, before, &made, ttl) {
                Ok(update) => update,
                Err(why) => {
                    came.push((Came::Refused(why), Made::new()));
                    continue;
                }
            };
            let result = self.send(zone, &mut connection, update.message).await;
            match &result {
                Came::Done => made.extend(update.makes.clone()),
                Came::Away(why) | Came::Unknown(why) => lost = Some(why.clone()),
                Came::Refused(_) => {}
            }
            came.push((result, update.makes));
        }
        let read = self.refresh(zone, &mut copy).await;
        let now = copy.as_ref().filter(|_| read.is_ok());
        Ok(came.into_iter().map(|(came, makes)| judged(came, &makes, &made, now)).collect())
    }

    async fn change_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
        add: Option<u32>,
    ) -> Result<(), ProviderError> {
        let refused = |why| ProviderError::Refused { why };
        let mut copy = self.copy_of(zone)?.lock().await;
        self.refresh(zone, &mut copy).await?;
        let held = copy.as_ref().and_then(|copy| copy.get(name, r#type));
        let bytes = bytes_of(r#type, value).map_err(refused)?;
        // Whoever wrote it may have cut the text elsewhere.
        let standing: Vec<Vec<u8>> = held
            .into_iter()
            .flat_map(|held| &held.values)
            .filter(|(_, text)| *text == value)
            .map(|(bytes, _)| bytes.clone())
            .collect();
        let (writes, add) = match add {
            Some(_) if !standing.is_empty() => return Ok(()),
            Some(ttl) => (vec![bytes], Some(held.map_or(ttl, |held| held.ttl))),
            None => (standing, None),
        };
        let mut connection = None;
        for bytes in writes {
            let message = update::of_value(zone, (name, r#type), bytes, add).map_err(refused)?;
            match self.send(zone, &mut connection, message).await {
                Came::Done => {}
                Came::Refused(why) | Came::Away(why) => return Err(refused(why)),
                Came::Unknown(why) => return Err(ProviderError::Unavailable { why }),
            }
        }
        Ok(())
    }
}

/// What a group came to, by its answer and by what the zone holds now (`None`: it could not be read).
fn judged(came: Came, makes: &Made, made: &Made, now: Option<&Copy>) -> GroupResult {
    // What a later group made again says nothing about this one.
    let differs = |copy: &Copy| {
        let last = makes.iter().filter(|(key, held)| made.get(*key).is_none_or(|last| last == *held));
        last.map(|(key, held)| (key, held, copy.get(&key.0, key.1)))
            .find(|(_, held, stands)| held.as_ref() != *stands)
            .map(|((name, r#type), held, stands)| {
                let text = |held: Option<&Held>| {
                    held.map_or_else(|| "nothing".to_owned(), |held| held.set(name, *r#type).to_string())
                };
                format!("{name} {type} holds {}, not {}", text(stands), text(held.as_ref()))
            })
    };
    match (came, now) {
        (Came::Refused(why) | Came::Away(why), _) => GroupResult::Refused { why },
        (Came::Done, None) => GroupResult::Applied,
        (Came::Done, Some(copy)) => match differs(copy) {
            None => GroupResult::Applied,
            Some(how) => GroupResult::Unknown { why: format!("the server answered NOERROR, and {how}") },
        },
        (Came::Unknown(why), Some(copy)) if differs(copy).is_none() && !makes.is_empty() => {
            tracing::info!("{why}; the zone holds what was asked for");
            GroupResult::Applied
        }
        (Came::Unknown(why), _) => GroupResult::Unknown { why },
    }
}

/// What the code of an update means (RFC 2136 section 2.2), and what to do.
fn meaning(code: Rcode, zone: &Name) -> String {
    match code {
        Rcode::NXDOMAIN | Rcode::YXDOMAIN | Rcode::YXRRSET | Rcode::NXRRSET => {
            "somebody changed the set since it was read; it is read again".to_owned()
        }
        Rcode::NOTAUTH => format!("it is not the primary server of {zone}"),
        Rcode::NOTZONE => format!("a name is not in {zone}"),
        Rcode::REFUSED => {
            format!(
                "the key may not change this in {zone} (allow-update, update-policy), or the name is not taken there"
            )
        }
        Rcode::NOTIMP => "it takes no dynamic updates".to_owned(),
        Rcode::SERVFAIL => {
            "it failed by itself; its log says why (often a journal or folder that cannot be written)"
                .to_owned()
        }
        _ => "see its log".to_owned(),
    }
}

#[async_trait]
impl DnsProvider for Rfc2136 {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "rfc2136",
            types: &RecordType::ALL,
            atomic_groups: true,
            compare_and_swap: true,
            star_in_label: true,
            ttl: TtlRange { min: 0, max: 2_147_483_647, default: self.settings.default_ttl },
            max_text: 4000,
        }
    }

    async fn zones(&self) -> Result<Vec<Name>, ProviderError> {
        Ok(self.zones.keys().cloned().collect())
    }

    async fn snapshot(&self, zone: &Name) -> Result<Snapshot, ProviderError> {
        let mut copy = self.copy_of(zone)?.lock().await;
        self.refresh(zone, &mut copy).await?;
        let no_zone = || ProviderError::NoSuchZone { zone: zone.clone() };
        copy.as_ref().map(|copy| copy.snapshot(zone, None)).ok_or_else(no_zone)
    }

    async fn snapshot_of(
        &self,
        zone: &Name,
        names: &BTreeSet<Name>,
    ) -> Result<Option<Snapshot>, ProviderError> {
        let mut copy = self.copy_of(zone)?.lock().await;
        self.refresh(zone, &mut copy).await?;
        Ok(copy.as_ref().map(|copy| copy.snapshot(zone, Some(names))))
    }

    async fn apply(&self, changes: &ChangeSet) -> Vec<GroupResult> {
        match self.write(changes).await {
            Ok(results) => results,
            // Nothing was sent.
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
        let ttl = ttl.unwrap_or(self.settings.default_ttl);
        self.change_value(zone, name, r#type, value, Some(ttl)).await
    }

    async fn remove_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.change_value(zone, name, r#type, value, None).await
    }

    fn servers(&self) -> Vec<SocketAddr> {
        self.settings.servers.clone()
    }

    async fn servers_of(&self, name: &str) -> Vec<SocketAddr> {
        let Some(zone) = zone_for(name, self.zones.keys()) else { return self.servers() };
        let named = match self.zones.get(zone) {
            Some(copy) => copy.lock().await.as_ref().map(servers::named).unwrap_or_default(),
            None => Vec::new(),
        };
        servers::all(&self.settings.servers, named).await
    }

    async fn visible(&self, fqdn: &str, r#type: RecordType, value: &str) -> bool {
        query::visible(&self.servers_of(fqdn).await, fqdn, r#type, value).await
    }
}
