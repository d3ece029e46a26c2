//! What Argo CD does with an object apart from its content: wave, kind order, hooks, scope.
//! Source: argoproj/argo-cd `gitops-engine/pkg/sync`.

use portolan_model::{Kind, ObjectKey};
use portolan_schema::Definitions;
use serde_json::Value;

fn annotation<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// Sync wave: the annotation, else Helm's hook weight, else 0.
pub(super) fn wave(json: &Value) -> i32 {
    ["argocd.argoproj.io/sync-wave", "helm.sh/hook-weight"]
        .into_iter()
        .find_map(|key| annotation(json, key)?.trim().parse().ok())
        .unwrap_or(0)
}

/// Why an object is listed and not applied: it runs once, or is a hook that does not outlive a sync. A hook may be of any kind
/// (`gitops-engine/pkg/sync/hook`); one that stays is applied like other objects.
pub(super) fn unapplied(key: &ObjectKey, json: &Value, generated: bool) -> Option<Unapplied> {
    let runs = matches!(
        (&*key.kind.group, &*key.kind.kind),
        ("batch", "Job") | ("", "Pod") | ("argoproj.io", "Workflow")
    );
    let hook = |of: &str, hook: &str, phases: &[&str], succeeded: Option<&str>| {
        let listed = |text: &str, wanted: &[&str]| text_items(text).any(|item| wanted.contains(&item));
        let what = format!("is {of} hook ({hook})");
        let known = text_items(hook).any(|item| HOOKS.contains(&item));
        if !known {
            return Some(Unapplied::Misspelt(format!(
                "{what}, of a type that there is not: nothing applies it"
            )));
        }
        let why = if runs {
            Some(what)
        } else if !listed(hook, phases) {
            Some(format!("{what}, which no sync applies"))
        } else if succeeded.is_some_and(|policy| listed(policy, &["HookSucceeded", "hook-succeeded"])) {
            Some(format!("{what}, which is removed when it has succeeded"))
        } else {
            generated.then(|| format!("{what}, which has another name in each sync"))
        };
        why.map(Unapplied::Listed)
    };
    // Any hook of Argo CD disables Helm's.
    if let Some(text) = annotation(json, "argocd.argoproj.io/hook") {
        let policy = annotation(json, "argocd.argoproj.io/hook-delete-policy");
        return hook("an Argo CD", text, &["PreSync", "Sync", "PostSync"], policy);
    }
    // `crd-install` is what Helm 2 charts put on plain CRDs.
    if let Some(text) = annotation(json, "helm.sh/hook").filter(|hook| *hook != "crd-install") {
        let phases = ["crd-install", "pre-install", "pre-upgrade", "post-install", "post-upgrade"];
        return hook("a Helm", text, &phases, annotation(json, "helm.sh/hook-delete-policy"));
    }
    if generated && runs {
        return Some(Unapplied::Listed("has another name in each sync".to_owned()));
    }
    key.kind.is("batch", "Job").then(|| Unapplied::Listed("is a Job".to_owned()))
}

/// Why an object is listed and not applied.
pub(super) enum Unapplied {
    /// It is meant so.
    Listed(String),
    /// Its hook has a type that nobody knows, and the object is missing for it.
    Misspelt(String),
}

/// Types of the hooks of Argo CD and of Helm.
const HOOKS: [&str; 19] = [
    "PreSync",
    "Sync",
    "PostSync",
    "Skip",
    "SyncFail",
    "PreDelete",
    "PostDelete",
    "crd-install",
    "pre-install",
    "pre-upgrade",
    "pre-delete",
    "pre-rollback",
    "post-install",
    "post-upgrade",
    "post-delete",
    "post-rollback",
    "test",
    "test-success",
    "test-failure",
];

fn text_items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// Rank of a kind within one wave (`sync_tasks.go`); custom resources come last.
pub(super) fn rank(kind: &Kind) -> usize {
    const ORDER: [&str; 35] = [
        "Namespace",
        "NetworkPolicy",
        "ResourceQuota",
        "LimitRange",
        "PodSecurityPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
        "Secret",
        "SecretList",
        "ConfigMap",
        "StorageClass",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleList",
        "ClusterRoleBinding",
        "ClusterRoleBindingList",
        "Role",
        "RoleList",
        "RoleBinding",
        "RoleBindingList",
        "Service",
        "DaemonSet",
        "Pod",
        "ReplicationController",
        "ReplicaSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "StatefulSet",
        "Job",
        "CronJob",
        "IngressClass",
        "Ingress",
        "APIService",
    ];
    ORDER.iter().position(|name| *name == &*kind.kind).unwrap_or(ORDER.len())
}

