//! The embedded provider: an authoritative DNS server in this process, its zones in memory. Reads never touch a disk; who
//! wants the zones to last takes [`EmbeddedDns::export`] whenever [`EmbeddedDns::changes`] ticks and gives it back at start.

pub(crate) mod answer;
mod contents;
mod serve;
#[cfg(test)]
mod tests;
mod write;
mod zone;

#[cfg(any(fuzzing, test))]
pub(crate) use contents::build as zones_of;
pub use contents::{Contents, EmbeddedError, ZoneContents};
pub(super) use zone::{bytes_of, wire_name};

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;
use portolan_model::{
    Name,
    dns::{Change, ChangeSet, Content, Group, GroupResult, Precondition, RecordSet, RecordType, Snapshot},
};
use tokio::{sync::watch, task::JoinSet};

use self::{
    answer::Zones,
    contents::{add, build},
    serve::Sockets,
    zone::{DEFAULT_TTL, MAX_TEXT, MAX_TTL, Zone, path},
};
use super::{
    DnsProvider, ProviderError,
    provider::{Capabilities, TtlRange},
};

/// The server and its zones. Dropping it closes the sockets.
#[derive(Debug)]
pub struct EmbeddedDns {
    zones: Arc<RwLock<Zones>>,
    address: SocketAddr,
    version: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl EmbeddedDns {
    /// Listens on `bind` (UDP and TCP; port 0 takes a free one for both) and serves `contents`, plus those of `zones` that
    /// are not in it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub async fn start(bind: SocketAddr, zones: &[Name], contents: &Contents) -> Result<Self, EmbeddedError> {
        let mut all = build(contents, bind.ip())?;
        for zone in zones {
            add(&mut all, zone, bind.ip())?;
        }
        let sockets =
            Sockets::bind(bind).await.map_err(|source| EmbeddedError::Bind { address: bind, source })?;
        let address = sockets.address;
        let zones = Arc::new(RwLock::new(all));
        let tasks = sockets.serve(Arc::clone(&zones));
        Ok(Self { zones, address, version: watch::Sender::new(0), _tasks: tasks })
    }

    /// Where it listens, UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves one more zone; nothing happens if it is served already. Names below it are answered from it from now on, also
    /// those that a shorter zone holds.
    ///
    /// # Errors
    /// [`EmbeddedError::Zone`].
    pub fn add_zone(&self, zone: &Name) -> Result<(), EmbeddedError> {
        if add(&mut self.write(), zone, self.address.ip())? {
            self.tick();
        }
        Ok(())
    }

    /// Takes the zone `from` into the wider zone `into`, with all that it holds; `into` is made if it is not there. Gives the
    /// names that moved, and nothing if `from` is not served.
    ///
    /// # Errors
    /// [`EmbeddedError::Zone`]; nothing has changed then.
    pub fn widen(&self, from: &Name, into: &Name) -> Result<BTreeSet<Name>, EmbeddedError> {
        let invalid = |why| EmbeddedError::Zone { zone: into.clone(), why };
        let (narrow, wide) = (path(from).map_err(invalid)?, path(into).map_err(invalid)?);
        let mut zones = self.write();
        let Some(sets) = zones.get(&narrow).filter(|_| narrow != wide).map(Zone::sets) else {
            return Ok(BTreeSet::new());
        };
        let moved = sets.iter().map(|set| set.name.clone()).collect();
        add(&mut zones, into, self.address.ip())?;
        if let Some(zone) = zones.get_mut(&wide) {
            let content = sets.into_iter().map(Content::Set);
            let changes = content.map(|content| Change { precondition: Precondition::Any, content });
            zone.apply(&Group { changes: changes.collect() }).map_err(invalid)?;
        }
        zones.remove(&narrow);
        drop(zones);
        self.tick();
        Ok(moved)
    }

