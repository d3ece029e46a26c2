//! An Argo CD Application (`argoproj.io/v1alpha1`): what of it decides what is rendered.
//! Source: argoproj/argo-cd `pkg/apis/application/v1alpha1/types.go`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use portolan_core::gitops::sync::Policy;
use portolan_model::{Name, Object, ObjectKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checkout::same_place;

/// A parsed Application.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// Its key.
    pub key: ObjectKey,
    /// Sync wave.
    pub wave: i32,
    /// `spec.sources`, else the one `spec.source`.
    pub sources: Vec<Source>,
    /// They are `spec.sources`, be it one: only there `$name/…` is a file of another source (`HasMultipleSources`).
    pub multiple: bool,
    /// `spec.sourceHydrator.syncSource.targetBranch`: its source is the dry one, of which Argo CD writes there what it applies.
    pub hydrates: Option<String>,
    /// `spec.destination`.
    pub destination: Destination,
    /// `spec.syncPolicy.syncOptions` has `CreateNamespace=true`.
    pub create_namespace: bool,
    /// What becomes of objects that it no longer brings.
    pub policy: Policy,
    /// `spec.project`.
    pub project: String,
    /// `spec.syncPolicy.managedNamespaceMetadata`, of a namespace that is created.
    pub namespace_metadata: Option<NamespaceMetadata>,
}

/// `spec.syncPolicy.managedNamespaceMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NamespaceMetadata {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// `spec.destination`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// API server.
    pub server: String,
    /// Cluster by name.
    pub name: String,
    /// Namespace for objects that have none.
    pub namespace: String,
}

/// `spec.source`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)] // the names of the type they mirror
pub struct Source {
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    pub path: String,
    pub chart: String,
    pub target_revision: String,
    pub r#ref: String,
    pub helm: Option<Helm>,
    pub directory: Option<Directory>,
    pub kustomize: Option<Value>,
    pub plugin: Option<Value>,
    /// What Flux does with it; it is a source of this repository.
    #[serde(skip)]
    pub flux: Option<super::flux::Flux>,
}

/// `source.helm`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, clippy::struct_excessive_bools)] // switches of the type it mirrors
pub struct Helm {
    pub version: String,
    pub release_name: String,
    pub value_files: Vec<String>,
    pub ignore_missing_value_files: bool,
    pub values: String,
    /// Wins over `values`, which is then ignored altogether (`ApplicationSourceHelm.ValuesYAML`).
    pub values_object: Option<Value>,
    pub parameters: Vec<Parameter>,
    pub file_parameters: Vec<FileParameter>,
    pub skip_crds: bool,
    pub skip_tests: bool,
    pub skip_schema_validation: bool,
    pub namespace: String,
    pub kube_version: String,
    pub api_versions: Vec<String>,
}

/// `helm.parameters[]`: one `--set`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Parameter {
    pub name: String,
    pub value: String,
    pub force_string: bool,
}

/// `helm.fileParameters[]`: one `--set-file`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct FileParameter {
    pub name: String,
    pub path: String,
}

/// `source.directory`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Directory {
    pub recurse: bool,
    pub include: String,
    pub exclude: String,
    pub jsonnet: Option<Value>,
    #[serde(rename = "disableExtensionFilter")]
    pub disable_extension_filter: bool,
    /// It is a plain folder, which no Application names: kustomizations and charts in it are left out (`overlays`).
    #[serde(skip)]
    pub plain: bool,
}

impl Source {
    /// Without options that say nothing, which are no type (`NormalizeSource`).
    pub(super) fn normalized(&self) -> Self {
        let mut source = self.clone();
        source.kustomize = source.kustomize.filter(says);
        source.helm = source.helm.filter(|helm| *helm != Helm::default());
        source.directory = source.directory.filter(|directory| {
            let jsonnet = directory.jsonnet.as_ref().is_some_and(says);
            directory.recurse
                || directory.disable_extension_filter
                || jsonnet
                || !directory.include.is_empty()
                || !directory.exclude.is_empty()
        });
        source
    }

