//! What becomes of each field of the kinds that are read: followed, refused, without effect, or not looked at. What is in no
//! table is not looked at, so that a field which a new version brings closes and does not open. Tests walk the definitions of
//! these kinds, and compare with what intake asks for.

mod argo_cd;
mod certificates;
mod flux;
mod gateway;
mod kubernetes;

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use serde_json::Value;

use super::{fields as traffic_policies, node::Root};
use crate::{Kind, Object, Severity, nearest};

/// What becomes of a field or an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It is followed.
    Used,
    /// It changes no answer here, and why.
    Irrelevant(&'static str),
    /// It is not built, or not followed on purpose; a finding of its own says so.
    Refused(&'static str),
    /// It may change an answer, and nobody looks at it; it is told as PTL-0007.
    NotLookedAt(&'static str),
    /// The same, told by a finding of its own.
    Told(&'static str),
    /// The program, or the version of the kind that is known here, does not know it.
    Unknown,
}

/// Paths of fields by what becomes of them, several in one text. A path is about all below it, but for those that stand
/// in the table themselves.
type Table = &'static [(Effect, &'static str)];

/// Group, kind and its table.
type Entry = (&'static str, &'static str, Table);

const ALL: [&[Entry]; 5] =
    [&gateway::KINDS, &certificates::KINDS, &kubernetes::KINDS, &argo_cd::KINDS, &flux::KINDS];

/// What all objects have.
const METADATA: Table = &[
    (Effect::Used, "apiVersion kind metadata.name metadata.namespace metadata.labels metadata.generateName"),
    (Effect::Irrelevant("told by themselves: see annotations"), "metadata.annotations"),
    (Effect::Used, "metadata.finalizers metadata.ownerReferences"),
    (
        Effect::Irrelevant("written by API servers"),
        "metadata.creationTimestamp metadata.deletionGracePeriodSeconds metadata.deletionTimestamp metadata.generation \
         metadata.managedFields metadata.resourceVersion metadata.selfLink metadata.uid status",
    ),
];

/// A table as it is looked up.
type Fields = BTreeMap<&'static str, Effect>;

fn fields_of(table: Table) -> Fields {
    let all = METADATA.iter().chain(table);
    all.flat_map(|(effect, paths)| paths.split_whitespace().map(|path| (path, *effect))).collect()
}

fn tables() -> &'static HashMap<(&'static str, &'static str), Fields> {
    static TABLES: OnceLock<HashMap<(&'static str, &'static str), Fields>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let entries = ALL.into_iter().flatten();
        entries.map(|(group, kind, table)| ((*group, *kind), fields_of(table))).collect()
    })
}

/// The kinds that have a table.
pub fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.into_iter().flatten().map(|(group, kind, _)| (*group, *kind))
}

/// The fields in the table of a kind.
pub fn paths(group: &str, kind: &str) -> impl Iterator<Item = &'static str> {
    let fields = tables().iter().find(|(known, _)| **known == (group, kind));
    fields.into_iter().flat_map(|(_, fields)| fields.keys().copied())
}

/// What becomes of a field, by its path without places in lists; `None` if it only holds others that have their own. Of a kind
/// without a table nothing is known.
pub fn effect(kind: &Kind, path: &str) -> Option<Effect> {
    let tables = tables();
    let fields = tables.get(&(&*kind.group, &*kind.kind))?;
    let (kind, path) = alias(kind, path);
    let fields = match kind {
        Some(other) => tables.get(&("argoproj.io", other)).unwrap_or(fields),
        None => fields,
    };
    let below = format!("{path}.");
    if fields.range(&*below..).next().is_some_and(|(field, _)| field.starts_with(&below)) {
        return None;
    }
    // Its own, or that of the nearest field which holds it.
    let above = std::iter::successors(Some(&*path), |path| Some(path.rsplit_once('.')?.0));
    Some(above.into_iter().find_map(|path| fields.get(path)).copied().unwrap_or(Effect::Unknown))
}

/// The same field as it stands in a table: one of several sources, a generator in a generator, the Application that a set holds.
fn alias(kind: &Kind, path: &str) -> (Option<&'static str>, String) {
    if &*kind.group != "argoproj.io" {
        return (None, path.to_owned());
    }
    match &*kind.kind {
        "Application" => (None, one_source(path)),
        "ApplicationSet" => {
            let mut path = path.to_owned();
            // Either may stand in the other.
            let nested = ["spec.generators.matrix.generators", "spec.generators.merge.generators"];
            while let Some(rest) = nested.iter().find_map(|nested| path.strip_prefix(nested)) {
                path = format!("spec.generators{rest}");
            }
            let parts: Vec<&str> = path.split('.').collect();
            let template = match parts[..] {
                ["spec", "template", ..] => 2,
                ["spec", "generators", _, "template", ..] => 4,
                _ => return (None, path),
            };
            let rest = parts[template..].join(".");
            match parts.get(template) {
                Some(&"spec") => (Some("Application"), one_source(&rest)),
                _ => (None, path),
            }
        }
        _ => (None, path.to_owned()),
    }
}

