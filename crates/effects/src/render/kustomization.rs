//! Kustomizations in plain folders: they are not rendered, and their patches are no objects.

use std::path::{Path, PathBuf};

use portolan_model::yaml;
use serde_json::Value;

use super::checkout;

/// Names of a kustomization's file (`RecognizedKustomizationFileNames` of kustomize).
pub(super) const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Whether the path has the name of a kustomization's file.
pub(super) fn is_one(path: &Path) -> bool {
    path.file_name().is_some_and(|name| FILES.iter().any(|file| name == *file))
}

/// Whether a document of the file is a kustomization, or a component of one. Its `apiVersion` and `kind` may be left out;
/// Flux's Kustomization, which may stand in a file of the same name, is an object and has metadata.
pub(super) fn is_document(path: &Path, json: &Value) -> bool {
    let text = |field| json.get(field).and_then(Value::as_str);
    match text("apiVersion") {
        Some(group) => group.starts_with("kustomize.config.k8s.io/"),
        None => is_one(path) && json.is_object() && text("kind").is_none_or(|kind| kind == "Kustomization"),
    }
}

/// Whether a kustomization beside or above the file, inside `folder`, lists it as something else than an object: a patch,
/// or what it configures or generates from.
pub(super) fn takes(folder: &Path, file: &Path) -> bool {
    let above = file.ancestors().skip(1).take_while(|dir| dir.starts_with(folder));
    let files = above.flat_map(|dir| FILES.iter().map(move |name| (dir, dir.join(name))));
    files.into_iter().any(|(dir, kustomization)| {
        // A link may lead to what has no end, and a pipe would be waited for.
        checkout::read_text(&kustomization).is_ok_and(|text| {
            let (documents, _) = yaml::load(&text);
            documents.iter().flat_map(|document| listed(&document.json)).any(|path| at(dir, path) == file)
        })
    })
}

/// Whether something stands in the folder under one of the names: also what leads outside, or is no file, so that it is
/// said to be that and not passed over.
pub(super) fn stands(folder: &Path, names: &[&str]) -> bool {
    let there = |name: &&str| folder.join(name).symlink_metadata().is_ok_and(|meta| !meta.is_dir());
    names.iter().any(there)
}

/// A path in the kustomization of a folder.
fn at(dir: &Path, path: &str) -> PathBuf {
    let parts = Path::new(path).components().filter(|part| *part != std::path::Component::CurDir);
    dir.join(parts.collect::<PathBuf>())
}

/// Paths of files that hold no objects.
fn listed(json: &Value) -> Vec<&str> {
    let items = |field: &str| json.get(field).and_then(Value::as_array).into_iter().flatten();
    let mut paths = Vec::new();
    for field in ["patchesStrategicMerge", "transformers", "generators", "validators", "configurations"] {
        paths.extend(items(field).filter_map(Value::as_str));
    }
    for field in ["patches", "patchesJson6902", "replacements"] {
        paths.extend(items(field).filter_map(|item| item.get("path")?.as_str()));
    }
    for field in ["configMapGenerator", "secretGenerator"] {
        for files in items(field).flat_map(|item| ["files", "envs"].map(|field| item.get(field))).flatten() {
            let files = files.as_array().into_iter().flatten().filter_map(Value::as_str);
            // "key=path".
            paths.extend(files.map(|file| file.split_once('=').map_or(file, |(_, path)| path)));
        }
    }
    paths.extend(items("helmCharts").filter_map(|item| item.get("valuesFile")?.as_str()));
    paths
}
