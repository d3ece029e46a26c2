//! The file of the store: one table of objects, one of numbers, written in durable transactions.
//!
//! Every commit is on the disk when it returns (redb `Durability::Immediate`, one `fdatasync`); design/decisions.md says
//! what that costs and why nothing less is taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use portolan_model::{Name, Object, ObjectKey, Origin, Stamp};
use redb::{Builder, Database, ReadableTable as _, ReadableTableMetadata as _, TableDefinition};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Fill, StoreError, Stored,
    guard::guarded,
    last::{Last, LastFile},
    sealed::{self, key_of},
};

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
/// Rows that were damaged, out of the way: a file that is not closed in order is refused for one damaged page in use.
const DAMAGED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("damaged");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// Versions that are set aside on disk at once. Removals and held objects take versions too and leave no row that would
/// tell them after a restart: it goes on from the number on disk, so that no version comes twice.
const AHEAD: u64 = 1000;
/// The database is read once, at the start; all reads after it come from memory.
const CACHE_BYTES: usize = 1 << 20;

pub(super) struct Disk {
    path: String,
    opener: Opener,
    /// `None` after it has failed: what of a transaction is on the disk is not known then, and it is opened anew.
    database: Option<Database>,
    /// Versions up to this are set aside.
    reserved: u64,
    /// Commits that there have been, and what stands beside the file of the last one.
    commits: u64,
    last: Option<LastFile>,
}

type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What stands on disk.
pub(super) struct Loaded {
    pub objects: BTreeMap<ObjectKey, Stored>,
    /// Larger than every one before.
    pub version: u64,
    /// Objects whose row cannot be read. It stays until another takes its place.
    pub damaged: BTreeSet<ObjectKey>,
    /// What was committed last is not there: the database found it damaged and took what stood before it.
    pub lost: bool,
}

/// What stands beside the object, whose text is written as it is.
#[derive(Serialize)]
struct Saving<'a> {
    stamp: Option<&'a Stamp>,
    manager: &'a str,
    /// Group, kind, namespace and name of what applies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<[&'a str; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fill: Option<Value>,
}

#[derive(Deserialize)]
struct Saved {
    object: Value,
    /// Stood in the object's own metadata once.
    stamp: Option<Stamp>,
    manager: String,
    owner: Option<[String; 4]>,
    fill: Option<Value>,
}

