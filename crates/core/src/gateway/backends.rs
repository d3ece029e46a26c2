//! Clusters and where their requests go.
//!
//! Endpoints are what EndpointSlices list and, of a Service without a selector, its Endpoints object, which Kubernetes
//! mirrors into slices. Without either the built-in echo backend answers. With one and no usable endpoint nobody does: 503.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use portolan_model::{
    Name, ObjectKey, Severity,
    input::{EndpointAddress, EndpointSubset, EndpointsObject, Readiness, Service, ServicePort},
};

use super::operated;
use super::rows::{
    BlendEndpoints, BlendShare, Carries, Cluster, ClusterUse, DialledBackends, Endpoints, StandIn,
};
use crate::{Cx, problem, world::SlicesByService};

pub(super) fn clusters(cx: &mut Cx<'_>, _: &Name, members: &[Arc<ClusterUse>]) {
    if let Some(first) = members.first() {
        cx.emit(first.cluster.clone());
    }
}

pub(super) fn endpoints(cx: &mut Cx<'_>, cluster: &Arc<Cluster>) {
    let mut made = Endpoints {
        key: cluster.key.clone(),
        service: cluster.service.clone(),
        addresses: vec![],
        stand_in: None,
        tls: cluster.tls.is_some(),
        blend: None,
    };
    let Some(blend) = &cluster.blend else {
        if found(cx, cluster, &mut made) {
            cx.emit(made);
        }
        return;
    };
    let mut shares = BlendEndpoints { parts: vec![], lost: blend.lost };
    for (service, port, weight) in &blend.parts {
        let part = Cluster { service: service.clone(), port: *port, blend: None, ..Cluster::clone(cluster) };
        let mut of = Endpoints { addresses: vec![], ..made.clone() };
        if found(cx, &part, &mut of) && !of.addresses.is_empty() {
            made.addresses.extend(of.addresses.iter().cloned());
            let name = format!("{service}/{port}").into();
            shares.parts.push(BlendShare { name, weight: *weight, addresses: of.addresses });
        } else {
            shares.lost = shares.lost.saturating_add(*weight);
        }
    }
    made.addresses.sort();
    made.addresses.dedup();
    cx.emit(Endpoints { blend: Some(shares), ..made });
}

/// Finds the endpoints of a cluster's Service; `false` if there is no Service and nobody brings one.
fn found(cx: &mut Cx<'_>, cluster: &Cluster, made: &mut Endpoints) -> bool {
    let Some(service) = cx.get::<Service>(&cluster.service) else {
        // A cluster without its Service is of one that somebody else brings.
        let Some(why) = operated::elsewhere(cx, &cluster.service) else { return false };
        made.stand_in = cluster.carries.has_stand_in().then_some(StandIn::Absent(why));
        return true;
    };
    let slices = cx.find::<SlicesByService>(&cluster.service);
    let object = if service.selects { None } else { cx.get::<EndpointsObject>(&cluster.service) };
    let mut subsets: Vec<&EndpointSubset> = slices.iter().map(|slice| &slice.subset).collect();
    subsets.extend(object.iter().flat_map(|object| &object.subsets));
    let dialled = cx.get::<DialledBackends>(&Name::default());
    if slices.is_empty() && object.is_none() && dialled.as_ref().is_none_or(|row| !row.alone) {
        if cluster.carries.has_stand_in() {
            made.stand_in = Some(StandIn::NoEndpoints);
        } else {
            no_stand_in(cx, &service, cluster, "nothing lists endpoints");
        }
        return true;
    }
    let usable = usable(&service, cluster, &subsets);
    if usable.is_empty() {
        unusable(cx, &service, cluster, &subsets);
    }
    let real = dialled.is_some_and(|row| row.real);
    let (dialled, replaced): (Vec<_>, Vec<_>) =
        usable.into_iter().partition(|(address, _)| real || address.is_loopback());
    let named = |all: Vec<(IpAddr, u16)>| -> Vec<(Name, u16)> {
        all.into_iter().map(|(address, port)| (address.to_string().into(), port)).collect()
    };
    made.addresses = named(dialled);
    if !replaced.is_empty() {
        let replaced = named(replaced);
        if cluster.carries.has_stand_in() {
            not_dialled(cx, &service, cluster, &replaced);
            made.stand_in = Some(StandIn::Instead(replaced));
        } else {
            let why = format!("endpoints that are not loopback are not dialled ({})", some(&replaced));
            no_stand_in(cx, &service, cluster, &why);
        }
    }
    true
}

/// The port of this number that is for the protocol: one number may be there for TCP and for UDP.
pub(super) fn of_protocol<'a>(service: &'a Service, number: u16, protocol: &str) -> Option<&'a ServicePort> {
    service.ports.iter().find(|port| port.port == number && *port.protocol == *protocol)
}

impl Carries {
    /// Whether the built-in echo backend, which speaks HTTP, can answer.
    const fn has_stand_in(self) -> bool {
        matches!(self, Self::Requests | Self::Connections)
    }

    /// Protocol of the Service's port.
    const fn protocol(self) -> &'static str {
        match self {
            Self::Requests | Self::Connections | Self::Tls => "TCP",
            Self::Datagrams => "UDP",
        }
    }
}

