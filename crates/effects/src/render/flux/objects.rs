//! Flux's own kinds: what of a Kustomization and a HelmRelease decides what is applied. Sources: fluxcd/kustomize-controller
//! `api/v1/kustomization_types.go`, fluxcd/helm-controller `api/v2/helmrelease_types.go`.

use std::{collections::BTreeMap, fmt::Write as _};

use portolan_core::gitops::sync::Policy;
use portolan_model::{Object, ObjectKey};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Group of Kustomizations.
pub(super) const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
/// Group of `HelmReleases`.
pub(super) const HELM: &str = "helm.toolkit.fluxcd.io";
/// Group of sources.
pub(super) const SOURCE: &str = "source.toolkit.fluxcd.io";

/// A field, and what is wrong with it.
pub(super) type Wrong = (String, String);

/// Another object, in the namespace of the one that names it unless it says another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Reference {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

/// Labels and annotations of everything that is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// An entry of `substituteFrom` or `valuesFrom`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct From {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) optional: bool,
    pub(super) values_key: String,
    pub(super) target_path: String,
    pub(super) literal: bool,
}

/// `postBuild` of a Kustomization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PostBuild {
    pub(super) substitute: BTreeMap<String, String>,
    pub(super) substitute_from: Vec<From>,
    pub(super) substitute_strategy: String,
}

/// `chart.spec` of a HelmRelease, and `spec` of a HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Chart {
    #[serde(rename = "chart")]
    pub(super) name: String,
    pub(super) version: String,
    pub(super) source_ref: Reference,
    pub(super) values_files: Vec<String>,
    pub(super) ignore_missing_values_files: bool,
}

/// What both kinds say.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) key: ObjectKey,
    pub(super) suspend: bool,
    pub(super) depends_on: Vec<Reference>,
    pub(super) target_namespace: String,
    pub(super) metadata: Metadata,
    pub(super) policy: Policy,
}

#[derive(Clone, Debug)]
pub(super) struct Kustomization {
    pub(super) common: Common,
    pub(super) source: Reference,
    pub(super) path: String,
    pub(super) decrypts: bool,
    pub(super) post_build: Option<PostBuild>,
    /// Fields that are written into the kustomization.
    pub(super) written: Value,
}

/// Where a HelmRelease has its chart from.
#[derive(Clone, Debug)]
pub(super) enum ChartFrom {
    Chart(Chart),
    Reference(Reference),
}

#[derive(Clone, Debug)]
pub(super) struct HelmRelease {
    pub(super) common: Common,
    pub(super) from: ChartFrom,
    pub(super) release_name: String,
    pub(super) values: serde_json::Map<String, Value>,
    pub(super) values_from: Vec<From>,
    pub(super) post_renderers: Vec<Value>,
    /// Actions of Helm whose hooks are not run.
    pub(super) without_hooks: Vec<&'static str>,
    pub(super) skip_crds: bool,
    pub(super) create_namespace: bool,
    /// Helm asks no schema of the chart.
    pub(super) skip_schema: bool,
}

/// A field of `spec`; its default where it is not there.
fn part<T: DeserializeOwned + Default>(spec: &Value, field: &str) -> Result<T, Wrong> {
    match spec.get(field) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(value) => {
            crate::typed::read(value).map_err(|why| (format!("spec.{field}"), format!("spec.{field}: {why}")))
        }
    }
}

fn common(object: &Object, spec: &Value) -> Result<Common, Wrong> {
    Ok(Common {
        key: object.key.clone(),
        suspend: part(spec, "suspend")?,
        depends_on: part(spec, "dependsOn")?,
        target_namespace: part(spec, "targetNamespace")?,
        metadata: part(spec, "commonMetadata")?,
        policy: Policy::of(object).unwrap_or(Policy::ByHand),
    })
}

fn spec(object: &Object) -> Result<Value, Wrong> {
    let spec = object.json.get("spec").filter(|spec| spec.is_object());
    spec.cloned().ok_or_else(|| ("spec".to_owned(), "spec is missing or no mapping".to_owned()))
}

