//! Ingress and IngressClass.

use serde_json::Value;

use super::{Out, SPEC, addresses, has, list, number, text, words};
use crate::{cause::Cause, path::Path};

/// Where the class stood before the field.
const CLASS: &str = "kubernetes.io/ingress.class";

pub fn ingress(object: &Value, old: Option<&Value>, out: &mut Out<'_>) {
    let spec = &object["spec"];
    let rules = list(spec, "rules");
    if rules.is_empty() && !has(spec, "defaultBackend") {
        out.invalid(&SPEC, Value::Null, "either `defaultBackend` or `rules` must be specified");
    }
    if has(spec, "defaultBackend") {
        backend(&spec["defaultBackend"], &SPEC.field("defaultBackend"), out);
    }
    for (at, rule) in rules.iter().enumerate() {
        self::rule(rule, &SPEC.field("rules").index(at), out);
    }
    for (at, tls) in list(spec, "tls").iter().enumerate() {
        let path = SPEC.field("tls");
        let path = path.index(at);
        for (at, name) in list(tls, "hosts").iter().enumerate() {
            host(name.as_str().unwrap_or_default(), &path.field("hosts").index(at), out);
        }
        let secret = text(tls, "secretName");
        if !secret.is_empty() {
            out.each(&path.field("secretName"), secret, words::subdomain(secret));
        }
    }
    let class = spec["ingressClassName"].as_str();
    if let Some(class) = class {
        out.each(&SPEC.field("ingressClassName"), class, words::subdomain(class));
    }
    let annotation = object["metadata"]["annotations"][CLASS].as_str();
    if let (None, Some(annotation), Some(class)) = (old, annotation, class)
        && annotation != class
    {
        let path = Path::ROOT.field("annotations");
        out.invalid(&path.field(CLASS), annotation, "must match `ingressClassName` when both are specified");
    }
}

fn host(name: &str, path: &Path<'_>, out: &mut Out<'_>) {
    let wrong = if name.contains('*') { words::wildcard(name) } else { words::subdomain(name) };
    out.each(path, name, wrong);
}

fn rule(rule: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    let name = text(rule, "host");
    if !name.is_empty() {
        let path = path.field("host");
        if addresses::parse(name).is_some() {
            out.invalid(&path, name, "must be a DNS name, not an IP address");
        }
        host(name, &path, out);
    }
    if !has(rule, "http") {
        return;
    }
    let path = path.field("http");
    let path = path.field("paths");
    let paths = list(&rule["http"], "paths");
    if paths.is_empty() {
        out.required(&path, "");
    }
    for (at, one) in paths.iter().enumerate() {
        http_path(one, &path.index(at), out);
    }
}

fn http_path(one: &Value, at: &Path<'_>, out: &mut Out<'_>) {
    let Some(kind) = one["pathType"].as_str() else {
        return out.required(&at.field("pathType"), "pathType must be specified");
    };
    let path = text(one, "path");
    let place = at.field("path");
    let absolute = path.starts_with('/');
    match kind {
        "Exact" | "Prefix" => {
            if !absolute {
                out.invalid(&place, path, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| path.contains(part)) {
                out.invalid(&place, path, format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| path.ends_with(end)) {
                out.invalid(&place, path, format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if !path.is_empty() && !absolute {
                out.invalid(&place, path, "must be an absolute path");
            }
        }
        _ => out.supported(&at.field("pathType"), kind, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    backend(&one["backend"], &at.field("backend"), out);
}

fn backend(backend: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    match (has(backend, "resource"), has(backend, "service")) {
        (true, true) => out.invalid(path, "", "cannot set both resource and service backends"),
        (true, false) => reference(&backend["resource"], &path.field("resource"), out),
        (false, true) => service(&backend["service"], path, out),
        (false, false) => out.invalid(path, "", "resource or service backend is required"),
    }
}

fn service(service: &Value, backend: &Path<'_>, out: &mut Out<'_>) {
    let path = backend.field("service");
    let name = text(service, "name");
    if name.is_empty() {
        out.required(&path.field("name"), "");
    } else {
        out.each(&path.field("name"), name, words::label(name));
    }
    let path = path.field("port");
    let port = &service["port"];
    match (text(port, "name"), number(port, "number")) {
        ("", 0) => out.required(backend, "port name or number is required"),
        (name, 0) => out.each(&path.field("name"), name, words::port_name(name)),
        ("", number) => out.each(&path.field("number"), number, words::port(number)),
        _ => out.invalid(backend, "", "cannot set both port name & port number"),
    }
}

fn reference(reference: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    if let Some(group) = reference["apiGroup"].as_str() {
        out.each(&path.field("apiGroup"), group, words::subdomain(group));
    }
    for field in ["kind", "name"] {
        let value = text(reference, field);
        if value.is_empty() {
            out.required(&path.field(field), "");
        } else {
            out.each(&path.field(field), value, words::path_segment(value));
        }
    }
}

pub fn class(object: &Value, old: Option<&Value>, out: &mut Out<'_>) {
    let spec = &object["spec"];
    let controller = text(spec, "controller");
    let path = SPEC.field("controller");
    if old.is_some_and(|old| text(&old["spec"], "controller") != controller) {
        out.invalid(&path, controller, "field is immutable");
    }
    if controller.len() > 250 {
        out.too_long(&path, 250);
    }
    if controller.is_empty() {
        out.required(&path, "");
    } else {
        for (part, wrong) in words::domain_path(controller) {
            out.invalid(&path, part, wrong);
        }
    }
    if !has(spec, "parameters") {
        return;
    }
    let (parameters, path) = (&spec["parameters"], SPEC.field("parameters"));
    reference(parameters, &path, out);
    let namespace = parameters["namespace"].as_str();
    match (text(parameters, "scope"), namespace) {
        ("Namespace", None) => {
            out.required(&path.field("namespace"), "`parameters.scope` is set to 'Namespace'");
        }
        ("Namespace", Some(name)) => out.each(&path.field("namespace"), name, words::label(name)),
        ("Cluster", Some(_)) => {
            out.forbidden(&path.field("namespace"), "`parameters.scope` is set to 'Cluster'");
        }
        ("Cluster", None) => {}
        (other, _) => {
            out.0.push(Cause::not_supported(path.field("scope").text(), other, ["Cluster", "Namespace"]));
        }
    }
}
