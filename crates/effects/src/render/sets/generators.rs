//! Generators of an ApplicationSet: sets of parameters, each of which makes one Application
//! (argoproj/argo-cd `applicationset/generators`).

use std::collections::BTreeMap;

use portolan_model::yaml;
use serde_json::{Map, Value, json};

use super::{
    super::{
        checkout::{Checkout, same_place},
        helm::Failure,
    },
    Cluster, Params,
    git::{self, Looked, flat, normalized},
    room::Room,
    template::Renderer,
};

/// Why a generator gives nothing.
#[derive(Debug)]
pub(super) enum Stop {
    /// What it asks is not known here.
    NotEvaluated(String),
    /// Argo CD would refuse it.
    Wrong(String),
    /// The same, for what the template says.
    Template(String),
    /// Helm could not do its work.
    Tool(String),
    /// It takes more of Helm than it may.
    Over(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Chart(said) => Self::Wrong(said),
            Failure::Tool(why) => Self::Tool(why),
            Failure::Later(time) => Self::Tool(format!("takes longer than {} s", time.as_secs())),
            Failure::Over(why) => Self::Over(why),
        }
    }
}

/// What generators are evaluated with.
pub(super) struct Generators<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) repository: Option<&'a str>,
    pub(super) cluster: &'a Cluster,
    pub(super) renderer: Renderer<'a>,
    pub(super) looked: Looked,
    pub(super) room: Room,
}

const ELSEWHERE: [&str; 5] = ["scmProvider", "pullRequest", "plugin", "clusterDecisionResource", "oci"];
/// All types of a generator, in the order in which Argo CD asks them.
const TYPES: [&str; 10] = [
    "list",
    "clusters",
    "git",
    "scmProvider",
    "clusterDecisionResource",
    "pullRequest",
    "matrix",
    "merge",
    "plugin",
    "oci",
];
/// Deepest level of generators that may be a matrix or merge.
const DEEPEST: usize = 1;

fn types(generator: &Value) -> Vec<&'static str> {
    TYPES.into_iter().filter(|kind| generator.get(*kind).is_some_and(|one| !one.is_null())).collect()
}

/// Whether an entry says nothing, but for a selector.
pub(super) fn is_empty(generator: &Value) -> bool {
    let fields = generator.as_object();
    fields.is_some_and(|fields| fields.iter().all(|(field, value)| field == "selector" || value.is_null()))
}

/// An entry with several types as one of each.
pub(super) fn apart(generator: &Value) -> Vec<Value> {
    let types = types(generator);
    if types.len() < 2 {
        return vec![generator.clone()];
    }
    let one = |own: &&str| {
        let mut one = generator.clone();
        if let Some(fields) = one.as_object_mut() {
            fields.retain(|field, _| field == own || !TYPES.contains(&field.as_str()));
        }
        one
    };
    types.iter().map(one).collect()
}