    /// Names of its zones, sorted.
    pub fn zone_names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.read().values().map(|zone| zone.name.clone()).collect();
        names.sort();
        names
    }

    /// Everything as plain data.
    pub fn export(&self) -> Contents {
        let zones = self.read();
        let mut zones: Vec<_> = zones
            .values()
            .map(|zone| ZoneContents { zone: zone.name.clone(), serial: zone.serial, sets: zone.sets() })
            .collect();
        zones.sort_by(|a, b| a.zone.cmp(&b.zone));
        Contents { zones }
    }

    /// What these names of a zone hold, as a snapshot that has nothing else.
    ///
    /// # Errors
    /// [`ProviderError::NoSuchZone`].
    pub fn look_at<'n>(
        &self,
        zone: &Name,
        names: impl IntoIterator<Item = &'n Name>,
    ) -> Result<Snapshot, ProviderError> {
        let zones = self.read();
        let found = path(zone).ok().and_then(|apex| zones.get(&apex));
        let found = found.ok_or_else(|| ProviderError::NoSuchZone { zone: zone.clone() })?;
        let paths = names.into_iter().filter_map(|name| path(name).ok());
        let sets = paths.flat_map(|path| found.sets_of(&path).cloned().collect::<Vec<_>>()).collect();
        Ok(Snapshot { zone: found.name.clone(), serial: found.serial, complete: true, sets })
    }

    /// Replaces everything, zones included. Serials of zones that were served already never go back.
    ///
    /// # Errors
    /// [`EmbeddedError::Zone`]; nothing has changed then.
    pub fn import(&self, contents: &Contents) -> Result<(), EmbeddedError> {
        let mut new = build(contents, self.address.ip())?;
        let mut zones = self.write();
        for (apex, zone) in &mut new {
            if let Some(old) = zones.get(apex) {
                zone.serial = zone.serial.max(old.serial.wrapping_add(1).max(1));
            }
        }
        *zones = new;
        drop(zones);
        self.tick();
        Ok(())
    }

    /// Ticks after every change of any zone; the value counts them.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn tick(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn read(&self) -> RwLockReadGuard<'_, Zones> {
        self.zones.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Zones> {
        self.zones.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the values of one set by `edit`; `None` leaves the set as it is.
    fn edit(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        edit: impl FnOnce(Option<&RecordSet>) -> Option<Content>,
    ) -> Result<(), ProviderError> {
        let refused = |why| ProviderError::Refused { why };
        let at = path(name).map_err(refused)?;
        let mut zones = self.write();
        let found = path(zone).ok().and_then(|apex| zones.get_mut(&apex));
        let found = found.ok_or_else(|| ProviderError::NoSuchZone { zone: zone.clone() })?;
        let Some(content) = edit(found.set(&at, r#type)) else { return Ok(()) };
        let group = Group { changes: vec![Change { precondition: Precondition::Any, content }] };
        let changed = found.apply(&group).map_err(refused)?;
        drop(zones);
        if changed {
            self.tick();
        }
        Ok(())
    }
}

#[async_trait]
impl DnsProvider for EmbeddedDns {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "embedded",
            types: &RecordType::ALL,
            atomic_groups: true,
            compare_and_swap: true,
            star_in_label: true,
            ttl: TtlRange { min: 0, max: MAX_TTL, default: DEFAULT_TTL },
            max_text: MAX_TEXT,
        }
    }

    async fn zones(&self) -> Result<Vec<Name>, ProviderError> {
        Ok(self.zone_names())
    }

    async fn snapshot(&self, zone: &Name) -> Result<Snapshot, ProviderError> {
        let zones = self.read();
        let found = path(zone).ok().and_then(|apex| zones.get(&apex));
        let found = found.ok_or_else(|| ProviderError::NoSuchZone { zone: zone.clone() })?;
        // Complete by construction: the whole zone is read under one lock.
        Ok(Snapshot { zone: found.name.clone(), serial: found.serial, complete: true, sets: found.sets() })
    }

    async fn snapshot_of(
        &self,
        zone: &Name,
        names: &BTreeSet<Name>,
    ) -> Result<Option<Snapshot>, ProviderError> {
        self.look_at(zone, names).map(Some)
    }

    async fn apply(&self, changes: &ChangeSet) -> Vec<GroupResult> {
        let refused = |why: String| GroupResult::Refused { why };
        let mut zones = self.write();
        let Some(zone) = path(&changes.zone).ok().and_then(|apex| zones.get_mut(&apex)) else {
            let why = ProviderError::NoSuchZone { zone: changes.zone.clone() }.to_string();
            return changes.groups.iter().map(|_| refused(why.clone())).collect();
        };
        let mut changed = false;
        let results = changes.groups.iter().map(|group| match zone.apply(group) {
            Ok(did) => {
                changed |= did;
                GroupResult::Applied
            }
            Err(why) => refused(why),
        });
        let results = results.collect();
        drop(zones);
        if changed {
            self.tick();
        }
        results
    }

    async fn add_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        ttl: Option<u32>,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.edit(zone, name, r#type, |present| {
            let kept = present.into_iter().flat_map(|set| set.values.iter().map(String::as_str));
            let ttl = present.map_or(ttl, |set| set.ttl);
            Some(Content::Set(RecordSet::new(name.clone(), r#type, ttl, kept.chain([value]))))
        })
    }

    async fn remove_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.edit(zone, name, r#type, |present| {
            let present = present?;
            let gone = RecordSet::new(name.clone(), r#type, None, [value]).values;
            let kept: Vec<_> = present.values.iter().filter(|value| !gone.contains(value)).cloned().collect();
            Some(if kept.is_empty() {
                Content::Nothing { name: name.clone(), r#type }
            } else {
                Content::Set(RecordSet { values: kept, ..present.clone() })
            })
        })
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let mut address = self.address;
        // Nobody can be asked at 0.0.0.0; on this machine the server answers at the loopback address too.
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
            } else {
                IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
            });
        }
        vec![address]
    }
}
