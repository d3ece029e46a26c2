//! Says what changes in a work tree.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::render::Touched;

/// Editors write in several steps: a burst has ended when nothing has followed for so long.
const QUIET: Duration = Duration::from_millis(1);
/// After a removal it is waited longer: what moves from one file to another is first gone and then there again.
const QUIET_AFTER_REMOVAL: Duration = Duration::from_millis(20);
/// A burst that does not end is handed on in pieces.
const LONGEST: Duration = Duration::from_millis(200);
/// A new folder is looked at again after so long: its own watch is set only after it is there.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Watches a folder and all that is below.
pub struct Watch {
    _watcher: RecommendedWatcher,
    seen: Arc<Seen>,
}

/// Changes that belong together.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Where something changed.
    pub touched: Touched,
    /// When the first of them was noticed.
    pub noticed: Instant,
}

#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    touched: Touched,
    first: Option<Instant>,
    last: Option<Instant>,
    removed: bool,
}

/// Watches `root`, a real path.
///
/// # Errors
/// When the folder cannot be watched.
pub fn watch(root: &Path) -> notify::Result<Watch> {
    let seen = Arc::new(Seen::default());
    let handler = Arc::clone(&seen);
    // Through a link a folder would be known by two paths, and only one of them would be told.
    let config = Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(move |event| handler.note(event), config)?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    Ok(Watch { _watcher: watcher, seen })
}

impl Watch {
    /// The next burst, once it has ended.
    pub async fn next(&self) -> Burst {
        loop {
            self.seen.wake.notified().await;
            while let Some(wait) = self.seen.wait() {
                tokio::time::sleep(wait).await;
            }
            let Some(burst) = self.seen.take() else { continue };
            if let Touched::Paths(paths) = &burst.touched {
                let folders: Vec<PathBuf> = paths.iter().filter(|path| path.is_dir()).cloned().collect();
                if !folders.is_empty() {
                    let seen = Arc::clone(&self.seen);
                    tokio::spawn(async move {
                        tokio::time::sleep(SECOND_LOOK).await;
                        seen.add(Touched::Paths(below(&folders)), false);
                    });
                }
            }
            return burst;
        }
    }
}

/// What stands in new folders now. The folders themselves would be looked at for ever.
fn below(folders: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = folders.to_vec();
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && entry.file_name() != ".git" => left.push(entry.path()),
                Ok(_) => {
                    found.insert(entry.path());
                }
                Err(_) => {}
            }
        }
    }
    found
}

impl Seen {
    fn note(&self, event: notify::Result<Event>) {
        let Ok(event) = event else { return self.add(Touched::All, false) };
        if event.need_rescan() {
            return self.add(Touched::All, false);
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        let paths: BTreeSet<PathBuf> = event.paths.into_iter().filter(|path| is_relevant(path)).collect();
        if !paths.is_empty() {
            self.add(Touched::Paths(paths), matches!(event.kind, EventKind::Remove(_)));
        }
    }

    fn add(&self, touched: Touched, removed: bool) {
        if touched.is_empty() {
            return;
        }
        let now = Instant::now();
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.touched.add(touched);
            state.first.get_or_insert(now);
            state.last = Some(now);
            state.removed |= removed;
        }
        self.wake.notify_one();
    }

    /// How long the burst may still go on.
    fn wait(&self) -> Option<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = if state.removed { QUIET_AFTER_REMOVAL } else { QUIET };
        let until = (state.last? + quiet).min(state.first? + LONGEST);
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    fn take(&self) -> Option<Burst> {
        let state = std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        Some(Burst { touched: state.touched, noticed: state.first? })
    }
}

/// Charts may read any file. What editors leave beside a file is not read by anybody.
fn is_relevant(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let left = name.starts_with(b".#") || name.ends_with(b"~") || name.ends_with(b".swp");
    !left && !path.components().any(|c| c.as_os_str() == ".git")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn paths(burst: &Burst, root: &Path) -> Vec<String> {
        let Touched::Paths(paths) = &burst.touched else { panic!("{burst:?}") };
        paths.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[tokio::test]
    async fn a_burst_names_what_changed_and_a_new_folder_is_looked_at_twice() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        let watch = watch(&root).unwrap();
        // Editors: beside the file, then in its place; and leftovers that nobody reads.
        std::fs::write(root.join("real/.a.new"), "1").unwrap();
        std::fs::rename(root.join("real/.a.new"), root.join("real/a.yaml")).unwrap();
        std::fs::write(root.join("b.yaml~"), "1").unwrap();
        std::fs::create_dir_all(root.join("new/deep")).unwrap();
        std::fs::write(root.join("new/deep/c.yaml"), "1").unwrap();
        let mut seen = Vec::new();
        while !seen.contains(&"new/deep/c.yaml".to_owned()) {
            seen.extend(paths(&watch.next().await, &root));
        }
        assert!(seen.contains(&"real/a.yaml".to_owned()), "{seen:?}");
        assert!(!seen.iter().any(|path| path.starts_with("link") || path.ends_with('~')), "{seen:?}");
        assert!(seen.contains(&"new".to_owned()), "{seen:?}");
    }

    #[test]
    fn what_was_missed_is_everything() {
        let seen = Seen::default();
        seen.note(Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)));
        assert_eq!(seen.take().unwrap().touched, Touched::All);
        seen.note(Err(notify::Error::generic("broken")));
        assert_eq!(seen.take().unwrap().touched, Touched::All);
        seen.note(Ok(Event::new(EventKind::Any).add_path("/r/.git/index".into())));
        assert!(seen.take().is_none());
    }
}
