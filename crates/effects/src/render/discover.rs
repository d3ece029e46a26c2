//! Where an environment starts: `--root PATH`, else `argocd-bootstrap-apps/<env>.yaml`, else `charts/app-of-apps` with
//! `values.<env>.yaml`, else the Kustomization of Flux whose folder is `clusters/<env>`, else that folder, else the chart that the folder is,
//! else what brings others and is brought by none (`entry`), else the whole folder as plain YAML.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use portolan_core::gitops::sync::Policy;
use portolan_model::{Name, ObjectKey, Problem, nearest, yaml};
use serde_json::Value;

use super::{
    application::{Application, Destination, Directory, Helm, Source},
    checkout::{self, Checkout, Unresolved},
    entry::{self, Entry},
    flux,
    kept::Pending,
    overlays::{self, Overlays},
    problems,
};

/// The start of an environment. Paths are real and inside the work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A YAML file with one or more Applications.
    Application(PathBuf),
    /// A chart, and its values file for the environment relative to the chart.
    Chart(PathBuf, Option<String>),
    /// A folder of plain YAML. `follow`: Applications in it are followed, because the folder was named on purpose.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Whether Applications in it are followed.
        follow: bool,
        /// Files of Applications that bring others, where it is not known which of them is meant.
        starts: Vec<String>,
    },
}

impl Root {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Application(path) | Self::Chart(path, _) | Self::Folder { path, .. } => path,
        }
    }

    /// Whether Flux may be in use from here on.
    pub(super) fn is_flux(&self) -> bool {
        match self {
            Self::Application(file) => {
                checkout::read_text(file).is_ok_and(|text| text.contains("toolkit.fluxcd.io/"))
            }
            Self::Chart(..) => false,
            Self::Folder { follow, .. } => *follow,
        }
    }

    /// The root, as an Application would name it, and whether Applications in it are followed.
    pub(super) fn pending(&self, checkout: &Checkout, overlays: &Overlays) -> (Pending, bool) {
        let mut more = Vec::new();
        let (kind, path, namespace, source, follow) = match self {
            Self::Application(file) => {
                let source = Source { directory: Some(Directory::default()), ..Source::default() };
                ("File", file, "argocd", source, true)
            }
            Self::Chart(path, values) => {
                let name = path.file_name().map_or("root".into(), |n| n.to_string_lossy().into_owned());
                let helm = Helm {
                    value_files: values.iter().cloned().collect(),
                    release_name: name,
                    ..Helm::default()
                };
                ("Chart", path, "argocd", Source { helm: Some(helm), ..Source::default() }, true)
            }
            Self::Folder { path, follow, .. } => {
                let built = |path: &String| Source {
                    path: path.clone(),
                    kustomize: Some(Value::Null),
                    ..Source::default()
                };
                more.extend(overlays.chosen.iter().map(built));
                let directory = Directory { recurse: true, plain: true, ..Directory::default() };
                // A kustomization is read as one, by its file.
                let directory = (!overlays::is_whole(path)).then_some(directory);
                ("Folder", path, "default", Source { directory, ..Source::default() }, *follow)
            }
        };
        let shown = checkout.show(path);
        let place = if shown.is_empty() { "." } else { shown.as_str() };
        let application = Application {
            key: ObjectKey::new("", kind, "", shown.as_str()),
            wave: 0,
            sources: [Source { path: place.to_owned(), ..source }].into_iter().chain(more).collect(),
            multiple: false,
            destination: Destination { namespace: namespace.into(), ..Destination::default() },
            hydrates: None,
            create_namespace: false,
            policy: if kind == "File" { Policy::ByHand } else { Policy::Whole },
            project: String::new(),
            namespace_metadata: None,
        };
        (Pending { application, parent: Name::default(), chain: Vec::new(), permit: None }, follow)
    }
}

