//! The temporary copy of a chart that Helm renders: without what is replaced, with one template of our own that hands
//! back the merged values. Helm merges them, so coalescing, `null` and `--set` are exactly Helm's.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::yaml;
use serde_json::Value;

use super::{
    checkout::{self, Checkout},
    dependencies::{Dependency, split},
    remote::{Absent, Pins},
    subcharts::{Requirements, Subcharts},
};
use crate::charts::FILE;

/// Kind of the document that carries the merged values.
pub(super) const VALUES_KIND: &str = "PortolanChartValues";
const VALUES_TEMPLATE: &str = "templates/zz-portolan-chart-values.yaml";
/// A chart holds text; more is a mistake (Helm's own limit for an archive is 100 MiB).
const MOST_BYTES: u64 = 64 << 20;
const DEEPEST: usize = 16;

/// A chart's files, ready to be written to an empty folder.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// Relative path to content; sorted, so that equal charts have equal hashes.
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Dependencies that Portolan stands in for.
    pub(super) replaced: Vec<Dependency>,
    /// Dependencies that are not rendered.
    pub(super) left_out: Vec<Dependency>,
    /// Dependencies of charts of the repository that Helm builds no more: name, and the chart that has it.
    pub(super) unbuilt: Vec<(String, String)>,
    /// What Helm is asked before it renders.
    pub(super) subcharts: Option<Subcharts>,
    bytes: u64,
}

/// Collects the chart in `folder`. `is_built`: by `helm dependency build`, which wants a lock to be of the chart's dependencies.
///
/// # Errors
/// A sentence for the finding.
pub(super) fn chart(
    checkout: &Checkout,
    folder: &Path,
    pins: &Pins<'_>,
    is_built: bool,
) -> Result<Staged, String> {
    let mut staged = Staged::default();
    add_chart(&mut staged, checkout, folder, Path::new(""), 0, pins)?;
    staged.subcharts = subcharts(checkout, folder, is_built)?;
    staged.files.insert(PathBuf::from(VALUES_TEMPLATE), values_template());
    Ok(staged)
}

/// A chart without content, for the values of a remote chart that Portolan stands in for.
pub(super) fn empty(name: &str) -> Staged {
    let chart = serde_json::json!({"apiVersion": "v2", "name": name, "version": "0.0.0"});
    let files = [("Chart.yaml", yaml::of_json(&chart).into_bytes()), (VALUES_TEMPLATE, values_template())];
    Staged { files: files.into_iter().map(|(p, c)| (PathBuf::from(p), c)).collect(), ..Staged::default() }
}

/// A chart of these files, made by us.
pub(super) fn of(files: BTreeMap<PathBuf, Vec<u8>>) -> Staged {
    Staged { files, ..Staged::default() }
}

/// What a template of ours printed by `toJson | b64enc`: plain JSON may hold characters (DEL, U+FEFF, U+FFFE) that Helm takes
/// for no YAML, and it reads again all that a chart prints.
pub(super) fn printed(value: &Value) -> Option<Value> {
    serde_json::from_slice(&STANDARD.decode(value.as_str()?).ok()?).ok()
}

fn values_template() -> Vec<u8> {
    format!(
        "{{{{- dict \"apiVersion\" \"portolan.dev/internal\" \"kind\" {VALUES_KIND:?} \"metadata\" (dict \"name\" \"values\") \
         \"values\" (.Values | toJson | b64enc) | toJson }}}}\n"
    )
    .into_bytes()
}

