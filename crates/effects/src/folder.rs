//! A folder of plain YAML as a source of objects.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use portolan_model::{Code, Object, ObjectKey, Origin, Problem, Severity, Source, yaml};
use serde_json::Value;

/// Everything read from a folder.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Objects, in the order of sync wave, kind (namespaces first), namespace and name.
    pub objects: Vec<Object>,
    /// What could not be read, with the file as object (`File/<path>`) and `line N` as field.
    pub problems: Vec<Problem>,
    /// Files whose text could not be read whole: what stood in them before must not be removed.
    pub unsure: Vec<String>,
}

/// Larger files are not read: nobody writes such a file by hand, and a mistake must not fill the memory.
const MOST_BYTES: u64 = 16 << 20;

/// Reads all `.yaml` and `.yml` files below `root`, hidden folders left out.
pub fn read(root: &Path) -> Read {
    let mut out = Read::default();
    let mut files = Vec::new();
    walk(root, 0, &mut files);
    files.sort();
    let mut first: BTreeMap<ObjectKey, String> = BTreeMap::new();
    for path in files {
        let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let problem = |line: u32, code: u16, message: String, hint: &str| Problem {
            object: ObjectKey::new("", "File", "", file.as_str()),
            code: Code(code),
            field: if line > 0 { format!("line {line}").into() } else { "".into() },
            severity: Severity::Error,
            message,
            hint: hint.to_owned(),
        };
        let size = std::fs::metadata(&path).map_or(0, |m| m.len());
        let text = if size > MOST_BYTES {
            Err(format!("the file has {size} bytes; at most {MOST_BYTES} are read"))
        } else {
            std::fs::read_to_string(&path).map_err(|e| e.to_string())
        };
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                out.problems.push(problem(
                    0,
                    10,
                    format!("the file cannot be read: {why}"),
                    "correct the file or its mode",
                ));
                out.unsure.push(file);
                continue;
            }
        };
        let (documents, errors) = yaml::load(&text);
        for error in &errors {
            let message =
                format!("YAML error at line {} column {}: {}", error.line, error.column, error.message);
            let hint = "correct the document; until then its objects stay as they were";
            out.problems.push(problem(error.line, 11, message, hint));
        }
        if !errors.is_empty() {
            out.unsure.push(file.clone());
        }
        for document in documents {
            let lines = Arc::new(document.lines);
            for json in items(document.json) {
                let wave = json
                    .pointer("/metadata/annotations/argocd.argoproj.io~1sync-wave")
                    .and_then(Value::as_str)
                    .and_then(|w| w.parse().ok())
                    .unwrap_or(0);
                let origin = Origin {
                    source: Some(Source { file: file.as_str().into(), line: document.line }),
                    lines: Arc::clone(&lines),
                    application: "".into(),
                    wave,
                };
                match Object::from_json(json, origin) {
                    Ok(object) => {
                        if let Some(other) = first.get(&object.key) {
                            let message =
                                format!("{} stands in {other} already; this one is left out", object.key);
                            out.problems.push(problem(document.line, 12, message, "remove one of the two"));
                        } else {
                            first.insert(object.key.clone(), format!("{file}:{}", document.line));
                            out.objects.push(object);
                        }
                    }
                    Err(why) => {
                        let message = format!("document at line {}: {why}", document.line);
                        out.problems.push(problem(document.line, 13, message, "complete the object"));
                    }
                }
            }
        }
    }
    out.objects.sort_by_key(|o| (o.origin.wave, o.key.kind.kind != "Namespace", o.key.clone()));
    out
}

/// A `List` stands for its items.
fn items(json: Value) -> Vec<Value> {
    let is_list = json.get("kind").and_then(Value::as_str).is_some_and(|k| k == "List");
    match json {
        Value::Object(mut map) if is_list => match map.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        json => vec![json],
    }
}

fn walk(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // Links are not followed: a repository must not reach outside itself.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < 32 => walk(&path, depth + 1, files),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|e| e == "yaml" || e == "yml") => {
                files.push(path);
            }
            _ => {}
        }
    }
}

/// Says when something below `root` changed. Bursts arrive as one wake-up.
///
/// # Errors
/// When the folder cannot be watched.
pub fn watch(root: &Path) -> notify::Result<(notify::RecommendedWatcher, tokio::sync::mpsc::Receiver<()>)> {
    use notify::Watcher as _;
    let (wake, woken) = tokio::sync::mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let relevant = event.is_ok_and(|event| {
            !matches!(event.kind, notify::EventKind::Access(_))
                && event.paths.iter().any(|path| {
                    // Only YAML is read; a path without an extension may be a folder that came or went.
                    let read = path.extension().is_none_or(|e| e == "yaml" || e == "yml");
                    read && !path.components().any(|c| c.as_os_str() == ".git")
                })
        });
        if relevant {
            let _ = wake.try_send(());
        }
    })?;
    watcher.watch(root, notify::RecursiveMode::Recursive)?;
    Ok((watcher, woken))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_broken_document_harms_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".git")).unwrap();
        let thing = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n");
        std::fs::write(dir.path().join(".git/x.yaml"), thing("hidden")).unwrap();
        std::fs::write(
            dir.path().join("a.yaml"),
            format!("{}---\na: [\n---\n{}", thing("one"), thing("two")),
        )
        .unwrap();
        std::fs::write(dir.path().join("b.yaml"), format!("{}---\nkind: X\n", thing("two"))).unwrap();
        let read = read(dir.path());
        let names: Vec<_> = read.objects.iter().map(|o| o.key.to_string()).collect();
        assert_eq!(names, ["Namespace/one", "Namespace/two"]);
        let codes: Vec<_> =
            read.problems.iter().map(|p| (p.code.0, p.object.to_string(), p.field.to_string())).collect();
        assert_eq!(read.unsure, ["a.yaml"]);
        assert_eq!(codes[0].0, 11);
        assert_eq!(
            codes[1..],
            [(12, "File/b.yaml".into(), "line 1".into()), (13, "File/b.yaml".into(), "line 6".into())]
        );
    }
}
