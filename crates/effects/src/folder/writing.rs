//! Files that somebody is writing: they are read when they are whole. Whoever opens a file for writing closes it, if only by
//! ending, and the kernel says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A file that is written without being closed is read all the same when nothing has been written for so long: on file
/// systems of other machines the end may not be told.
const FORGOTTEN: Duration = Duration::from_mins(1);
/// One that is written for ever (a log) is read from time to time.
const LONGEST: Duration = Duration::from_mins(2);
/// A file that came and was not written: a link to another, which nobody closes.
const LINKED: Duration = Duration::from_millis(100);
/// The same while it is empty: who made it is about to write.
const EMPTY: Duration = Duration::from_secs(2);

/// Files that are being written, each with the time since which and until which it is left alone.
#[derive(Debug, Default)]
pub(super) struct Writing {
    files: BTreeMap<PathBuf, (Instant, Instant)>,
}

impl Writing {
    /// A file came into being.
    pub fn created(&mut self, path: PathBuf, now: Instant) {
        let empty = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == 0);
        self.files.insert(path, (now, now + if empty { EMPTY } else { LINKED }));
    }

    /// Something was written into a file, or it was cut.
    pub fn written(&mut self, path: PathBuf, now: Instant) {
        let (since, until) = self.files.entry(path).or_insert((now, now));
        *until = (now + FORGOTTEN).min(*since + LONGEST);
    }

    /// It is whole, or gone.
    pub fn ended(&mut self, path: &Path) {
        self.files.remove(path);
    }

    pub fn holds(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Takes out what is not waited for any longer.
    pub fn overdue(&mut self, now: Instant) -> BTreeSet<PathBuf> {
        let due: BTreeSet<PathBuf> =
            self.files.iter().filter(|(_, (_, until))| *until <= now).map(|(path, _)| path.clone()).collect();
        for path in &due {
            self.ended(path);
        }
        due
    }

    /// When the next is not waited for any longer.
    pub fn due(&self) -> Option<Instant> {
        self.files.values().map(|(_, until)| *until).min()
    }

    /// All of them.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        self.files.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_left_alone_until_it_is_closed_or_forgotten() {
        let (mut writing, now) = (Writing::default(), Instant::now());
        let path = |name: &str| PathBuf::from(format!("/r/{name}"));
        writing.written(path("a"), now);
        writing.created(path("linked"), now);
        assert_eq!(writing.due(), Some(now + LINKED));
        assert_eq!(writing.overdue(now + LINKED), [path("linked")].into());
        writing.written(path("a"), now + FORGOTTEN / 2);
        assert!(writing.overdue(now + FORGOTTEN).is_empty(), "it is written again");
        assert!(writing.holds(&path("a")));
        for minute in 0..9 {
            writing.written(path("log"), now + FORGOTTEN * minute / 2);
        }
        assert_eq!(writing.overdue(now + LONGEST), [path("a"), path("log")].into());
        assert!(writing.due().is_none() && writing.files().is_empty());
    }
}
