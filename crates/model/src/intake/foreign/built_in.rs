//! The kinds of Kubernetes itself: in its own groups there are no others, whatever is installed. Source: the published OpenAPI of
//! k8s.io/kubernetes 1.36.3 (`api/openapi-spec/v3`), also versions that a cluster serves only where they are switched on.

/// Group, version, kinds.
const KINDS: [(&str, &str, &str); 37] = [
    (
        "",
        "v1",
        "Binding ConfigMap Endpoints Event LimitRange List Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate \
         ReplicationController ResourceQuota Secret Service ServiceAccount Status",
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy \
         ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
    ),
    ("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "v1", "APIService"),
    ("apps", "v1", "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet"),
    ("authentication.k8s.io", "v1", "SelfSubjectReview TokenRequest TokenReview"),
    (
        "authorization.k8s.io",
        "v1",
        "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    ),
    ("autoscaling", "v1", "HorizontalPodAutoscaler Scale"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("batch", "v1", "CronJob Job"),
    ("certificates.k8s.io", "v1", "CertificateSigningRequest"),
    ("certificates.k8s.io", "v1alpha1", "ClusterTrustBundle"),
    ("certificates.k8s.io", "v1beta1", "ClusterTrustBundle PodCertificateRequest"),
    ("coordination.k8s.io", "v1", "Lease"),
    ("coordination.k8s.io", "v1alpha2", "LeaseCandidate"),
    ("coordination.k8s.io", "v1beta1", "LeaseCandidate"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
    ("events.k8s.io", "v1", "Event"),
    ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema PriorityLevelConfiguration"),
    ("internal.apiserver.k8s.io", "v1alpha1", "StorageVersion"),
    ("networking.k8s.io", "v1", "IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR"),
    ("networking.k8s.io", "v1beta1", "IPAddress ServiceCIDR"),
    ("node.k8s.io", "v1", "RuntimeClass"),
    ("policy", "v1", "Eviction PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole ClusterRoleBinding Role RoleBinding"),
    ("resource.k8s.io", "v1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice"),
    ("resource.k8s.io", "v1alpha3", "DeviceTaintRule ResourcePoolStatusRequest"),
    ("resource.k8s.io", "v1beta1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice"),
    (
        "resource.k8s.io",
        "v1beta2",
        "DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice",
    ),
    ("scheduling.k8s.io", "v1", "PriorityClass"),
    ("scheduling.k8s.io", "v1alpha2", "PodGroup Workload"),
    (
        "storage.k8s.io",
        "v1",
        "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass",
    ),
    ("storage.k8s.io", "v1beta1", "VolumeAttributesClass"),
    ("storagemigration.k8s.io", "v1beta1", "StorageVersionMigration"),
    // Nothing of it is served since 1.22.
    ("extensions", "v1beta1", ""),
];

/// What is wrong with a kind that there is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The field that has to be another.
    pub field: &'static str,
    pub message: String,
    pub hint: String,
}

/// What is wrong with a kind of one of Kubernetes' own groups; `None` where there is such a kind, or the group is of somebody else.
pub(super) fn wrong(group: &str, version: &str, kind: &str) -> Option<Wrong> {
    let own = || KINDS.iter().filter(|(of, ..)| *of == group);
    let has = |kinds: &str, wanted: &str| kinds.split_whitespace().any(|kind| kind == wanted);
    // Lists are taken apart where they are read, and those of one kind stand in files too.
    if own().next().is_none()
        || kind.ends_with("List")
        || own().any(|(_, of, kinds)| *of == version && has(kinds, kind))
    {
        return None;
    }
    let written = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let message =
        format!("no matches for kind {kind:?} in version {written:?}: nothing is made of the object");
    let told = |field, hint: String| Some(Wrong { field, message: message.clone(), hint });
    let place = |(group, version, _): &(&str, &str, &str)| {
        if group.is_empty() { (*version).to_owned() } else { format!("{group}/{version}") }
    };
    // The newest that is always served comes first.
    let served = own().find(|(.., kinds)| has(kinds, kind));
    if let Some(served) = served.or_else(|| KINDS.iter().find(|(.., kinds)| has(kinds, kind))) {
        return told("apiVersion", format!("write apiVersion: {}", place(served)));
    }
    // A short name is near to many.
    let is_near = |letters: usize| letters <= super::MISSPELT && 2 * letters < kind.len();
    let near = |all: &mut dyn Iterator<Item = &'static (&'static str, &'static str, &'static str)>| {
        let kinds = all.flat_map(|row| row.2.split_whitespace().map(move |kind| (kind, row)));
        let distance =
            |other: &str| strsim::levenshtein(&other.to_ascii_lowercase(), &kind.to_ascii_lowercase());
        kinds.min_by_key(|(other, _)| distance(other)).filter(|(other, _)| is_near(distance(other)))
    };
    let elsewhere = || near(&mut KINDS.iter()).filter(|_| group.is_empty() || group == "extensions");
    match near(&mut own()).or_else(elsewhere) {
        Some((near, row)) if row.0 == group && row.1 == version => {
            told("kind", format!("did you mean {near}?"))
        }
        Some((near, row)) => told("kind", format!("did you mean {near} of {}?", place(row))),
        None => told("kind", "check the spelling of kind and apiVersion".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_not_in_kubernetes_own_groups() {
        let hint =
            |group: &str, version: &str, kind: &str| wrong(group, version, kind).map(|wrong| wrong.hint);
        for (group, version, kind, wanted) in [
            ("apps", "v1", "Deploymnet", "did you mean Deployment?"),
            ("apps", "v1", "deployment", "did you mean Deployment?"),
            ("apps", "v9", "Deployment", "write apiVersion: apps/v1"),
            ("apps", "v1beta2", "Deployment", "write apiVersion: apps/v1"),
            ("", "v1", "Deployment", "write apiVersion: apps/v1"),
            ("", "v1", "Ingres", "did you mean Ingress of networking.k8s.io/v1?"),
            ("", "v1", "Foo", "check the spelling of kind and apiVersion"),
            ("extensions", "v1beta1", "Deployment", "write apiVersion: apps/v1"),
            ("extensions", "v1beta1", "Ingress", "write apiVersion: networking.k8s.io/v1"),
            ("policy", "v1beta1", "PodDisruptionBudget", "write apiVersion: policy/v1"),
            ("policy", "v1beta1", "PodSecurityPolicy", "check the spelling of kind and apiVersion"),
            ("batch", "v1beta1", "CronJob", "write apiVersion: batch/v1"),
            ("batch", "v1", "Cronjob", "did you mean CronJob?"),
            ("autoscaling", "v2beta2", "HorizontalPodAutoscaler", "write apiVersion: autoscaling/v1"),
            (
                "rbac.authorization.k8s.io",
                "v1beta1",
                "RoleBinding",
                "write apiVersion: rbac.authorization.k8s.io/v1",
            ),
        ] {
            assert_eq!(hint(group, version, kind).as_deref(), Some(wanted), "{group}/{version} {kind}");
        }
        for (group, version, kind) in [
            ("apps", "v1", "Deployment"),
            ("", "v1", "Pod"),
            ("", "v1", "ConfigMapList"),
            ("scheduling.k8s.io", "v1alpha2", "PodGroup"),
            ("snapshot.storage.k8s.io", "v1", "VolumeSnapshot"),
            ("serving.knative.dev", "v1", "Service"),
            ("metrics.k8s.io", "v1beta1", "PodMetrics"),
        ] {
            assert_eq!(wrong(group, version, kind), None, "{group}/{version} {kind}");
        }
        let found = wrong("policy", "v1beta1", "PodSecurityPolicy").map(|wrong| wrong.message);
        let words = "no matches for kind \"PodSecurityPolicy\" in version \"policy/v1beta1\": nothing is made of the object";
        assert_eq!(found.as_deref(), Some(words));
    }
}
