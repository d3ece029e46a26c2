//! Rows that go on the wire.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use portolan_model::{
    Name, RouteKey,
    input::{Gateway, RouteMatch, Secret},
};

use super::{
    addresses::not_honoured,
    rows::{
        Closes, FilterChain, GatewayAddress, GatewayListener, GatewayOwner, GatewayPorts, HostRule,
        ListenerCertificate, ListenerKey, Shares, SocketKey, Speaks, StreamHost, TlsSecret, VirtualHost,
        WireListener, secret_name,
    },
    rules::shadowed,
};
use crate::{
    Cx,
    dns::drain::is_leaving,
    infrastructure::rows::FleetSettings,
    world::{CertificatesBySecret, ClientCertificatesBySecret, ListenersByGateway, StreamsByChain},
};

/// Where Envoys of a Gateway's own bind.
const EVERYWHERE: &str = "0.0.0.0";

pub(super) fn tls_secrets(cx: &mut Cx<'_>, secret: &Arc<Secret>) {
    let shown = cx.count::<CertificatesBySecret>(&secret.key) > 0
        || cx.count::<ClientCertificatesBySecret>(&secret.key) > 0;
    if !shown {
        return;
    }
    if let (Some(chain), Some(private_key)) = (secret.data.get("tls.crt"), secret.data.get("tls.key")) {
        cx.emit(TlsSecret {
            key: secret_name(&secret.key),
            chain: chain.clone(),
            private_key: private_key.clone(),
        });
    }
}

pub(super) fn gateway_ports(cx: &mut Cx<'_>, address: &Arc<GatewayAddress>) {
    cx.emit(GatewayPorts { key: address.key.clone(), ports: address.ports.clone() });
}

pub(super) fn wire_listeners(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    // Envoys of its own have their ports at every address of their Pods, whatever the Gateway is reached at.
    let apart = cx.get::<FleetSettings>(&Name::default()).is_some();
    let address = cx.get::<GatewayAddress>(&gateway.key);
    if !apart && cx.get::<GatewayOwner>(&gateway.key).is_some_and(|owner| owner.ours().is_some()) {
        not_honoured(cx, gateway, address.as_ref().map(|address| &*address.address));
    }
    let address = match address {
        Some(address) => address,
        None if apart => Arc::new(GatewayAddress::none(&gateway.key)),
        None => return,
    };
    let bound = if apart { Name::new(EVERYWHERE) } else { address.address.clone() };
    let mut sockets: BTreeMap<SocketKey, Vec<FilterChain>> = BTreeMap::new();
    let mut gateway_listeners = cx.find::<ListenersByGateway>(&gateway.key);
    let closed: Vec<_> =
        gateway_listeners.extract_if(.., |gateway_listener| !gateway_listener.accepted).collect();
    for gateway_listener in &gateway_listeners {
        let successor =
            |other: &Arc<GatewayListener>| !other.leaving && other.routes == gateway_listener.routes;
        if gateway_listener.leaving && gateway_listeners.iter().any(successor) {
            // It was renamed: one chain serves both names.
            continue;
        }
        let made = chains(cx, gateway_listener);
        if !made.is_empty() {
            let chains = sockets.entry(gateway_listener.socket()).or_default();
            for chain in made {
                if !chains.contains(&chain) {
                    chains.push(chain);
                }
            }
        }
    }
    for gateway_listener in closed.iter().filter(|gateway_listener| !gateway_listener.leaving) {
        let Some(chains) = sockets.get_mut(&gateway_listener.socket()) else { continue };
        let names: Vec<Name> = gateway_listener.hostname.iter().cloned().collect();
        let tls = chains.iter().any(|chain| chain.secrets.is_some() || !chain.server_names.is_empty());
        if tls && !names.is_empty() && chains.iter().all(|chain| chain.server_names != names) {
            chains.push(refusal(gateway_listener));
        }
    }
    for (key, mut chains) in sockets {
        chains.sort();
        cx.emit(WireListener {
            name: key.resource(),
            address: bound.clone(),
            port: address.ports.get(&key.port).copied().unwrap_or(key.port),
            key,
            chains,
        });
    }
}

