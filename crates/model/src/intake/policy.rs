//! ValidatingAdmissionPolicy, its binding, and the objects they judge.

use serde_json::Value;

use super::{
    gateway::selector,
    node::{Node, Root},
};
use crate::{
    Json, Kind, ObjectKey, Packed,
    input::{
        AdmissionBinding, AdmissionPolicy, Defines, Judged, MatchResources, ParamRef, ResourceRule, Scope,
        Validation,
    },
};

pub(super) fn policy(root: &mut Root<'_>) -> AdmissionPolicy {
    let spec = root.spec();
    let constraints = spec.get("matchConstraints");
    if constraints.get("resourceRules").items().is_empty() {
        root.invalid(
            &constraints.get("resourceRules"),
            "matchConstraints.resourceRules is empty: the policy matches nothing",
            "name apiGroups, apiVersions, operations and resources",
        );
    }
    let failure = spec.get("failurePolicy");
    if !["", "Fail", "Ignore"].contains(&&*failure.name()) {
        let message = format!("failurePolicy {} is not known; Fail is taken", failure.name());
        root.invalid(&failure, message, "use Fail or Ignore");
    }
    let mut validations = Vec::new();
    for node in spec.get("validations").items() {
        validations.push(Validation {
            expression: expression(root, &node, "expression"),
            message: node.get("message").text().map(str::to_owned),
            message_expression: node.get("messageExpression").opt(),
            reason: node.get("reason").opt(),
        });
    }
    if validations.is_empty() && spec.get("auditAnnotations").items().is_empty() {
        root.invalid(&spec.get("validations"), "the policy has no validations", "add spec.validations");
    }
    let kind = spec.get("paramKind");
    AdmissionPolicy {
        name: root.object.key.name.name.clone(),
        constraints: resources(root, &constraints),
        conditions: named(root, &spec.get("matchConditions"), ["name", "expression"]),
        variables: named(root, &spec.get("variables"), ["name", "expression"]),
        validations,
        audits: named(root, &spec.get("auditAnnotations"), ["key", "valueExpression"]),
        fail_closed: &*failure.name() != "Ignore",
        param_kind: kind.get("kind").opt().map(|name| {
            let version = kind.get("apiVersion").name();
            let (group, version) = version.split_once('/').unwrap_or(("", &version));
            (Kind::new(group, name), version.into())
        }),
    }
}

fn expression(root: &mut Root<'_>, node: &Node<'_>, field: &str) -> crate::Name {
    let field = node.get(field);
    if field.opt().is_none() {
        root.invalid(&field, "the expression is missing", "write a CEL expression");
    }
    field.name()
}

fn named(root: &mut Root<'_>, list: &Node<'_>, fields: [&str; 2]) -> Vec<(crate::Name, crate::Name)> {
    let [name, value] = fields;
    let mut all = Vec::new();
    for node in list.items() {
        if node.get(name).opt().is_none() {
            root.invalid(&node.get(name), format!("the {name} is missing"), "give it one");
        }
        all.push((node.get(name).name(), expression(root, &node, value)));
    }
    all
}

fn resources(root: &mut Root<'_>, node: &Node<'_>) -> MatchResources {
    let policy = node.get("matchPolicy");
    if !["", "Equivalent", "Exact"].contains(&&*policy.name()) {
        let message = format!("matchPolicy {} is not known; Equivalent is taken", policy.name());
        root.invalid(&policy, message, "use Equivalent or Exact");
    }
    MatchResources {
        rules: rules(root, &node.get("resourceRules")),
        exclude: rules(root, &node.get("excludeResourceRules")),
        namespaces: selector(root, &node.get("namespaceSelector")),
        objects: selector(root, &node.get("objectSelector")),
        exact: &*policy.name() == "Exact",
    }
}

fn rules(root: &mut Root<'_>, list: &Node<'_>) -> Vec<ResourceRule> {
    let mut all = Vec::new();
    for node in list.items() {
        for field in ["apiGroups", "apiVersions", "operations", "resources"] {
            if node.get(field).items().is_empty() {
                root.invalid(
                    &node.get(field),
                    format!("{field} is empty: the rule matches nothing"),
                    "name what the rule is for, or \"*\" for all",
                );
            }
        }
        all.push(ResourceRule {
            groups: node.get("apiGroups").names_and_empty(),
            versions: node.get("apiVersions").names(),
            resources: node.get("resources").names(),
            operations: node.get("operations").names(),
            names: node.get("resourceNames").names(),
            scope: match node.get("scope").text() {
                Some("Cluster") => Scope::Cluster,
                Some("Namespaced") => Scope::Namespaced,
                _ => Scope::All,
            },
        });
    }
    all
}

