//! The watch of the API server, as events.

use std::collections::BTreeMap;

use portolan_effects::store::{ObjectStore as _, TooOld, View, Watch};
use portolan_kubernetes::KubernetesStore;
use portolan_model::{Kind, ObjectKey};
use tokio::sync::mpsc;

use super::{Event, Told};

/// Follows a store until nobody listens any more.
pub async fn follow(store: KubernetesStore, events: mpsc::UnboundedSender<Event>) {
    let mut changes = store.changes();
    let mut views: BTreeMap<Kind, View> = BTreeMap::new();
    let mut watch: Option<Box<dyn Watch>> = None;
    loop {
        changes.mark_unchanged();
        // In this order: a kind that is whole has told its objects.
        let now = store.view();
        let changed = match &mut watch {
            Some(following) => told(&mut **following).await,
            None => Err(TooOld { asked: 0, oldest: 0 }),
        };
        let sent = match changed {
            Ok(keys) if keys.is_empty() => true,
            Ok(keys) => events.send(Event::Cluster(Told::Changed(keys))).is_ok(),
            Err(_) => {
                watch = begin(&store).await;
                events.send(Event::Cluster(Told::All)).is_ok()
            }
        };
        let other = now != views;
        if other {
            views.clone_from(&now);
        }
        if !sent || other && events.send(Event::Cluster(Told::Views(now))).is_err() {
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// A watch from what is listed now.
async fn begin(store: &KubernetesStore) -> Option<Box<dyn Watch>> {
    let (_, place) = store.list(None).await.ok()?;
    store.watch(place).await.ok()
}

/// What has been told since the last call.
async fn told(watch: &mut dyn Watch) -> Result<Vec<ObjectKey>, TooOld> {
    let mut keys = Vec::new();
    loop {
        tokio::select! {
            biased;
            noted = watch.next() => keys.push(noted?.key),
            () = std::future::ready(()) => return Ok(keys),
        }
    }
}
