//! Writing statuses: what was asked for last of each object, at a bounded rate, while this process leads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portolan_effects::store::{Sight, Stored};
use portolan_model::{Instant, Name, ObjectKey};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::merge::{self, Ours};
use crate::{
    Failure,
    backoff::{Backoff, jitter},
    client::{MERGE, Much},
    door,
    follow::Following,
    pace::Pace,
};

/// Statuses that are written at once.
const AT_ONCE: usize = 8;
/// Times that a status is merged anew because somebody else wrote meanwhile, before others get their turn.
const CONFLICTS: u32 = 8;
/// Longest wait for a stream to show what was written.
const SHOWN: Duration = Duration::from_secs(10);

/// Statuses that are to be written.
pub(crate) struct Statuses {
    pending: Mutex<Pending>,
    wake: watch::Sender<()>,
}

#[derive(Default)]
struct Pending {
    wanted: BTreeMap<ObjectKey, Wanted>,
    /// What of ours each object's status has had.
    had: BTreeMap<ObjectKey, (BTreeSet<String>, BTreeSet<String>)>,
    number: u64,
}

#[derive(Clone)]
struct Wanted {
    /// The object that is meant.
    uid: Arc<str>,
    status: Value,
    /// The whole status as it will be, as far as is known.
    merged: Value,
    ours: Ours,
    now: Instant,
    /// Which call asked for it.
    number: u64,
}

