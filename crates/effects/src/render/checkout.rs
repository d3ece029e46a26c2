//! The work tree: paths that cannot leave it, and which repository URL it stands for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    flux::artifact::{self, Artifact, Takes},
    inputs::Inputs,
};

const NONBLOCK: i32 = libc::O_NONBLOCK;

/// A folder that all reading stays inside. It notes what is asked of it.
#[derive(Debug)]
pub(super) struct Checkout {
    root: PathBuf,
    inputs: Mutex<Inputs>,
    /// Nothing but what stands in an artifact of Flux is there.
    artifact: Option<Artifact>,
    /// What was asked for and does not stand in it.
    left_out: Mutex<BTreeSet<PathBuf>>,
    /// What says what stands in it and could not be read, with the reason.
    unread: Mutex<BTreeMap<PathBuf, String>>,
}

/// Why a path was not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// Nothing there.
    Missing,
    /// It leads outside, by `..` or by a link.
    Outside,
}

/// Larger files are not read, wherever they are named.
pub(super) const MOST_BYTES: u64 = 16 << 20;

/// How a file begins that stands for one of Git LFS (git-lfs `docs/spec.md`).
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The whole file, of what is a file and not too large.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Asked of what was opened: a path may be another file by then. A pipe would be waited for.
    let file = File::options().read(true).custom_flags(NONBLOCK).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        let size = meta.len().max(MOST_BYTES + 1);
        return Err(io::Error::other(format!("the file has {size} bytes; at most {MOST_BYTES} are read")));
    }
    if bytes.starts_with(LFS) {
        return Err(io::Error::other(
            "it is a pointer of Git LFS, and what it stands for is not here; run `git lfs pull`",
        ));
    }
    Ok(bytes)
}

/// The same as text.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("it is no UTF-8 text"))
}