/// Whether objects of the kind have no namespace.
///
/// For a custom kind without a definition, a name that starts with `Cluster` and goes on decides, as the field names them
/// (ClusterIssuer, ClusterPolicy, ClusterSecretStore).
pub(super) fn cluster_scoped(kind: &Kind, definitions: &Definitions) -> bool {
    const BUILT_IN: [(&str, &str); 24] = [
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("networking.k8s.io", "IngressClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("policy", "PodSecurityPolicy"),
        ("projectcalico.org", "GlobalNetworkPolicy"),
        ("crd.projectcalico.org", "GlobalNetworkPolicy"),
        ("cilium.io", "CiliumClusterwideNetworkPolicy"),
        ("cilium.io", "CiliumClusterwideEnvoyConfig"),
    ];
    // Groups of others that stand for all namespaces, without what their kinds of one namespace begin with.
    const WHOLE: [(&str, &str); 7] = [
        ("policies.kyverno.io", "Namespaced"),
        ("constraints.gatekeeper.sh", ""),
        ("templates.gatekeeper.sh", ""),
        ("mutations.gatekeeper.sh", ""),
        ("expansion.gatekeeper.sh", ""),
        ("policy.networking.k8s.io", ""),
        ("trust.cert-manager.io", ""),
    ];
    if let Some(namespaced) = definitions.namespaced(&kind.group, &kind.kind) {
        return !namespaced;
    }
    let whole = WHOLE.iter().find(|(group, _)| *group == &*kind.group);
    BUILT_IN.contains(&(&*kind.group, &*kind.kind))
        || whole.is_some_and(|(_, one)| {
            (one.is_empty() || !kind.kind.starts_with(one)) && &*kind.kind != "PolicyException"
        })
        || (kind.group.contains('.')
            && kind.kind.strip_prefix("Cluster").is_some_and(|rest| rest.starts_with(char::is_uppercase)))
}

/// Whether objects of the kind are known to have a namespace. Of a kind of others without a definition nobody can say.
pub(super) fn is_namespaced(kind: &Kind, definitions: &Definitions) -> bool {
    // Their kinds of all namespaces are known by `cluster_scoped`.
    const KNOWN: [&str; 2] = ["rbac.authorization.k8s.io", "external-secrets.io"];
    let group = &*kind.group;
    definitions.namespaced(group, &kind.kind).unwrap_or_else(|| {
        let known = !group.contains('.') || group.ends_with(".toolkit.fluxcd.io") || KNOWN.contains(&group);
        known && !cluster_scoped(kind, definitions)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_kind_has_a_namespace_is_known_or_not() {
        let is = |group: &str, kind: &str| is_namespaced(&Kind::new(group, kind), &Definitions::default());
        for (group, kind) in [
            ("", "ConfigMap"),
            ("apps", "Deployment"),
            ("gateway.networking.k8s.io", "HTTPRoute"),
            ("helm.toolkit.fluxcd.io", "HelmRelease"),
            ("rbac.authorization.k8s.io", "Role"),
        ] {
            assert!(is(group, kind), "{kind}.{group}");
        }
        for (group, kind) in [
            ("", "Namespace"),
            ("gateway.networking.k8s.io", "GatewayClass"),
            ("rbac.authorization.k8s.io", "ClusterRole"),
            ("external-secrets.io", "ClusterSecretStore"),
            ("snapshot.storage.k8s.io", "VolumeSnapshotClass"),
        ] {
            assert!(!is(group, kind), "{kind}.{group}");
        }
    }

    #[test]
    fn kinds_of_others_that_stand_for_all_namespaces() {
        let wide = |group: &str, kind: &str| cluster_scoped(&Kind::new(group, kind), &Definitions::default());
        for (group, kind) in [
            ("policies.kyverno.io", "ValidatingPolicy"),
            ("kyverno.io", "ClusterPolicy"),
            ("constraints.gatekeeper.sh", "K8sAllowedHosts"),
            ("projectcalico.org", "GlobalNetworkPolicy"),
            ("cilium.io", "CiliumClusterwideNetworkPolicy"),
            ("policy.networking.k8s.io", "AdminNetworkPolicy"),
        ] {
            assert!(wide(group, kind), "{kind}.{group}");
        }
        for (group, kind) in [
            ("policies.kyverno.io", "NamespacedValidatingPolicy"),
            ("policies.kyverno.io", "PolicyException"),
            ("kyverno.io", "Policy"),
            ("projectcalico.org", "NetworkPolicy"),
            ("k8s.nginx.org", "GlobalConfiguration"),
        ] {
            assert!(!wide(group, kind), "{kind}.{group}");
        }
    }
}
