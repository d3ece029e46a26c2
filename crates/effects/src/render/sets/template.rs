//! Templates of an ApplicationSet: strings with `{{name}}`, or Go templates, which are run by Helm
//! (argoproj/argo-cd `applicationset/utils/utils.go`).

use std::{collections::BTreeMap, fmt::Write as _};

use portolan_model::yaml;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Tools,
        application::Helm,
        helm::{self, Failure, Request},
        stage,
    },
    Params,
    room::MOST_BYTES,
    strict::{self, rewrite},
};

const KIND: &str = "PortolanTexts";

/// How the strings of a set are filled in.
pub(super) struct Renderer<'a> {
    pub(super) tools: &'a Tools,
    /// `spec.goTemplate`.
    pub(super) go: bool,
    /// `missingkey=error` is among `spec.goTemplateOptions`.
    pub(super) strict: bool,
    /// The set, for messages.
    pub(super) shown: &'a str,
}

impl Renderer<'_> {
    /// Fills in each text for each set of parameters: the outer list is that of the parameters.
    ///
    /// # Errors
    /// Why it cannot be done, in Argo CD's or Helm's words.
    pub(super) fn fill(&self, texts: &[String], params: &[Params]) -> Result<Vec<Vec<String>>, Failure> {
        if self.go && texts.iter().any(|text| text.contains("{{")) && !params.is_empty() {
            return self.go(texts, params);
        }
        // Each text stands once for each set of parameters.
        let mut room = MOST_BYTES;
        let mut one = |text: &String, params: &Params| {
            let filled =
                if self.go { (text.len() <= room).then(|| text.clone()) } else { old(text, params, room) };
            let filled = filled.ok_or_else(|| {
                Failure::Chart(format!("its templates come to more than {} MiB", MOST_BYTES >> 20))
            })?;
            room -= filled.len();
            Ok(filled)
        };
        params.iter().map(|params| texts.iter().map(|text| one(text, params)).collect()).collect()
    }

    /// The same of all strings in a document, keys included (`deeplyReplace`).
    pub(super) fn fill_in(&self, document: &Value, params: &[Params]) -> Result<Vec<Value>, Failure> {
        let mut texts = Vec::new();
        collect(document, &mut texts);
        let filled = self.fill(&texts, params)?;
        Ok(filled.into_iter().map(|texts| put(document, &mut texts.into_iter())).collect())
    }

    /// One chart with a template for each text, and all parameters as values.
    fn go(&self, texts: &[String], params: &[Params]) -> Result<Vec<Vec<String>>, Failure> {
        let mut defined = [strict::NORMALIZE, strict::SLUGIFY].concat();
        for (n, text) in texts.iter().enumerate() {
            let text = rewrite(text, self.strict)
                .map_err(|why| Failure::Chart(format!("failed to parse template {text}: {why}")))?;
            let _ = writeln!(defined, "{{{{ define \"t{n}\" }}}}{text}{{{{ end }}}}");
        }
        let mut calls = String::new();
        for n in 0..texts.len() {
            let _ = write!(calls, " (include \"t{n}\" $p)");
        }
        let out = format!(
            "{{{{- $all := list }}}}\n{{{{- range $p := .Values.params }}}}\n{{{{- $all = append $all (list{calls}) }}}}\n{{{{- end }}}}\n\
             {{{{- dict \"apiVersion\" \"portolan.dev/internal\" \"kind\" {KIND:?} \"metadata\" (dict \"name\" \"texts\") \"texts\" ($all | toJson | b64enc) | toJson }}}}\n"
        );
        let chart = json!({"apiVersion": "v2", "name": "applicationset", "version": "0.0.0"}).to_string();
        let files = BTreeMap::from([
            ("Chart.yaml".into(), chart.into_bytes()),
            ("templates/_texts.tpl".into(), defined.into_bytes()),
            ("templates/out.yaml".into(), out.into_bytes()),
        ]);
        let staged = stage::of(files);
        let values = yaml::of_json(&json!({"params": params})).into_bytes();
        let helm = Helm::default();
        let request = Request {
            staged: &staged,
            release: "set",
            namespace: "argocd",
            values: vec![("parameters".to_owned(), values)],
            files: Vec::new(),
            helm: &helm,
            shown: self.shown,
        };
        let text = helm::template(self.tools, &helm::key(self.tools, &request), &request)?;
        let found = yaml::load(&text).0.into_iter().find(|document| document.json["kind"] == KIND);
        let rows = found.and_then(|document| stage::printed(&document.json["texts"]));
        let rows = rows.and_then(|rows| serde_json::from_value(rows).ok());
        rows.ok_or_else(|| Failure::Tool("gave no texts back".to_owned()))
    }
}

