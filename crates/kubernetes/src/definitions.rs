//! Which CustomResourceDefinitions there are, by their metadata: schemas are large and nobody here reads them.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::Name;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    Api, Failure, Options,
    backoff::{Backoff, jitter},
    client::{Much, segment},
    door,
};

/// The definitions that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Definitions {
    known: BTreeMap<String, Definition>,
    /// Counts changes that are none of presence, such as that a version is served now.
    changes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Definition {
    uid: Name,
    leaving: bool,
}

const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

impl Definitions {
    /// Path of a definition.
    pub fn path(name: &str) -> String {
        format!("{PATH}/{name}")
    }

    /// Whether a definition is being removed.
    pub fn leaving(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|definition| definition.leaving)
    }

    /// The uid of a definition that is there.
    pub fn uid(&self, name: &str) -> Option<Name> {
        self.known.get(name).map(|definition| definition.uid.clone())
    }

    /// Whether any definition of a group is there.
    pub fn of_group(&self, group: &str) -> bool {
        self.known.keys().any(|name| name.split_once('.').is_some_and(|(_, of)| of == group))
    }

    fn put(&mut self, json: &Value) {
        let metadata = &json["metadata"];
        let Some(name) = metadata["name"].as_str() else { return };
        let definition = Definition {
            uid: metadata["uid"].as_str().unwrap_or_default().into(),
            leaving: metadata.get("deletionTimestamp").is_some(),
        };
        self.known.insert(name.to_owned(), definition);
    }

    /// Follows them for good, from what was listed. Where that is not allowed nobody is told of any change.
    pub async fn follow(
        api: Api,
        options: Arc<Options>,
        told: watch::Sender<Arc<Self>>,
        mut at: Option<u64>,
    ) {
        let mut backoff = Backoff::new(options.least_wait, options.most_wait);
        loop {
            let failure = match at {
                None => match Self::list(&api, options.page).await {
                    Ok((mut all, version)) => {
                        at = Some(version);
                        all.changes = told.borrow().changes + 1;
                        told.send_replace(Arc::new(all));
                        continue;
                    }
                    Err(failure) => failure,
                },
                Some(ref mut from) => {
                    let (failure, heard) = Self::watch(&api, &options, &told, from).await;
                    if heard {
                        backoff.reset();
                    }
                    match failure {
                        Some(failure) => failure,
                        None if heard => continue,
                        None => Failure::Unanswered("it ended at once".into()),
                    }
                }
            };
            match failure {
                Failure::Expired(_) => at = None,
                Failure::Forbidden(ref why) => {
                    tracing::debug!(%why, "definitions may not be watched");
                    tokio::time::sleep(jitter(options.refused_wait)).await;
                }
                _ => {}
            }
            backoff.wait(failure.after()).await;
        }
    }

    /// All of them, and the version as of which.
    pub async fn list(api: &Api, page: u32) -> Result<(Self, u64), Failure> {
        let mut all = Self::default();
        let mut token = String::new();
        loop {
            let more =
                if token.is_empty() { String::new() } else { format!("&continue={}", segment(&token)) };
            let listed = api.page(&format!("{PATH}?limit={page}{more}"), Much::Metadata).await?;
            listed["items"].as_array().into_iter().flatten().for_each(|item| all.put(item));
            listed["metadata"]["continue"].as_str().unwrap_or_default().clone_into(&mut token);
            if token.is_empty() {
                return Ok((all, door::version(&listed)));
            }
        }
    }

    async fn watch(
        api: &Api,
        options: &Options,
        told: &watch::Sender<Arc<Self>>,
        from: &mut u64,
    ) -> (Option<Failure>, bool) {
        let mut heard = false;
        let path =
            format!("{PATH}?watch=true&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds=300");
        let mut lines = match api.watch(&path, Much::Metadata, options.silence).await {
            Ok(lines) => lines,
            Err(failure) => return (Some(failure), heard),
        };
        loop {
            let event = match lines.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return (None, heard),
                Err(failure) => return (Some(failure), heard),
            };
            let object = &event["object"];
            match event["type"].as_str() {
                Some("BOOKMARK") => {}
                Some("ERROR") => return (Some(Failure::of_event(object)), heard),
                Some(what) => {
                    let mut all = Self::clone(&told.borrow());
                    match what {
                        "DELETED" => {
                            drop(all.known.remove(object["metadata"]["name"].as_str().unwrap_or_default()));
                        }
                        _ => all.put(object),
                    }
                    all.changes += 1;
                    told.send_replace(Arc::new(all));
                }
                None => return (Some(Failure::Expired("an event without a type".into())), heard),
            }
            heard = true;
            *from = door::version(object).max(*from);
        }
    }
}
