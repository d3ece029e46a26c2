//! Components that stand in manifests (written by hand, or the output of `helm template`), by the image of a container: what it is
//! given is read by the same tables as the values of the component's chart.

use portolan_model::{Name, ObjectKey};
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
        let runs = json.pointer("/spec/replicas").is_none_or(|replicas| *replicas != 0);
        let values = given(container, pod, &at, tag, runs);
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
fn given(container: &Value, pod: &Value, at: &str, tag: &str, runs: bool) -> Value {
    let mut values = Map::new();
    for field in ["command", "args", "env", "envFrom"] {
        values.extend(container.get(field).map(|value| (field.to_owned(), value.clone())));
    }
    values.extend(pod.get("volumes").map(|volumes| ("extraVolumes".to_owned(), volumes.clone())));
    values.insert("image".into(), json!({"tag": tag}));
    values.insert("at".into(), at.into());
    values.insert("runs".into(), runs.into());
    Value::Object(values)
}

/// Whether the component runs: a workload may ask for no pods.
pub(super) fn runs(values: &ComponentValues) -> bool {
    values.values.get("runs") != Some(&Value::Bool(false))
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