fn chains(cx: &mut Cx<'_>, gateway_listener: &GatewayListener) -> Vec<FilterChain> {
    let plain = FilterChain {
        server_names: vec![],
        secrets: None,
        clients: None,
        routes: gateway_listener.routes.clone(),
        stream: None,
    };
    let secrets = match gateway_listener.speaks {
        Speaks::Http => return vec![plain],
        Speaks::Tcp | Speaks::Udp => {
            let hosts = cx.find::<StreamsByChain>(&gateway_listener.routes);
            let stream =
                Some(hosts.first().map_or(Shares { clusters: vec![], lost: 1 }, |host| shares(host)));
            return vec![FilterChain { stream, ..plain }];
        }
        Speaks::TlsPasses => None,
        Speaks::Https | Speaks::TlsEnds => {
            let Some(certificate) = cx.get::<ListenerCertificate>(&gateway_listener.key) else {
                return vec![];
            };
            if certificate.secret.is_err() {
                // Its names stay its own: without a chain they would go to a wider listener.
                return if gateway_listener.leaving { vec![] } else { vec![refusal(gateway_listener)] };
            }
            Some(certificate.served.iter().map(|one| secret_name(&one.secret)).collect())
        }
    };
    let own = refusal(gateway_listener);
    if gateway_listener.speaks == Speaks::Https {
        let clients = gateway_listener.clients.clone();
        return vec![FilterChain { secrets, clients, routes: plain.routes, ..own }];
    }
    let mut made: Vec<FilterChain> = Vec::new();
    for host in cx.find::<StreamsByChain>(&gateway_listener.routes) {
        let name = &host.key.1;
        made.push(FilterChain {
            server_names: if &**name == "*" { vec![] } else { vec![name.clone()] },
            secrets: secrets.clone(),
            stream: Some(shares(&host)),
            ..plain.clone()
        });
    }
    // What no route of it takes goes to no wider listener either: it is closed, as the conformance suite means "rejected"
    // (`TLSRouteHostnameIntersection`), which takes no alert for that.
    if made.iter().all(|chain| chain.server_names != own.server_names) && !gateway_listener.leaving {
        let closed = Some(Shares { clusters: vec![], lost: 1 });
        made.push(FilterChain { server_names: own.server_names, stream: closed, ..plain });
    }
    made
}

/// Who shares what comes to a host. A route that is closed by something that is not enforced shares nothing out.
fn shares(host: &StreamHost) -> Shares {
    let entry = &host.entry;
    if !entry.filters.is_empty() {
        return Shares { clusters: vec![], lost: 1 };
    }
    let weighted = entry.clusters.iter().filter(|share| share.weight > 0);
    let clusters: Vec<(Name, u32)> = weighted.map(|share| (share.cluster.clone(), share.weight)).collect();
    let lost = if clusters.is_empty() { 1 } else { entry.invalid_weight };
    Shares { clusters, lost }
}

/// Refuses every handshake for the names of a listener that has nothing to show for them.
fn refusal(gateway_listener: &GatewayListener) -> FilterChain {
    let ListenerKey { gateway, name } = &gateway_listener.key;
    FilterChain {
        server_names: gateway_listener.hostname.iter().cloned().collect(),
        secrets: Some(vec![]),
        clients: None,
        routes: format!("rc/{gateway}/{}/{name}", gateway_listener.port).into(),
        stream: None,
    }
}

/// Members arrive in order of precedence: it is part of their key. Of several with one match the first gets all requests.
pub(super) fn virtual_hosts(cx: &mut Cx<'_>, key: &(Name, Name), members: &[Arc<HostRule>]) {
    let mut first: HashMap<&RouteMatch, &RouteKey> = HashMap::new();
    let mut shadows: BTreeSet<(&RouteKey, &RouteKey)> = BTreeSet::new();
    let written = |member: &&Arc<HostRule>| member.key.position.2 == Closes::Nothing;
    for member in members.iter().filter(written).filter(|member| !is_leaving(&member.key.age.route)) {
        let route = &member.key.age.route;
        let winner = *first.entry(&member.entry.r#match).or_insert(route);
        if winner != route {
            shadows.insert((winner, route));
        }
    }
    for (winner, loser) in shadows {
        shadowed(cx, key, winner, loser);
    }
    if let Some(first) = members.first()
        && !first.key.age.route.kind.is_http()
    {
        cx.emit(StreamHost { key: key.clone(), entry: Arc::clone(&first.entry) });
        return;
    }
    let entries = members.iter().map(|m| Arc::clone(&m.entry)).collect();
    cx.emit(VirtualHost { key: key.clone(), entries, misdirected: false });
}