impl Generators<'_> {
    /// The parameters of a generator, and the template that it brings itself. `above`: those of the generator whose matrix
    /// this one is the second of.
    pub(super) fn params(
        &mut self,
        generator: &Value,
        above: Option<&Params>,
        depth: usize,
    ) -> Result<Vec<Params>, Stop> {
        // The third level can hold neither (`ApplicationSetTerminalGenerator`), and nothing is left of one.
        if depth > DEEPEST && types(generator).iter().any(|kind| ["matrix", "merge"].contains(kind)) {
            let message = "child generator generated no parameters: a matrix or merge inside of two others is none to Argo CD";
            return Err(Stop::Wrong(message.to_owned()));
        }
        self.room.in_time().map_err(Stop::Over)?;
        if depth > 0 && types(generator).len() > 1 {
            return Err(Stop::Wrong(
                "found more than one generator in one entry of a matrix or merge".to_owned(),
            ));
        }
        let filled = match above.filter(|above| !above.is_empty()) {
            Some(above) => self.interpolated(generator, above)?,
            None => generator.clone(),
        };
        if let Some(kind) = ELSEWHERE.iter().find(|kind| filled.get(**kind).is_some_and(|one| !one.is_null()))
        {
            return Err(Stop::NotEvaluated(format!(
                "generator {kind} asks somebody else, and nobody is asked here"
            )));
        }
        let of = |kind: &str| filled.get(kind).filter(|value| !value.is_null());
        let mut params = if let Some(list) = of("list") {
            let all = self.list(list)?;
            all.iter().try_for_each(|params| self.room.take(params)).map_err(Stop::Wrong)?;
            all
        } else if let Some(clusters) = of("clusters") {
            self.clusters(clusters)?
        } else if let Some(git) = of("git") {
            self.git(git)?
        } else if let Some(matrix) = of("matrix") {
            self.matrix(matrix, depth)?
        } else if let Some(merge) = of("merge") {
            self.merge(merge, depth)?
        } else {
            return Err(Stop::Wrong("a generator is of no kind that Argo CD knows".to_owned()));
        };
        // It is taken as it stands: parameters of the generator above are not filled in there.
        if let Some(selector) = generator.get("selector").filter(|selector| !selector.is_null()) {
            if let Some(key) = keys(selector).find(|key| !is_key(key)) {
                return Err(Stop::Wrong(format!(
                    "error parsing label selector: key {key:?} is no name of a label"
                )));
            }
            let selector = Selector::read(selector).map_err(Stop::Wrong)?;
            params.retain(|params| selector.takes(&flat(params)));
        }
        Ok(params)
    }

    /// The generator with the parameters of the one above. In `values`, what is not known yet stays for later.
    fn interpolated(&self, generator: &Value, above: &Params) -> Result<Value, Stop> {
        let mut generator = generator.clone();
        let mut later = Vec::new();
        if let Some(fields) = generator.as_object_mut() {
            fields.remove("selector");
        }
        for kind in ["git", "clusters"] {
            let values =
                generator.get_mut(kind).and_then(Value::as_object_mut).and_then(|one| one.remove("values"));
            later.extend(values.map(|values| (kind, values)));
        }
        let filled = self.renderer.fill_in(&generator, std::slice::from_ref(above))?;
        let mut filled = filled.into_iter().next().unwrap_or_default();
        let strict = Renderer { strict: true, ..self.renderer };
        for (kind, mut values) in later {
            for value in values.as_object_mut().into_iter().flat_map(Map::values_mut) {
                if let Some(text) = value.as_str()
                    && let Ok(done) = strict.fill(&[text.to_owned()], std::slice::from_ref(above))
                {
                    *value = Value::String(done.into_iter().flatten().next().unwrap_or_default());
                }
            }
            filled[kind]["values"] = values;
        }
        Ok(filled)
    }

    fn list(&self, list: &Value) -> Result<Vec<Params>, Stop> {
        let mut all = Vec::new();
        for element in list["elements"].as_array().into_iter().flatten() {
            let Value::Object(element) = element else {
                return Err(Stop::Wrong("an element of the list generator is no mapping".to_owned()));
            };
            if self.renderer.go {
                all.push(element.clone());
                continue;
            }
            let text = |key: &str, value: &Value| match value {
                Value::String(_) => Ok(value.clone()),
                _ => Err(Stop::Wrong(format!(
                    "error parsing value as string: {key} of a list element is none"
                ))),
            };
            let mut params = Map::new();
            for (key, value) in element {
                match (key.as_str(), value) {
                    ("values", Value::Object(values)) => {
                        for (key, value) in values {
                            params.insert(format!("values.{key}"), text(key, value)?);
                        }
                    }
                    _ => drop(params.insert(key.clone(), text(key, value)?)),
                }
            }
            all.push(params);
        }
        if let Some(text) = list["elementsYaml"].as_str().filter(|text| !text.trim().is_empty()) {
            let (documents, errors) = yaml::load(text);
            if let Some(error) = errors.first() {
                return Err(Stop::Wrong(format!("elementsYaml: {}", error.message)));
            }
            let elements = documents.into_iter().next().map_or(Value::Null, |document| document.json);
            let elements = match elements {
                Value::Array(elements) => elements,
                Value::Null => Vec::new(),
                _ => return Err(Stop::Wrong("elementsYaml holds no list".to_owned())),
            };
            for element in elements {
                // To Go, `null` is a mapping that holds nothing.
                all.push(match element {
                    Value::Object(element) => element,
                    Value::Null => Map::new(),
                    _ => return Err(Stop::Wrong("an element of elementsYaml is no mapping".to_owned())),
                });
            }
        }
        Ok(all)
    }

    /// Clusters stand in Secrets of Argo CD, and in no repository: there is the one of this environment, with the labels that
    /// somebody said.
    fn clusters(&self, clusters: &Value) -> Result<Vec<Params>, Stop> {
        let selector = Selector::read(&clusters["selector"]).map_err(Stop::Wrong)?;
        let asks = !selector.0.is_empty();
        if asks && self.cluster.labels.is_empty() {
            return Err(Stop::NotEvaluated(
                "the clusters generator chooses by labels, and those of this environment's cluster are not known: \
                 say them with --cluster-label KEY=VALUE"
                    .to_owned(),
            ));
        }
        let mut labels = self.cluster.labels.clone();
        labels.insert("argocd.argoproj.io/secret-type".into(), "cluster".into());
        let as_params: Params =
            labels.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        if asks && !selector.takes(&as_params) {
            return Ok(Vec::new());
        }
        let name = &self.cluster.name;
        let mut params = Map::from_iter([
            ("name".to_owned(), name.as_str().into()),
            ("nameNormalized".to_owned(), normalized(name).into()),
            ("server".to_owned(), "https://kubernetes.default.svc".into()),
            ("project".to_owned(), "".into()),
        ]);
        if self.renderer.go {
            let annotations = &self.cluster.annotations;
            params.insert("metadata".into(), json!({"labels": labels, "annotations": annotations}));
        } else {
            for (field, all) in [("labels", &labels), ("annotations", &self.cluster.annotations)] {
                params.extend(
                    all.iter().map(|(key, value)| (format!("metadata.{field}.{key}"), value.as_str().into())),
                );
            }
        }
        let all = self.with_values(clusters, vec![params])?;
        Ok(if clusters["flatList"] == true {
            vec![Map::from_iter([("clusters".to_owned(), json!(all))])]
        } else {
            all
        })
    }

    fn git(&mut self, git: &Value) -> Result<Vec<Params>, Stop> {
        let url = git["repoURL"].as_str().unwrap_or_default();
        if !self.repository.is_some_and(|own| same_place(own, url)) {
            return Err(Stop::NotEvaluated(format!(
                "the git generator reads {url}, which is remote and was not fetched"
            )));
        }
        let some = |field: &str| git[field].as_array().is_some_and(|all| !all.is_empty());
        let params = if some("directories") {
            git::directories(self.checkout, git, self.renderer.go, &mut self.looked)
        } else if some("files") {
            git::files(self.checkout, git, self.renderer.go, &mut self.looked, &mut self.room)
                .map_err(Stop::Wrong)?
        } else {
            return Err(Stop::Wrong("the git generator has neither directories nor files".to_owned()));
        };
        self.with_values(git, params)
    }

    /// Adds `values` of a generator, which may use its own parameters.
    fn with_values(&self, generator: &Value, mut all: Vec<Params>) -> Result<Vec<Params>, Stop> {
        let Some(values) = generator["values"].as_object().filter(|values| !values.is_empty()) else {
            return Ok(all);
        };
        let texts: Vec<String> =
            values.values().map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
        let filled = self.renderer.fill(&texts, &all)?;
        for (params, texts) in all.iter_mut().zip(filled) {
            let pairs = values.keys().cloned().zip(texts.into_iter().map(Value::String));
            if self.renderer.go {
                params.insert("values".into(), Value::Object(pairs.collect()));
            } else {
                params.extend(pairs.map(|(key, value)| (format!("values.{key}"), value)));
            }
        }
        Ok(all)
    }

    fn matrix(&mut self, matrix: &Value, depth: usize) -> Result<Vec<Params>, Stop> {
        let [first, second] = matrix["generators"].as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(Stop::Wrong("a matrix generator needs two generators".to_owned()));
        };
        let mut all = Vec::new();
        for a in self.params(first, None, depth + 1)? {
            for b in self.params(second, Some(&a), depth + 1)? {
                if self.renderer.go {
                    let mut both = Value::Object(b);
                    override_with(&mut both, &Value::Object(a.clone()));
                    let Value::Object(both) = both else { continue };
                    self.room.take(&both).map_err(Stop::Wrong)?;
                    all.push(both);
                    continue;
                }
                let mut both = a.clone();
                for (key, value) in b {
                    if both.get(&key).is_some_and(|own| *own != value) {
                        return Err(Stop::Wrong(format!("found duplicate key {key} with different value")));
                    }
                    both.insert(key, value);
                }
                self.room.take(&both).map_err(Stop::Wrong)?;
                all.push(both);
            }
        }
        Ok(all)
    }

    fn merge(&mut self, merge: &Value, depth: usize) -> Result<Vec<Params>, Stop> {
        let keys: Vec<&str> =
            merge["mergeKeys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let generators = merge["generators"].as_array().map_or(&[][..], Vec::as_slice);
        if keys.is_empty() || generators.len() < 2 {
            return Err(Stop::Wrong("a merge generator needs mergeKeys and two generators".to_owned()));
        }
        let key = |params: &Params| {
            keys.iter()
                .map(|key| params.get(*key).cloned().unwrap_or_default().to_string())
                .collect::<Vec<_>>()
        };
        let mut base: Vec<Params> = Vec::new();
        for (n, generator) in generators.iter().enumerate() {
            let mut by_key: BTreeMap<Vec<String>, Params> = BTreeMap::new();
            let params = self.params(generator, None, depth + 1)?;
            for params in &params {
                if by_key.insert(key(params), params.clone()).is_some() {
                    return Err(Stop::Wrong(format!(
                        "the parameters by which a merge generator joins are not unique: {}",
                        key(params).join(", ")
                    )));
                }
            }
            if n == 0 {
                base = params;
                continue;
            }
            for own in &mut base {
                let Some(over) = by_key.get(&key(own)) else { continue };
                if self.renderer.go {
                    let own_values = own.get("values").and_then(Value::as_object);
                    let others = over.get("values").and_then(Value::as_object);
                    if own_values.is_some()
                        && of_texts(&generators[0])
                        && !of_texts(generator)
                        && others.is_some_and(|others| !others.is_empty())
                    {
                        return Err(Stop::Wrong(PANICS.to_owned()));
                    }
                    let mut both = Value::Object(std::mem::take(own));
                    override_with(&mut both, &Value::Object(over.clone()));
                    *own = both.as_object().cloned().unwrap_or_default();
                } else {
                    own.extend(over.clone());
                }
            }
        }
        Ok(base)
    }
}

