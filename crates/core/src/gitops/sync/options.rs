//! Options that stand in annotations and in `spec.syncPolicy.syncOptions`.

use portolan_model::Object;
use serde_json::Value;

/// Options of one object, separated by commas.
const SYNC: &str = "argocd.argoproj.io/sync-options";
/// How an object counts when it is compared.
const COMPARE: &str = "argocd.argoproj.io/compare-options";
/// Helm's own: `keep` leaves the object when its release goes, or no longer has it.
const HELM: &str = "helm.sh/resource-policy";
/// Annotations and labels of kustomize-controller.
const FLUX: &str = "kustomize.toolkit.fluxcd.io";

/// `Prune=` and `Delete=`: any other value is as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `false`
    Never,
    /// `confirm`
    Confirm,
    /// It is there and asks for nothing special; it wins over what the Application says.
    Yes,
}

impl Choice {
    fn read(value: &str) -> Self {
        match value {
            "false" => Self::Never,
            "confirm" => Self::Confirm,
            _ => Self::Yes,
        }
    }
}

/// The values of an annotation that is a list (`GetAnnotationCSVs`).
fn listed<'a>(object: &'a Object, annotation: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    object
        .annotation(annotation)
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// The first `name=value` of a list (`GetOptionValue`).
fn valued<'a>(mut options: impl Iterator<Item = &'a str>, name: &str) -> Option<Choice> {
    options.find_map(|option| option.strip_prefix(name)?.strip_prefix('=').map(Choice::read))
}

/// `Prune=` or `Delete=` of an object.
pub(super) fn of_object(object: &Object, name: &str) -> Option<Choice> {
    valued(listed(object, SYNC), name)
}

/// The same of an Application, for its objects.
pub(super) fn of_application(application: &Value, name: &str) -> Option<Choice> {
    let options = application.pointer("/spec/syncPolicy/syncOptions").and_then(Value::as_array);
    valued(options.into_iter().flatten().filter_map(Value::as_str), name)
}

/// `IgnoreExtraneous`: that it is no longer in the repository is not out of sync.
pub(super) fn ignores_extraneous(object: &Object) -> bool {
    listed(object, COMPARE).any(|option| option == "IgnoreExtraneous")
}

/// `helm.sh/resource-policy: keep`
pub(super) fn helm_keeps(object: &Object) -> bool {
    listed(object, HELM).any(|option| option == "keep")
}

/// An annotation or label of kustomize-controller has the value, whatever its case (`ssa.AnyInMetadata`).
pub(super) fn flux_says(json: &Value, name: &str, value: &str) -> bool {
    let metadata = |field: &str| json.get("metadata")?.get(field)?.get(format!("{FLUX}/{name}"))?.as_str();
    [metadata("annotations"), metadata("labels")]
        .into_iter()
        .flatten()
        .any(|said| said.eq_ignore_ascii_case(value))
}

/// Why kustomize-controller does not apply an object at all: what is live stays as it is, and what is not is not made.
pub fn flux_leaves(json: &Value) -> Option<&'static str> {
    [("reconcile", "disabled", "reconcile: disabled"), ("ssa", "Ignore", "ssa: Ignore")]
        .into_iter()
        .find(|(name, value, _)| flux_says(json, name, value))
        .map(|(.., said)| said)
}
