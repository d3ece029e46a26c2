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
use super::rows::{Cluster, ClusterUse, DialledBackends, Endpoints, StandIn};
use crate::{Cx, problem, world::SlicesByService};

pub(super) fn clusters(cx: &mut Cx<'_>, _: &Name, members: &[Arc<ClusterUse>]) {
    if let Some(first) = members.first() {
        cx.emit(first.cluster.clone());
    }
}

pub(super) fn endpoints(cx: &mut Cx<'_>, cluster: &Arc<Cluster>) {
    let Some(service) = cx.get::<Service>(&cluster.service) else {
        // A cluster without its Service is of one that somebody else brings.
        if let Some(why) = operated::elsewhere(cx, &cluster.service) {
            cx.emit(Endpoints {
                key: cluster.key.clone(),
                service: cluster.service.clone(),
                addresses: vec![],
                stand_in: Some(StandIn::Absent(why)),
                tls: cluster.tls.is_some(),
            });
        }
        return;
    };
    let slices = cx.find::<SlicesByService>(&cluster.service);
    let object = if service.selects { None } else { cx.get::<EndpointsObject>(&cluster.service) };
    let mut subsets: Vec<&EndpointSubset> = slices.iter().map(|slice| &slice.subset).collect();
    subsets.extend(object.iter().flat_map(|object| &object.subsets));
    let mut made = Endpoints {
        key: cluster.key.clone(),
        service: cluster.service.clone(),
        addresses: vec![],
        stand_in: None,
        tls: cluster.tls.is_some(),
    };
    let dialled = cx.get::<DialledBackends>(&Name::default());
    if slices.is_empty() && object.is_none() && dialled.as_ref().is_none_or(|row| !row.alone) {
        made.stand_in = Some(StandIn::NoEndpoints);
        cx.emit(made);
        return;
    }
    let usable = usable(&service, cluster.port, &subsets);
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
        not_dialled(cx, &service, cluster, &replaced);
        made.stand_in = Some(StandIn::Instead(replaced));
    }
    cx.emit(made);
}

/// The port of this number that is for TCP: one number may be there for UDP too.
pub(super) fn tcp(service: &Service, number: u16) -> Option<&ServicePort> {
    service.ports.iter().find(|port| port.port == number && &*port.protocol == "TCP")
}

/// Address and port of what takes requests: ready endpoints, and if there is none those that are on their way out and
/// still serve (Kubernetes, `ProxyTerminatingEndpoints`). Ports belong together by name and protocol.
fn usable(service: &Service, port: u16, subsets: &[&EndpointSubset]) -> BTreeSet<(IpAddr, u16)> {
    let mut ready = BTreeSet::new();
    let mut draining = BTreeSet::new();
    let Some(port) = tcp(service, port) else { return ready };
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
    let name = tcp(service, port).map(|p| p.name.clone()).unwrap_or_default();
    let names: BTreeSet<&str> =
        subsets.iter().flat_map(|s| &s.ports).filter(|p| &*p.protocol == "TCP").map(|p| &*p.name).collect();
    let why = if listed == 0 {
        "no endpoint is listed".to_owned()
    } else if names.contains(&*name) {
        format!("none of {listed} endpoints is ready")
    } else if names.is_empty() {
        "no endpoint has a port for TCP".to_owned()
    } else {
        let have = names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
        format!("no endpoint has a port named {name:?} (they have {have})")
    };
    let message = format!("{} answers 503: {why}", spoken(cluster));
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

fn not_dialled(cx: &mut Cx<'_>, service: &Service, cluster: &Cluster, replaced: &[(Name, u16)]) {
    let some: Vec<String> = replaced.iter().take(3).map(|(address, port)| place(address, *port)).collect();
    let more = if replaced.len() > 3 { format!(" and {} more", replaced.len() - 3) } else { String::new() };
    let message = format!(
        "endpoints of {} that are not loopback are not dialled, the built-in echo backend answers in their place: {}{more}",
        spoken(cluster),
        some.join(", ")
    );
    let hint = "nothing to do; portolan up --real-backends dials them";
    problem(cx, object(service), 242, Severity::Info, "", message, hint);
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
    format!("port {} of Service {}{by}", cluster.port, cluster.service)
}

/// Address and port as one writes them.
pub fn place(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn object(service: &Service) -> ObjectKey {
    ObjectKey::new("", "Service", service.key.namespace.clone(), service.key.name.clone())
}
