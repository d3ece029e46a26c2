//! What of a repository stands in the artifact of a source: Flux applies nothing else of it. `.sourceignore` files and `spec.ignore`
//! leave files out, and `spec.sparseCheckout` takes some folders alone.
//!
//! The patterns are written as Git's and mean a little else: the last one that matches the path or any folder above it counts, so that
//! `!/deploy` brings back what `/*` has left out, and all below. Where nobody says anything, Flux' own list counts.
//!
//! Sources: fluxcd/pkg `sourceignore`, fluxcd/source-controller `internal/controller/storage.go` (`SourceIgnoreFilter`, `Archive`).

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use portolan_core::gitops::glob::Glob;

/// The file with patterns; those in it are about its folder.
pub(in super::super) const FILE: &str = ".sourceignore";
/// Left out unless a pattern brings it back.
const VERSION_CONTROL: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];
/// Left out where the repository and its source say nothing.
const DEFAULT: [&str; 20] = [
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];
/// More files are not looked through for a `.sourceignore`.
const MOST_ENTRIES: usize = 50_000;

/// What a source says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// `spec.ignore`
    pub(in super::super) ignore: Option<String>,
    /// `spec.sparseCheckout`
    pub(in super::super) sparse: Vec<String>,
}

/// A source's artifact, as it is asked about.
#[derive(Debug)]
pub(in super::super) struct Artifact {
    own: Vec<Pattern>,
    version_control: Vec<Pattern>,
    default: Vec<Pattern>,
    sparse: Vec<PathBuf>,
    /// Patterns by the folder that they stand in.
    folders: Mutex<BTreeMap<PathBuf, Arc<Vec<Pattern>>>>,
    /// Whether any folder has some, once that was asked.
    any: Mutex<Option<bool>>,
}

impl Artifact {
    pub(in super::super) fn new(takes: &Takes) -> Self {
        let all = |lines: &[&str]| lines.iter().filter_map(|line| Pattern::parse(line)).collect::<Vec<_>>();
        let sparse = takes.sparse.iter().map(|folder| {
            let parts = Path::new(folder).components();
            parts.filter(|part| matches!(part, Component::Normal(_))).collect()
        });
        Self {
            own: takes.ignore.as_deref().map(patterns).unwrap_or_default(),
            version_control: all(&VERSION_CONTROL),
            default: all(&DEFAULT),
            sparse: sparse.collect(),
            folders: Mutex::default(),
            any: Mutex::default(),
        }
    }

    /// Whether a path (relative to the repository) does not stand in it. `read` gives the text of a file of the repository, and `any`
    /// looks through all of it for a [`FILE`].
    pub(in super::super) fn leaves_out(
        &self,
        path: &Path,
        is_folder: bool,
        read: &dyn Fn(&Path) -> Option<String>,
        any: &dyn Fn() -> bool,
    ) -> bool {
        let Some(parts) = path.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>() else {
            return false;
        };
        if parts.is_empty() {
            return false;
        }
        let below = |folder: &PathBuf| path.starts_with(folder) || is_folder && folder.starts_with(path);
        if !self.sparse.is_empty() && !self.sparse.iter().any(below) {
            return true;
        }
        let mut said = !self.own.is_empty();
        if let Some(out) = decide(&self.own, &parts, is_folder) {
            return out;
        }
        // The nearest folder counts first.
        for above in (0..parts.len()).rev() {
            let folder: PathBuf = parts[..above].iter().collect();
            let found = self.of_folder(&folder, read);
            said |= !found.is_empty();
            if let Some(out) = decide(&found, &parts[above..], is_folder) {
                return out;
            }
        }
        if decide(&self.default, &parts, is_folder) == Some(true) && !said {
            let known = *self.any.lock().unwrap_or_else(PoisonError::into_inner);
            let said = known.unwrap_or_else(any);
            *self.any.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
            if !said {
                return true;
            }
        }
        decide(&self.version_control, &parts, is_folder) == Some(true)
    }

