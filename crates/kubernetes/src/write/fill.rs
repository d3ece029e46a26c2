//! Fields over an object that somebody else applies: the content of a mirror or of a patched Secret.
//!
//! Of an object that a part of Portolan applies, both are applied as one. Of a user's object, which asks for it by an
//! annotation, the fields are written by a merge patch bound to the version that was seen. What it had before is kept in memory,
//! as long as this process has filled it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use portolan_effects::store::{Fill, Stored, Written};
use portolan_model::{Object, ObjectKey};
use serde_json::json;

use super::{Known, Writer};
use crate::{
    Failure,
    client::{APPLY, MERGE},
    door::{self, ELSEWHERE, FIELD_MANAGER},
    status::merge,
};

/// What is filled in at present, and the object without it.
#[derive(Default)]
pub(super) struct Fills(Mutex<BTreeMap<ObjectKey, (Object, Fill)>>);

impl Fills {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, (Object, Fill)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object that is applied, with what is filled into it. Once it does not ask any more, that goes.
    pub fn over(&self, object: &Object) -> Option<Object> {
        let mut fills = self.lock();
        let (base, fill) = fills.get_mut(&object.key)?;
        if fill.holds(object) {
            *base = object.clone();
            return Some(fill.over(object));
        }
        fills.remove(&object.key);
        None
    }

    pub fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// The object without what was filled in, if it is still the one that it was filled into.
    fn base(&self, there: &Stored) -> Object {
        let fills = self.lock();
        let uid = |object: &Object| object.stamp.as_ref().map(|stamp| stamp.uid.clone());
        let known = fills
            .get(&there.object.key)
            .filter(|(base, _)| uid(base).is_none_or(|of| Some(of) == uid(&there.object)));
        known.map_or_else(|| there.object.clone(), |(base, _)| base.clone())
    }
}

impl Writer {
    pub(super) async fn fill(
        &self,
        key: &ObjectKey,
        fill: &Fill,
        present: &mut Known,
    ) -> Result<Written, Failure> {
        let version = match present {
            Known::Seen(None) => return Ok(Written::Unchanged),
            Known::Seen(Some(stored)) => stored.object.version.clone(),
            Known::Unknown => "v1".into(),
        };
        let resource = self.shared.discovery.resource(&key.kind, &version).await?;
        let Some(there) = self.look(key, &resource, present).await? else { return Ok(Written::Unchanged) };
        let base = self.fills.base(&there);
        if !fill.holds(&base) {
            return Ok(Written::Unchanged);
        }
        let path = resource.object(&key.name.namespace, &key.name.name);
        let over = fill.over(&base);
        let stamp = there.object.stamp.clone();
        let answer = if *there.manager == *ELSEWHERE {
            if !(key.kind.is("", "Secret") || key.kind.is("", "ConfigMap")) {
                let why = "only Secrets and ConfigMaps of users are filled";
                return Ok(Written::Failed(key.clone(), why.into()));
            }
            let mut patch = merge::patch(&there.object.json, &over.json);
            if patch.is_null() {
                self.fills.lock().insert(key.clone(), (base, fill.clone()));
                return Ok(Written::Unchanged);
            }
            let version = stamp.as_ref().map_or(0, |stamp| stamp.version);
            patch["metadata"]["resourceVersion"] = json!(version.to_string());
            self.shared.api.patch(&format!("{path}?fieldManager={FIELD_MANAGER}"), MERGE, &patch).await?
        } else {
            let uid = stamp.as_ref().map(|stamp| &*stamp.uid);
            let body = door::leave(&over, &there.manager, uid);
            self.shared
                .api
                .patch(&format!("{path}?fieldManager={FIELD_MANAGER}&force=true"), APPLY, &body)
                .await?
        };
        self.fills.lock().insert(key.clone(), (base, fill.clone()));
        let now = door::version(&answer.json);
        present.keep(answer, &resource);
        let same = stamp.is_some_and(|stamp| stamp.version == now);
        Ok(if same { Written::Unchanged } else { Written::Changed(key.clone()) })
    }
}
