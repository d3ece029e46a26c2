//! Which objects a policy and its binding match (Kubernetes, `apiserver/pkg/admission/plugin/policy/matching`).

use portolan_model::{
    Kind, Name,
    input::{Judged, MatchResources, ResourceRule},
};
/// A resource that is judged.
struct Resource {
    group: &'static str,
    plural: &'static str,
    /// Versions that an API server with the present CRDs serves: under `matchPolicy: Equivalent` each stands for the
    /// others.
    versions: &'static [&'static str],
}

const fn resource(group: &'static str, plural: &'static str, versions: &'static [&'static str]) -> Resource {
    Resource { group, plural, versions }
}

/// What is judged. Versions: Gateway API v1.6 `config/crd/standard`, cert-manager.
const JUDGED: [Resource; 4] = [
    resource("gateway.networking.k8s.io", "httproutes", &["v1", "v1beta1"]),
    resource("gateway.networking.k8s.io", "grpcroutes", &["v1"]),
    resource("gateway.networking.k8s.io", "gateways", &["v1", "v1beta1"]),
    resource("cert-manager.io", "certificates", &["v1"]),
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

/// How an object is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// What it stands for.
    pub operation: Operation,
    /// The version in which the expressions see it: its own, or under `matchPolicy: Equivalent` that of the rule.
    pub version: Name,
}

/// Judged resources that both may match; versions, selectors and names of objects aside.
pub fn resources(policy: &MatchResources, binding: &MatchResources) -> Vec<Name> {
    let matched = |kind: &&Resource| {
        OPERATIONS.iter().any(|operation| {
            let may = |rule: &ResourceRule| covers(rule, kind.group, kind.plural, *operation);
            policy.rules.iter().any(may) && (binding.rules.is_empty() || binding.rules.iter().any(may))
        })
    };
    JUDGED.iter().filter(matched).map(|kind| Name::new(kind.plural)).collect()
}

/// Whether the policy may match any judged resource.
pub fn concerns(policy: &MatchResources) -> bool {
    !resources(policy, &MatchResources::default()).is_empty()
}

/// How the object is judged; `None`: it is not. Namespace and object selectors aside.
pub fn matched(object: &Judged, policy: &MatchResources, binding: &MatchResources) -> Option<Matched> {
    let own = own_version(object);
    OPERATIONS.into_iter().find_map(|operation| {
        let hits = |resources: &MatchResources, rules: &[ResourceRule]| {
            version(rules, resources.exact, object, own, operation)
        };
        let excluded = |resources: &MatchResources| hits(resources, &resources.exclude).is_some();
        let version = hits(policy, &policy.rules)?;
        let bound = binding.rules.is_empty() || hits(binding, &binding.rules).is_some();
        (bound && !excluded(policy) && !excluded(binding))
            .then(|| Matched { operation, version: version.into() })
    })
}

/// The version in which the object is written.
pub fn own_version(object: &Judged) -> &str {
    &object.version
}

/// The version in which one of the rules matches: the object's own first, then, unless `exact`, others that the API
/// server serves of the resource.
fn version<'a>(
    rules: &[ResourceRule],
    exact: bool,
    object: &Judged,
    own: &'a str,
    operation: Operation,
) -> Option<&'a str> {
    let Kind { group, .. } = &object.key.kind;
    let rules = || {
        rules.iter().filter(|rule| {
            covers(rule, group, &object.resource, operation)
                && (rule.names.is_empty() || rule.names.contains(&object.key.name.name))
        })
    };
    let names = |version: &str| rules().any(|rule| one_of(&rule.versions, version));
    if names(own) {
        return Some(own);
    }
    let kind =
        JUDGED.iter().find(|kind| !exact && *group == *kind.group && *object.resource == *kind.plural)?;
    kind.versions.iter().copied().find(|version| names(version))
}

fn one_of(list: &[Name], wanted: &str) -> bool {
    list.iter().any(|item| **item == *"*" || **item == *wanted)
}

fn covers(rule: &ResourceRule, group: &str, resource: &str, operation: Operation) -> bool {
    let resources = rule.resources.iter().any(|item| {
        let item: &str = item;
        item == "*" || item == "*/*" || item.strip_suffix("/*").unwrap_or(item) == resource
    });
    !rule.cluster_only
        && one_of(&rule.groups, group)
        && resources
        && one_of(&rule.operations, operation.name())
}