impl Disk {
    /// Opens or creates the file in a state directory.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join("store.redb");
        let path = file.display().to_string();
        let last = LastFile::of(dir);
        let opener = move || -> Result<Database, redb::Error> {
            // Created with mode 0600 before anything secret is in it.
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&file)?;
            Ok(Builder::new().set_cache_size(CACHE_BYTES).create(&file)?)
        };
        Self::with(path, Box::new(opener), Some(last))
    }

    /// The same over something that is no file.
    #[cfg(test)]
    pub fn in_backend(backend: impl redb::StorageBackend + Clone) -> Result<Self, StoreError> {
        let opener = move || -> Result<Database, redb::Error> {
            Ok(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend.clone())?)
        };
        Self::with("a test".to_owned(), Box::new(opener), None)
    }

    fn with(path: String, opener: Opener, last: Option<LastFile>) -> Result<Self, StoreError> {
        let database = guarded(&opener).map_err(|error| StoreError::new(&path, "opened", error))?;
        Ok(Self { path, opener, database: Some(database), reserved: 0, commits: 0, last })
    }

    /// Reads everything.
    pub fn load(&mut self) -> Result<Loaded, StoreError> {
        let last = self.last.as_ref().and_then(LastFile::read).unwrap_or_default();
        let read = || match &self.database {
            Some(database) => read(database, &last),
            None => Err(redb::Error::DatabaseClosed),
        };
        let (loaded, reserved, commits) =
            guarded(read).map_err(|error| StoreError::new(&self.path, "opened", error))?;
        self.reserved = reserved;
        self.committed(commits, Vec::new());
        Ok(loaded)
    }

    /// Notes beside the file what is in it now.
    fn committed(&mut self, commits: u64, wrote: Vec<String>) {
        self.commits = commits;
        if let Some(last) = &self.last {
            last.write(&Last { commits, wrote });
        }
    }

    /// Writes what differs and is to be kept. `version` is that of the latest change. After a failure the file is opened
    /// anew and brought to `now` first: of what failed, nothing or all may be there.
    pub fn commit(
        &mut self,
        next: &BTreeMap<ObjectKey, (Option<Stored>, u64)>,
        now: &BTreeMap<ObjectKey, Stored>,
        damaged: &BTreeSet<ObjectKey>,
        version: u64,
    ) -> Result<(), StoreError> {
        let rows: Vec<(&ObjectKey, Option<&Stored>)> = next
            .iter()
            .map(|(key, (stored, _))| (key, stored.as_ref().filter(|stored| !stored.volatile)))
            .filter(|(key, kept)| kept.is_some() || now.get(*key).is_some_and(|old| !old.volatile))
            .collect();
        if rows.is_empty() && version <= self.reserved && self.database.is_some() {
            return Ok(());
        }
        let reserved = if version > self.reserved { version + AHEAD } else { self.reserved };
        self.save(&rows, now, damaged, reserved).map_err(|error| {
            self.close();
            StoreError::new(&self.path, "written", error)
        })?;
        self.reserved = reserved;
        let wrote = rows.iter().filter(|(_, kept)| kept.is_some()).map(|(key, _)| row_of(key)).collect();
        self.committed(self.commits + 1, wrote);
        Ok(())
    }

    /// Closing writes too, and fails in the same ways.
    fn close(&mut self) {
        let database = self.database.take();
        let _ = guarded(|| -> Result<(), redb::Error> {
            drop(database);
            Ok(())
        });
    }

    #[allow(clippy::result_large_err, reason = "redb's own error, boxed by the only caller")]
    fn save(
        &mut self,
        rows: &[(&ObjectKey, Option<&Stored>)],
        now: &BTreeMap<ObjectKey, Stored>,
        damaged: &BTreeSet<ObjectKey>,
        reserved: u64,
    ) -> Result<(), redb::Error> {
        let database = if let Some(database) = &self.database {
            database
        } else {
            let database = guarded(&self.opener)?;
            guarded(|| restore(&database, now, self.reserved))?;
            tracing::info!(path = self.path, "the store is opened again");
            &*self.database.insert(database)
        };
        let (before, commits) = (self.reserved, self.commits + 1);
        guarded(|| {
            let write = database.begin_write()?;
            {
                let mut table = write.open_table(OBJECTS)?;
                for (key, stored) in rows {
                    match stored {
                        Some(stored) => table.insert(row_of(key).as_str(), save(stored).as_slice())?,
                        None => table.remove(row_of(key).as_str())?,
                    };
                }
                let mut put_aside = write.open_table(DAMAGED)?;
                for (key, _) in rows.iter().filter(|(key, stored)| stored.is_some() && damaged.contains(*key))
                {
                    put_aside.remove(row_of(key).as_str())?;
                }
                let mut numbers = write.open_table(NUMBERS)?;
                numbers.insert("commits", commits)?;
                if reserved != before {
                    numbers.insert("version", reserved)?;
                }
            }
            write.commit()?;
            Ok(())
        })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

/// Name of an object's row.
fn row_of(key: &ObjectKey) -> String {
    format!("{}/{key}", key.kind.group)
}

#[allow(clippy::result_large_err, reason = "redb's own error, boxed by the only caller")]
fn read(database: &Database, last: &Last) -> Result<(Loaded, u64, u64), redb::Error> {
    let (mut objects, mut damaged) = (BTreeMap::new(), BTreeSet::new());
    let mut version = 0;
    let write = database.begin_write()?;
    let (reserved, commits, lost) = {
        let (mut rows, mut misplaced, mut broken) = (0, Vec::new(), Vec::new());
        let mut table = write.open_table(OBJECTS)?;
        for entry in table.iter()? {
            let (name, bytes) = entry?;
            let name = name.value();
            rows += 1;
            if let Some(stored) = load(bytes.value()) {
                version = version.max(stored.object.stamp.as_ref().map_or(0, |stamp| stamp.version));
                if name != row_of(&stored.object.key) {
                    misplaced.push((name.to_owned(), stored.object.key.clone()));
                }
                objects.insert(stored.object.key.clone(), stored);
            } else {
                tracing::error!(row = name, "a row of the store is damaged and left out");
                broken.push((name.to_owned(), bytes.value().to_owned()));
            }
        }
        if rows != table.len()? {
            let text = format!("{} rows are there of {}", rows, table.len()?);
            return Err(redb::Error::Corrupted(text));
        }
        // The name is damaged, and the object is not.
        for (name, key) in misplaced {
            table.remove(name.as_str())?;
            table.insert(row_of(&key).as_str(), save(&objects[&key]).as_slice())?;
        }
        let mut put_aside = write.open_table(DAMAGED)?;
        for (name, bytes) in broken {
            table.remove(name.as_str())?;
            put_aside.insert(name.as_str(), bytes.as_slice())?;
        }
        let mut numbers = write.open_table(NUMBERS)?;
        let commits = numbers.get("commits")?.map_or(0, |number| number.value());
        let lost = last.commits > commits;
        if lost {
            tracing::error!(commits, of = last.commits, "what was committed last is damaged, and left out");
            for name in &last.wrote {
                // What it replaced is there.
                if table.get(name.as_str())?.is_none() {
                    put_aside.insert(name.as_str(), [].as_slice())?;
                }
            }
        }
        let commits = commits.max(last.commits) + 1;
        numbers.insert("commits", commits)?;
        for entry in put_aside.iter()? {
            damaged.insert(key_of(entry?.0.value()));
        }
        version = version.max(numbers.get("version")?.map_or(0, |number| number.value()));
        let reserved = version + AHEAD;
        numbers.insert("version", reserved)?;
        (reserved, commits, lost)
    };
    write.commit()?;
    damaged.retain(|key| !objects.contains_key(key));
    Ok((Loaded { objects, version, damaged, lost }, reserved, commits))
}

/// Brings a file that was opened anew to what is known: of a transaction that failed, nothing or all may be there.
#[allow(clippy::result_large_err, reason = "redb's own error, boxed by the only caller")]
fn restore(database: &Database, now: &BTreeMap<ObjectKey, Stored>, reserved: u64) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(OBJECTS)?;
        let mut strange = Vec::new();
        for entry in table.iter()? {
            let (name, _) = entry?;
            let name = name.value();
            let kept = now.get(&key_of(name)).is_some_and(|stored| !stored.volatile);
            if !kept {
                strange.push(name.to_owned());
            }
        }
        for name in strange {
            table.remove(name.as_str())?;
        }
        for (key, stored) in now.iter().filter(|(_, stored)| !stored.volatile) {
            let (name, bytes) = (row_of(key), save(stored));
            let same = table.get(name.as_str())?.is_some_and(|row| row.value() == bytes);
            if !same {
                table.insert(name.as_str(), bytes.as_slice())?;
            }
        }
        write.open_table(NUMBERS)?.insert("version", reserved)?;
    }
    write.commit()?;
    Ok(())
}

