//! Which files of a plain folder are read.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use portolan_core::gitops::glob::Glob;

use super::{
    application::Directory,
    checkout::{Checkout, Unresolved},
    overlays,
};

/// Folders below the source's own that are entered.
const DEEPEST: usize = 32;

/// What `directory.include` lets in.
enum Include {
    All,
    Of(Glob),
    /// It is no pattern: nothing, as in Argo CD (`util/glob.Match`).
    Nothing,
}

/// A source's folder (or its one file), and what of it counts.
pub(super) struct Listing<'a> {
    checkout: &'a Checkout,
    folder: &'a Path,
    recurse: bool,
    /// No Application names the folder: what is hidden, links, and folders that are built or rendered as a whole are left out.
    plain: bool,
    /// Files of any name are read.
    any_name: bool,
    include: Include,
    exclude: Option<Glob>,
    /// Folders that could not be looked into, and why: what stands in them is not known, and not gone.
    unreadable: RefCell<BTreeMap<PathBuf, String>>,
    /// Links to files.
    links: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Listing<'a> {
    pub(super) fn new(checkout: &'a Checkout, folder: &'a Path, directory: &Directory) -> Self {
        let include = match directory.include.as_str() {
            "" => Include::All,
            pattern => Glob::loose(pattern).map_or(Include::Nothing, Include::Of),
        };
        Self {
            checkout,
            folder,
            any_name: directory.disable_extension_filter,
            links: RefCell::default(),
            recurse: directory.recurse,
            plain: directory.plain,
            include,
            exclude: Glob::loose(&directory.exclude).filter(|_| !directory.exclude.is_empty()),
            unreadable: RefCell::default(),
        }
    }

    /// What could not be looked at so far.
    pub(super) fn unreadable(&self) -> BTreeMap<PathBuf, String> {
        self.unreadable.take()
    }

    /// Links to files that were looked at so far, wherever they lead.
    pub(super) fn links(&self) -> BTreeSet<PathBuf> {
        self.links.take()
    }

    fn note(&self, path: &Path, why: &std::io::Error) {
        // Gone since, or a file where a folder was, is no failure.
        if !matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            self.unreadable.borrow_mut().insert(path.to_owned(), why.to_string());
        }
    }

    /// Whether it is a folder itself, and no link to one.
    fn is_folder(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path)
            .inspect_err(|why| self.note(path, why))
            .is_ok_and(|meta| meta.is_dir())
    }

    /// Whether it is a file, or a link to one that Argo CD reads.
    fn is_file(&self, path: &Path, kind: std::fs::FileType) -> bool {
        kind.is_file() || kind.is_symlink() && !self.plain && self.is_linked(path)
    }

    /// A link that leads outside the repository counts too: it is refused where it is read.
    fn is_linked(&self, path: &Path) -> bool {
        self.links.borrow_mut().insert(path.to_owned());
        match self.checkout.resolve(&self.checkout.show(path)) {
            Ok(real) => real.is_file(),
            Err(why) => matches!(why, Unresolved::Outside),
        }
    }

    fn is_hidden(&self, name: &std::ffi::OsStr) -> bool {
        name == ".git" || self.plain && name.as_encoded_bytes().starts_with(b".")
    }

    fn is_read(&self, path: &Path) -> bool {
        // Argo CD evaluates jsonnet, kubectl does not look at it.
        let jsonnet = |e: &std::ffi::OsStr| !self.plain && e == "jsonnet";
        self.any_name
            || path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json" || jsonnet(e))
    }

    /// The files at and below `at`: the folder itself, or a path in it, whatever is there now. Links to folders are not
    /// followed, those to files where an Application names the folder, as Argo CD does.
    pub(super) fn files(&self, at: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let Ok(inside) = at.strip_prefix(self.folder) else { return files };
        let mut path = self.folder.to_owned();
        let mut depth = 0;
        for part in inside {
            // Only what is on the way to `at` is looked at here.
            if !self.is_folder(&path)
                || (depth > 0 && (!self.recurse || self.is_left_out(&path)))
                || depth > DEEPEST
                || self.is_hidden(part)
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
        if self.is_folder(&path) {
            if depth == 0 || (self.recurse && depth <= DEEPEST && !self.is_left_out(&path)) {
                self.walk(&path, depth, &mut files);
            }
        } else if self.is_read(&path)
            && std::fs::symlink_metadata(&path).is_ok_and(|meta| self.is_file(&path, meta.file_type()))
        {
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
            if self.is_hidden(&entry.file_name()) {
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
                Ok(kind) if self.is_read(&path) && self.is_file(&path, kind) => files.push(path),
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
        let included = match &self.include {
            Include::All => true,
            Include::Of(glob) => glob.matches(&name),
            Include::Nothing => false,
        };
        included && !self.exclude.as_ref().is_some_and(|glob| glob.matches(&name))
    }
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
            "a/x.jsonnet",
        ];
        for name in names {
            std::fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        std::os::unix::fs::symlink("x.yaml", root.join("link.yaml")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.join("outside.yaml")).unwrap();
        std::os::unix::fs::symlink("gone.yaml", root.join("broken.yaml")).unwrap();
        let checkout = Checkout::open(root).unwrap();
        let root = checkout.root();
        for (recurse, plain, count) in
            [(true, true, 3), (false, true, 1), (true, false, 8), (false, false, 4)]
        {
            let directory = Directory { recurse, plain, exclude: "*skip*".into(), ..Directory::default() };
            let listing = Listing::new(&checkout, root, &directory);
            let all = listing.files(root);
            assert_eq!(all.len(), count, "{all:?}");
            let mut at: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
            at.extend(
                [
                    "a",
                    "a/b.yaml",
                    "a/.hidden",
                    "link",
                    "link/x.yml",
                    "link.yaml",
                    "outside.yaml",
                    "broken.yaml",
                    "none",
                ]
                .map(|n| root.join(n)),
            );
            for at in at {
                let part: Vec<_> = all.iter().filter(|file| file.starts_with(&at)).cloned().collect();
                assert_eq!(listing.files(&at), part, "{}", at.display());
            }
        }
        let file = root.join("no.txt");
        assert_eq!(
            Listing::new(&checkout, &file, &Directory::default()).files(&file),
            std::slice::from_ref(&file)
        );
        assert!(Listing::new(&checkout, &file, &Directory::default()).files(root).is_empty());
    }
}
