//! Following a kind: found, listed, watched, and all of it again whenever the server says so or says nothing.
//!
//! ```text
//!  is it served? ──no──► absent: wait for its definition
//!       │ yes
//!       ▼        410, expired
//!  list, 500 a page ◄──────────┐
//!       │                      │
//!       ▼  bookmark, object    │
//!    watch ──ended, broken──► watch from where it was
//! ```
//!
//! Lists name no version, so they are as new as the store behind the server; version 0 would be whatever one server's cache
//! holds, and unpaged. Nothing is repeated without a wait that grows.
//!
//! A definition that is removed takes its objects with it, each with an event like a removal by hand. So before such a removal
//! is believed, it is asked whether the definition stays (`Stream::leaving`); if not, the objects are not seen any
//! more, and nothing follows from it.

mod stream;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_effects::store::View;
use portolan_model::{Kind, Name};
use tokio::{sync::watch, time::Instant};

use crate::{
    Api, Content, Failure, Followed, Options, Resource,
    backoff::{Backoff, jitter},
    cache::{Cache, Scope},
    client::Much,
    definitions::Definitions,
    resource::Discovery,
};
use stream::Stream;

/// What all streams of a store share.
#[derive(Clone)]
pub(crate) struct Following {
    pub api: Api,
    pub cache: Arc<Cache>,
    pub discovery: Discovery,
    pub options: Arc<Options>,
    pub definitions: watch::Receiver<Arc<Definitions>>,
}

/// Why the streams of a kind ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server does not serve it any more.
    NotServed,
    /// Its definition is being removed, or was.
    Leaving,
}

impl Following {
    /// Follows a kind for good.
    pub async fn run(mut self, followed: Followed) {
        let kind = followed.kind.clone();
        let mut backoff = Backoff::new(self.options.least_wait, self.options.most_wait);
        let mut before = None;
        loop {
            let known = Arc::clone(&self.definitions.borrow_and_update());
            let found = self.discovery.serves(&kind, &followed.versions).await;
            let found = match found {
                Ok(Some(resource)) => self.defined(&resource).await.map(|uid| Some((resource, uid))),
                Ok(None) => Ok(None),
                Err(failure) => Err(failure),
            };
            match found {
                Ok(Some((resource, uid))) if !known.leaving(&resource.definition()) => {
                    // Another definition of the name: what the one before had is not known to be gone.
                    if before.is_some() && before != uid {
                        self.cache.hide(&kind);
                    }
                    before.clone_from(&uid);
                    let begun = Instant::now();
                    let end = self.streams(&followed, resource, uid).await;
                    tracing::info!(%kind, ?end, "it is not served any more: its objects are not seen");
                    self.cache.hide(&kind);
                    self.say(&kind, View::Absent);
                    if begun.elapsed() > self.options.most_wait {
                        backoff.reset();
                    }
                    backoff.wait(None).await;
                }
                Ok(_) => {
                    self.cache.hide(&kind);
                    self.say(&kind, View::Absent);
                    // A definition is there before it is served. The longer wait is for servers whose definitions may not be
                    // watched.
                    let soon = known.of_group(&kind.group);
                    let again = if soon { backoff.pause() } else { jitter(self.options.refused_wait) };
                    let _ = tokio::time::timeout(again, self.definitions.changed()).await;
                    // Definitions come many at once.
                    tokio::time::sleep(jitter(self.options.least_wait / 4)).await;
                }
                Err(Failure::Forbidden(why)) => {
                    self.say(&kind, View::Refused(why));
                    tokio::time::sleep(jitter(self.options.refused_wait)).await;
                }
                Err(failure) => {
                    self.say(&kind, View::Failing(failure.to_string().into()));
                    backoff.wait(failure.after()).await;
                }
            }
        }
    }

    /// The uid of the definition of a resource; `None` for what has none, and where definitions may not be read.
    async fn defined(&self, resource: &Resource) -> Result<Option<Name>, Failure> {
        match self.api.find(&Definitions::path(&resource.definition()), Much::Metadata).await {
            Ok(found) => Ok(found.and_then(|json| Some(json["metadata"]["uid"].as_str()?.into()))),
            Err(Failure::Forbidden(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn say(&self, kind: &Kind, view: View) {
        if self.cache.view(kind, view.clone()) {
            match view {
                View::Whole | View::Coming | View::Absent => tracing::debug!(%kind, ?view, "followed"),
                View::Refused(why) => tracing::warn!(%kind, %why, "reading it is not allowed"),
                View::Failing(why) => tracing::warn!(%kind, %why, "it cannot be read at present"),
            }
        }
    }

    /// Runs a stream for each namespace until the kind is not served any more.
    async fn streams(&self, followed: &Followed, resource: Resource, uid: Option<Name>) -> End {
        let resource = Arc::new(resource);
        let namespaces: Vec<Name> = if self.options.namespaces.is_empty() || !resource.namespaced {
            vec!["".into()]
        } else {
            self.options.namespaces.iter().cloned().collect()
        };
        let whole = Arc::new(Parts { left: Mutex::new(namespaces.iter().cloned().collect()) });
        let streams = namespaces.into_iter().map(|namespace| {
            let stream = Stream {
                shared: self.clone(),
                resource: Arc::clone(&resource),
                scope: Scope { kind: followed.kind.clone(), namespace },
                much: if followed.content == Content::Whole { Much::Whole } else { Much::Metadata },
                parts: Arc::clone(&whole),
                uid: uid.clone(),
            };
            Box::pin(stream.run())
        });
        let definition = resource.definition();
        let mut definitions = self.definitions.clone();
        let left = async {
            loop {
                let known = Arc::clone(&definitions.borrow_and_update());
                let other = |known: Name| uid.as_ref().is_some_and(|uid| *uid != known);
                if known.leaving(&definition) || known.uid(&definition).is_some_and(other) {
                    return;
                }
                if definitions.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            (end, _, _) = futures::future::select_all(streams) => end,
            () = left => End::Leaving,
        }
    }
}

/// Namespaces of a kind that are not listed yet: it is seen whole when none is left.
struct Parts {
    left: Mutex<BTreeSet<Name>>,
}

impl Parts {
    /// A namespace is listed, or not any more; whether all are.
    fn set(&self, namespace: &Name, listed: bool) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if listed {
            left.remove(namespace);
        } else {
            left.insert(namespace.clone());
        }
        left.is_empty()
    }
}
