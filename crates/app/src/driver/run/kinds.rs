//! Kinds that `portolan run` follows: those of the capabilities that are built for clusters.

use portolan_kubernetes::Followed;
use portolan_model::{Kind, RouteKind, intake};

const GATEWAY: &str = "gateway.networking.k8s.io";
const ENVOY_GATEWAY: &str = "gateway.envoyproxy.io";

/// All of them, with the versions that are understood.
pub fn followed() -> Vec<Followed> {
    let mut all = vec![
        Followed::whole(GATEWAY, "GatewayClass", &["v1"]),
        Followed::whole(GATEWAY, "Gateway", &["v1"]),
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
    ];
    // What restricts traffic and is not enforced closes; so it has to be seen.
    all.extend(intake::POLICIES.map(|kind| Followed::whole(ENVOY_GATEWAY, kind, &["v1alpha1"])));
    all
}

/// Whether what else there is means the same without the kind: its objects are missed, and nothing refers to them or is restricted
/// by them.
pub fn is_leaf(kind: &Kind) -> bool {
    &*kind.group == GATEWAY && RouteKind::of(&kind.kind).is_some()
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
