//! The sources of one Application: a chart, a folder, or something that is not rendered.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portolan_core::gitops::glob::Glob;
use portolan_model::{Name, ObjectKey, Origin, Severity, shown};
use serde_json::Value;

use super::{
    Tools,
    application::{self, Application, Directory, Helm, Parameter, Source},
    checkout::{self, Checkout, Unresolved, same_place},
    dependencies::REPLACED,
    flux,
    helm::{self, Failure, Request},
    jobs::Jobs,
    kept::{Kept, KeptPart, KeptSource, Pending},
    kustomization,
    leaves::{self, Asked},
    lines::LineMaps,
    listing::Listing,
    manifests::{self, Document, Manifests},
    marks, parameters,
    part::{Change, PartKey},
    problems,
    remote::{NEVER_FETCHED, Pins, Taken, of_dependency},
    stage,
    stamp::Stamp,
    touched::Touched,
    values::Lost,
    variables,
};
use crate::charts::LockFile;

/// What every source is read with.
pub(super) struct Context<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) env: &'a str,
    pub(super) tools: &'a Tools,
    pub(super) lines: &'a LineMaps,
    pub(super) repository: Option<&'a str>,
    /// Applications of which the lines of templates are asked for.
    pub(super) placed: &'a BTreeMap<ObjectKey, BTreeSet<Asked>>,
    /// At which the root is read.
    pub(super) revision: Option<&'a str>,
    /// Where something may be different from what is kept.
    pub(super) touched: &'a Touched,
    /// Flux is in use.
    pub(super) flux: bool,
    /// What charts of other places are locked to.
    pub(super) lock: &'a LockFile,
    /// Parts that are read even if they are the same.
    pub(super) forced: &'a BTreeSet<PathBuf>,
    /// Files that somebody is writing.
    pub(super) unfinished: &'a BTreeSet<PathBuf>,
}

/// Reads all sources of an Application; of what is kept of it, parts that are the same stay as they are.
pub(super) fn read(context: &Context<'_>, pending: &Pending, kept: Option<Kept>) -> (Kept, Vec<Change>) {
    let mut changes = Vec::new();
    let old = match kept {
        Some(kept) if kept.is_of(pending, context) => kept.sources,
        Some(kept) => {
            changes = kept.dropped();
            Vec::new()
        }
        None => Vec::new(),
    };
    let application = &pending.application;
    let mut old = old.into_iter();
    let mut sources = Vec::with_capacity(application.sources.len());
    let checkout = context.checkout.apart();
    // A Kustomization or a HelmRelease has one source.
    let taken = application
        .sources
        .iter()
        .find_map(|source| source.flux.as_ref().filter(|_| source.repo_url.is_empty()));
    let checkout = match taken {
        Some(flux) => checkout.taken_by(&flux.takes),
        None => checkout,
    };
    for (n, source) in application.sources.iter().enumerate() {
        let old = old.next().unwrap_or_default();
        let field = if application.multiple { format!("spec.sources[{n}]") } else { "spec.source".into() };
        let mut reader = Reader {
            context,
            checkout: &checkout,
            application,
            pending,
            number: n,
            field,
            pins: Pins::new(&checkout, &context.tools.charts, context.lock),
            taken: None,
            old,
            out: KeptSource::default(),
            changes: Vec::new(),
            own_values: Vec::new(),
        };
        reader.source(source);
        if n == 0 {
            reader.namespace();
        }
        reader.unread();
        reader.out.charts = reader.pins.named();
        changes.extend(reader.changes);
        // What is left of the old parts is not there any more.
        changes.extend(reader.old.parts.values().map(KeptPart::dropped));
        sources.push(reader.out);
    }
    hold(pending, &mut sources, &mut changes);
    let repository = context.repository.map(str::to_owned);
    let inputs = checkout.inputs();
    (Kept { pending: pending.clone(), repository, inputs, sources, facts: context.flux }, changes)
}

/// Path of the part that stands for an Application of which nothing is applied for one of its sources; no file is called so.
const REFUSED: &str = "/\0refused";

