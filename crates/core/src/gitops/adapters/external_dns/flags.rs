//! Every flag of external-dns, its form, and what it does here. Source: kubernetes-sigs/external-dns
//! `pkg/apis/externaldns/types.go` at v0.23, and of older versions what is gone since. `flags-0.23.txt` is held against it.

use Effect::{Nothing, Read, Stops, Zones};
use Form::{Choice, Duration, List, Number, Switch, Text};

/// How a flag is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One text.
    Text,
    /// It may be repeated.
    List,
    /// `--x` or `--no-x`, without a value.
    Switch,
    /// A whole number.
    Number,
    /// As Go writes it.
    Duration,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// What a flag does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is followed.
    Read,
    /// It chooses between public and private zones: the zones here stand for the public ones.
    Zones,
    /// It narrows or changes what is published, and is not followed: nothing is. Says what it does.
    Stops(&'static str),
    /// About the provider, other sources, or the process: it has no effect on one machine.
    Nothing,
}

/// Providers of this version and of older ones (`providers`): with another it does not start.
const PROVIDERS: &[&str] = &[
    "akamai",
    "alibabacloud",
    "aws",
    "aws-sd",
    "azure",
    "azure-dns",
    "azure-private-dns",
    "bluecat",
    "civo",
    "cloudflare",
    "coredns",
    "designate",
    "digitalocean",
    "dnsimple",
    "dyn",
    "exoscale",
    "gandi",
    "godaddy",
    "google",
    "ibmcloud",
    "infoblox",
    "inmemory",
    "linode",
    "ns1",
    "oci",
    "ovh",
    "pdns",
    "pihole",
    "plural",
    "rcodezero",
    "rdns",
    "rfc2136",
    "safedns",
    "scaleway",
    "skydns",
    "tencentcloud",
    "transip",
    "ultradns",
    "vinyldns",
    "vultr",
    "webhook",
];