/// Argo CD's own words, and what they mean.
const PANICS: &str = "reflect.Value.SetMapIndex: value of type interface {} is not assignable to type string: Argo CD makes nothing of a merge in \
    which the `values` of a git or clusters generator are overridden by those of a list (argoproj/argo-cd#23014); name them otherwise in the list";

/// Whether its `values` hold texts alone, in Argo CD's types.
fn of_texts(generator: &Value) -> bool {
    let values = |kind: &str| generator.get(kind)?.get("values")?.as_object();
    ["git", "clusters"].into_iter().any(|kind| values(kind).is_some_and(|values| !values.is_empty()))
}

/// Lays parameters over others, mapping by mapping: Go's `mergo` with override, of which an entry of a map counts also when it is empty.
pub(super) fn override_with(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                match under.get_mut(key) {
                    Some(old) => override_with(old, value),
                    None => drop(under.insert(key.clone(), value.clone())),
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// Lays a template over another, mapping by mapping; what is empty says nothing (Go's `mergo` with override, of fields of structs).
pub(super) fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                match under.get_mut(key) {
                    Some(old) => lay_over(old, value),
                    None => drop(under.insert(key.clone(), value.clone())),
                }
            }
        }
        (under, over) => {
            let empty = match over {
                Value::Null | Value::Bool(false) => true,
                Value::String(text) => text.is_empty(),
                Value::Array(all) => all.is_empty(),
                Value::Object(map) => map.is_empty(),
                other => other.as_f64() == Some(0.0),
            };
            if !empty {
                *under = over.clone();
            }
        }
    }
}

