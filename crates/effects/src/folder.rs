//! Says what changes in a work tree.

mod writing;

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use notify::{
    Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tokio::sync::Notify;

use crate::render::Touched;
use writing::Writing;

/// Editors write in several steps: a burst has ended when nothing has followed for so long.
const QUIET: Duration = Duration::from_millis(1);
/// After a removal it is waited longer: what moves from one file to another is first gone and then there again.
const QUIET_AFTER_REMOVAL: Duration = Duration::from_millis(20);
/// A burst that does not end is handed on in pieces.
const LONGEST: Duration = Duration::from_millis(200);
/// A new folder is looked at again after so long: its own watch is set only after it is there.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// While not every folder can be watched, all of them are looked at so often.
const UNWATCHED: Duration = Duration::from_secs(3);

/// How often it is looked whether the folder is still the one that is watched.
const REPLACED: Duration = Duration::from_secs(3);

/// Watches a folder and all that is below.
pub struct Watch {
    watcher: Mutex<RecommendedWatcher>,
    root: PathBuf,
    /// Which folder is watched; `None` while there is none. A watch is of a folder, whatever its path becomes.
    watched: Mutex<Option<Which>>,
    /// When that was looked at last.
    compared: Mutex<Instant>,
    seen: Arc<Seen>,
    /// Every folder is watched.
    whole: AtomicBool,
    /// When all were looked at last, since not every one is watched.
    looked: Mutex<Instant>,
}

/// Which folder a path leads to: device, inode, and when it was made, since numbers are given anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Which(u64, u64, Option<std::time::SystemTime>);

impl Which {
    fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
        Some(Self(meta.dev(), meta.ino(), meta.created().ok()))
    }
}

/// Changes that belong together.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Where something changed.
    pub touched: Touched,
    /// Files that are being written: not to be read yet. Each is in a later burst.
    pub unfinished: BTreeSet<PathBuf>,
    /// When the first of them was noticed.
    pub noticed: Instant,
}

#[derive(Default)]
struct Seen {
    /// The folder itself.
    root: PathBuf,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    touched: Touched,
    first: Option<Instant>,
    last: Option<Instant>,
    removed: bool,
    /// The folder itself has gone from its path.
    lost: bool,
    writing: Writing,
}

/// Watches `root`, a real path. What cannot be watched below it is looked at from time to time, until it can.
///
/// # Errors
/// When the folder itself cannot be watched.
pub fn watch(root: &Path) -> notify::Result<Watch> {
    let seen = Arc::new(Seen { root: root.to_owned(), ..Seen::default() });
    let which = Which::of(root);
    let (watcher, whole) = watcher(root, &seen)?;
    Ok(Watch {
        watcher: Mutex::new(watcher),
        root: root.to_owned(),
        watched: Mutex::new(which),
        compared: Mutex::new(Instant::now()),
        seen,
        whole: AtomicBool::new(whole),
        looked: Mutex::new(Instant::now()),
    })
}

/// Watches what is at `root` now; whether every folder is watched.
fn watcher(root: &Path, seen: &Arc<Seen>) -> notify::Result<(RecommendedWatcher, bool)> {
    let handler = Arc::clone(seen);
    // Through a link a folder would be known by two paths, and only one of them would be told.
    let config = Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(move |event| handler.note(event), config)?;
    let whole = watcher.watch(root, RecursiveMode::Recursive);
    if let Err(why) = &whole {
        tracing::warn!(%why, "not every folder can be watched: all are looked at every few seconds");
        watcher.watch(root, RecursiveMode::NonRecursive)?;
        for folder in folders(root) {
            let _ = watcher.watch(&folder, RecursiveMode::NonRecursive);
        }
    }
    Ok((watcher, whole.is_ok()))
}

/// The folders below one that can be looked into.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != ".git" {
                left.push(entry.path());
            }
        }
        found.push(folder);
    }
    found
}

