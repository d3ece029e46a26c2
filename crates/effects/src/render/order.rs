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
pub(super) fn unapplied(key: &ObjectKey, json: &Value) -> Option<String> {
    let runs = matches!(
        (&*key.kind.group, &*key.kind.kind),
        ("batch", "Job") | ("", "Pod") | ("argoproj.io", "Workflow")
    );
    let hook = |of: &str, hook: &str, phases: &[&str], succeeded: Option<&str>| {
        let listed = |text: &str, wanted: &[&str]| text.split(',').any(|item| wanted.contains(&item.trim()));
        let what = format!("is {of} hook ({hook})");
        if runs {
            Some(what)
        } else if !listed(hook, phases) {
            Some(format!("{what}, which no sync applies"))
        } else if succeeded.is_some_and(|policy| listed(policy, &["HookSucceeded", "hook-succeeded"])) {
            Some(format!("{what}, which is removed when it has succeeded"))
        } else {
            None
        }
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
    key.kind.is("batch", "Job").then(|| "is a Job".to_owned())
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
    if let Some(namespaced) = definitions.namespaced(&kind.group, &kind.kind) {
        return !namespaced;
    }
    const BUILT_IN: [(&str, &str); 19] = [
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
    ];
    BUILT_IN.contains(&(&*kind.group, &*kind.kind))
        || (kind.group.contains('.')
            && kind.kind.strip_prefix("Cluster").is_some_and(|rest| rest.starts_with(char::is_uppercase)))
}