    fn of_folder(&self, folder: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Arc<Vec<Pattern>> {
        let known = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(folder).cloned();
        known.unwrap_or_else(|| {
            // What is not checked out says nothing.
            let here = self.sparse.is_empty() || self.sparse.iter().any(|one| folder.starts_with(one));
            let text = here.then(|| read(&folder.join(FILE))).flatten();
            let found = Arc::new(text.as_deref().map(patterns).unwrap_or_default());
            let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
            folders.insert(folder.to_owned(), Arc::clone(&found));
            found
        })
    }
}

/// Whether a folder holds a [`FILE`] with patterns, somewhere.
///
/// # Errors
/// Why that is not known.
pub(in super::super) fn any_below(folder: &Path) -> Result<bool, String> {
    let mut folders = vec![folder.to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST_ENTRIES {
                return Err(format!(
                    "more than {MOST_ENTRIES} files and folders are not looked through for one, so that it is taken that there is none"
                ));
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && entry.file_name() != ".git" {
                folders.push(entry.path());
            } else if kind.is_file()
                && entry.file_name() == FILE
                && super::super::checkout::read_text(&entry.path()).is_ok_and(|t| !patterns(&t).is_empty())
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What the last pattern that matches says: whether the path is left out.
fn decide(patterns: &[Pattern], path: &[&str], is_folder: bool) -> Option<bool> {
    patterns.iter().rev().find(|one| one.matches(path, is_folder)).map(|one| !one.brings_back)
}

/// Patterns of a text, one a line.
fn patterns(text: &str) -> Vec<Pattern> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .filter_map(Pattern::parse)
        .collect()
}

#[derive(Clone, Debug)]
struct Pattern {
    brings_back: bool,
    folders_only: bool,
    /// It has a slash, so that it is about the whole path below its folder.
    whole: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Before the first slash, or between two.
    Empty,
    /// `**`
    Any,
    /// One name; `None` if it is no pattern, which matches nothing.
    Name(Option<Glob>),
    /// `**` among other letters: Flux gives up.
    Never,
}

impl Pattern {
    fn parse(line: &str) -> Option<Self> {
        let (brings_back, line) = match line.strip_prefix('!') {
            Some(line) => (true, line),
            None => (false, line),
        };
        let line = if line.ends_with("\\ ") { line } else { line.trim_end_matches(' ') };
        let (folders_only, line) = match line.strip_suffix('/') {
            Some(line) => (true, line),
            None => (false, line),
        };
        let whole = line.contains('/');
        let step = |step: &str| match step {
            "" if whole => Step::Empty,
            "**" if whole => Step::Any,
            step if whole && step.contains("**") => Step::Never,
            step => Step::Name(Glob::names(step)),
        };
        let steps = line.split('/').map(step).collect();
        (!line.is_empty() || folders_only).then_some(Self { brings_back, folders_only, whole, steps })
    }

    fn matches(&self, path: &[&str], is_folder: bool) -> bool {
        if self.whole { self.below(path, is_folder) } else { self.anywhere(path, is_folder) }
    }

    /// A name alone: of the path or of a folder above it.
    fn anywhere(&self, path: &[&str], is_folder: bool) -> bool {
        let [Step::Name(Some(glob))] = &*self.steps else { return false };
        let Some(at) = path.iter().position(|name| glob.matches(name)) else { return false };
        !self.folders_only || is_folder || at + 1 < path.len()
    }

    /// The path, or a folder above it, from the top on.
    fn below(&self, mut path: &[&str], is_folder: bool) -> bool {
        let (mut matched, mut skips) = (false, false);
        for (n, step) in self.steps.iter().enumerate() {
            let glob = match step {
                Step::Empty => {
                    skips = false;
                    continue;
                }
                Step::Any if n + 1 == self.steps.len() => break,
                Step::Any => {
                    skips = true;
                    continue;
                }
                Step::Never | Step::Name(None) => return false,
                Step::Name(Some(glob)) => glob,
            };
            if path.is_empty() {
                return false;
            }
            if skips {
                skips = false;
                let at = path.iter().position(|name| glob.matches(name));
                matched = at.is_some();
                path = at.map_or(&[], |at| &path[at + 1..]);
            } else {
                if !glob.matches(path[0]) {
                    return false;
                }
                matched = true;
                path = &path[1..];
            }
        }
        matched && !(self.folders_only && !is_folder && path.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(ignore: Option<&str>, files: &[(&str, &str)], path: &str) -> bool {
        let artifact = Artifact::new(&Takes { ignore: ignore.map(str::to_owned), sparse: Vec::new() });
        let read = |asked: &Path| {
            let found = files.iter().find(|(path, _)| Path::new(path) == asked);
            found.map(|(_, text)| (*text).to_owned())
        };
        let (path, is_folder) = (path.trim_end_matches('/'), path.ends_with('/'));
        artifact.leaves_out(Path::new(path), is_folder, &read, &|| !files.is_empty())
    }

    #[test]
    fn the_last_pattern_that_matches_counts_for_all_below() {
        let only_deploy = Some("# nothing but deploy\n/*\n!/deploy\n\n!/charts/**/values.yaml\n");
        for (path, left) in [
            ("README.md", true),
            ("deploy", false),
            ("deploy/a/b.yaml", false),
            ("charts/x/values.yaml", false),
            ("charts/x/Chart.yaml", true),
        ] {
            assert_eq!(out(only_deploy, &[], path), left, "{path}");
        }
        // A folder that is left out is brought back file by file, which Git does not do.
        assert!(!out(Some("tests/\n!tests/keep.yaml\n"), &[], "tests/keep.yaml"));
        assert!(out(Some("tests/\n"), &[], "a/tests/x.yaml") && out(Some("tests/\n"), &[], "tests/"));
        assert!(!out(Some("tests/\n"), &[], "tests"), "a file of that name");
        assert!(out(Some("*.test.yaml"), &[], "a/x.test.yaml") && !out(Some("[!a].yaml"), &[], "b.yaml"));
        assert!(!out(Some("a**b/x"), &[], "aqb/x"), "Flux gives up there");
        assert!(
            out(Some("**/local/*.yaml"), &[], "a/local/x.yaml")
                && !out(Some("**/local/*.yaml"), &[], "a/x.yaml")
        );
    }

    #[test]
    fn files_say_it_for_their_folder_and_the_source_over_them() {
        let files =
            [(".sourceignore", "/drafts\n*.tmp.yaml\n"), ("apps/.sourceignore", "/x.yaml\n!b.tmp.yaml\n")];
        for (path, left) in [
            ("drafts/a.yaml", true),
            ("apps/drafts/a.yaml", false),
            ("apps/x.yaml", true),
            ("apps/y/x.yaml", false),
            ("apps/a.tmp.yaml", true),
            ("apps/b.tmp.yaml", false),
        ] {
            assert_eq!(out(None, &files, path), left, "{path}");
        }
        assert!(!out(Some("!/drafts\n"), &files, "drafts/a.yaml"));
    }

    #[test]
    fn flux_has_a_list_of_its_own_where_nobody_says_anything() {
        for path in
            [".github/workflows/a.yaml", "x/cloudbuild.yaml", "a/.sops.yaml", ".git/config", "a/.gitignore"]
        {
            assert!(out(None, &[], path), "{path}");
        }
        assert!(!out(Some("x\n"), &[], ".github/workflows/a.yaml") && out(Some("x\n"), &[], ".git/config"));
        let elsewhere = [("apps/.sourceignore", "x\n")];
        assert!(!out(None, &elsewhere, ".github/workflows/a.yaml"), "one pattern anywhere is enough");
    }

    #[test]
    fn of_a_sparse_checkout_some_folders_are_there() {
        let takes = Takes { ignore: None, sparse: vec!["./deploy/dev".into()] };
        let out = |path: &str, is_folder| {
            Artifact::new(&takes).leaves_out(Path::new(path), is_folder, &|_| Some("*.yaml".into()), &|| true)
        };
        assert!(out("a.yaml", false) && out("deploy/x.json", false) && out("deploy/dev/x.yaml", false));
        assert!(!out("deploy", true) && !out("deploy/dev/x.json", false));
    }
}
