//! Where the objects that Kustomize printed come from. It says the file of each (`buildMetadata: [originAnnotations]`), which
//! we ask for in our copy; the line is that of the object of the same kind whose name the printed one holds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use portolan_model::{Lines, Name, Origin, Placed, Source, yaml};
use serde_json::Value;

use super::{
    super::{
        kustomization::FILES,
        leaves::at,
        lines::LineMaps,
        manifests::{self, Document, Manifests},
        problems,
    },
    files::{Staged, normal},
};

const ANNOTATION: &str = "config.kubernetes.io/origin";

/// The objects of what was printed.
pub(in super::super) fn objects(
    text: &str,
    staged: &Staged,
    application: &Name,
    lines: &LineMaps,
) -> Manifests {
    let mut out = Manifests::default();
    let mut files = Files { staged, read: BTreeMap::new(), patches: patches(staged) };
    let (documents, errors) = yaml::load(text);
    let top = staged.own.as_ref().map_or(&staged.top, |(path, _)| path);
    for error in errors {
        let message = format!("the built text is no YAML: {}", error.message);
        out.problems.push(problems::not_an_object(&problems::file(&top.display().to_string()), "", message));
        out.unsure = true;
    }
    for mut document in documents {
        let written = annotation(&document.json);
        let (file, line, known) = files.place(&document.json, written.as_deref());
        if staged.strip && written.is_some() {
            remove(&mut document.json);
        }
        let source = Some(Source { file: file.display().to_string().into(), line });
        let origin = Origin {
            source,
            lines: lines.share(known),
            elsewhere: files.patched(&document.json, &file),
            application: application.clone(),
            owner: None,
            wave: 0,
        };
        let items = manifests::items(document.json);
        out.documents.extend(items.map(|json| Document { json: json.into(), origin: origin.clone() }));
    }
    out
}

fn annotation(json: &Value) -> Option<String> {
    Some(json.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()?.to_owned())
}

fn remove(json: &mut Value) {
    let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.remove(ANNOTATION);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

/// Staged files that objects come from, as they were read.
struct Files<'a> {
    staged: &'a Staged,
    read: BTreeMap<PathBuf, Vec<yaml::Document>>,
    patches: Vec<PathBuf>,
}

impl Files<'_> {
    fn place(&mut self, object: &Value, annotation: Option<&str>) -> (PathBuf, u32, Lines) {
        let top = self.staged.own.as_ref().map_or_else(|| self.staged.top.clone(), |(path, _)| path.clone());
        let said = annotation.and_then(|text| yaml::load(text).0.into_iter().next());
        let text = |field: &str| said.as_ref()?.json.get(field)?.as_str().map(str::to_owned);
        let real = |path: String| normal(&self.staged.top.join(path));
        if let Some(path) = text("path").map(real) {
            let documents = self.documents(&path);
            let Some(found) = same(documents, object) else { return (path, 1, Lines::default()) };
            // What a patch or an option changed does not stand there.
            let same = |(field, _): &(&str, u32)| match (at(&found.json, field), at(object, field)) {
                (Some(Value::Object(_)), Some(Value::Object(_)))
                | (Some(Value::Array(_)), Some(Value::Array(_))) => true,
                (was, is) => was == is,
            };
            let lines: Lines = found.lines.iter().filter(same).collect();
            return (path, found.line, lines.counted_from(found.line));
        }
        // Made by a generator: the field that asks for it.
        let file = text("configuredIn").map_or(top, real);
        let by = said.as_ref().and_then(|said| said.json.pointer("/configuredBy/kind")?.as_str());
        let field = match by {
            Some("ConfigMapGenerator") => "configMapGenerator",
            Some("SecretGenerator") => "secretGenerator",
            Some("HelmChartInflationGenerator") => "helmCharts",
            _ => "",
        };
        let document = self.documents(&file).first();
        let line = document.map_or(1, |document| document.lines.get(field).unwrap_or(document.line));
        (file, line, Lines::default())
    }

    /// Fields that a patch in a file of its own has as they came to be: they stand there.
    fn patched(&mut self, object: &Value, own: &Path) -> Option<Arc<BTreeMap<Name, (Placed, Source)>>> {
        if self.patches.is_empty() {
            return None;
        }
        let own = same(self.documents(own), object)?.json.clone();
        let mut found = BTreeMap::new();
        for path in &self.patches.clone() {
            for patch in self.documents(path).iter().filter(|document| is_of(&document.json, object)) {
                for (field, line) in patch
                    .lines
                    .iter()
                    .filter(|(field, _)| field.starts_with("spec") || field.starts_with("data"))
                {
                    let (now, was) = (at(object, field), at(&own, field));
                    if now.is_some() && now != was && now == at(&patch.json, field) {
                        let source = Source { file: path.display().to_string().into(), line };
                        found.insert(Name::new(field), (Placed::Exact, source));
                    }
                }
            }
        }
        (!found.is_empty()).then(|| Arc::new(found))
    }

    fn documents(&mut self, path: &Path) -> &[yaml::Document] {
        let staged = self.staged;
        self.read.entry(path.to_owned()).or_insert_with(|| {
            // What we changed in our copy has no lines of its own any more.
            let text = staged.written.get(path).or_else(|| staged.files.get(path));
            text.map(|bytes| yaml::load(&String::from_utf8_lossy(bytes)).0).unwrap_or_default()
        })
    }
}

/// Files that kustomizations name as patches.
fn patches(staged: &Staged) -> Vec<PathBuf> {
    let is_kustomization = |path: &&PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| FILES.contains(&name))
    };
    let mut found = Vec::new();
    for path in staged.files.keys().filter(is_kustomization) {
        let bytes = staged.written.get(path).or_else(|| staged.files.get(path));
        let text = bytes.map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        let Some(document) = yaml::load(&text).0.into_iter().next() else { continue };
        let folder = path.parent().unwrap_or(Path::new(""));
        let all = |field: &str| document.json[field].as_array().cloned().unwrap_or_default();
        let named = all("patches").into_iter().filter_map(|patch| Some(patch["path"].as_str()?.to_owned()));
        let plain =
            all("patchesStrategicMerge").into_iter().filter_map(|patch| Some(patch.as_str()?.to_owned()));
        found.extend(named.chain(plain).map(|patch| normal(&folder.join(patch))));
    }
    found.retain(|path| staged.files.contains_key(path));
    found
}

/// Whether a document is about the object: of its kind, and with a name that its name holds.
fn is_of(patch: &Value, object: &Value) -> bool {
    let name = |json: &'_ Value| {
        json.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    patch.get("kind") == object.get("kind") && !name(patch).is_empty() && name(object).contains(&name(patch))
}

/// The document that an object was made from: of its kind and name, else with a name that its name holds, else of its kind.
fn same<'a>(documents: &'a [yaml::Document], object: &Value) -> Option<&'a yaml::Document> {
    let name = |json: &'_ Value| {
        json.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let kind = |json: &Value| json.get("kind").and_then(Value::as_str).map(str::to_owned);
    let (wanted, own) = (kind(object), name(object));
    let of_kind = || documents.iter().filter(|document| kind(&document.json) == wanted);
    of_kind()
        .find(|document| name(&document.json) == own)
        .or_else(|| {
            let held = of_kind().filter(|document| {
                let name = name(&document.json);
                !name.is_empty() && own.contains(&name)
            });
            held.max_by_key(|document| name(&document.json).len())
        })
        .or_else(|| of_kind().next())
        .or(documents.first())
}