/// Reads a Kustomization.
pub(super) fn kustomization(object: &Object) -> Result<Kustomization, Wrong> {
    let spec = spec(object)?;
    let common = common(object, &spec)?;
    let source: Reference = part(&spec, "sourceRef")?;
    if source.name.is_empty() {
        return Err(("spec.sourceRef".into(), "spec.sourceRef names no source".into()));
    }
    let text: [&str; 3] = ["targetNamespace", "namePrefix", "nameSuffix"];
    let lists = ["patches", "patchesStrategicMerge", "patchesJson6902", "images"];
    let mut written = serde_json::Map::new();
    for field in text {
        written.insert(field.into(), part::<Option<String>>(&spec, field)?.into());
    }
    for field in lists {
        written.insert(field.into(), part::<Vec<Value>>(&spec, field)?.into());
    }
    written.insert("components".into(), part::<Vec<String>>(&spec, "components")?.into());
    let ignore: bool = part(&spec, "ignoreMissingComponents")?;
    written.insert("ignoreMissingComponents".into(), ignore.into());
    Ok(Kustomization {
        source,
        path: part(&spec, "path")?,
        decrypts: spec.get("decryption").is_some_and(Value::is_object),
        post_build: part(&spec, "postBuild")?,
        written: Value::Object(written),
        common,
    })
}

/// Reads a HelmRelease.
pub(super) fn release(object: &Object) -> Result<HelmRelease, Wrong> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Template {
        spec: Chart,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Install {
        crds: String,
        create_namespace: bool,
        disable_schema_validation: bool,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Action {
        disable_hooks: bool,
    }
    let spec = spec(object)?;
    let chart: Option<Template> = part(&spec, "chart")?;
    let reference: Option<Reference> = part(&spec, "chartRef")?;
    let install: Install = part(&spec, "install")?;
    let hooks =
        [("install", part::<Action>(&spec, "install")?), ("upgrade", part::<Action>(&spec, "upgrade")?)];
    let without_hooks = hooks.into_iter().filter(|(_, said)| said.disable_hooks).map(|(action, _)| action);
    let from = match (chart, reference) {
        (Some(chart), None) => ChartFrom::Chart(chart.spec),
        (None, Some(reference)) => ChartFrom::Reference(reference),
        (Some(_), Some(_)) => {
            let message = "spec.chart and spec.chartRef are both given, and only one of them may be";
            return Err(("spec.chartRef".into(), message.into()));
        }
        (None, None) => {
            return Err(("spec.chart".into(), "one of spec.chart and spec.chartRef is needed".into()));
        }
    };
    Ok(HelmRelease {
        common: common(object, &spec)?,
        from,
        release_name: part(&spec, "releaseName")?,
        values: part(&spec, "values")?,
        values_from: part(&spec, "valuesFrom")?,
        post_renderers: part(&spec, "postRenderers")?,
        without_hooks: without_hooks.collect(),
        skip_crds: install.crds == "Skip",
        create_namespace: install.create_namespace,
        skip_schema: install.disable_schema_validation,
    })
}

impl HelmRelease {
    /// Namespace of what it installs.
    pub(super) fn namespace(&self) -> String {
        match self.common.target_namespace.as_str() {
            "" => self.common.key.name.namespace.to_string(),
            namespace => namespace.to_owned(),
        }
    }

    /// Name of the release. Flux makes one that is too long shorter.
    pub(super) fn release(&self) -> String {
        let (name, target) = (&self.common.key.name.name, &self.common.target_namespace);
        short(match (self.release_name.as_str(), target.as_str()) {
            ("", "") => name.to_string(),
            ("", target) => format!("{target}-{name}"),
            (name, _) => name.to_owned(),
        })
    }
}

/// Helm takes no longer name of a release than this.
const LONGEST: usize = 53;

/// A name that Helm takes (helm-controller `release.ShortenName`): the first 40 letters, and 12 of the whole name's digest.
fn short(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let mut short: String = name.chars().take(LONGEST - 13).collect();
    short.push('-');
    for byte in &digest.as_ref()[..6] {
        let _ = write!(short, "{byte:02x}");
    }
    short
}
