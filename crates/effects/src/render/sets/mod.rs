//! ApplicationSets: a template and generators of its parameters, as Argo CD's controller makes Applications of them
//! (argoproj/argo-cd `applicationset`). What asks somebody else (Git hosts, plugins) is named and not evaluated.
//!
//! A set is often for all clusters; an environment is one of them. Of a set whose Applications go to several clusters those
//! count whose destination, or one of whose parameters, is called like the environment.

mod generators;
mod git;
mod patch;
mod room;
pub(crate) mod strict;
mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use portolan_core::gitops::sync::Policy;
use portolan_model::{Name, Object, ObjectKey, Origin, Problem, yaml};
use serde_json::{Map, Value, json};

use super::{Tools, checkout::Checkout, part::PartKey, problems, touched::Touched};
use generators::{Generators, Stop, lay_over};
use git::Looked;
use room::Room;
use template::Renderer;

/// Parameters of one Application.
type Params = Map<String, Value>;

/// What is known of the cluster of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in Argo CD: that of the environment.
    pub name: String,
    /// Labels of its Secret (`--cluster-label`).
    pub labels: BTreeMap<String, String>,
    /// Its annotations (`--cluster-annotation`).
    pub annotations: BTreeMap<String, String>,
}

/// What a set is made of.
pub(super) struct Facts<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) tools: &'a Tools,
    pub(super) repository: Option<&'a str>,
    pub(super) cluster: &'a Cluster,
}

/// A set as it was evaluated last.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the set")]
pub(super) struct KeptSet {
    json: Value,
    repository: Option<String>,
    looked: Looked,
    /// Its Applications.
    pub(super) applications: Vec<Object>,
    pub(super) problems: Vec<Problem>,
    /// Not all of it is known.
    pub(super) unsure: bool,
    /// What one of its generators would give is not known: what it made stays.
    pub(super) partial: bool,
    /// Its Applications go to several clusters, and those of one were taken.
    pub(super) chosen: bool,
    /// Applications that are left as they are.
    pub(super) doubtful: BTreeSet<Name>,
    /// It was not for a reason that stands in the repository.
    again: bool,
    pub(super) part: Arc<PartKey>,
}

impl KeptSet {
    /// Whether it would come to the same again.
    pub(super) fn holds(
        &self,
        object: &Object,
        facts: &Facts<'_>,
        touched: &Touched,
        part: &PartKey,
    ) -> bool {
        !self.again
            && self.json == *object.json
            && self.repository.as_deref() == facts.repository
            && *self.part == *part
            && !self.looked.touched(facts.checkout.root(), touched)
    }
}

impl KeptSet {
    /// Leaves the Applications that the set has made as they are, if it changes none (`createInCluster`).
    pub(super) fn only_create(&mut self, set: &Object, made: &BTreeMap<ObjectKey, Object>) {
        let Some(policy) = Policy::of(set) else { return };
        for application in &mut self.applications {
            let mut key = application.key.clone();
            if key.name.namespace.is_empty() {
                key.name.namespace = set.key.name.namespace.clone();
            }
            let live = made.get(&key).filter(|live| live.origin.owner.as_deref() == Some(&set.key));
            if let Some(json) = live.and_then(|live| policy.applied(live, application)) {
                application.json = json.into();
            }
        }
    }
}

/// Whether a key is that of an ApplicationSet.
pub(super) fn is_kind(key: &ObjectKey) -> bool {
    key.kind.is("argoproj.io", "ApplicationSet")
}

/// Path of the part that holds the Applications of a set; no file is called so.
pub(super) fn part_path(set: &Object) -> PathBuf {
    Path::new("/\0set").join(set.key.name.to_string())
}

