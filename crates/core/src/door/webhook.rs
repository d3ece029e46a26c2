//! What cert-manager's webhook has against an object: `model/src/intake/certificates/refusals.rs`, and the names of the Secret and
//! of what its template puts on it, by the rules that the API server has for them.

use portolan_model::{
    Code, ObjectKey, Problem, Severity,
    intake::{self, Refusal},
};
use portolan_schema::names;
use serde_json::{Map, Value};

use super::{TOLD, more};

/// Most bytes of all annotations (`TotalAnnotationSizeLimitB`).
const ANNOTATIONS: usize = 256 << 10;

/// One problem of all that a webhook has against an object.
pub(super) fn refused(key: &ObjectKey, json: &Value) -> Option<Problem> {
    let mut refusals = intake::webhook(key, json);
    if key.kind.is("cert-manager.io", "Certificate") {
        certificate(&json["spec"], &mut refusals);
    }
    let first = refusals.first()?;
    let told = refusals.iter().take(TOLD).map(|one| format!("{}: {}", one.field, one.words));
    let words: Vec<String> = told.collect();
    Some(Problem {
        object: key.clone(),
        code: Code(5),
        field: first.field.clone().into(),
        severity: Severity::Error,
        message: format!(
            "the object is left out, as cert-manager's webhook refuses it: {}{}",
            words.join("; "),
            more(refusals.len())
        ),
        hint: format!("{}; until then what was stored before stays", first.hint),
    })
}

fn certificate(spec: &Value, out: &mut Vec<Refusal>) {
    let mut say = |field: String, words: Vec<String>, hint: &str| {
        out.extend(words.into_iter().map(|words| Refusal {
            field: field.clone(),
            words,
            hint: hint.to_owned(),
        }));
    };
    if let Some(name) = spec["secretName"].as_str().filter(|name| !name.is_empty()) {
        say("spec.secretName".into(), names::subdomain(name), "write a name that a Secret can have");
    }
    let template = &spec["secretTemplate"];
    let map = |field: &str| template[field].as_object().cloned().unwrap_or_default();
    for (key, value) in map("labels") {
        let words =
            names::label_key(&key).into_iter().chain(names::label_value(value.as_str().unwrap_or_default()));
        say(
            format!("spec.secretTemplate.labels[{key}]"),
            words.collect(),
            "write a label that a Secret can have",
        );
    }
    let annotations: Map<String, Value> = map("annotations");
    for key in annotations.keys() {
        // Upper case is taken there.
        let words = names::label_key(&key.to_lowercase());
        let field = format!("spec.secretTemplate.annotations[{key}]");
        say(field, words, "write the name of an annotation that a Secret can have");
    }
    let size: usize =
        annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > ANNOTATIONS {
        let words = vec![format!("Too long: may not be more than {ANNOTATIONS} bytes")];
        say("spec.secretTemplate.annotations".into(), words, "shorten them");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn said(spec: &Value) -> Vec<String> {
        let mut out = Vec::new();
        certificate(spec, &mut out);
        out.into_iter().map(|one| one.field).collect()
    }

    #[test]
    fn the_secret_and_what_its_template_puts_on_it_have_names_that_kubernetes_takes() {
        let long = "a".repeat(ANNOTATIONS);
        for (spec, field) in [
            (json!({"secretName": "Bad_Name"}), "spec.secretName"),
            (json!({"secretTemplate": {"labels": {"a b": "c"}}}), "spec.secretTemplate.labels[a b]"),
            (json!({"secretTemplate": {"labels": {"a": "c d"}}}), "spec.secretTemplate.labels[a]"),
            (
                json!({"secretTemplate": {"annotations": {"a/b/c": "d"}}}),
                "spec.secretTemplate.annotations[a/b/c]",
            ),
            (json!({"secretTemplate": {"annotations": {"a": long}}}), "spec.secretTemplate.annotations"),
        ] {
            assert_eq!(said(&spec), [field], "{field}");
        }
        let good = json!({"secretName": "tls.a-b", "secretTemplate": {
            "labels": {"a.example/B": "c_D"}, "annotations": {"A.example/B": "any text"}}});
        assert_eq!(said(&good), Vec::<String>::new());
    }

    #[test]
    fn a_certificate_is_refused_by_them() {
        let key = ObjectKey::new("cert-manager.io", "Certificate", "n", "c");
        let spec = json!({"secretName": "Bad_Name", "dnsNames": ["a.example"], "issuerRef": {"name": "i"}});
        let problem = refused(&key, &json!({"spec": spec})).unwrap();
        assert_eq!((problem.code.0, &*problem.field), (5, "spec.secretName"));
        assert!(problem.message.contains("lowercase RFC 1123 subdomain"), "{}", problem.message);
    }
}
