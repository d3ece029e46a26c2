//! Source: cert-manager/cert-manager `deploy/charts/cert-manager/values.schema.json`,
//! `pkg/apis/config/controller/v1alpha1/types.go` and `cmd/controller/app/options/options.go` at 1.21.

use super::{Fate, Group, PODS};

const TOOLS: &str = "how challenges are proven over a network; here the zone is asked directly";
const LIMITS: &str = "limits of speed and size of a controller that many clusters share";

pub(super) const KEYS: &[Group] = &[
    (Fate::Used, "", "clusterResourceNamespace crds.enabled enabled extraArgs installCRDs"),
    (
        Fate::NotLookedAt,
        "the one namespace whose Certificates cert-manager looks at, in which case ClusterIssuers are off",
        "config.namespace",
    ),
    (Fate::NotLookedAt, "which of cert-manager's controllers run", "config.controllers"),
    (
        Fate::NotLookedAt,
        "requests wait for somebody who approves them; here each is approved",
        "disableAutoApproval",
    ),
    (Fate::Used, "", "featureGates config.featureGates"),
    (
        Fate::NotLookedAt,
        "Secrets go with their Certificates; here they stay",
        "enableCertificateOwnerRef config.enableCertificateOwnerRef",
    ),
    (Fate::Used, "", "config.enableGatewayAPI config.enableGatewayAPIListenerSet config.gatewayAPI"),
    (Fate::Used, "", "ingressShim config.ingressShimConfig"),
    (Fate::NotLookedAt, "objects that the chart brings", "extraObjects"),
    (Fate::NotLookedAt, "keys of cert-manager's configuration that are not known", "config"),
    (
        Fate::Irrelevant,
        TOOLS,
        "acmesolver config.acmeDNS01Config config.acmeHTTP01Config dns01RecursiveNameservers dns01RecursiveNameserversOnly \
         http_proxy https_proxy no_proxy",
    ),
    (
        Fate::Irrelevant,
        "credentials of the machine for providers; the embedded zone needs none",
        "config.clusterIssuerAmbientCredentials config.issuerAmbientCredentials",
    ),
    (
        Fate::Irrelevant,
        "annotations of the records of an issuance, which nothing reads back",
        "config.copiedAnnotationPrefixes",
    ),
    (
        Fate::Irrelevant,
        LIMITS,
        "config.certificateRequestMaximumBackoffDuration config.certificateRequestMinimumBackoffDuration \
         config.kubernetesAPIBurst config.kubernetesAPIQPS config.maxConcurrentChallenges config.numberOfConcurrentWorkers \
         config.pemSizeLimitsConfig maxConcurrentChallenges",
    ),
    (
        Fate::Irrelevant,
        "the flag that the chart always gives wins over it",
        "config.clusterResourceNamespace",
    ),
    (Fate::Irrelevant, "approval of signers for other programs", "approveSignerNames"),
    (
        Fate::Irrelevant,
        "how the controller reaches the API server, logs and is measured",
        "config.apiServerHost config.apiVersion config.enablePprof config.healthzListenAddress config.kind config.kubeConfig \
         config.leaderElectionConfig config.logging config.metricsListenAddress config.metricsTLSConfig config.pprofAddress",
    ),
    (
        Fate::Irrelevant,
        "the webhook and the injector: what they would refuse is refused here, and caBundles of other webhooks are not served",
        "cainjector webhook startupapicheck",
    ),
    (Fate::Irrelevant, "definitions of kinds; those that are acted on are built in", "crds"),
    (
        Fate::Irrelevant,
        PODS,
        "affinity automountServiceAccountToken containerSecurityContext creator deploymentAnnotations enableServiceLinks \
         extraContainers extraEnv fullnameOverride global hostAliases image imageNamespace imageRegistry livenessProbe \
         nameOverride namespace networkPolicy nodeSelector podAnnotations podDisruptionBudget podDnsConfig podDnsPolicy \
         podLabels prometheus replicaCount resources runtimeClassName securityContext serviceAccount serviceAnnotations \
         serviceIPFamilies serviceIPFamilyPolicy serviceLabels strategy tolerations topologySpreadConstraints volumeMounts \
         volumes",
    ),
];