fn one_source(path: &str) -> String {
    match path.strip_prefix("spec.sources") {
        Some(rest) if rest.is_empty() || rest.starts_with('.') => format!("spec.source{rest}"),
        _ => path.to_owned(),
    }
}

/// The fields that an object has, each with what becomes of it: the outermost that have a class.
pub fn fields(object: &Object) -> BTreeMap<String, Effect> {
    let mut found = BTreeMap::new();
    let kind = &object.key.kind;
    if tables().contains_key(&(&*kind.group, &*kind.kind)) {
        collect(kind, &object.json, "", &mut found);
    } else if traffic_policies::is_told_apart(kind) {
        traffic(kind, &object.json["spec"], &mut found);
    }
    found
}

fn collect(kind: &Kind, value: &Value, path: &str, found: &mut BTreeMap<String, Effect>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(kind, item, path, found)),
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match effect(kind, &path) {
                    Some(Effect::NotLookedAt(_)) if says_nothing(kind, &path, value) => {
                        found.insert(path, Effect::Used);
                    }
                    Some(effect) => drop(found.insert(path, effect)),
                    None => collect(kind, value, &path, found),
                }
            }
        }
        // A value where others belong: whoever reads it has said so.
        _ => {}
    }
}

/// Whether a field asks for what is so without it.
fn says_nothing(kind: &Kind, path: &str, value: &Value) -> bool {
    match value {
        Value::Bool(on) => !on,
        Value::String(text) => text.is_empty() || text == "None",
        Value::Array(items) => items.is_empty(),
        Value::Object(map) if path == "spec.layerSelector" && &*kind.kind == "OCIRepository" => {
            // The layer of a chart, as Helm has it.
            let media = map.get("mediaType").and_then(Value::as_str).unwrap_or_default();
            media.starts_with("application/vnd.cncf.helm.chart.content.")
        }
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Of a traffic policy of Envoy Gateway: values count there too.
fn traffic(kind: &Kind, spec: &Value, found: &mut BTreeMap<String, Effect>) {
    let fields = traffic_policies::of(&kind.kind, spec);
    for key in spec.as_object().into_iter().flatten().map(|(key, _)| key) {
        found.insert(format!("spec.{key}"), Effect::Used);
    }
    for (path, class) in fields {
        let outer = path.split('.').next().unwrap_or_default();
        found.remove(&format!("spec.{outer}"));
        found.insert(format!("spec.{path}"), traffic_policies::effect(class));
    }
}

/// The fields of a part of an object that nobody knows, and what was meant: `path` is that of the part.
pub fn unknown(kind: &Kind, value: &Value, path: &str) -> Vec<(String, Option<String>)> {
    let mut found = BTreeMap::new();
    collect(kind, value, path, &mut found);
    let unknown = found.into_iter().filter(|(_, effect)| *effect == Effect::Unknown);
    unknown.map(|(path, _)| (path.clone(), meant(kind, &path))).collect()
}

/// The field beside an unknown one that was most likely meant.
fn meant(kind: &Kind, path: &str) -> Option<String> {
    let (above, written) = path.rsplit_once('.')?;
    let below = format!("{above}.");
    let fields = tables().get(&(&*kind.group, &*kind.kind))?;
    let beside =
        fields.range(&*below..).map(|(field, _)| *field).take_while(|field| field.starts_with(&below));
    let names = beside.filter_map(|field| field[below.len()..].split('.').next());
    nearest(written, names).map(|name| format!("{below}{name}"))
}

/// Tells of the fields that may change an answer and are not looked at.
pub(super) fn tell(root: &mut Root<'_>) {
    let kind = root.object.key.kind.clone();
    let unseen: Vec<(String, String)> = fields(root.object)
        .into_iter()
        .filter_map(|(path, effect)| match effect {
            Effect::NotLookedAt(why) => Some((path, why.to_owned())),
            Effect::Unknown => {
                let meant =
                    meant(&kind, &path).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                Some((path, format!("it is not known here{meant}")))
            }
            _ => None,
        })
        .collect();
    for (path, why) in unseen {
        let message = format!("{path} is not looked at: {why}");
        root.problem(
            7,
            Severity::Warning,
            &path,
            message,
            "see to it in the cluster, or leave it out where nothing turns on it",
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::Origin;

    fn of(json: Value) -> Vec<(String, Effect)> {
        let found = fields(&Object::from_json(json, Origin::default()).unwrap());
        found.into_iter().filter(|(path, _)| !path.starts_with("metadata") && path.contains('.')).collect()
    }

    #[test]
    fn the_outermost_field_with_a_class_is_told_and_a_new_one_closes() {
        let found = of(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "a", "namespace": "b"}, "spec": {"hostnames": ["a.example"], "brandNew": {"x": 1},
            "rules": [{"name": "one", "matches": [{"path": {"value": "/"}}], "filters": [{"type": "ExternalAuth", "externalAuth": {"protocol": "HTTP"}}]}]}}));
        let class = |path: &str| found.iter().find(|(at, _)| at == path).map(|(_, effect)| *effect);
        assert_eq!(class("spec.brandNew"), Some(Effect::Unknown));
        assert_eq!(class("spec.hostnames"), Some(Effect::Used));
        assert!(matches!(class("spec.rules.name"), Some(Effect::Irrelevant(_))), "{found:?}");
        assert!(matches!(class("spec.rules.filters.externalAuth"), Some(Effect::Refused(_))), "{found:?}");
        assert_eq!(class("spec.rules.filters.externalAuth.protocol"), None);
    }

    #[test]
    fn what_asks_for_nothing_is_not_missed() {
        let suspended = |suspend: Value, layer: &str| {
            let found = of(json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
                "metadata": {"name": "a", "namespace": "b"}, "spec": {"url": "oci://x", "verify": suspend, "layerSelector": {"mediaType": layer}}}));
            found
                .into_iter()
                .filter(|(_, effect)| matches!(effect, Effect::NotLookedAt(_)))
                .map(|(path, _)| path)
                .collect::<Vec<_>>()
        };
        let chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
        assert_eq!(suspended(json!({}), chart), Vec::<String>::new());
        assert_eq!(
            suspended(json!({"provider": "cosign"}), "application/x"),
            ["spec.layerSelector", "spec.verify"]
        );
    }

    #[test]
    fn a_misspelt_field_of_flux_is_told_however_deep() {
        let told = |kind: &str, group: &str, spec: Value| {
            let json = json!({"apiVersion": format!("{group}.toolkit.fluxcd.io/v1"), "kind": kind, "metadata": {"name": "a", "namespace": "b"}, "spec": spec});
            let object = Object::from_json(json, Origin::default()).unwrap();
            unknown(&object.key.kind, &object.json["spec"], "spec")
        };
        let meant = |path: &str, meant: &str| (path.to_owned(), Some(meant.to_owned()));
        assert_eq!(
            told(
                "Kustomization",
                "kustomize",
                json!({"sourceRef": {"kind": "GitRepository", "nmae": "x"}, "decryption": {"provider": "sops", "secretRef": {"name": "k"}},
                    "postBuild": {"substitue": {"A": "b"}, "substitute": {"anything": "c"}, "substituteFrom": [{"kind": "ConfigMap", "optinal": true}]},
                    "patches": [{"patch": "x", "target": {"kind": "Gateway", "labelSelecter": "a=b"}}]})
            ),
            [
                meant("spec.patches.target.labelSelecter", "spec.patches.target.labelSelector"),
                meant("spec.postBuild.substitue", "spec.postBuild.substitute"),
                meant("spec.postBuild.substituteFrom.optinal", "spec.postBuild.substituteFrom.optional"),
                meant("spec.sourceRef.nmae", "spec.sourceRef.name"),
            ]
        );
        assert_eq!(
            told(
                "HelmRelease",
                "helm",
                json!({"chartRef": {"kind": "HelmChart", "name": "x"}, "values": {"any": {"thing": 1}}, "valuesFrom": [{"kind": "Secret", "valueKey": "v"}],
                    "postRenderers": [{"kustomiz": {}}, {"kustomize": {"images": [{"name": "a", "newTag": "1"}]}}]})
            ),
            [
                meant("spec.postRenderers.kustomiz", "spec.postRenderers.kustomize"),
                meant("spec.valuesFrom.valueKey", "spec.valuesFrom.valuesKey"),
            ]
        );
    }

    #[test]
    fn an_application_is_read_alike_wherever_it_stands() {
        let kind = Kind::new("argoproj.io", "ApplicationSet");
        let application = Kind::new("argoproj.io", "Application");
        for (set, own) in [
            ("spec.template.spec.source.helm.passCredentials", "spec.source.helm.passCredentials"),
            ("spec.template.spec.sources.plugin", "spec.source.plugin"),
            ("spec.generators.matrix.generators.git.template.spec.project", "spec.project"),
        ] {
            assert_eq!(effect(&kind, set), effect(&application, own), "{set}");
            assert_ne!(effect(&kind, set), Some(Effect::Unknown), "{set}");
        }
        assert_eq!(effect(&application, "spec.sourcesOf"), Some(Effect::Unknown));
        assert_eq!(
            effect(&kind, "spec.generators.matrix.generators.merge.generators.list.elements"),
            effect(&kind, "spec.generators.list.elements")
        );
    }

    #[test]
    fn no_path_stands_twice_in_a_table() {
        for (group, kind, table) in ALL.into_iter().flatten() {
            let paths = METADATA.iter().chain(*table).flat_map(|(_, paths)| paths.split_whitespace());
            let mut paths: Vec<&str> = paths.collect();
            let count = paths.len();
            paths.sort_unstable();
            paths.dedup();
            assert_eq!(paths.len(), count, "{group} {kind}");
        }
    }
}