impl Statuses {
    pub fn new() -> Self {
        Self { pending: Mutex::default(), wake: watch::Sender::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status of an object as it is or is about to be.
    pub fn shown(&self, stored: &Stored) -> Value {
        let uid = stored.object.stamp.as_ref().map(|stamp| &stamp.uid);
        let pending = self.lock();
        let wanted = pending.wanted.get(&stored.object.key).filter(|wanted| Some(&wanted.uid) == uid);
        wanted.map_or_else(|| stored.object.json["status"].clone(), |wanted| wanted.merged.clone())
    }

    /// Asks for a status; `true` if that changes anything.
    pub fn set(
        &self,
        key: &ObjectKey,
        stored: Option<&Stored>,
        status: Option<Value>,
        controllers: &BTreeSet<Name>,
        now: Instant,
    ) -> bool {
        let seen = stored.filter(|stored| stored.sight != Sight::Unseen);
        let Some((stored, stamp)) = seen.and_then(|stored| Some((stored, stored.object.stamp.as_ref()?)))
        else {
            let mut pending = self.lock();
            pending.wanted.remove(key);
            pending.had.remove(key);
            return false;
        };
        let current = self.shown(stored);
        let status = status.unwrap_or(Value::Null);
        let mut pending = self.lock();
        let mut ours = merge::known(&key.kind);
        ours.controllers.clone_from(controllers);
        let had = pending.had.entry(key.clone()).or_default();
        ours.types.extend(had.0.iter().cloned());
        ours.fields.extend(had.1.iter().cloned());
        let merged = merge::merge(&current, &status, &ours, now);
        if merged == current || (merge::is_nothing(&merged) && merge::is_nothing(&current)) {
            return false;
        }
        let (types, fields) = merge::remember(&status);
        had.0.extend(types);
        had.1.extend(fields);
        pending.number += 1;
        let number = pending.number;
        let uid = Arc::clone(&stamp.uid);
        pending.wanted.insert(key.clone(), Wanted { uid, status, merged, ours, now, number });
        drop(pending);
        self.wake.send_replace(());
        true
    }

    /// Writes for good, while `leads` says so.
    pub async fn run(self: Arc<Self>, shared: Following, mut leads: watch::Receiver<bool>) {
        let pace = Arc::new(Pace::new(shared.options.statuses_a_second));
        let mut wake = self.wake.subscribe();
        let mut running: JoinSet<ObjectKey> = JoinSet::new();
        let mut busy = BTreeSet::new();
        loop {
            wake.mark_unchanged();
            if leads.wait_for(|leads| *leads).await.is_err() {
                return;
            }
            let next = (busy.len() < AT_ONCE).then(|| self.next(&busy)).flatten();
            if let Some((key, wanted)) = next {
                busy.insert(key.clone());
                let (statuses, shared, pace) = (Arc::clone(&self), shared.clone(), Arc::clone(&pace));
                running.spawn(async move {
                    pace.take().await;
                    statuses.one(&shared, &key, wanted).await;
                    key
                });
                continue;
            }
            tokio::select! {
                Some(done) = running.join_next() => if let Ok(key) = done {
                    busy.remove(&key);
                } else {
                    // Which one it was is not known: none is.
                    running.abort_all();
                    busy.clear();
                },
                woken = wake.changed() => if woken.is_err() { return },
            }
        }
    }

    fn next(&self, busy: &BTreeSet<ObjectKey>) -> Option<(ObjectKey, Wanted)> {
        let pending = self.lock();
        let first = pending
            .wanted
            .iter()
            .filter(|(key, _)| !busy.contains(*key))
            .min_by_key(|(_, wanted)| wanted.number);
        first.map(|(key, wanted)| (key.clone(), wanted.clone()))
    }

    /// Writes one, and keeps it pending where that fails; the time until the next attempt is part of it.
    async fn one(&self, shared: &Following, key: &ObjectKey, wanted: Wanted) {
        let number = wanted.number;
        let wait = match write(shared, key, &wanted).await {
            Ok(()) => None,
            Err(failure) if failure.passes() => {
                tracing::debug!(object = %key, %failure, "its status is not written yet");
                Some(failure.after().unwrap_or_default() + jitter(shared.options.least_wait * 4))
            }
            Err(Failure::Conflict(_)) => Some(jitter(shared.options.least_wait)),
            Err(failure) => {
                tracing::warn!(object = %key, %failure, "its status cannot be written");
                Some(jitter(shared.options.refused_wait))
            }
        };
        let Some(wait) = wait else {
            let mut pending = self.lock();
            if pending.wanted.get(key).is_some_and(|now| now.number == number) {
                pending.wanted.remove(key);
            }
            return;
        };
        // What is asked for meanwhile need not wait as long.
        let mut wake = self.wake.subscribe();
        let asked = async {
            while self.lock().wanted.get(key).is_some_and(|now| now.number == number) {
                if wake.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(wait, asked).await;
    }
}

async fn write(shared: &Following, key: &ObjectKey, wanted: &Wanted) -> Result<(), Failure> {
    let seen = shared.cache.lock().objects.get(key).map(|stored| stored.object.clone());
    let Some(object) = seen else { return Ok(()) };
    let resource = shared.discovery.resource(&key.kind, &object.version).await?;
    let path = resource.object(&key.name.namespace, &key.name.name);
    let mut backoff = Backoff::new(shared.options.least_wait / 10, shared.options.least_wait * 4);
    let stamp = object.stamp.as_ref();
    let mut version = stamp.map_or(0, |stamp| stamp.version);
    let mut uid = stamp.map_or_else(|| "".into(), |stamp| Arc::clone(&stamp.uid));
    let mut status = object.json["status"].clone();
    let mut last = None;
    for _ in 0..CONFLICTS {
        // Another object under the name has a status of its own.
        if uid != wanted.uid {
            return Ok(());
        }
        let merged = merge::merge(&status, &wanted.status, &wanted.ours, wanted.now);
        let patch = merge::patch(&status, &merged);
        if patch.is_null() || (status.is_null() && merge::is_nothing(&merged)) {
            return Ok(());
        }
        let body = json!({"metadata": {"resourceVersion": version.to_string()}, "status": patch});
        match shared
            .api
            .patch(&format!("{path}/status?fieldManager={}", door::FIELD_MANAGER), MERGE, &body)
            .await
        {
            Ok(answer) => {
                shared.cache.reached(key, Some(door::version(&answer.json)), SHOWN).await;
                return Ok(());
            }
            Err(Failure::Conflict(why)) => last = Some(Failure::Conflict(why)),
            // The object is gone, or its definition has no status any more.
            Err(Failure::NotFound(_)) => {
                shared.discovery.forget(&key.kind);
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
        backoff.wait(None).await;
        let Some(live) = shared.api.find(&path, Much::Whole).await? else { return Ok(()) };
        version = door::version(&live);
        uid = live["metadata"]["uid"].as_str().unwrap_or_default().into();
        status = live["status"].clone();
    }
    Err(last.unwrap_or_else(|| Failure::Conflict("written by others again and again".into())))
}
