//! Writing objects that we make, by server-side apply, and removing them.
//!
//! Which part of Portolan applies an object stands in an annotation of it ([`MANAGER`](door::MANAGER)); one without is
//! somebody else's and is never written. What was decided by what was seen is bound to it: an apply names the uid, a removal uid
//! and version, so that the server refuses what has become wrong, and it is decided again by what is there now.
//!
//! Every request here may be sent twice: the reply of the first may have been lost.

mod fill;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use portolan_effects::store::{Precondition, Sight, Stored, View, Write, Written, takes_over};
use portolan_model::{Object, ObjectKey};
use serde_json::{Value, json};

use crate::{
    Failure, Resource,
    backoff::Backoff,
    client::{APPLY, Answer, Much},
    door::{self, ELSEWHERE, FIELD_MANAGER},
    follow::Following,
};
use fill::Fills;

/// Objects that are written at once; the writes of one are done in order.
const AT_ONCE: usize = 16;
/// Times that a write is decided anew because what was seen is not so any more, or sent again because no answer came.
const ATTEMPTS: u32 = 5;
/// Longest wait for a stream to show what was written.
const SHOWN: Duration = Duration::from_secs(10);

/// Writes objects.
pub(crate) struct Writer {
    shared: Following,
    /// Hash of what was applied last of an object, and its version then: applying it again needs no request.
    applied: Mutex<HashMap<ObjectKey, (u64, u64)>>,
    fills: Fills,
}

impl Writer {
    pub fn new(shared: Following) -> Self {
        Self { shared, applied: Mutex::default(), fills: Fills::default() }
    }

