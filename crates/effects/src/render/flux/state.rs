//! Kustomizations and `HelmReleases` that wait for what they refer to, and what they come to once it has been read.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Name, Object, ObjectKey, Problem, nearest, yaml};
use serde_json::Value;

use super::{
    super::{
        application::{Application, Destination, Helm, Parameter, Source},
        checkout::{self, Checkout, same_place},
        kept::Pending,
        problems,
    },
    Flux, Takes, Variables,
    facts::{Data, FLUX_SYSTEM, Facts, OWN, source_key},
    objects::{
        self, Chart, ChartFrom, Common, From, HelmRelease, KUSTOMIZE, Kustomization, Reference, SOURCE,
    },
    shared::Shared,
    values,
};

/// One that was found.
#[derive(Debug)]
pub(in super::super) struct Waiting {
    pub(in super::super) object: Object,
    /// Name of the Application that brought it.
    pub(in super::super) parent: Name,
    /// Waves of the Applications above it.
    pub(in super::super) chain: Vec<i32>,
}

/// What a walk knows of Flux.
#[derive(Debug, Default)]
pub(in super::super) struct State {
    pub(in super::super) facts: Facts,
    waiting: Vec<(Waiting, Asked)>,
    /// Those that were found, and those of them that were read.
    found: BTreeSet<ObjectKey>,
    read: BTreeSet<ObjectKey>,
    /// URL of the repository.
    repository: Option<String>,
    /// The source called flux-system: what `flux bootstrap` makes of the repository.
    own: Option<ObjectKey>,
    /// At which the source of that URL is read.
    pub(in super::super) revision: Option<String>,
    /// The same as Git has it.
    pub(in super::super) origin: Option<String>,
    /// Something is still being rendered, so that nothing is said to be missing.
    pub(in super::super) late: bool,
    pub(in super::super) problems: Vec<Problem>,
    pub(in super::super) substitutions: Vec<String>,
    pub(in super::super) unsure: BTreeSet<Name>,
}

#[derive(Clone, Debug)]
enum Asked {
    Kustomization(Kustomization),
    Release(HelmRelease),
}

impl Asked {
    fn common(&self) -> &Common {
        match self {
            Self::Kustomization(one) => &one.common,
            Self::Release(one) => &one.common,
        }
    }
}

/// What something needs that has not been read.
enum Need {
    Nothing,
    /// A source, a ConfigMap or a Secret.
    Fact,
    Dependency,
}

/// Where a source leads.
enum Leads {
    /// The folder of this repository that it is, with a slash at its end; empty for the whole.
    Here(String),
    /// URL, and the last part of it.
    Elsewhere(String),
    Missing,
}

impl State {
    /// The repository that the work tree stands for, where something else than Flux says it.
    pub(in super::super) fn stands_for(&mut self, repository: Option<&str>) {
        self.repository = repository.filter(|url| !url.is_empty()).map(str::to_owned);
    }

    /// Takes one that was found.
    pub(in super::super) fn found(&mut self, waiting: Waiting) {
        let key = waiting.object.key.clone();
        let asked = if key.kind.is(KUSTOMIZE, "Kustomization") {
            objects::kustomization(&waiting.object).map(Asked::Kustomization)
        } else {
            objects::release(&waiting.object).map(Asked::Release)
        };
        self.found.insert(key.clone());
        match asked {
            Ok(asked) if asked.common().suspend => {
                // What it brought stays as it is, for Flux too.
                self.unsure.insert(key.name.name.clone());
                let message = format!(
                    "{key} is suspended: Flux leaves what it brought as it is, and it is not rendered"
                );
                self.problems.push(problems::suspended(&key, "spec.suspend", message));
            }
            Ok(asked) => self.waiting.push((waiting, asked)),
            Err((field, message)) => self.fail(&key, problems::application_invalid(&key, &field, message)),
        }
    }

    /// One that was read and does not build: Flux does not come to what depends on it.
    pub(in super::super) fn failed(&mut self, key: &ObjectKey) {
        self.read.remove(key);
    }

