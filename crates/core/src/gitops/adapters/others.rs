//! Envoy Gateway, sealed-secrets and reflector.

use std::collections::BTreeSet;

use portolan_model::{Name, Severity};
use serde_json::Value;

use super::{Form, Reader, arguments, keys, standing, words};
use crate::gitops::ledger::Fate;

/// What Envoy Gateway is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayProvider {
    /// Application that brings it.
    pub application: Name,
    /// Namespace of the component.
    pub namespace: Name,
    /// `config.envoyGateway.gateway.controllerName`.
    pub controller_name: Name,
}

pub(super) fn gateway_provider(reader: &mut Reader<'_>, namespace: Name) -> GatewayProvider {
    let field = "config.envoyGateway.gateway.controllerName";
    let usual = "gateway.envoyproxy.io/gatewayclass-controller";
    let controller = reader.text(field).unwrap_or_else(|| usual.to_owned());
    if !crate::gateway::CONTROLLERS.contains(&controller.as_str()) {
        let message =
            format!("{field} is {controller:?}, which is not acted on; GatewayClasses need {usual}");
        reader.unusable(field, &message);
    }
    GatewayProvider {
        application: reader.values.application.clone(),
        namespace,
        controller_name: controller.into(),
    }
}

/// What the sealed-secrets controller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecrets {
    /// Namespace of the component.
    pub namespace: Name,
    /// Namespaces whose SealedSecrets it opens; `None` for all. Empty where it opens none that is known of: it does not
    /// run, or chooses in a way that is not followed.
    pub namespaces: Option<BTreeSet<Name>>,
}

/// Source: `templates/deployment.yaml` of the chart and `pkg/controller/main.go`, 0.36.
pub(super) fn sealed_secrets(reader: &mut Reader<'_>, namespace: Name) -> SealedSecrets {
    let mut more = names(reader, "additionalNamespaces");
    let mut everywhere = true;
    let mut stopped = false;
    if reader.take("createController") == Some(&Value::Bool(false)) {
        stopped = true;
        stop(reader, "createController", "the chart makes no controller");
    }
    let mut words = None;
    if reader.values.form == Form::Workload {
        words = workload(reader);
        stopped = words.is_none();
    }
    let args = words.as_ref().or_else(|| reader.take("args"));
    if let Some(args) = args.filter(|args| args.as_array().is_none_or(|all| !all.is_empty())) {
        // They stand in place of all that the chart would give.
        more.clear();
        let (flags, rest) = arguments::flags(args);
        for text in rest {
            reader.given.push((Fate::Refused, "no flag", format!("args {text}")));
        }
        for (name, value) in flags {
            match (name.as_str(), value.as_deref()) {
                ("all-namespaces", Some("false" | "FALSE" | "False" | "f" | "F" | "0")) => everywhere = false,
                ("additional-namespaces", Some(list)) => {
                    more.extend(list.split(',').filter(|name| !name.is_empty()).map(Name::from));
                }
                ("label-selector", Some(selector)) if !selector.is_empty() => {
                    stopped = true;
                    stop(reader, "args", "--label-selector is not followed");
                }
                _ => {}
            }
            let (fate, why) = keys::sealed_secrets_flag(&name).unwrap_or((
                Fate::NotLookedAt,
                "a flag that the controller does not know: it would not start",
            ));
            reader.given.push((fate, why, format!("args --{name}")));
        }
    }
    let namespaces = if stopped {
        Some(BTreeSet::new())
    } else if everywhere && more.is_empty() {
        None
    } else {
        // Whoever names more of them means its own and these (`main.go`, where the informers are started).
        more.insert(namespace.clone());
        Some(more)
    };
    SealedSecrets { namespace, namespaces }
}

/// What its container is given, as the chart's `args` have it; none if that is not known, or it does not run.
fn workload(reader: &mut Reader<'_>) -> Option<Value> {
    /// `flagenv` of `pkg/flagenv` in upstream.
    const VARIABLES: &str = "SEALED_SECRETS_";
    if !standing::runs(reader.values) {
        stop(reader, "spec.replicas", "spec.replicas is 0, so the controller does not run");
        return None;
    }
    if let Some(field) = words::from_elsewhere(reader.values, VARIABLES) {
        stop(reader, &field, &format!("{field} may set any of its flags ({VARIABLES}…)"));
        return None;
    }
    let mut all = Vec::new();
    for (name, value) in words::variables(reader.values) {
        let Some(flag) = name.strip_prefix(VARIABLES) else { continue };
        let Some(value) = value else {
            stop(reader, "env", &format!("{name} is set from elsewhere"));
            return None;
        };
        all.push(Value::String(format!("--{}={value}", flag.to_ascii_lowercase().replace('_', "-"))));
    }
    match words::words(reader.values, "controller") {
        Ok(words) => all.extend(words.into_iter().map(|word| Value::String(word.text))),
        Err((field, why)) => {
            stop(reader, &field, &why);
            return None;
        }
    }
    Some(Value::Array(all))
}

/// Files that no SealedSecret is opened because of a field.
fn stop(reader: &mut Reader<'_>, field: &str, why: &str) {
    let message = format!("{why}; no SealedSecret is opened");
    let hint = "correct it, or leave it out of the values for this environment";
    reader.problem(648, Severity::Error, field, &message, hint);
}

/// A list of names.
fn names(reader: &mut Reader<'_>, path: &str) -> BTreeSet<Name> {
    match reader.take(path) {
        None => BTreeSet::new(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(Name::from).collect()
        }
        Some(_) => {
            reader.unusable(path, &format!("{path} is no list of names"));
            BTreeSet::new()
        }
    }
}

/// Patterns of namespaces that reflector leaves alone, in small letters: it compares with those.
/// Source: `Watchers/Core/GlobMatcher.cs`.
pub(super) fn reflector(reader: &mut Reader<'_>) -> Vec<Name> {
    let text = reader.text("configuration.watcher.excludedNamespaces").unwrap_or_default().to_lowercase();
    text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).map(Name::from).collect()
}
