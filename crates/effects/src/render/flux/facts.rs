//! What Flux's objects refer to: sources, ConfigMaps and Secrets that the repository brings.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{Name, Object, ObjectKey};
use serde_json::Value;

use super::objects::{Reference, SOURCE};

/// Objects by key. They are kept as text.
#[derive(Debug, Default)]
pub(in super::super) struct Facts {
    all: BTreeMap<ObjectKey, Object>,
}

/// What became of a ConfigMap or a Secret that is referred to.
pub(super) enum Data {
    Is(BTreeMap<String, String>),
    /// It is made elsewhere, by what is named here.
    Elsewhere(String),
    Missing,
}

/// How `flux bootstrap` calls its namespace, and the source that it makes of the repository.
pub(super) const FLUX_SYSTEM: &str = "flux-system";

/// Kinds that this source may be of; where there are several the first is taken.
pub(super) const OWN: [&str; 3] = ["GitRepository", "OCIRepository", "Bucket"];

/// The source that a reference of an object in this namespace names.
pub(super) fn source_key(reference: &Reference, namespace: &Name) -> ObjectKey {
    let namespace =
        if reference.namespace.is_empty() { namespace.as_str() } else { reference.namespace.as_str() };
    ObjectKey::new(SOURCE, reference.kind.as_str(), namespace, reference.name.as_str())
}

/// Group of what makes artifacts of others (source-watcher).
const GENERATED: &str = "source.extensions.fluxcd.io";

/// Kinds that make a Secret of the same name, or of the name in a field, whose values are not in the repository.
const MAKERS: [(&str, &str, &str); 3] = [
    ("bitnami.com", "SealedSecret", "/spec/template/metadata/name"),
    ("external-secrets.io", "ExternalSecret", "/spec/target/name"),
    ("kubernetes-client.io", "ExternalSecret", "/metadata/name"),
];

/// Whether a document may be referred to.
pub(in super::super) fn is_fact(json: &Value) -> bool {
    let text = |field: &str| json.get(field).and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = (text("apiVersion").split_once('/').map_or("", |(group, _)| group), text("kind"));
    group == SOURCE
        || group == GENERATED && kind == "ArtifactGenerator"
        || group.is_empty() && matches!(kind, "ConfigMap" | "Secret")
        || is_controller(json)
        || MAKERS.iter().any(|(of, maker, _)| *of == group && *maker == kind)
}

const CONTROLLER: &str = "kustomize-controller";

/// The Deployment of kustomize-controller, as `flux bootstrap` writes it and patches change it.
fn is_controller(json: &Value) -> bool {
    json["apiVersion"] == "apps/v1" && json["kind"] == "Deployment" && json["metadata"]["name"] == CONTROLLER
}

/// Whether a container of it takes variables that are not set for nothing: before 1.9, or if it is told so.
fn is_lenient(container: &Value) -> bool {
    let arguments = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let gates = arguments.filter_map(|argument| argument.strip_prefix("--feature-gates="));
    let mut said = gates
        .flat_map(|gates| gates.split(','))
        .filter_map(|gate| gate.trim().strip_prefix("StrictPostBuildSubstitutions=")?.parse::<bool>().ok());
    if let Some(strict) = said.next_back() {
        return !strict;
    }
    let image = container["image"].as_str().unwrap_or_default();
    let version = image.split_once("kustomize-controller:v").map(|(_, version)| version);
    let mut numbers = version.unwrap_or_default().split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (1, 9),
        // Where nobody says the version it is a new one.
        _ => false,
    }
}

impl Facts {
    /// Whether the controller that this repository brings takes variables that are not set for nothing.
    pub(super) fn is_lenient(&self) -> bool {
        let is_it = |key: &ObjectKey| key.kind.is("apps", "Deployment") && &*key.name.name == CONTROLLER;
        let controllers = self.all.iter().filter(|(key, _)| is_it(key)).map(|(_, object)| object);
        let containers =
            controllers.filter_map(|one| one.json.pointer("/spec/template/spec/containers")?.as_array());
        containers.flatten().any(is_lenient)
    }

    /// Takes one over; of several the first counts.
    pub(in super::super) fn learn(&mut self, object: &Object, namespace: &Name) {
        let mut key = object.key.clone();
        if key.name.namespace.is_empty() {
            key.name.namespace = namespace.clone();
        }
        self.all.entry(key).or_insert_with(|| object.clone());
    }

    /// A source.
    pub(super) fn source(&self, reference: &Reference, namespace: &Name) -> Option<&Object> {
        self.all.get(&source_key(reference, namespace))
    }

