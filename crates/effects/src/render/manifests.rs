//! YAML text to objects: what a chart printed, and what stands in a plain file.

use std::{collections::BTreeMap, path::Path, time::Duration};

use portolan_model::{Json, Lines, Name, Origin, Problem, Severity, Source, yaml};
use portolan_schema::Definitions;
use serde_json::Value;

use super::{
    checkout::{self, Checkout},
    encoding, kustomization,
    lines::LineMaps,
    marks, problems,
    stage::{VALUES_KIND, printed},
    stream,
};

/// A document of a source, before namespace and scope are known.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Packed once the part is noted: the trees of a whole repository would take ten times its text.
    pub(super) json: Json,
    pub(super) origin: Origin,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pub(super) documents: Vec<Document>,
    /// Those that are told of and not brought: they are made elsewhere.
    pub(super) withheld: Vec<Document>,
    /// Merged values of the chart.
    pub(super) values: Option<Value>,
    pub(super) problems: Vec<Problem>,
    /// Something could not be read.
    pub(super) unsure: bool,
    /// The plain file, if it could not be read whole: only what stood in it is in doubt.
    pub(super) unsure_file: Option<String>,
    /// The plain file, if it holds something else than objects.
    pub(super) no_manifest: Option<String>,
    /// Argo CD refuses the whole Application for it: nothing of it is applied.
    pub(super) refused: bool,
    /// It is to be read again soon: somebody may be writing it, or it cannot be read for now.
    pub(super) again: bool,
}

/// A key stands twice in one mapping.
const REPEATED: u16 = 12;
const ONCE: &str = "remove one of the two: readers other than Kubernetes' take the first, or none";

fn twice(key: &str) -> String {
    format!("{key} stands twice; the last one counts, as for kubectl and Argo CD")
}

/// A kind of source that is not rendered.
const UNSUPPORTED: u16 = 608;
const KUSTOMIZATION: &str = "the folder is a kustomization, which is not rendered: the files that it brings are read as they stand, its patches and other changes are left out";
const RENDERED: &str = "put the output of `kustomize build` into a folder of its own, and read that";

/// Reads what `helm template` printed for the chart at `chart` (relative to the repository).
///
/// `marked`: the same with the lines of templates in it. They count where the document is the same as without.
pub(crate) fn rendered(text: &str, chart: &str, application: &Name, marked: Option<&str>) -> Manifests {
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
        match (chart, path) {
            (chart, "") => chart.to_owned(),
            ("", path) => path.to_owned(),
            (chart, path) => format!("{chart}/{path}"),
        }
    };
    let (documents, errors) = yaml::load(text);
    for error in errors {
        let message = format!("the rendered text is no YAML: {}", error.message);
        out.problems.push(problems::not_an_object(&problems::file(&template(error.line)), "", message));
        (out.unsure, out.refused) = (true, !application.is_empty());
    }
    let with_marks = marked.map_or_else(Vec::new, |text| yaml::load(text).0);
    let marked_lines: Vec<&str> = marked.into_iter().flat_map(str::lines).collect();
    let comparable = with_marks.len() == documents.len();
    for (n, document) in documents.into_iter().enumerate() {
        if document.json.get("kind").and_then(Value::as_str) == Some(VALUES_KIND) {
            out.values = document.json.get("values").and_then(printed);
            continue;
        }
        for (key, _) in &document.repeated {
            let file = problems::file(&template(document.line));
            out.problems.push(problems::problem(file, "", REPEATED, Severity::Warning, twice(key), ONCE));
        }
        let same = with_marks.get(n).filter(|one| comparable && one.json == document.json);
        let (line, lines) =
            same.and_then(|one| marks::lines(one, &marked_lines)).unwrap_or((1, Lines::default()));
        let source = Some(Source { file: template(document.line).into(), line });
        let origin =
            Origin { source, lines, elsewhere: None, application: application.clone(), owner: None, wave: 0 };
        out.documents
            .extend(items(document.json).map(|json| Document { json: json.into(), origin: origin.clone() }));
    }
    out
}

/// How long an empty file may be one that is about to be written.
const YOUNG: Duration = Duration::from_secs(2);

fn is_young(path: &Path) -> bool {
    let changed = std::fs::metadata(path).and_then(|meta| meta.modified());
    changed.is_ok_and(|changed| changed.elapsed().map_or(true, |age| age < YOUNG))
}

