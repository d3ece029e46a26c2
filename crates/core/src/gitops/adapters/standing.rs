//! Components that stand in manifests (written by hand, or the output of `helm template`), by the image of a container: what it is
//! given is read by the same tables as the values of the component's chart.

use portolan_model::{LabelSelector, Name, ObjectKey, input::LabelExpression, input::LabelOperator};
use serde_json::{Map, Value, json};

use super::{ComponentValues, Form};

/// Last part of an image, and the component whose program it holds.
const IMAGES: [(&str, &str); 3] = [
    ("external-dns", "external-dns"),
    ("cert-manager-controller", "cert-manager"),
    ("sealed-secrets-controller", "sealed-secrets"),
];

/// Kinds that keep pods running, with the path of the pod.
const WORKLOADS: [(&str, &str); 3] = [
    ("Deployment", "spec.template.spec"),
    ("StatefulSet", "spec.template.spec"),
    ("DaemonSet", "spec.template.spec"),
];

/// The ConfigMap that Envoy Gateway's own manifests keep its configuration in, and the key.
const ENVOY_GATEWAY: (&str, &str) = ("envoy-gateway-config", "envoy-gateway.yaml");

/// The components that an object says something of: a container each, or a file. An object without a namespace stands in `namespace`.
pub fn standing(json: &Value, application: &Name, namespace: &Name) -> Vec<ComponentValues> {
    let text = |path: &str| json.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (group, _) = text("/apiVersion").split_once('/').unwrap_or_default();
    let namespace = match text("/metadata/namespace") {
        "" => namespace.clone(),
        own => own.into(),
    };
    let kind = text("/kind");
    let made = |form, component: &str, version: &str, values| ComponentValues {
        form,
        component: component.into(),
        object: ObjectKey::new(group, kind, namespace.clone(), text("/metadata/name")),
        application: application.clone(),
        namespace: namespace.clone(),
        version: version.into(),
        values,
    };
    let (name, file) = ENVOY_GATEWAY;
    if group.is_empty() && kind == "ConfigMap" && text("/metadata/name") == name {
        let written = json.get("data").and_then(|data| data.get(file)).and_then(Value::as_str);
        let read = written.map(portolan_model::yaml::load);
        return match read.as_ref().map(|(documents, errors)| (&documents[..], errors.is_empty())) {
            Some(([one], true)) => {
                vec![made(Form::File, "gateway-helm", "", json!({"config": {"envoyGateway": one.json}}))]
            }
            // What it says is not known, which is not that it says nothing.
            Some(_) => {
                vec![made(Form::File, "gateway-helm", "", json!({"config": {(file): "cannot be read"}}))]
            }
            None => Vec::new(),
        };
    }
    let Some((_, path)) = WORKLOADS.iter().find(|(known, _)| group == "apps" && kind == *known) else {
        return Vec::new();
    };
    let Some(pod) = json.pointer(&format!("/{}", path.replace('.', "/"))) else { return Vec::new() };
    let containers = pod.get("containers").and_then(Value::as_array);
    let mut found = Vec::new();
    for (at, container) in containers.into_iter().flatten().enumerate() {
        let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
        let (image, tag) = image_and_tag(image);
        let Some((_, component)) = IMAGES.iter().find(|(known, _)| *known == image) else { continue };
        let at = format!("{path}.containers[{at}]");
        let idle = idle(json, pod, &at, container);
        let values = given(container, pod, &at, tag, idle);
        found.push(made(Form::Workload, component, tag, values));
    }
    found
}

/// `external-dns` and `v0.21.0` of `registry.k8s.io:443/external-dns/external-dns:v0.21.0@sha256:…`.
fn image_and_tag(image: &str) -> (&str, &str) {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').unwrap_or((last, ""))
}

/// What a container is given, in the keys of the charts where they have one for it.
fn given(container: &Value, pod: &Value, at: &str, tag: &str, idle: Option<Idle>) -> Value {
    let mut values = Map::new();
    for field in ["command", "args", "env", "envFrom"] {
        values.extend(container.get(field).map(|value| (field.to_owned(), value.clone())));
    }
    values.extend(pod.get("volumes").map(|volumes| ("extraVolumes".to_owned(), volumes.clone())));
    values.insert("image".into(), json!({"tag": tag}));
    values.insert("at".into(), at.into());
    if let Some(Idle { field, why, refused }) = idle {
        values.insert("idle".into(), json!({"field": field, "why": why, "refused": refused}));
    }
    Value::Object(values)
}

/// Why a component that stands as a workload does not run.
pub(super) struct Idle {
    pub field: String,
    pub why: String,
    /// Kubernetes refuses the workload; else it asks for no pods.
    pub refused: bool,
}

/// Whether a workload keeps no pod running.
pub(super) fn is_idle(values: &ComponentValues) -> Option<Idle> {
    let idle = values.values.get("idle")?;
    let text = |field: &str| idle.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Idle {
        field: text("field"),
        why: text("why"),
        refused: idle.get("refused") == Some(&Value::Bool(true)),
    })
}

