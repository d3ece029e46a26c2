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
        ListenerCertificate, ListenerKey, TlsSecret, VirtualHost, WireListener, listener_name, secret_name,
    },
    rules::shadowed,
};
use crate::{
    Cx,
    dns::drain::is_leaving,
    infrastructure::rows::FleetSettings,
    world::{CertificatesBySecret, ClientCertificatesBySecret, ListenersByGateway},
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
    let address = match cx.get::<GatewayAddress>(&gateway.key) {
        Some(address) => address,
        None if apart => Arc::new(GatewayAddress::none(&gateway.key)),
        None => return,
    };
    let bound = if apart { Name::new(EVERYWHERE) } else { address.address.clone() };
    if !apart && cx.get::<GatewayOwner>(&gateway.key).is_some_and(|owner| owner.ours().is_some()) {
        not_honoured(cx, gateway, &address.address);
    }
    let mut ports: BTreeMap<u16, Vec<FilterChain>> = BTreeMap::new();
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
        if let Some(chain) = chain(cx, gateway_listener) {
            let chains = ports.entry(gateway_listener.port).or_default();
            if !chains.contains(&chain) {
                chains.push(chain);
            }
        }
    }
    for gateway_listener in closed.iter().filter(|gateway_listener| !gateway_listener.leaving) {
        let Some(chains) = ports.get_mut(&gateway_listener.port) else { continue };
        let names: Vec<Name> = gateway_listener.hostname.iter().cloned().collect();
        let tls = chains.iter().any(|chain| chain.secrets.is_some());
        if tls && !names.is_empty() && chains.iter().all(|chain| chain.server_names != names) {
            chains.push(refusal(gateway_listener));
        }
    }
    for (port, mut chains) in ports {
        chains.sort();
        cx.emit(WireListener {
            key: (gateway.key.clone(), port),
            name: listener_name(&gateway.key, port),
            address: bound.clone(),
            port: address.ports.get(&port).copied().unwrap_or(port),
            chains,
        });
    }
}

fn chain(cx: &mut Cx<'_>, gateway_listener: &GatewayListener) -> Option<FilterChain> {
    if !gateway_listener.https {
        return Some(FilterChain {
            server_names: vec![],
            secrets: None,
            clients: None,
            routes: gateway_listener.routes.clone(),
        });
    }
    let certificate = cx.get::<ListenerCertificate>(&gateway_listener.key)?;
    match &certificate.secret {
        Ok(_) => {
            let secrets = Some(certificate.served.iter().map(|one| secret_name(&one.secret)).collect());
            Some(FilterChain {
                secrets,
                clients: gateway_listener.clients.clone(),
                routes: gateway_listener.routes.clone(),
                ..refusal(gateway_listener)
            })
        }
        // Its names stay its own: without a chain they would go to a wider listener.
        Err(_) => (!gateway_listener.leaving).then(|| refusal(gateway_listener)),
    }
}

/// Refuses every handshake for the names of a listener that has nothing to show for them.
fn refusal(gateway_listener: &GatewayListener) -> FilterChain {
    let ListenerKey { gateway, name } = &gateway_listener.key;
    FilterChain {
        server_names: gateway_listener.hostname.iter().cloned().collect(),
        secrets: Some(vec![]),
        clients: None,
        routes: format!("rc/{gateway}/{}/{name}", gateway_listener.port).into(),
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
    let entries = members.iter().map(|m| Arc::clone(&m.entry)).collect();
    cx.emit(VirtualHost { key: key.clone(), entries, misdirected: false });
}
