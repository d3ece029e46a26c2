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
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return Some(Health::new(Status::Progressing, "Pending deletion"));
    }
    Some(match (group, kind) {
        ("cert-manager.io", "Certificate") => certificate(object),
        ("cert-manager.io", "Issuer") => one(object, "Ready", "Initializing issuer"),
        ("cert-manager.io", "ClusterIssuer") => one(object, "Ready", "Initializing ClusterIssuer"),
        ("bitnami.com", "SealedSecret") => one(object, "Synced", "Waiting for Sealed Secret to be decrypted"),
        ("gateway.networking.k8s.io", "GatewayClass") => gateway_class(object),
        ("gateway.networking.k8s.io", "Gateway") => gateway(object),
        ("gateway.networking.k8s.io", "HTTPRoute") => route(object, kind, true),
        ("gateway.networking.k8s.io", "GRPCRoute") => route(object, kind, false),
        ("gateway.networking.k8s.io", "BackendTLSPolicy") => backend_tls_policy(object),
        ("", "Service") => service(object),
        ("networking.k8s.io" | "extensions", "Ingress") => address(object),
        _ => return None,
    })
}

fn conditions(at: &Value) -> impl Iterator<Item = &Value> {
    list(at, "conditions").iter()
}

fn list<'a>(at: &'a Value, field: &str) -> &'a [Value] {
    at.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(condition: &'a Value, field: &str) -> &'a str {
    condition.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The message of a condition that has one.
fn message<'a>(condition: &'a Value, else_: &'a str) -> &'a str {
    condition.get("message").and_then(Value::as_str).unwrap_or(else_)
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
    if let Some(issuing) = conditions(status(object)).find(|c| is(c, "Issuing", "True")) {
        return Health::new(Status::Progressing, text(issuing, "message"));
    }
    one(object, "Ready", "Waiting for certificate")
}

/// The first condition of the type that is False or True decides; anything else is on its way.
fn one(object: &Value, r#type: &str, waiting: &str) -> Health {
    let decides = |c: &&Value| is(c, r#type, "False") || is(c, r#type, "True");
    match conditions(status(object)).find(decides) {
        Some(c) if text(c, "status") == "True" => Health::new(Status::Healthy, text(c, "message")),
        Some(c) => Health::new(Status::Degraded, text(c, "message")),
        None => Health::new(Status::Progressing, waiting),
    }
}

fn gateway_class(object: &Value) -> Health {
    let waiting = "Waiting for GatewayClass status";
    let accepted = conditions(status(object)).find(|c| text(c, "type") == "Accepted" && current(object, c));
    let Some(c) = accepted else { return Health::new(Status::Progressing, waiting) };
    match text(c, "status") {
        "True" => Health::new(Status::Healthy, message(c, "GatewayClass is accepted")),
        "False" => Health::new(Status::Degraded, message(c, "GatewayClass is not accepted")),
        _ => Health::new(Status::Progressing, message(c, waiting)),
    }
}

/// What the conditions of a Gateway, a listener or a route's parent say, in Argo CD's order: references, then whether it
/// is accepted, then whether it is programmed. `None` when nothing is wrong with them.
fn wrong(conditions: &[Value], what: &str) -> Option<(Status, String)> {
    for r#type in ["ResolvedRefs", "Accepted"] {
        if let Some(c) = conditions.iter().find(|c| is(c, r#type, "False")) {
            let fixed = format!("Failed condition: {type}");
            return Some((Status::Degraded, message(c, &fixed).to_owned()));
        }
    }
    let waits = |c: &&Value| text(c, "type") == "Programmed" && text(c, "status") != "True";
    let c = conditions.iter().find(waits)?;
    Some((Status::Progressing, message(c, &format!("{what} is still being programmed")).to_owned()))
}

/// The Gateway's own conditions come first: one that is not programmed is on its way, whatever its listeners say.
fn gateway(object: &Value) -> Health {
    let status = status(object);
    if let Some((status, message)) = wrong(list(status, "conditions"), "Gateway") {
        return Health::new(status, message);
    }
    let listeners = list(status, "listeners");
    if let Some((status, message)) = listeners.iter().find_map(|l| wrong(list(l, "conditions"), "Listener")) {
        return Health::new(status, format!("Listener: {message}"));
    }
    if status.get("conditions").is_some_and(Value::is_array) || !listeners.is_empty() {
        return Health::new(Status::Healthy, "Gateway is healthy");
    }
    Health::new(Status::Progressing, "Waiting for Gateway status")
}

fn route(object: &Value, kind: &str, by_generation: bool) -> Health {
    let parents = list(status(object), "parents");
    let usable = |parent: &&Value| {
        let all = list(parent, "conditions");
        !all.is_empty() && (!by_generation || all.iter().all(|c| current(object, c)))
    };
    let usable: Vec<&Value> = parents.iter().filter(usable).collect();
    for parent in &usable {
        if let Some((status, message)) = wrong(list(parent, "conditions"), "Route") {
            let name = parent.pointer("/parentRef/name").and_then(Value::as_str).unwrap_or_default();
            return Health::new(status, format!("Parent {name}: {message}"));
        }
    }
    if usable.is_empty() {
        return Health::new(Status::Progressing, format!("Waiting for {kind} status"));
    }
    Health::new(Status::Healthy, format!("{kind} is healthy"))
}

fn backend_tls_policy(object: &Value) -> Health {
    let ancestors = list(status(object), "ancestors");
    let name = |ancestor: &Value| {
        ancestor.pointer("/ancestorRef/name").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let all = || ancestors.iter().flat_map(|a| conditions(a).map(move |c| (a, c)));
    if let Some((ancestor, _)) = all().find(|(_, c)| !current(object, c)) {
        let said = format!("Waiting for Ancestor {} to update BackendTLSPolicy status", name(ancestor));
        return Health::new(Status::Progressing, said);
    }
    let bad =
        |c: &Value| matches!(text(c, "type"), "Accepted" | "ResolvedRefs") && text(c, "status") != "True";
    if let Some((ancestor, c)) = all().find(|(_, c)| bad(c)) {
        return Health::new(Status::Degraded, format!("Ancestor {}: {}", name(ancestor), text(c, "message")));
    }
    if all().any(|(_, c)| text(c, "type") == "Accepted") {
        return Health::new(Status::Healthy, "BackendTLSPolicy is healthy");
    }
    Health::new(Status::Progressing, "Waiting for BackendTLSPolicy status")
}

fn service(object: &Value) -> Health {
    let kind = object.pointer("/spec/type").and_then(Value::as_str);
    if kind == Some("LoadBalancer") { address(object) } else { Health::new(Status::Healthy, "") }
}

fn address(object: &Value) -> Health {
    let addresses = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    let there = addresses.is_some_and(|list| !list.is_empty());
    Health::new(if there { Status::Healthy } else { Status::Progressing }, "")
}