/// What Helm is asked of the chart's dependencies, if it would be.
fn subcharts(checkout: &Checkout, folder: &Path, is_built: bool) -> Result<Option<Subcharts>, String> {
    let manifest = folder.join("Chart.yaml");
    if !manifest.is_file() {
        return Ok(None);
    }
    let mut manifest = parse(checkout, &manifest)?;
    let (old, old_lock) = (folder.join("requirements.yaml"), folder.join("requirements.lock"));
    let is_old = manifest["apiVersion"] == "v1";
    if is_old && old.is_file() {
        manifest = parse(checkout, &old)?;
    }
    let lock = [folder.join("Chart.lock"), old_lock];
    let lock = lock.iter().take(if is_old { 2 } else { 1 }).rfind(|path| path.is_file());
    let lock = lock.map(|path| parse(checkout, path)).transpose()?;
    let wanted = manifest["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
    let requirements =
        Requirements { is_old, wanted, lock: lock.as_ref(), vendored: &vendored_names(folder, wanted) };
    if !requirements.are_built() {
        return Ok(None);
    }
    if let Some(why) = requirements.out_of_sync().filter(|_| is_built) {
        return Err(format!("helm dependency build: {why}"));
    }
    requirements.subcharts(|name, repository| {
        let path = repository.trim_start_matches("file://");
        let chart = checkout.resolve(&format!("{}/{path}", checkout.show(folder)));
        let missing = |_| format!("dependency {name}: {repository} is not in the repository");
        let file = chart.map_err(missing)?.join("Chart.yaml");
        checkout::read(&file).map_err(|why| format!("{} cannot be read: {why}", checkout.show(&file)))
    })
}

/// Which dependencies lie in `charts/`.
fn vendored_names(folder: &Path, wanted: &[Value]) -> BTreeSet<String> {
    // Most charts depend on none, and what lies there is opened to be named.
    let found = if wanted.is_empty() { Vec::new() } else { vendored(folder) };
    let lies = |name: &&str| {
        found.iter().any(|(own, path)| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let archive = path.extension().is_some_and(|extension| extension == "tgz");
            own == name || archive && file.strip_prefix(*name).is_some_and(|rest| rest.starts_with('-'))
        })
    };
    wanted.iter().filter_map(|one| one["name"].as_str()).filter(lies).map(str::to_owned).collect()
}

fn add_chart(
    staged: &mut Staged,
    checkout: &Checkout,
    folder: &Path,
    at: &Path,
    depth: usize,
    pins: &Pins<'_>,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("{} depends on charts nested too deep", checkout.show(folder)));
    }
    let vendored = vendored(folder);
    let mut local = Vec::new();
    let mut replaced = BTreeSet::new();
    let mut manifests = Vec::new();
    let mut taken = BTreeMap::new();
    let mut damaged = None;
    let exact = resolved(checkout, folder);
    for name in ["Chart.yaml", "requirements.yaml"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let mut manifest = parse(checkout, &path)?;
        let names = vendored.iter().map(|(name, _)| name.clone()).collect();
        let parts = split(&mut manifest, &names, |dependency| {
            // Helm builds what the chart depends on itself, and what those have brought along.
            if depth > 0 {
                return false;
            }
            let exact = exact.get(&(dependency.name.clone(), dependency.repository.clone()));
            match pins.dependency(dependency, exact.map(String::as_str)) {
                Some(Ok(chart)) => drop(taken.insert(dependency.name.clone(), chart)),
                Some(Err(Absent::Damaged(why))) => {
                    let _ = damaged.get_or_insert((dependency.name.clone(), why));
                }
                Some(Err(Absent::NotLocked(_) | Absent::Unusable(_))) | None => {}
            }
            taken.contains_key(&dependency.name)
        });
        replaced.extend(parts.replaced.iter().map(|d| d.name.clone()));
        // Conditions of nested charts are about their own values, which only Helm knows here.
        if depth == 0 {
            staged.replaced.extend(parts.replaced);
            staged.left_out.extend(parts.left_out);
            local.extend(parts.local);
        } else {
            let lacks =
                parts.left_out.into_iter().chain(parts.local).map(|one| (one.name, checkout.show(folder)));
            staged.unbuilt.extend(lacks);
        }
        manifests.push((at.join(name), yaml::of_json(&manifest).into_bytes()));
    }
    if let Some((name, why)) = damaged {
        return Err(format!("its dependency {name} is not what {FILE} says: {why}"));
    }
    // Helm renders whatever lies in charts/, listed or not, so replaced charts must not be copied.
    let skip: BTreeSet<PathBuf> =
        vendored.into_iter().filter(|(name, _)| replaced.contains(name)).map(|(_, path)| path).collect();
    copy(staged, checkout, folder, at, &skip, depth)?;
    staged.files.extend(manifests);
    for dependency in local {
        let path = dependency.repository.trim_start_matches("file://");
        let target = format!("{}/{path}", checkout.show(folder));
        let source = checkout.resolve(&target).map_err(|_| {
            format!("dependency {}: {} is not in the repository", dependency.name, dependency.repository)
        })?;
        add_chart(staged, checkout, &source, &at.join("charts").join(&dependency.name), depth + 1, pins)?;
    }
    for (name, chart) in taken {
        add_chart(staged, &chart.checkout, &chart.folder(), &at.join("charts").join(name), depth + 1, pins)?;
    }
    Ok(())
}