impl Watch {
    /// The next burst, once it has ended.
    pub async fn next(&self) -> Burst {
        loop {
            self.follow_root();
            let whole = self.whole.load(Ordering::Relaxed);
            if !whole {
                self.look_everywhere();
            }
            match self.seen.wait() {
                Wait::Idle => {
                    let wait = if whole { REPLACED } else { UNWATCHED };
                    let _ = tokio::time::timeout(wait, self.seen.wake.notified()).await;
                    continue;
                }
                Wait::Writing(wait) => {
                    let wait = wait.min(if whole { REPLACED } else { UNWATCHED });
                    let _ = tokio::time::timeout(wait, self.seen.wake.notified()).await;
                    continue;
                }
                Wait::Burst(wait) => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Wait::Ended => {}
            }
            let Some(burst) = self.seen.take().filter(|burst| !burst.touched.is_empty()) else { continue };
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

impl Watch {
    /// A folder that is replaced, moved away or back is another one for those who watch: the one that is there now is watched, and
    /// all of it is looked at.
    fn follow_root(&self) {
        let lost = {
            let mut state = self.seen.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.lost)
        };
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        if !lost && compared.elapsed() < REPLACED {
            return;
        }
        *compared = Instant::now();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Which::of(&self.root);
        if !lost && now == *watched {
            return;
        }
        *watched = None;
        if now.is_some() {
            match watcher(&self.root, &self.seen) {
                Ok((watcher, whole)) => {
                    *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = watcher;
                    self.whole.store(whole, Ordering::Relaxed);
                    *watched = now;
                }
                // It is tried again at the next look.
                Err(why) => tracing::warn!(%why, "the folder cannot be watched"),
            }
        }
        self.seen.add(Touched::All, false);
    }

    /// Changes of what is not watched are not told; perhaps it can be watched by now.
    fn look_everywhere(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.elapsed() < UNWATCHED {
            return;
        }
        *looked = Instant::now();
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = watcher.watch(&self.root, RecursiveMode::Recursive).is_ok();
        self.whole.store(whole, Ordering::Relaxed);
        self.seen.add(Touched::All, false);
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
        let leaves = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        let lost = leaves && event.paths.contains(&self.root);
        let paths = event.paths.into_iter().filter(|path| is_relevant(path));
        let mut touched = BTreeSet::new();
        let mut removed = false;
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.lost |= lost;
            let (writing, now) = (&mut state.writing, Instant::now());
            for path in paths {
                match event.kind {
                    EventKind::Create(CreateKind::File) => writing.created(path, now),
                    EventKind::Modify(ModifyKind::Data(_)) => writing.written(path, now),
                    // Its mode, or a name more of it.
                    EventKind::Modify(ModifyKind::Metadata(_)) if writing.holds(&path) => {}
                    EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                        writing.ended(&path);
                        touched.insert(path);
                    }
                    EventKind::Access(_) => {}
                    kind => {
                        // What moves away is mostly put back in a moment, by whom writes another in its place.
                        removed |= matches!(
                            kind,
                            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
                        );
                        writing.ended(&path);
                        touched.insert(path);
                    }
                }
            }
        }
        self.add(Touched::Paths(touched), removed);
        self.wake.notify_one();
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

    /// What is to be waited for.
    fn wait(&self) -> Wait {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let overdue = state.writing.overdue(now);
        if !overdue.is_empty() {
            state.touched.add(Touched::Paths(overdue));
            state.first.get_or_insert(now);
            state.last.get_or_insert(now);
        }
        let (Some(first), Some(last)) = (state.first, state.last) else {
            let due = state.writing.due().map(|due| due.saturating_duration_since(now));
            return due.map_or(Wait::Idle, Wait::Writing);
        };
        let quiet = if state.removed { QUIET_AFTER_REMOVAL } else { QUIET };
        let left = (last + quiet).min(first + LONGEST).saturating_duration_since(now);
        if left.is_zero() { Wait::Ended } else { Wait::Burst(left) }
    }

    fn take(&self) -> Option<Burst> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let noticed = state.first.take()?;
        (state.last, state.removed) = (None, false);
        let mut touched = std::mem::take(&mut state.touched);
        let unfinished = state.writing.files();
        if let Touched::Paths(paths) = &mut touched {
            paths.retain(|path| !unfinished.contains(path));
        }
        Some(Burst { touched, unfinished, noticed })
    }
}