    /// Whether a Kustomization or HelmRelease is among those that were found.
    pub(in super::super) fn has_found(&self, key: &ObjectKey) -> bool {
        self.found.contains(key)
    }

    fn fail(&mut self, key: &ObjectKey, problem: Problem) {
        self.unsure.insert(key.name.name.clone());
        if !self.late {
            self.problems.push(problem);
        }
    }

    /// Those that can be read now. `last`: nothing else is to come, so that what they miss is missing.
    pub(in super::super) fn ready(&mut self, checkout: &Checkout, last: bool) -> Vec<Pending> {
        self.learn_repository(checkout);
        let waiting = std::mem::take(&mut self.waiting);
        let mut ready = Vec::new();
        let mut late = Vec::new();
        for (waiting, asked) in waiting {
            match self.needs(&asked) {
                Need::Nothing => ready.push((waiting, asked)),
                need => late.push((waiting, asked, need)),
            }
        }
        if ready.is_empty() && last {
            // What only waits for an object goes first: others may depend on it.
            let (facts, others): (Vec<_>, Vec<_>) =
                late.into_iter().partition(|(.., need)| matches!(need, Need::Fact));
            ready.extend(facts.into_iter().map(|(waiting, asked, _)| (waiting, asked)));
            late = others;
            if ready.is_empty() {
                let left = late.iter().map(|(_, asked, _)| asked.common().clone()).collect::<Vec<_>>();
                for common in &left {
                    self.never(common, &left);
                }
                late.clear();
            }
        }
        self.waiting = late.into_iter().map(|(waiting, asked, _)| (waiting, asked)).collect();
        let mut pending = Vec::new();
        for (waiting, asked) in ready {
            let key = asked.common().key.clone();
            let application = match asked {
                Asked::Kustomization(one) => self.kustomization(checkout, one),
                Asked::Release(one) => self.release(&one),
            };
            match application {
                Ok(application) => {
                    self.read.insert(key);
                    let Waiting { parent, chain, .. } = waiting;
                    pending.push(Pending { application, parent, chain, permit: None });
                }
                Err(problem) => self.fail(&key, *problem),
            }
        }
        pending
    }

    /// What the repository is called: as flux-system has it, else as the one that Git says, else as the first one whose folder
    /// is here.
    fn learn_repository(&mut self, checkout: &Checkout) {
        let own = self.facts.own();
        // One in another namespace is another repository's, unless its URL says otherwise; artifacts have none that Git knows.
        let is_it = |source: &&Object| {
            &*source.key.name.namespace == FLUX_SYSTEM || !source.key.kind.is(SOURCE, "GitRepository")
        };
        self.own = own.filter(is_it).map(|source| source.key.clone());
        if self.repository.is_some() {
            return;
        }
        let own = own.filter(|source| &*source.key.name.namespace == FLUX_SYSTEM);
        let mut url = own.map(url_of);
        if let (None, Some(origin)) = (&url, &self.origin) {
            url = self.facts.repositories().map(url_of).find(|url| same_place(origin, url));
        }
        if url.is_none() {
            url = self.waiting.iter().find_map(|(_, asked)| {
                let Asked::Kustomization(one) = asked else { return None };
                let here = !one.path.is_empty() && checkout.resolve(&one.path).is_ok();
                self.facts.source(&one.source, &one.common.key.name.namespace).filter(|_| here).map(url_of)
            });
        }
        let own = |source: &&Object| url.as_deref() == Some(url_of(source).as_str());
        self.revision = self.facts.repositories().find(own).map(git_revision);
        self.repository = url;
    }