pub(super) const DEFAULTS: &[(&str, &str)] = &[
    ("config.apiVersion", "\"controller.config.cert-manager.io/v1alpha1\""),
    ("config.kind", "\"ControllerConfiguration\""),
    ("config.controllers", "[\"*\"]"),
];

/// Feature gates of the controller: name, whether it is on by itself, and what becomes of the other value.
/// Source: `internal/controller/feature/features.go`.
pub(super) const GATES: &[(&str, bool, Fate, &str)] = &[
    ("ACMEHTTP01IngressPathTypeExact", true, Fate::Irrelevant, TOOLS),
    ("ACMEUseARI", false, Fate::NotLookedAt, "when a CA says that a certificate is to be renewed"),
    ("AdditionalCertificateOutputFormats", true, Fate::NotLookedAt, REFUSES),
    (
        "DefaultPrivateKeyRotationPolicyAlways",
        true,
        Fate::NotLookedAt,
        "whether keys are kept where nothing says so",
    ),
    ("DisallowInsecureCSRUsageDefinition", true, Fate::Irrelevant, "requests of other programs"),
    (
        "ExperimentalCertificateSigningRequestControllers",
        false,
        Fate::Irrelevant,
        "requests of other programs",
    ),
    ("ExperimentalGatewayAPISupport", true, Fate::Used, ""),
    ("ListenerSets", false, Fate::Used, ""),
    ("LiteralCertificateSubject", true, Fate::NotLookedAt, REFUSES),
    ("NameConstraints", true, Fate::NotLookedAt, REFUSES),
    ("OtherNames", true, Fate::NotLookedAt, REFUSES),
    ("SecretsFilteredCaching", true, Fate::Irrelevant, LIMITS),
    ("ServerSideApply", false, Fate::Irrelevant, LIMITS),
    ("StableCertificateRequestName", true, Fate::Irrelevant, "names of the records of an issuance"),
    (
        "UseCertificateRequestBasicConstraints",
        false,
        Fate::NotLookedAt,
        "a CA may see whether it is asked for a CA",
    ),
    ("UseDomainQualifiedFinalizer", true, Fate::Irrelevant, LIMITS),
    ("ValidateCAA", false, Fate::NotLookedAt, "issuance against CAA records"),
];

const REFUSES: &str = "the webhook refuses what uses the feature; here it is followed";

