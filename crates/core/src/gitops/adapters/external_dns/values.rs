//! Keys of the chart's values: the flag that each becomes. Source: kubernetes-sigs/external-dns `charts/external-dns`
//! (`values.yaml`, `templates/deployment.yaml`) at 1.22; and of the chart of Bitnami, which has the same name, what narrows.

/// A key, by its path, and its flag.
pub(in super::super) const FLAGS: &[(&str, &str)] = &[
    ("annotationFilter", "annotation-filter"),
    ("annotationPrefix", "annotation-prefix"),
    ("domainFilters", "domain-filter"),
    ("enableGatewayListenerSets", "gateway-listener-sets"),
    ("excludeDomains", "exclude-domains"),
    ("gatewayNamespace", "gateway-namespace"),
    ("interval", "interval"),
    ("labelFilter", "label-filter"),
    ("logFormat", "log-format"),
    ("logLevel", "log-level"),
    ("managedRecordTypes", "managed-record-types"),
    ("policy", "policy"),
    ("registry", "registry"),
    ("sources", "source"),
    ("triggerLoopOnEvent", "events"),
    ("txtOwnerId", "txt-owner-id"),
    ("txtPrefix", "txt-prefix"),
    ("txtSuffix", "txt-suffix"),
    // Bitnami.
    ("aws.zoneTags", "aws-zone-tags"),
    ("aws.zoneType", "aws-zone-type"),
    ("combineFQDNAnnotation", "combine-fqdn-annotation"),
    ("dryRun", "dry-run"),
    ("excludeTargetNets", "exclude-target-net"),
    ("fqdnTemplates", "fqdn-template"),
    ("gatewayLabelFilter", "gateway-label-filter"),
    ("gatewayName", "gateway-name"),
    ("google.zoneVisibility", "google-zone-visibility"),
    ("ignoreHostnameAnnotation", "ignore-hostname-annotation"),
    ("managedRecordTypesFilters", "managed-record-types"),
    ("namespace", "namespace"),
    ("regexDomainExclusion", "regex-domain-exclusion"),
    ("regexDomainFilter", "regex-domain-filter"),
    ("rfc2136.zone", "rfc2136-zone"),
    ("rfc2136.zones", "rfc2136-zone"),
    ("targetNetFilter", "target-net-filter"),
    ("txtWildcardReplacement", "txt-wildcard-replacement"),
    ("zoneIdFilters", "zone-id-filter"),
    ("zoneNameFilters", "zone-name-filter"),
];

/// Keys that are read otherwise, and those that are about the process: all that the chart has beside [`FLAGS`].
pub(super) const OTHERS: &str = "affinity automountServiceAccountToken commonLabels deploymentAnnotations \
    deploymentStrategy dnsConfig dnsPolicy enabled env envFrom extraArgs extraContainers extraVolumeMounts extraVolumes \
    fullnameOverride global hostAliases image imagePullSecrets initContainers livenessProbe nameOverride \
    namespaceOverride namespaced nodeSelector podAnnotations podLabels podSecurityContext priorityClassName provider \
    rbac readinessProbe replicaCount resources revisionHistoryLimit secretConfiguration securityContext service \
    serviceAccount serviceMonitor shareProcessNamespace sourceNamespace terminationGracePeriodSeconds tolerations \
    topologySpreadConstraints watchReleaseNamespace";

/// The key that narrows and is most likely meant by one that nothing knows.
pub(super) fn meant(key: &str) -> Option<&'static str> {
    let known = || FLAGS.iter().map(|(key, _)| *key).chain(OTHERS.split_whitespace());
    if known().any(|other| other == key || other.starts_with(&format!("{key}."))) {
        return None;
    }
    // `logLevels` harms nothing.
    let meant = portolan_model::nearest(key, known())?;
    FLAGS
        .iter()
        .find(|(key, flag)| {
            *key == meant && !matches!(super::flags::find(flag), Some((_, _, super::flags::Effect::Nothing)))
        })
        .map(|(key, _)| *key)
        .or_else(|| ["namespaced", "sourceNamespace", "extraArgs"].into_iter().find(|key| *key == meant))
}
