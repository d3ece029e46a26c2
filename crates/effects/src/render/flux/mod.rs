//! Flux: a Kustomization and a HelmRelease are followed as Applications are. What each refers to (its source, ConfigMaps and
//! Secrets, what it depends on) has to be read before it is.
//!
//! ```text
//!  walk: objects of a level -> State (waits for dependsOn, sourceRef, substituteFrom, valuesFrom) -> the next level
//!  Kustomization: folder (a kustomization is made where there is none) -> kustomize build -> postBuild -> objects
//!  HelmRelease: chart of this repository, values merged here -> helm template -> postRenderers -> objects
//! ```
//!
//! Sources: fluxcd/kustomize-controller, fluxcd/helm-controller, fluxcd/pkg `kustomize` and `chartutil`.

pub(super) mod artifact;
mod build;
mod facts;
mod generate;
mod objects;
mod post;
mod shared;
mod state;
pub(crate) mod substitute;
mod values;

use std::{collections::BTreeMap, fmt};

use portolan_model::ObjectKey;
use serde_json::Value;

pub use artifact::Takes;
pub use objects::Metadata;

pub(super) use facts::{is_encrypted, is_fact};
use objects::{HELM, KUSTOMIZE};
pub(super) use state::{State, Waiting};

/// What Flux does with a source beside rendering it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flux {
    /// What of the repository its source takes.
    pub(super) takes: Takes,
    /// Fields of a Kustomization that are written into the kustomization; `null` for a chart.
    pub(super) written: Value,
    pub(super) variables: Option<Variables>,
    pub(super) metadata: Metadata,
    /// Encrypted objects are made elsewhere, as Flux has the key.
    pub(super) decrypts: bool,
    /// Files in place of the chart's `values.yaml`.
    pub(super) values_files: Vec<String>,
    pub(super) ignore_missing_values_files: bool,
    pub(super) post_renderers: Vec<Value>,
    /// Hooks of these actions are not run.
    pub(super) without_hooks: Vec<&'static str>,
    /// Values come from Secrets, so that what Helm says is not told.
    pub(super) secret: bool,
}

/// Variables of `postBuild`. Some come from Secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Variables {
    pub(super) known: BTreeMap<String, String>,
    /// What brings those that are not known.
    pub(super) elsewhere: Vec<String>,
    pub(super) always: bool,
    /// What is not set stands for nothing, as before kustomize-controller 1.9.
    pub(super) lenient: bool,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.keys()).finish()
    }
}

/// Whether a key is that of a Kustomization or a HelmRelease of Flux.
pub(super) fn is_kind(key: &ObjectKey) -> bool {
    key.kind.is(KUSTOMIZE, "Kustomization") || key.kind.is(HELM, "HelmRelease")
}

/// Whether a document is one.
pub(super) fn is_followed(json: &Value) -> bool {
    let text = |field: &str| json.get(field).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    matches!((group, text("kind")), (KUSTOMIZE, "Kustomization") | (HELM, "HelmRelease"))
}

/// What one of Flux is called.
pub(super) fn key(json: &Value) -> ObjectKey {
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    ObjectKey::new(group, text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// The field of a finding: as `field` is in an Application.
pub(super) fn field(key: &ObjectKey, field: &str) -> String {
    let below = field.strip_prefix("spec.source").unwrap_or(field);
    let chart = key.kind.is(HELM, "HelmRelease");
    match below {
        ".repoURL" if chart => "spec.chart".into(),
        ".repoURL" => "spec.sourceRef".into(),
        ".path" if chart => "spec.chart.spec.chart".into(),
        ".helm.valueFiles" if chart => "spec.chart.spec.valuesFiles".into(),
        _ if chart && below.starts_with(".helm") => "spec.values".into(),
        _ => format!("spec{below}"),
    }
}
