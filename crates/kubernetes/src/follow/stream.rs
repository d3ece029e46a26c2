//! One stream of a kind: list, watch, and what to do when either fails.

use std::{collections::BTreeSet, sync::Arc};

use portolan_effects::store::{Sight, Stored, View};
use portolan_model::{Name, ObjectKey};
use serde_json::Value;
use tokio::time::Instant;

use super::{End, Following, Parts};
use crate::{
    Failure, Resource,
    backoff::{Backoff, jitter},
    cache::Scope,
    client::{Lines, Much, segment},
    definitions::Definitions,
    door,
};

/// One stream: a kind in one namespace, or in all.
pub(super) struct Stream {
    pub shared: Following,
    pub resource: Arc<Resource>,
    pub scope: Scope,
    pub much: Much,
    pub parts: Arc<Parts>,
    /// That of the definition under which the stream began.
    pub uid: Option<Name>,
}

/// The items of a list. An empty one of metadata has `null` in their place.
fn items(page: &mut Value) -> Option<Vec<Value>> {
    match page.get_mut("items").map_or(Value::Null, Value::take) {
        Value::Array(items) => Some(items),
        Value::Null => page["kind"].as_str().is_some_and(|kind| kind.ends_with("List")).then(Vec::new),
        _ => None,
    }
}

/// Why a watch ended.
enum Ended {
    /// In order; from where to go on.
    Over,
    Failed(Failure),
    Leaving,
}

impl Stream {
    /// Follows it until the kind is not served any more.
    pub async fn run(self) -> End {
        let options = Arc::clone(&self.shared.options);
        let mut backoff = Backoff::new(options.least_wait, options.most_wait);
        let mut at: Option<u64> = None;
        let mut bury: Option<Instant> = None;
        self.say(false, View::Coming);
        loop {
            let failure = match at {
                None => match self.list().await {
                    Ok(Ok(version)) => {
                        at = Some(version);
                        bury = Some(Instant::now() + options.mourning);
                        self.say(true, View::Whole);
                        continue;
                    }
                    Ok(Err(end)) => return end,
                    Err(failure) => failure,
                },
                Some(ref mut from) => {
                    let begun = Instant::now();
                    let (ended, told) = self.watch(from, &mut bury).await;
                    let long = begun.elapsed() > options.most_wait;
                    if long {
                        backoff.reset();
                    }
                    match ended {
                        // One that ends at once, or tells nothing, is asked for ever more slowly.
                        Ended::Over if long || (told && begun.elapsed() > options.least_wait) => continue,
                        Ended::Over => {
                            backoff.wait(None).await;
                            continue;
                        }
                        Ended::Leaving => return End::Leaving,
                        Ended::Failed(failure) => failure,
                    }
                }
            };
            tracing::debug!(kind = %self.scope.kind, namespace = %self.scope.namespace, %failure, "a stream broke");
            match &failure {
                Failure::NotFound(_) => return End::NotServed,
                Failure::Expired(_) => at = None,
                Failure::Forbidden(why) => {
                    self.say(false, View::Refused(Arc::clone(why)));
                    tokio::time::sleep(jitter(options.refused_wait)).await;
                    // What went on meanwhile may be more than a watch can tell.
                    at = None;
                    continue;
                }
                // A watch that breaks off goes on where it was: nothing is missed.
                _ if at.is_some() && backoff.attempts() == 0 => {}
                _ => self.say(false, View::Failing(failure.to_string().into())),
            }
            backoff.wait(failure.after()).await;
        }
    }

    fn say(&self, listed: bool, view: View) {
        let all = self.parts.set(&self.scope.namespace, listed);
        if all || view != View::Whole {
            self.shared.say(&self.scope.kind, view);
        }
    }

