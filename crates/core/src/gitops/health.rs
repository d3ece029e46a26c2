//! Health of one object by Argo CD's own rules, for show: nothing waits on it.
//! Source: argoproj/argo-cd `resource_customizations/*/health.lua`, `gitops-engine/pkg/health`.

#[cfg(test)]
mod tests;

use serde_json::Value;

/// Health, best first, in the order in which an Application takes the worst of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Status {
    /// As wanted.
    Healthy,
    /// Paused on purpose.
    Suspended,
    /// On its way.
    Progressing,
    /// Not in the cluster.
    Missing,
    /// Wrong until something changes.
    Degraded,
    /// Could not be told.
    Unknown,
}

/// Health of an object and a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The status.
    pub status: Status,
    /// The message of the condition that decided, else a fixed sentence; may be empty.
    pub message: String,
}

impl Health {
    fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// Health of an object; `None` for kinds without a rule, which nothing waits for.
pub fn health(object: &Value) -> Option<Health> {
    let version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    Some(match (group, kind) {
        ("cert-manager.io", "Certificate") => certificate(object),
        ("cert-manager.io", "Issuer" | "ClusterIssuer") => one(object, "Ready", "Initializing issuer"),
        ("bitnami.com", "SealedSecret") => one(object, "Synced", "Waiting for Sealed Secret to be decrypted"),
        ("gateway.networking.k8s.io", "GatewayClass") => gateway_class(object),
        ("gateway.networking.k8s.io", "Gateway") => gateway(object),
        ("gateway.networking.k8s.io", "HTTPRoute") => route(object, true),
        ("gateway.networking.k8s.io", "GRPCRoute") => route(object, false),
        ("", "Service") => service(object)?,
        ("networking.k8s.io" | "extensions", "Ingress") => address(object),
        _ => return None,
    })
}

fn conditions(at: &Value) -> impl Iterator<Item = &Value> {
    at.get("conditions").and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(condition: &'a Value, field: &str) -> &'a str {
    condition.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn is(condition: &Value, r#type: &str, status: &str) -> bool {
    text(condition, "type") == r#type && text(condition, "status") == status
}

fn status(object: &Value) -> &Value {
    object.get("status").unwrap_or(&Value::Null)
}

/// Whether a condition speaks about the object as it is now; one without a generation does.
fn current(object: &Value, condition: &Value) -> bool {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let observed = condition.get("observedGeneration").and_then(Value::as_i64);
    generation.zip(observed).is_none_or(|(generation, observed)| generation == observed)
}

/// `Issuing` is looked at first: a certificate that is renewed is on its way, whatever `Ready` says.
fn certificate(object: &Value) -> Health {
    let status = status(object);
    if let Some(issuing) = conditions(status).find(|c| is(c, "Issuing", "True")) {
        return Health::new(Status::Progressing, text(issuing, "message"));
    }
    one(object, "Ready", "Waiting for certificate")
}

/// False is Degraded, True is Healthy, anything else is on its way.
fn one(object: &Value, r#type: &str, waiting: &str) -> Health {
    match conditions(status(object)).find(|c| text(c, "type") == r#type) {
        Some(c) if text(c, "status") == "False" => Health::new(Status::Degraded, text(c, "message")),
        Some(c) if text(c, "status") == "True" => Health::new(Status::Healthy, text(c, "message")),
        _ => Health::new(Status::Progressing, waiting),
    }
}

fn gateway_class(object: &Value) -> Health {
    let accepted = conditions(status(object)).find(|c| text(c, "type") == "Accepted" && current(object, c));
    match accepted {
        Some(c) if text(c, "status") == "True" => Health::new(Status::Healthy, text(c, "message")),
        Some(c) if text(c, "status") == "False" => Health::new(Status::Degraded, text(c, "message")),
        _ => Health::new(Status::Progressing, "Waiting for GatewayClass status"),
    }
}

/// Refused: Accepted or ResolvedRefs is False.
fn refused(condition: &Value) -> bool {
    is(condition, "Accepted", "False") || is(condition, "ResolvedRefs", "False")
}

fn gateway(object: &Value) -> Health {
    let status = status(object);
    let listeners = status.get("listeners").and_then(Value::as_array).into_iter().flatten();
    if let Some(c) = conditions(status).find(|c| refused(c)) {
        return Health::new(Status::Degraded, text(c, "message"));
    }
    for listener in listeners {
        if let Some(c) = conditions(listener).find(|c| refused(c)) {
            return Health::new(
                Status::Degraded,
                format!("Listener {}: {}", text(listener, "name"), text(c, "message")),
            );
        }
    }
    if let Some(c) =
        conditions(status).find(|c| text(c, "type") == "Programmed" && text(c, "status") != "True")
    {
        return Health::new(Status::Progressing, text(c, "message"));
    }
    if conditions(status).next().is_some() {
        return Health::new(Status::Healthy, "Gateway is healthy");
    }
    Health::new(Status::Progressing, "Waiting for Gateway status")
}

fn route(object: &Value, by_generation: bool) -> Health {
    let parents = status(object).get("parents").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let usable = |parent: &&Value| !by_generation || conditions(parent).all(|c| current(object, c));
    let parents: Vec<_> = parents.iter().filter(|p| conditions(p).next().is_some()).filter(usable).collect();
    if parents.is_empty() {
        return Health::new(Status::Progressing, "Waiting for route status");
    }
    let name = |parent: &Value| {
        parent.pointer("/parentRef/name").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for parent in &parents {
        if let Some(c) = conditions(parent).find(|c| refused(c)) {
            return Health::new(Status::Degraded, format!("Parent {}: {}", name(parent), text(c, "message")));
        }
    }
    for parent in &parents {
        let waits = |c: &&Value| text(c, "type") == "Programmed" && text(c, "status") != "True";
        if let Some(c) = conditions(parent).find(waits) {
            return Health::new(
                Status::Progressing,
                format!("Parent {}: {}", name(parent), text(c, "message")),
            );
        }
    }
    Health::new(Status::Healthy, "Route is healthy")
}

fn service(object: &Value) -> Option<Health> {
    let kind = object.pointer("/spec/type").and_then(Value::as_str);
    (kind == Some("LoadBalancer")).then(|| address(object))
}

fn address(object: &Value) -> Health {
    let addresses = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if addresses.is_some_and(|list| !list.is_empty()) {
        Health::new(Status::Healthy, "")
    } else {
        Health::new(Status::Progressing, "Waiting for an address")
    }
}
