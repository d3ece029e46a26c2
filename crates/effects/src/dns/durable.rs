//! The embedded server with its zones in a file: a change is on disk before it is reported as made, so that a killed
//! process answers the same when it is back.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use portolan_model::{
    Name,
    dns::{ChangeSet, GroupResult, RecordType, Snapshot},
};
use tokio::sync::Mutex;

use super::{
    Capabilities, DnsProvider, EmbeddedDns, ProviderError,
    embedded::{Contents, EmbeddedError},
};
use crate::state_dir;

/// Name of the file in the state directory.
const FILE: &str = "dns.json";

/// [`EmbeddedDns`], saved.
#[derive(Debug)]
pub struct DurableDns {
    server: EmbeddedDns,
    dir: PathBuf,
    /// The server holds something that the file does not.
    dirty: AtomicBool,
    /// One save at a time, so that an older state never replaces a newer one.
    saving: Mutex<()>,
}

impl DurableDns {
    /// Serves what was saved in the state directory `dir`; see [`EmbeddedDns::start`].
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub async fn start(bind: SocketAddr, dir: &Path) -> Result<Self, EmbeddedError> {
        let path = dir.join(FILE);
        let contents = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| EmbeddedError::Saved { path: path.clone(), why: e.to_string() })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Contents::default(),
            Err(error) => return Err(EmbeddedError::Saved { path, why: error.to_string() }),
        };
        let server = EmbeddedDns::start(bind, &[], &contents).await?;
        Ok(Self { server, dir: dir.to_owned(), dirty: AtomicBool::new(false), saving: Mutex::new(()) })
    }

    /// Where it listens, UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Serves one more zone. It is saved with the next change: an empty zone is worth no write of its own.
    ///
    /// # Errors
    /// [`EmbeddedError::Zone`].
    pub fn add_zone(&self, zone: &Name) -> Result<(), EmbeddedError> {
        self.server.add_zone(zone)
    }

    /// Names of its zones.
    pub fn zone_names(&self) -> Vec<Name> {
        self.server.zone_names()
    }

    /// What every zone holds now.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let zones = self.server.export().zones.into_iter();
        zones
            .map(|zone| Snapshot { zone: zone.zone, serial: zone.serial, complete: true, sets: zone.sets })
            .collect()
    }

    /// Brings the file to what is served, if it is behind.
    async fn save(&self) -> Result<(), ProviderError> {
        if !self.dirty.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.saving.lock().await;
        // Cleared before reading: what changes from here on sets it again.
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let (contents, dir) = (self.server.export(), self.dir.clone());
        let written = tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec(&contents).map_err(std::io::Error::other)?;
            state_dir::write(&dir, FILE, &bytes)
        });
        let why = match written.await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.dirty.store(true, Ordering::Release);
        Err(ProviderError::Unavailable { why })
    }

    async fn changed(&self) -> Result<(), ProviderError> {
        self.dirty.store(true, Ordering::Release);
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

    async fn apply(&self, changes: &ChangeSet) -> Vec<GroupResult> {
        let results = self.server.apply(changes).await;
        match self.changed().await {
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
        self.changed().await
    }

    async fn remove_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.server.remove_value(zone, name, r#type, value).await?;
        self.changed().await
    }

    fn servers(&self) -> Vec<SocketAddr> {
        self.server.servers()
    }
}

#[cfg(test)]
mod tests;
