//! What Go leaves out when it writes a type as JSON (`omitempty`), and what it always writes.

use serde_json::{Map, Value, json};

use crate::schema::{Schema, Types};

/// Fields that are pointers: a value that stands there is written, be it empty.
const POINTERS: &[(&str, &[&str])] = &[
    (
        "ServiceSpec",
        &[
            "sessionAffinityConfig",
            "ipFamilyPolicy",
            "allocateLoadBalancerNodePorts",
            "loadBalancerClass",
            "internalTrafficPolicy",
            "trafficDistribution",
        ],
    ),
    ("ServicePort", &["appProtocol"]),
    ("ClientIPConfig", &["timeoutSeconds"]),
    ("Secret", &["immutable"]),
    ("ConfigMap", &["immutable"]),
    ("IngressSpec", &["ingressClassName"]),
    ("HTTPIngressPath", &["pathType"]),
    ("TypedLocalObjectReference", &["apiGroup"]),
    ("IngressClassParametersReference", &["apiGroup", "scope", "namespace"]),
    ("Endpoint", &["hostname", "nodeName", "zone"]),
    ("EndpointConditions", &["ready", "serving", "terminating"]),
    ("EndpointPort", &["name", "protocol", "port", "appProtocol"]),
    ("EndpointAddress", &["nodeName"]),
    ("NetworkPolicyPort", &["protocol", "port", "endPort"]),
    ("ValidatingAdmissionPolicySpec", &["failurePolicy"]),
    ("MatchResources", &["matchPolicy"]),
    ("NamedRuleWithOperations", &["scope"]),
    ("Validation", &["reason"]),
    ("ParamRef", &["parameterNotFoundAction"]),
    ("ObjectMeta", &["deletionGracePeriodSeconds"]),
    ("OwnerReference", &["controller", "blockOwnerDeletion"]),
];

/// Fields that are always written, and what without a value.
const ALWAYS: &[(&str, &[(&str, &str)])] = &[
    ("ServicePort", &[("port", "0"), ("targetPort", "0")]),
    ("EndpointSlice", &[("addressType", "\"\""), ("endpoints", "null"), ("ports", "null")]),
    ("Endpoint", &[("addresses", "null"), ("conditions", "{}")]),
    ("ForZone", &[("name", "\"\"")]),
    ("ForNode", &[("name", "\"\"")]),
    ("EndpointAddress", &[("ip", "\"\"")]),
    ("LabelSelectorRequirement", &[("key", "\"\""), ("operator", "\"\"")]),
    ("IngressServiceBackend", &[("name", "\"\""), ("port", "{}")]),
    ("HTTPIngressPath", &[("pathType", "null"), ("backend", "{}")]),
    ("HTTPIngressRuleValue", &[("paths", "null")]),
    ("TypedLocalObjectReference", &[("apiGroup", "null"), ("kind", "\"\""), ("name", "\"\"")]),
    ("IngressClassParametersReference", &[("kind", "\"\""), ("name", "\"\"")]),
    ("IPBlock", &[("cidr", "\"\"")]),
    ("NetworkPolicySpec", &[("podSelector", "{}")]),
    ("MatchCondition", &[("name", "\"\""), ("expression", "\"\"")]),
    ("Variable", &[("name", "\"\""), ("expression", "\"\"")]),
    ("Validation", &[("expression", "\"\"")]),
    ("AuditAnnotation", &[("key", "\"\""), ("valueExpression", "\"\"")]),
    ("OwnerReference", &[("apiVersion", "\"\""), ("kind", "\"\""), ("name", "\"\""), ("uid", "\"\"")]),
    ("Ingress", &[("spec", "{}")]),
    ("IngressClass", &[("spec", "{}")]),
    ("NetworkPolicy", &[("spec", "{}")]),
    ("Namespace", &[("spec", "{}")]),
    ("Service", &[("spec", "{}")]),
    ("ValidatingAdmissionPolicy", &[("spec", "{}")]),
    ("ValidatingAdmissionPolicyBinding", &[("spec", "{}")]),
];

fn of<T>(table: &'static [(&str, &'static [T])], name: &str) -> &'static [T] {
    table.iter().find(|(known, _)| *known == name).map_or(&[], |(_, fields)| fields)
}

fn name_of(schema: &Schema) -> &str {
    let name = schema.go_type.as_deref().unwrap_or_default();
    name.rsplit('.').next().unwrap_or_default()
}

/// As Go would write it.
pub fn tidy(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => match schema.additional() {
            Some(each) => map.values_mut().for_each(|value| tidy(each, value)),
            None => fields(schema, map),
        },
        Value::Array(items) => {
            if let Some(each) = &schema.items {
                for item in items {
                    tidy(each, item);
                }
            }
        }
        _ => {}
    }
}

fn fields(schema: &Schema, map: &mut Map<String, Value>) {
    let name = name_of(schema);
    let always = of(ALWAYS, name);
    for (key, empty) in always {
        let nothing = map.get(*key).is_none_or(|value| value.as_array().is_some_and(Vec::is_empty));
        if nothing && schema.property(key).is_some() {
            map.insert((*key).to_owned(), serde_json::from_str(empty).unwrap_or(Value::Null));
        }
    }
    let pointers = of(POINTERS, name);
    map.retain(|key, value| {
        let Some(child) = schema.property(key) else { return true };
        tidy(child, value);
        let kept = always.iter().any(|(known, _)| known == key) || pointers.contains(&key.as_str());
        kept || !is_empty(child, value)
    });
}

/// What `omitempty` omits: never a struct.
fn is_empty(schema: &Schema, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => {
            map.is_empty() && schema.types == Types::OBJECT && schema.additional().is_some()
        }
    }
}

/// Metadata of an object of any kind.
pub fn metadata(schema: &Schema, object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata") {
        if metadata.is_null() {
            *metadata = json!({});
        }
        tidy(schema, metadata);
    }
}
