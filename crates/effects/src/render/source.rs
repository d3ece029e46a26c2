//! The sources of one Application: a chart, a folder, or something that is not rendered.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use portolan_model::Name;
use serde_json::Value;

use super::{
    Tools,
    application::{self, Application, Helm, Source},
    checkout::{Checkout, Unresolved, same_repository},
    dependencies::REPLACED,
    glob::{self, Glob},
    helm::{self, Failure, Request},
    manifests::{self, Manifests},
    problems, stage,
};

/// What every source is read with.
pub(super) struct Context<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) env: &'a str,
    pub(super) tools: &'a Tools,
    pub(super) repository: Option<&'a str>,
}

/// What the sources of an Application gave.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) manifests: Manifests,
    /// Replaced component and its values.
    pub(super) values: Vec<(String, Value)>,
    /// One line a source.
    pub(super) shown: Vec<String>,
}

/// Reads all sources of an Application.
pub(super) fn read(context: &Context<'_>, application: &Application) -> Outcome {
    let mut reader = Reader { context, application, out: Outcome::default(), field: String::new() };
    for (n, source) in application.sources.iter().enumerate() {
        reader.field =
            if application.sources.len() > 1 { format!("spec.sources[{n}]") } else { "spec.source".into() };
        reader.source(source);
    }
    reader.out
}

struct Reader<'a> {
    context: &'a Context<'a>,
    application: &'a Application,
    out: Outcome,
    field: String,
}

type Report = fn(&portolan_model::ObjectKey, &str, String) -> portolan_model::Problem;