/// Finds the root. `known`: where it was when it was read last. If that is gone, what lies further down was never meant: only
/// the file that names the environment, another file of the same cluster and `--root` come in its place. `first`: everything is
/// looked at.
pub(super) fn discover(
    checkout: &Checkout,
    env: &str,
    root: Option<&str>,
    known: Option<&ObjectKey>,
    first: bool,
) -> Result<Root, Box<Problem>> {
    let found = find(checkout, env, root, known.filter(|_| !first))?;
    let Some(known) = known.filter(|_| root.is_none()) else { return Ok(found) };
    let (old, new) = (&*known.name.name, checkout.show(found.path()));
    let cluster = PathBuf::from(CLUSTERS).join(env);
    let (was_cluster, is_cluster) =
        (Path::new(old).starts_with(&cluster), Path::new(&new).starts_with(&cluster));
    // Perhaps by a link.
    let is_named =
        checkout.resolve(&format!("argocd-bootstrap-apps/{env}.yaml")).is_ok_and(|path| path == found.path());
    if old == new || is_named || (was_cluster && is_cluster) {
        return Ok(found);
    }
    let is_there = checkout.resolve(old).is_ok_and(|path| match &*known.kind.kind {
        "File" => path.is_file(),
        "Chart" => path.join("Chart.yaml").is_file(),
        _ => path.is_dir(),
    });
    // A cluster's folder is one by what stands in it.
    if is_there && !(was_cluster && new.is_empty()) {
        return Ok(found);
    }
    let place = if new.is_empty() { "." } else { &new };
    let message = format!(
        "{old}, where {env} started when it was read last, is gone or empty; {place} is not read in its place, and all stays as it was. If it is to be the start from now on, \
         say so with --root {place}"
    );
    Err(Box::new(problems::root_missing(&problems::file(old), "", message)))
}

/// Finds the root by what is there; `known` is where it was, if that is kept.
fn find(
    checkout: &Checkout,
    env: &str,
    root: Option<&str>,
    known: Option<&ObjectKey>,
) -> Result<Root, Box<Problem>> {
    let named = |path: &str| problems::file(path);
    let values = format!("values.{env}.yaml");
    // The name becomes part of paths.
    if env.is_empty() || env.starts_with('.') || env.contains(['/', '\\', '\0']) {
        let message = format!("the environment name {env:?} cannot be part of a file name");
        return Err(Box::new(problems::root_missing(&named("."), "", message)));
    }
    if let Some(path) = root {
        // A full path is one of the machine, not of the repository.
        let below = Path::new(path).strip_prefix(checkout.root());
        let found = match below {
            Ok(below) => checkout.resolve(&below.to_string_lossy()),
            Err(_) if Path::new(path).is_absolute() && Path::new(path).exists() => Err(Unresolved::Outside),
            Err(_) => checkout.resolve(path),
        };
        let real = match found {
            Ok(real) => real,
            Err(Unresolved::Missing) => {
                let message = format!("--root {path}: there is no such file or folder");
                return Err(Box::new(problems::root_missing(&named(path), "", message)));
            }
            Err(Unresolved::Outside) => {
                let message = format!("--root {path} leads outside the repository");
                return Err(Box::new(problems::root_missing(&named(path), "", message)));
            }
        };
        return Ok(if real.is_file() {
            Root::Application(real)
        } else if real.join("Chart.yaml").is_file() {
            let values = real.join(&values).is_file().then_some(values);
            Root::Chart(real, values)
        } else {
            Root::Folder { path: real, follow: true, starts: Vec::new() }
        });
    }
    if let Ok(file) = checkout.resolve(&format!("argocd-bootstrap-apps/{env}.yaml")) {
        return Ok(Root::Application(file));
    }
    let chart = checkout.resolve("charts/app-of-apps").ok().filter(|c| c.join("Chart.yaml").is_file());
    if let Some(chart) = chart {
        if chart.join(&values).is_file() {
            return Ok(Root::Chart(chart, Some(values)));
        }
        // A platform repository, but not this environment: reading charts as plain YAML would help nobody.
        let message = format!(
            "there is neither argocd-bootstrap-apps/{env}.yaml nor charts/app-of-apps/{values} for the environment {env}{}",
            others(checkout, &chart, env)
        );
        return Err(Box::new(problems::root_missing(&named("charts/app-of-apps"), "", message)));
    }
    if let Ok(folder) = checkout.resolve("argocd-bootstrap-apps") {
        let message =
            format!("{} has no {env}.yaml{}", checkout.show(&folder), others(checkout, &folder, env));
        return Err(Box::new(problems::root_missing(&named("argocd-bootstrap-apps"), "", message)));
    }
    if let Some(root) = clusters(checkout, env)? {
        return Ok(root);
    }
    let whole = checkout.root().to_owned();
    if whole.join("Chart.yaml").is_file() {
        let values = whole.join(&values).is_file().then_some(values);
        return Ok(Root::Chart(whole, values));
    }
    Ok(match entry(checkout, env, known) {
        Entry::Is(root) => root,
        Entry::None => Root::Folder { path: whole, follow: false, starts: Vec::new() },
        Entry::Several(starts) => Root::Folder { path: whole, follow: false, starts },
    })
}

