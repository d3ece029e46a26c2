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

/// Services that an operator calls always the same: group, kind, names.
const FIXED: [(&str, &str, &[&str]); 5] = [
    ("monitoring.coreos.com", "Prometheus", &["prometheus-operated"]),
    ("monitoring.coreos.com", "PrometheusAgent", &["prometheus-agent-operated"]),
    ("monitoring.coreos.com", "Alertmanager", &["alertmanager-operated"]),
    ("monitoring.coreos.com", "ThanosRuler", &["thanos-ruler-operated"]),
    ("minio.min.io", "Tenant", &["minio"]),
];

/// The custom resource whose operator may bring the Service: by their habit it is called as the resource is, or has its name in
/// front, at the end or between dashes.
fn by(cx: &mut Cx<'_>, service: &NamespacedName) -> Option<ObjectKey> {
    let all = cx.find::<OperatedByNamespace>(&service.namespace);
    let name = &*service.name;
    let fixed = |object: &ObjectKey| {
        FIXED.iter().any(|(group, kind, names)| object.kind.is(group, kind) && names.contains(&name))
    };
    let may = |object: &ObjectKey| is_called_after(name, &object.name.name) || fixed(object);
    all.into_iter().map(|judged| judged.key.clone()).find(may)
}

/// Whether a name has another in it, whole parts between dashes.
fn is_called_after(name: &str, other: &str) -> bool {
    !other.is_empty()
        && name.match_indices(other).any(|(at, _)| {
            let (before, after) = (&name[..at], &name[at + other.len()..]);
            (before.is_empty() || before.ends_with('-')) && (after.is_empty() || after.starts_with('-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_called_after_a_resource_by_whole_parts() {
        for (name, wanted) in [
            ("logs", true),
            ("logs-es-http", true),
            ("vmsingle-logs", true),
            ("my-logs-rw", true),
            ("catalogs", false),
            ("logs2", false),
            ("log", false),
        ] {
            assert_eq!(is_called_after(name, "logs"), wanted, "{name}");
        }
    }
}