pub(super) fn binding(root: &mut Root<'_>) -> AdmissionBinding {
    let spec = root.spec();
    let policy = spec.get("policyName");
    if policy.opt().is_none() {
        root.invalid(&policy, "policyName is missing", "name a ValidatingAdmissionPolicy");
    }
    let field = spec.get("validationActions");
    let actions = field.names();
    let has = |action: &str| actions.iter().any(|a| &**a == action);
    if let Some(unknown) = actions.iter().find(|a| !["Deny", "Warn", "Audit"].contains(&&***a)) {
        root.invalid(&field, format!("action {unknown} is not known"), "use Deny, Warn or Audit");
    } else if actions.is_empty() {
        root.invalid(&field, "validationActions is empty; Deny is taken", "use Deny, Warn or Audit");
    } else if has("Deny") && has("Warn") {
        root.invalid(&field, "Deny and Warn together say one thing twice", "use one of the two");
    }
    let param = spec.get("paramRef");
    if param.present() && param.get("name").opt().is_some() == param.get("selector").present() {
        root.invalid(&param, "paramRef needs one of name and selector", "set one of the two");
    }
    AdmissionBinding {
        name: root.object.key.name.name.clone(),
        policy: policy.name(),
        deny: has("Deny") || actions.is_empty(),
        warn: has("Warn") || has("Audit"),
        resources: resources(root, &spec.get("matchResources")),
        param: param.present().then(|| ParamRef {
            name: param.get("name").opt(),
            selector: selector(root, &param.get("selector")),
            namespace: param.get("namespace").name(),
            deny_if_missing: param.get("parameterNotFoundAction").text() != Some("Allow"),
        }),
    }
}

/// What no ValidatingAdmissionPolicy is asked about: what configures admission (Kubernetes,
/// `rules.IsExemptAdmissionConfigurationResource`).
const EXEMPT: &str = "admissionregistration.k8s.io";

pub(super) fn judged(root: &Root<'_>) -> Option<Judged> {
    let object = root.object;
    let ObjectKey { kind, .. } = &object.key;
    if &*kind.group == EXEMPT {
        return None;
    }
    let secret = kind.group.is_empty() && &*kind.kind == "Secret";
    Some(Judged {
        key: object.key.clone(),
        resource: plural(&kind.kind).into(),
        version: object.version.clone(),
        labels: root.labels(),
        json: if secret { concealed(&object.json) } else { bare(&object.json) },
        before: None,
        defines: defines(kind, &object.json).map(Box::new),
    })
}

/// What a CustomResourceDefinition says of its kind.
fn defines(kind: &Kind, json: &Value) -> Option<Defines> {
    if !kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        return None;
    }
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
    let versions = json.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let served = versions.filter(|version| version["served"] == true);
    Some(Defines {
        kind: Kind::new(text("/spec/group")?, text("/spec/names/kind")?),
        plural: text("/spec/names/plural")?.into(),
        namespaced: text("/spec/scope") != Some("Cluster"),
        versions: served.filter_map(|version| version["name"].as_str()).map(Into::into).collect(),
    })
}

/// The resource of a kind, as those who define kinds form it.
fn plural(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    let before = |end: &str| kind.strip_suffix(end).and_then(|stem| stem.chars().last());
    if kind == "endpoints" {
        kind
    } else if before("y").is_some_and(|c| !"aeiou".contains(c)) {
        format!("{}ies", &kind[..kind.len() - 1])
    } else if ["s", "x", "z", "ch", "sh"].iter().any(|end| kind.ends_with(end)) {
        format!("{kind}es")
    } else {
        format!("{kind}s")
    }
}

/// What of a Secret expressions see: their messages stand in findings, so each value is the same placeholder.
fn concealed(json: &Json) -> Packed {
    const PLACEHOLDER: &str = "AAAA";
    let mut json = (**json).clone();
    for field in ["data", "stringData"] {
        for value in
            json.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut())
        {
            *value = PLACEHOLDER.into();
        }
    }
    if let Some(annotations) = json.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    stripped(json)
}

/// Without what a controller or the store writes, so that a status or a stored version changes no verdict.
fn bare(json: &Json) -> Packed {
    let stored = json.get("metadata").is_some_and(|m| STORED.iter().any(|field| m.get(field).is_some()));
    if !stored && json.get("status").is_none() {
        return json.packed();
    }
    stripped((**json).clone())
}

/// Metadata that the store writes.
const STORED: [&str; 2] = ["managedFields", "resourceVersion"];

fn stripped(mut json: Value) -> Packed {
    if let Some(map) = json.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in STORED {
            metadata.remove(field);
        }
    }
    Packed::of(&json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::plural;
    use crate::{Object, Origin, intake::intake};

    #[test]
    fn resources_of_kinds() {
        for definition in portolan_schema::Definitions::packed() {
            // A list names no resource.
            if !definition.plural.is_empty() {
                assert_eq!(plural(&definition.kind), *definition.plural, "{}", definition.kind);
            }
        }
        for (kind, resource) in
            [("Ingress", "ingresses"), ("NetworkPolicy", "networkpolicies"), ("Gateway", "gateways")]
        {
            assert_eq!(plural(kind), resource);
        }
    }

    #[test]
    fn a_policy_sees_no_value_of_a_secret() {
        let json = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "s", "namespace": "ns", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "aHVzaA==", "a": "b"}},
            "data": {"key": "aHVzaA=="}, "stringData": {"other": "hush"},
        });
        let taken = intake(&Object::from_json(json, Origin::default()).unwrap());
        let shown = taken.judged.unwrap().json.unpack();
        assert_eq!(
            shown,
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": "s", "namespace": "ns", "annotations": {"a": "b"}},
                "data": {"key": "AAAA"}, "stringData": {"other": "AAAA"},
            })
        );
    }
}
