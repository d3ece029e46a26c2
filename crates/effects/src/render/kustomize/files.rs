//! The files that a kustomization is built from: it, the kustomizations and files that it names, and nothing else, so that
//! an edit elsewhere costs nothing. Nothing is fetched: what is named by a URL is taken out and said.
//!
//! Source of the fields: sigs.k8s.io/kustomize/api `types/kustomization.go`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use portolan_model::yaml;
use serde_json::{Map, Value};

use super::super::{
    checkout::{self, Checkout, Unresolved},
    dependencies::REPLACED,
    kustomization::FILES,
    remote::{Absent, Pins, Taken},
};
use crate::charts::Reference;

/// As for charts.
const MOST_BYTES: u64 = 64 << 20;
const DEEPEST: usize = 32;

/// The file of a kustomization, and what stands in it.
pub(in super::super) type Own = (PathBuf, Map<String, Value>);

/// A kustomization with all that it names. Paths are relative to the repository.
#[derive(Debug, Default)]
pub(in super::super) struct Staged {
    /// Path to content; sorted, so that equal kustomizations have equal hashes.
    pub(in super::super) files: BTreeMap<PathBuf, Vec<u8>>,
    /// What stood in files that are changed in the copy.
    pub(in super::super) written: BTreeMap<PathBuf, Vec<u8>>,
    /// The folder that is built.
    pub(in super::super) top: PathBuf,
    /// Its file, and what stands in it; `None` where it cannot be read, which Kustomize itself says best.
    pub(in super::super) own: Option<Own>,
    /// What is named by a URL: the file that names it, and the URL.
    pub(in super::super) remote: Vec<(String, String)>,
    /// Charts of other places that are not there.
    pub(in super::super) absent: Vec<(String, Absent)>,
    /// Charts that Portolan stands in for.
    pub(in super::super) replaced: Vec<Chart>,
    /// The annotation of origins is taken out of what is built: nobody but us asked for it.
    pub(in super::super) strip: bool,
    /// Charts are rendered.
    pub(in super::super) charts: bool,
    /// Files above a kustomization may be read, as Flux does.
    pub(in super::super) free: bool,
    bytes: u64,
    seen: BTreeSet<PathBuf>,
}

/// How Kustomize says that it may not ask the network (`confined`).
const NO_NETWORK: &str = "127.0.0.1:9: socket: ";

impl Staged {
    /// What was left out that may be missing where Kustomize says this, in a word: then it is nobody's mistake. A file that is not
    /// there is missing with all of it too.
    pub(in super::super) fn lacks(&self, said: &str) -> Option<&'static str> {
        if said.contains(NO_NETWORK) {
            return Some(BY_URL);
        }
        if said.contains("no such file or directory") {
            return None;
        }
        if !self.remote.is_empty() {
            return Some(BY_URL);
        }
        let left_out = !self.absent.is_empty() || !self.replaced.is_empty();
        left_out.then_some("the charts that are left out of it")
    }
}

const BY_URL: &str = "what it names by a URL, which is never fetched";

/// A chart of `helmCharts` that is not rendered.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Chart {
    pub(in super::super) name: String,
    pub(in super::super) version: String,
    /// Values in the order in which Helm merges them.
    pub(in super::super) values: Vec<(String, Vec<u8>)>,
}

/// Collects the kustomization in `folder`.
///
/// # Errors
/// A sentence for the finding.
pub(in super::super) fn collect(
    checkout: &Checkout,
    folder: &Path,
    pins: &Pins<'_>,
) -> Result<Staged, String> {
    let top = PathBuf::from(checkout.show(folder));
    let mut collector = Collector { checkout, pins, out: Staged { top: top.clone(), ..Staged::default() } };
    let own = collector.kustomization(&top, 0)?;
    collector.out.own = own;
    Ok(collector.out)
}

/// The same; where the folder has no kustomization, `make` makes one.
///
/// # Errors
/// A sentence for the finding.
pub(in super::super) fn collect_or(
    checkout: &Checkout,
    folder: &Path,
    pins: &Pins<'_>,
    make: impl FnOnce(&Checkout) -> Result<Map<String, Value>, String>,
) -> Result<Staged, String> {
    let has =
        |name: &&&str| checkout.resolve(&checkout.show(&folder.join(name))).is_ok_and(|path| path.is_file());
    if FILES.iter().any(|name| has(&name)) {
        return collect(checkout, folder, pins);
    }
    let top = PathBuf::from(checkout.show(folder));
    let (mut json, file) = (make(checkout)?, top.join(FILES[0]));
    let mut collector = Collector { checkout, pins, out: Staged { top: top.clone(), ..Staged::default() } };
    collector.out.seen.insert(top.clone());
    collector.entries(&top, &file, &mut json, 0)?;
    collector.out.change(&file, &json);
    collector.out.own = Some((file, json));
    Ok(collector.out)
}

