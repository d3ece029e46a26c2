//! What becomes of each key of the charts that Portolan stands in for, and of each flag of their programs.

mod cert_manager;
mod envoy_gateway;
mod kyverno;
mod reflector;
mod sealed_secrets;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::external_dns;
use crate::gitops::ledger::Fate;

/// Keys with one fate, for one reason. A key stands for all below it, unless a longer one says otherwise.
type Group = (Fate, &'static str, &'static str);

const NO_DEFAULTS: &[(&str, &str)] = &[];

/// Why keys of pods change nothing here.
pub(super) const PODS: &str =
    "about pods, images, accounts and metrics of the upstream controller, which does not run";

/// What is known of a chart.
pub(super) struct Keys {
    /// Key, fate, why.
    all: Vec<(&'static str, Fate, &'static str)>,
    /// What the chart itself says where nobody does, as JSON: written down again it says nothing. Anything empty is the
    /// default of all other keys.
    defaults: &'static [(&'static str, &'static str)],
}

/// The keys of a chart, by its name.
pub(super) fn of(component: &str) -> Option<Keys> {
    let (groups, defaults) = match component {
        "cert-manager" => (cert_manager::KEYS, cert_manager::DEFAULTS),
        "gateway-helm" => (envoy_gateway::KEYS, NO_DEFAULTS),
        "sealed-secrets" => (sealed_secrets::KEYS, sealed_secrets::DEFAULTS),
        "reflector" => (reflector::KEYS, NO_DEFAULTS),
        "kyverno" => (kyverno::KEYS, NO_DEFAULTS),
        "external-dns" => (external_dns::KEYS, NO_DEFAULTS),
        _ => return None,
    };
    let mut all: Vec<_> = groups
        .iter()
        .flat_map(|(fate, why, keys)| keys.split_whitespace().map(|key| (key, *fate, *why)))
        .collect();
    if component == "external-dns" {
        all.extend(external_dns::FLAG_KEYS.iter().map(|(key, _)| (*key, Fate::Used, "")));
    }
    Some(Keys { all, defaults })
}

/// A flag of cert-manager's controller, as the key of its configuration file that says the same.
pub(super) fn cert_manager_flag(flag: &str) -> Option<&'static str> {
    cert_manager::FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, key)| *key)
}

/// What becomes of a feature gate of cert-manager that is set so.
pub(super) fn cert_manager_gate(gate: &str, on: bool) -> (Fate, &'static str) {
    match cert_manager::GATES.iter().find(|(name, ..)| *name == gate) {
        Some((_, default, ..)) if *default == on => (Fate::Irrelevant, "feature gates that are so anyway"),
        Some((.., fate, why)) => (*fate, why),
        None if gate == "AllAlpha" || gate == "AllBeta" => {
            (Fate::NotLookedAt, "all feature gates of a stage")
        }
        None => (Fate::NotLookedAt, "a feature gate that is not known"),
    }
}

/// What becomes of a flag of the sealed-secrets controller.
pub(super) fn sealed_secrets_flag(flag: &str) -> Option<(Fate, &'static str)> {
    let found = |(.., names): &&Group| names.split_whitespace().any(|name| name == flag);
    sealed_secrets::FLAGS.iter().find(found).map(|(fate, why, _)| (*fate, *why))
}

/// All flags of the sealed-secrets controller.
pub(super) fn sealed_secrets_flags() -> impl Iterator<Item = &'static str> {
    sealed_secrets::FLAGS.iter().flat_map(|(.., names)| names.split_whitespace())
}

impl Keys {
    /// What becomes of a key; `None` if the chart does not know it.
    pub(super) fn fate(&self, path: &str) -> Option<(Fate, &'static str)> {
        let covers =
            |key: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.all()
            .filter(|(key, ..)| covers(key))
            .max_by_key(|(key, ..)| key.len())
            .map(|(_, f, why)| (f, why))
    }

    /// Whether keys below this one have fates of their own.
    pub(super) fn has_below(&self, path: &str) -> bool {
        let is_below = |key: &str| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.all().any(|(key, ..)| is_below(key)) || self.defaults.iter().any(|(key, _)| is_below(key))
    }

    /// Whether the value says what holds anyway.
    pub(super) fn is_default(&self, path: &str, value: &Value) -> bool {
        match self.defaults.iter().find(|(key, _)| *key == path) {
            Some((_, default)) => {
                serde_json::from_str::<Value>(default).is_ok_and(|default| default == *value)
            }
            None => is_empty(value),
        }
    }

    /// Keys that matter: what a misspelt one may have meant.
    pub(super) fn that_matter(&self) -> impl Iterator<Item = &'static str> {
        self.all().filter(|(_, fate, _)| *fate != Fate::Irrelevant).map(|(key, ..)| key)
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, Fate, &'static str)> {
        self.all.iter().copied()
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