/// A file that somebody is writing: not read, and nothing that stood in it is gone.
pub(super) fn unfinished(checkout: &Checkout, path: &Path) -> Manifests {
    Manifests { unsure_file: Some(checkout.show(path)), ..Manifests::default() }
}

/// A link that leads outside the repository: Argo CD reads nothing of the Application.
pub(super) fn outside(checkout: &Checkout, path: &Path) -> Manifests {
    let file = checkout.show(path);
    let message = "illegal filepath in symlink: it leads outside the repository; Argo CD refuses the whole Application for it, and nothing of it is applied";
    let problem = problems::problem(
        problems::file(&file),
        "",
        601,
        Severity::Error,
        message.to_owned(),
        "take the link away",
    );
    Manifests { unsure_file: Some(file), refused: true, problems: vec![problem], ..Manifests::default() }
}

/// A file of jsonnet: Argo CD evaluates each in a folder (`findManifests`), which is not done here.
pub(super) fn jsonnet(checkout: &Checkout, path: &Path) -> Manifests {
    if checkout::read(path).is_ok_and(|bytes| encoding::text(&bytes).contains(SKIP)) {
        return Manifests::default();
    }
    let message = "Argo CD evaluates it, and jsonnet is not evaluated here: what it brings is not known, and nothing that its Application brought is removed";
    let hint = "put what it comes to into the folder as YAML; or leave it out with directory.exclude";
    let file = problems::file(&checkout.show(path));
    let problem = problems::problem(file, "", UNSUPPORTED, Severity::Warning, message.to_owned(), hint);
    Manifests { unsure: true, problems: vec![problem], ..Manifests::default() }
}

/// What a file holds that Argo CD does not pass over, but refuses the whole Application for (`getObjsFromYAMLOrJSON`), and the line.
fn refused(
    path: &Path,
    text: &str,
    documents: &[yaml::Document],
    errors: &[yaml::YamlError],
) -> Option<(u16, u32, String)> {
    const INCOMPLETE: u16 = 610;
    const NO_YAML: u16 = 11;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.extension().is_some_and(|extension| extension == "json") {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let found = match values.next() {
            None => Some((1, format!("Failed to unmarshal {name:?}: EOF"))),
            Some(Err(why)) => {
                Some((why.line().try_into().unwrap_or(1), format!("Failed to unmarshal {name:?}: {why}")))
            }
            Some(Ok(value)) if !value.is_object() => {
                Some((1, format!("Failed to unmarshal {name:?}: it holds no JSON object")))
            }
            Some(Ok(_)) if values.next().is_some() => {
                let why = "Only single objects are allowed in JSON files.";
                Some((1, format!("Found multiple objects in {name:?}. {why}")))
            }
            _ => None,
        };
        return found.map(|(line, why)| (INCOMPLETE, line, why));
    }
    // What looks like no object at all is passed over.
    let looks = ["apiVersion:", "kind:", "metadata:"].iter().all(|field| text.contains(field));
    let wrong = errors.first().map_or(u32::MAX, |error| error.line);
    let framing = stream::misframed(text).filter(|(line, _)| *line <= wrong);
    let until = framing.as_ref().map_or(wrong, |(line, _)| *line);
    let before: Vec<_> =
        documents.iter().filter(|document| !document.json.is_null() && document.line < until).collect();
    let is_object =
        |json: &Value| json.get("kind").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty());
    if let Some((n, none)) = before.iter().enumerate().find(|(_, document)| !is_object(&document.json)) {
        return (n > 0 || looks).then(|| {
            let why =
                format!("Failed to unmarshal {name:?}: Object 'Kind' is missing in one of its documents");
            (INCOMPLETE, none.line, why)
        });
    }
    if let Some((line, why)) = framing {
        let said = (NO_YAML, line, format!("Failed to unmarshal {name:?}: {why}"));
        return (looks || !before.is_empty()).then_some(said);
    }
    let error = errors.first().filter(|_| looks || !before.is_empty())?;
    let (line, column, why) = (error.line, error.column, &error.message);
    Some((
        NO_YAML,
        line,
        format!("Failed to unmarshal {name:?}: YAML error at line {line} column {column}: {why}"),
    ))
}

/// What to do about `name: {{.name}}`, of which YAML makes a mapping whose key is one.
fn quotes(text: &str, line: u32) -> Option<String> {
    let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let (_, rest) = line.split_once(": {{")?;
    let (action, _) = rest.split_once("}}")?;
    Some(format!(
        "put it in quotes, as '{{{{{action}}}}}': a bare brace begins a mapping; until then its objects stay as they were"
    ))
}

