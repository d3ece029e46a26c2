//! Which requests a policy matches.

use serde_json::Value;

use super::{Out, list, selectors, text, words};
use crate::path::Path;

/// `validateMatchResources`.
pub fn match_resources(resources: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    out.supported(&path.field("matchPolicy"), text(resources, "matchPolicy"), &["Equivalent", "Exact"]);
    for field in ["namespaceSelector", "objectSelector"] {
        selectors::selector(&resources[field], &path.field(field), out);
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for (at, rule) in list(resources, field).iter().enumerate() {
            self::rule(rule, &path.field(field).index(at), out);
        }
    }
}

fn rule(rule: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    let names = list(rule, "resourceNames");
    for (at, name) in names.iter().enumerate() {
        let path = path.field("resourceNames");
        let path = path.index(at);
        let text = name.as_str().unwrap_or_default();
        out.each(&path, text, words::path_segment(text));
        if names[..at].contains(name) {
            out.duplicate(&path, text);
        }
    }
    let alone = |values: &[Value]| values.len() > 1 && values.iter().any(|value| value == "*");
    let (operations, place) = (list(rule, "operations"), path.field("operations"));
    if operations.is_empty() {
        out.required(&place, "");
    }
    if alone(operations) {
        out.invalid(&place, operations.to_vec(), "if '*' is present, must not specify other operations");
    }
    for (at, operation) in operations.iter().enumerate() {
        let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
        out.supported(&place.index(at), operation.as_str().unwrap_or_default(), &known);
    }
    for (field, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let (values, place) = (list(rule, field), path.field(field));
        if values.is_empty() {
            out.required(&place, "");
        }
        if alone(values) {
            out.invalid(&place, values.to_vec(), format!("if '*' is present, must not specify other {what}"));
        }
        if field == "apiVersions" {
            for (at, _) in values.iter().enumerate().filter(|(_, value)| *value == "") {
                out.required(&place.index(at), "");
            }
        }
    }
    resources(list(rule, "resources"), &path.field("resources"), out);
    out.supported(&path.field("scope"), text(rule, "scope"), &["*", "Cluster", "Namespaced"]);
}

fn resources(resources: &[Value], path: &Path<'_>, out: &mut Out<'_>) {
    if resources.is_empty() {
        out.required(path, "");
    }
    let (mut with_all_subs, mut of_all) = (Vec::new(), Vec::new());
    let mut plain = false;
    for (at, resource) in resources.iter().enumerate() {
        let resource = resource.as_str().unwrap_or_default();
        let path = path.index(at);
        if resource.is_empty() {
            out.required(&path, "");
            continue;
        }
        let Some((of, sub)) = resource.split_once('/') else {
            plain = resource != "*";
            continue;
        };
        if with_all_subs.contains(&of) {
            out.invalid(&path, resource, format!("if '{of}/*' is present, must not specify {resource}"));
        }
        if of_all.contains(&sub) {
            out.invalid(&path, resource, format!("if '*/{sub}' is present, must not specify {resource}"));
        }
        if sub == "*" {
            with_all_subs.push(of);
        }
        if of == "*" {
            of_all.push(sub);
        }
    }
    let all = |wanted: &str| resources.iter().any(|resource| resource == wanted);
    if resources.len() > 1 && all("*/*") {
        out.invalid(path, resources.to_vec(), "if '*/*' is present, must not specify other resources");
    }
    if all("*") && plain {
        let words = "if '*' is present, must not specify other resources without subresources";
        out.invalid(path, resources.to_vec(), words);
    }
}