    /// The types that it names itself (`ExplicitType`); more than one is refused.
    pub(super) fn types(&self) -> Vec<&'static str> {
        let types = [
            ("Kustomize", self.kustomize.is_some()),
            ("Helm", self.helm.is_some()),
            ("Directory", self.directory.is_some()),
            ("Plugin", self.plugin.is_some()),
        ];
        types.into_iter().filter(|(_, named)| *named).map(|(name, _)| name).collect()
    }
}

/// Whether options are other than Go's zero value.
fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(fields) => fields.values().any(says),
        _ => true,
    }
}

/// Whether a key is that of an Application, or of what Flux has in its place.
pub fn is_kind(key: &ObjectKey) -> bool {
    portolan_core::gitops::brings(&key.kind)
}

/// Whether a key is that of an AppProject.
pub(super) fn is_project(key: &ObjectKey) -> bool {
    key.kind.is("argoproj.io", "AppProject")
}

/// With it Argo CD does not look at an Application.
pub(super) const SKIP: &str = "metadata.annotations[argocd.argoproj.io/skip-reconcile]";

/// Whether an Application says so; what is no boolean to Go says nothing.
pub(super) fn is_skipped(object: &Object) -> bool {
    let skip = object.annotation("argocd.argoproj.io/skip-reconcile");
    skip.is_some_and(|value| ["1", "t", "T", "true", "TRUE", "True"].contains(&value))
}

/// Whether a document is followed: an Application, a set of them, or a project that they are judged by.
pub(super) fn is_followed(json: &serde_json::Value) -> bool {
    let text = |field: &str| json.get(field).and_then(serde_json::Value::as_str);
    matches!(text("kind"), Some("Application" | "ApplicationSet" | "AppProject"))
        && text("apiVersion").is_some_and(|v| v.starts_with("argoproj.io/"))
        || super::flux::is_followed(json)
}

/// Reads an Application.
///
/// # Errors
/// The field and what is wrong with it.
pub fn parse(object: &Object) -> Result<Application, (&'static str, String)> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct SyncPolicy {
        sync_options: Vec<String>,
        managed_namespace_metadata: Option<NamespaceMetadata>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Hydrator {
        dry_source: Option<Source>,
        sync_source: Written,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Written {
        target_branch: String,
    }
    fn part<T: serde::de::DeserializeOwned + Default>(
        spec: &Value,
        name: &str,
        field: &'static str,
    ) -> Result<T, (&'static str, String)> {
        match spec.get(name) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => crate::typed::read(value).map_err(|why| (field, format!("{field}: {why}"))),
        }
    }
    let spec = object.json.get("spec").ok_or(("spec", "spec is missing".to_owned()))?;
    let hydrator: Hydrator = part(spec, "sourceHydrator", "spec.sourceHydrator")?;
    let mut sources: Vec<Source> = part(spec, "sources", "spec.sources")?;
    let multiple = !sources.is_empty() && hydrator.dry_source.is_none();
    if let Some(dry) = hydrator.dry_source {
        // It wins over the others (`GetSource`).
        sources = vec![dry];
    } else if sources.is_empty() {
        match spec.get("source") {
            None | Some(Value::Null) => return Err(("spec.source", "spec.source is missing".into())),
            Some(_) => sources.push(part(spec, "source", "spec.source")?),
        }
    }
    if let Some(why) = ambiguous(&sources) {
        return Err(("spec.sources", why));
    }
    // Argo CD's own validation of a spec, beyond the definition of the kind (`ValidateRepo`, `ValidateDestination`).
    if let Some(source) = sources.iter().find(|source| Path::new(&source.path).is_absolute()) {
        return Err(("spec.source.path", format!("the app path {} is absolute", source.path)));
    }
    let text = |field: &str| spec.get("destination").and_then(|d| d.get(field)).and_then(Value::as_str);
    let [name, server] = ["name", "server"].map(|field| text(field).unwrap_or_default());
    if !name.is_empty() && !server.is_empty() {
        let message = format!("it can't have both name and server defined: {name} {server}");
        return Err(("spec.destination", message));
    }
    if name.is_empty() && server.is_empty() {
        let message = "Destination server missing from app spec: it has neither server nor name";
        return Err(("spec.destination", message.to_owned()));
    }
    let policy: SyncPolicy = part(spec, "syncPolicy", "spec.syncPolicy")?;
    let create_namespace = policy.sync_options.iter().any(|option| option == "CreateNamespace=true");
    Ok(Application {
        key: object.key.clone(),
        project: part(spec, "project", "spec.project")?,
        namespace_metadata: policy.managed_namespace_metadata.filter(|_| create_namespace),
        wave: super::order::wave(&object.json),
        hydrates: spec
            .get("sourceHydrator")
            .is_some_and(|h| h.get("drySource").is_some_and(Value::is_object))
            .then_some(hydrator.sync_source.target_branch),
        sources,
        multiple,
        destination: part(spec, "destination", "spec.destination")?,
        create_namespace,
        policy: Policy::of(object).unwrap_or(Policy::ByHand),
    })
}

