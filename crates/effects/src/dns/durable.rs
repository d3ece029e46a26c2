//! The embedded server with its zones in two files: a change is on disk before it is reported as made, so that a killed
//! process answers the same when it is back.
//!
//! `dns.json` holds everything as it was at some time; `dns.log` what changed since ([`log`]). A change costs what it
//! changes; when the log has outgrown the rest, both are replaced by a new `dns.json`.

mod log;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex as Lock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use portolan_model::{
    Name,
    dns::{ChangeSet, GroupResult, RecordType, Snapshot, normal_name},
};
use tokio::sync::Mutex;

use super::{
    Capabilities, DnsProvider, EmbeddedDns, ProviderError,
    embedded::{Contents, EmbeddedError},
};
use crate::state_dir;
use log::{Entry, Log};

/// Name of the file in the state directory that holds everything.
const FILE: &str = "dns.json";
/// Name of the file with what changed since.
const LOG: &str = "dns.log";
/// A log of fewer bytes is never worth a new [`FILE`].
const SMALL: u64 = 256 * 1024;

/// [`EmbeddedDns`], saved.
#[derive(Debug)]
pub struct DurableDns {
    server: EmbeddedDns,
    dir: PathBuf,
    /// Names by zone whose state the files do not have.
    dirty: Lock<BTreeMap<Name, BTreeSet<Name>>>,
    /// One save at a time, so that an older state never follows a newer one.
    saving: Mutex<Arc<Lock<Files>>>,
    written: AtomicU64,
}

/// The files as they stand.
#[derive(Debug)]
struct Files {
    log: Log,
    /// Bytes of [`FILE`].
    whole: u64,
}

impl DurableDns {
    /// Serves what was saved in the state directory `dir`; see [`EmbeddedDns::start`].
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub async fn start(bind: SocketAddr, dir: &Path) -> Result<Self, EmbeddedError> {
        let path = dir.join(FILE);
        let (mut contents, whole) = match std::fs::read(&path) {
            Ok(bytes) => {
                let contents: Contents = serde_json::from_slice(&bytes)
                    .map_err(|e| EmbeddedError::Saved { path: path.clone(), why: e.to_string() })?;
                (contents, bytes.len() as u64)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Contents::default(), 0),
            Err(error) => return Err(EmbeddedError::Saved { path, why: error.to_string() }),
        };
        let path = dir.join(LOG);
        let (log, entries) = Log::open(&path).map_err(|why| EmbeddedError::Saved { path, why })?;
        log::play(&mut contents, entries);
        let server = EmbeddedDns::start(bind, &[], &contents).await?;
        let files = Arc::new(Lock::new(Files { log, whole }));
        Ok(Self {
            server,
            dir: dir.to_owned(),
            dirty: Lock::default(),
            saving: Mutex::new(files),
            written: AtomicU64::new(0),
        })
    }

    /// Where it listens, UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Serves one more zone. It is saved with its first record: an empty zone is worth no write of its own.
    ///
    /// # Errors
    /// [`EmbeddedError::Zone`].
    pub fn add_zone(&self, zone: &Name) -> Result<(), EmbeddedError> {
        self.server.add_zone(zone)
    }

    /// Takes a zone into a wider one, with all that it holds; whether it was served. It is saved with the next record, or the
    /// next look at the zones.
    ///
    /// # Errors
    /// [`EmbeddedError::Zone`].
    pub fn widen(&self, from: &Name, into: &Name) -> Result<bool, EmbeddedError> {
        let was = self.server.zone_names().contains(from);
        let moved = self.server.widen(from, into)?;
        if was {
            let mut dirty = self.dirty();
            dirty.entry(into.clone()).or_default().extend(moved);
            dirty.entry(from.clone()).or_default();
        }
        Ok(was)
    }

    /// Names of its zones.
    pub fn zone_names(&self) -> Vec<Name> {
        self.server.zone_names()
    }