/// Makes the Applications of a set.
pub(super) fn expand(facts: &Facts<'_>, object: &Object, part: Arc<PartKey>) -> KeptSet {
    let json: Value = (*object.json).clone();
    let spec = &json["spec"];
    let options = spec["goTemplateOptions"].as_array().into_iter().flatten();
    let shown = object.key.to_string();
    let renderer = Renderer {
        tools: facts.tools,
        go: spec["goTemplate"] == true,
        strict: options.into_iter().any(|option| option == "missingkey=error"),
        shown: &shown,
    };
    let mut generators = Generators {
        checkout: facts.checkout,
        repository: facts.repository,
        cluster: facts.cluster,
        renderer,
        looked: Looked::default(),
        room: Room::new(facts.tools.timeout),
    };
    let mut kept = KeptSet {
        repository: facts.repository.map(str::to_owned),
        looked: Looked::default(),
        applications: Vec::new(),
        problems: Vec::new(),
        unsure: false,
        partial: false,
        chosen: false,
        doubtful: BTreeSet::new(),
        again: false,
        part,
        json: Value::Null,
    };
    let mut made = Vec::new();
    if let Some(option) = unknown_option(spec) {
        let message = format!(
            "unrecognized option: {option}: Argo CD's controller ends in a panic (Go's text/template), so {shown} makes, changes and removes no Application"
        );
        kept.problems.push(problems::set_invalid(&object.key, "spec.goTemplateOptions", message));
        kept.unsure = true;
        kept.json = json;
        return kept;
    }
    for (n, generator) in spec["generators"].as_array().into_iter().flatten().enumerate() {
        let field = format!("spec.generators[{n}]");
        if generators::is_empty(generator) {
            let message = format!(
                "{shown} has an entry of generators that says nothing: Argo CD logs \"contains unrecognized generators\" and passes over it"
            );
            kept.problems.push(problems::generator_empty(&object.key, &field, message));
            continue;
        }
        // Of several types in one entry each counts.
        let each = generators::apart(generator);
        let all = each.iter().map(|one| of_generator(&mut generators, spec, one, object));
        let all = all.collect::<Result<Vec<_>, _>>();
        let in_template = matches!(all, Err(Stop::Template(_)));
        match all {
            Ok(applications) => made.extend(applications.into_iter().flatten()),
            Err(Stop::NotEvaluated(why)) => {
                kept.partial = true;
                kept.problems.push(problems::generator_not_evaluated(
                    &object.key,
                    &field,
                    format!("{shown}: {why}"),
                ));
            }
            Err(Stop::Wrong(why) | Stop::Template(why)) => {
                // Argo CD makes none of a set of which something is wrong.
                let message = format!("{shown} makes no Applications: {}", words(&why));
                let field = if in_template { "spec.template" } else { field.as_str() };
                kept.problems.push(problems::set_invalid(&object.key, field, message));
                kept.unsure = true;
                made.clear();
                break;
            }
            Err(Stop::Tool(why)) => {
                let message = format!("{shown} was not evaluated: {why}");
                (kept.again, kept.unsure) = (true, true);
                kept.problems.push(problems::helm_unusable(&object.key, &field, message));
                made.clear();
                break;
            }
            Err(Stop::Over(why)) => {
                let message = format!("{shown} was not evaluated: {why}");
                (kept.again, kept.unsure) = (true, true);
                kept.problems.push(problems::helm_over(&object.key, &field, message));
                made.clear();
                break;
            }
        }
    }
    kept.looked = generators.looked;
    valid(&mut made, object, &mut kept);
    let origin = of_template(&object.origin);
    match of_cluster(made, facts.cluster) {
        Ok((own, chosen)) => {
            kept.chosen = chosen;
            for application in own {
                match Object::from_json(application, origin.clone()) {
                    Ok(application) => kept.applications.push(application),
                    Err(why) => {
                        let message = format!("{shown} makes an Application that is none: {why}");
                        kept.problems.push(problems::set_invalid(&object.key, "spec.template", message));
                    }
                }
            }
        }
        Err(clusters) => {
            let message = format!(
                "the Applications of {shown} go to the clusters {}, and none is called {}",
                clusters.join(", "),
                facts.cluster.name
            );
            kept.problems.push(problems::cluster_unknown(
                &object.key,
                "spec.template.spec.destination",
                message,
            ));
            kept.unsure = true;
        }
    }
    kept.json = json;
    kept
}

/// Where fields of an Application stand that a set made: in its template.
fn of_template(set: &Origin) -> Origin {
    let lines =
        set.lines.iter().filter_map(|(path, line)| Some((path.strip_prefix("spec.template.")?, line)));
    Origin { lines: lines.collect(), ..set.clone() }
}