/// A file with this is passed over.
const SKIP: &str = "+argocd:skip-file-rendering";

/// Reads one file of plain YAML or JSON.
pub(super) fn file(checkout: &Checkout, path: &Path, application: &Name, lines: &LineMaps) -> Manifests {
    let mut out = Manifests::default();
    let file = checkout.show(path);
    let mut problem = |line: u32, code: u16, message: String, hint: &str| {
        let field = if line > 0 { format!("line {line}") } else { String::new() };
        let severity =
            if [REPEATED, UNSUPPORTED].contains(&code) { Severity::Warning } else { Severity::Error };
        out.problems.push(problems::problem(problems::file(&file), &field, code, severity, message, hint));
    };
    let argo = !application.is_empty();
    let text = if argo {
        checkout::read(path).map(|bytes| encoding::text(&bytes))
    } else {
        checkout::read_text(path)
    };
    let text = match text {
        Ok(text) => text,
        // Removed since the folder was listed: as if it had not been there.
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return out,
        Err(why) => {
            problem(
                0,
                10,
                format!("the file cannot be read: {why}"),
                "correct the file or its mode; `up` keeps what it brought before",
            );
            (out.unsure_file, out.again) = (Some(file), true);
            return out;
        }
    };
    // Cut a moment ago, by somebody who is about to fill it.
    if text.trim().is_empty() && is_young(path) {
        (out.unsure_file, out.again) = (Some(file), true);
        return out;
    }
    if argo && text.contains(SKIP) {
        return out;
    }
    let (documents, errors) = yaml::load(&stream::as_yaml(&text));
    let refusal = if argo { refused(path, &text, &documents, &errors) } else { None };
    if let Some((code, line, why)) = refusal {
        let message =
            format!("{why}; Argo CD refuses the whole Application for it, and nothing of it is applied");
        // What is no YAML may be complete; what does not even begin as an object is perhaps none.
        let meant =
            || documents.iter().any(|document| is_manifest(&document.json)) || text.contains("argoproj.io/");
        let hint = if code == 11 && meant() {
            "correct the YAML; until then all that the Application brought stays as it was"
        } else {
            "complete the document, leave the file out with directory.exclude, or put the comment +argocd:skip-file-rendering into it"
        };
        let quoted = quotes(&text, line);
        problem(line, code, message, quoted.as_deref().unwrap_or(hint));
        (out.unsure_file, out.refused) = (Some(file), true);
        return out;
    }
    if argo && stream::misframed(&text).is_some() {
        // It looks like no object, and is passed over.
        out.no_manifest = Some(file);
        return out;
    }
    // As Argo CD: what looks like no object need not be YAML (templates, `.json` with comments). What stood there before stays.
    let looks = ["apiVersion", "metadata"].iter().any(|field| text.contains(field));
    // Nor is it in a folder that nobody applies as it is: a template of another program (Jinja) stands there for that program.
    let other = application.is_empty() && text.lines().any(|line| line.trim_start().starts_with("{%"));
    let looks = looks && (errors.is_empty() || !other);
    if !looks {
        out.no_manifest = (!errors.is_empty()).then(|| file.clone());
    }
    // A template of Helm is no YAML in many places, for one reason.
    let template = text.lines().any(|line| line.trim_start().starts_with("{{"));
    let (most, hint) = if template {
        (
            1,
            "it is a template, which is YAML once Helm has rendered it: name the chart with --root, or take the file out",
        )
    } else {
        (errors.len(), "correct the document; until then its objects stay as they were")
    };
    for error in errors.iter().take(most).filter(|_| looks) {
        let quoted = quotes(&text, error.line).filter(|_| !template);
        let hint = quoted.as_deref().unwrap_or(hint);
        let message = format!("YAML error at line {} column {}: {}", error.line, error.column, error.message);
        problem(error.line, 11, message, hint);
    }
    if !errors.is_empty() {
        out.unsure_file = Some(file.clone());
    }
    for (key, line) in documents.iter().flat_map(|document| &document.repeated) {
        problem(*line, REPEATED, twice(key), ONCE);
    }
    for document in documents {
        let first = document.line;
        if kustomization::is_document(path, &document.json) {
            problem(first, UNSUPPORTED, KUSTOMIZATION.to_owned(), RENDERED);
            continue;
        }
        if !is_manifest(&document.json) {
            out.no_manifest = Some(file.clone());
            continue;
        }
        let origin = Origin {
            source: Some(Source { file: file.as_str().into(), line: first }),
            lines: lines.share(document.lines.counted_from(first)),
            elsewhere: None,
            application: application.clone(),
            owner: None,
            wave: 0,
        };
        out.documents
            .extend(items(document.json).map(|json| Document { json: json.into(), origin: origin.clone() }));
    }
    out
}