impl Staged {
    /// Of files that we made.
    pub(in super::super) fn of(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        Self { files: files.into_iter().collect(), ..Self::default() }
    }

    /// The components that an Application adds to the kustomization.
    ///
    /// # Errors
    /// A sentence for the finding.
    pub(in super::super) fn add_component(
        &mut self,
        checkout: &Checkout,
        path: &str,
        pins: &Pins<'_>,
    ) -> Result<bool, String> {
        let mut collector = Collector { checkout, pins, out: std::mem::take(self) };
        let top = collector.out.top.clone();
        let found = collector.named(&top, path, 0);
        *self = collector.out;
        Ok(!matches!(found?, Found::Missing))
    }

    /// Puts another content into the copy of a kustomization.
    pub(in super::super) fn change(&mut self, path: &Path, json: &Map<String, Value>) {
        let text = yaml::of_json(&Value::Object(json.clone())).into_bytes();
        if let Some(before) = self.files.insert(path.to_owned(), text) {
            self.written.entry(path.to_owned()).or_insert(before);
        }
    }
}

struct Collector<'a> {
    checkout: &'a Checkout,
    pins: &'a Pins<'a>,
    out: Staged,
}

/// What a path leads to.
enum Found {
    Missing,
    File,
    /// A folder, where it really stands.
    Folder(PathBuf),
}