/// Keys that a label selector asks for.
fn keys(selector: &Value) -> impl Iterator<Item = &str> {
    let labels = selector["matchLabels"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    labels.chain(expressions.filter_map(|one| one["key"].as_str()))
}

/// Whether it may be the key of a label: a name, and a domain before a slash.
fn is_key(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    let is = |text: &str, others: &str, most: usize| {
        let ends = |c: char| c.is_ascii_alphanumeric();
        (1..=most).contains(&text.len())
            && text.starts_with(ends)
            && text.ends_with(ends)
            && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    is(name, "-_.", 63) && domain.is_none_or(|domain| is(domain, "-.", 253))
}

/// A label selector; values may be anything (`applicationset/utils/selector.go`).
struct Selector<'a>(Vec<(&'a str, Operator, Vec<&'a str>)>);

#[derive(Clone, Copy)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl<'a> Selector<'a> {
    /// Reads one. One that says nothing takes everything.
    ///
    /// # Errors
    /// Why Argo CD would refuse it: it does not make of that one which takes nothing, for what the set made would go.
    fn read(selector: &'a Value) -> Result<Self, String> {
        let wrong = |what: &str| format!("error parsing label selector: {what}");
        let text =
            |value: &'a Value, what: &str| value.as_str().ok_or_else(|| wrong(&format!("{what} is no text")));
        let mut all = Vec::new();
        if !selector.is_null() && !selector.is_object() {
            return Err(wrong("it is no mapping"));
        }
        match &selector["matchLabels"] {
            Value::Null => {}
            Value::Object(labels) => {
                for (key, value) in labels {
                    all.push((key.as_str(), Operator::In, vec![text(value, &format!("matchLabels.{key}"))?]));
                }
            }
            _ => return Err(wrong("matchLabels is no mapping")),
        }
        let expressions = match &selector["matchExpressions"] {
            Value::Null => &[][..],
            Value::Array(expressions) => expressions.as_slice(),
            _ => return Err(wrong("matchExpressions is no list")),
        };
        for (n, one) in expressions.iter().enumerate() {
            let key = text(&one["key"], &format!("matchExpressions[{n}].key"))?;
            let values = one["values"].as_array().map_or(&[][..], Vec::as_slice).iter();
            let values: Result<Vec<&str>, String> =
                values.map(|value| text(value, &format!("a value of matchExpressions[{n}]"))).collect();
            let values = values?;
            let operator = match text(&one["operator"], &format!("matchExpressions[{n}].operator"))? {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(wrong(&format!("{other:?} is not a valid label selector operator"))),
            };
            let wants = matches!(operator, Operator::In | Operator::NotIn);
            if wants == values.is_empty() {
                let must = if wants { "must be" } else { "may not be" };
                return Err(wrong(&format!(
                    "values of matchExpressions[{n}] {must} specified for its operator"
                )));
            }
            all.push((key, operator, values));
        }
        Ok(Self(all))
    }

    /// Whether it takes parameters.
    fn takes(&self, params: &Params) -> bool {
        self.0.iter().all(|(key, operator, values)| {
            let value = params.get(*key).and_then(Value::as_str);
            let listed = value.is_some_and(|value| values.contains(&value));
            match operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}