/// Whether a document is meant as an object. One without `apiVersion` or `kind` that has `metadata` is, with a slip of the pen.
fn is_manifest(json: &Value) -> bool {
    let has = |field: &str| json.get(field).is_some();
    has("apiVersion") && has("kind")
        || json.get("metadata").is_some_and(Value::is_object) && (has("apiVersion") || has("kind"))
}

/// Whether a document configures a program (kind, k3d, kubelet): it has a kind that no API server knows, and no metadata.
pub(super) fn is_configuration(json: &Value, definitions: &Definitions) -> bool {
    let text = |field: &str| json.get(field).and_then(Value::as_str);
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else { return false };
    let group = version.split_once('/').map_or("", |(group, _)| group);
    json.get("metadata").is_none() && !group.is_empty() && definitions.namespaced(group, kind).is_none()
}

/// A `List`, of whatever kind (`HTTPRouteList`), stands for its items.
pub(super) fn items(json: Value) -> impl Iterator<Item = Value> {
    let kind = json.get("kind").and_then(Value::as_str).unwrap_or_default();
    // Items that are no list are not no items: the document is an object then, and said to be none.
    let items = json.get("items");
    let is_list = kind.ends_with("List") && items.is_some_and(Value::is_array)
        || kind == "List" && items.is_none_or(Value::is_null);
    let items = match json {
        Value::Object(mut map) if is_list => match map.remove("items") {
            Some(Value::Array(mut items)) => {
                of_list(&map, &mut items);
                items
            }
            _ => Vec::new(),
        },
        json => vec![json],
    };
    items.into_iter()
}

/// Items of a list of one kind need not say theirs (apimachinery `unstructured`, `decodeToList`).
fn of_list(list: &serde_json::Map<String, Value>, items: &mut [Value]) {
    let kind = list.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List"));
    let Some(kind) = kind.filter(|kind| !kind.is_empty()) else { return };
    for item in items.iter_mut().filter_map(Value::as_object_mut).filter(|item| !item.contains_key("kind")) {
        item.insert("kind".into(), kind.into());
        if let Some(version) = list.get("apiVersion") {
            item.insert("apiVersion".into(), version.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_list_stands_for_its_items_and_a_map_is_no_list() {
        let list = |kind: &str, items: Value| {
            items_of(&serde_json::json!({"apiVersion": "v1", "kind": kind, "items": items}))
        };
        let two = serde_json::json!([{"kind": "A"}, {"kind": "B"}]);
        assert_eq!(list("List", two.clone()), ["A", "B"]);
        assert_eq!(list("SecretList", two), ["A", "B"]);
        assert_eq!(list("SecretList", serde_json::json!([{"metadata": {"name": "a"}}])), ["Secret"]);
        assert_eq!(list("List", Value::Null), [""; 0]);
        assert_eq!(list("List", serde_json::json!({"a": "b"})), ["List"]);
        assert_eq!(list("AllowList", serde_json::json!({"a": "b"})), ["AllowList"]);
    }

    /// Kinds of what a document stands for.
    fn items_of(json: &Value) -> Vec<String> {
        items(json.clone()).map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn lines_are_those_of_the_file_and_one_map_serves_equal_layouts() {
        let dir = tempfile::tempdir().unwrap();
        let route = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n    - port: 80\n";
        let path = dir.path().join("a.yaml");
        std::fs::write(
            &path,
            format!("# two of a kind\n\n{route}---\n{route}---\n# moved\nkind: X\nmetadata: {{}}\n"),
        )
        .unwrap();
        let checkout = Checkout::open(dir.path()).unwrap();
        let read = file(&checkout, &path, &Name::default(), &LineMaps::default());
        let origins: Vec<&Origin> = read.documents.iter().map(|document| &document.origin).collect();
        let lines = |field: &str| origins.iter().map(|o| o.line_of(field).unwrap()).collect::<Vec<_>>();
        assert_eq!(lines(""), [3, 10, 18]);
        assert_eq!(lines("spec.ports[0].port"), [8, 15, 18]);
        assert_eq!(lines("spec.ports[3]"), [7, 14, 18]);
        assert!(origins[0].lines.is(&origins[1].lines));
    }
}