impl Collector<'_> {
    /// The kustomization of a folder; gives its file and content if that could be read.
    fn kustomization(&mut self, dir: &Path, depth: usize) -> Result<Option<Own>, String> {
        if depth > DEEPEST {
            return Err(format!("{} is nested too deep", dir.display()));
        }
        if !self.out.seen.insert(dir.to_owned()) {
            return Ok(None);
        }
        let mut own = None;
        for name in FILES {
            let path = dir.join(name);
            if !matches!(self.file(&path)?, Found::File) {
                continue;
            }
            let text = self.out.files.get(&path).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let (documents, errors) = yaml::load(&text.unwrap_or_default());
            // What Kustomize refuses it tells in its own words, so it gets what was written. Of several documents it takes the first.
            let first =
                documents.into_iter().next().filter(|first| errors.is_empty() && first.repeated.is_empty());
            if let Some(Value::Object(json)) = first.map(|first| first.json) {
                own = Some((path, json));
            }
        }
        let Some((path, mut json)) = own else { return Ok(None) };
        if self.entries(dir, &path, &mut json, depth)? {
            self.out.change(&path, &json);
        }
        Ok(Some((path, json)))
    }

    /// Follows all that a kustomization names. Gives whether something of it had to be changed.
    fn entries(
        &mut self,
        dir: &Path,
        file: &Path,
        json: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<bool, String> {
        let mut changed = false;
        for field in ["resources", "bases", "components", "crds", "configurations"] {
            let Some(Value::Array(entries)) = json.get_mut(field) else { continue };
            let mut kept = Vec::with_capacity(entries.len());
            for entry in std::mem::take(entries) {
                let Some(path) = entry.as_str() else {
                    kept.push(entry);
                    continue;
                };
                match self.named(dir, path, depth)? {
                    Found::Missing if is_remote(path) => {
                        self.out.remote.push((file.display().to_string(), path.to_owned()));
                        changed = true;
                    }
                    // Relative paths below a link are those of the place that it leads to.
                    Found::Folder(real) if real != normal(&dir.join(path)) => {
                        kept.push(Value::String(relative(dir, &real)));
                        changed = true;
                    }
                    _ => kept.push(entry),
                }
            }
            *entries = kept;
        }
        // Plugins of these name files in their own documents.
        let plugins = ["generators", "transformers", "validators"];
        if plugins
            .iter()
            .any(|field| json.get(*field).and_then(Value::as_array).is_some_and(|all| !all.is_empty()))
        {
            self.tree(dir, 0)?;
            for path in plugins.iter().flat_map(|field| texts(json.get(*field))) {
                self.named(dir, path, depth)?;
            }
        }
        for path in files_of(json) {
            self.file(&normal(&dir.join(path)))?;
        }
        Ok(self.charts(dir, file, json)? || changed)
    }

    /// A file, or another kustomization, relative to `dir`.
    fn named(&mut self, dir: &Path, path: &str, depth: usize) -> Result<Found, String> {
        // Text in place of a path.
        if path.contains('\n') || path.is_empty() || Path::new(path).is_absolute() || path.contains("://") {
            return Ok(Found::Missing);
        }
        let at = normal(&dir.join(path));
        if let Some(real) = self.folder(&at)? {
            self.kustomization(&real, depth + 1)?;
            return Ok(Found::Folder(real));
        }
        self.file(&at)
    }

    /// The real place of a folder, relative to the repository. What stands in it is not looked at by this.
    fn folder(&self, at: &Path) -> Result<Option<PathBuf>, String> {
        let real = match self.checkout.peek(&at.display().to_string()) {
            Ok(real) => real,
            Err(Unresolved::Missing) => return Ok(None),
            Err(Unresolved::Outside) => return Err(outside(self.checkout.root(), at)),
        };
        Ok(real.is_dir().then(|| PathBuf::from(self.checkout.show(&real))))
    }

    /// Takes a file, if it is there.
    fn file(&mut self, at: &Path) -> Result<Found, String> {
        if self.out.files.contains_key(at) {
            return Ok(Found::File);
        }
        let real = match self.checkout.resolve(&at.display().to_string()) {
            Ok(real) => real,
            Err(Unresolved::Missing) => return Ok(Found::Missing),
            Err(Unresolved::Outside) => return Err(outside(self.checkout.root(), at)),
        };
        if !real.is_file() {
            return Ok(Found::Missing);
        }
        self.out.bytes += std::fs::metadata(&real).map_or(0, |meta| meta.len());
        if self.out.bytes > MOST_BYTES {
            return Err(format!("what it is built from is larger than {} MiB", MOST_BYTES >> 20));
        }
        let content =
            checkout::read(&real).map_err(|why| format!("{} cannot be read: {why}", at.display()))?;
        self.out.files.insert(at.to_owned(), content);
        Ok(Found::File)
    }

    /// Takes all files of a folder.
    fn tree(&mut self, at: &Path, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("{} is nested too deep", at.display()));
        }
        let folder = match self.checkout.resolve(&at.display().to_string()) {
            Ok(folder) => folder,
            Err(Unresolved::Missing) => return Ok(()),
            Err(Unresolved::Outside) => return Err(outside(self.checkout.root(), at)),
        };
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name() == ".git" {
                continue;
            }
            let path = at.join(entry.file_name());
            if entry.path().is_dir() { self.tree(&path, depth + 1)? } else { self.file(&path).map(drop)? }
        }
        Ok(())
    }

    /// Takes the files of a chart of another place, where Kustomize looks for what it has fetched.
    fn taken(&mut self, taken: &Taken, from: &Path, at: &Path, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("{} is nested too deep", taken.shown));
        }
        let broken = |why: std::io::Error| format!("{} cannot be read: {why}", taken.shown);
        for entry in std::fs::read_dir(from).map_err(broken)?.flatten() {
            let (path, at) = (entry.path(), at.join(entry.file_name()));
            if path.is_dir() {
                self.taken(taken, &path, &at, depth + 1)?;
                continue;
            }
            let content = checkout::read(&path).map_err(broken)?;
            self.out.bytes += content.len() as u64;
            if self.out.bytes > MOST_BYTES {
                return Err(format!("what it is built from is larger than {} MiB", MOST_BYTES >> 20));
            }
            self.out.files.insert(at, content);
        }
        Ok(())
    }

    /// `helmCharts`: those that stand in the repository, or are locked, are rendered. Gives whether some were taken out.
    fn charts(&mut self, dir: &Path, file: &Path, json: &mut Map<String, Value>) -> Result<bool, String> {
        let home =
            json.get("helmGlobals").and_then(|globals| globals.get("chartHome")).and_then(Value::as_str);
        let home = home.unwrap_or("charts").to_owned();
        let Some(Value::Array(charts)) = json.get_mut("helmCharts") else { return Ok(false) };
        let before = charts.len();
        let mut kept = Vec::with_capacity(before);
        for chart in std::mem::take(charts) {
            let text = |field: &str| chart.get(field).and_then(Value::as_str).unwrap_or_default();
            let (name, version, repo) = (text("name"), text("version"), text("repo"));
            let files: Vec<&str> =
                [text("valuesFile")].into_iter().chain(texts(chart.get("additionalValuesFiles"))).collect();
            let folder = match (version, repo) {
                ("", _) | (_, "") => format!("{home}/{name}"),
                _ => format!("{home}/{name}-{version}/{name}"),
            };
            let place = normal(&dir.join(&folder));
            let local = !name.is_empty() && self.folder(&place)?.is_some();
            if REPLACED.contains(&name) {
                let mut values = Vec::new();
                for path in files.iter().filter(|path| !path.is_empty()) {
                    let at = normal(&dir.join(path));
                    self.file(&at)?;
                    let content = self.out.files.get(&at);
                    values.extend(content.map(|content| (at.display().to_string(), content.clone())));
                }
                let inline = chart.get("valuesInline").filter(|values| !values.is_null());
                let inline =
                    inline.map(|values| ("valuesInline".to_owned(), yaml::of_json(values).into_bytes()));
                // Between the first file and the additional ones; `merge` lets the file win.
                let first = usize::from(!text("valuesFile").is_empty() && !values.is_empty());
                match text("valuesMerge") {
                    "replace" if inline.is_some() => values.drain(..first).for_each(drop),
                    "merge" => values.splice(0..0, inline.clone()).for_each(drop),
                    _ => {}
                }
                if text("valuesMerge") != "merge" {
                    let at = first.min(values.len());
                    values.splice(at..at, inline);
                }
                self.out.replaced.push(Chart { name: name.to_owned(), version: version.to_owned(), values });
                continue;
            }
            if !local && !repo.is_empty() {
                match Reference::new(repo, name, version).map(|chart| self.pins.take(&chart)) {
                    Ok(Ok(taken)) => self.taken(&taken, &taken.folder(), &place, 0)?,
                    Ok(Err(absent)) => {
                        self.out.absent.push((format!("chart {name} {version} of {repo}"), absent));
                        continue;
                    }
                    Err(why) => {
                        // Not with its URL, which may hold a password.
                        let named = format!("chart {name} {version} of {}", file.display());
                        self.out.absent.push((named, Absent::Unusable(why)));
                        continue;
                    }
                }
            }
            self.tree(&place, 0)?;
            for path in files.iter().filter(|path| !path.is_empty()) {
                self.file(&normal(&dir.join(path)))?;
            }
            self.out.charts = true;
            kept.push(chart);
        }
        let changed = kept.len() != before;
        *charts = kept;
        Ok(changed)
    }
}