/// Argo CD generates all sources of an Application or none (`GetRepoObjs`): what one lacks may be what restricts what another brings.
fn hold(pending: &Pending, sources: &mut [KeptSource], changes: &mut Vec<Change>) {
    let key = &pending.application.key;
    if !application::is_kind(key) || flux::is_kind(key) {
        return;
    }
    let path = Path::new(REFUSED);
    let broken = |source: &KeptSource| {
        source.unsure && source.problems.iter().any(|problem| problem.severity == Severity::Error)
    };
    let refused =
        sources.iter().any(|source| source.refused) || sources.len() > 1 && sources.iter().any(broken);
    let was = sources.iter_mut().filter_map(|source| source.parts.remove(path)).count() > 0;
    let part = PartKey {
        chain: pending.waves(),
        application: key.clone(),
        source: sources.len(),
        path: path.to_owned(),
    };
    let part = Arc::new(part);
    if refused && let Some(first) = sources.first_mut() {
        let read = Manifests { refused, ..Manifests::default() };
        changes.push(Change::read(Arc::clone(&part), pending.namespace(), false, read));
        first.parts.insert(path.to_owned(), KeptPart { key: part, stamp: None, bytes: 0 });
    } else if was {
        changes.push(Change::gone(part));
    }
}

/// Reads one source.
pub(super) struct Reader<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) checkout: &'a Checkout,
    pub(super) application: &'a Application,
    pub(super) pending: &'a Pending,
    number: usize,
    field: String,
    /// Charts of other places.
    pub(super) pins: Pins<'a>,
    /// The one that is being read in place of a chart of the work tree, and the name of its part.
    pub(super) taken: Option<(PathBuf, Arc<Taken>)>,
    /// The source as it was; what is taken over from it moves to `out`.
    pub(super) old: KeptSource,
    pub(super) out: KeptSource,
    changes: Vec<Change>,
    /// Values in place of the chart's own, which the others are laid over.
    own_values: Vec<(String, Vec<u8>)>,
}

pub(super) type Report = fn(&portolan_model::ObjectKey, &str, String) -> portolan_model::Problem;

/// What became of a chart.
enum Template {
    /// As it was read last.
    Same,
    Read(String, Manifests),
    Failed,
}

