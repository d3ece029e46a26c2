//! Values files of a chart: where they stand, and in which order they are merged.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use portolan_core::gitops::glob::{self, Glob};
use portolan_model::{nearest, yaml};

use super::{
    application::Helm,
    checkout::{self, Checkout, Unresolved},
    problems,
    source::{Reader, Report},
    variables,
};

/// Why there is no file for a name.
#[derive(Debug)]
pub(super) enum Lost {
    /// Nothing is there, or something of nearly the name.
    Missing(Option<String>),
    /// A folder is.
    NoFile,
    /// It leads outside the repository.
    Outside,
    /// It is of another repository: what it says is not known.
    Remote(String),
}

impl Reader<'_> {
    /// Values in the order in which Helm merges them: files, then `valuesObject` (else `values`).
    pub(super) fn values(&mut self, helm: &Helm, folder: Option<&Path>) -> Option<Vec<(String, Vec<u8>)>> {
        let names: Vec<String> = helm.value_files.iter().map(|name| self.fill(name)).collect();
        // A file is taken once: where it is named, else at the first pattern that it matches.
        let mut named = BTreeSet::new();
        for name in names.iter().filter(|name| !glob::is_pattern(name)) {
            named.extend(self.locate(name, folder).ok());
        }
        let mut taken = BTreeSet::new();
        let mut out = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let field = format!(".helm.valueFiles[{n}]");
            if name.contains("://") {
                self.fail(
                    problems::values_remote,
                    &field,
                    format!("values file {name} is remote and is never fetched"),
                );
                return None;
            }
            let pattern = glob::is_pattern(name);
            let found = if pattern {
                self.expand(name, folder)
            } else {
                self.locate(name, folder).map(|path| vec![path])
            };
            let paths = match found {
                Ok(paths) => paths,
                Err(Lost::Missing(_)) if helm.ignore_missing_value_files => {
                    let message = format!(
                        "values file {name} is not there, and is passed over (ignoreMissingValueFiles)"
                    );
                    self.report(problems::values_passed_over, &field, message);
                    continue;
                }
                Err(Lost::Missing(_)) if pattern => {
                    let message = format!(
                        "no file matches the pattern {name} of values files for environment {}{}",
                        self.context.env,
                        self.not_counted(name)
                    );
                    self.fail(problems::values_missing, &field, message);
                    return None;
                }
                Err(Lost::Missing(near)) => {
                    let message = format!(
                        "values file {name} for environment {} does not exist {}{}{}",
                        self.context.env,
                        match folder {
                            _ if name.starts_with('$') => "in the repository of that source".to_owned(),
                            Some(folder) => format!("beside the chart in {}", self.shown(folder)),
                            None => "beside the chart".to_owned(),
                        },
                        near.map(|near| format!("; did you mean {near}?")).unwrap_or_default(),
                        self.not_counted(name)
                    );
                    self.fail(problems::values_missing, &field, message);
                    return None;
                }
                Err(lost) => {
                    let what = format!("values file {name}");
                    self.lost(&lost, &what, &field, helm.ignore_missing_value_files);
                    return None;
                }
            };
            for path in paths {
                if pattern && named.contains(&path) || !taken.insert(path.clone()) {
                    continue;
                }
                let shown = self.shown(&path);
                match checkout::read(&path) {
                    Ok(text) => out.push((shown, text)),
                    Err(why) => {
                        let message = format!("values file {shown} cannot be read: {why}");
                        self.fail(problems::values_missing, &field, message);
                        return None;
                    }
                }
            }
        }
        match &helm.values_object {
            Some(values) if !values.is_null() => {
                out.push(("helm.valuesObject".into(), yaml::of_json(values).into_bytes()));
            }
            _ if helm.values.trim().is_empty() => {}
            _ => out.push(("helm.values".into(), helm.values.clone().into_bytes())),
        }
        Some(out)
    }

    /// That the path of a source that lends its files says nothing of where they are looked for.
    fn not_counted(&self, name: &str) -> String {
        let reference = name.strip_prefix('$').and_then(|rest| rest.split_once('/'));
        let source = reference.and_then(|(reference, _)| {
            self.application.sources.iter().find(|source| source.r#ref == *reference)
        });
        match source.filter(|source| !source.path.is_empty()) {
            Some(source) => format!(
                "; it is looked for from the top of the repository: path {} of the source with ref {} does not count",
                source.path, source.r#ref
            ),
            None => String::new(),
        }
    }

    /// Fills in variables of the build environment; the name of a `ref` that it begins with stays.
    pub(super) fn fill(&self, name: &str) -> String {
        let reference = name.strip_prefix('$').and_then(|rest| rest.split_once('/'));
        let reference = reference.filter(|(reference, _)| {
            self.application.sources.iter().any(|source| source.r#ref == **reference)
        });
        match reference {
            Some((reference, path)) => {
                format!("${reference}/{}", variables::fill(path, self.application, self.asked()))
            }
            None => variables::fill(name, self.application, self.asked()),
        }
    }

    /// A values file: relative to the chart, to the repository (`/x`), or to the source that has the `ref` (`$ref/x`).
    pub(super) fn locate(&self, name: &str, folder: Option<&Path>) -> Result<PathBuf, Lost> {
        let (checkout, path) = self.absolute(name, folder)?;
        match checkout.resolve(&path) {
            Ok(path) if path.is_file() => Ok(path),
            Ok(_) => Err(Lost::NoFile),
            Err(Unresolved::Outside) => Err(Lost::Outside),
            Err(Unresolved::Missing) => Err(Lost::Missing(beside(checkout, &path))),
        }
    }

    /// Says of a file that is not merely missing why the chart is not rendered.
    pub(super) fn lost(&mut self, lost: &Lost, what: &str, field: &str, ignored: bool) {
        let anyway = if ignored { ", also with ignoreMissingValueFiles" } else { "" };
        let (report, why): (Report, _) = match lost {
            Lost::Outside => (
                problems::outside,
                format!("leads outside the repository, and nothing is rendered then{anyway}"),
            ),
            Lost::Remote(url) => (
                problems::remote_source,
                format!(
                    "is of {url}, which is remote and was not fetched: the chart is not rendered without it"
                ),
            ),
            Lost::NoFile => (problems::values_missing, "is no file".to_owned()),
            Lost::Missing(_) => (problems::values_missing, "does not exist".to_owned()),
        };
        self.fail(report, field, format!("{what} {why}"));
    }

    /// A path as messages show it.
    fn shown(&self, path: &Path) -> String {
        let taken = self.taken.as_ref().and_then(|(_, taken)| taken.show(path));
        taken.unwrap_or_else(|| self.checkout.show(path))
    }

    fn absolute(&self, name: &str, folder: Option<&Path>) -> Result<(&Checkout, String), Lost> {
        if let Some(rest) = name.strip_prefix('$') {
            let (reference, path) = rest.split_once('/').ok_or(Lost::Missing(None))?;
            let source = self.application.sources.iter().find(|source| source.r#ref == reference);
            let source = source.ok_or(Lost::Missing(None))?;
            let local = self.is_local(source).then(|| (self.checkout, path.to_owned()));
            return local.ok_or_else(|| Lost::Remote(source.repo_url.clone()));
        }
        if let Some((_, taken)) = &self.taken {
            // Of a chart of another place all that there is is the chart.
            let top = taken.chart.top().display();
            return Ok((&taken.checkout, format!("{top}/{}", name.trim_start_matches('/'))));
        }
        if name.starts_with('/') {
            return Ok((self.checkout, name.trim_start_matches('/').to_owned()));
        }
        let folder = folder.ok_or(Lost::Missing(None))?;
        Ok((self.checkout, format!("{}/{name}", self.checkout.show(folder))))
    }

    /// Files that a pattern takes, at least one.
    fn expand(&self, name: &str, folder: Option<&Path>) -> Result<Vec<PathBuf>, Lost> {
        let (checkout, pattern) = self.absolute(name, folder)?;
        if checkout.resolve(&pattern) == Err(Unresolved::Outside) {
            return Err(Lost::Outside);
        }
        // Search below the part that has no pattern yet; `..` in it is resolved there.
        let cut = pattern.find(['*', '?', '{', '[']).unwrap_or(pattern.len());
        let (fixed, rest) = pattern.split_at(pattern[..cut].rfind('/').map_or(0, |at| at + 1));
        let (Ok(base), Some(glob)) = (checkout.resolve(fixed), Glob::path(rest)) else {
            return Err(Lost::Missing(None));
        };
        let mut found: BTreeMap<Vec<(bool, String)>, PathBuf> = BTreeMap::new();
        let mut folders = vec![base.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && entry.file_name() != ".git" => folders.push(path),
                    Ok(kind) if kind.is_file() => {
                        let relative = path.strip_prefix(&base).unwrap_or(&path).display().to_string();
                        if glob.matches(&relative) {
                            found.insert(in_order(&relative), path);
                        }
                    }
                    _ => {}
                }
            }
        }
        if found.is_empty() { Err(Lost::Missing(None)) } else { Ok(found.into_values().collect()) }
    }
}

/// A file of nearly the name in the folder where one is missing.
fn beside(checkout: &Checkout, path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let entries = std::fs::read_dir(checkout.peek(folder).ok()?).ok()?.flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Sorts the files of a folder before those of the folders in it, each by name.
fn in_order(relative: &str) -> Vec<(bool, String)> {
    let mut parts: Vec<(bool, String)> = relative.split('/').map(|part| (true, part.to_owned())).collect();
    if let Some(file) = parts.last_mut() {
        file.0 = false;
    }
    parts
}