    fn needs(&self, asked: &Asked) -> Need {
        let common = asked.common();
        let namespace = &common.key.name.namespace;
        if common.depends_on.iter().any(|other| !self.read.contains(&of(common, other))) {
            return Need::Dependency;
        }
        let (sources, from): (Vec<&Reference>, &[From]) = match asked {
            Asked::Kustomization(one) => {
                (vec![&one.source], one.post_build.as_ref().map_or(&[], |post| &post.substitute_from))
            }
            Asked::Release(one) => match &one.from {
                ChartFrom::Chart(chart) => (vec![&chart.source_ref], &one.values_from),
                ChartFrom::Reference(reference) => (vec![reference], &one.values_from),
            },
        };
        let unknown = |source: &Reference| {
            let (reference, _) =
                self.facts.generated(source, namespace).unwrap_or_else(|| (source.clone(), String::new()));
            !self.is_unsaid(&reference) && self.facts.source(&reference, namespace).is_none()
        };
        let sources = sources.into_iter().any(unknown);
        let data = |from: &From| matches!(self.facts.data(&from.kind, namespace, &from.name), Data::Missing);
        if sources || from.iter().any(data) { Need::Fact } else { Need::Nothing }
    }

    /// One that Flux never gets to, as what it depends on is never ready.
    fn never(&mut self, common: &Common, left: &[Common]) {
        let key = &common.key;
        let others: Vec<ObjectKey> = common.depends_on.iter().map(|other| of(common, other)).collect();
        let missing = others.iter().find(|other| !self.found.contains(*other));
        let message = if let Some(other) = missing {
            let all = || self.found.iter().filter(|one| one.kind == key.kind && *one != key);
            // The same name elsewhere is what is meant most often.
            let near = if let Some(one) = all().find(|one| one.name.name == other.name.name) {
                format!("; one of this name stands in namespace {}", one.name.namespace)
            } else {
                let near = nearest(&other.name.name, all().map(|one| one.name.name.as_str()));
                near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
            };
            format!("{key} depends on {other}, which there is not, so that Flux never applies it{near}")
        } else if let Some(way) = circle(key, left) {
            let way: Vec<String> = way.iter().map(ToString::to_string).collect();
            format!("{key} depends on itself ({}), so that Flux never applies it", way.join(" → "))
        } else {
            let others: Vec<String> =
                others.iter().filter(|other| !self.read.contains(*other)).map(ToString::to_string).collect();
            let message = format!(
                "{key} depends on {}, which is not applied, so that Flux does not apply it either; what it brought stays",
                others.join(", ")
            );
            self.fail(key, problems::not_applied_yet(key, "spec.dependsOn", message));
            return;
        };
        self.fail(key, problems::never_applied(key, "spec.dependsOn", message));
    }

    /// Whether it is the source that `flux bootstrap` makes, and the repository brings none that is called so: then it was made in
    /// the cluster.
    fn is_unsaid(&self, reference: &Reference) -> bool {
        reference.name == FLUX_SYSTEM && OWN.contains(&reference.kind.as_str()) && self.facts.own().is_none()
    }

    fn leads(&mut self, reference: &Reference, namespace: &Name) -> Leads {
        if let Some((source, folder)) = self.facts.generated(reference, namespace) {
            return match self.leads(&source, namespace) {
                Leads::Here(above) if folder.is_empty() => Leads::Here(above),
                Leads::Here(above) => Leads::Here(format!("{above}{folder}/")),
                leads => leads,
            };
        }
        let Some(url) = self.facts.source(reference, namespace).map(url_of) else {
            return match &*reference.kind {
                // Made in the cluster, of what nobody here can tell.
                "ExternalArtifact" => Leads::Elsewhere(format!("ExternalArtifact {}", reference.name)),
                _ if self.is_unsaid(reference) => Leads::Here(String::new()),
                _ => Leads::Missing,
            };
        };
        let is_own = self.own.as_ref().is_some_and(|own| *own == source_key(reference, namespace));
        let here = is_own
            || reference.kind == "GitRepository"
                && (self.repository.as_deref().is_some_and(|known| same_place(known, &url))
                    || self.origin.as_deref().is_some_and(|origin| same_place(origin, &url)));
        if !here {
            // What has no URL is nowhere, and not here.
            let nowhere = || format!("{} {} without a URL", reference.kind, reference.name);
            return Leads::Elsewhere(if url.is_empty() { nowhere() } else { url });
        }
        let said = format!("{} {} ({url}) is read from the work tree", reference.kind, reference.name);
        if !self.substitutions.contains(&said) {
            self.substitutions.push(said);
            let source = self.facts.source(reference, namespace);
            let includes = |source: &&Object| {
                let all = source.json.pointer("/spec/include").and_then(Value::as_array);
                all.is_some_and(|all| !all.is_empty())
            };
            if let Some(source) = source.filter(includes) {
                let message = format!("{} includes what other sources hold, which is not read", source.key);
                self.problems.push(problems::remote_source(&source.key, "spec.include", message));
            }
        }
        Leads::Here(String::new())
    }