impl Checkout {
    /// Opens a folder; links in its own path are resolved once, here.
    pub(super) fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self::at(root.canonicalize()?))
    }

    fn at(root: PathBuf) -> Self {
        Self {
            root,
            inputs: Mutex::default(),
            artifact: None,
            left_out: Mutex::default(),
            unread: Mutex::default(),
        }
    }

    /// The same folder for a reader whose inputs are noted apart.
    pub(super) fn apart(&self) -> Self {
        Self::at(self.root.clone())
    }

    /// The same with nothing in it but what a source of Flux takes.
    #[must_use]
    pub(super) fn taken_by(self, takes: &Takes) -> Self {
        Self { artifact: Some(Artifact::new(takes)), ..self }
    }

    /// Whether it may hold less than the folder does.
    pub(super) fn takes_some(&self) -> bool {
        self.artifact.is_some()
    }

    /// What was asked for and is there, but not taken: some of it, for a finding.
    pub(super) fn left_out(&self) -> Option<String> {
        let all = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = all.iter().map(|path| path.display().to_string()).collect();
        (!names.is_empty()).then(|| super::walk::told(&names))
    }

    /// Whether what is at `path` does not stand in the artifact that is read: it is left out there, or is a link. Of a folder
    /// this is so when nothing in it does.
    pub(super) fn leaves_out(&self, path: &Path, is_folder: bool) -> bool {
        let Some(artifact) = &self.artifact else { return false };
        let Ok(below) = path.strip_prefix(&self.root) else { return false };
        let read = |path: &Path| {
            let path = self.root.join(path);
            self.inputs.lock().unwrap_or_else(PoisonError::into_inner).add(&path);
            // Flux reads it as it is on disk, whatever its bytes are.
            match self::read(&path) {
                Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Err(why) => {
                    let absent = matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
                    // A folder of that name holds no patterns, for Flux too.
                    if !absent && !path.is_dir() {
                        self.not_read(&path, why.to_string());
                    }
                    None
                }
            }
        };
        let any = || {
            self.inputs.lock().unwrap_or_else(PoisonError::into_inner).add(&self.root);
            artifact::any_below(&self.root).unwrap_or_else(|why| {
                self.not_read(&self.root.join(artifact::FILE), why);
                false
            })
        };
        if !artifact.leaves_out(below, is_folder, &read, &any) {
            return false;
        }
        !is_folder || !self.holds_any(path, 0)
    }

    fn not_read(&self, path: &Path, why: String) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.insert(PathBuf::from(self.show(path)), why);
    }

    /// Files that say what stands in the artifact and could not be read: what it holds is not known.
    pub(super) fn unread(&self) -> BTreeMap<PathBuf, String> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether something below a folder is taken.
    fn holds_any(&self, folder: &Path, depth: usize) -> bool {
        const DEEPEST: usize = 32;
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.any(|entry| {
            let (path, kind) = (entry.path(), entry.file_type());
            match kind {
                Ok(kind) if kind.is_dir() => {
                    depth < DEEPEST && entry.file_name() != ".git" && self.holds_any(&path, depth + 1)
                }
                Ok(kind) => kind.is_file() && !self.leaves_out(&path, false),
                Err(_) => false,
            }
        })
    }

    /// What was asked for.
    pub(super) fn inputs(self) -> Inputs {
        self.inputs.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The real path of `path`, which is relative to the root (a leading `/` means the root too, as in Argo CD).
    pub(super) fn resolve(&self, path: &str) -> Result<PathBuf, Unresolved> {
        self.look(path, true)
    }

    /// The same of a folder of which nothing is read by this: what stands in it is asked for by its own name.
    pub(super) fn peek(&self, path: &str) -> Result<PathBuf, Unresolved> {
        self.look(path, false)
    }

    fn look(&self, path: &str, read: bool) -> Result<PathBuf, Unresolved> {
        let mut clean = PathBuf::new();
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) => clean.push(name),
                Component::ParentDir => {
                    if !clean.pop() {
                        return Err(Unresolved::Outside);
                    }
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        let named = self.root.join(clean);
        let real = named.canonicalize();
        {
            let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
            if read {
                inputs.add(&named);
            }
            // A broken link, too, may lead somewhere one day.
            if real.as_ref().map_or_else(|_| named.is_symlink(), |real| *real != named) {
                inputs.follow_link();
            }
        }
        let real = real.map_err(|_| Unresolved::Missing)?;
        if !real.starts_with(&self.root) {
            return Err(Unresolved::Outside);
        }
        // Links do not stand in an artifact.
        if self.artifact.is_some() && (real != named || self.leaves_out(&real, real.is_dir())) {
            let shown = PathBuf::from(self.show(&named));
            self.left_out.lock().unwrap_or_else(PoisonError::into_inner).insert(shown);
            return Err(Unresolved::Missing);
        }
        Ok(real)
    }

    /// URL of the remote `origin`, as Git's configuration of this work tree has it. What a repository holds is never in
    /// `.git`: it is the user's.
    pub(super) fn origin(&self) -> Option<String> {
        let git = self.root.join(".git");
        let config = if git.is_dir() {
            git.join("config")
        } else {
            // A linked work tree: `gitdir: PATH`, beside which stands where the rest is (gitrepository-layout).
            let text = read_text(&git).ok()?;
            let own = self.root.join(text.strip_prefix("gitdir:")?.trim());
            let common =
                read_text(&own.join("commondir")).map_or_else(|_| own.clone(), |at| own.join(at.trim()));
            common.join("config")
        };
        let text = read_text(&config).ok()?;
        let mut inside = false;
        text.lines().map(str::trim).find_map(|line| {
            if line.starts_with('[') {
                inside = line == "[remote \"origin\"]";
            }
            let (name, url) = line.split_once('=').filter(|_| inside)?;
            (name.trim() == "url").then(|| url.trim().to_owned())
        })
    }

    /// The branch that is checked out.
    pub(super) fn branch(&self) -> Option<String> {
        let git = self.root.join(".git");
        let own = if git.is_dir() {
            git
        } else {
            self.root.join(read_text(&git).ok()?.strip_prefix("gitdir:")?.trim())
        };
        let head = read_text(&own.join("HEAD")).ok()?;
        head.trim().strip_prefix("ref: refs/heads/").map(str::to_owned)
    }

    /// Whether a folder is of a submodule that was not checked out: `.gitmodules` names it or a folder above it, and nothing is there.
    pub(super) fn lacks_submodule(&self, path: &str) -> bool {
        let clean = |path: &str| {
            let parts = Path::new(path).components();
            parts.filter(|part| matches!(part, Component::Normal(_))).collect::<PathBuf>()
        };
        let Ok(file) = self.resolve(".gitmodules") else { return false };
        let text = read_text(&file).unwrap_or_default();
        let asked = clean(path);
        text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| name.trim() == "path").any(
            |(_, module)| {
                let module = clean(module.trim());
                let empty = || {
                    std::fs::read_dir(self.root.join(&module)).map_or(true, |mut all| all.next().is_none())
                };
                !module.as_os_str().is_empty() && asked.starts_with(&module) && empty()
            },
        )
    }

    /// `path` as findings show it: relative to the root.
    pub(super) fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Whether two URLs lead to one place of one host, whichever way and as whoever: people clone by HTTPS what is deployed by SSH, and