impl Reader<'_> {
    pub(super) fn report(&mut self, problem: Report, below: &str, message: String) {
        // A root that is no Application is a file.
        let key = &self.application.key;
        let field = if application::is_kind(key) { format!("{}{below}", self.field) } else { String::new() };
        let field = if flux::is_kind(key) { flux::field(key, &field) } else { field };
        let object = problems::subject(key);
        self.out.problems.push(problem(&object, &field, message));
    }

    pub(super) fn fail(&mut self, problem: Report, below: &str, message: String) {
        self.out.unsure = true;
        self.report(problem, below, message);
    }

    /// A path that leads nowhere, with what to do where this one stands.
    fn path_missing(&self) -> Report {
        let key = &self.application.key;
        if !flux::is_kind(key) {
            problems::path_missing
        } else if &*key.kind.kind == "HelmRelease" {
            problems::flux_chart_missing
        } else {
            problems::flux_path_missing
        }
    }

    /// What its source takes of the repository is not known where a file that says it cannot be read: Flux makes no artifact then.
    fn unread(&mut self) {
        for (path, why) in self.checkout.unread() {
            let message = format!(
                "{} cannot be read, so what Flux takes of the repository is not known: {why}",
                path.display()
            );
            self.fail(self.path_missing(), ".path", message);
        }
    }

    /// Whether another branch, tag or commit is named than that of the root and of the checkout.
    fn is_of_another_revision(&self, source: &Source) -> bool {
        let named = source.target_revision.as_str();
        let here = [Some("HEAD"), Some(""), self.context.revision];
        !here.contains(&Some(named)) && self.checkout.branch().as_deref() != Some(named)
    }

    /// The source as it stands in the Application.
    pub(super) fn asked(&self) -> &Source {
        &self.application.sources[self.number]
    }

    pub(super) fn is_local(&self, source: &Source) -> bool {
        source.flux.is_some() && source.repo_url.is_empty()
            || !flux::is_kind(&self.application.key)
                && self.context.repository.is_some_and(|url| same_place(url, &source.repo_url))
    }

    fn source(&mut self, source: &Source) {
        if let Some((field, why)) = application::unresolved(self.application, source) {
            let message = format!("{why}; Argo CD renders nothing of the Application for it");
            self.fail(problems::application_invalid, &field, message);
            return;
        }
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
        if self.checkout.lacks_submodule(&source.path) {
            let message = format!(
                "{} is of a Git submodule that is not checked out here, which Argo CD and Flux (recurseSubmodules) check out; run `git submodule update --init`",
                source.path
            );
            self.fail(self.path_missing(), ".path", message);
            return;
        }
        let folder = match self.checkout.resolve(&source.path) {
            Ok(folder) => folder,
            Err(Unresolved::Missing) if self.is_of_another_revision(source) => {
                let message = format!(
                    "{} is not in the work tree; in the cluster it is read at {} of the repository, which does not stand here",
                    source.path, source.target_revision
                );
                self.fail(problems::remote_source, ".path", message);
                return;
            }
            Err(Unresolved::Missing) => {
                let message = match self.checkout.left_out() {
                    Some(_) => format!(
                        "{} does not stand in what the source takes of the work tree: .sourceignore, spec.ignore or spec.sparseCheckout leaves it out, or it is a link",
                        source.path
                    ),
                    None => format!("{} does not exist in the work tree", source.path),
                };
                self.fail(self.path_missing(), ".path", message);
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
        let shown = self.checkout.show(&folder);
        let argo = application::is_kind(&self.application.key) && source.flux.is_none();
        if argo && !folder.is_dir() {
            let message = format!("{}: app path is not a directory", source.path);
            self.fail(self.path_missing(), ".path", message);
            return;
        }
        let overridden =
            if argo { self.overridden(&source.normalized(), &shown) } else { Some(source.clone()) };
        let Some(source) = &overridden else { return };
        let types = source.types();
        if argo && types.len() > 1 {
            let message = format!("multiple application sources defined: {}", types.join(","));
            self.fail(problems::application_invalid, "", message);
            return;
        }
        let has = |names: &[&str]| kustomization::stands(&folder, names);
        if source.plugin.is_some() {
            let name = source.plugin.as_ref().and_then(|plugin| plugin["name"].as_str()).unwrap_or_default();
            let called = if name.is_empty() { String::new() } else { format!(" {name}") };
            self.unsupported(&shown, &format!("the config management plugin{called}"));
        } else if let Some(flux) = source.flux.as_ref().filter(|_| source.helm.is_none()) {
            if folder.is_dir() {
                self.flux(flux, &folder, &shown);
            } else {
                self.fail(self.path_missing(), ".path", format!("{} is no folder", source.path));
            }
        } else if source.helm.is_some()
            || (types.is_empty() && has(&["Chart.yaml"]) && !has(&kustomization::FILES))
        {
            self.chart(source, &folder, &shown);
        } else if source.kustomize.is_some() || (types.is_empty() && has(&kustomization::FILES)) {
            // Of a folder that is both Argo CD takes the kustomization: it comes later in the alphabet.
            self.kustomization(source, &folder, &shown);
        } else {
            let directory = source.directory.clone().unwrap_or_default();
            if argo && Glob::loose(&directory.include).is_none() {
                let message = format!(
                    "{:?} is no glob, so that Argo CD includes no file of {shown}",
                    directory.include
                );
                self.fail(problems::application_invalid, ".directory.include", message);
            }
            let place = if shown.is_empty() { "." } else { &shown };
            self.out.shown = Some(format!("{place} (folder)"));
            self.folder(&folder, &directory);
            if argo {
                self.weigh(place);
            }
        }
    }

    /// Argo CD reads no more than that of the files of one folder (`--max-combined-directory-manifests-size`), and nothing of the
    /// Application where there is more.
    fn weigh(&mut self, place: &str) {
        const MOST: u64 = 10_000_000;
        let bytes: u64 = self.out.parts.values().map(|part| part.bytes).sum();
        self.out.refused = bytes > MOST;
        if self.out.refused {
            let message = format!(
                "exceeded max combined manifest file size: the files of {place} come to {bytes} bytes, and Argo CD reads {MOST} of one folder \
                 unless its repo-server is told otherwise; nothing of the Application is applied"
            );
            self.fail(problems::application_invalid, ".path", message);
        }
    }

    /// A folder of plain files, or one file. Only what is touched is looked at.
    fn folder(&mut self, folder: &Path, directory: &Directory) {
        let listing = Listing::new(self.checkout, folder, directory);
        std::mem::swap(&mut self.out.parts, &mut self.old.parts);
        std::mem::swap(&mut self.out.applications, &mut self.old.applications);
        // A folder that could not be looked into is told anew, or not any more.
        self.out.soon = std::mem::take(&mut self.old.soon);
        self.out.soon.retain(|path| self.out.parts.contains_key(path));
        std::mem::swap(&mut self.out.facts, &mut self.old.facts);
        std::mem::swap(&mut self.out.standing, &mut self.old.standing);
        let paths = match self.context.touched {
            Touched::Paths(paths) if self.old.shown == self.out.shown => paths,
            // Never read as this folder, or changed anywhere: what is not found is gone.
            _ => {
                let mut gone: BTreeSet<PathBuf> = self.out.parts.keys().cloned().collect();
                for path in listing.files(folder) {
                    gone.remove(&path);
                    self.file(folder, &path, false);
                }
                self.unreadable(&listing, &mut gone);
                self.out.links = listing.links();
                self.changes.extend(gone.iter().filter_map(|path| self.out.forget(path)));
                return;
            }
        };
        for written in paths {
            // What a kustomization lists is no object, so all files of its folder are read anew with it.
            let lists = kustomization::is_one(written);
            let place = written.parent().filter(|_| lists).unwrap_or(written);
            let at = if folder.starts_with(place) { folder } else { place };
            let mut gone = self.out.below(at);
            for path in listing.files(at) {
                gone.remove(&path);
                // A file that is said to be written is read; below a touched folder its stamp tells.
                self.file(folder, &path, lists || path == *written);
            }
            self.unreadable(&listing, &mut gone);
            self.changes.extend(gone.iter().filter_map(|path| self.out.forget(path)));
        }
        // What links lead to may stand anywhere.
        for link in std::mem::take(&mut self.old.links) {
            let mut gone = self.out.below(&link);
            for path in listing.files(&link) {
                gone.remove(&path);
                self.file(folder, &path, false);
            }
            self.changes.extend(gone.iter().filter_map(|path| self.out.forget(path)));
        }
        self.out.links = listing.links();
    }

    /// What stands in a folder that cannot be looked into is not known: it stays, and is looked at again.
    fn unreadable(&mut self, listing: &Listing<'_>, gone: &mut BTreeSet<PathBuf>) {
        for (path, why) in listing.unreadable() {
            gone.retain(|part| !part.starts_with(&path));
            let shown = self.checkout.show(&path);
            // The folder itself has no name below itself.
            let object = problems::file(if shown.is_empty() { "." } else { &shown });
            let message = format!("it cannot be read: {why}; what stands in it is not known");
            let hint = "correct its mode; `up` keeps what it brought before, and tries again by itself";
            let problem = problems::problem(object, "", 10, portolan_model::Severity::Error, message, hint);
            self.out.problems.push(problem);
            self.out.unsure = true;
            self.out.soon.insert(path);
        }
    }

    fn file(&mut self, folder: &Path, path: &Path, written: bool) {
        if self.context.unfinished.contains(path) {
            if !self.out.parts.contains_key(path) {
                self.keep(path, None, true, manifests::unfinished(self.checkout, path));
            }
            return;
        }
        let stamp = Stamp::of(path);
        if let Some(part) = self.out.parts.get(path)
            && !written
            && part.stamp.is_some()
            && part.stamp == stamp
            && !self.context.forced.contains(path)
        {
            return;
        }
        let outside = path.is_symlink()
            && matches!(self.checkout.resolve(&self.checkout.show(path)), Err(Unresolved::Outside));
        let read = if outside {
            manifests::outside(self.checkout, path)
        } else if kustomization::takes(folder, path) {
            Manifests::default()
        } else if path.extension().is_some_and(|extension| extension == "jsonnet") && !self.name().is_empty()
        {
            manifests::jsonnet(self.checkout, path)
        } else {
            manifests::file(self.checkout, path, &self.name(), self.context.lines)
        };
        self.keep(path, stamp, true, read);
        let counts = path.extension().is_none_or(|extension| extension != "jsonnet");
        let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
        if let Some(part) = self.out.parts.get_mut(path).filter(|_| counts) {
            part.bytes = bytes;
        }
    }

    /// The namespace that Argo CD creates, with the labels and annotations that the Application gives it.
    fn namespace(&mut self) {
        let Some(metadata) = &self.application.namespace_metadata else { return };
        let json = serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": self.pending.namespace(), "labels": metadata.labels, "annotations": metadata.annotations,
            },
        });
        // Made by Argo CD for the Application, which does not prune it.
        let own = portolan_model::ObjectKey::new("", "Namespace", "", self.pending.namespace());
        let origin = Origin { application: self.name(), owner: Some(Arc::new(own)), ..Origin::default() };
        let documents = vec![Document { json: json.into(), origin }];
        // No file of a source has an empty path.
        self.keep(Path::new(""), None, false, Manifests { documents, ..Manifests::default() });
    }

    /// Takes over a part that was read.
    pub(super) fn keep(&mut self, path: &Path, stamp: Option<Stamp>, plain: bool, read: Manifests) {
        let key = Arc::new(PartKey {
            chain: self.pending.waves(),
            application: self.application.key.clone(),
            source: self.number,
            path: path.to_owned(),
        });
        let namespace = self.pending.namespace();
        let stamp = stamp.filter(|_| !read.again);
        if read.again {
            self.out.soon.insert(path.to_owned());
        } else {
            self.out.soon.remove(path);
        }
        let mut change = Change::read(Arc::clone(&key), namespace, plain, read);
        self.out.add(KeptPart { key, stamp, bytes: 0 }, &change, self.context.flux);
        change.pack();
        self.changes.push(change);
    }

    pub(super) fn name(&self) -> Name {
        let key = &self.application.key;
        if application::is_kind(key) { key.name.name.clone() } else { Name::default() }
    }

    fn unsupported(&mut self, shown: &str, what: &str) {
        self.out.shown = Some(format!("{shown} ({what}, not rendered)"));
        // The place is said; without it those of one cause are one.
        self.fail(problems::source_unsupported, "", format!("it needs {what}, which is not rendered"));
    }

    /// Remote charts that Portolan stands in for still say how they are configured.
    fn remote(&mut self, source: &Source) {
        if source.chart.is_empty() && source.path.is_empty() && !source.r#ref.is_empty() {
            // It lends its files, and is told of where one of them is wanted.
            self.out.shown = Some(format!("{} (values files, not fetched)", source.repo_url));
            return;
        }
        let chart = source.chart.rsplit('/').next().unwrap_or_default();
        let place = if source.chart.is_empty() { &source.path } else { &source.chart };
        self.out.shown = Some(format!("{} {place} (remote, not fetched)", source.repo_url));
        if REPLACED.contains(&chart) {
            let staged = stage::empty(chart);
            let helm = source.helm.clone().unwrap_or_default();
            // Files of the remote chart itself cannot be read; those of this repository can.
            let helm = Helm {
                value_files: helm.value_files.iter().filter(|f| f.starts_with('$')).cloned().collect(),
                ..helm
            };
            if let Template::Read(_, manifests) = self.template(&staged, &helm, None, chart) {
                self.out.values.push((
                    chart.to_owned(),
                    source.target_revision.clone(),
                    manifests.values.unwrap_or(Value::Null),
                ));
            }
            return;
        }
        if self.locked(source) {
            return;
        }
        let message = format!("source {place} of {} is remote and was not fetched", source.repo_url);
        self.out.elsewhere = true;
        self.report(problems::remote_source, ".repoURL", message);
    }

    fn chart(&mut self, source: &Source, folder: &Path, shown: &str) {
        self.out.shown = Some(format!("{shown} (helm)"));
        if self.context.unfinished.iter().any(|file| file.starts_with(folder)) {
            return self.later();
        }
        self.chart_in(source, folder, shown);
    }

    /// A chart in a folder of the work tree, or one of another place that was unpacked there.
    pub(super) fn chart_in(&mut self, source: &Source, folder: &Path, shown: &str) {
        let version = source.helm.as_ref().map_or("", |helm| helm.version.as_str());
        if !matches!(version, "" | "v3" | "v4") {
            let message = format!("helm version '{version}' is not supported, as in Argo CD (v3 and v4 are)");
            self.fail(problems::application_invalid, ".helm.version", message);
            return;
        }
        let taken = self.taken.clone();
        let checkout = taken.as_ref().map_or(self.checkout, |(_, taken)| &taken.checkout);
        let mut staged = match stage::chart(checkout, folder, &self.pins, source.flux.is_none()) {
            Ok(staged) => staged,
            Err(why) => {
                let message =
                    format!("chart {shown} for environment {} cannot be read: {why}", self.context.env);
                self.fail(problems::helm_failed, ".path", message);
                return;
            }
        };
        if let Some(flux) = &source.flux {
            let Some(own) = self.own_values(flux, &mut staged) else { return };
            self.own_values = own;
        }
        let helm = source.helm.clone().unwrap_or_default();
        let (key, read) = match self.template(&staged, &helm, Some(folder), shown) {
            Template::Failed => return,
            Template::Same => {
                std::mem::swap(&mut self.out, &mut self.old);
                self.old.parts.clear();
                // What hindered another rendering meanwhile is over.
                self.out.problems.retain(|problem| !problems::is_of_rendering(problem));
                (self.out.unsure, self.out.again) = (false, false);
                return;
            }
            Template::Read(key, read) => (key, read),
        };
        let values = read.values.clone().unwrap_or(Value::Null);
        for dependency in staged.replaced.iter().filter(|dependency| dependency.enabled(&values)) {
            let own = values
                .get(dependency.values_key())
                .cloned()
                .unwrap_or_else(|| Value::Object(serde_json::Map::default()));
            self.out.values.push((dependency.name.clone(), dependency.version.clone(), own));
        }
        for dependency in staged.left_out.iter().filter(|dependency| dependency.enabled(&values)) {
            let why = match of_dependency(dependency, &dependency.version) {
                Some(Err(why)) => format!("{NEVER_FETCHED}{why}; it was taken out"),
                _ => "is neither vendored nor locked, and was taken out".to_owned(),
            };
            let message = format!("dependency {} {} of {shown} {why}", dependency.name, dependency.version);
            self.report(problems::dependency_left_out, ".path", message);
        }
        for (dependency, of) in &staged.unbuilt {
            self.out.substitutions.push(format!(
                "dependency {dependency} of {of} is left out: it does not lie in its charts/, and `helm dependency build` of {shown} builds only what that names itself"
            ));
        }
        let part = self.part(folder);
        self.old.parts.remove(&part);
        self.keep(&part, Some(Stamp::Chart(key)), false, read);
    }

    /// The name of the part that a chart's folder is: that of a chart of another place is not where it is unpacked.
    fn part(&self, folder: &Path) -> PathBuf {
        self.taken.as_ref().map_or(folder, |(part, _)| part).to_owned()
    }

    /// The source cannot be rendered yet: what it brought stays, and it is tried with the next reading.
    fn later(&mut self) {
        let shown = self.out.shown.take();
        std::mem::swap(&mut self.out, &mut self.old);
        self.old.parts.clear();
        (self.out.shown, self.out.again) = (shown, true);
        self.out.unsure |= self.out.parts.is_empty();
        // What is wanted of it now is wanted of the next reading.
        for (path, part) in &mut self.out.parts {
            part.stamp = part.stamp.take().filter(|_| !self.context.forced.contains(path));
        }
    }

    /// The same, with why; what was told of the rendering before is over.
    pub(super) fn unmade(&mut self, problem: Report, message: String) {
        self.later();
        self.out.problems.retain(|problem| !problems::is_of_rendering(problem));
        self.fail(problem, ".path", message);
    }

    /// It is being rendered for so long.
    pub(super) fn late(&mut self, what: &str, time: Duration) {
        let (env, seconds) = (self.context.env, time.as_secs());
        let since = if seconds == 0 { String::new() } else { format!(" for {seconds} s") };
        let message = format!("{what} for environment {env} is being rendered{since}");
        self.unmade(problems::rendering, message);
    }

    /// Names the source among all renderings.
    pub(super) fn subject(&self) -> String {
        format!("{} {}", self.application.key, self.number)
    }

    /// How long this reading waits for a rendering that has begun.
    pub(super) fn patience(&self) -> Duration {
        Jobs::patience(matches!(self.context.touched, Touched::All))
    }

    /// The same for what configures components: they are never taken to have no settings because theirs are not there yet.
    pub(super) fn patience_for<T>(&self, components: &[T]) -> Option<Duration> {
        (components.is_empty() || !self.old.values.is_empty()).then(|| self.patience())
    }

    fn template(
        &mut self,
        staged: &stage::Staged,
        helm: &Helm,
        folder: Option<&Path>,
        shown: &str,
    ) -> Template {
        let mut values = std::mem::take(&mut self.own_values);
        let Some(more) = self.values(helm, folder) else { return Template::Failed };
        values.extend(more);
        let mut files = Vec::new();
        for (n, parameter) in helm.file_parameters.iter().enumerate() {
            let path = self.locate(&self.fill(&parameter.path), folder);
            let field = format!(".helm.fileParameters[{n}]");
            if let Err(lost @ (Lost::Outside | Lost::Remote(_))) = &path {
                let what = format!("file {} of parameter {}", parameter.path, parameter.name);
                self.lost(lost, &what, &field, false);
                return Template::Failed;
            }
            if !parameters::is_one_name(&parameter.name) {
                let message = format!(
                    "the name {:?} of a file parameter would name further files to Helm, also outside the repository",
                    parameter.name
                );
                self.fail(problems::outside, &field, message);
                return Template::Failed;
            }
            let read = path.ok().map(|path| checkout::read(&path));
            let Some(Ok(content)) = read else {
                let why = read.and_then(Result::err).map(|why| format!(": {why}")).unwrap_or_default();
                let message =
                    format!("file {} of parameter {} cannot be read{why}", parameter.path, parameter.name);
                self.fail(problems::parameter_missing, &field, message);
                return Template::Failed;
            };
            files.push((parameter.name.clone(), content));
        }
        let or = |a: &str, b: &str| if a.is_empty() { b.to_owned() } else { a.to_owned() };
        let release = or(&helm.release_name, &self.application.key.name.name);
        let namespace = or(&or(&helm.namespace, &self.application.destination.namespace), "default");
        let parameters = helm.parameters.iter().map(|parameter| Parameter {
            value: variables::fill(&parameter.value, self.application, self.asked()),
            ..parameter.clone()
        });
        let helm = &Helm { parameters: parameters.collect(), ..helm.clone() };
        let request =
            Request { staged, release: &release, namespace: &namespace, values, files, helm, shown };
        let tools = self.context.tools;
        let hash = helm::key(tools, &request);
        // What is taken out of the chart is not in the hash of what is rendered.
        let after = self.asked().flux.as_ref().map(|flux| (&flux.post_renderers, flux.key()));
        let key = format!("{hash} {:?} {:?} {after:?}", staged.replaced, staged.left_out);
        let named = folder.map(|folder| self.part(folder));
        let part = named.as_ref().and_then(|named| self.old.parts.get(named));
        if !self.is_placed()
            && part.is_some_and(|part| part.stamp == Some(Stamp::Chart(key.clone())))
            && named.is_some_and(|named| !self.context.forced.contains(&named))
        {
            return Template::Same;
        }
        let patience = match folder {
            Some(_) => self.patience_for(&staged.replaced),
            None => self.patience_for(&[()]),
        };
        let done = helm::template_beside(tools, &hash, &request, &self.subject(), patience);
        match done {
            Ok(text) => {
                let marked = self.is_placed().then(|| marks::template(tools, &request)).flatten();
                let mut read = manifests::rendered(&text, shown, &self.name(), marked.as_deref());
                // A post-renderer may give the field another value.
                let is_last = after.as_ref().is_none_or(|(renderers, _)| renderers.is_empty());
                if let Some(asked) = self.context.placed.get(&self.application.key).filter(|_| is_last) {
                    leaves::note(tools, &request, asked, &mut read);
                }
                match self.post_render(read) {
                    Ok(read) => Template::Read(key, read),
                    Err(failure) => {
                        self.failed(
                            failure,
                            &format!("what the chart {shown} gives to postRenderers"),
                            problems::kustomize_failed,
                        );
                        Template::Failed
                    }
                }
            }
            Err(Failure::Chart(_)) if self.asked().flux.as_ref().is_some_and(|flux| flux.secret) => {
                let message = format!(
                    "chart {shown} for environment {} does not render; why is not told, as values come from Secrets",
                    self.context.env
                );
                self.fail(problems::helm_failed, ".path", message);
                Template::Failed
            }
            Err(Failure::Chart(said)) => {
                // Helm quotes values, of which some are secret by their names.
                let said = shown::brief(&helm::veil(&request).cover(&said)).into_owned();
                let field =
                    if self.asked().flux.is_none() { blamed(&said, helm) } else { ".path".to_owned() };
                let message =
                    format!("chart {shown} for environment {} does not render: {said}", self.context.env);
                self.fail(problems::helm_failed, &field, message);
                Template::Failed
            }
            Err(Failure::Tool(why)) => self.not_rendered(shown, &why, problems::helm_unusable),
            Err(Failure::Over(why)) => self.not_rendered(shown, &why, problems::helm_over),
            Err(Failure::Later(time)) => {
                self.late(&format!("chart {shown}"), time);
                Template::Failed
            }
        }
    }

    /// Whether the lines of its objects are asked for.
    fn is_placed(&self) -> bool {
        self.context.placed.contains_key(&self.application.key)
    }

    fn not_rendered(&mut self, shown: &str, why: &str, problem: Report) -> Template {
        let message = match &self.context.tools.helm {
            Ok(_) => format!("chart {shown} for environment {} was not rendered: {why}", self.context.env),
            Err(why) => format!("no chart is rendered: {why}"),
        };
        self.unmade(problem, message);
        Template::Failed
    }
}

/// The field of a source that Helm's words are about; they name values by what they are called in the Application.
fn blamed(said: &str, helm: &Helm) -> String {
    let parsed = said.strip_prefix("failed to parse ").unwrap_or_default();
    if said.starts_with("invalid kube version") {
        return ".helm.kubeVersion".to_owned();
    }
    if parsed.starts_with("helm.values:") {
        return ".helm.values".to_owned();
    }
    let of_file = |name: &String| {
        let name =
            if name.starts_with('$') { name.split_once('/').map_or("", |(_, path)| path) } else { name };
        let name = name.trim_start_matches(['.', '/']);
        !name.is_empty() && parsed.split_once(": ").is_some_and(|(file, _)| file.ends_with(name))
    };
    match helm.value_files.iter().position(of_file) {
        Some(n) => format!(".helm.valueFiles[{n}]"),
        None => ".path".to_owned(),
    }
}