/// Names, separated by blanks, by form and effect.
const FLAGS: &[(Form, Effect, &str)] = &[
    (
        Text,
        Read,
        "annotation-filter annotation-prefix gateway-label-filter gateway-name gateway-namespace \
         label-filter migrate-from-txt-owner namespace regex-domain-exclusion \
         regex-domain-filter txt-owner-id txt-prefix txt-suffix txt-wildcard-replacement",
    ),
    (
        Switch,
        Read,
        "combine-fqdn-annotation dry-run enable-legacy-annotation-prefix gateway-listener-sets ignore-hostname-annotation",
    ),
    (
        List,
        Read,
        "domain-filter exclude-domains exclude-record-types exclude-target-net fqdn-template \
         managed-record-types rfc2136-zone source target-net-filter",
    ),
    (Duration, Read, "interval min-ttl"),
    (Choice(PROVIDERS), Read, "provider"),
    (Choice(&["sync", "upsert-only", "create-only"]), Read, "policy"),
    (Choice(&["aws-sd", "crd", "dynamodb", "noop", "txt"]), Read, "registry"),
    (Choice(&["", "public", "private"]), Zones, "aws-zone-type"),
    (Choice(&["", "public", "private"]), Zones, "google-zone-visibility"),
    (Choice(&["", "public", "private"]), Zones, "alibaba-cloud-zone-type"),
    (Choice(&["", "GLOBAL", "PRIVATE"]), Zones, "oci-zone-scope"),
    (
        List,
        Stops("it limits the zones to some that are not known here"),
        "aws-zone-tags inmemory-zone zone-id-filter zone-name-filter",
    ),
    (Switch, Stops("it ends external-dns after one round"), "once"),
    (Switch, Stops("it makes external-dns a server for others"), "webhook-server"),
    (Switch, Stops("it replaces the targets of every object"), "force-default-targets"),
    (Text, Stops("it makes external-dns read another cluster"), "kubeconfig server"),
    (
        Text,
        Nothing,
        "alibaba-cloud-config-file aws-assume-role aws-assume-role-external-id azure-config-file \
         azure-resource-group azure-subscription-id azure-user-assigned-identity-client-id \
         cloudflare-record-comment cloudflare-region-key connector-source-server coredns-prefix \
         crd-registry-namespace crd-source-apiversion crd-source-kind dynamodb-region dynamodb-table \
         exoscale-apienv exoscale-apikey exoscale-apisecret exoscale-apizone godaddy-api-key \
         godaddy-api-secret google-project metrics-address ns1-endpoint oci-compartment-ocid \
         oci-config-file openshift-router-name ovh-endpoint pdns-api-key pdns-server pdns-server-id \
         pihole-password pihole-server pod-source-domain rfc2136-kerberos-password rfc2136-kerberos-realm \
         rfc2136-kerberos-username rfc2136-tsig-keyname rfc2136-tsig-secret rfc2136-tsig-secret-alg \
         skipper-routegroup-groupversion tls-ca tls-client-cert tls-client-cert-key txt-encrypt-aes-key \
         webhook-provider-url",
    ),
    (
        Switch,
        Nothing,
        "always-publish-not-ready-addresses aws-evaluate-target-health aws-prefer-cname \
         aws-sd-service-cleanup aws-zone-match-parent cloudflare-custom-hostnames cloudflare-proxied \
         cloudflare-regional-services coredns-strictly-owned create-ptr events exclude-unschedulable \
         expose-internal-ipv6 godaddy-api-ote ignore-ingress-rules-spec \
         ignore-ingress-tls-spec ignore-non-host-network-pods listen-endpoint-events ns1-ignoressl \
         oci-auth-instance-principal ovh-enable-cname-relative pdns-skip-tls-verify \
         pihole-tls-skip-verify prefer-alias publish-host-ip publish-internal-services \
         resolve-service-load-balancer-hostname rfc2136-axfr rfc2136-gss-tsig rfc2136-insecure \
         rfc2136-skip-tls-verify rfc2136-tsig-axfr rfc2136-use-tls traefik-disable-new \
         traefik-enable-legacy txt-encrypt-enabled",
    ),
    (
        Number,
        Nothing,
        "aws-api-retries aws-batch-change-size aws-batch-change-size-bytes aws-batch-change-size-values \
         azure-maxretries-count batch-change-size cloudflare-dns-records-per-page godaddy-api-ttl \
         google-batch-change-size kube-api-burst kube-api-qps ns1-min-ttl ovh-api-rate-limit \
         rfc2136-batch-change-size rfc2136-port webhook-provider-max-body-size",
    ),
    (
        Duration,
        Nothing,
        "aws-batch-change-interval aws-zones-cache-duration azure-zones-cache-duration \
         batch-change-interval exoscale-zones-cache-duration google-batch-change-interval \
         kube-api-request-timeout min-event-sync-interval oci-zones-cache-duration provider-cache-time \
         request-timeout rfc2136-min-ttl txt-cache-interval webhook-provider-idle-timeout \
         webhook-provider-read-header-timeout webhook-provider-read-timeout \
         webhook-provider-write-timeout",
    ),
    (
        List,
        Nothing,
        "aws-profile aws-sd-create-tag default-targets events-emit fqdn-target-template gloo-namespace \
         ingress-class nat64-networks rfc2136-host service-type-filter target-template \
         unstructured-resource",
    ),
    (Choice(&["panic", "fatal", "error", "warning", "info", "debug", "trace"]), Nothing, "log-level"),
    (Choice(&["text", "json"]), Nothing, "log-format"),
    (Choice(&["", "mate", "molecule", "kops-dns-controller"]), Nothing, "compatibility"),
    (Choice(&["1.0", "1.1", "1.2", "1.3"]), Nothing, "cloudflare-custom-hostnames-min-tls-version"),
    (Text, Nothing, "cloudflare-custom-hostnames-certificate-authority rfc2136-load-balancing-strategy"),
    // Gone since.
    (Choice(&["", "public", "private"]), Zones, "tencent-cloud-zone-type"),
    (
        Text,
        Stops("it limits the zones or records to some that are not known here"),
        "infoblox-fqdn-regex infoblox-name-regex infoblox-view bluecat-root-zone bluecat-dns-view",
    ),
    (Text, Stops("it makes external-dns read another cluster"), "master"),
    (
        Switch,
        Nothing,
        "bluecat-skip-tls-verify ibmcloud-proxied infoblox-create-ptr infoblox-ssl-verify pdns-tls-enabled \
         rcodezero-txt-encrypt rfc2136-create-ptr traefik-disable-legacy txt-new-format-only",
    ),
    (
        Number,
        Nothing,
        "cloudflare-zones-per-page digitalocean-api-page-size dyn-min-ttl infoblox-cache-duration infoblox-max-results \
         infoblox-wapi-port",
    ),
    (
        Text,
        Nothing,
        "akamai-access-token akamai-client-secret akamai-client-token akamai-edgerc-path akamai-edgerc-section \
         akamai-serviceconsumerdomain bluecat-config-file bluecat-dns-configuration bluecat-dns-deploy-type \
         bluecat-dns-server-name bluecat-gateway-host cf-api-endpoint cf-password cf-username contour-load-balancer \
         dyn-customer-name dyn-password dyn-username exoscale-endpoint ibmcloud-config-file infoblox-grid-host \
         infoblox-wapi-password infoblox-wapi-username infoblox-wapi-version pihole-api-version plural-cluster \
         plural-provider tencent-cloud-config-file transip-account transip-keyfile",
    ),
];

/// A flag by its name without dashes.
pub(super) fn find(name: &str) -> Option<(&'static str, Form, Effect)> {
    all().find(|(known, ..)| *known == name)
}

/// All flags.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Form, Effect)> {
    FLAGS.iter().flat_map(|(form, effect, names)| names.split_whitespace().map(|name| (name, *form, *effect)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A flag that upstream has, and a form that it has, are here; none stands twice.
    #[test]
    fn every_flag_of_external_dns_is_in_the_table() {
        let mut known: BTreeMap<&str, Form> = BTreeMap::new();
        for (name, form, _) in all() {
            assert_eq!(known.insert(name, form), None, "{name} stands twice");
        }
        let mut count = 0;
        for line in include_str!("flags-0.23.txt").lines() {
            let (name, form) = line.split_once(' ').unwrap_or((line, ""));
            let matches = matches!(
                (form, known.get(name)),
                ("text" | "pattern", Some(Text))
                    | ("list", Some(List))
                    | ("switch", Some(Switch))
                    | ("number", Some(Number))
                    | ("duration", Some(Duration))
                    | ("choice", Some(Choice(_) | Text))
            );
            assert!(matches, "--{name} ({form}) is in none of the classes: {:?}", known.get(name));
            count += 1;
        }
        assert!(count >= 180, "{count} flags");
    }
}