/// Where the folder that is read is a part of a checkout, the whole of which holds what is named, that is said.
fn outside(root: &Path, at: &Path) -> String {
    let top = root.ancestors().find(|above| above.join(".git").exists());
    let steps = at.components().filter(|part| *part == std::path::Component::ParentDir).count();
    match top.and_then(|top| root.strip_prefix(top).ok().map(|inside| (top, inside))) {
        Some((top, inside)) if steps > 0 && steps <= inside.components().count() => format!(
            "{} leads outside the folder that is given, and stands in the same checkout: give {} and --root {} instead",
            at.display(),
            top.display(),
            inside.display()
        ),
        _ => format!("{} leads outside the repository", at.display()),
    }
}

/// Files that a kustomization names otherwise than as resources: patches, and what is generated or configured from files.
fn files_of(json: &Map<String, Value>) -> Vec<&str> {
    let items = |field: &str| json.get(field).and_then(Value::as_array).into_iter().flatten();
    let mut paths: Vec<&str> = texts(json.get("patchesStrategicMerge")).collect();
    for field in ["patches", "patchesJson6902", "replacements"] {
        paths.extend(items(field).filter_map(|item| item.get("path")?.as_str()));
    }
    for item in ["configMapGenerator", "secretGenerator"].iter().flat_map(|field| items(field)) {
        let files = ["files", "envs"].iter().flat_map(|field| texts(item.get(*field)));
        // "key=path".
        paths.extend(files.map(|file| file.split_once('=').map_or(file, |(_, path)| path)));
        paths.extend(item.get("env").and_then(Value::as_str));
    }
    paths.extend(json.get("openapi").and_then(|openapi| openapi.get("path")?.as_str()));
    paths.retain(|path| !path.is_empty() && !path.contains('\n') && !Path::new(path).is_absolute());
    paths
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Whether Kustomize would fetch it (`api/internal/git/repospec.go`, `api/internal/loader`).
fn is_remote(path: &str) -> bool {
    path.contains("://")
        || path.contains("?ref=")
        || path.contains(".git/")
        || path.strip_suffix(".git").is_some()
        || path.contains("_git/")
        || ["git@", "git::", "gh:", "github.com/", "github.com:"].iter().any(|begin| path.starts_with(begin))
}

/// Without `.` and `..`; those that lead out of the repository stay.
pub(in super::super) fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if clean.file_name().is_some() => drop(clean.pop()),
            Component::ParentDir => clean.push(".."),
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The path that leads from one folder of the repository to another.
fn relative(from: &Path, to: &Path) -> String {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| PathBuf::from(".."));
    let path: PathBuf = up.chain([to.components().skip(common).collect()]).collect();
    let text = path.display().to_string();
    if text.is_empty() { ".".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::super::Charts, *};
    use crate::charts::LockFile;

    fn staged(files: &[(&str, &str)], top: &str) -> Staged {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let checkout = Checkout::open(dir.path()).unwrap();
        let folder = checkout.resolve(top).unwrap();
        let (charts, lock) = (Charts::default(), LockFile::default());
        collect(&checkout, &folder, &Pins::new(&checkout, &charts, &lock)).unwrap()
    }

    #[test]
    fn what_is_named_is_taken_and_nothing_else() {
        let staged = staged(
            &[
                (
                    "overlays/dev/kustomization.yaml",
                    "resources: [../../base, own.yaml, https://x.example/crds.yaml]\npatches: [{path: p.yaml}]\n\
                     configMapGenerator: [{name: c, files: [key=app.conf], envs: [a.env]}]\n",
                ),
                ("overlays/dev/own.yaml", ""),
                ("overlays/dev/p.yaml", ""),
                ("overlays/dev/app.conf", ""),
                ("overlays/dev/a.env", ""),
                ("overlays/dev/not-named.yaml", ""),
                ("base/kustomization.yml", "resources: [all.yaml]\ncomponents: [../parts]\n"),
                ("base/all.yaml", ""),
                ("base/README.md", ""),
                ("parts/kustomization.yaml", "kind: Component\n"),
                ("other/kustomization.yaml", ""),
            ],
            "overlays/dev",
        );
        let files: Vec<String> = staged.files.keys().map(|path| path.display().to_string()).collect();
        assert_eq!(
            files,
            [
                "base/all.yaml",
                "base/kustomization.yml",
                "overlays/dev/a.env",
                "overlays/dev/app.conf",
                "overlays/dev/kustomization.yaml",
                "overlays/dev/own.yaml",
                "overlays/dev/p.yaml",
                "parts/kustomization.yaml",
            ]
        );
        let remote = ("overlays/dev/kustomization.yaml".to_owned(), "https://x.example/crds.yaml".to_owned());
        assert_eq!(staged.remote, [remote]);
        let own =
            String::from_utf8_lossy(&staged.files[Path::new("overlays/dev/kustomization.yaml")]).into_owned();
        assert!(!own.contains("x.example") && own.contains("../../base"), "{own}");
    }

    #[test]
    fn a_cycle_ends_and_a_way_out_is_refused() {
        let both = [
            ("a/kustomization.yaml", "resources: [../b]\n"),
            ("b/kustomization.yaml", "resources: [../a]\n"),
        ];
        assert_eq!(staged(&both, "a").files.len(), 2);
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("repo/a")).unwrap();
        std::fs::write(dir.path().join("x.yaml"), "").unwrap();
        std::fs::write(dir.path().join("repo/a/kustomization.yaml"), "resources: [../../x.yaml]\n").unwrap();
        let checkout = Checkout::open(&dir.path().join("repo")).unwrap();
        let folder = checkout.resolve("a").unwrap();
        let (charts, lock) = (Charts::default(), LockFile::default());
        let pins = Pins::new(&checkout, &charts, &lock);
        assert_eq!(collect(&checkout, &folder, &pins).unwrap_err(), "../x.yaml leads outside the repository");
        std::fs::create_dir_all(dir.path().join(".git")).unwrap();
        let said = collect(&checkout, &folder, &pins).unwrap_err();
        assert!(
            said.contains("stands in the same checkout: give /") && said.ends_with("--root repo instead"),
            "{said}"
        );
    }

    #[test]
    fn relative_paths() {
        for (from, to, path) in
            [("a/b", "c", "../../c"), ("a", "a/b", "b"), ("", "x/y", "x/y"), ("a", "a", ".")]
        {
            assert_eq!(relative(Path::new(from), Path::new(to)), path);
        }
    }
}
