//! The kustomization of a folder that has none: Flux makes one that names all YAML files in it, and folders in it that have
//! one as a whole. Source: fluxcd/pkg `kustomize/kustomize_generator.go`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::{checkout::Checkout, kustomization::FILES};

const DEEPEST: usize = 32;
const MOST_FILES: usize = 20_000;
/// Whether a folder has a kustomization of its own.
fn has_one(checkout: &Checkout, folder: &Path) -> bool {
    let paths = FILES.iter().map(|name| folder.join(name));
    paths.into_iter().any(|path| path.is_file() && !checkout.leaves_out(&path, false))
}

/// The kustomization that Flux makes of `folder`.
///
/// # Errors
/// A sentence for the finding.
pub(super) fn of(checkout: &Checkout, folder: &Path) -> Result<Map<String, Value>, String> {
    let mut resources = Vec::new();
    list(checkout, folder, folder, 0, &mut resources)
        .map_err(|why| format!("{} cannot be listed: {why}", checkout.show(folder)))?;
    let mut made = Map::new();
    made.insert("apiVersion".into(), json!("kustomize.config.k8s.io/v1beta1"));
    made.insert("kind".into(), json!("Kustomization"));
    if resources.is_empty() {
        // Kustomize refuses one that says nothing.
        made.insert("namespace".into(), json!("_placeholder"));
    } else {
        made.insert("resources".into(), json!(resources));
    }
    Ok(made)
}

fn list(
    checkout: &Checkout,
    top: &Path,
    folder: &Path,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), String> {
    if depth > DEEPEST || found.len() > MOST_FILES {
        return Err(format!("it holds more than {MOST_FILES} files, or folders {DEEPEST} deep"));
    }
    let entries = std::fs::read_dir(folder).map_err(|why| why.to_string())?;
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name() == ".git" {
            continue;
        }
        // Links are no part of what Flux takes.
        let Ok(kind) = entry.file_type() else { continue };
        let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if kind.is_dir() && !has_one(checkout, &path) {
            list(checkout, top, &path, depth + 1, found)?;
        } else if kind.is_dir() || kind.is_file() && yaml && !checkout.leaves_out(&path, false) {
            let path = path.strip_prefix(top).unwrap_or(&path);
            found.push(format!("./{}", path.display()));
        }
    }
    Ok(())
}
