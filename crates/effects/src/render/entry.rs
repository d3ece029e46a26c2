//! Where an environment starts in a repository whose folders do not say it: with the Applications of Argo CD or the Kustomizations
//! of Flux that no other brings, and that bring others.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use portolan_model::yaml;
use serde_json::Value;

use super::{
    checkout::{self, Checkout, same_place},
    discover::Root,
    flux,
};

/// Folders below one another, and files, that are looked through.
const DEEPEST: usize = 16;
const MOST: usize = 20_000;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing that brings others.
    None,
    Is(Root),
    /// Several, of which one is meant.
    Several(Vec<String>),
}

/// An Application or Kustomization that brings a folder of this repository.
#[derive(Debug)]
struct Brings {
    file: PathBuf,
    name: String,
    folders: Vec<PathBuf>,
}

/// Looks through the work tree.
pub(super) fn find(checkout: &Checkout, env: &str) -> Entry {
    let mut files = Vec::new();
    collect(checkout.root(), 0, &mut files);
    let origin = checkout.origin();
    let (mut all, mut followed) = (Vec::new(), BTreeSet::new());
    for file in files {
        for json in documents(&file) {
            followed.insert(file.clone());
            let folders: Vec<PathBuf> =
                paths(&json, origin.as_deref()).iter().filter_map(|path| folder(checkout, path)).collect();
            let name = json["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if !folders.is_empty() {
                all.push(Brings { file: file.clone(), name, folders });
            }
        }
    }
    let below = |one: &Brings, file: &Path| one.folders.iter().any(|folder| file.starts_with(folder));
    let brought = |one: &Brings| all.iter().any(|other| other.file != one.file && below(other, &one.file));
    let brings = |one: &Brings| followed.iter().any(|file| *file != one.file && below(one, file));
    let starts: Vec<&Brings> = all.iter().filter(|one| !brought(one) && brings(one)).collect();
    let show = |path: &Path| checkout.show(path);
    // Folders side by side, one an environment, say it before anything else.
    let hubs = hubs(checkout, &followed);
    if let Some(own) = hubs.iter().find_map(|(hub, members)| members.get(env).map(|_| hub.join(env))) {
        let within: BTreeSet<&PathBuf> =
            starts.iter().map(|one| &one.file).filter(|file| file.starts_with(&own)).collect();
        return Entry::Is(match (within.len(), within.first()) {
            (1, Some(file)) => Root::Application((*file).clone()),
            _ => Root::Folder { path: own, follow: true, starts: Vec::new() },
        });
    }
    let begins_in = |hub: &Path| starts.iter().any(|one| one.file.starts_with(hub));
    if let Some((hub, members)) = hubs.iter().find(|(hub, members)| members.len() > 1 && begins_in(hub)) {
        return Entry::Several(members.iter().map(|member| show(&hub.join(member))).collect());
    }
    let called = |one: &&Brings| {
        let file = one.file.strip_prefix(checkout.root()).unwrap_or(&one.file);
        one.name == env || file.with_extension("").iter().any(|part| part == env)
    };
    let of_env: Vec<&Brings> = starts.iter().copied().filter(called).collect();
    let files = |of: &[&Brings]| of.iter().map(|one| one.file.clone()).collect::<BTreeSet<_>>();
    let meant = files(if of_env.is_empty() { &starts } else { &of_env });
    let mut each = meant.iter();
    match (each.next(), each.next()) {
        (None, _) => Entry::None,
        (Some(file), None) => Entry::Is(Root::Application(file.clone())),
        _ => match together(checkout, &meant, !of_env.is_empty()) {
            Some(path) => Entry::Is(Root::Folder { path, follow: true, starts: Vec::new() }),
            None => Entry::Several(meant.iter().map(|file| show(file)).collect()),
        },
    }
}

/// How folders are called that hold one for each environment.
const ENVIRONMENTS: [&str; 3] = ["clusters", "environments", "envs"];

/// Such folders, with those of the folders in them that hold what is followed.
fn hubs(checkout: &Checkout, followed: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, BTreeSet<String>> {
    let mut found: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for file in followed {
        let below = file.parent().and_then(|folder| folder.strip_prefix(checkout.root()).ok());
        let mut at = checkout.root().to_owned();
        let mut parts = below.into_iter().flat_map(Path::iter).filter_map(|part| part.to_str()).peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            if let Some(member) = parts.peek().filter(|_| ENVIRONMENTS.contains(&part)) {
                found.entry(at.clone()).or_default().insert((*member).to_owned());
                break;
            }
        }
    }
    found
}

/// The folder in which several starts stand side by side: their own, or one that is called like the environment.
fn together(checkout: &Checkout, files: &BTreeSet<PathBuf>, called: bool) -> Option<PathBuf> {
    let mut parents = files.iter().filter_map(|file| file.parent());
    let first = parents.next()?;
    let common = first.ancestors().find(|above| files.iter().all(|file| file.starts_with(above)))?;
    let own = files.iter().all(|file| file.parent() == Some(common));
    (common != checkout.root() && common.starts_with(checkout.root()) && (own || called))
        .then(|| common.to_owned())
}

/// YAML files, in order; what is hidden, and what is of charts, is left out.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    if depth > DEEPEST || folder.join("Chart.yaml").is_file() {
        return;
    }
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if name.to_string_lossy().starts_with('.') || files.len() >= MOST {
            continue;
        }
        if kind.is_dir() {
            collect(&path, depth + 1, files);
        } else if kind.is_file() && path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(path);
        }
    }
}

/// Whether a file holds what is followed.
pub(super) fn holds(file: &Path) -> bool {
    documents(file).next().is_some()
}