/// See [`Seen::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Nothing has happened.
    Idle,
    /// Files are being written, and nothing else has happened.
    Writing(Duration),
    /// The burst may go on.
    Burst(Duration),
    /// It has ended.
    Ended,
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

    /// Moved away, put back as another, moved back, and made anew at once: what is there is watched.
    #[tokio::test]
    async fn a_folder_that_is_replaced_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let (root, away) = (dir.path().canonicalize().unwrap().join("pf"), dir.path().join("away"));
        std::fs::create_dir(&root).unwrap();
        let watch = watch(&root).unwrap();
        let told = async |what: &str, wanted: &dyn Fn(&Burst) -> bool| {
            let told = async { while !wanted(&watch.next().await) {} };
            let told = tokio::time::timeout(Duration::from_secs(30), told).await;
            assert!(told.is_ok(), "{what} is not told");
        };
        let all = |burst: &Burst| burst.touched == Touched::All;
        let replace: [(&str, &dyn Fn()); 3] = [
            ("another", &|| std::fs::create_dir_all(root.join("deep")).unwrap()),
            ("moved back", &|| std::fs::rename(&away, &root).unwrap()),
            ("another again", &|| std::fs::create_dir_all(root.join("deep")).unwrap()),
        ];
        for (how, replace) in replace {
            let _ = std::fs::remove_dir_all(&away);
            std::fs::rename(&root, &away).unwrap();
            told(&format!("{how}: that it is gone"), &all).await;
            replace();
            told(&format!("{how}: that it is there"), &all).await;
            let file = root.join("deep/a.yaml");
            std::fs::write(&file, "1").unwrap();
            let edit = |burst: &Burst| matches!(&burst.touched, Touched::Paths(all) if all.contains(&file));
            told(&format!("{how}: an edit"), &edit).await;
        }
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::create_dir(&root).unwrap();
        told("one in its place", &all).await;
        let file = root.join("b.yaml");
        let mut n = 0;
        // A look may have come between the two: the watch of what is there now is set with the next one.
        tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                std::fs::write(&file, n.to_string()).unwrap();
                n += 1;
                let Ok(burst) = tokio::time::timeout(Duration::from_secs(1), watch.next()).await else {
                    continue;
                };
                if matches!(&burst.touched, Touched::Paths(all) if all.contains(&file)) {
                    break;
                }
            }
        })
        .await
        .unwrap();
    }

    /// Cut, filled in parts, and closed: told once, when it is whole; what else changes meanwhile is told, with the name of what is
    /// not to be read yet.
    #[tokio::test]
    async fn a_file_that_is_written_slowly_is_told_when_it_is_closed() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::write(root.join("slow.yaml"), "whole").unwrap();
        let watch = watch(&root).unwrap();
        let mut slow = std::fs::File::create(root.join("slow.yaml")).unwrap();
        let mut fresh = std::fs::File::create(root.join("fresh.yaml")).unwrap();
        for n in 0..3 {
            slow.write_all(b"a part\n").unwrap();
            fresh.write_all(b"a part\n").unwrap();
            std::fs::write(root.join(format!("other-{n}.yaml")), "1").unwrap();
            let burst = watch.next().await;
            assert_eq!(paths(&burst, &root), [format!("other-{n}.yaml")]);
            assert_eq!(burst.unfinished, [root.join("fresh.yaml"), root.join("slow.yaml")].into());
        }
        drop(fresh);
        assert_eq!(paths(&watch.next().await, &root), ["fresh.yaml"]);
        drop(slow);
        let burst = watch.next().await;
        assert_eq!((paths(&burst, &root), burst.unfinished.len()), (vec!["slow.yaml".to_owned()], 0));
        // Put in its place whole, and a link to another file: nobody closes these.
        std::fs::write(root.join(".new"), "1").unwrap();
        std::fs::rename(root.join(".new"), root.join("slow.yaml")).unwrap();
        std::fs::hard_link(root.join("slow.yaml"), root.join("linked.yaml")).unwrap();
        let mut seen = Vec::new();
        while !seen.contains(&"linked.yaml".to_owned()) {
            seen.extend(paths(&watch.next().await, &root));
        }
        assert!(seen.contains(&"slow.yaml".to_owned()), "{seen:?}");
    }
}
