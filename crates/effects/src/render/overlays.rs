//! A plain folder with kustomizations and charts in it. Each is read as a whole or not at all: the files that it is made of
//! are no objects. Nobody says here which kustomization is meant, as an Application would; so what is unmistakable is built
//! and the rest is said.
//!
//! Kustomizations that build on one base are variants of it, of which one is meant: the one that is called like the
//! environment, or the only one. Those that share nothing are all meant, as files side by side are.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use portolan_model::yaml;
use serde_json::Value;

use super::{
    checkout::{self, Checkout},
    discover,
    kustomization::{self, FILES},
    kustomize::files::normal,
    touched::Touched,
};

const DEEPEST: usize = 32;

/// What stands in a plain folder beside plain files. Paths are relative to the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Overlays {
    /// Kustomizations that are built.
    pub(super) chosen: Vec<String>,
    /// Those of which one is meant, and it is not known which.
    pub(super) undecided: Vec<Vec<String>>,
    /// Charts, which nothing names.
    pub(super) charts: Vec<String>,
    /// Folders below the top of the repository that are laid out as one with environments.
    pub(super) repositories: Vec<String>,
}

/// Whether a folder is built or rendered as a whole, so that its files are no objects by themselves.
pub(super) fn is_whole(folder: &Path) -> bool {
    folder.join("Chart.yaml").is_file() || FILES.iter().any(|name| is_kustomization(&folder.join(name)))
}

/// Whether it is a kustomization, and not an object (Flux's Kustomization) in a file of that name.
fn is_kustomization(path: &Path) -> bool {
    path.is_file() && read(path).is_none_or(|json| kustomization::is_document(path, &json))
}

fn read(path: &Path) -> Option<Value> {
    let text = checkout::read_text(path).ok()?;
    yaml::load(&text).0.into_iter().next().map(|document| document.json)
}

/// Looks through `folder`, which is none of both itself.
pub(super) fn find(checkout: &Checkout, folder: &Path, env: &str) -> Overlays {
    let mut found = Overlays::default();
    let mut all = BTreeMap::new();
    walk(checkout, folder, 0, &mut found, &mut all);
    found.charts.sort();
    let used: BTreeSet<&PathBuf> = all.values().flat_map(|one| &one.names).collect();
    let roots: Vec<&PathBuf> =
        all.iter().filter(|(path, one)| !one.part && !used.contains(path)).map(|(path, _)| path).collect();
    // Those that come to one base, by any way, are one group.
    let mut groups: Vec<(BTreeSet<&PathBuf>, Vec<&PathBuf>)> = Vec::new();
    for root in roots {
        let bases = below(&all, root);
        let (of, others): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(known, _)| !known.is_disjoint(&bases));
        groups = others;
        let mut group = (bases, Vec::new());
        for (known, roots) in of {
            group.0.extend(known);
            group.1.extend(roots);
        }
        group.1.push(root);
        groups.push(group);
    }
    for (_, mut roots) in groups {
        roots.sort();
        let show = |path: &PathBuf| path.display().to_string();
        let named = |path: &&&PathBuf| path.components().any(|part| part.as_os_str() == env);
        let of_env: Vec<String> = roots.iter().filter(named).map(|path| show(path)).collect();
        match roots.as_slice() {
            [one] => found.chosen.push(show(one)),
            _ if !of_env.is_empty() => found.chosen.extend(of_env),
            several => found.undecided.push(several.iter().map(|path| show(path)).collect()),
        }
    }
    found.chosen.sort();
    found.undecided.sort();
    if folder == checkout.root() {
        found.repositories = repositories(checkout);
    }
    found
}

/// Folders below the top, at most two deep, that hold what begins an environment: whoever names one too high means one of them.
fn repositories(checkout: &Checkout) -> Vec<String> {
    // Folders that are looked at.
    const MOST: usize = 2_000;
    let below = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| {
            entry.file_type().is_ok_and(|kind| kind.is_dir())
                && !entry.file_name().as_encoded_bytes().starts_with(b".")
        });
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
        folders.sort();
        folders
    };
    let mut all = below(checkout.root());
    let deeper: Vec<PathBuf> = all.iter().take(MOST).flat_map(|folder| below(folder)).collect();
    all.extend(deeper);
    let found = all.iter().take(MOST).filter(|folder| discover::is_top(folder));
    let mut found: Vec<String> = found.map(|folder| checkout.show(folder)).collect();
    found.sort();
    found
}

