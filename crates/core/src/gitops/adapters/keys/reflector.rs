//! Source: emberstack/kubernetes-reflector `src/helm/reflector/values.yaml`, 10.

use super::{Fate, Group, PODS};

pub(super) const KEYS: &[Group] = &[
    (Fate::Used, "", "configuration.watcher.excludedNamespaces enabled"),
    (
        Fate::NotLookedAt,
        "settings of reflector by its environment variables, which may keep namespaces from it",
        "extraEnv",
    ),
    (
        Fate::Irrelevant,
        "how and when it looks at the cluster; mirrors here follow at once",
        "configuration cron replicaCount autoscaling",
    ),
    (
        Fate::Irrelevant,
        PODS,
        "affinity fullnameOverride global image imagePullSecrets livenessProbe nameOverride namespaceOverride nodeSelector \
         podAnnotations podLabels podSecurityContext priorityClassName rbac readinessProbe resources securityContext \
         serviceAccount startupProbe tolerations topologySpreadConstraints volumeMounts volumes",
    ),
];