/// Words of Helm's engine without the templates of ours, which nobody has, and with what YAML makes of a key.
fn words(why: &str) -> String {
    let ours = ["execution error at (applicationset/", "parse error at (applicationset/"];
    let own = ours.iter().find_map(|ours| why.strip_prefix(*ours)?.split_once("): ").map(|(_, rest)| rest));
    let own = own.unwrap_or(why);
    let key = own.split_once("map has no entry for key \"").and_then(|(_, rest)| rest.split_once('"'));
    match key.filter(|(key, _)| ["y", "n", "yes", "no", "on", "off"].contains(&key.to_lowercase().as_str())) {
        Some((key, _)) => format!("{own}; without quotes, {key} is a boolean to YAML 1.1: write \"{key}\""),
        None => own.to_owned(),
    }
}

/// Takes those away that the controller refuses (`validateGeneratedApplications`): it tells them by name, so that of two of one name
/// neither is made, changed or deleted.
fn valid(made: &mut Vec<(Value, Params)>, set: &Object, kept: &mut KeptSet) {
    let name = |application: &Value| application["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (application, _) in &*made {
        *names.entry(name(application)).or_default() += 1;
    }
    names.retain(|name, count| *count > 1 || name.is_empty());
    for name in names.keys() {
        let message = if name.is_empty() {
            format!("{} contains an application with no name; it is not made", set.key)
        } else {
            format!(
                "{} contains applications with duplicate name: {name}; none of them is made, and what one that was made brought stays",
                set.key
            )
        };
        kept.problems.push(problems::set_repeats(&set.key, "spec.template.metadata.name", message));
        kept.unsure = true;
        kept.doubtful.insert(name.as_str().into());
    }
    made.retain(|(application, _)| !names.contains_key(&name(application)));
    // Nor one without a cluster; the others are as they are.
    made.retain(|(application, _)| {
        let destination = &application["spec"]["destination"];
        let text = |field: &str| destination[field].as_str().unwrap_or_default();
        let why = match (text("name"), text("server")) {
            ("", "") => "Destination server missing from app spec".to_owned(),
            ("", _) | (_, "") => return true,
            (to, server) => format!("application destination can't have both name and server defined: {to} {server}"),
        };
        let name = name(application);
        let message = format!(
            "{} makes no Application {name}: application destination spec is invalid: {why}; what one of that name brought stays, and the others are made",
            set.key
        );
        kept.problems.push(problems::set_invalid(&set.key, "spec.template.spec.destination", message));
        kept.partial = true;
        kept.doubtful.insert(name.as_str().into());
        false
    });
    // Go's actions, which nobody fills in.
    if set.json["spec"]["goTemplate"] != true {
        let (bare, rest): (Vec<_>, Vec<_>) =
            std::mem::take(made).into_iter().partition(|(application, _)| name(application).contains("{{."));
        *made = rest;
        if let Some((first, _)) = bare.first() {
            let message = format!(
                "{} makes no Application of {:?}: spec.goTemplate is not true, so that {{{{.name}}}} is not filled in",
                set.key,
                name(first)
            );
            kept.problems.push(problems::set_invalid(&set.key, "spec.template.metadata.name", message));
            kept.unsure = true;
        }
        kept.doubtful.extend(bare.iter().map(|(application, _)| Name::from(name(application).as_str())));
    }
}

