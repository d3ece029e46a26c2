//! Source: bitnami-labs/sealed-secrets `helm/sealed-secrets` (`values.yaml`, `templates/deployment.yaml`) at 2.18 and
//! `cmd/controller/main.go` at 0.36.

use super::{Fate, Group, PODS};

/// Keys that come of the controller's own keys; those given with `--sealing-key` are used here.
const KEYS_OF_ITS_OWN: &str =
    "about sealing keys that the controller makes; those of --sealing-key are used here";

pub(super) const KEYS: &[Group] = &[
    (Fate::Used, "", "additionalNamespaces args command createController enabled"),
    (Fate::NotLookedAt, "objects that the chart brings", "extraDeploy"),
    (
        Fate::Irrelevant,
        KEYS_OF_ITS_OWN,
        "keycutofftime keyrenewperiod keyttl privateKeyAnnotations privateKeyLabels secretName watchForSecrets",
    ),
    (
        Fate::Irrelevant,
        "how often and how it writes; here what changes is opened at once",
        "kubeClientBurst kubeClientQPS maxRetries rateLimit rateLimitBurst skipRecreate updateStatus",
    ),
    (
        Fate::Irrelevant,
        PODS,
        "additionalVolumeMounts additionalVolumes affinity commonAnnotations commonLabels containerPorts \
         containerSecurityContext customLivenessProbe customReadinessProbe customStartupProbe dnsPolicy fullnameOverride \
         global hostNetwork hostPorts image ingress kubeVersion livenessProbe logFormat logInfoStdout logLevel metrics \
         nameOverride namespace networkPolicy nodeSelector pdb podAnnotations podLabels podSecurityContext \
         priorityClassName rbac readinessProbe resources revisionHistoryLimit runtimeClassName service serviceAccount \
         startupProbe tolerations",
    ),
];

pub(super) const DEFAULTS: &[(&str, &str)] = &[("createController", "true")];

/// Flags of the controller, which `args` gives in place of all others.
pub(super) const FLAGS: &[Group] = &[
    (Fate::Used, "", "additional-namespaces all-namespaces label-selector"),
    (
        Fate::Irrelevant,
        KEYS_OF_ITS_OWN,
        "key-cutoff-time key-order-priority key-prefix key-renew-period key-size key-ttl my-cn privatekey-annotations \
         privatekey-labels rotate-period watch-for-secrets",
    ),
    (
        Fate::Irrelevant,
        "how often and how it writes; here what changes is opened at once",
        "kubeclient-burst kubeclient-qps max-unseal-retries old-gc-behavior rate-limit rate-limit-burst skip-recreate \
         update-status",
    ),
    (
        Fate::Irrelevant,
        "what it says",
        "log-format log-info-stdout log-level version listen-addr listen-metrics-addr",
    ),
    (
        Fate::Refused,
        "values sealed before 2018 (spec.data) are never opened here",
        "accept-deprecated-v1-data",
    ),
];
