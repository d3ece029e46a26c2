//! What stays the same between two readings of a work tree: parsed files by their stamp, parsed charts by their
//! content. It makes a reading cost what changed, plus one `stat` a file.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use portolan_model::Name;

use super::manifests::Manifests;

/// A file whose last change is younger than this may change again without a new time stamp (the kernel's clock ticks
/// every few milliseconds), so it is read again.
const YOUNG: Duration = Duration::from_millis(100);
/// Charts that are remembered; beyond it all are forgotten, which only costs time.
const MOST_CHARTS: usize = 1000;

/// What is remembered. Share one between readings; it is empty at first.
#[derive(Debug, Default)]
pub struct Memo {
    files: Mutex<HashMap<(PathBuf, Name), File>>,
    charts: Mutex<HashMap<String, Arc<Manifests>>>,
}

/// A parsed file.
type File = (Stamp, Arc<Manifests>);

/// Tells one content of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Memo {
    /// The file as parsed for an Application, or `parse` now.
    pub(super) fn file(
        &self,
        path: &Path,
        application: &Name,
        parse: impl FnOnce() -> Manifests,
    ) -> Arc<Manifests> {
        let Ok(meta) = std::fs::metadata(path) else { return Arc::new(parse()) };
        let stamp = Stamp {
            inode: meta.ino(),
            length: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        let key = (path.to_owned(), application.clone());
        if let Some((known, parsed)) = lock(&self.files).get(&key)
            && *known == stamp
        {
            return Arc::clone(parsed);
        }
        let changed = SystemTime::UNIX_EPOCH
            + Duration::new(
                u64::try_from(meta.ctime()).unwrap_or(0),
                u32::try_from(meta.ctime_nsec()).unwrap_or(0),
            );
        let settled = SystemTime::now().duration_since(changed).is_ok_and(|age| age > YOUNG);
        let parsed = Arc::new(parse());
        if settled {
            lock(&self.files).insert(key, (stamp, Arc::clone(&parsed)));
        } else {
            lock(&self.files).remove(&key);
        }
        parsed
    }

    /// What a chart of this content gave, or `parse` now. Failures are not remembered.
    pub(super) fn chart<E>(
        &self,
        key: &str,
        parse: impl FnOnce() -> Result<Manifests, E>,
    ) -> Result<Arc<Manifests>, E> {
        if let Some(parsed) = lock(&self.charts).get(key) {
            return Ok(Arc::clone(parsed));
        }
        let parsed = Arc::new(parse()?);
        let mut charts = lock(&self.charts);
        if charts.len() >= MOST_CHARTS {
            charts.clear();
        }
        charts.insert(key.to_owned(), Arc::clone(&parsed));
        Ok(parsed)
    }
}

/// A panic elsewhere leaves a whole entry or none.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
