//! The file of the store: one table of objects, one of numbers, written in durable transactions.
//!
//! Every commit is on the disk when it returns (redb `Durability::Immediate`, one `fdatasync`); design/decisions.md says
//! what that costs and why nothing less is taken.

use std::{collections::BTreeMap, fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path};

use portolan_model::{Name, Object, ObjectKey, Origin, Stamp};
use redb::{Builder, Database, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fill, StoreError, Stored};

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// Versions that are set aside on disk at once. Removals and held objects take versions too and leave no row that would
/// tell them after a restart: it goes on from the number on disk, so that no version comes twice.
const AHEAD: u64 = 1000;
/// The database is read once, at the start; all reads after it come from memory.
const CACHE_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Disk {
    path: String,
    database: Database,
    /// Versions up to this are set aside.
    reserved: u64,
}

/// What stands beside the object, whose text is written as it is.
#[derive(Serialize)]
struct Saving<'a> {
    stamp: Option<&'a Stamp>,
    manager: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fill: Option<Value>,
}

#[derive(Deserialize)]
struct Saved {
    object: Value,
    /// Stood in the object's own metadata once.
    stamp: Option<Stamp>,
    manager: String,
    fill: Option<Value>,
}

impl Disk {
    /// Opens or creates the file in a state directory.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join("store.redb");
        let path = file.display().to_string();
        let fail = |source: redb::Error| StoreError::new(&path, "opened", source);
        // Created with mode 0600 before anything secret is in it.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&file)
            .map_err(|error| fail(error.into()))?;
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(&file);
        let database = database.map_err(|error| fail(error.into()))?;
        Ok(Self { path, database, reserved: 0 })
    }

    /// The same over something that is no file.
    #[cfg(test)]
    pub fn in_backend(backend: impl redb::StorageBackend) -> Result<Self, StoreError> {
        let path = "a test".to_owned();
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend);
        let database =
            database.map_err(|error| StoreError::new(&path, "opened", redb::Error::from(error)))?;
        Ok(Self { path, database, reserved: 0 })
    }

    /// Reads everything; gives the objects and a version that is larger than every one before.
    pub fn load(&mut self) -> Result<(BTreeMap<ObjectKey, Stored>, u64), StoreError> {
        self.read().map_err(|error| StoreError::new(&self.path, "opened", error))
    }

    #[allow(clippy::result_large_err, reason = "redb's own error, boxed by the only caller")]
    fn read(&mut self) -> Result<(BTreeMap<ObjectKey, Stored>, u64), redb::Error> {
        let mut objects = BTreeMap::new();
        let mut version = 0;
        let write = self.database.begin_write()?;
        {
            for entry in write.open_table(OBJECTS)?.iter()? {
                let (key, bytes) = entry?;
                if let Some(stored) = load(bytes.value()) {
                    version = version.max(stored.object.stamp.as_ref().map_or(0, |stamp| stamp.version));
                    objects.insert(stored.object.key.clone(), stored);
                } else {
                    tracing::error!(row = key.value(), "a row of the store cannot be read and is left alone");
                }
            }
            let mut numbers = write.open_table(NUMBERS)?;
            version = version.max(numbers.get("version")?.map_or(0, |number| number.value()));
            self.reserved = version + AHEAD;
            numbers.insert("version", self.reserved)?;
        }
        write.commit()?;
        Ok((objects, version))
    }

    /// Writes what differs and is to be kept. `version` is that of the latest change.
    pub fn commit(
        &mut self,
        next: &BTreeMap<ObjectKey, (Option<Stored>, u64)>,
        now: &BTreeMap<ObjectKey, Stored>,
        version: u64,
    ) -> Result<(), StoreError> {
        let rows: Vec<(&ObjectKey, Option<&Stored>)> = next
            .iter()
            .map(|(key, (stored, _))| (key, stored.as_ref().filter(|stored| !stored.volatile)))
            .filter(|(key, kept)| kept.is_some() || now.get(*key).is_some_and(|old| !old.volatile))
            .collect();
        if rows.is_empty() && version <= self.reserved {
            return Ok(());
        }
        let reserved = if version > self.reserved { version + AHEAD } else { self.reserved };
        self.save(&rows, reserved).map_err(|error| StoreError::new(&self.path, "written", error))?;
        self.reserved = reserved;
        Ok(())
    }

    #[allow(clippy::result_large_err, reason = "redb's own error, boxed by the only caller")]
    fn save(&self, rows: &[(&ObjectKey, Option<&Stored>)], reserved: u64) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(OBJECTS)?;
            for (key, stored) in rows {
                let name = format!("{}/{key}", key.kind.group);
                match stored {
                    Some(stored) => table.insert(name.as_str(), save(stored).as_slice())?,
                    None => table.remove(name.as_str())?,
                };
            }
            if reserved != self.reserved {
                write.open_table(NUMBERS)?.insert("version", reserved)?;
            }
        }
        write.commit()?;
        Ok(())
    }
}

/// As it is kept on disk: what is filled in stands apart, so that it can be left out.
fn save(stored: &Stored) -> Vec<u8> {
    let fill = stored.filled.as_ref().map(|filled| &filled.1).filter(|fill| !fill.volatile);
    let beside =
        Saving { stamp: stored.object.stamp.as_ref(), manager: &stored.manager, fill: fill.map(Fill::save) };
    let beside = serde_json::to_vec(&beside).expect("JSON with text keys can be written");
    // Both are objects and the second is not empty: joined by hand, no tree is made of the first.
    let object = stored.base().json.packed();
    [br#"{"object":"#, object.as_bytes(), b",", &beside[1..]].concat()
}

fn load(bytes: &[u8]) -> Option<Stored> {
    let saved: Saved = serde_json::from_slice(bytes).ok()?;
    let stamp = saved.stamp.unwrap_or_else(|| Stamp::read(&saved.object));
    let base = Object::from_json(saved.object, Origin::default()).ok()?;
    let fill = saved.fill.and_then(|fill| Fill::load(&base.key, &fill));
    let mut object = fill.as_ref().map_or_else(|| base.clone(), |fill| fill.over(&base));
    object.stamp = Some(stamp);
    let filled = fill.map(|fill| Box::new((base, fill)));
    let mut stored = Stored { object, manager: Name::from(saved.manager), volatile: false, filled };
    // Not the trees of the whole store at once.
    stored.pack();
    Some(stored)
}
