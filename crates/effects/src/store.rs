//! The embedded store: objects on disk, read from memory.
//!
//! One writer (the driver). A batch of writes is one durable transaction: it is on disk, or the call fails and memory
//! is unchanged. What is removed is what its manager applied, never anything else.
//!
//! Held objects are like all others, but in memory only: what came out of a SealedSecret never reaches the disk.

mod fill;

mod status;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use portolan_model::{Instant, Object, ObjectKey, Origin};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde_json::{Map, Value, json};

pub use fill::Fill;

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");

/// An object as stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object with `metadata.uid`, `creationTimestamp`, `generation` and `resourceVersion`.
    pub object: Object,
    /// Who applied it.
    pub manager: String,
    /// Whether it is kept in memory only.
    pub volatile: bool,
    /// What its owner applied, and the fields that somebody else wrote over it.
    filled: Option<(Object, Fill)>,
}

/// One wanted write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Create or replace an object as its manager.
    Apply(Box<Object>, &'static str),
    /// The same, in memory only.
    Hold(Box<Object>, &'static str),
    /// Write fields over an object, whoever applied it.
    Fill(Box<Fill>),
    /// Remove it, if `manager` applied it.
    Delete(ObjectKey, &'static str),
}

impl Write {
    /// The object that is written.
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Apply(object, _) | Self::Hold(object, _) => &object.key,
            Self::Fill(fill) => &fill.key,
            Self::Delete(key, _) => key,
        }
    }
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// Created or changed.
    Applied(Box<Object>),
    /// It was so already.
    Unchanged,
    /// Removed.
    Deleted(ObjectKey),
    /// Somebody else applied the object and keeps it.
    OwnedBy(ObjectKey, String),
}

/// Why the store failed. Memory and disk are as before the call.
#[derive(Debug, thiserror::Error)]
#[error("the store in {path} cannot be {what}: {source}")]
pub struct StoreError {
    path: String,
    what: &'static str,
    source: Box<redb::Error>,
}

/// The store.
#[derive(Debug)]
pub struct Store {
    path: String,
    database: Database,
    objects: BTreeMap<ObjectKey, Stored>,
    /// `status` of objects as JSON text; see [`Store::set_status`].
    statuses: BTreeMap<ObjectKey, Box<str>>,
    version: u64,
}

