//! Which value of a chart a field comes from, where its template's line names one alone: the leaf is changed, the chart rendered once
//! more, and what does not change with it does not come from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use portolan_model::{Name, Object, ObjectKey, Placed, Source, yaml};
use serde_json::{Map, Value};

use super::{
    Tools,
    helm::{self, Request},
    manifests::{self, Manifests},
};

/// Fields of one chart that are looked into; each is a run of Helm.
const MOST: usize = 8;

/// How values are called that stand in the Application itself.
const OWN: [&str; 2] = ["helm.values", "helm.valuesObject"];

/// An object and one of its fields.
pub type Asked = (ObjectKey, Name);

/// Notes, of the fields that are asked for, where the values stand that they come from.
pub(super) fn note(tools: &Tools, request: &Request<'_>, asked: &BTreeSet<Asked>, read: &mut Manifests) {
    let found: Vec<(usize, Name, Source)> = asked
        .iter()
        .filter_map(|(key, field)| Some((number(read, key)?, field)))
        .filter_map(|(n, field)| Some((n, field, leaf(request, read, n, field)?)))
        .take(MOST)
        .filter(|(n, field, leaf)| comes_from(tools, request, read, *n, field, leaf))
        .filter_map(|(n, field, leaf)| Some((n, field.clone(), stands(request, &leaf)?)))
        .collect();
    let mut values: BTreeMap<usize, BTreeMap<Name, (Placed, Source)>> = BTreeMap::new();
    for (n, field, source) in found {
        values.entry(n).or_default().insert(field, (Placed::Value, source));
    }
    for (n, values) in values {
        read.documents[n].origin.elsewhere = Some(Arc::new(values));
    }
}

/// The document that is the object.
fn number(read: &Manifests, key: &ObjectKey) -> Option<usize> {
    read.documents.iter().position(|document| {
        Object::identity(&document.json).is_ok_and(|(own, _)| {
            own.kind == key.kind
                && own.name.name == key.name.name
                && (own.name.namespace.is_empty() || own.name.namespace == key.name.namespace)
        })
    })
}

/// The one value that the line of the field names, with its path, if it is text, a number or a switch.
fn leaf(request: &Request<'_>, read: &Manifests, n: usize, field: &str) -> Option<(Vec<String>, Value)> {
    let origin = &read.documents[n].origin;
    let place = origin.place_of(field).filter(|place| place.placed == Placed::Exact)?;
    let below = Path::new(place.file.as_str()).strip_prefix(request.shown).ok()?;
    // In a chart below another, values are those of that one.
    let text = below.starts_with("templates").then(|| request.staged.files.get(below)).flatten()?;
    let text = std::str::from_utf8(text).ok()?;
    let line = text.lines().nth(place.line?.checked_sub(1)? as usize)?;
    let path = only_value(line)?;
    let value = path.iter().try_fold(read.values.as_ref()?, |at, part| at.get(part))?;
    (!value.is_null() && !value.is_object() && !value.is_array()).then(|| (path, value.clone()))
}

/// `.Values.a.b`, where a line has no other.
fn only_value(line: &str) -> Option<Vec<String>> {
    let mut all = line.match_indices(".Values.").map(|(at, found)| {
        let rest = &line[at + found.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && !"_.".contains(c)).unwrap_or(rest.len());
        rest[..end].trim_end_matches('.')
    });
    let first = all.next()?;
    let parts = || first.split('.').map(str::to_owned).collect::<Vec<_>>();
    all.all(|other| other == first).then(parts).filter(|parts| parts.iter().all(|part| !part.is_empty()))
}

/// Whether the field is another when the leaf is.
fn comes_from(
    tools: &Tools,
    request: &Request<'_>,
    read: &Manifests,
    n: usize,
    field: &str,
    (path, value): &(Vec<String>, Value),
) -> bool {
    let other = match value {
        Value::Bool(on) => Value::Bool(!on),
        Value::Number(number) => number.as_i64().map_or(Value::Null, |number| (number + 1).into()),
        Value::String(text) => format!("{text}x").into(),
        _ => Value::Null,
    };
    let changed =
        path.iter().rev().fold(other, |value, part| Value::Object(Map::from_iter([(part.clone(), value)])));
    let (mut values, files) = (request.values.clone(), request.files.clone());
    values.push(("a changed value".to_owned(), yaml::of_json(&changed).into_bytes()));
    let request = Request { values, files, ..*request };
    let Ok(text) = helm::template(tools, &helm::key(tools, &request), &request) else { return false };
    let changed = manifests::rendered(&text, request.shown, &Name::default(), None);
    let (old, new) = (&read.documents, &changed.documents);
    old.len() == new.len() && at(&old[n].json, field) != at(&new[n].json, field)
}

/// Where the leaf stands: in the last of the files that has it, else in the chart's own. In one where an alias or a merge key brings
/// it, its line is not known, and no earlier file has it; what an Application itself says stands in none.
fn stands(request: &Request<'_>, (parts, _): &(Vec<String>, Value)) -> Option<Source> {
    let own = request.staged.files.get(Path::new("values.yaml"));
    let own_name = if request.shown.is_empty() {
        "values.yaml".to_owned()
    } else {
        format!("{}/values.yaml", request.shown)
    };
    let given = request.values.iter().rev().map(|(name, content)| (name.as_str(), content));
    let path = parts.join(".");
    let mut all = given.chain(own.map(|content| (own_name.as_str(), content)));
    let (name, document) = all.find_map(|(name, content)| {
        let document = yaml::load(std::str::from_utf8(content).ok()?).0.into_iter().next()?;
        let has = parts.iter().try_fold(&document.json, |at, part| at.get(part)).is_some();
        has.then_some((name, document))
    })?;
    let line = document.lines.get(&path).filter(|_| !OWN.contains(&name))?;
    Some(Source { file: name.into(), line })
}

/// The value of a field as findings name it: `spec.rules[0].name`, `metadata.annotations[a.b/c]`.
pub(super) fn at<'a>(json: &'a Value, field: &str) -> Option<&'a Value> {
    let mut at = json;
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (name, after) = inside.split_once(']')?;
            at = name.parse::<usize>().map_or_else(|_| at.get(name), |number| at.get(number))?;
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            at = at.get(&rest[..end])?;
            rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_names_one_value_or_none_is_told() {
        let path = |line: &str| only_value(line).map(|path| path.join("/"));
        assert_eq!(path("  host: {{ .Values.web.host | quote }}"), Some("web/host".to_owned()));
        assert_eq!(path("  {{ if .Values.a }}{{ .Values.a }}{{ end }}"), Some("a".to_owned()));
        assert_eq!(path("  host: {{ .Values.a }}.{{ .Values.b }}"), None);
        assert_eq!(path("  host: {{ $host }}"), None);
        assert_eq!(path("  host: {{ .Values. }}"), None);
    }

    #[test]
    fn a_field_is_found_as_findings_name_it() {
        let json = json!({"a": [{"b": {"x.y/z": 1}}]});
        assert_eq!(at(&json, "a[0].b[x.y/z]"), Some(&json!(1)));
        assert_eq!((at(&json, "a[1]"), at(&json, "a.b"), at(&json, "")), (None, None, Some(&json)));
    }
}
