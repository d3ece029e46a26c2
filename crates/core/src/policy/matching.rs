//! Which objects a policy and its binding match (Kubernetes, `apiserver/pkg/admission/plugin/policy/matching`).

use portolan_model::{
    Name,
    input::{Judged, MatchResources, ResourceRule, Scope},
};
/// A resource that is served in several versions.
struct Resource {
    group: &'static str,
    plural: &'static str,
    /// Versions that an API server with the present CRDs serves: under `matchPolicy: Equivalent` each stands for the
    /// others.
    versions: &'static [&'static str],
}

const fn resource(plural: &'static str, versions: &'static [&'static str]) -> Resource {
    Resource { group: "gateway.networking.k8s.io", plural, versions }
}

/// Versions: Gateway API v1.6 `config/crd/standard`. All other kinds that are acted on have one.
const VERSIONS: [Resource; 4] = [
    resource("httproutes", &["v1", "v1beta1"]),
    resource("gateways", &["v1", "v1beta1"]),
    resource("gatewayclasses", &["v1", "v1beta1"]),
    resource("referencegrants", &["v1", "v1beta1"]),
];

/// Resources on which decisions are made here.
const OURS: [&str; 25] = [
    "backendtlspolicies",
    "backendtrafficpolicies",
    "certificaterequests",
    "certificates",
    "challenges",
    "clienttrafficpolicies",
    "clusterissuers",
    "configmaps",
    "endpoints",
    "endpointslices",
    "gatewayclasses",
    "gateways",
    "grpcroutes",
    "httproutes",
    "issuers",
    "namespaces",
    "orders",
    "referencegrants",
    "sealedsecrets",
    "secrets",
    "securitypolicies",
    "services",
    "tcproutes",
    "tlsroutes",
    "udproutes",
];

/// Stands for every resource.
pub const EVERY: &str = "*";

/// What the object in the repository stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new: `oldObject` is null. What stands is judged so too, and an edit by policies that match creations only: both are what a
    /// new cluster would be given.
    Create,
    /// An edit that is not stored yet: `oldObject` is what stands.
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

    /// Kind of `request.options`.
    pub const fn options(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
        }
    }
}

const OPERATIONS: [Operation; 2] = [Operation::Update, Operation::Create];

/// How an object is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// What it stands for.
    pub operation: Operation,
    /// Its resource (`httproutes`).
    pub resource: Name,
    /// The version in which the expressions see it: its own, or under `matchPolicy: Equivalent` that of the rule.
    pub version: Name,
}

/// Resources that both may match, [`EVERY`] for all of them; groups, versions, selectors and names of objects aside.
pub fn resources(policy: &MatchResources, binding: &MatchResources) -> Vec<Name> {
    let of = |resources: &MatchResources| -> Vec<Name> {
        let judged = |rule: &&ResourceRule| OPERATIONS.iter().any(|o| one_of(&rule.operations, o.name()));
        let names = resources.rules.iter().filter(judged).flat_map(|rule| &rule.resources);
        names.filter_map(|item| whole(item)).map(Name::new).collect()
    };
    let all = of(policy);
    let bound = if binding.rules.is_empty() { vec![Name::new(EVERY)] } else { of(binding) };
    let in_both = |one: &Vec<Name>, other: &[Name]| -> Vec<Name> {
        let every = other.iter().any(|name| **name == *EVERY);
        one.iter().filter(|name| every || other.contains(name)).cloned().collect()
    };
    let mut made = in_both(&all, &bound);
    made.extend(in_both(&bound, &all));
    made.sort();
    made.dedup();
    if made.iter().any(|name| **name == *EVERY) { vec![Name::new(EVERY)] } else { made }
}

/// The resource that an item of `resources` is for; `None` for subresources.
fn whole(item: &str) -> Option<&str> {
    match item.split_once('/') {
        None => Some(item),
        Some((resource, "*")) => Some(resource),
        Some(_) => None,
    }
}

/// Whether a rule names an operation, not by `*` alone.
pub fn names(policy: &MatchResources, operation: &str) -> bool {
    policy.rules.iter().any(|rule| one_of(&rule.operations, operation))
}

/// Whether the policy may match any object.
pub fn concerns(policy: &MatchResources) -> bool {
    !resources(policy, &MatchResources::default()).is_empty()
}

/// Whether the policy may match an object on which decisions are made here.
pub fn concerns_ours(policy: &MatchResources) -> bool {
    let ours = |name: &Name| **name == *EVERY || OURS.contains(&&**name);
    resources(policy, &MatchResources::default()).iter().any(ours)
}

/// How the object, which is one of `resource`, is judged; `None`: it is not. Namespace and object selectors aside.
pub fn matched(
    object: &Judged,
    resource: &str,
    policy: &MatchResources,
    binding: &MatchResources,
) -> Option<Matched> {
    let own = own_version(object);
    let edited = object.before.is_some();
    let mut operations = OPERATIONS.into_iter().filter(|one| edited || *one == Operation::Create);
    operations.find_map(|operation| {
        let hits = |resources: &MatchResources, rules: &[ResourceRule]| {
            version(rules, resources.exact, (object, resource), own, operation)
        };
        let excluded = |resources: &MatchResources| hits(resources, &resources.exclude).is_some();
        let version = hits(policy, &policy.rules)?;
        let bound = binding.rules.is_empty() || hits(binding, &binding.rules).is_some();
        (bound && !excluded(policy) && !excluded(binding)).then(|| Matched {
            operation,
            resource: resource.into(),
            version: version.into(),
        })
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
    (object, resource): (&Judged, &str),
    own: &'a str,
    operation: Operation,
) -> Option<&'a str> {
    let group = object.group();
    let rules = || {
        rules.iter().filter(|rule| {
            covers(rule, group, (object, resource), operation)
                && (rule.names.is_empty() || rule.names.contains(&object.key.name.name))
        })
    };
    let names = |version: &str| rules().any(|rule| one_of(&rule.versions, version));
    if names(own) {
        return Some(own);
    }
    let kind = VERSIONS.iter().find(|kind| !exact && *group == *kind.group && *resource == *kind.plural)?;
    kind.versions.iter().copied().find(|version| names(version))
}

fn one_of(list: &[Name], wanted: &str) -> bool {
    list.iter().any(|item| **item == *"*" || **item == *wanted)
}

fn covers(
    rule: &ResourceRule,
    group: &str,
    (object, resource): (&Judged, &str),
    operation: Operation,
) -> bool {
    let hits = |item: &Name| whole(item).is_some_and(|name| name == EVERY || name == resource);
    let scope = match rule.scope {
        Scope::All => true,
        Scope::Cluster => object.key.name.namespace.is_empty(),
        Scope::Namespaced => !object.key.name.namespace.is_empty(),
    };
    scope
        && one_of(&rule.groups, group)
        && rule.resources.iter().any(hits)
        && one_of(&rule.operations, operation.name())
}