/// The same of the object: what Kubernetes refuses of it (`ValidateDeploymentSpec` and its like), as far as these kinds are judged here.
fn idle(json: &Value, pod: &Value, at: &str, container: &Value) -> Option<Idle> {
    let refused = |field: &str, why: String| {
        let why = format!("Kubernetes refuses the object: {why}");
        Some(Idle { field: field.to_owned(), why, refused: true })
    };
    let filled = |value: &Value, field: &str| value.get(field).filter(|value| !value.is_null()).cloned();
    let spec = &json["spec"];
    if let Some(replicas) = filled(spec, "replicas") {
        // A whole number that YAML has with a fraction is one.
        #[allow(clippy::cast_possible_truncation, reason = "only its sign is looked at")]
        let whole =
            replicas.as_i64().or_else(|| replicas.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i64));
        match whole {
            Some(0) => {
                let why = "spec.replicas is 0".to_owned();
                return Some(Idle { field: "spec.replicas".to_owned(), why, refused: false });
            }
            Some(number) if number < 0 => {
                return refused(
                    "spec.replicas",
                    format!("spec.replicas: Invalid value: {number}: must be greater than or equal to 0"),
                );
            }
            Some(_) => {}
            None => {
                let is = super::kind(&replicas);
                return refused("spec.replicas", format!("spec.replicas is {is}, not a whole number"));
            }
        }
    }
    let Some(selector) = filled(spec, "selector").filter(Value::is_object) else {
        return refused("spec.selector", "spec.selector: Required value".to_owned());
    };
    let Some(selector) = read(&selector) else {
        return refused("spec.selector", "spec.selector is no selector of labels".to_owned());
    };
    if selector.labels.is_empty() && selector.expressions.is_empty() {
        return refused(
            "spec.selector",
            "spec.selector: Invalid value: {}: empty selector is invalid".to_owned(),
        );
    }
    let labels = spec.pointer("/template/metadata/labels").and_then(Value::as_object);
    let labels = labels
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str().into(), value.as_str()?.into())));
    if !selector.matches(&labels.collect()) {
        return refused("spec.selector", "`selector` does not match template `labels`".to_owned());
    }
    for (field, of) in [("env", container), ("envFrom", container), ("volumes", pod)] {
        if filled(of, field).is_some_and(|value| !value.is_array()) {
            let is = super::kind(&of[field]);
            let place = if field == "volumes" { at.split(".containers").next().unwrap_or(at) } else { at };
            return refused(&format!("{place}.{field}"), format!("{field} is {is}, not a list"));
        }
    }
    let named =
        |value: &Value| value.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    if !named(container) {
        return refused(at, format!("{at}.name: Required value"));
    }
    let variables = container.get("env").and_then(Value::as_array);
    let nameless = variables.into_iter().flatten().position(|variable| !named(variable))?;
    refused(&format!("{at}.env[{nameless}]"), format!("{at}.env[{nameless}].name: Required value"))
}

/// `metav1.LabelSelector`; `None` where it has another form.
fn read(selector: &Value) -> Option<LabelSelector> {
    let mut read = LabelSelector::default();
    for (key, value) in object(selector, "matchLabels")? {
        read.labels.insert(key.as_str().into(), value.as_str()?.into());
    }
    let expressions = selector.get("matchExpressions").filter(|value| !value.is_null());
    for one in expressions.map_or(Some(&Vec::new()), Value::as_array)? {
        let operator = match one.get("operator")?.as_str()? {
            "In" => LabelOperator::In,
            "NotIn" => LabelOperator::NotIn,
            "Exists" => LabelOperator::Exists,
            "DoesNotExist" => LabelOperator::DoesNotExist,
            _ => return None,
        };
        let values = one.get("values").and_then(Value::as_array).into_iter().flatten();
        let values = values.filter_map(Value::as_str).map(Name::from).collect();
        read.expressions.push(LabelExpression { key: one.get("key")?.as_str()?.into(), operator, values });
    }
    Some(read)
}

/// The entries of a mapping; none where there is none, and `None` where something else stands.
fn object<'a>(value: &'a Value, field: &str) -> Option<Vec<(&'a String, &'a Value)>> {
    match value.get(field) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Object(map)) => Some(map.iter().collect()),
        Some(_) => None,
    }
}

/// A field of the object that a problem is filed on.
pub(super) fn field(values: &ComponentValues, path: &str) -> String {
    let at = match values.form {
        Form::Chart => return path.to_owned(),
        Form::File => return "data".to_owned(),
        Form::Workload => values.values.get("at").and_then(Value::as_str).unwrap_or_default(),
    };
    match path {
        _ if path.starts_with("spec.") => path.to_owned(),
        _ if ["args", "command", "env"].iter().any(|field| path.starts_with(field)) => {
            // A flag is none of the object's fields.
            format!("{at}.{}", path.split(' ').next().unwrap_or_default())
        }
        _ => at.to_owned(),
    }
}
