//! Services, and where their requests go.
//! Source: Kubernetes v1.36 `core/v1.Service`, `core/v1.Endpoints`, `discovery/v1.EndpointSlice` with its defaults.

use std::net::IpAddr;

use super::node::{Node, Root};
use crate::{
    NamespacedName, Severity,
    input::{
        EndpointAddress, EndpointPort, EndpointSlice, EndpointSubset, EndpointsObject, Readiness, Service,
        ServicePort,
    },
};

/// Label that keeps an Endpoints object from being mirrored into slices.
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Annotation of an Endpoints object that is a lock and no list of endpoints.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

pub(super) fn service(root: &mut Root<'_>) -> Service {
    let port = |p: &Node<'_>| ServicePort {
        name: p.get("name").name(),
        protocol: p.get("protocol").name_or("TCP"),
        port: p.get("port").required_port(),
        app_protocol: p.get("appProtocol").opt(),
    };
    let spec = root.spec();
    Service {
        key: root.object.key.name.clone(),
        ports: spec.get("ports").items().iter().map(port).collect(),
        external: (spec.get("type").text() == Some("ExternalName")).then(|| spec.get("externalName").name()),
        selects: !spec.get("selector").keys().is_empty(),
        publish_not_ready: spec.get("publishNotReadyAddresses").flag(),
    }
}

pub(super) fn slice(root: &mut Root<'_>) -> Option<EndpointSlice> {
    let node = root.node();
    let service = root.labels().get("kubernetes.io/service-name").cloned()?;
    let mut subset = EndpointSubset { ports: ports(&node), ..EndpointSubset::default() };
    let family = node.get("addressType");
    match &*family.name() {
        kind @ ("IPv4" | "IPv6") => {
            for endpoint in node.get("endpoints").items() {
                let readiness = readiness(&endpoint.get("conditions"));
                for place in endpoint.get("addresses").items() {
                    let right = |address: &IpAddr| address.is_ipv4() == (kind == "IPv4");
                    match address(root, &place, kind, right) {
                        Some(address) => subset.addresses.push(EndpointAddress { address, readiness }),
                        None => subset.left_out = true,
                    }
                }
            }
        }
        "FQDN" => {
            subset.left_out = true;
            let message =
                "endpoints by name (addressType FQDN) are not dialled; they are left out".to_owned();
            let hint = "list IP addresses in a slice of type IPv4 or IPv6";
            root.problem(240, Severity::Error, &family.path, message, hint);
        }
        other => {
            subset.left_out = true;
            let message = format!("{other:?} is no address type; its endpoints are left out");
            root.invalid(&family, message, "write IPv4 or IPv6");
        }
    }
    subset.addresses.sort();
    Some(EndpointSlice {
        key: root.object.key.name.clone(),
        service: NamespacedName::new(root.object.key.name.namespace.clone(), service),
        subset,
    })
}

/// `None` of an object that Kubernetes does not mirror.
pub(super) fn endpoints(root: &mut Root<'_>) -> Option<EndpointsObject> {
    let node = root.node();
    let skipped = root.labels().get(SKIP_MIRROR).is_some_and(|value| &**value == "true");
    if skipped || root.annotations().contains_key(LEADER) {
        return None;
    }
    let mut subsets = Vec::new();
    for subset in node.get("subsets").items() {
        let mut made = EndpointSubset { ports: ports(&subset), ..EndpointSubset::default() };
        for (field, readiness) in
            [("addresses", Readiness::Ready), ("notReadyAddresses", Readiness::NotReady)]
        {
            for place in subset.get(field).items() {
                match address(root, &place.get("ip"), "IP", |_| true) {
                    Some(address) => made.addresses.push(EndpointAddress { address, readiness }),
                    None => made.left_out = true,
                }
            }
        }
        made.addresses.sort();
        subsets.push(made);
    }
    Some(EndpointsObject { key: root.object.key.name.clone(), subsets })
}

fn ports(node: &Node<'_>) -> Vec<EndpointPort> {
    let port = |p: &Node<'_>| {
        Some(EndpointPort {
            name: p.get("name").name(),
            protocol: p.get("protocol").name_or("TCP"),
            port: p.get("port").port()?,
        })
    };
    node.get("ports").items().iter().filter_map(port).collect()
}

/// `ready` is true where it is not set, `serving` is what `ready` is, `terminating` is false.
fn readiness(conditions: &Node<'_>) -> Readiness {
    let set = |field: &str| conditions.get(field).set_flag();
    let ready = set("ready").unwrap_or(true);
    if ready {
        Readiness::Ready
    } else if set("serving").unwrap_or(ready) && set("terminating").unwrap_or(false) {
        Readiness::Draining
    } else {
        Readiness::NotReady
    }
}

/// An address that may be dialled. Kubernetes refuses what is left out here, and loopback too, which on one machine is
/// where backends are.
fn address(
    root: &mut Root<'_>,
    node: &Node<'_>,
    kind: &str,
    right: impl Fn(&IpAddr) -> bool,
) -> Option<IpAddr> {
    let text = node.text().unwrap_or_default();
    let Some(address) = text.parse::<IpAddr>().ok().filter(right) else {
        let message = format!("{} is no {kind} address; it is left out", node.value);
        root.invalid(node, message, "write an address of the slice's type, such as 127.0.0.1 or ::1");
        return None;
    };
    if let Some(what) = special(address) {
        let message = format!("{address} is {what} and no endpoint; it is left out");
        root.invalid(node, message, "write the address of the backend");
        return None;
    }
    Some(address)
}

/// Addresses that stand for no single host (Kubernetes, `ValidateEndpointIP`).
fn special(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() {
        Some("unspecified")
    } else if link_local {
        Some("link-local")
    } else if address.is_multicast() || broadcast {
        Some("for many hosts")
    } else {
        None
    }
}
