//! ValidatingAdmissionPolicy and its binding.

use std::sync::Arc;

use portolan_cel::{Expression, Names, Scope};
use serde_json::Value;

use super::{Out, SPEC, has, list, match_resources::match_resources, selectors, text, words};
use crate::{cause::Cause, path::Path};

pub fn policy(object: &Value, out: &mut Out<'_>) {
    let spec = &object["spec"];
    out.supported(&SPEC.field("failurePolicy"), text(spec, "failurePolicy"), &["Fail", "Ignore"]);
    let params = has(spec, "paramKind");
    if params {
        param_kind(&spec["paramKind"], &SPEC.field("paramKind"), out);
    }
    let path = SPEC.field("matchConstraints");
    if has(spec, "matchConstraints") {
        match_resources(&spec["matchConstraints"], &path, out);
        if list(&spec["matchConstraints"], "resourceRules").is_empty() {
            out.required(&path.field("resourceRules"), "");
        }
    } else {
        out.required(&path, "");
    }
    let mut scope = Scope { names: Names::Policy { params }, variables: Vec::new() };
    conditions(list(spec, "matchConditions"), &scope, out);
    for (at, variable) in list(spec, "variables").iter().enumerate() {
        let path = SPEC.field("variables");
        self::variable(variable, &path.index(at), &mut scope, out);
    }
    let (validations, annotations) = (list(spec, "validations"), list(spec, "auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let words = "validations or auditAnnotations must contain at least one item";
        out.required(&SPEC.field("validations"), words);
        out.required(&SPEC.field("auditAnnotations"), words);
        return;
    }
    for (at, validation) in validations.iter().enumerate() {
        let path = SPEC.field("validations");
        self::validation(validation, &path.index(at), &scope, out);
    }
    let path = SPEC.field("auditAnnotations");
    if annotations.len() > 20 {
        out.invalid(&path, annotations.to_vec(), "must not have more than 20 auditAnnotations");
    }
    let mut keys = Vec::new();
    for (at, annotation) in annotations.iter().enumerate() {
        let path = path.index(at);
        let key = text(annotation, "key");
        let name = text(&object["metadata"], "name");
        if name.is_empty() {
            out.invalid(&path.field("key"), key, "requires metadata.name be non-empty");
        } else {
            let whole = format!("{name}/{key}");
            out.each(&path.field("key"), whole.as_str(), words::label_key(&whole));
        }
        let path_of_value = path.field("valueExpression");
        let expression = text(annotation, "valueExpression").trim();
        if expression.is_empty() {
            out.required(&path_of_value, "valueExpression is not specified");
        } else if expression.len() > 5 * 1024 {
            out.required(&path_of_value, "must not exceed 5120 bytes in length");
        } else {
            compile(expression, &path_of_value, &scope, out);
        }
        if keys.contains(&key) {
            out.duplicate(&path.field("key"), key);
        }
        keys.push(key);
    }
}

/// What does not compile is told as cel-go tells the first fault.
fn compile(source: &str, path: &Path<'_>, scope: &Scope, out: &mut Out<'_>) -> Option<Expression> {
    match Expression::compile(source, scope) {
        Ok(expression) => Some(expression),
        Err(fault) => {
            out.invalid(path, source, format!("compilation failed: {}", fault.cel_go(source)));
            if let Some(cause) = out.0.last_mut() {
                cause.hint = Some(fault.hint);
            }
            None
        }
    }
}

fn param_kind(kind: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    let version = text(kind, "apiVersion");
    let place = path.field("apiVersion");
    let parts: Vec<&str> = version.split('/').collect();
    let (group, part) = match parts[..] {
        [""] => {
            out.required(&place, "");
            ("", None)
        }
        [version] => ("", Some(version)),
        [group, version] => (group, Some(version)),
        _ => {
            out.invalid(&place, version, format!("unexpected GroupVersion string: {version}"));
            ("", None)
        }
    };
    if let Some(part) = part {
        let wrong = if group.is_empty() { vec![] } else { words::subdomain(group) };
        if !wrong.is_empty() {
            out.invalid(&place, group, wrong.join(","));
        }
        let wrong = words::dns_1035(part);
        if part.is_empty() {
            out.invalid(&place, version, "version must be specified");
        } else if !wrong.is_empty() {
            out.invalid(&place, part, wrong.join(","));
        }
    }
    let name = text(kind, "kind");
    let place = path.field("kind");
    let wrong = words::dns_1035(&name.to_lowercase());
    if name.is_empty() {
        out.required(&place, "");
    } else if !wrong.is_empty() {
        let words = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
        out.invalid(&place, name, words);
    }
}

fn conditions(conditions: &[Value], scope: &Scope, out: &mut Out<'_>) {
    let path = SPEC.field("matchConditions");
    if conditions.len() > 64 {
        out.too_many(&path, conditions.len(), 64);
    }
    let mut names = Vec::new();
    for (at, condition) in conditions.iter().enumerate() {
        let path = path.index(at);
        let expression = text(condition, "expression").trim();
        if expression.is_empty() {
            out.required(&path.field("expression"), "");
        } else {
            compile(expression, &path.field("expression"), scope, out);
        }
        let name = text(condition, "name");
        let place = path.field("name");
        if name.is_empty() {
            out.required(&place, "");
            continue;
        }
        out.each(&place, name, words::label_key(name));
        if names.contains(&name) {
            out.duplicate(&place, name);
        }
        names.push(name);
    }
}

fn variable(variable: &Value, path: &Path<'_>, scope: &mut Scope, out: &mut Out<'_>) {
    let name = text(variable, "name");
    let place = path.field("name");
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let identifier =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(letters);
    if name.trim().is_empty() {
        out.required(&place, "name is not specified");
    } else if !identifier || crate::cel::is_reserved(name) {
        out.invalid(&place, name, "must be a valid CEL identifier");
    }
    let expression = text(variable, "expression");
    let place = path.field("expression");
    if expression.trim().is_empty() {
        return out.required(&place, "expression is not specified");
    }
    let made = compile(expression, &place, scope, out);
    // One that does not compile is declared all the same: its users are not to blame.
    let made = made.or_else(|| Expression::compile("null", &Scope::default()).ok());
    scope.variables.extend(made.map(|made| (Arc::from(name), Arc::new(made))));
}

fn validation(validation: &Value, path: &Path<'_>, scope: &Scope, out: &mut Out<'_>) {
    let expression = text(validation, "expression");
    let place = path.field("expression");
    if expression.trim().is_empty() {
        out.required(&place, "expression is not specified");
    } else {
        compile(expression, &place, scope, out);
    }
    let message = text(validation, "messageExpression");
    let place = path.field("messageExpression");
    if !message.is_empty() && message.trim().is_empty() {
        out.invalid(&place, message, "must be non-empty if specified");
    } else if !message.is_empty() {
        // `HasAuthorizer: false` (`validateMessageExpression`).
        let names = match scope.names {
            Names::Policy { params } => Names::Message { params },
            other => other,
        };
        compile(message, &place, &Scope { names, variables: scope.variables.clone() }, out);
    }
    let message = text(validation, "message");
    let place = path.field("message");
    if !message.is_empty() && message.trim().is_empty() {
        out.invalid(&place, message, "must be non-empty if specified");
    } else if message.trim().contains('\n') {
        out.invalid(&place, message, "must not contain line breaks");
    }
    if let Some(reason) = validation["reason"].as_str() {
        out.supported(&path.field("reason"), reason, &["Forbidden", "Invalid", "RequestEntityTooLarge"]);
    }
}

pub fn binding(object: &Value, out: &mut Out<'_>) {
    let spec = &object["spec"];
    let (name, path) = (text(spec, "policyName"), SPEC.field("policyName"));
    if name.is_empty() {
        out.required(&path, "");
    } else {
        out.each(&path, name, words::subdomain(name));
    }
    if has(spec, "paramRef") {
        param_ref(&spec["paramRef"], &SPEC.field("paramRef"), out);
    }
    if has(spec, "matchResources") {
        match_resources(&spec["matchResources"], &SPEC.field("matchResources"), out);
    }
    let (actions, path) = (list(spec, "validationActions"), SPEC.field("validationActions"));
    for (at, action) in actions.iter().enumerate() {
        let text = action.as_str().unwrap_or_default();
        out.supported(&path.index(at), text, &["Audit", "Deny", "Warn"]);
        if actions[..at].contains(action) {
            out.duplicate(&path.index(at), text);
        }
    }
    if actions.iter().any(|action| action == "Deny") && actions.iter().any(|action| action == "Warn") {
        let words = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                     response and headers serves no purpose)";
        out.invalid(&path, actions.to_vec(), words);
    }
    if actions.is_empty() {
        out.required(&path, "at least one validation action is required");
    }
}

fn param_ref(reference: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    let name = text(reference, "name");
    let selector = has(reference, "selector");
    let both = "name and selector are mutually exclusive";
    if !name.is_empty() {
        out.each(&path.field("name"), name, words::path_segment(name));
        if selector {
            out.forbidden(&path.field("name"), both);
        }
    }
    if selector {
        selectors::selector(&reference["selector"], &path.field("selector"), out);
        if !name.is_empty() {
            out.forbidden(&path.field("selector"), both);
        }
    }
    if name.is_empty() && !selector {
        out.required(path, "one of name or selector must be specified");
    }
    let (action, path) = (text(reference, "parameterNotFoundAction"), path.field("parameterNotFoundAction"));
    if action.is_empty() {
        out.required(&path, "");
    } else if !matches!(action, "Deny" | "Allow") {
        out.0.push(Cause::not_supported(path.text(), action, ["Deny", "Allow"]));
    }
}