/// What is wrong with the names that sources lend their files under (`GetRefSources`).
fn ambiguous(sources: &[Source]) -> Option<String> {
    let mut names = BTreeSet::new();
    sources.iter().map(|source| source.r#ref.as_str()).filter(|name| !name.is_empty()).find_map(|name| {
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Some(format!(
                "sources.ref {name} cannot contain any special characters except '_' and '-'"
            ));
        }
        let again = !names.insert(name);
        again.then(|| format!("invalid sources: multiple sources had the same `ref` key: {name}"))
    })
}

/// What is wrong with files of other sources that a source of several names, as `$name/file`: the field below the source, and Argo CD's words
/// (`runManifestGenAsync`). It asks before it looks for the file, so `ignoreMissingValueFiles` says nothing of it.
pub(super) fn unresolved(application: &Application, source: &Source) -> Option<(String, String)> {
    let helm = source.helm.as_ref().filter(|_| application.multiple && source.flux.is_none())?;
    let files = helm.value_files.iter().enumerate().map(|(n, file)| (format!(".helm.valueFiles[{n}]"), file));
    let parameters = helm.file_parameters.iter().enumerate();
    let parameters = parameters.map(|(n, one)| (format!(".helm.fileParameters[{n}].path"), &one.path));
    let mut taken: Vec<(&str, &Source)> = Vec::new();
    for (field, file) in files.chain(parameters) {
        let Some(rest) = file.strip_prefix('$') else { continue };
        let name = rest.split('/').next().unwrap_or_default();
        let named = |source: &&Source| !source.r#ref.is_empty();
        let all: Vec<&Source> = application.sources.iter().filter(named).collect();
        let Some(of) = all.iter().copied().find(|source| source.r#ref == name) else {
            let names: Vec<String> = all.iter().map(|source| format!("${}", source.r#ref)).collect();
            let why = if names.is_empty() {
                format!("source referenced \"${name}\", but no source has a 'ref' field defined")
            } else {
                format!(
                    "source referenced \"${name}\", which is not one of the available sources ({})",
                    names.join(", ")
                )
            };
            return Some((field, why));
        };
        if !of.chart.is_empty() {
            let why = format!(
                "source \"${name}\" has a 'chart' field defined, but Helm charts are not supported for 'ref' sources: Argo CD takes files of Git repositories only"
            );
            return Some((field, why));
        }
        let other = taken.iter().find(|(_, other)| same_place(&other.repo_url, &of.repo_url));
        match other {
            Some((key, other)) if other.target_revision != of.target_revision => {
                let why = format!(
                    "cannot reference multiple revisions for the same repository (${name} references {:?} while ${key} references {:?})",
                    of.target_revision, other.target_revision
                );
                return Some((field, why));
            }
            Some(_) => {}
            None => taken.push((name, of)),
        }
    }
    None
}

impl Application {
    /// The Application's own name.
    pub fn name(&self) -> &Name {
        &self.key.name.name
    }
}
