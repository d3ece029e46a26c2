//! The embedded store behind the contract, for those who share it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use portolan_model::{Instant, Kind, ObjectKey};
use serde_json::Value;

use super::{Store, StoreError};
use crate::store::{Capabilities, Event, ObjectStore, Recorded, Stored, TooOld, Watch, Write, Written};

/// One [`Store`], shared.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Store>>);

impl Shared {
    /// Shares a store.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// A panic elsewhere leaves the store as it was: memory changes after the disk, and at once.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for Shared {
    fn capabilities(&self) -> Capabilities {
        Store::capabilities()
    }

    async fn list(&self, kind: Option<&Kind>) -> Result<(Vec<Stored>, u64), StoreError> {
        let store = self.lock();
        let of_kind = |stored: &&Stored| kind.is_none_or(|kind| stored.object.key.kind == *kind);
        Ok((store.list().filter(of_kind).cloned().collect(), store.version()))
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.lock().get(key).cloned())
    }

    async fn watch(&self, after: u64) -> Result<Box<dyn Watch>, TooOld> {
        self.lock().watch(after)
    }

    async fn write(&self, writes: Vec<Write>, now: Instant) -> Result<Vec<Written>, StoreError> {
        let shared = self.clone();
        // It waits for the disk.
        let done = tokio::task::spawn_blocking(move || shared.lock().write(writes, now)).await;
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn set_status(
        &self,
        key: &ObjectKey,
        status: Option<Value>,
        now: Instant,
    ) -> Result<bool, StoreError> {
        Ok(self.lock().set_status(key, status, now))
    }

    async fn status(&self, key: &ObjectKey) -> Result<Option<Value>, StoreError> {
        Ok(self.lock().status(key))
    }

    async fn record(&self, event: Event, now: Instant) -> Result<(), StoreError> {
        self.lock().record(event, now);
        Ok(())
    }

    async fn events(&self, regarding: Option<&ObjectKey>) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.lock().events(regarding))
    }
}
