//! Source: kyverno/kyverno `charts/kyverno/values.yaml` at 3.

use super::{Fate, Group, PODS};

/// Its policies are not evaluated, and each says so; how they would be is not of weight beside that.
const POLICIES: &str = "how its policies are evaluated; none is here, and each says so";

pub(super) const KEYS: &[Group] = &[
    (Fate::Used, "", "enabled"),
    (
        Fate::Irrelevant,
        POLICIES,
        "admissionController backgroundController cleanupController config existingImagePullSecrets features policyExceptions \
         reportsController reportsServer openreports webhooksCleanup",
    ),
    (Fate::Irrelevant, "definitions of kinds; those that are acted on are built in", "crds"),
    (
        Fate::Irrelevant,
        PODS,
        "apiCallToken apiVersionOverride cleanupJobs customLabels fullnameOverride global grafana image imagePullSecrets \
         metricsConfig nameOverride namespaceOverride policyReportsCleanup prometheusRule rbac replicaCount test templating \
         upgrade",
    ),
];