    /// Bytes written to disk since the start.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// What every zone holds now.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let zones = self.server.export().zones.into_iter();
        zones
            .map(|zone| Snapshot { zone: zone.zone, serial: zone.serial, complete: true, sets: zone.sets })
            .collect()
    }

    fn dirty(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, BTreeSet<Name>>> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the files to what is served, if they are behind.
    async fn save(&self) -> Result<(), ProviderError> {
        // Also with nothing left to write: what another save has taken is on disk only when that one is through.
        let files = self.saving.lock().await;
        // Taken before reading: what changes from here on comes back.
        let dirty = std::mem::take(&mut *self.dirty());
        if dirty.is_empty() {
            return Ok(());
        }
        let entries: Vec<Entry> = dirty
            .iter()
            .map(|(zone, names)| match self.server.look_at(zone, names) {
                Ok(seen) => Entry::of(names, seen),
                Err(_) => Entry::gone(zone),
            })
            .collect();
        let writes = {
            let files = Arc::clone(&files);
            move || {
                let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = files.log.append(&entries)?;
                Ok((bytes, files.log.bytes() > files.whole.max(SMALL)))
            }
        };
        match tokio::task::spawn_blocking(writes).await.map_err(std::io::Error::other).flatten() {
            Ok((bytes, outgrown)) => {
                self.written.fetch_add(bytes, Ordering::Relaxed);
                if outgrown {
                    self.compact(&files).await;
                }
                Ok(())
            }
            Err(error) => {
                let mut again = self.dirty();
                for (zone, names) in dirty {
                    again.entry(zone).or_default().extend(names);
                }
                Err(ProviderError::Unavailable { why: error.to_string() })
            }
        }
    }

    /// Writes everything anew and empties the log. If that fails, the log goes on: nothing is lost, and it is tried again
    /// with the next change.
    async fn compact(&self, files: &Arc<Lock<Files>>) {
        let (contents, dir, files) = (self.server.export(), self.dir.clone(), Arc::clone(files));
        let write = move || -> std::io::Result<u64> {
            let bytes = serde_json::to_vec(&contents).map_err(std::io::Error::other)?;
            state_dir::write(&dir, FILE, &bytes)?;
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            files.whole = bytes.len() as u64;
            // Killed before this: the log is played over a state that has it already, and changes nothing.
            files.log.clear()?;
            Ok(files.whole)
        };
        match tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other).flatten() {
            Ok(bytes) => _ = self.written.fetch_add(bytes, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the DNS zones are not written anew; their log grows"),
        }
    }

    async fn changed<'n>(
        &self,
        zone: &Name,
        names: impl IntoIterator<Item = &'n Name> + Send,
    ) -> Result<(), ProviderError> {
        {
            let mut dirty = self.dirty();
            let mut names = names.into_iter().filter_map(|name| normal_name(name).ok()).peekable();
            if names.peek().is_some() {
                dirty.entry(zone.clone()).or_default().extend(names);
            }
        }
        self.save().await
    }
}

#[async_trait]
impl DnsProvider for DurableDns {
    fn capabilities(&self) -> Capabilities {
        self.server.capabilities()
    }

    async fn zones(&self) -> Result<Vec<Name>, ProviderError> {
        self.server.zones().await
    }

    /// What is not on disk is not reported as standing.
    async fn snapshot(&self, zone: &Name) -> Result<Snapshot, ProviderError> {
        self.save().await?;
        self.server.snapshot(zone).await
    }

    async fn snapshot_of(
        &self,
        zone: &Name,
        names: &BTreeSet<Name>,
    ) -> Result<Option<Snapshot>, ProviderError> {
        self.save().await?;
        self.server.snapshot_of(zone, names).await
    }

    async fn apply(&self, changes: &ChangeSet) -> Vec<GroupResult> {
        let results = self.server.apply(changes).await;
        let applied = changes.groups.iter().zip(&results).filter(|(_, r)| **r == GroupResult::Applied);
        let names: BTreeSet<Name> =
            applied.flat_map(|(group, _)| group.changes.iter().map(|change| change.key().0)).collect();
        match self.changed(&changes.zone, &names).await {
            Ok(()) => results,
            Err(error) => {
                let unsaved = |result| match result {
                    GroupResult::Applied => GroupResult::Unknown { why: error.to_string() },
                    other => other,
                };
                results.into_iter().map(unsaved).collect()
            }
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
        self.server.add_value(zone, name, r#type, ttl, value).await?;
        self.changed(zone, [name]).await
    }

    async fn remove_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.server.remove_value(zone, name, r#type, value).await?;
        self.changed(zone, [name]).await
    }

    fn servers(&self) -> Vec<SocketAddr> {
        self.server.servers()
    }
}

#[cfg(test)]
mod tests;