    fn kustomization(
        &mut self,
        checkout: &Checkout,
        one: Kustomization,
    ) -> Result<Application, Box<Problem>> {
        let key = one.common.key.clone();
        let namespace = key.name.namespace.clone();
        let mut source = Source { path: one.path.clone(), ..Source::default() };
        match self.leads(&one.source, &namespace) {
            Leads::Missing => return Err(Box::new(self.no_source(&key, "spec.sourceRef", &one.source))),
            Leads::Elsewhere(url) => source.repo_url = url,
            Leads::Here(folder) => {
                if !folder.is_empty() {
                    source.path = format!("{folder}{}", below(&source.path));
                }
                source.target_revision = self.git_revision(&one.source, &namespace);
                if source.path.trim_start_matches("./").is_empty() {
                    source.path = ".".into();
                }
                let variables = match &one.post_build {
                    None => None,
                    Some(post) => {
                        let of_own = |kind: &str, name: &str| own_file(checkout, &source.path, kind, name);
                        let mut variables = self.variables(&key, &post.substitute_from, &of_own)?;
                        variables.always = post.substitute_strategy == "Always";
                        variables.lenient = self.facts.is_lenient();
                        let own = post
                            .substitute
                            .iter()
                            .map(|(name, value)| (name.clone(), value.replace('\n', "")));
                        variables.known.extend(own);
                        Some(variables)
                    }
                };
                source.flux = Some(Flux {
                    takes: self.takes(&one.source, &namespace),
                    written: one.written,
                    variables,
                    metadata: one.common.metadata.clone(),
                    decrypts: one.decrypts,
                    ..Flux::default()
                });
            }
        }
        let namespace = one.common.target_namespace.clone();
        Ok(application(&one.common, source, namespace, false))
    }

