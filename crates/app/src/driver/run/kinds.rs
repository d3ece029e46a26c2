//! Kinds that `portolan run` follows: those of the capabilities that are built for clusters.

use portolan_core::capability::Capability;
use portolan_kubernetes::Followed;
use portolan_model::{Kind, RouteKind, intake};

const GATEWAY: &str = "gateway.networking.k8s.io";
const ENVOY_GATEWAY: &str = "gateway.envoyproxy.io";
const CERT_MANAGER: &str = "cert-manager.io";
const ACME: &str = "acme.cert-manager.io";

/// Kinds of certificates, with the resources that the API server calls them.
const CERTIFICATES: [(&str, &str, &str); 6] = [
    (CERT_MANAGER, "Certificate", "certificates"),
    (CERT_MANAGER, "Issuer", "issuers"),
    (CERT_MANAGER, "ClusterIssuer", "clusterissuers"),
    (CERT_MANAGER, "CertificateRequest", "certificaterequests"),
    (ACME, "Order", "orders"),
    (ACME, "Challenge", "challenges"),
];

/// All of them, with the versions that are understood.
pub fn followed(certificates: bool) -> Vec<Followed> {
    let mut all = vec![
        Followed::whole(GATEWAY, "GatewayClass", &["v1"]),
        Followed::whole(GATEWAY, "Gateway", &["v1"]),
        Followed::whole(GATEWAY, "ListenerSet", &["v1"]),
        Followed::whole(GATEWAY, "HTTPRoute", &["v1"]),
        Followed::whole(GATEWAY, "GRPCRoute", &["v1"]),
        Followed::whole(GATEWAY, "TLSRoute", &["v1", "v1alpha3", "v1alpha2"]),
        Followed::whole(GATEWAY, "TCPRoute", &["v1", "v1alpha2"]),
        Followed::whole(GATEWAY, "UDPRoute", &["v1", "v1alpha2"]),
        Followed::whole(GATEWAY, "ReferenceGrant", &["v1", "v1beta1"]),
        Followed::whole(GATEWAY, "BackendTLSPolicy", &["v1", "v1alpha3"]),
        Followed::whole("", "Namespace", &["v1"]),
        Followed::whole("", "Service", &["v1"]),
        Followed::whole("discovery.k8s.io", "EndpointSlice", &["v1"]),
        Followed::on_demand("Secret"),
        // Authorities of clients and of backends.
        Followed::on_demand("ConfigMap"),
        // What Gateways ask of their Envoys.
        Followed::whole(ENVOY_GATEWAY, "EnvoyProxy", &["v1alpha1"]),
    ];
    // What restricts traffic and is not enforced closes; so it has to be seen.
    if certificates {
        all.extend(CERTIFICATES.map(|(group, kind, _)| Followed::whole(group, kind, &["v1"])));
    }
    all.extend(intake::POLICIES.map(|kind| Followed::whole(ENVOY_GATEWAY, kind, &["v1alpha1"])));
    all
}

/// What the API server calls them, with their group.
pub fn resources() -> impl Iterator<Item = (Capability, &'static str, &'static str)> {
    let certificates =
        CERTIFICATES.into_iter().map(|(group, _, resource)| (Capability::Certificates, group, resource));
    RESOURCES.into_iter().map(|(group, resource)| (Capability::Gateway, group, resource)).chain(certificates)
}

const RESOURCES: [(&str, &str); 21] = [
    (GATEWAY, "gatewayclasses"),
    (GATEWAY, "gateways"),
    (GATEWAY, "listenersets"),
    (GATEWAY, "httproutes"),
    (GATEWAY, "grpcroutes"),
    (GATEWAY, "tlsroutes"),
    (GATEWAY, "tcproutes"),
    (GATEWAY, "udproutes"),
    (GATEWAY, "referencegrants"),
    (GATEWAY, "backendtlspolicies"),
    ("", "namespaces"),
    ("", "services"),
    ("discovery.k8s.io", "endpointslices"),
    ("", "secrets"),
    ("", "configmaps"),
    (ENVOY_GATEWAY, "envoyproxies"),
    (ENVOY_GATEWAY, "securitypolicies"),
    (ENVOY_GATEWAY, "clienttrafficpolicies"),
    (ENVOY_GATEWAY, "backendtrafficpolicies"),
    (ENVOY_GATEWAY, "envoypatchpolicies"),
    (ENVOY_GATEWAY, "envoyextensionpolicies"),
];

/// Kinds without which a capability does nothing.
pub fn needed_for(capability: Capability) -> Vec<Kind> {
    match capability {
        Capability::Certificates => {
            CERTIFICATES[..3].iter().map(|(group, kind, _)| Kind::new(*group, *kind)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether what else there is means the same without the kind: its objects are missed, and nothing refers to them or is restricted
/// by them.
pub fn is_leaf(kind: &Kind) -> bool {
    &*kind.group == GATEWAY && RouteKind::of(&kind.kind).is_some()
}

/// Whether it says what the Envoys of a Gateway are to be like.
pub fn is_parameters(kind: &Kind) -> bool {
    kind.is(ENVOY_GATEWAY, "EnvoyProxy")
}

/// Whether nothing can be served without its definition.
pub fn is_needed(kind: &Kind) -> bool {
    ["GatewayClass", "Gateway", "HTTPRoute"].iter().any(|name| kind.is(GATEWAY, name))
}

/// Whether an object that the API server has taken is judged once more by the definitions that are understood here: of these kinds a
/// field that is not known may narrow what is served.
pub fn is_judged(kind: &Kind) -> bool {
    &*kind.group == GATEWAY || &*kind.group == ENVOY_GATEWAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_that_is_followed_has_its_resource() {
        let mut kinds: Vec<(String, String)> = followed(true)
            .iter()
            .map(|followed| {
                let kind = followed.kind.kind.to_lowercase();
                let plural = match kind.strip_suffix('y') {
                    Some(most) if kind.ends_with("cy") || kind.ends_with("xy") => format!("{most}ies"),
                    _ if kind.ends_with('s') => format!("{kind}es"),
                    _ => format!("{kind}s"),
                };
                (followed.kind.group.to_string(), plural)
            })
            .collect();
        let mut resources: Vec<(String, String)> =
            resources().map(|(_, group, resource)| (group.to_owned(), resource.to_owned())).collect();
        kinds.sort();
        resources.sort();
        assert_eq!(kinds, resources);
    }
}