/// As it is kept on disk: what is filled in stands apart, so that it can be left out.
fn save(stored: &Stored) -> Vec<u8> {
    let fill = stored.filled.as_ref().map(|filled| &filled.1).filter(|fill| !fill.volatile);
    let owner = stored.object.origin.owner.as_ref();
    let owner = owner.map(|key| [&*key.kind.group, &*key.kind.kind, &*key.name.namespace, &*key.name.name]);
    let beside = Saving {
        stamp: stored.object.stamp.as_ref(),
        manager: &stored.manager,
        owner,
        fill: fill.map(Fill::save),
    };
    let beside = serde_json::to_vec(&beside).expect("JSON with text keys can be written");
    // Both are objects and the second is not empty: joined by hand, no tree is made of the first.
    let object = stored.base().json.packed();
    sealed::seal([br#"{"object":"#, object.as_bytes(), b",", &beside[1..]].concat())
}

fn load(bytes: &[u8]) -> Option<Stored> {
    let saved: Saved = serde_json::from_slice(sealed::open(bytes)?).ok()?;
    let stamp = saved.stamp.unwrap_or_else(|| Stamp::read(&saved.object));
    let owner =
        saved.owner.map(|[group, kind, namespace, name]| ObjectKey::new(group, kind, namespace, name));
    let origin = Origin { owner: owner.map(Arc::new), ..Origin::default() };
    let base = Object::from_json(saved.object, origin).ok()?;
    let fill = saved.fill.and_then(|fill| Fill::load(&base.key, &fill));
    let mut object = fill.as_ref().map_or_else(|| base.clone(), |fill| fill.over(&base));
    object.stamp = Some(stamp);
    let filled = fill.map(|fill| Box::new((base, fill)));
    let mut stored = Stored {
        object,
        manager: Name::from(saved.manager),
        volatile: false,
        sight: crate::store::Sight::Whole,
        filled,
    };
    // Not the trees of the whole store at once.
    stored.pack();
    Some(stored)
}