    fn applied(&self) -> MutexGuard<'_, HashMap<ObjectKey, (u64, u64)>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the writes; those of one object in order, of several side by side.
    pub async fn write(&self, writes: Vec<Write>) -> Vec<Written> {
        let mut by_object: BTreeMap<ObjectKey, Vec<(usize, Write)>> = BTreeMap::new();
        let count = writes.len();
        for (at, write) in writes.into_iter().enumerate() {
            by_object.entry(write.key().clone()).or_default().push((at, write));
        }
        let done = stream::iter(by_object).map(|(key, writes)| self.of_object(key, writes));
        let mut done: Vec<(usize, Written)> =
            done.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.into_iter().flatten().collect();
        debug_assert_eq!(done.len(), count, "one outcome a write");
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, written)| written).collect()
    }

    async fn of_object(&self, key: ObjectKey, writes: Vec<(usize, Write)>) -> Vec<(usize, Written)> {
        let seen = self.shared.cache.lock().objects.get(&key).cloned();
        let followed = self.shared.cache.lock().views.get(&key.kind) == Some(&View::Whole);
        // What is not followed, or not seen any more, is asked for.
        let mut present = match seen {
            Some(stored) if stored.sight != Sight::Unseen => Known::Seen(Some(Box::new(stored))),
            None if followed => Known::Seen(None),
            _ => Known::Unknown,
        };
        let before = present.version();
        let mut out = Vec::new();
        for (at, write) in writes {
            out.push((at, self.patiently(&key, write, &mut present).await));
        }
        // Whoever reads next sees what was written.
        if let Known::Seen(now) = &present
            && now.as_ref().and_then(|stored| version(stored)) != before
        {
            let version = now.as_ref().and_then(|stored| version(stored));
            if !self.shared.cache.reached(&key, version, SHOWN).await {
                tracing::warn!(object = %key, "it was written, and its stream has not told it yet");
            }
        }
        out
    }

    /// Decides and writes, anew while what was seen is not so any more.
    async fn patiently(&self, key: &ObjectKey, write: Write, present: &mut Known) -> Written {
        let options = &self.shared.options;
        let mut backoff = Backoff::new(options.least_wait / 10, options.least_wait * 4);
        let mut sent = false;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let failure = match self.once(key, &write, present, &mut sent).await {
                Ok(written) => return written,
                Err(failure) => failure,
            };
            match &failure {
                Failure::Conflict(_) => *present = Known::Unknown,
                Failure::NotFound(_) => {
                    self.shared.discovery.forget(&key.kind);
                    *present = Known::Unknown;
                }
                Failure::Unanswered(_) => sent = true,
                Failure::Throttled { .. } => {}
                _ => return Written::Failed(key.clone(), covered(&write, &failure)),
            }
            backoff.wait(failure.after()).await;
            last = Some(failure);
        }
        *present = Known::Unknown;
        let why = last.map_or_else(|| "it was not tried".into(), |failure| covered(&write, &failure));
        Written::Failed(key.clone(), why)
    }

    async fn once(
        &self,
        key: &ObjectKey,
        write: &Write,
        present: &mut Known,
        sent: &mut bool,
    ) -> Result<Written, Failure> {
        match write {
            Write::Apply(object, manager) | Write::Hold(object, manager) => {
                self.apply(object, manager, present, *sent).await
            }
            Write::Fill(fill) => self.fill(key, fill, present).await,
            Write::Delete(_, manager) => {
                self.delete(key, manager, &Precondition::default(), present, sent).await
            }
            Write::DeleteIf(_, manager, condition) => {
                self.delete(key, manager, condition, present, sent).await
            }
        }
    }

    /// What is there now, of the resource.
    async fn look(
        &self,
        key: &ObjectKey,
        resource: &Resource,
        present: &mut Known,
    ) -> Result<Option<Box<Stored>>, Failure> {
        if let Known::Seen(stored) = present {
            return Ok(stored.clone());
        }
        let path = resource.object(&key.name.namespace, &key.name.name);
        let found = self.shared.api.find(&path, Much::Whole).await?;
        let stored = found.and_then(|json| door::enter(json, resource, Sight::Whole).ok()).map(Box::new);
        *present = Known::Seen(stored.clone());
        Ok(stored)
    }

    async fn apply(
        &self,
        object: &Object,
        manager: &'static str,
        present: &mut Known,
        sent: bool,
    ) -> Result<Written, Failure> {
        let key = &object.key;
        let resource = self.shared.discovery.resource(&key.kind, &object.version).await?;
        let there = self.look(key, &resource, present).await?;
        if let Some(there) = &there
            && there.manager != *manager
            && (*there.manager == *ELSEWHERE || !takes_over(key, manager, &there.manager))
        {
            return Ok(Written::OwnedBy(key.clone(), there.manager.clone()));
        }
        let filled = self.fills.over(object);
        let stamp = there.as_ref().and_then(|stored| stored.object.stamp.as_ref());
        let body = door::leave(filled.as_ref().unwrap_or(object), manager, stamp.map(|stamp| &*stamp.uid));
        let hash = hash(&body);
        if stamp.is_some_and(|stamp| self.applied().get(key) == Some(&(hash, stamp.version))) {
            return Ok(Written::Unchanged);
        }
        let path = resource.object(&key.name.namespace, &key.name.name);
        // Of an object that is ours every field that we name is ours; of one that is new to us nobody's is taken.
        let force = there.is_some();
        let answer = self
            .shared
            .api
            .patch(&format!("{path}?fieldManager={FIELD_MANAGER}&force={force}"), APPLY, &body)
            .await?;
        if there.is_none() && !answer.created && !sent && touched_by_others(&answer.json) {
            self.withdraw(&path, object).await?;
            *present = Known::Unknown;
            return Ok(Written::OwnedBy(key.clone(), ELSEWHERE.into()));
        }
        let before = stamp.map(|stamp| stamp.version);
        let now = door::version(&answer.json);
        self.remember(key, hash, now);
        present.keep(answer, &resource);
        Ok(match before {
            None => Written::Created(key.clone()),
            Some(before) if before == now => Written::Unchanged,
            Some(_) => Written::Changed(key.clone()),
        })
    }

    /// Somebody made an object of the name in the moment in which we did: what we laid over it is taken back.
    async fn withdraw(&self, path: &str, object: &Object) -> Result<(), Failure> {
        let name = &object.key.name;
        let mut nothing = json!({
            "apiVersion": object.json["apiVersion"], "kind": object.json["kind"], "metadata": {"name": name.name},
        });
        if !name.namespace.is_empty() {
            nothing["metadata"]["namespace"] = json!(name.namespace);
        }
        self.shared
            .api
            .patch(&format!("{path}?fieldManager={FIELD_MANAGER}&force=false"), APPLY, &nothing)
            .await?;
        Ok(())
    }

    async fn delete(
        &self,
        key: &ObjectKey,
        manager: &str,
        condition: &Precondition,
        present: &mut Known,
        sent: &mut bool,
    ) -> Result<Written, Failure> {
        let version = match present {
            Known::Seen(None) if *sent => return Ok(Written::Deleted(key.clone())),
            Known::Seen(None) => return Ok(Written::Unchanged),
            Known::Seen(Some(stored)) => stored.object.version.clone(),
            // Which version it was applied in is not known; every kind that is removed unseen is of version 1.
            Known::Unknown => "v1".into(),
        };
        let resource = self.shared.discovery.resource(&key.kind, &version).await?;
        let Some(there) = self.look(key, &resource, present).await? else {
            return Ok(if *sent { Written::Deleted(key.clone()) } else { Written::Unchanged });
        };
        if there.manager != *manager {
            return Ok(Written::OwnedBy(key.clone(), there.manager.clone()));
        }
        if !condition.holds(&there.object) {
            return Ok(Written::Stale(key.clone()));
        }
        let Some(stamp) = &there.object.stamp else { return Ok(Written::Stale(key.clone())) };
        let path = resource.object(&key.name.namespace, &key.name.name);
        match self.shared.api.delete(&path, &stamp.uid, stamp.version).await {
            Ok(answer) => {
                self.applied().remove(key);
                self.fills.forget(key);
                if answer.json["kind"] == json!(*key.kind.kind)
                    && answer.json["metadata"].get("deletionTimestamp").is_some()
                {
                    // Finalizers of others hold it: it stays until they are done.
                    present.keep(answer, &resource);
                } else {
                    *present = Known::Seen(None);
                }
                Ok(Written::Deleted(key.clone()))
            }
            Err(Failure::NotFound(_)) => {
                *present = Known::Seen(None);
                Ok(Written::Deleted(key.clone()))
            }
            Err(failure) => Err(failure),
        }
    }

    fn remember(&self, key: &ObjectKey, hash: u64, version: u64) {
        self.applied().insert(key.clone(), (hash, version));
    }
}