    /// Lists all, page by page, and takes each page as it comes; the version as of which it is complete.
    async fn list(&self) -> Result<Result<u64, End>, Failure> {
        let path = self.resource.path(&self.scope.namespace);
        let mut listed = BTreeSet::new();
        let mut token = String::new();
        loop {
            let limit = self.shared.options.page;
            let more =
                if token.is_empty() { String::new() } else { format!("&continue={}", segment(&token)) };
            let mut page = self.shared.api.page(&format!("{path}?limit={limit}{more}"), self.much).await?;
            let Some(items) = items(&mut page) else {
                return Err(Failure::Unanswered("the answer is no list".into()));
            };
            let objects: Vec<Stored> = items.into_iter().filter_map(|item| self.object(item)).collect();
            listed.extend(objects.iter().map(|stored| stored.object.key.clone()));
            self.shared.cache.put(objects);
            token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                let version = door::version(&page);
                let missing = self.missing(&listed);
                let leaving = missing && self.leaving().await?;
                self.shared.cache.listed(&self.scope, &listed, version, leaving);
                return Ok(if leaving { Err(End::Leaving) } else { Ok(version) });
            }
        }
    }

    fn missing(&self, listed: &BTreeSet<ObjectKey>) -> bool {
        let seen = self.shared.cache.lock();
        let of = |key: &&ObjectKey| {
            key.kind == self.scope.kind
                && (self.scope.namespace.is_empty() || key.name.namespace == self.scope.namespace)
        };
        seen.objects.keys().filter(of).any(|key| !listed.contains(key))
    }

    /// Watches from a version, and keeps the version up to which all was told. Also whether anything was.
    async fn watch(&self, from: &mut u64, bury: &mut Option<Instant>) -> (Ended, bool) {
        let path = self.resource.path(&self.scope.namespace);
        // Ends of watches are spread over a minute and more, as the servers' own clients do.
        let seconds = 240 + jitter(std::time::Duration::from_mins(2)).as_secs();
        let path = format!(
            "{path}?watch=true&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds={seconds}"
        );
        let lines = self.shared.api.watch(&path, self.much, self.shared.options.silence).await;
        let mut told = false;
        let ended = match lines {
            Ok(lines) => {
                self.say(true, View::Whole);
                self.read(lines, from, bury, &mut told).await
            }
            Err(failure) => Ended::Failed(failure),
        };
        (ended, told)
    }

    async fn read(
        &self,
        mut lines: Lines,
        from: &mut u64,
        bury: &mut Option<Instant>,
        told: &mut bool,
    ) -> Ended {
        loop {
            let until = *bury;
            let dead = async {
                match until {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let line = tokio::select! {
                line = lines.next() => line,
                () = dead => {
                    *bury = None;
                    self.shared.cache.bury(&self.scope);
                    continue;
                }
            };
            let mut event = match line {
                Ok(Some(event)) => event,
                Ok(None) => return Ended::Over,
                Err(failure) => return Ended::Failed(failure),
            };
            let object = event.get_mut("object").map_or(Value::Null, Value::take);
            let version = door::version(&object);
            match event["type"].as_str() {
                Some("ADDED" | "MODIFIED") => {
                    self.shared.cache.put(self.object(object).into_iter().collect());
                }
                Some("DELETED") => match self.leaving().await {
                    Ok(true) => return Ended::Leaving,
                    Ok(false) => {
                        if let Some(stored) = self.object(object) {
                            self.shared.cache.remove(&stored.object.key, version);
                        }
                    }
                    // Asked again when this event comes again: the watch goes on from before it.
                    Err(failure) => return Ended::Failed(failure),
                },
                Some("BOOKMARK") => {}
                Some("ERROR") => return Ended::Failed(Failure::of_event(&object)),
                // An event of a kind that is not known may have changed something.
                _ => return Ended::Failed(Failure::Expired("an event of an unknown type".into())),
            }
            *told = true;
            *from = version.max(*from);
        }
    }

    /// Whether the definition of this kind is being removed or is another by now. Kinds that have none stay.
    async fn leaving(&self) -> Result<bool, Failure> {
        let name = self.resource.definition();
        let Some(uid) = &self.uid else { return Ok(self.shared.definitions.borrow().leaving(&name)) };
        match self.shared.api.find(&Definitions::path(&name), Much::Metadata).await {
            Ok(None) => Ok(true),
            Ok(Some(json)) => {
                let metadata = &json["metadata"];
                Ok(metadata["uid"] != **uid || metadata.get("deletionTimestamp").is_some())
            }
            // Whoever may not look at definitions has none that it knows.
            Err(Failure::Forbidden(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn object(&self, json: Value) -> Option<Stored> {
        let sight = if self.much == Much::Whole { Sight::Whole } else { Sight::Metadata };
        match door::enter(json, &self.resource, sight) {
            Ok(stored) => Some(stored),
            Err(why) => {
                tracing::warn!(kind = %self.scope.kind, %why, "the API server sent what is no object");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_without_items_is_a_list_and_what_a_proxy_says_is_none() {
        let count = |mut page: Value| items(&mut page).map(|items| items.len());
        assert_eq!(count(json!({"kind": "SecretList", "items": [{}, {}]})), Some(2));
        assert_eq!(count(json!({"kind": "PartialObjectMetadataList", "items": null})), Some(0));
        assert_eq!(count(json!({"kind": "PartialObjectMetadataList"})), Some(0));
        for page in [json!({}), json!({"kind": "Status"}), json!({"kind": "SecretList", "items": "none"})] {
            assert_eq!(count(page), None);
        }
    }
}