impl Store {
    /// Opens or creates the store in a state directory and reads it whole.
    ///
    /// # Errors
    /// When the file cannot be opened, read or created.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("store.redb");
        let text = path.display().to_string();
        let fail =
            |source: redb::Error| StoreError { path: text.clone(), what: "opened", source: Box::new(source) };
        {
            // Created with mode 0600 before anything secret is in it.
            use std::os::unix::fs::OpenOptionsExt as _;
            std::fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)
                .map_err(|e| fail(redb::Error::Io(e)))?;
        }
        let database = Database::create(&path).map_err(|e| fail(e.into()))?;
        let mut store = Self {
            path: text.clone(),
            database,
            objects: BTreeMap::new(),
            statuses: BTreeMap::new(),
            version: 0,
        };
        let write = store.database.begin_write().map_err(|e| fail(e.into()))?;
        write.open_table(OBJECTS).map_err(|e| fail(e.into()))?;
        write.commit().map_err(|e| fail(e.into()))?;
        let read = store.database.begin_read().map_err(|e| fail(e.into()))?;
        let table = read.open_table(OBJECTS).map_err(|e| fail(e.into()))?;
        for entry in table.iter().map_err(|e| fail(e.into()))? {
            let (_, bytes) = entry.map_err(|e| fail(e.into()))?;
            let Ok(row) = serde_json::from_slice::<Value>(bytes.value()) else { continue };
            let (Some(json), Some(manager)) = (row.get("object"), row.get("manager").and_then(Value::as_str))
            else {
                continue;
            };
            let Ok(base) = Object::from_json(json.clone(), Origin::default()) else { continue };
            store.version = store.version.max(version_of(&base));
            let fill = row.get("fill").and_then(|saved| Fill::load(&base.key, saved));
            let object = fill.as_ref().map_or_else(|| base.clone(), |fill| fill.over(&base));
            let filled = fill.map(|fill| (base, fill));
            let stored = Stored { object, manager: manager.to_owned(), volatile: false, filled };
            store.objects.insert(stored.object.key.clone(), stored);
        }
        Ok(store)
    }

    /// All objects.
    pub fn list(&self) -> impl Iterator<Item = &Stored> {
        self.objects.values()
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Stored> {
        self.objects.get(key)
    }

    /// Does all writes in one durable transaction. `now` stamps what is created.
    ///
    /// # Errors
    /// When the disk refuses; nothing of the batch has happened then.
    pub fn write(&mut self, writes: Vec<Write>, now: Instant) -> Result<Vec<Written>, StoreError> {
        let mut version = self.version;
        let mut next: BTreeMap<ObjectKey, Option<Stored>> = BTreeMap::new();
        let mut done = Vec::with_capacity(writes.len());
        for write in writes {
            let present = |key: &ObjectKey| match next.get(key) {
                Some(stored) => stored.clone(),
                None => self.objects.get(key).cloned(),
            };
            match write {
                Write::Apply(object, manager) | Write::Hold(object, manager)
                    if present(&object.key).is_some_and(|old| old.manager != manager) =>
                {
                    let owner = present(&object.key).map(|old| old.manager).unwrap_or_default();
                    done.push(Written::OwnedBy(object.key, owner));
                }
                Write::Apply(ref object, manager) | Write::Hold(ref object, manager) => {
                    let volatile = matches!(write, Write::Hold(..));
                    let old = present(&object.key);
                    let base =
                        old.as_ref().map(|old| old.filled.as_ref().map_or(&old.object, |(base, _)| base));
                    let unchanged = old.as_ref().is_some_and(|old| old.volatile == volatile)
                        && base.is_some_and(|base| same(base, object));
                    if unchanged {
                        // Where it stands in the repository may have moved: memory follows, the disk need not.
                        if let Some(kept) = self.objects.get_mut(&object.key) {
                            kept.object.origin = object.origin.clone();
                        }
                        done.push(Written::Unchanged);
                    } else {
                        let fill = old.as_ref().and_then(|old| old.filled.clone()).map(|(_, fill)| fill);
                        let fill = fill.filter(|fill| fill.holds(object));
                        version += 1;
                        let old = old.as_ref().map(|old| &old.object);
                        let stored = Stored::new((**object).clone(), fill, old, version, now);
                        done.push(Written::Applied(Box::new(stored.object.clone())));
                        let stored = Stored { manager: manager.to_owned(), volatile, ..stored };
                        next.insert(object.key.clone(), Some(stored));
                    }
                }
                Write::Fill(fill) => match present(&fill.key) {
                    None => done.push(Written::Unchanged),
                    Some(old) => {
                        let base = old.filled.as_ref().map_or(&old.object, |(base, _)| base);
                        let kept = old.filled.as_ref().is_some_and(|(_, kept)| *kept == *fill);
                        if kept || !fill.holds(base) {
                            done.push(Written::Unchanged);
                        } else {
                            version += 1;
                            let made =
                                Stored::new(base.clone(), Some(*fill), Some(&old.object), version, now);
                            done.push(Written::Applied(Box::new(made.object.clone())));
                            let stored = Stored { manager: old.manager, volatile: old.volatile, ..made };
                            next.insert(stored.object.key.clone(), Some(stored));
                        }
                    }
                },
                Write::Delete(key, manager) => match present(&key) {
                    Some(old) if old.manager == manager => {
                        next.insert(key.clone(), None);
                        done.push(Written::Deleted(key));
                    }
                    Some(old) => done.push(Written::OwnedBy(key, old.manager)),
                    None => done.push(Written::Unchanged),
                },
            }
        }
        if !next.is_empty() {
            self.commit(&next).map_err(|source| StoreError {
                path: self.path.clone(),
                what: "written",
                source: Box::new(source),
            })?;
            for (key, stored) in next {
                match stored {
                    Some(stored) => self.objects.insert(key, stored),
                    None => self.objects.remove(&key),
                };
            }
            self.version = version;
        }
        Ok(done)
    }

    #[allow(clippy::result_large_err, reason = "redb's own error, boxed by the only caller")]
    fn commit(&self, next: &BTreeMap<ObjectKey, Option<Stored>>) -> Result<(), redb::Error> {
        let on_disk = |key: &ObjectKey| self.objects.get(key).is_some_and(|old| !old.volatile);
        let kept = |stored: &Option<Stored>| stored.as_ref().is_some_and(|stored| !stored.volatile);
        if !next.iter().any(|(key, stored)| kept(stored) || on_disk(key)) {
            return Ok(());
        }
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(OBJECTS)?;
            for (key, stored) in next {
                let name = format!("{}/{key}", key.kind.group);
                match stored.as_ref().filter(|stored| !stored.volatile) {
                    Some(stored) => {
                        table.insert(name.as_str(), stored.save().to_string().as_bytes())?;
                    }
                    None => {
                        table.remove(name.as_str())?;
                    }
                }
            }
        }
        write.commit()?;
        Ok(())
    }
}