/// Whether an action takes labels or annotations of a cluster: `field` is `metadata.labels.` or `metadata.annotations.`. Go templates
/// have more ways to them than their path, as `index .metadata.labels "tier"`.
pub(super) fn takes_metadata(text: &str, field: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, others) = match field {
        "metadata.labels." => ("labels", "annotations"),
        _ => ("annotations", "labels"),
    };
    let mut actions =
        text.split("{{").skip(1).map(|rest| rest.split_once("}}").map_or(rest, |(action, _)| action));
    actions.any(|action| {
        action.match_indices("metadata").any(|(at, word)| {
            let (before, after) = (&action[..at], &action[at + word.len()..]);
            if before.ends_with(is_name) || after.starts_with(is_name) {
                return false;
            }
            match after.strip_prefix('.') {
                Some(rest) => rest.strip_prefix(name).is_some_and(|rest| !rest.starts_with(is_name)),
                // The whole, of which the action takes one, or anything.
                None => action.contains(name) || !action.contains(others),
            }
        })
    })
}

/// `{{name}}`; what is no parameter stays as it is. `None` if it comes to more bytes than that.
fn old(text: &str, params: &Params, most: usize) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let Some(end) = rest[at + 2..].find("}}") else { break };
        out.push_str(&rest[..at]);
        let tag = &rest[at + 2..at + 2 + end];
        match params.get(tag.trim()).and_then(Value::as_str) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[at..at + 4 + end]),
        }
        rest = &rest[at + 4 + end..];
        if out.len() > most {
            return None;
        }
    }
    out.push_str(rest);
    (out.len() <= most).then_some(out)
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(map) => {
            for (key, value) in map {
                texts.push(key.clone());
                collect(value, texts);
            }
        }
        _ => {}
    }
}

/// The document with its strings replaced in the order of `collect`.
fn put(value: &Value, texts: &mut impl Iterator<Item = String>) -> Value {
    match value {
        Value::String(_) => Value::String(texts.next().unwrap_or_default()),
        Value::Array(items) => items.iter().map(|item| put(item, texts)).collect(),
        Value::Object(map) => {
            let mut out = Map::new();
            for value in map.values() {
                let key = texts.next().unwrap_or_default();
                out.insert(key, put(value, texts));
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn old_templates_leave_what_they_do_not_know() {
        let params = json!({"path": "apps/a", "path.basename": "a", "n": 1});
        let params = params.as_object().unwrap();
        assert_eq!(
            old("{{path.basename}}-{{ path }} {{none}} {{n}} {{", params, 26).as_deref(),
            Some("a-apps/a {{none}} {{n}} {{")
        );
        assert_eq!(old("{{path.basename}}-{{ path }} {{none}} {{n}} {{", params, 25), None);
        assert_eq!(old(&"{{path}}".repeat(1 << 20), params, 1 << 10), None);
    }

    #[test]
    fn all_ways_to_what_a_cluster_says_of_itself() {
        let takes = |text: &str| {
            ["metadata.labels.", "metadata.annotations."].map(|field| takes_metadata(text, field))
        };
        for (text, wanted) in [
            (r#"{{ index .metadata.labels "tier" }}"#, [true, false]),
            (r#"a{{ if (index .metadata.labels \"tier\") }}b{{ end }}"#, [true, false]),
            (r#"{{ index .metadata "labels" "tier" }}"#, [true, false]),
            (r#"{{ index . "metadata" "annotations" "x" }}"#, [false, true]),
            ("{{ range $k, $v := .metadata.annotations }}{{ $k }}{{ end }}", [false, true]),
            ("{{ toJson .metadata }}", [true, true]),
            ("{{ metadata.labels.x }}", [true, false]),
            ("metadata.labels {{ .name }}", [false, false]),
            ("{{ .own_metadata }} {{ .metadata.name }} {{ .metadata.labelsOf }}", [false, false]),
        ] {
            assert_eq!(takes(text), wanted, "{text}");
        }
    }

    #[test]
    fn keys_are_filled_in_too() {
        let document = json!({"a": ["x", 1], "k-{{x}}": {"b": "y"}});
        let mut texts = Vec::new();
        collect(&document, &mut texts);
        assert_eq!(texts, ["a", "x", "k-{{x}}", "b", "y"]);
        let filled = put(&document, &mut texts.into_iter().map(|text| text.replace("{{x}}", "1")));
        assert_eq!(filled, json!({"a": ["x", 1], "k-1": {"b": "y"}}));
    }
}