/// Applications of one generator, each with the parameters that it was made of.
fn of_generator(
    generators: &mut Generators<'_>,
    spec: &Value,
    generator: &Value,
    set: &Object,
) -> Result<Vec<(Value, Params)>, Stop> {
    let params = generators.params(generator, None, 0)?;
    if !params.is_empty() {
        unknown_cluster(generators.cluster, spec, generator)?;
    }
    // What the generator's own template says wins.
    let mut template = spec["template"].clone();
    for kind in ["list", "clusters", "git", "matrix", "merge"] {
        if let Some(own) = generator.get(kind).and_then(|one| one.get("template")) {
            lay_over(&mut template, own);
        }
    }
    let mut filled =
        generators.renderer.fill_in(&template, &params).map_err(|why| match Stop::from(why) {
            Stop::Wrong(why) => Stop::Template(why),
            other => other,
        })?;
    if let Some(patch) = spec["templatePatch"].as_str().filter(|patch| !patch.trim().is_empty()) {
        let patches = generators.renderer.fill(&[patch.to_owned()], &params)?;
        for (application, patch) in filled.iter_mut().zip(patches.into_iter().flatten()) {
            let (documents, errors) = yaml::load(&patch);
            let of = application["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if let Some(error) = errors.first() {
                let line = error.line;
                return Err(Stop::Wrong(format!(
                    "templatePatch of {of}: line {line} of what it comes to: {}",
                    error.message
                )));
            }
            let project = application["spec"]["project"].clone();
            if let Some(document) = documents.into_iter().next() {
                patch::lay(application, document.json)
                    .map_err(|why| Stop::Wrong(format!("templatePatch of {of}: {why}")))?;
            }
            // A patch may not lead into another project.
            application["spec"]["project"] = project;
        }
    }
    let namespace =
        if set.key.name.namespace.is_empty() { "argocd" } else { set.key.name.namespace.as_str() };
    let finish = |(template, params): (Value, Params)| {
        let mut metadata = template["metadata"].as_object().cloned().unwrap_or_default();
        metadata.insert("namespace".into(), namespace.into());
        // What an Application of a set brought goes with it, unless the set says otherwise (`RenderTemplateParams`).
        let bare = metadata.get("finalizers").and_then(Value::as_array).is_none_or(Vec::is_empty);
        if bare && spec["syncPolicy"]["preserveResourcesOnDeletion"] != true {
            metadata.insert("finalizers".into(), json!(["resources-finalizer.argocd.argoproj.io"]));
        }
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": template["spec"],
        });
        (application, params)
    };
    Ok(filled.into_iter().zip(params).map(finish).collect())
}

/// What a template takes from the Secret of a cluster is not known unless somebody says it.
fn unknown_cluster(cluster: &Cluster, spec: &Value, generator: &Value) -> Result<(), Stop> {
    let generator = generator.to_string();
    if !generator.contains("\"clusters\":") {
        return Ok(());
    }
    let texts = [spec["template"].to_string(), spec["templatePatch"].to_string(), generator];
    for (field, flag, known) in [
        ("metadata.annotations.", "--cluster-annotation", !cluster.annotations.is_empty()),
        ("metadata.labels.", "--cluster-label", !cluster.labels.is_empty()),
    ] {
        let asks = |text: &String| text.contains(field) || template::takes_metadata(text, field);
        if !known && texts.iter().any(asks) {
            return Err(Stop::NotEvaluated(format!(
                "it takes {field}… of the cluster, which are not known here: say them with {flag} KEY=VALUE"
            )));
        }
    }
    Ok(())
}

/// An option of Go templates that there is not.
fn unknown_option(spec: &Value) -> Option<&str> {
    const KNOWN: [&str; 4] =
        ["missingkey=default", "missingkey=invalid", "missingkey=zero", "missingkey=error"];
    let options = spec["goTemplateOptions"].as_array().filter(|_| spec["goTemplate"] == true)?;
    options.iter().filter_map(Value::as_str).find(|option| !KNOWN.contains(option))
}

/// Those for the cluster of this environment, and whether there are others; or the clusters that they are for.
fn of_cluster(made: Vec<(Value, Params)>, cluster: &Cluster) -> Result<(Vec<Value>, bool), Vec<String>> {
    let destination = |application: &Value| {
        let text =
            |field: &str| application["spec"]["destination"][field].as_str().unwrap_or_default().to_owned();
        (text("name"), text("server"))
    };
    let clusters: BTreeSet<(String, String)> =
        made.iter().map(|(application, _)| destination(application)).collect();
    if clusters.len() <= 1 {
        return Ok((made.into_iter().map(|(application, _)| application).collect(), false));
    }
    let named = |(application, _): &(Value, Params)| destination(application).0 == cluster.name;
    let asked = |(_, params): &(Value, Params)| flat_texts(params).any(|text| text == cluster.name);
    let own: Vec<bool> = if made.iter().any(named) {
        made.iter().map(named).collect()
    } else {
        made.iter().map(asked).collect()
    };
    if !own.contains(&true) {
        return Err(clusters
            .into_iter()
            .map(|(name, server)| if name.is_empty() { server } else { name })
            .collect());
    }
    let own = made.into_iter().zip(own).filter(|(_, own)| *own).map(|((application, _), _)| application);
    Ok((own.collect(), true))
}

fn flat_texts(params: &Params) -> impl Iterator<Item = String> {
    git::flat(params).into_iter().filter_map(|(_, value)| value.as_str().map(str::to_owned))
}