impl Reader<'_> {
    fn report(&mut self, problem: Report, below: &str, message: String) {
        // A root that is no Application is a file.
        let key = &self.application.key;
        let (object, field) = if application::is_kind(key) {
            (key.clone(), format!("{}{below}", self.field))
        } else {
            (problems::file(&key.name.name), String::new())
        };
        self.out.manifests.problems.push(problem(&object, &field, message));
    }

    fn fail(&mut self, problem: Report, below: &str, message: String) {
        self.out.manifests.unsure = true;
        self.report(problem, below, message);
    }

    fn is_local(&self, source: &Source) -> bool {
        self.context.repository.is_some_and(|url| same_repository(url, &source.repo_url))
    }

    fn source(&mut self, source: &Source) {
        if !source.chart.is_empty() || !self.is_local(source) {
            self.remote(source);
            return;
        }
        if source.path.is_empty() {
            if source.r#ref.is_empty() {
                self.fail(
                    problems::application_invalid,
                    ".path",
                    "the source has neither path nor chart".into(),
                );
            }
            // A source with `ref` alone only lends its values files.
            return;
        }
        let folder = match self.context.checkout.resolve(&source.path) {
            Ok(folder) => folder,
            Err(Unresolved::Missing) => {
                let message = format!("{} does not exist in the work tree", source.path);
                self.fail(problems::path_missing, ".path", message);
                return;
            }
            Err(Unresolved::Outside) => {
                self.fail(
                    problems::outside,
                    ".path",
                    format!("{} leads outside the repository", source.path),
                );
                return;
            }
        };
        let shown = self.context.checkout.show(&folder);
        let has = |names: &[&str]| names.iter().any(|name| folder.join(name).is_file());
        let kustomize = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
        if source.plugin.is_some() {
            self.unsupported(&shown, "a config management plugin");
        } else if source.helm.is_some() || (source.directory.is_none() && has(&["Chart.yaml"])) {
            self.chart(source, &folder, &shown);
        } else if source.kustomize.is_some() || (source.directory.is_none() && has(&kustomize)) {
            self.unsupported(&shown, "kustomize");
        } else {
            let directory = source.directory.clone().unwrap_or_default();
            if directory.jsonnet.is_some() {
                self.report(
                    problems::source_unsupported,
                    ".directory.jsonnet",
                    format!("{shown}: jsonnet is not rendered; its YAML files are read"),
                );
            }
            self.out.shown.push(format!("{shown} (folder)"));
            let name = self.name();
            let read = manifests::folder(
                self.context.checkout,
                &folder,
                &directory,
                &name,
                &self.context.tools.memo,
            );
            self.add(read);
        }
    }

    fn name(&self) -> Name {
        let key = &self.application.key;
        if application::is_kind(key) { key.name.name.clone() } else { Name::default() }
    }

    fn add(&mut self, read: Manifests) {
        let manifests = &mut self.out.manifests;
        manifests.documents.extend(read.documents);
        manifests.problems.extend(read.problems);
        manifests.unsure |= read.unsure;
        manifests.unsure_files.extend(read.unsure_files);
    }

    fn unsupported(&mut self, shown: &str, what: &str) {
        self.out.shown.push(format!("{shown} ({what}, not rendered)"));
        self.fail(problems::source_unsupported, "", format!("{shown} needs {what}, which is not rendered"));
    }

    /// Remote charts that Portolan stands in for still say how they are configured.
    fn remote(&mut self, source: &Source) {
        let chart = source.chart.rsplit('/').next().unwrap_or_default();
        let place = if source.chart.is_empty() { &source.path } else { &source.chart };
        self.out.shown.push(format!("{} {place} (remote, not fetched)", source.repo_url));
        if REPLACED.contains(&chart) {
            let staged = stage::empty(chart);
            let helm = source.helm.clone().unwrap_or_default();
            // Files of the remote chart itself cannot be read; those of this repository can.
            let helm = Helm {
                value_files: helm.value_files.iter().filter(|f| f.starts_with('$')).cloned().collect(),
                ..helm
            };
            if let Some(manifests) = self.template(&staged, &helm, None, chart) {
                self.out.values.push((chart.to_owned(), manifests.values.unwrap_or(Value::Null)));
            }
            return;
        }
        let message = format!("source {place} of {} is remote and was not fetched", source.repo_url);
        self.report(problems::remote_source, ".repoURL", message);
    }

    fn chart(&mut self, source: &Source, folder: &Path, shown: &str) {
        self.out.shown.push(format!("{shown} (helm)"));
        let staged = match stage::chart(self.context.checkout, folder) {
            Ok(staged) => staged,
            Err(why) => {
                let message =
                    format!("chart {shown} for environment {} cannot be read: {why}", self.context.env);
                self.fail(problems::helm_failed, ".path", message);
                return;
            }
        };
        let helm = source.helm.clone().unwrap_or_default();
        let Some(read) = self.template(&staged, &helm, Some(folder), shown) else { return };
        let values = read.values.clone().unwrap_or(Value::Null);
        for dependency in staged.replaced.iter().filter(|dependency| dependency.enabled(&values)) {
            let own = values
                .get(dependency.values_key())
                .cloned()
                .unwrap_or_else(|| Value::Object(serde_json::Map::default()));
            self.out.values.push((dependency.name.clone(), own));
        }
        for dependency in staged.left_out.iter().filter(|dependency| dependency.enabled(&values)) {
            let message = format!(
                "dependency {} {} of {shown} is not vendored and was taken out",
                dependency.name, dependency.version
            );
            self.report(problems::dependency_left_out, ".path", message);
        }
        self.add(read);
    }

    fn template(
        &mut self,
        staged: &stage::Staged,
        helm: &Helm,
        folder: Option<&Path>,
        shown: &str,
    ) -> Option<Manifests> {
        let values = self.values(helm, folder)?;
        let mut files = Vec::new();
        for (n, parameter) in helm.file_parameters.iter().enumerate() {
            let path = self.locate(&parameter.path, folder);
            let Some(content) = path.and_then(|path| std::fs::read(path).ok()) else {
                let message =
                    format!("file {} of parameter {} cannot be read", parameter.path, parameter.name);
                self.fail(problems::values_missing, &format!(".helm.fileParameters[{n}]"), message);
                return None;
            };
            files.push((parameter.name.clone(), content));
        }
        let or = |a: &str, b: &str| if a.is_empty() { b.to_owned() } else { a.to_owned() };
        let release = or(&helm.release_name, &self.application.key.name.name);
        let namespace = or(&or(&helm.namespace, &self.application.destination.namespace), "default");
        let request =
            Request { staged, release: &release, namespace: &namespace, values, files, helm, shown };
        let tools = self.context.tools;
        let name = self.name();
        let key = helm::key(tools, &request);
        let read = tools.memo.chart(&format!("{key} {name} {shown}"), || {
            helm::template(tools, &key, &request).map(|text| manifests::rendered(&text, shown, &name))
        });
        match read {
            Ok(read) => Some(Manifests::clone(&read)),
            Err(Failure::Chart(said)) => {
                let message =
                    format!("chart {shown} for environment {} does not render: {said}", self.context.env);
                self.fail(problems::helm_failed, ".path", message);
                None
            }
            Err(Failure::Tool(why)) => {
                let message =
                    format!("chart {shown} for environment {} was not rendered: {why}", self.context.env);
                self.fail(problems::helm_unusable, ".path", message);
                None
            }
        }
    }

    /// Values in the order in which Helm merges them: files, then `valuesObject` (else `values`).
    fn values(&mut self, helm: &Helm, folder: Option<&Path>) -> Option<Vec<(String, Vec<u8>)>> {
        let mut out = Vec::new();
        for (n, name) in helm.value_files.iter().enumerate() {
            let field = format!(".helm.valueFiles[{n}]");
            if name.contains("://") {
                self.fail(
                    problems::values_missing,
                    &field,
                    format!("values file {name} is remote and is never fetched"),
                );
                return None;
            }
            let paths = if glob::is_pattern(name) {
                self.expand(name, folder)
            } else {
                self.locate(name, folder).into_iter().collect()
            };
            let mut read: Vec<_> = paths
                .into_iter()
                .filter_map(|path| Some((self.context.checkout.show(&path), std::fs::read(path).ok()?)))
                .collect();
            if read.is_empty() && !helm.ignore_missing_value_files {
                let message = format!(
                    "values file {name} for environment {} does not exist beside the chart{}",
                    self.context.env,
                    folder.map(|f| format!(" in {}", self.context.checkout.show(f))).unwrap_or_default()
                );
                self.fail(problems::values_missing, &field, message);
                return None;
            }
            out.append(&mut read);
        }
        match &helm.values_object {
            Some(values) if !values.is_null() => {
                out.push(("helm.valuesObject".into(), values.to_string().into_bytes()));
            }
            _ if helm.values.trim().is_empty() => {}
            _ => out.push(("helm.values".into(), helm.values.clone().into_bytes())),
        }
        Some(out)
    }

    /// A values file: relative to the chart, to the repository (`/x`), or to the source that has the `ref` (`$ref/x`).
    fn locate(&self, name: &str, folder: Option<&Path>) -> Option<PathBuf> {
        self.context.checkout.resolve(&self.absolute(name, folder)?).ok().filter(|path| path.is_file())
    }

    fn absolute(&self, name: &str, folder: Option<&Path>) -> Option<String> {
        if let Some(rest) = name.strip_prefix('$') {
            let (reference, path) = rest.split_once('/')?;
            let source = self.application.sources.iter().find(|source| source.r#ref == reference)?;
            return self.is_local(source).then(|| path.to_owned());
        }
        if name.starts_with('/') {
            return Some(name.trim_start_matches('/').to_owned());
        }
        Some(format!("{}/{name}", self.context.checkout.show(folder?)))
    }

    fn expand(&self, name: &str, folder: Option<&Path>) -> Vec<PathBuf> {
        let Some(pattern) = self.absolute(name, folder) else { return Vec::new() };
        // Search below the part that has no pattern yet; `..` in it is resolved there.
        let cut = pattern.find(['*', '?', '{']).unwrap_or(pattern.len());
        let (fixed, rest) = pattern.split_at(pattern[..cut].rfind('/').map_or(0, |at| at + 1));
        let (Ok(base), Some(glob)) = (self.context.checkout.resolve(fixed), Glob::path(rest)) else {
            return Vec::new();
        };
        let mut found = BTreeMap::new();
        let mut folders = vec![base.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && entry.file_name() != ".git" => folders.push(path),
                    Ok(kind) if kind.is_file() => {
                        let relative = path.strip_prefix(&base).unwrap_or(&path).display().to_string();
                        if glob.matches(&relative) {
                            found.insert(relative, path);
                        }
                    }
                    _ => {}
                }
            }
        }
        found.into_values().collect()
    }
}