/// Whether what is touched may change what is found.
pub(super) fn touched(touched: &Touched) -> bool {
    let Touched::Paths(paths) = touched else { return true };
    // A folder that is gone has no suffix that tells it from a file.
    paths.iter().any(|path| {
        kustomization::is_one(path)
            || path.file_name().is_some_and(|name| name == "Chart.yaml")
            || path.is_dir()
            || !path.exists() && path.extension().is_none()
    })
}

struct Kustomization {
    /// A component: part of others, built by itself by nobody.
    part: bool,
    /// The kustomizations that it builds on.
    names: Vec<PathBuf>,
}

/// The kustomizations that `root` comes to, itself among them. Components are shared by what is otherwise apart.
fn below<'a>(all: &'a BTreeMap<PathBuf, Kustomization>, root: &'a PathBuf) -> BTreeSet<&'a PathBuf> {
    let (mut found, mut next) = (BTreeSet::new(), vec![root]);
    while let Some(path) = next.pop() {
        if let Some(one) = all.get(path).filter(|one| !one.part)
            && found.insert(path)
        {
            next.extend(&one.names);
        }
    }
    found
}

fn walk(
    checkout: &Checkout,
    folder: &Path,
    depth: usize,
    found: &mut Overlays,
    all: &mut BTreeMap<PathBuf, Kustomization>,
) {
    let here = PathBuf::from(checkout.show(folder));
    if depth > 0 && folder.join("Chart.yaml").is_file() {
        found.charts.push(here.display().to_string());
        return;
    }
    for path in FILES.iter().map(|name| folder.join(name)).filter(|path| is_kustomization(path)) {
        let json = read(&path).unwrap_or(Value::Null);
        let names =
            ["resources", "bases", "components"].iter().filter_map(|field| json.get(field)?.as_array());
        let names = names.flatten().filter_map(Value::as_str).map(|name| normal(&here.join(name))).collect();
        let part = json.get("kind").and_then(Value::as_str) == Some("Component");
        all.insert(here.clone(), Kustomization { part, names });
    }
    if depth == DEEPEST {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(checkout, &entry.path(), depth + 1, found, all);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(files: &[(&str, &str)], env: &str) -> Overlays {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let checkout = Checkout::open(dir.path()).unwrap();
        find(&checkout, checkout.root(), env)
    }

    #[test]
    fn variants_of_one_base_are_chosen_by_the_environment() {
        let files = [
            ("a/base/kustomization.yaml", ""),
            ("a/overlays/dev/kustomization.yaml", "resources: [../../base]\n"),
            ("a/overlays/prod/kustomization.yaml", "resources: [../../base]\ncomponents: [../../../parts]\n"),
            ("b/kustomization.yaml", "resources: [m.yaml]\ncomponents: [../parts]\n"),
            ("parts/kustomization.yaml", "kind: Component\n"),
            ("charts/x/Chart.yaml", ""),
            ("charts/x/templates/kustomization.yaml", ""),
        ];
        let dev = found(&files, "dev");
        assert_eq!((dev.chosen, dev.undecided), (vec!["a/overlays/dev".into(), "b".to_owned()], vec![]));
        assert_eq!(dev.charts, ["charts/x"]);
        let other = found(&files, "default");
        assert_eq!(other.chosen, ["b"]);
        assert_eq!(other.undecided, [["a/overlays/dev", "a/overlays/prod"]]);
    }

    #[test]
    fn the_only_one_is_meant() {
        let files = [
            ("base/kustomization.yaml", "resources: [x.yaml]\n"),
            ("a-overlay/kustomization.yaml", "bases: [../base]\n"),
        ];
        assert_eq!(found(&files, "default").chosen, ["a-overlay"]);
        // An object of Flux in a file of that name.
        let flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: x}\n";
        assert_eq!(found(&[("x/kustomization.yaml", flux)], "default"), Overlays::default());
    }
}