    /// All sources.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Object> {
        self.all.iter().filter(|(key, _)| &*key.kind.group == SOURCE).map(|(_, object)| object)
    }

    /// The source that `flux bootstrap` makes of the repository, if it is brought: that of its own namespace first.
    pub(super) fn own(&self) -> Option<&Object> {
        let called = self.sources().filter(|source| &*source.key.name.name == FLUX_SYSTEM);
        let of = |source: &Object| OWN.iter().position(|kind| source.key.kind.is(SOURCE, kind));
        let own = called.filter_map(|source| Some((of(source)?, source)));
        own.min_by_key(|(kind, source)| (&*source.key.name.namespace != FLUX_SYSTEM, *kind)).map(|own| own.1)
    }

    /// What an ExternalArtifact is made of by an ArtifactGenerator of its namespace, and the folder of it that the artifact is: only
    /// where all that is copied keeps its place below one folder, so that paths between its parts lead where they do in the source.
    pub(super) fn generated(&self, reference: &Reference, namespace: &Name) -> Option<(Reference, String)> {
        if reference.kind != "ExternalArtifact" {
            return None;
        }
        let namespace =
            if reference.namespace.is_empty() { namespace.as_str() } else { reference.namespace.as_str() };
        let generators = self.all.iter().filter(|(key, _)| {
            key.kind.is(GENERATED, "ArtifactGenerator") && *key.name.namespace == *namespace
        });
        let text = |json: &Value, field: &str| json[field].as_str().unwrap_or_default().to_owned();
        for (_, generator) in generators {
            let spec = &generator.json["spec"];
            let artifacts = spec["artifacts"].as_array().into_iter().flatten();
            let Some(artifact) = artifacts.into_iter().find(|one| text(one, "name") == reference.name) else {
                continue;
            };
            let mut found: Option<(String, String)> = None;
            for copy in artifact["copy"].as_array()? {
                let (from, to) = (text(copy, "from"), text(copy, "to"));
                let (alias, from) = from.strip_prefix('@')?.split_once('/')?;
                let from = from.strip_suffix("/**")?.trim_matches('/');
                let to = to.strip_prefix("@artifact")?.trim_matches('/');
                let above = from.strip_suffix(to)?;
                if !to.is_empty() && !above.is_empty() && !above.ends_with('/') {
                    return None;
                }
                let above = above.trim_end_matches('/');
                let one = (alias.to_owned(), above.to_owned());
                if found.as_ref().is_some_and(|other| *other != one) || copy.get("exclude").is_some() {
                    return None;
                }
                found = Some(one);
            }
            let (alias, folder) = found?;
            let source = spec["sources"].as_array()?.iter().find(|one| text(one, "alias") == alias)?;
            let (kind, name) = (text(source, "kind"), text(source, "name"));
            let own = text(source, "namespace");
            let own = if own.is_empty() { namespace.to_owned() } else { own };
            return Some((Reference { kind, name, namespace: own }, folder));
        }
        None
    }

    /// All repositories of Git.
    pub(super) fn repositories(&self) -> impl Iterator<Item = &Object> {
        self.all.iter().filter(|(key, _)| key.kind.is(SOURCE, "GitRepository")).map(|(_, object)| object)
    }

    /// What stands in a ConfigMap or a Secret.
    pub(super) fn data(&self, kind: &str, namespace: &Name, name: &str) -> Data {
        let key = ObjectKey::new("", kind, namespace.as_str(), name);
        let Some(object) = self.all.get(&key) else {
            return match self.maker(namespace, name).filter(|_| kind == "Secret") {
                Some(maker) => Data::Elsewhere(maker.to_string()),
                None => Data::Missing,
            };
        };
        if is_encrypted(&object.json) {
            return Data::Elsewhere("SOPS".to_owned());
        }
        let texts = |field: &str| {
            let all = object.json.get(field).and_then(Value::as_object).into_iter().flatten();
            all.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect::<Vec<_>>()
        };
        let mut data: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in texts("data") {
            let value = if kind == "Secret" {
                STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
            } else {
                Some(value)
            };
            data.extend(value.map(|value| (name, value)));
        }
        if kind == "Secret" {
            data.extend(texts("stringData"));
        }
        Data::Is(data)
    }

    fn maker(&self, namespace: &Name, name: &str) -> Option<&ObjectKey> {
        let makers = MAKERS.iter().flat_map(|(group, kind, field)| {
            let all = self.all.iter();
            all.filter(move |(key, _)| key.kind.is(group, kind) && key.name.namespace == *namespace)
                .map(move |(key, object)| (key, object.json.pointer(field).and_then(Value::as_str)))
        });
        makers
            .into_iter()
            .find(|(key, said)| said.unwrap_or(key.name.name.as_str()) == name)
            .map(|(key, _)| key)
    }

    /// Names of ConfigMaps or Secrets of a namespace, to find one that is meant.
    pub(super) fn names(&self, kind: &str, namespace: &Name) -> BTreeSet<&str> {
        let of = |key: &&ObjectKey| key.kind.is("", kind) && key.name.namespace == *namespace;
        self.all.keys().filter(of).map(|key| key.name.name.as_str()).collect()
    }
}

/// Whether values of a document are encrypted by SOPS.
pub(in super::super) fn is_encrypted(json: &Value) -> bool {
    json.get("sops")
        .is_some_and(|sops| sops.is_object() && (sops.get("mac").is_some() || sops.get("version").is_some()))
}