/// What is known to be there.
enum Known {
    /// This, or nothing.
    Seen(Option<Box<Stored>>),
    /// It has to be asked for.
    Unknown,
}

impl Known {
    /// What the server answered is what is there.
    fn keep(&mut self, answer: Answer, resource: &Resource) {
        *self = match door::enter(answer.json, resource, Sight::Whole) {
            Ok(stored) => Self::Seen(Some(Box::new(stored))),
            Err(_) => Self::Unknown,
        };
    }

    fn version(&self) -> Option<u64> {
        match self {
            Self::Seen(Some(stored)) => version(stored),
            _ => None,
        }
    }
}

fn version(stored: &Stored) -> Option<u64> {
    Some(stored.object.stamp.as_ref()?.version)
}

/// Whether anybody but us has fields in an object.
fn touched_by_others(json: &Value) -> bool {
    let managers = json["metadata"]["managedFields"].as_array().into_iter().flatten();
    managers.into_iter().any(|entry| entry["manager"] != FIELD_MANAGER)
}

fn hash(body: &Value) -> u64 {
    let mut hash = DefaultHasher::new();
    body.to_string().hash(&mut hash);
    hash.finish()
}

/// Why a write failed, without anything of what it holds: API servers repeat values that they refuse.
fn covered(write: &Write, failure: &Failure) -> Arc<str> {
    let text = failure.to_string();
    match write {
        Write::Apply(object, _) | Write::Hold(object, _)
            if portolan_model::veil::means_secret(&object.json) =>
        {
            portolan_model::veil::Veil::of_document(&object.json).cover(&text).into()
        }
        Write::Fill(_) => match failure {
            Failure::Refused(code, _) => format!("refused ({code})").into(),
            _ => text.into(),
        },
        _ => text.into(),
    }
}
