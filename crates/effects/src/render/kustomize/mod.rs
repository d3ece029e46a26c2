//! Kustomizations, built by the real Kustomize in a copy that holds what they name, closed in like Helm. Argo CD does the
//! same (`util/kustomize/kustomize.go`); what it sets by `kustomize edit` we write into the copy (`options`).
//!
//! ```text
//!  files: kustomization --names--> files, other kustomizations, charts   (URLs are taken out and said)
//!  options: spec.source.kustomize is written into the copy
//!  build: kustomize build (--enable-helm only where charts are there)    (kept by content)
//!  origins: which file and line each object comes from
//! ```

pub(super) mod build;
pub(super) mod files;
pub(super) mod options;
pub(super) mod origins;
mod source;
mod veil;

use serde_json::{Map, Value, json};

/// Asks for the origin of each object in our copy. Gives whether the annotation has to be taken out again.
pub(super) fn ask_origins(own: &mut Map<String, Value>) -> bool {
    const ASK: &str = "originAnnotations";
    // Kustomize refuses one that says nothing, and so shall our copy.
    let says = |(field, value): (&String, &Value)| {
        !matches!(&**field, "apiVersion" | "kind" | "metadata")
            && !matches!(value, Value::Null)
            && !value.as_array().is_some_and(Vec::is_empty)
    };
    if !own.iter().any(says) {
        return false;
    }
    let entry = own.entry("buildMetadata").or_insert_with(|| json!([]));
    if entry.is_null() {
        *entry = json!([]);
    }
    // What is no list Kustomize refuses itself.
    let Some(all) = entry.as_array_mut() else { return false };
    let asked = all.iter().any(|one| one == ASK);
    if !asked {
        all.push(ASK.into());
    }
    !asked
}
