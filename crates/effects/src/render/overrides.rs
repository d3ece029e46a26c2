//! What a folder says of its own source: `.argocd-source.yaml` for every Application, `.argocd-source-NAME.yaml` for one; image
//! updaters write them. Source: argoproj/argo-cd `reposerver/repository` (`mergeSourceParameters`).

use portolan_model::{Kind, intake::fates, yaml};
use serde_json::{Value, json};

use super::{
    application::Source,
    checkout::{self, Unresolved},
    problems,
    source::Reader,
};
use crate::typed;

impl Reader<'_> {
    /// The source with what its folder says laid over it; `None` if that cannot be read, which is said.
    pub(super) fn overridden(&mut self, source: &Source, folder: &str) -> Option<Source> {
        let name = self.application.key.name.name.clone();
        let mut merged = source.clone();
        for file in [".argocd-source.yaml".to_owned(), format!(".argocd-source-{name}.yaml")] {
            let path = format!("{folder}/{file}");
            let real = match self.checkout.resolve(&path) {
                Ok(real) if real.is_file() => real,
                Ok(_) | Err(Unresolved::Missing) => continue,
                Err(Unresolved::Outside) => {
                    let message = format!(
                        "{path} leads outside the repository, so how the source is rendered is not known"
                    );
                    self.fail(problems::outside, ".path", message);
                    return None;
                }
            };
            let read = checkout::read_text(&real).map_err(|why| (0, why.to_string())).and_then(|text| {
                let (documents, errors) = yaml::load(&text);
                match errors.first() {
                    Some(error) => Err((error.line, format!("line {}: {}", error.line, error.message))),
                    None => Ok(documents.into_iter().next().map_or(json!({}), |document| document.json)),
                }
            });
            let laid = read.and_then(|patch| {
                let mut value = serde_json::to_value(&merged).map_err(|why| (1, why.to_string()))?;
                merge_patch(&mut value, &patch);
                let laid: Source = typed::read(&value).map_err(|why| (1, why.to_string()))?;
                Ok((laid, patch))
            });
            match laid {
                // Only how it is rendered may be said there.
                Ok((laid, patch)) => {
                    let application = Kind::new("argoproj.io", "Application");
                    for (field, meant) in fates::unknown(&application, &patch, "spec.source") {
                        let field = field.trim_start_matches("spec.source.");
                        let meant = meant.map_or_else(String::new, |meant| {
                            format!("; did you mean {}?", meant.trim_start_matches("spec.source."))
                        });
                        let message =
                            format!("{field} of {path} is not known here, and has no effect{meant}");
                        self.report(problems::field_unknown, ".path", message);
                    }
                    merged = Source {
                        repo_url: source.repo_url.clone(),
                        path: source.path.clone(),
                        chart: source.chart.clone(),
                        target_revision: source.target_revision.clone(),
                        ..laid
                    };
                }
                Err((line, why)) => {
                    // It stands in the file, not in the Application.
                    let field = if line > 0 { format!("line {line}") } else { String::new() };
                    let message = format!("{path} cannot be used for {}: {why}", self.application.key);
                    let mut problem = problems::application_invalid(&problems::file(&path), &field, message);
                    problem.hint =
                        "correct the file; the objects of the Application stay as they were until then"
                            .into();
                    self.out.problems.push(problem);
                    self.out.unsure = true;
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
