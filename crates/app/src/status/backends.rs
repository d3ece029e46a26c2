//! What a hostname's requests go to: the backends of its route, and the other routes that ask for it.

use std::{collections::BTreeSet, sync::Arc};

use portolan_core::{
    World,
    gateway::rows::{Carries, Cluster, Endpoints, StandIn},
    status::rows::HostClaim,
};
use portolan_engine::Engine;
use portolan_model::{
    NamespacedName, RouteKey,
    input::{BackendRef, Route},
};

/// The backends of the route that speaks for the host, then those of the other routes.
pub fn explain(
    engine: &Engine<World>,
    route: &RouteKey,
    claims: &[Arc<HostClaim>],
    step: &mut impl FnMut(&str, bool, String),
) {
    // Rules of one route, and routes of one host, often lead to one Service.
    let mut told = BTreeSet::new();
    let mut step = |what: &str, ok: bool, evidence: String| {
        if told.insert((ok, evidence.clone())) {
            step(what, ok, evidence);
        }
    };
    of_route(engine, route, &mut step);
    let others: BTreeSet<&RouteKey> = claims.iter().map(|claim| &claim.key.route).collect();
    for other in others.into_iter().filter(|other| *other != route) {
        of_route(engine, other, &mut step);
    }
}

fn of_route(engine: &Engine<World>, route: &RouteKey, step: &mut impl FnMut(&str, bool, String)) {
    let Some(row) = engine.get::<Route>(route) else { return };
    for backend in row.rules.iter().flat_map(|rule| &rule.backends) {
        let (ok, evidence) = of_backend(engine, backend);
        step("backend", ok, evidence);
    }
}

fn of_backend(engine: &Engine<World>, backend: &BackendRef) -> (bool, String) {
    let target = &backend.target;
    if !target.kind.is("", "Service") {
        return (false, format!("{} {} is no backend that is served", target.kind, target.name));
    }
    let is = |service: &NamespacedName, port: u16| *service == target.name && Some(port) == target.port;
    let blends =
        |c: &Cluster| c.blend.iter().flat_map(|b| &b.parts).any(|(service, port, _)| is(service, *port));
    let cluster = engine.rows::<Cluster>().find(|c| is(&c.service, c.port) || blends(c));
    let Some(endpoints) = cluster.and_then(|c| engine.get::<Endpoints>(&c.key)) else {
        return (false, format!("Service {} does not resolve", target.name));
    };
    match &endpoints.stand_in {
        Some(StandIn::NoEndpoints) => {
            (true, format!("Service {} has no endpoints: the built-in echo backend answers", target.name))
        }
        Some(StandIn::Absent(why)) => {
            (true, format!("Service {} {why}: the built-in echo backend answers", target.name))
        }
        Some(StandIn::Instead(all)) => {
            let (own, other) = (endpoints.addresses.len(), all.len());
            let said =
                format!("Service {}: {own} endpoints, the built-in echo backend for {other}", target.name);
            (true, said)
        }
        None if endpoints.addresses.is_empty() => {
            let carries = cluster.map(|cluster| cluster.carries);
            let error = match carries {
                Some(Carries::Requests) | None => "503",
                Some(Carries::Connections | Carries::Tls) => "connections are closed",
                Some(Carries::Datagrams) => "datagrams are dropped",
            };
            (false, format!("Service {} has no usable endpoint: {error}", target.name))
        }
        None if endpoints.blend.is_some() => {
            let all = endpoints.addresses.len();
            (true, format!("Service {}: {all} endpoints of its route together", target.name))
        }
        None => (true, format!("Service {}: {} endpoints", target.name, endpoints.addresses.len())),
    }
}
