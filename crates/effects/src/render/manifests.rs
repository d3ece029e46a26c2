//! YAML text to objects: what a chart printed, and what stands in a plain folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use portolan_model::{Name, Origin, Problem, Severity, Source, yaml};
use serde_json::Value;

use super::{
    application::Directory, checkout::Checkout, glob::Glob, memo::Memo, problems, stage::VALUES_KIND,
};

/// A document of a source, before namespace and scope are known.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) json: Arc<Value>,
    pub(super) origin: Origin,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Manifests {
    pub(super) documents: Vec<Document>,
    /// Merged values of the chart.
    pub(super) values: Option<Value>,
    pub(super) problems: Vec<Problem>,
    /// Something could not be read.
    pub(super) unsure: bool,
    /// Plain files that could not be read whole: only what stood in them is in doubt.
    pub(super) unsure_files: Vec<String>,
}

/// Larger files are not read, as in plain folders.
const MOST_BYTES: u64 = 16 << 20;

/// Reads what `helm template` printed for the chart at `chart` (relative to the repository).
pub(super) fn rendered(text: &str, chart: &str, application: &Name) -> Manifests {
    let mut out = Manifests::default();
    // "---\n# Source: <chart name>/templates/x.yaml" goes before every document.
    let mut templates: BTreeMap<u32, &str> = BTreeMap::new();
    let mut before = "---";
    for (n, line) in (1_u32..).zip(text.lines()) {
        if let Some(path) = line.strip_prefix("# Source: ").filter(|_| before == "---") {
            templates.insert(n, path.split_once('/').map_or(path, |(_, rest)| rest));
        }
        before = line;
    }
    let template = |line: u32| {
        let path = templates.range(..=line).next_back().map_or("", |(_, path)| *path);
        if path.is_empty() { chart.to_owned() } else { format!("{chart}/{path}") }
    };
    let (documents, errors) = yaml::load(text);
    for error in errors {
        let message = format!("the rendered text is no YAML: {}", error.message);
        out.problems.push(problems::not_an_object(&problems::file(&template(error.line)), "", message));
        out.unsure = true;
    }
    for document in documents {
        if document.json.get("kind").and_then(Value::as_str) == Some(VALUES_KIND) {
            out.values = document.json.get("values").cloned();
            continue;
        }
        let source = Some(Source { file: template(document.line).into(), line: 1 });
        let origin = Origin { source, lines: Arc::default(), application: application.clone(), wave: 0 };
        out.documents.extend(
            items(document.json).map(|json| Document { json: Arc::new(json), origin: origin.clone() }),
        );
    }
    out
}

/// Reads a folder (or one file) of plain YAML and JSON.
pub(super) fn folder(
    checkout: &Checkout,
    path: &Path,
    directory: &Directory,
    application: &Name,
    memo: &Memo,
) -> Manifests {
    let mut out = Manifests::default();
    let mut files = Vec::new();
    if path.is_file() {
        files.push(path.to_owned());
    } else {
        walk(path, directory.recurse, 0, &mut files);
        files.sort();
        let include = Glob::loose(&directory.include).filter(|_| !directory.include.is_empty());
        let exclude = Glob::loose(&directory.exclude).filter(|_| !directory.exclude.is_empty());
        files.retain(|file| {
            let name = file.strip_prefix(path).unwrap_or(file).display().to_string();
            include.as_ref().is_none_or(|g| g.matches(&name))
                && !exclude.as_ref().is_some_and(|g| g.matches(&name))
        });
    }
    for path in files {
        let read = memo.file(&path, application, || {
            let mut out = Manifests::default();
            read_file(checkout, &path, application, &mut out);
            out
        });
        out.documents.extend(read.documents.iter().cloned());
        out.problems.extend(read.problems.iter().cloned());
        out.unsure_files.extend(read.unsure_files.iter().cloned());
    }
    out
}

fn read_file(checkout: &Checkout, path: &Path, application: &Name, out: &mut Manifests) {
    let file = checkout.show(path);
    let mut problem = |line: u32, code: u16, message: String, hint: &str| {
        let field = if line > 0 { format!("line {line}") } else { String::new() };
        out.problems.push(problems::problem(
            problems::file(&file),
            &field,
            code,
            Severity::Error,
            message,
            hint,
        ));
    };
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    let text = if size > MOST_BYTES {
        Err(format!("the file has {size} bytes; at most {MOST_BYTES} are read"))
    } else {
        match std::fs::read_to_string(path) {
            // Removed since the folder was listed: as if it had not been there.
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return,
            read => read.map_err(|why| why.to_string()),
        }
    };
    let text = match text {
        Ok(text) => text,
        Err(why) => {
            problem(0, 10, format!("the file cannot be read: {why}"), "correct the file or its mode");
            out.unsure_files.push(file);
            return;
        }
    };
    let (documents, errors) = yaml::load(&text);
    for error in &errors {
        let message = format!("YAML error at line {} column {}: {}", error.line, error.column, error.message);
        problem(error.line, 11, message, "correct the document; until then its objects stay as they were");
    }
    if !errors.is_empty() {
        out.unsure_files.push(file.clone());
    }
    for document in documents {
        let origin = Origin {
            source: Some(Source { file: file.as_str().into(), line: document.line }),
            lines: Arc::new(document.lines),
            application: application.clone(),
            wave: 0,
        };
        out.documents.extend(
            items(document.json).map(|json| Document { json: Arc::new(json), origin: origin.clone() }),
        );
    }
}

/// A `List` stands for its items.
fn items(json: Value) -> impl Iterator<Item = Value> {
    let is_list = json.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "List");
    let items = match json {
        Value::Object(mut map) if is_list => match map.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        json => vec![json],
    };
    items.into_iter()
}

fn walk(dir: &Path, recurse: bool, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        // Links are not followed: a folder must not reach outside the repository.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && recurse && depth < 32 => walk(&path, recurse, depth + 1, files),
            Ok(kind)
                if kind.is_file()
                    && path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") =>
            {
                files.push(path);
            }
            _ => {}
        }
    }
}