/// Flags, each with the key of the configuration file that says the same.
pub(super) const FLAGS: &[(&str, &str)] = &[
    ("acme-http01-solver-extra-labels", "config.acmeHTTP01Config.solverExtraLabels"),
    ("acme-http01-solver-image", "config.acmeHTTP01Config.solverImage"),
    ("acme-http01-solver-nameservers", "config.acmeHTTP01Config.solverNameservers"),
    ("acme-http01-solver-resource-limits-cpu", "config.acmeHTTP01Config.solverResourceLimitsCPU"),
    ("acme-http01-solver-resource-limits-memory", "config.acmeHTTP01Config.solverResourceLimitsMemory"),
    ("acme-http01-solver-resource-request-cpu", "config.acmeHTTP01Config.solverResourceRequestCPU"),
    ("acme-http01-solver-resource-request-memory", "config.acmeHTTP01Config.solverResourceRequestMemory"),
    ("acme-http01-solver-run-as-non-root", "config.acmeHTTP01Config.solverRunAsNonRoot"),
    ("acme-http01-solver-runtime-class-name", "config.acmeHTTP01Config.solverRuntimeClassName"),
    ("auto-certificate-annotations", "config.ingressShimConfig.defaultAutoCertificateAnnotations"),
    ("certificate-request-maximum-backoff-duration", "config.certificateRequestMaximumBackoffDuration"),
    ("certificate-request-minimum-backoff-duration", "config.certificateRequestMinimumBackoffDuration"),
    ("cluster-issuer-ambient-credentials", "config.clusterIssuerAmbientCredentials"),
    ("cluster-resource-namespace", "clusterResourceNamespace"),
    ("concurrent-workers", "config.numberOfConcurrentWorkers"),
    ("config", "config"),
    ("controllers", "config.controllers"),
    ("copied-annotation-prefixes", "config.copiedAnnotationPrefixes"),
    ("default-issuer-group", "config.ingressShimConfig.defaultIssuerGroup"),
    ("default-issuer-kind", "config.ingressShimConfig.defaultIssuerKind"),
    ("default-issuer-name", "config.ingressShimConfig.defaultIssuerName"),
    ("dns01-check-retry-period", "config.acmeDNS01Config.checkRetryPeriod"),
    ("dns01-recursive-nameservers", "config.acmeDNS01Config.recursiveNameservers"),
    ("dns01-recursive-nameservers-only", "config.acmeDNS01Config.recursiveNameserversOnly"),
    ("enable-certificate-owner-ref", "config.enableCertificateOwnerRef"),
    ("enable-gateway-api", "config.gatewayAPI.enabled"),
    ("enable-gateway-api-listenerset", "config.gatewayAPI.enableListenerSet"),
    ("enable-profiling", "config.enablePprof"),
    ("extra-certificate-annotations", "config.ingressShimConfig.extraCertificateAnnotations"),
    ("feature-gates", "config.featureGates"),
    ("gateway-api-extra-protocols", "config.gatewayAPI.extraProtocols"),
    ("internal-healthz-leader-election-timeout", "config.leaderElectionConfig"),
    ("internal-healthz-listen-address", "config.healthzListenAddress"),
    ("issuer-ambient-credentials", "config.issuerAmbientCredentials"),
    ("kube-api-burst", "config.kubernetesAPIBurst"),
    ("kube-api-qps", "config.kubernetesAPIQPS"),
    ("kubeconfig", "config.kubeConfig"),
    ("leader-elect", "config.leaderElectionConfig"),
    ("leader-election-lease-duration", "config.leaderElectionConfig"),
    ("leader-election-namespace", "config.leaderElectionConfig"),
    ("leader-election-renew-deadline", "config.leaderElectionConfig"),
    ("leader-election-retry-period", "config.leaderElectionConfig"),
    ("log-flush-frequency", "config.logging"),
    ("logging-format", "config.logging"),
    ("master", "config.apiServerHost"),
    ("max-certificate-bundle-size", "config.pemSizeLimitsConfig"),
    ("max-certificate-chain-length", "config.pemSizeLimitsConfig"),
    ("max-certificate-size", "config.pemSizeLimitsConfig"),
    ("max-concurrent-challenges", "config.maxConcurrentChallenges"),
    ("max-private-key-size", "config.pemSizeLimitsConfig"),
    ("metrics-dynamic-serving-ca-secret-name", "config.metricsTLSConfig"),
    ("metrics-dynamic-serving-ca-secret-namespace", "config.metricsTLSConfig"),
    ("metrics-dynamic-serving-dns-names", "config.metricsTLSConfig"),
    ("metrics-dynamic-serving-leaf-duration", "config.metricsTLSConfig"),
    ("metrics-listen-address", "config.metricsListenAddress"),
    ("metrics-tls-cert-file", "config.metricsTLSConfig"),
    ("metrics-tls-cipher-suites", "config.metricsTLSConfig"),
    ("metrics-tls-min-version", "config.metricsTLSConfig"),
    ("metrics-tls-private-key-file", "config.metricsTLSConfig"),
    ("namespace", "config.namespace"),
    ("profiler-address", "config.pprofAddress"),
    ("v", "config.logging"),
    ("vmodule", "config.logging"),
];
