//! What Kubernetes fills in (`pkg/apis/*/v1/defaults.go`, and what its strategies do before they validate).

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{list, service, text};

/// Fills in what is not said.
pub fn fill(kind: &str, object: &mut Value) {
    match kind {
        "Service" => of_service(object),
        "EndpointSlice" => {
            for port in items(object, "ports") {
                put(port, "name", || json!(""));
                put(port, "protocol", || json!("TCP"));
            }
        }
        "Endpoints" => {
            for subset in items(object, "subsets") {
                for port in items(subset, "ports") {
                    put_text(port, "protocol", "TCP");
                    if text(port, "name").is_empty() {
                        port.as_object_mut().map(|port| port.remove("name"));
                    }
                }
            }
        }
        "Secret" => of_secret(object),
        "Namespace" => of_namespace(object),
        "IngressClass" => {
            if let Some(parameters) = object.pointer_mut("/spec/parameters") {
                put(parameters, "scope", || json!("Cluster"));
            }
        }
        "NetworkPolicy" => of_network_policy(object),
        "ValidatingAdmissionPolicy" => {
            put(part(object, "spec"), "failurePolicy", || json!("Fail"));
            if let Some(resources) = object.pointer_mut("/spec/matchConstraints") {
                of_match_resources(resources);
            }
        }
        "ValidatingAdmissionPolicyBinding" => {
            if let Some(resources) = object.pointer_mut("/spec/matchResources") {
                of_match_resources(resources);
            }
        }
        _ => {}
    }
}

fn part<'v>(object: &'v mut Value, key: &str) -> &'v mut Value {
    let map = object.as_object_mut().expect("it was decoded as a mapping");
    map.entry(key).or_insert_with(|| json!({}))
}

fn items<'v>(value: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Only if nothing is there.
fn put(value: &mut Value, key: &str, default: impl FnOnce() -> Value) {
    if let Some(map) = value.as_object_mut() {
        map.entry(key).or_insert_with(default);
    }
}

/// An empty text is as good as none.
fn put_text(value: &mut Value, key: &str, default: &str) {
    if text(value, key).is_empty()
        && let Some(map) = value.as_object_mut()
    {
        map.insert(key.to_owned(), default.into());
    }
}

fn of_service(object: &mut Value) {
    let spec = part(object, "spec");
    put_text(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => {
            spec.as_object_mut().map(|spec| spec.remove("sessionAffinityConfig"));
        }
        "ClientIP" if spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").is_none() => {
            spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10_800}});
        }
        _ => {}
    }
    put_text(spec, "type", "ClusterIP");
    for port in items(spec, "ports") {
        put_text(port, "protocol", "TCP");
        let target = &port["targetPort"];
        if target.is_null() || target == "" || target == 0 {
            port["targetPort"] = port["port"].as_i64().unwrap_or_default().into();
        }
    }
    if service::is_external(spec) {
        put_text(spec, "externalTrafficPolicy", "Cluster");
    }
    let kind = text(spec, "type").to_owned();
    if matches!(&*kind, "NodePort" | "LoadBalancer" | "ClusterIP") {
        put(spec, "internalTrafficPolicy", || json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        put(spec, "allocateLoadBalancerNodePorts", || json!(true));
    }
    families(spec, &kind);
}

/// As in a cluster with IPv4 alone.
fn families(spec: &mut Value, kind: &str) {
    let headless = text(spec, "clusterIP") == "None";
    if headless && list(spec, "clusterIPs").is_empty() {
        spec["clusterIPs"] = json!(["None"]);
    }
    let selects = spec["selector"].as_object().is_some_and(|selector| !selector.is_empty());
    if !matches!(kind, "NodePort" | "LoadBalancer" | "ClusterIP") {
        return;
    }
    let (policy, both) =
        if headless && !selects { ("RequireDualStack", true) } else { ("SingleStack", false) };
    let said = spec["ipFamilyPolicy"].as_str().map(str::to_owned);
    if said.is_none() && list(spec, "ipFamilies").is_empty() {
        put(spec, "ipFamilyPolicy", || policy.into());
    } else {
        put(spec, "ipFamilyPolicy", || json!("SingleStack"));
    }
    if list(spec, "ipFamilies").is_empty() {
        spec["ipFamilies"] = if both { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
    }
}

/// What is written as text is stored like the rest.
fn of_secret(object: &mut Value) {
    put_text(object, "type", "Opaque");
    let Some(map) = object.as_object_mut() else { return };
    let Some(Value::Object(texts)) = map.remove("stringData") else { return };
    if texts.is_empty() {
        return;
    }
    let data = map.entry("data").or_insert_with(|| Value::Object(Map::new()));
    for (key, text) in texts {
        let text = text.as_str().unwrap_or_default();
        data[key] = base64::engine::general_purpose::STANDARD.encode(text).into();
    }
}

fn of_namespace(object: &mut Value) {
    let name = text(&object["metadata"], "name").to_owned();
    if !name.is_empty() {
        let labels = part(part(object, "metadata"), "labels");
        labels["kubernetes.io/metadata.name"] = name.into();
    }
    let spec = part(object, "spec");
    put(spec, "finalizers", || json!([]));
    if let Some(finalizers) = spec["finalizers"].as_array_mut()
        && !finalizers.iter().any(|name| name == "kubernetes")
    {
        finalizers.push("kubernetes".into());
    }
}

fn of_network_policy(object: &mut Value) {
    let spec = part(object, "spec");
    for rules in ["ingress", "egress"] {
        for rule in items(spec, rules) {
            for port in items(rule, "ports") {
                put(port, "protocol", || json!("TCP"));
            }
        }
    }
    if list(spec, "policyTypes").is_empty() {
        let egress = !list(spec, "egress").is_empty();
        spec["policyTypes"] = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
}

fn of_match_resources(resources: &mut Value) {
    put(resources, "matchPolicy", || json!("Equivalent"));
    put(resources, "namespaceSelector", || json!({}));
    put(resources, "objectSelector", || json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in items(resources, rules) {
            put(rule, "scope", || json!("*"));
        }
    }
}