    /// Variables of ConfigMaps and Secrets, in order.
    /// `of_own` gives the file of what the Kustomization itself brings.
    fn variables(
        &mut self,
        key: &ObjectKey,
        from: &[From],
        of_own: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Result<Variables, Box<Problem>> {
        let mut variables = Variables::default();
        for (n, one) in from.iter().enumerate() {
            let field = format!("spec.postBuild.substituteFrom[{n}]");
            match self.facts.data(&one.kind, &key.name.namespace, &one.name) {
                Data::Is(data) => {
                    variables
                        .known
                        .extend(data.into_iter().map(|(name, value)| (name, value.replace('\n', ""))));
                }
                Data::Elsewhere(by) => {
                    // It may set any of those before it.
                    variables.known.clear();
                    variables.elsewhere.push(format!("{} {} (of {by})", one.kind, one.name));
                }
                Data::Missing if one.optional => {}
                Data::Missing if self.is_by_hand(key, one) => {
                    variables.known.clear();
                    variables.elsewhere.push(format!("Secret {}, which is not in the repository", one.name));
                }
                Data::Missing => {
                    let Some(file) = of_own(&one.kind, &one.name) else {
                        return Err(Box::new(self.no_data(key, &field, one)));
                    };
                    let message = format!(
                        "{key} needs {} {} before it is built, and brings it itself ({file}), which is too late: let another Kustomization bring it, and depend on that",
                        one.kind, one.name
                    );
                    return Err(Box::new(problems::reference_missing(key, &field, message)));
                }
            }
        }
        Ok(variables)
    }

    fn release(&mut self, one: &HelmRelease) -> Result<Application, Box<Problem>> {
        let key = one.common.key.clone();
        let namespace = key.name.namespace.clone();
        let (values, secret) = self.values(one)?;
        // Of a file Helm reads 123456789012 as 1.23456789012e+11.
        let whole = values.whole().into_iter();
        let parameters =
            whole.map(|(name, value)| Parameter { name, value: value.to_string(), force_string: false });
        let helm = Helm {
            parameters: parameters.collect(),
            release_name: one.release(),
            namespace: one.namespace(),
            values_object: Some(Value::Object(values.to_map())),
            skip_crds: one.skip_crds,
            skip_schema_validation: one.skip_schema,
            ..Helm::default()
        };
        let mut chart = match &one.from {
            ChartFrom::Chart(chart) => chart.clone(),
            ChartFrom::Reference(reference) if reference.kind == "HelmChart" => {
                let found = self.facts.source(reference, &namespace);
                let Some(found) = found else {
                    return Err(Box::new(self.no_source(&key, "spec.chartRef", reference)));
                };
                let spec = found.json.get("spec").cloned().unwrap_or_default();
                let mut chart: Chart = crate::typed::read(&spec).map_err(|why| {
                    problems::application_invalid(&found.key, "spec", format!("spec: {why}"))
                })?;
                chart.source_ref.namespace = found.key.name.namespace.to_string();
                chart
            }
            ChartFrom::Reference(reference) => Chart { source_ref: reference.clone(), ..Chart::default() },
        };
        let mut source = Source { target_revision: chart.version.clone(), ..Source::default() };
        let field = if matches!(one.from, ChartFrom::Chart(_)) {
            "spec.chart.spec.sourceRef"
        } else {
            "spec.chartRef"
        };
        match self.leads(&chart.source_ref, &namespace) {
            Leads::Missing => return Err(Box::new(self.no_source(&key, field, &chart.source_ref))),
            Leads::Here(_) if chart.name.is_empty() => {
                let message = format!("{field} leads to this repository, and not to a chart in it");
                return Err(Box::new(problems::application_invalid(&key, field, message)));
            }
            Leads::Here(folder) if folder.is_empty() => source.path.clone_from(&chart.name),
            Leads::Here(folder) => {
                source.path = format!("{folder}{}", below(&chart.name));
            }
            Leads::Elsewhere(url) => {
                source.repo_url = url;
                if chart.name.is_empty() {
                    source.target_revision = self.revision(&chart.source_ref, &namespace);
                    let url = source.repo_url.trim_end_matches('/').to_owned();
                    let (place, name) = url.rsplit_once('/').unwrap_or(("", &url));
                    (source.repo_url, chart.name) = (place.to_owned(), name.to_owned());
                }
                if chart.source_ref.kind == "GitRepository" {
                    source.path.clone_from(&chart.name);
                } else {
                    source.chart.clone_from(&chart.name);
                }
            }
        }
        source.flux = Some(Flux {
            takes: self.takes(&chart.source_ref, &namespace),
            metadata: one.common.metadata.clone(),
            values_files: chart.values_files,
            ignore_missing_values_files: chart.ignore_missing_values_files,
            post_renderers: one.post_renderers.clone(),
            without_hooks: one.without_hooks.clone(),
            secret,
            ..Flux::default()
        });
        source.helm = Some(helm);
        let namespace = one.namespace();
        Ok(application(&one.common, source, namespace, one.create_namespace))
    }

    /// What a source takes of the repository.
    fn takes(&self, reference: &Reference, namespace: &Name) -> Takes {
        let made = self.facts.generated(reference, namespace).map(|(source, _)| source);
        let spec = self.facts.source(made.as_ref().unwrap_or(reference), namespace);
        let spec = spec.and_then(|source| source.json.get("spec"));
        let of = |field: &str| spec.and_then(|spec| spec.get(field));
        let folders = of("sparseCheckout").and_then(Value::as_array).into_iter().flatten();
        Takes {
            ignore: of("ignore").and_then(Value::as_str).map(str::to_owned),
            sparse: folders.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// `spec.ref` of an OCIRepository.
    fn git_revision(&self, reference: &Reference, namespace: &Name) -> String {
        let made = self.facts.generated(reference, namespace).map(|(source, _)| source);
        self.facts.source(made.as_ref().unwrap_or(reference), namespace).map(git_revision).unwrap_or_default()
    }

    fn revision(&self, reference: &Reference, namespace: &Name) -> String {
        let json = self.facts.source(reference, namespace).map(|source| &source.json);
        let of = |field: &str| json.and_then(|json| json.pointer(&format!("/spec/ref/{field}"))?.as_str());
        // As in Flux a digest is before a range, and that before a tag.
        of("digest").or_else(|| of("semver")).or_else(|| of("tag")).unwrap_or_default().to_owned()
    }

    /// Values in Flux's order, and whether some come from Secrets.
    fn values(&mut self, one: &HelmRelease) -> Result<(Shared, bool), Box<Problem>> {
        let key = &one.common.key;
        let (mut merged, own) = (Shared::default(), Shared::from(one.values.clone()));
        let mut secret = false;
        for (n, from) in one.values_from.iter().enumerate() {
            let field = format!("spec.valuesFrom[{n}]");
            let data = match self.facts.data(&from.kind, &key.name.namespace, &from.name) {
                Data::Is(data) => data,
                Data::Elsewhere(by) => {
                    let message = format!(
                        "values of {key} come from {} {}, which {by} makes: they are not known here, and what it brings is not either",
                        from.kind, from.name
                    );
                    return Err(Box::new(problems::values_unknown(key, &field, message)));
                }
                Data::Missing if from.optional => continue,
                Data::Missing if self.is_by_hand(key, from) => {
                    let message = format!(
                        "values of {key} come from Secret {}, which is not in the repository: they are not known here, and what it brings is not either",
                        from.name
                    );
                    return Err(Box::new(problems::values_unknown(key, &field, message)));
                }
                Data::Missing => return Err(Box::new(self.no_data(key, &field, from))),
            };
            let name = if from.values_key.is_empty() { "values.yaml" } else { &from.values_key };
            let Some(text) = data.get(name) else {
                if from.optional {
                    continue;
                }
                let message = format!("{} {} has no key {name:?}", from.kind, from.name);
                return Err(Box::new(problems::reference_missing(key, &field, message)));
            };
            secret |= from.kind == "Secret";
            let wrong = |why: String| {
                let message = format!("{name} of {} {} {why}", from.kind, from.name);
                Box::new(problems::application_invalid(key, &field, message))
            };
            if from.target_path.is_empty() {
                merged = merged.merged(&values::read(text).map_err(wrong)?.into());
            } else {
                let value = values::value(text, from.literal).map_err(&wrong)?;
                merged = merged.merged(&own);
                merged
                    .put(&from.target_path, value)
                    .map_err(|why| Box::new(problems::application_invalid(key, &field, why)))?;
            }
        }
        Ok((merged.merged(&own), secret))
    }

    /// Whether what is missing is a Secret that somebody puts into the cluster: none here has a name that is nearly the same.
    fn is_by_hand(&self, key: &ObjectKey, from: &From) -> bool {
        let namespace = &key.name.namespace;
        from.kind == "Secret" && nearest(&from.name, self.facts.names("Secret", namespace)).is_none()
    }

    /// A source that there is not, and what may be meant: the same in another namespace, of another kind, or nearly the same name.
    fn no_source(&self, key: &ObjectKey, field: &str, reference: &Reference) -> Problem {
        let wanted = source_key(reference, &key.name.namespace);
        let all = || self.facts.sources().map(|source| &source.key);
        let same = all().filter(|other| *other.name.name == *reference.name);
        let same = same
            .max_by_key(|other| (other.kind == wanted.kind, other.name.namespace == wanted.name.namespace));
        let near = match same {
            Some(other) if other.kind == wanted.kind => format!(
                "; one of this name stands in namespace {}, which sourceRef.namespace would have to say",
                other.name.namespace
            ),
            Some(other) => format!("; {other} is there"),
            None => {
                let names = all().filter(|other| other.kind == wanted.kind);
                let near = nearest(&reference.name, names.map(|other| other.name.name.as_str()));
                near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
            }
        };
        let message = format!(
            "{key} has its source from {} {} of namespace {}, which the repository does not bring{near}",
            reference.kind, reference.name, wanted.name.namespace
        );
        problems::reference_missing(key, field, message)
    }

    fn no_data(&self, key: &ObjectKey, field: &str, from: &From) -> Problem {
        if !matches!(from.kind.as_str(), "ConfigMap" | "Secret") {
            let message = format!("kind {:?} is neither ConfigMap nor Secret", from.kind);
            return problems::application_invalid(key, field, message);
        }
        let namespace = &key.name.namespace;
        let near = nearest(&from.name, self.facts.names(&from.kind, namespace));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let message = format!(
            "{key} needs {} {} in namespace {namespace}, which the repository does not bring{near}",
            from.kind, from.name
        );
        problems::reference_missing(key, field, message)
    }
}

/// Files of a folder that are looked through for an object.
const MOST_FILES: usize = 500;

/// The file below a folder of the repository that holds an object.
fn own_file(checkout: &Checkout, path: &str, kind: &str, name: &str) -> Option<String> {
    let mut folders = vec![checkout.peek(path).ok()?];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST_FILES {
                return None;
            }
            let (path, is) = (entry.path(), entry.file_type().ok()?);
            if is.is_dir() {
                folders.push(path);
                continue;
            }
            if !is.is_file() || path.extension().is_none_or(|end| end != "yaml" && end != "yml") {
                continue;
            }
            let text = checkout::read_text(&path).unwrap_or_default();
            let holds = |json: &Value| json["kind"] == kind && json["metadata"]["name"] == name;
            if text.contains(name) && yaml::load(&text).0.iter().any(|document| holds(&document.json)) {
                return Some(checkout.show(&path));
            }
        }
    }
    None
}

/// A path as it goes on below a folder.
fn below(path: &str) -> &str {
    path.trim_start_matches("./").trim_start_matches('/')
}

/// What an entry of `dependsOn` names.
fn of(common: &Common, other: &Reference) -> ObjectKey {
    let mut key = common.key.clone();
    key.name.name = other.name.as_str().into();
    if !other.namespace.is_empty() {
        key.name.namespace = other.namespace.as_str().into();
    }
    key
}

/// The way that leads from one back to it.
fn circle(key: &ObjectKey, left: &[Common]) -> Option<Vec<ObjectKey>> {
    let all: BTreeMap<&ObjectKey, &Common> = left.iter().map(|common| (&common.key, common)).collect();
    let mut ways = vec![vec![key.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let Some(common) = way.last().and_then(|last| all.get(last)) else { continue };
        for other in common.depends_on.iter().map(|other| of(common, other)) {
            let next: Vec<ObjectKey> = way.iter().cloned().chain([other.clone()]).collect();
            if other == *key {
                return Some(next);
            }
            if seen.insert(other) {
                ways.push(next);
            }
        }
    }
    None
}

/// What a GitRepository is read at: a commit before a name, that before a range, a tag and a branch, as in Flux.
fn git_revision(source: &Object) -> String {
    let of = |field: &str| source.json.pointer(&format!("/spec/ref/{field}"))?.as_str();
    let found = ["commit", "name", "semver", "tag", "branch"].into_iter().find_map(of);
    found.unwrap_or_default().trim_start_matches("refs/heads/").to_owned()
}

fn url_of(source: &Object) -> String {
    let text = |field: &str| source.json.pointer(&format!("/spec/{field}")).and_then(Value::as_str);
    text("url").or_else(|| text("endpoint")).unwrap_or_default().to_owned()
}

fn application(common: &Common, source: Source, namespace: String, create_namespace: bool) -> Application {
    Application {
        key: common.key.clone(),
        wave: 0,
        sources: vec![source],
        multiple: false,
        destination: Destination { namespace, ..Destination::default() },
        hydrates: None,
        create_namespace,
        policy: common.policy.clone(),
        project: String::new(),
        namespace_metadata: None,
    }
}
