//! The embedded store: objects on disk, read from memory.
//!
//! One writer (the driver). A batch of writes is one durable transaction: it is on disk, or the call fails and memory
//! is unchanged. What is removed is what its manager applied, never anything else.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use portolan_model::{Instant, Object, ObjectKey, Origin};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde_json::{Map, Value, json};

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");

/// An object as stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object with `metadata.uid`, `creationTimestamp`, `generation` and `resourceVersion`.
    pub object: Object,
    /// Who applied it.
    pub manager: String,
}

/// One wanted write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Create or replace an object as its manager.
    Apply(Box<Object>, &'static str),
    /// Remove it, if `manager` applied it.
    Delete(ObjectKey, &'static str),
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
        let mut store = Self { path: text.clone(), database, objects: BTreeMap::new(), version: 0 };
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
            let Ok(object) = Object::from_json(json.clone(), Origin::default()) else { continue };
            store.version = store.version.max(version_of(&object));
            store.objects.insert(object.key.clone(), Stored { object, manager: manager.to_owned() });
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
                Write::Apply(object, manager) => {
                    let key = object.key.clone();
                    match present(&key) {
                        Some(old) if old.manager != manager => done.push(Written::OwnedBy(key, old.manager)),
                        old => {
                            if old.as_ref().is_some_and(|old| same(&old.object, &object)) {
                                // Where it stands in the repository may have moved: memory follows, the disk need not.
                                if let Some(kept) = self.objects.get_mut(&key) {
                                    kept.object.origin = object.origin;
                                }
                                done.push(Written::Unchanged);
                            } else {
                                version += 1;
                                let object = stamp(*object, old.as_ref().map(|o| &o.object), version, now);
                                let stored = Stored { object: object.clone(), manager: manager.to_owned() };
                                next.insert(key, Some(stored));
                                done.push(Written::Applied(Box::new(object)));
                            }
                        }
                    }
                }
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
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(OBJECTS)?;
            for (key, stored) in next {
                let name = format!("{}/{key}", key.kind.group);
                match stored {
                    Some(stored) => {
                        let row = json!({"object": &*stored.object.json, "manager": stored.manager});
                        table.insert(name.as_str(), row.to_string().as_bytes())?;
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
