//! What a folder says of its own source: `.argocd-source.yaml` for every Application, `.argocd-source-NAME.yaml` for one; image
//! updaters write them. Source: argoproj/argo-cd `reposerver/repository` (`mergeSourceParameters`).

use portolan_model::yaml;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{application::Source, checkout, problems, source::Reader};

impl Reader<'_> {
    /// The source with what its folder says laid over it; `None` if that cannot be read, which is said.
    pub(super) fn overridden(&mut self, source: &Source, folder: &str) -> Option<Source> {
        let name = self.application.key.name.name.clone();
        let mut merged = source.clone();
        for file in [".argocd-source.yaml".to_owned(), format!(".argocd-source-{name}.yaml")] {
            let path = format!("{folder}/{file}");
            let Ok(real) = self.checkout.resolve(&path) else { continue };
            if !real.is_file() {
                continue;
            }
            let read = checkout::read_text(&real).map_err(|why| why.to_string()).and_then(|text| {
                let (documents, errors) = yaml::load(&text);
                match errors.first() {
                    Some(error) => Err(format!("line {}: {}", error.line, error.message)),
                    None => Ok(documents.into_iter().next().map_or(json!({}), |document| document.json)),
                }
            });
            let laid = read.and_then(|patch| {
                let mut value = serde_json::to_value(&merged).map_err(|why| why.to_string())?;
                merge_patch(&mut value, &patch);
                Source::deserialize(&value).map_err(|why| why.to_string())
            });
            match laid {
                // Only how it is rendered may be said there.
                Ok(laid) => {
                    merged = Source {
                        repo_url: source.repo_url.clone(),
                        path: source.path.clone(),
                        chart: source.chart.clone(),
                        target_revision: source.target_revision.clone(),
                        ..laid
                    };
                }
                Err(why) => {
                    self.fail(
                        problems::application_invalid,
                        ".path",
                        format!("{path} cannot be used: {why}"),
                    );
                    return None;
                }
            }
        }
        Some(merged)
    }
}

/// RFC 7386.
pub(super) fn merge_patch(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let Some(map) = value.as_object_mut() else { return };
    for (key, part) in patch {
        if part.is_null() {
            map.remove(key);
        } else {
            merge_patch(map.entry(key.clone()).or_insert(Value::Null), part);
        }
    }
}