/// The versions that the chart's own lock names (`helm dependency build` takes those), by name and repository.
fn resolved(checkout: &Checkout, folder: &Path) -> BTreeMap<(String, String), String> {
    let locks = ["Chart.lock", "requirements.lock"].map(|name| folder.join(name));
    let read = locks.iter().filter(|path| path.is_file()).filter_map(|path| parse(checkout, path).ok());
    let entries = read.flat_map(|lock| lock["dependencies"].as_array().cloned().unwrap_or_default());
    let text = |entry: &Value, field: &str| entry[field].as_str().map(str::to_owned);
    entries
        .filter_map(|entry| {
            Some(((text(&entry, "name")?, text(&entry, "repository")?), text(&entry, "version")?))
        })
        .collect()
}

fn parse(checkout: &Checkout, path: &Path) -> Result<Value, String> {
    let show = checkout.show(path);
    let text = checkout::read_text(path).map_err(|why| format!("{show} cannot be read: {why}"))?;
    let (mut documents, errors) = yaml::load(&text);
    match (errors.first(), documents.is_empty()) {
        (Some(error), _) => Err(format!("{show}: YAML error at line {}: {}", error.line, error.message)),
        (None, true) => Err(format!("{show} is empty")),
        (None, false) => Ok(documents.swap_remove(0).json),
    }
}

/// Charts in `charts/`: name and path. Folders say their name, archives are `name-version.tgz`.
fn vendored(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder.join("charts")) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Ok(text) = checkout::read_text(&path.join("Chart.yaml")) {
            let named =
                yaml::load(&text).0.first().and_then(|d| Some(d.json.get("name")?.as_str()?.to_owned()));
            found.push((named.unwrap_or(file), path));
        } else if let Some(stem) = file.strip_suffix(".tgz") {
            // The version starts at the first dash that a digit (or v and a digit) follows.
            let cut = stem
                .match_indices('-')
                .map(|(at, _)| at)
                .find(|at| stem[at + 1..].trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()));
            found.push((stem[..cut.unwrap_or(stem.len())].to_owned(), path));
        }
    }
    found
}

fn copy(
    staged: &mut Staged,
    checkout: &Checkout,
    folder: &Path,
    at: &Path,
    skip: &BTreeSet<PathBuf>,
    depth: usize,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("{} is nested too deep", checkout.show(folder)));
    }
    let show = checkout.show(folder);
    let entries = std::fs::read_dir(folder).map_err(|why| format!("{show} cannot be read: {why}"))?;
    for entry in entries {
        let entry = entry.map_err(|why| format!("{show} cannot be read: {why}"))?;
        let path = entry.path();
        if entry.file_name() == ".git" || skip.contains(&path) {
            continue;
        }
        let name = at.join(entry.file_name());
        let show = checkout.show(&path);
        // Flux has no links, and not what its source leaves out.
        if checkout.takes_some() && checkout.resolve(&show).is_err() {
            continue;
        }
        // Links are followed inside the repository, as Argo CD does, and refused outside.
        let real = checkout
            .resolve(&show)
            .map_err(|_| format!("{show} is a link that leads nowhere or outside the repository"))?;
        if real.is_dir() {
            copy(staged, checkout, &real, &name, skip, depth + 1)?;
        } else {
            let size = std::fs::metadata(&real).map_or(0, |m| m.len());
            staged.bytes += size;
            if staged.bytes > MOST_BYTES {
                return Err(format!("the chart is larger than {} MiB", MOST_BYTES >> 20));
            }
            let content = checkout::read(&real).map_err(|why| format!("{show} cannot be read: {why}"))?;
            staged.files.insert(name, content);
        }
    }
    Ok(())
}