/// What is followed in a file: objects of Flux, Applications and sets of them.
fn documents(file: &Path) -> impl Iterator<Item = Value> + use<> {
    let text = checkout::read_text(file).unwrap_or_default();
    let may = text.contains("toolkit.fluxcd.io/") || text.contains("argoproj.io/");
    let documents = if may { yaml::load(&text).0 } else { Vec::new() };
    let is_set = |json: &Value| {
        json["apiVersion"].as_str().is_some_and(|version| version.starts_with("argoproj.io/"))
            && ["Application", "ApplicationSet"].map(Value::from).contains(&json["kind"])
    };
    documents
        .into_iter()
        .map(|document| document.json)
        .filter(move |json| flux::is_followed(json) || is_set(json))
}

/// The folders of this repository that one brings, as they are written. Which repository an Application means is known by the
/// `origin` of Git alone.
fn paths(json: &Value, origin: Option<&str>) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &json["spec"];
    if flux::is_followed(json) {
        return if json["kind"] == "Kustomization" { vec![text(&spec["path"])] } else { Vec::new() };
    }
    let sources = spec["sources"].as_array().into_iter().flatten().chain([&spec["source"]]);
    let own = |source: &&Value| {
        origin.is_some_and(|origin| same_place(origin, source["repoURL"].as_str().unwrap_or_default()))
    };
    sources.filter(own).map(|source| text(&source["path"])).collect()
}

/// A folder below the top, which would hold everything.
fn folder(checkout: &Checkout, path: &str) -> Option<PathBuf> {
    let found = checkout.peek(path).ok()?;
    (!path.contains("{{") && found.is_dir() && found != checkout.root()).then_some(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    const KUSTOMIZATION: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: NAME, namespace: flux-system}\nspec: {path: ./PATH}\n";
    const RELEASE: &str =
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: r}\nspec: {}\n";
    const APPLICATION: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: NAME}\nspec: {source: {repoURL: 'git@git.example:me/p.git', path: PATH}}\n";
    const ORIGIN: &str = "[remote \"origin\"]\n  url = https://git.example/me/p\n";

    fn found(env: &str, files: &[(&str, &str)]) -> String {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let (text, names) = text.split_once('|').map_or((*text, ""), |(text, names)| (text, names));
            let (name, to) = names.split_once(' ').unwrap_or_default();
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("NAME", name).replace("PATH", to)).unwrap();
        }
        let checkout = Checkout::open(dir.path()).unwrap();
        match find(&checkout, env) {
            Entry::None => "none".to_owned(),
            Entry::Is(Root::Application(file)) => checkout.show(&file),
            Entry::Is(Root::Folder { path, .. }) => format!("{}/", checkout.show(&path)),
            Entry::Is(other) => format!("{other:?}"),
            Entry::Several(names) => names.join(" or "),
        }
    }

    #[test]
    fn what_no_other_brings_and_brings_others_is_the_start() {
        let apps = format!("{KUSTOMIZATION}|apps kubernetes/apps");
        let web = format!("{KUSTOMIZATION}|web kubernetes/apps/web/app");
        let flux = [
            ("kubernetes/flux/cluster/ks.yaml", &*apps),
            ("kubernetes/apps/web/ks.yaml", &*web),
            ("kubernetes/apps/web/app/release.yaml", RELEASE),
        ];
        assert_eq!(found("default", &flux), "kubernetes/flux/cluster/ks.yaml");
        // It brings what is no Application: nothing says that it is meant to be the start.
        assert_eq!(
            found("default", &[("a.yaml", &*apps), ("kubernetes/apps/map.yaml", "kind: ConfigMap\n")]),
            "none"
        );
        assert_eq!(found("default", &[("a.yaml", RELEASE)]), "none");
    }

    #[test]
    fn of_several_the_one_of_the_environment_is_meant() {
        let one = format!("{KUSTOMIZATION}|apps apps/dev");
        let two = format!("{KUSTOMIZATION}|apps apps/prod");
        let infra = format!("{KUSTOMIZATION}|infra infra");
        let files = [
            ("k8s/clusters/dev/apps/a.yaml", &*one),
            ("k8s/clusters/prod/apps/a.yaml", &*two),
            ("k8s/clusters/prod/infra/i.yaml", &*infra),
            ("apps/dev/r.yaml", RELEASE),
            ("apps/prod/r.yaml", RELEASE),
            ("infra/r.yaml", RELEASE),
        ];
        assert_eq!(found("dev", &files), "k8s/clusters/dev/apps/a.yaml");
        assert_eq!(found("prod", &files), "k8s/clusters/prod/");
        assert_eq!(found("default", &files), "k8s/clusters/dev or k8s/clusters/prod");
        // What starts an environment may stand elsewhere; another's start is not meant.
        let without = [&files[..1], &files[3..], &[("k8s/clusters/prod/x/r.yaml", RELEASE)]].concat();
        assert_eq!(found("prod", &without), "k8s/clusters/prod/");
        assert_eq!(found("default", &without), "k8s/clusters/dev or k8s/clusters/prod");
    }

    #[test]
    fn applications_are_of_this_repository_by_its_origin() {
        let root = format!("{APPLICATION}|root sets/apps");
        let other = format!("{APPLICATION}|infra sets/infra");
        let leaf = format!("{APPLICATION}|leaf plain");
        let files = [
            (".git/config", ORIGIN),
            ("start/root.yaml", &*root),
            ("start/infra.yaml", &*other),
            ("sets/apps/leaf.yaml", &*leaf),
            ("sets/infra/leaf.yaml", &*leaf),
            ("plain/m.yaml", "kind: ConfigMap\n"),
        ];
        assert_eq!(found("default", &files), "start/");
        assert_eq!(found("default", &files[1..]), "none", "which repository they mean is not known");
    }
}
