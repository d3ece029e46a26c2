//! Services that an operator brings in a cluster: of a custom resource that nobody acts on here.

use portolan_model::{NamespacedName, ObjectKey};

use crate::{Cx, world::OperatedByNamespace};

/// Groups whose kinds bring no Service: they are acted on here, or deploy what is rendered here.
const NONE: [&str; 6] = [
    "cert-manager.io",
    "acme.cert-manager.io",
    "bitnami.com",
    "gateway.envoyproxy.io",
    "argoproj.io",
    "kyverno.io",
];

/// Whether an operator may act on the object: it is of nobody's kind here, and of no group of Kubernetes itself.
pub(crate) fn is_operated(object: &ObjectKey) -> bool {
    let group = &*object.kind.group;
    group.contains('.') && !group.ends_with(".k8s.io") && !NONE.contains(&group)
}

/// The custom resource whose operator may bring the Service: by their habit it is called as the resource is, or begins with its
/// name.
pub(super) fn by(cx: &mut Cx<'_>, service: &NamespacedName) -> Option<ObjectKey> {
    let all = cx.find::<OperatedByNamespace>(&service.namespace);
    let named = |object: &ObjectKey| {
        let rest = service.name.strip_prefix(&*object.name.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    all.into_iter().map(|judged| judged.key.clone()).find(named)
}
