//! Reading the content of Secrets and ConfigMaps that somebody looks into.

use futures::{StreamExt as _, stream};
use portolan_effects::store::Sight;
use portolan_model::ObjectKey;

use crate::{Failure, backoff::Backoff, client::Much, door, follow::Following};

/// Contents that are read at once.
const AT_ONCE: usize = 8;

/// Reads what is not read yet, for good.
pub(crate) async fn run(shared: Following) {
    let options = &shared.options;
    let mut backoff = Backoff::new(options.least_wait, options.most_wait);
    let mut changes = shared.cache.changes();
    loop {
        changes.mark_unchanged();
        let unread = std::mem::take(&mut shared.cache.lock().unread);
        if unread.is_empty() {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let readings = stream::iter(unread).map(|key| async { (read(&shared, &key).await, key) });
        let done: Vec<_> = readings.buffer_unordered(AT_ONCE).collect().await;
        let mut after = None;
        for (result, key) in done {
            let Err(failure) = result else { continue };
            tracing::warn!(object = %key, %failure, "its content cannot be read");
            after = after.max(Some(match failure {
                Failure::Forbidden(_) => options.refused_wait,
                other => other.after().unwrap_or_default(),
            }));
            let mut seen = shared.cache.lock();
            if seen.wanted.contains(&key) {
                seen.unread.insert(key);
            }
        }
        match after {
            Some(_) => backoff.wait(after).await,
            None => backoff.reset(),
        }
    }
}

async fn read(shared: &Following, key: &ObjectKey) -> Result<(), Failure> {
    let resource = shared.discovery.resource(&key.kind, &"v1".into()).await?;
    let path = resource.object(&key.name.namespace, &key.name.name);
    // One that is gone is told by its stream.
    if let Some(json) = shared.api.find(&path, Much::Whole).await?
        && let Ok(stored) = door::enter(json, &resource, Sight::Whole)
    {
        shared.cache.fill_in(stored);
    }
    Ok(())
}