impl Stored {
    /// An object as its owner applied it, with what is filled in; the manager and where it is kept are the caller's.
    fn new(base: Object, fill: Option<Fill>, old: Option<&Object>, version: u64, now: Instant) -> Self {
        let seen = fill.as_ref().map_or_else(|| base.clone(), |fill| fill.over(&base));
        let object = stamp(seen, old, version, now);
        Self { object, manager: String::new(), volatile: false, filled: fill.map(|fill| (base, fill)) }
    }

    /// As it is kept on disk: what is filled in stands apart, so that it can be left out.
    fn save(&self) -> Value {
        let Some((base, fill)) = &self.filled else {
            return json!({"object": &*self.object.json, "manager": self.manager});
        };
        let mut json = (*base.json).clone();
        for key in OURS {
            json["metadata"][key] = self.object.json["metadata"][key].clone();
        }
        let mut saved = json!({"object": json, "manager": self.manager});
        if !fill.volatile {
            saved["fill"] = fill.save();
        }
        saved
    }
}

fn version_of(object: &Object) -> u64 {
    object
        .json
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

/// What the store itself sets in `metadata`.
const OURS: [&str; 4] = ["uid", "creationTimestamp", "generation", "resourceVersion"];

fn without_ours(object: &Object) -> Value {
    let mut json = (*object.json).clone();
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !OURS.contains(&key.as_str()));
    }
    if let Some(map) = json.as_object_mut() {
        map.remove("status");
    }
    json
}

/// Whether both say the same, apart from what the store sets and `status`. It copies nothing: a reading compares every
/// object of the repository.
fn same(old: &Object, new: &Object) -> bool {
    fn rest<'a>(map: &'a Map<String, Value>, out: &[&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
        map.iter().filter(move |(key, _)| !out.contains(&key.as_str()))
    }
    let (Value::Object(old), Value::Object(new)) = (&*old.json, &*new.json) else {
        return old.json == new.json;
    };
    let (Some(Value::Object(old_metadata)), Some(Value::Object(new_metadata))) =
        (old.get("metadata"), new.get("metadata"))
    else {
        return old == new;
    };
    rest(old, &["status", "metadata"]).eq(rest(new, &["status", "metadata"]))
        && rest(old_metadata, &OURS).eq(rest(new_metadata, &OURS))
}

/// Sets what the API server would set; generation grows when anything besides metadata and status changes.
fn stamp(object: Object, old: Option<&Object>, version: u64, now: Instant) -> Object {
    let mut json = without_ours(&object);
    let spec = |json: &Value| {
        let mut json = json.clone();
        json.as_object_mut().map(|map| map.remove("metadata"));
        json
    };
    let meta = |key: &str| old.and_then(|o| o.json.pointer(&format!("/metadata/{key}")).cloned());
    let generation = match old {
        None => 1,
        Some(old) if spec(&without_ours(old)) == spec(&json) => old.generation(),
        Some(old) => old.generation() + 1,
    };
    let uid = meta("uid").unwrap_or_else(|| Value::String(format!("{:016x}-{version:08x}", now.0)));
    let created = meta("creationTimestamp").unwrap_or_else(|| Value::String(now.rfc3339()));
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("uid".into(), uid);
        metadata.insert("creationTimestamp".into(), created);
        metadata.insert("generation".into(), json!(generation));
        metadata.insert("resourceVersion".into(), Value::String(version.to_string()));
    }
    Object { json: Arc::new(json), ..object }
}

#[cfg(test)]
mod tests;