/// Argo CD finds the same in it.
pub(super) fn same_place(a: &str, b: &str) -> bool {
    let place = |url: &str| {
        let url = normalise(url);
        let rest = url.split_once("://").map_or(&*url, |(_, rest)| rest);
        let end = rest.find('/').unwrap_or(rest.len());
        rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..]).to_owned()
    };
    place(a) == place(b)
}

fn normalise(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let url = url.trim_end_matches('/').trim_end_matches(".git");
    match url.split_once(':') {
        // git@host:path is short for ssh://git@host/path
        Some((host, path)) if host.contains('@') && !path.starts_with("//") => format!("ssh://{host}/{path}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_leads_outside() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("repo/a/b")).unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", dir.path().join("repo/link")).unwrap();
        let checkout = Checkout::open(&dir.path().join("repo")).unwrap();
        assert_eq!(checkout.resolve("../secret"), Err(Unresolved::Outside));
        assert_eq!(checkout.resolve("a/../../secret"), Err(Unresolved::Outside));
        assert_eq!(checkout.resolve("link"), Err(Unresolved::Outside));
        assert_eq!(checkout.resolve("a/c"), Err(Unresolved::Missing));
        assert_eq!(checkout.show(&checkout.resolve("/a/./b").unwrap()), "a/b");
    }

    #[test]
    fn only_files_of_a_bounded_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        // A hundred megabytes that are nowhere.
        File::create(path("large")).unwrap().set_len(100 << 20).unwrap();
        assert!(read(&path("large")).unwrap_err().to_string().contains("104857600 bytes"));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        assert_eq!(read(&path("pipe")).unwrap_err().to_string(), "it is no file");
        assert!(read(dir.path()).is_err());
        std::fs::write(path("latin"), b"caf\xe9").unwrap();
        assert_eq!(read_text(&path("latin")).unwrap_err().to_string(), "it is no UTF-8 text");
    }

    #[test]
    fn what_is_asked_for_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        let touched = |ask: &str, change: &str| {
            let checkout = Checkout::open(&root).unwrap();
            let _ = checkout.resolve(ask);
            let change = super::super::Touched::Paths([root.join(change)].into_iter().collect());
            checkout.inputs().touched(&change)
        };
        assert!(touched("a", "a/x") && touched("a/none", "a/none"));
        assert!(!touched("a/none", "a/other") && !touched("a", "b"));
        assert!(touched("link", "b") && touched("link/none", "link"));
    }

    #[test]
    fn urls_of_one_repository() {
        assert!(same_place("https://Git.example.com/p/p.git", "https://git.example.com/p/p/"));
        assert!(same_place("git@git.example.com:p/p.git", "ssh://git@git.example.com/p/p"));
        assert!(!same_place("https://git.example.com/p/p", "https://git.example.com/p/q"));
        assert!(same_place("git@git.example.com:p/p.git", "https://user@Git.example.com/p/p"));
        assert!(!same_place("https://git.example.com/p/p", "https://other.example.com/p/p"));
    }

    #[test]
    fn origin_is_that_of_git() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let origin = || Checkout::open(&root.join("tree")).unwrap().origin();
        std::fs::create_dir_all(root.join("tree/.git")).unwrap();
        assert_eq!(origin(), None);
        let config = "[core]\n\turl = no\n[remote \"other\"]\n\turl = no\n[remote \"origin\"]\n\turl = git@h:p/p.git\n";
        std::fs::write(root.join("tree/.git/config"), config).unwrap();
        assert_eq!(origin().as_deref(), Some("git@h:p/p.git"));
        // A linked work tree.
        std::fs::create_dir_all(root.join("main/.git/worktrees/tree")).unwrap();
        std::fs::rename(root.join("tree/.git/config"), root.join("main/.git/config")).unwrap();
        std::fs::remove_dir(root.join("tree/.git")).unwrap();
        std::fs::write(root.join("tree/.git"), "gitdir: ../main/.git/worktrees/tree\n").unwrap();
        std::fs::write(root.join("main/.git/worktrees/tree/commondir"), "../..\n").unwrap();
        assert_eq!(origin().as_deref(), Some("git@h:p/p.git"));
    }
}
