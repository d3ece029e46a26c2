//! Services that are in no file and may be in a cluster: its own, those of an operator (of a custom resource that nobody acts on
//! here), and those of a source that was not read.

use portolan_model::{NamespacedName, ObjectKey};

use crate::{Cx, gitops::unseen, world::OperatedByNamespace};

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

/// What may bring the Service, in words; `None` if it is missing.
pub(super) fn elsewhere(cx: &mut Cx<'_>, service: &NamespacedName) -> Option<String> {
    if (&*service.namespace, &*service.name) == ("default", "kubernetes") {
        return Some("is the API server's own, which is not here".to_owned());
    }
    if let Some(resource) = by(cx, service) {
        return Some(format!(
            "is not in the repository: the operator of {resource} may bring it, and none runs here"
        ));
    }
    let source = unseen::may_bring(cx, &service.namespace)?;
    Some(format!("is not in what was read: {source}, which was not read whole, may bring it"))
}

/// The custom resource whose operator may bring the Service: by their habit it is called as the resource is, or begins with its
/// name.
fn by(cx: &mut Cx<'_>, service: &NamespacedName) -> Option<ObjectKey> {
    let all = cx.find::<OperatedByNamespace>(&service.namespace);
    let named = |object: &ObjectKey| {
        let rest = service.name.strip_prefix(&*object.name.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    all.into_iter().map(|judged| judged.key.clone()).find(named)
}
