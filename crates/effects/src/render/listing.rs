//! Which files of a plain folder are read.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use portolan_core::gitops::glob::Glob;

use super::{application::Directory, overlays};

/// Folders below the source's own that are entered.
const DEEPEST: usize = 32;

/// A source's folder (or its one file), and what of it counts.
pub(super) struct Listing<'a> {
    folder: &'a Path,
    recurse: bool,
    /// Folders that are built or rendered as a whole are not entered.
    plain: bool,
    include: Option<Glob>,
    exclude: Option<Glob>,
    /// Folders that could not be looked into, and why: what stands in them is not known, and not gone.
    unreadable: RefCell<BTreeMap<PathBuf, String>>,
}

impl<'a> Listing<'a> {
    pub(super) fn new(folder: &'a Path, directory: &Directory) -> Self {
        let glob = |pattern: &str| Glob::loose(pattern).filter(|_| !pattern.is_empty());
        Self {
            folder,
            recurse: directory.recurse,
            plain: directory.plain,
            include: glob(&directory.include),
            exclude: glob(&directory.exclude),
            unreadable: RefCell::default(),
        }
    }

    /// What could not be looked at so far.
    pub(super) fn unreadable(&self) -> BTreeMap<PathBuf, String> {
        self.unreadable.take()
    }

    fn note(&self, path: &Path, why: &std::io::Error) {
        // Gone since, or a file where a folder was, is no failure.
        if !matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            self.unreadable.borrow_mut().insert(path.to_owned(), why.to_string());
        }
    }

    /// Whether it is a folder (a file) itself, and no link to one.
    fn is_real(&self, path: &Path, folder: bool) -> bool {
        let meta = std::fs::symlink_metadata(path).inspect_err(|why| self.note(path, why));
        meta.is_ok_and(|meta| if folder { meta.is_dir() } else { meta.is_file() })
    }

    /// The files at and below `at`: the folder itself, or a path in it, whatever is there now. Links are not followed: a
    /// folder must not reach outside the repository.
    pub(super) fn files(&self, at: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let Ok(inside) = at.strip_prefix(self.folder) else { return files };
        let mut path = self.folder.to_owned();
        let mut depth = 0;
        for part in inside {
            // Only what is on the way to `at` is looked at here.
            if !self.is_real(&path, true)
                || (depth > 0 && (!self.recurse || self.is_left_out(&path)))
                || depth > DEEPEST
                || is_hidden(part)
            {
                return files;
            }
            path.push(part);
            depth += 1;
        }
        if depth == 0 && self.folder.is_file() {
            files.push(self.folder.to_owned());
            return files;
        }
        if self.is_real(&path, true) {
            if depth == 0 || (self.recurse && depth <= DEEPEST && !self.is_left_out(&path)) {
                self.walk(&path, depth, &mut files);
            }
        } else if is_read(&path) && self.is_real(&path, false) {
            files.push(path);
        }
        files.retain(|file| self.counts(file));
        files.sort();
        files
    }

    fn walk(&self, dir: &Path, depth: usize, files: &mut Vec<PathBuf>) {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(why) => return self.note(dir, &why),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(why) => return self.note(dir, &why),
            };
            if is_hidden(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && self.recurse && depth < DEEPEST => {
                    if self.is_left_out(&path) {
                        continue;
                    }
                    self.walk(&path, depth + 1, files);
                }
                Ok(kind) if kind.is_file() && is_read(&path) => files.push(path),
                Ok(_) => {}
                Err(why) => self.note(&path, &why),
            }
        }
    }

    fn is_left_out(&self, folder: &Path) -> bool {
        self.plain && overlays::is_whole(folder)
    }

    fn counts(&self, file: &Path) -> bool {
        let name = file.strip_prefix(self.folder).unwrap_or(file).display().to_string();
        self.include.as_ref().is_none_or(|glob| glob.matches(&name))
            && !self.exclude.as_ref().is_some_and(|glob| glob.matches(&name))
    }
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn is_read(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A part of a listing is what the whole listing holds there.
    #[test]
    fn a_part_is_as_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("a/.hidden/deep")).unwrap();
        std::fs::create_dir_all(root.join("a/b.yaml/c")).unwrap();
        let names = [
            "x.yaml",
            ".y.yaml",
            "no.txt",
            "a/x.yml",
            "a/skip.yaml",
            "a/.hidden/deep/x.yaml",
            "a/b.yaml/c/x.json",
        ];
        for name in names {
            std::fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        std::os::unix::fs::symlink("x.yaml", root.join("link.yaml")).unwrap();
        for recurse in [true, false] {
            let directory = Directory { recurse, exclude: "*skip*".into(), ..Directory::default() };
            let listing = Listing::new(root, &directory);
            let all = listing.files(root);
            assert_eq!(all.len(), if recurse { 3 } else { 1 }, "{all:?}");
            let mut at: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
            at.extend(
                ["a", "a/b.yaml", "a/.hidden", "link", "link/x.yml", "link.yaml", "none"]
                    .map(|n| root.join(n)),
            );
            for at in at {
                let part: Vec<_> = all.iter().filter(|file| file.starts_with(&at)).cloned().collect();
                assert_eq!(listing.files(&at), part, "{}", at.display());
            }
        }
        let file = root.join("no.txt");
        assert_eq!(Listing::new(&file, &Directory::default()).files(&file), std::slice::from_ref(&file));
        assert!(Listing::new(&file, &Directory::default()).files(root).is_empty());
    }
}