/// Address and port of what takes requests: ready endpoints, and if there is none those that are on their way out and
/// still serve (Kubernetes, `ProxyTerminatingEndpoints`). Ports belong together by name and protocol.
fn usable(service: &Service, cluster: &Cluster, subsets: &[&EndpointSubset]) -> BTreeSet<(IpAddr, u16)> {
    let mut ready = BTreeSet::new();
    let mut draining = BTreeSet::new();
    let Some(port) = of_protocol(service, cluster.port, cluster.carries.protocol()) else { return ready };
    for subset in subsets {
        for at in subset.ports.iter().filter(|at| at.name == port.name && at.protocol == port.protocol) {
            for EndpointAddress { address, readiness } in &subset.addresses {
                match readiness {
                    Readiness::Ready => ready.insert((*address, at.port)),
                    _ if service.publish_not_ready => ready.insert((*address, at.port)),
                    Readiness::Draining => draining.insert((*address, at.port)),
                    Readiness::NotReady => false,
                };
            }
        }
    }
    if ready.is_empty() { draining } else { ready }
}

/// Says why a Service with endpoints has no usable one, unless what lists them has a finding for it.
fn unusable(cx: &mut Cx<'_>, service: &Service, cluster: &Cluster, subsets: &[&EndpointSubset]) {
    let port = cluster.port;
    let listed = subsets.iter().map(|subset| subset.addresses.len()).sum::<usize>();
    if listed == 0 && subsets.iter().any(|subset| subset.left_out) {
        return;
    }
    let protocol = cluster.carries.protocol();
    let name = of_protocol(service, port, protocol).map(|p| p.name.clone()).unwrap_or_default();
    let of_it = subsets.iter().flat_map(|s| &s.ports).filter(|p| *p.protocol == *protocol);
    let names: BTreeSet<&str> = of_it.map(|p| &*p.name).collect();
    let why = if listed == 0 {
        "no endpoint is listed".to_owned()
    } else if names.contains(&*name) {
        format!("none of {listed} endpoints is ready")
    } else if names.is_empty() {
        format!("no endpoint has a port for {protocol}")
    } else {
        let have = names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
        format!("no endpoint has a port named {name:?} (they have {have})")
    };
    let message = format!("{} {}: {why}", spoken(cluster), silent(cluster));
    let hint = if alone(cx) {
        "look why no Pod that the Service selects is ready, and whether it has the port that the Service names"
    } else {
        "name ports in slices as in the Service, and list ready endpoints; without any slice the built-in echo backend answers"
    };
    problem(cx, object(service), 241, Severity::Warning, "spec.ports", message, hint);
}

/// Whether nothing answers in the place of endpoints.
fn alone(cx: &mut Cx<'_>) -> bool {
    cx.get::<DialledBackends>(&Name::default()).is_some_and(|row| row.alone)
}

/// What becomes of what is sent to a backend that has no endpoint.
const fn silent(cluster: &Cluster) -> &'static str {
    match cluster.carries {
        Carries::Requests => "answers 503",
        Carries::Connections | Carries::Tls => "closes connections",
        Carries::Datagrams => "drops datagrams",
    }
}

/// Says that the built-in echo backend cannot answer in the place of endpoints.
fn no_stand_in(cx: &mut Cx<'_>, service: &Service, cluster: &Cluster, why: &str) {
    let message = format!(
        "{} {}: {why}, and the built-in echo backend, which speaks HTTP, cannot answer in their place",
        spoken(cluster),
        silent(cluster)
    );
    let hint = "list endpoints on loopback, or give portolan up --real-backends";
    problem(cx, object(service), 241, Severity::Warning, "spec.ports", message, hint);
}

fn not_dialled(cx: &mut Cx<'_>, service: &Service, cluster: &Cluster, replaced: &[(Name, u16)]) {
    let message = format!(
        "endpoints of {} that are not loopback are not dialled, the built-in echo backend answers in their place: {}",
        spoken(cluster),
        some(replaced)
    );
    let hint = "nothing to do; portolan up --real-backends dials them";
    problem(cx, object(service), 242, Severity::Info, "", message, hint);
}

fn some(all: &[(Name, u16)]) -> String {
    let some: Vec<String> = all.iter().take(3).map(|(address, port)| place(address, *port)).collect();
    let more = if all.len() > 3 { format!(" and {} more", all.len() - 3) } else { String::new() };
    format!("{}{more}", some.join(", "))
}

/// A cluster in words. A Service has a cluster for each port and protocol that routes ask for, each with its own findings:
/// what does not name all of these would be one finding of two inputs.
fn spoken(cluster: &Cluster) -> String {
    let by = match (cluster.http2, &cluster.tls) {
        (false, None) => "",
        (true, None) => ", spoken to by HTTP/2,",
        (false, Some(_)) => ", spoken to by TLS,",
        (true, Some(_)) => ", spoken to by HTTP/2 over TLS,",
    };
    let by = match cluster.carries {
        Carries::Requests => by.to_owned(),
        Carries::Connections => ", spoken to by TLS for connections,".to_owned(),
        Carries::Tls => ", to which TLS passes through,".to_owned(),
        // Each route has a cluster of its own.
        Carries::Datagrams => format!(" of UDPRoute {}", cluster.key.trim_start_matches("udp/")),
    };
    format!("port {} of Service {}{by}", cluster.port, cluster.service)
}

/// Address and port as one writes them.
pub fn place(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn object(service: &Service) -> ObjectKey {
    ObjectKey::new("", "Service", service.key.namespace.clone(), service.key.name.clone())
}
