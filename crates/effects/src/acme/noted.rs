//! Which TXT values are ours, on disk before they are written: an order that is cut off leaves nothing behind.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::Challenges;
use crate::state_dir;

/// Name of the file in the state directory.
const FILE: &str = "acme-challenges.json";

/// A value and the name of its record set.
type Value = (String, String);

/// [`Challenges`] that remember in a file what they wrote. A note stands on disk before its value is written, and goes after
/// the value has gone: whatever happens in between, [`purge`](Self::purge) finds the value. It never touches another.
pub struct NotedChallenges {
    inner: Arc<dyn Challenges>,
    dir: PathBuf,
    noted: std::sync::Mutex<BTreeSet<Value>>,
    /// What the file says. Held while it is written, so that an older state never replaces a newer one, and one write
    /// serves all that wait for it.
    saved: Mutex<BTreeSet<Value>>,
}

impl NotedChallenges {
    /// Takes up the notes of an earlier run.
    ///
    /// # Errors
    /// When the file is there and cannot be read: without it stale values would stay for good.
    pub fn open(inner: Arc<dyn Challenges>, dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(FILE);
        let noted: BTreeSet<Value> = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let text =
                    format!("{} cannot be read: {error}; move it away to start without it", path.display());
                std::io::Error::other(text)
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        let saved = Mutex::new(noted.clone());
        Ok(Self { inner, dir: dir.to_owned(), noted: std::sync::Mutex::new(noted), saved })
    }

    /// Takes away every value that is noted; to be called before the first order, when all of them are of orders that were
    /// cut off. What cannot be taken away stays noted.
    pub async fn purge(&self) {
        let values: Vec<Value> = self.notes().iter().cloned().collect();
        for (fqdn, value) in &values {
            match self.inner.clean_up(fqdn, value).await {
                Ok(()) => {
                    tracing::info!("took away the TXT value at {fqdn} of an order that was cut off");
                    self.notes().remove(&(fqdn.clone(), value.clone()));
                }
                Err(error) => tracing::warn!("the TXT value at {fqdn} of an order that was cut off: {error}"),
            }
        }
        if !values.is_empty()
            && let Err(error) = self.save().await
        {
            tracing::warn!("{error}");
        }
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, BTreeSet<Value>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the file to what is noted.
    async fn save(&self) -> Result<(), String> {
        let mut saved = self.saved.lock().await;
        let noted = self.notes().clone();
        if *saved == noted {
            return Ok(());
        }
        let dir = self.dir.clone();
        let written = tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec(&noted).map_err(std::io::Error::other)?;
            state_dir::write(&dir, FILE, &bytes).map(|_| noted)
        });
        *saved = written.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(())
    }
}

#[async_trait]
impl Challenges for NotedChallenges {
    async fn present(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.notes().insert((fqdn.to_owned(), value.to_owned()));
        self.save().await?;
        self.inner.present(fqdn, value).await
    }

    async fn visible(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.inner.visible(fqdn, value).await
    }

    async fn clean_up(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.inner.clean_up(fqdn, value).await?;
        self.notes().remove(&(fqdn.to_owned(), value.to_owned()));
        // A note too many does no harm: a value that is not there is no error.
        if let Err(error) = self.save().await {
            tracing::warn!("{error}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A record set in memory that looks at the file whenever something is written.
    #[derive(Default)]
    struct Zone {
        dir: PathBuf,
        values: std::sync::Mutex<BTreeSet<Value>>,
        broken: std::sync::atomic::AtomicBool,
    }

    #[async_trait]
    impl Challenges for Zone {
        async fn present(&self, fqdn: &str, value: &str) -> Result<(), String> {
            let file = std::fs::read_to_string(self.dir.join(FILE)).unwrap();
            assert!(file.contains(value), "noted before it is written: {file}");
            self.values.lock().unwrap().insert((fqdn.into(), value.into()));
            Ok(())
        }
        async fn visible(&self, _: &str, _: &str) -> Result<(), String> {
            Ok(())
        }
        async fn clean_up(&self, fqdn: &str, value: &str) -> Result<(), String> {
            if self.broken.load(std::sync::atomic::Ordering::Relaxed) {
                return Err("the provider is away".into());
            }
            self.values.lock().unwrap().remove(&(fqdn.into(), value.into()));
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_was_cut_off_is_taken_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let zone = Arc::new(Zone { dir: dir.path().into(), ..Zone::default() });
        let of = |fqdn: &str, value: &str| (fqdn.to_owned(), value.to_owned());
        zone.values.lock().unwrap().insert(of("_acme-challenge.a", "somebody else's"));
        let open = || NotedChallenges::open(Arc::clone(&zone) as Arc<dyn Challenges>, dir.path()).unwrap();
        let run = open();
        run.present("_acme-challenge.a", "one").await.unwrap();
        run.present("_acme-challenge.a", "two").await.unwrap();
        run.clean_up("_acme-challenge.a", "one").await.unwrap();
        drop(run); // killed: "two" was never taken away

        zone.broken.store(true, std::sync::atomic::Ordering::Relaxed);
        open().purge().await;
        assert_eq!(
            zone.values.lock().unwrap().len(),
            2,
            "the provider was away: tried again at the next start"
        );
        zone.broken.store(false, std::sync::atomic::Ordering::Relaxed);
        open().purge().await;
        let left: Vec<Value> = zone.values.lock().unwrap().iter().cloned().collect();
        assert_eq!(left, [of("_acme-challenge.a", "somebody else's")]);
        assert_eq!(std::fs::read_to_string(dir.path().join(FILE)).unwrap(), "[]");
        open().purge().await;
    }
}
