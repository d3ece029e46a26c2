//! The objects with which a policy is evaluated (`apiserver/pkg/admission/plugin/policy/generic`, `policy_dispatcher.go`). A reference that
//! an API server could not follow is a policy or a binding that cannot be configured, and no parameter that is missing:
//! `parameterNotFoundAction` says nothing about it.

use std::sync::Arc;

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey,
    input::{AdmissionBinding, AdmissionPolicy, Judged, ParamRef},
};
use portolan_schema::{Definitions, Lookup};

use crate::{
    Cx,
    world::{DefinitionsByKind, JudgedByKind},
};

/// The objects for each of which the policy is evaluated once; `None` stands for null.
///
/// # Errors
/// Why the policy, or the binding, cannot be configured; `failurePolicy` says what that means.
pub(super) fn parameters(
    cx: &mut Cx<'_>,
    object: &Judged,
    policy: &AdmissionPolicy,
    binding: &AdmissionBinding,
) -> Result<Vec<Option<Arc<Judged>>>, String> {
    let (Some((kind, version)), Some(param)) = (&policy.param_kind, &binding.param) else {
        return Ok(vec![None]);
    };
    if kind.is("", "Secret") {
        return Err(format!(
            "its parameters are Secrets ({}), whose values policies are not shown here",
            param.name.as_deref().unwrap_or("by labels")
        ));
    }
    let own = &object.key.name.namespace;
    let found = match known(cx, kind, version) {
        Known::No(why) => return Err(format!("failed to configure policy: {why}")),
        Known::Namespaced(false) if !param.namespace.is_empty() => {
            return Err(
                "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
                    .to_owned(),
            );
        }
        Known::Namespaced(false) => params(cx, kind, param, &Name::default()),
        Known::Namespaced(true) if param.namespace.is_empty() && own.is_empty() => {
            return Err(
                "failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                    .to_owned(),
            );
        }
        Known::Namespaced(true) => {
            let namespace = if param.namespace.is_empty() { own } else { &param.namespace };
            params(cx, kind, param, namespace)
        }
        // Somebody else defines it: whether objects have a namespace shows in those that are there.
        Known::Elsewhere(missing) => {
            let namespace = if param.namespace.is_empty() { own } else { &param.namespace };
            let mut found = params(cx, kind, param, namespace);
            for other in ["", "default"] {
                if found.is_empty() && param.namespace.is_empty() {
                    found = params(cx, kind, param, &other.into());
                }
            }
            match missing {
                Some(why) if found.is_empty() => return Err(format!("failed to configure policy: {why}")),
                _ => found,
            }
        }
    };
    if found.is_empty() && param.deny_if_missing {
        return Err(format!(
            "failed to configure binding: no {kind} found that paramRef names, and parameterNotFoundAction is Deny"
        ));
    }
    Ok(found.into_iter().map(Some).collect())
}

/// What is known of a kind of parameters.
enum Known {
    /// Whether its objects stand in namespaces.
    Namespaced(bool),
    /// Nobody here defines it. What an API server says that has no such kind either; `None`: Kubernetes itself has it.
    Elsewhere(Option<String>),
    /// An API server would not find it.
    No(String),
}

fn known(cx: &mut Cx<'_>, kind: &Kind, version: &Name) -> Known {
    let missing = || {
        let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
        format!("failed to find resource referenced by paramKind: '{group}{version}, Kind={}'", kind.kind)
    };
    if let Some(defines) = cx.find::<DefinitionsByKind>(kind).iter().find_map(|row| row.defines.clone()) {
        let served = defines.versions.contains(version);
        return if served { Known::Namespaced(defines.namespaced) } else { Known::No(missing()) };
    }
    match Definitions::builtin().find(&kind.group, version, &kind.kind) {
        Lookup::Found(definition) => Known::Namespaced(definition.namespaced),
        Lookup::OtherVersions => Known::No(missing()),
        Lookup::Unknown => {
            let of_kubernetes = !kind.group.contains('.') || kind.group.ends_with(".k8s.io");
            Known::Elsewhere((!of_kubernetes).then(missing))
        }
    }
}

fn params(cx: &mut Cx<'_>, kind: &Kind, param: &ParamRef, namespace: &Name) -> Vec<Arc<Judged>> {
    if let Some(name) = &param.name {
        let name = NamespacedName::new(namespace.clone(), name.clone());
        return cx.get::<Judged>(&ObjectKey { kind: kind.clone(), name }).into_iter().collect();
    }
    let mut all = cx.find::<JudgedByKind>(&(kind.clone(), namespace.clone()));
    all.retain(|object| param.selector.matches(&object.labels));
    all
}
