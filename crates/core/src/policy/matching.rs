//! Which objects a policy and its binding match (Kubernetes, `apiserver/pkg/admission/plugin/policy/matching`).
//!
//! Versions are not looked at: `matchPolicy: Equivalent`, the default, makes every version of a kind match.

use portolan_model::{
    Kind, Name,
    input::{Judged, MatchResources, ResourceRule},
};

/// What is judged: group and plural resource.
pub const JUDGED: [(&str, &str); 4] = [
    ("gateway.networking.k8s.io", "httproutes"),
    ("gateway.networking.k8s.io", "grpcroutes"),
    ("gateway.networking.k8s.io", "gateways"),
    ("cert-manager.io", "certificates"),
];

/// What the object in the repository stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new: `oldObject` is null.
    Create,
    /// It is there and applied again unchanged, for policies that match updates only: `oldObject` is the object.
    Update,
}

impl Operation {
    /// As policies write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
        }
    }
}

const OPERATIONS: [Operation; 2] = [Operation::Create, Operation::Update];

/// Judged resources that both may match, selectors and names of objects aside.
pub fn resources(policy: &MatchResources, binding: &MatchResources) -> Vec<Name> {
    let matched = |(group, resource): &(&str, &str)| {
        OPERATIONS.iter().any(|operation| {
            let may = |rule: &ResourceRule| covers(rule, group, resource, *operation);
            policy.rules.iter().any(may) && (binding.rules.is_empty() || binding.rules.iter().any(may))
        })
    };
    JUDGED.iter().filter(|kind| matched(kind)).map(|(_, resource)| Name::new(resource)).collect()
}

/// Whether the policy may match any judged resource.
pub fn concerns(policy: &MatchResources) -> bool {
    !resources(policy, &MatchResources::default()).is_empty()
}

/// The operation for which the object is judged, namespace and object selectors aside.
pub fn operation(object: &Judged, policy: &MatchResources, binding: &MatchResources) -> Option<Operation> {
    let matched = |resources: &MatchResources, operation: Operation, empty: bool| {
        let hits = |rule: &ResourceRule| hits(rule, object, operation);
        let included = if resources.rules.is_empty() { empty } else { resources.rules.iter().any(hits) };
        included && !resources.exclude.iter().any(hits)
    };
    OPERATIONS
        .into_iter()
        .find(|operation| matched(policy, *operation, false) && matched(binding, *operation, true))
}

fn hits(rule: &ResourceRule, object: &Judged, operation: Operation) -> bool {
    let Kind { group, .. } = &object.key.kind;
    covers(rule, group, &object.resource, operation)
        && (rule.names.is_empty() || rule.names.contains(&object.key.name.name))
}

fn covers(rule: &ResourceRule, group: &str, resource: &str, operation: Operation) -> bool {
    let one_of = |list: &[Name], wanted: &str| list.iter().any(|item| **item == *"*" || **item == *wanted);
    let resources = rule.resources.iter().any(|item| {
        let item: &str = item;
        item == "*" || item == "*/*" || item.strip_suffix("/*").unwrap_or(item) == resource
    });
    !rule.cluster_only
        && one_of(&rule.groups, group)
        && resources
        && one_of(&rule.operations, operation.name())
}