/// Where Applications begin that the folders say nothing of. The work tree is looked through for it once, and not with each
/// edit: a start that was found stays one while it is there. `known`: where it was, if this is not the first look.
fn entry(checkout: &Checkout, env: &str, known: Option<&ObjectKey>) -> Entry {
    let Some(known) = known else { return entry::find(checkout, env) };
    let name = &*known.name.name;
    match (&*known.kind.kind, checkout.resolve(name)) {
        ("File", Ok(file)) if entry::holds(&file) => Entry::Is(Root::Application(file)),
        ("Folder", Ok(path)) if !name.is_empty() && path.is_dir() => {
            Entry::Is(Root::Folder { path, follow: true, starts: Vec::new() })
        }
        _ => Entry::None,
    }
}

/// Folder of what Flux applies, one folder a cluster.
const CLUSTERS: &str = "clusters";

/// `clusters/<env>` of Flux: the Kustomization that applies the folder, else the folder.
fn clusters(checkout: &Checkout, env: &str) -> Result<Option<Root>, Box<Problem>> {
    let Ok(all) = checkout.peek(CLUSTERS) else { return Ok(None) };
    let names = flux_clusters(&all);
    if names.is_empty() {
        return Ok(None);
    }
    let Some(folder) = names.iter().find(|name| *name == env).map(|name| all.join(name)) else {
        let near = nearest(env, names.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let message = format!(
            "{CLUSTERS} has no folder for the environment {env}; environments here: {}{near}",
            names.join(", ")
        );
        return Err(Box::new(problems::root_missing(&problems::file(CLUSTERS), "", message)));
    };
    // What is read is noted.
    let folder = checkout.resolve(&checkout.show(&folder)).unwrap_or(folder);
    Ok(Some(match sync(&folder) {
        Some(file) => Root::Application(file),
        None => Root::Folder { path: folder, follow: true, starts: Vec::new() },
    }))
}

/// What Flux begins with in `clusters/<env>`, where something of Argo CD is the start.
pub(super) struct Beside {
    /// The folder.
    pub(super) folder: String,
    /// What of Flux stands in it.
    pub(super) objects: Vec<ObjectKey>,
    /// Folders that it leads to, and charts of the repository that are released from there.
    pub(super) sources: BTreeSet<String>,
}

/// Files of Flux' folders that are looked through for releases.
const MOST_FILES: usize = 500;

/// `clusters/<env>` beside another start.
pub(super) fn beside(checkout: &Checkout, env: &str, root: &Root) -> Option<Beside> {
    let folder = checkout.resolve(&format!("{CLUSTERS}/{env}")).ok().filter(|folder| folder.is_dir())?;
    if root.path().starts_with(&folder) {
        return None;
    }
    let files = [folder.join("flux-system"), folder.clone()];
    let begun: Vec<Value> =
        files.iter().flat_map(|folder| yaml_files(folder)).flat_map(|file| flux_objects(&file)).collect();
    let below = |json: &Value, pointer: &str| {
        let path = json.pointer(pointer).and_then(Value::as_str).filter(|path| !path.is_empty());
        path.map(|path| path.trim_start_matches("./").trim_matches('/').to_owned())
    };
    let folders: BTreeSet<String> = begun.iter().filter_map(|json| below(json, "/spec/path")).collect();
    let real = folders.iter().filter_map(|path| checkout.peek(path).ok());
    let released = real.flat_map(|path| yaml_files(&path)).take(MOST_FILES);
    let released = released.flat_map(|file| flux_objects(&file)).collect::<Vec<_>>();
    let charts = begun.iter().chain(&released).filter_map(|json| below(json, "/spec/chart/spec/chart"));
    let sources = charts.chain(folders.iter().cloned()).collect();
    let objects: Vec<ObjectKey> = begun.iter().map(flux::key).collect();
    (!objects.is_empty()).then(|| Beside { folder: checkout.show(&folder), objects, sources })
}

/// Names of the folders that hold Flux's objects; folders below `clusters` are common.
fn flux_clusters(all: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_flux = |folder: &PathBuf| {
        sync(folder).is_some() || yaml_files(folder).iter().any(|file| flux_objects(file).next().is_some())
    };
    let found = folders.filter(|path| path.is_dir()).filter(is_flux);
    let mut names: Vec<String> =
        found.filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

/// The file with the Kustomization that applies the folder itself (`gotk-sync.yaml`). A path in another artifact may end in the same name.
fn sync(folder: &Path) -> Option<PathBuf> {
    let files = yaml_files(&folder.join("flux-system")).into_iter().chain(yaml_files(folder));
    let applies = |file: &PathBuf| {
        flux_objects(file).any(|json| {
            let path = json.pointer("/spec/path").and_then(Value::as_str).unwrap_or_default();
            let path = path.trim_start_matches("./").trim_matches('/');
            json.get("kind").is_some_and(|kind| kind == "Kustomization")
                && Path::new(path).parent().is_some_and(|above| above.ends_with(CLUSTERS))
                && folder.ends_with(path)
        })
    };
    files.into_iter().find(applies)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_yaml =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "yaml" || e == "yml") && path.is_file();
    let mut files: Vec<PathBuf> = files.filter(is_yaml).collect();
    files.sort();
    files
}

/// Kustomizations and `HelmReleases` of Flux in a file.
fn flux_objects(file: &Path) -> impl Iterator<Item = Value> + use<> {
    let text = checkout::read_text(file).unwrap_or_default();
    let documents = if text.contains("toolkit.fluxcd.io/") { yaml::load(&text).0 } else { Vec::new() };
    documents.into_iter().map(|document| document.json).filter(flux::is_followed)
}

/// Whether a folder is laid out as the top of a repository in which environments begin. Paths of Flux say where the top is.
pub(super) fn is_top(folder: &Path) -> bool {
    let applies = |name: &str| {
        let files = yaml_files(&folder.join(CLUSTERS).join(name).join("flux-system"));
        files.iter().flat_map(|file| flux_objects(file)).any(|json| {
            let path = json.pointer("/spec/path").and_then(Value::as_str).unwrap_or_default();
            path.trim_start_matches("./").trim_matches('/') == format!("{CLUSTERS}/{name}")
        })
    };
    let clusters = std::fs::read_dir(folder.join(CLUSTERS)).into_iter().flatten().flatten();
    folder.join("argocd-bootstrap-apps").is_dir()
        || folder.join("charts/app-of-apps/Chart.yaml").is_file()
        || clusters.into_iter().any(|cluster| applies(&cluster.file_name().to_string_lossy()))
}

/// Whether an environment begins in a work tree: what the names of files and folders say of it, without looking into them.
///
/// # Errors
/// That it does not, or that the root is none (PTL-0600). A folder that cannot be read is no error here.
pub fn begins(dir: &Path, env: &str, root: Option<&str>) -> Result<(), Box<Problem>> {
    let Ok(checkout) = Checkout::open(dir) else { return Ok(()) };
    // As one that was found before, so that no file is looked into for it.
    let nowhere = ObjectKey::new("", "Folder", "", "");
    find(&checkout, env, root, Some(&nowhere)).map(drop)
}

/// The environments that a work tree has: files of Argo CD's roots, values of the app of apps, clusters of Flux. Where there is
/// none to be seen, one that is called `default`.
pub fn environments(dir: &Path) -> Vec<String> {
    let Ok(checkout) = Checkout::open(dir) else { return vec!["default".to_owned()] };
    let chart = checkout.root().join("charts/app-of-apps");
    let mut found = named(&checkout, &chart);
    if found.is_empty() {
        found = flux_clusters(&checkout.root().join(CLUSTERS));
    }
    if found.is_empty() { vec!["default".to_owned()] } else { found }
}

/// The environments that there are, for somebody who named another or none.
fn others(checkout: &Checkout, chart: &Path, env: &str) -> String {
    let found = named(checkout, chart);
    match found.as_slice() {
        [] => String::new(),
        some => match nearest(env, some.iter().map(String::as_str)) {
            Some(near) => format!("; environments here: {}; did you mean {near}?", some.join(", ")),
            None => format!("; environments here: {}", some.join(", ")),
        },
    }
}

/// Environments by the names of files.
fn named(checkout: &Checkout, chart: &Path) -> Vec<String> {
    let files = |folder: &Path, before: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let named = names.filter_map(|name| {
            let env = name.strip_prefix(before)?.strip_suffix(".yaml")?;
            (!env.is_empty()).then(|| env.to_owned())
        });
        named.collect()
    };
    let mut found =
        checkout.resolve("argocd-bootstrap-apps").map(|folder| files(&folder, "")).unwrap_or_default();
    found.extend(files(chart, "values."));
    found.sort();
    found.dedup();
    found
}
