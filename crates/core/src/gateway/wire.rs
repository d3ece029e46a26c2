//! Rows that go on the wire.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{
    Name,
    input::{Gateway, Secret},
};

use super::{
    rows::{
        Door, FilterChain, GatewayAddress, HostRule, ListenerCertificate, TlsSecret, VirtualHost,
        WireListener, listener_name, secret_name,
    },
    rules::shadowed,
};
use crate::{
    Cx,
    dns::drain::is_leaving,
    world::{CertificatesBySecret, DoorsByGateway},
};

pub(super) fn tls_secrets(cx: &mut Cx<'_>, secret: &Arc<Secret>) {
    if cx.count::<CertificatesBySecret>(&secret.key) == 0 {
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

pub(super) fn wire_listeners(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let Some(address) = cx.get::<GatewayAddress>(&gateway.key) else { return };
    let mut ports: BTreeMap<u16, Vec<FilterChain>> = BTreeMap::new();
    for door in cx.find::<DoorsByGateway>(&gateway.key).iter().filter(|door| door.accepted) {
        if let Some(chain) = chain(cx, door) {
            let chains = ports.entry(door.port).or_default();
            if !chains.contains(&chain) {
                chains.push(chain);
            }
        }
    }
    for (port, mut chains) in ports {
        chains.sort();
        cx.emit(WireListener {
            key: (gateway.key.clone(), port),
            name: listener_name(&gateway.key, port),
            address: address.address.clone(),
            port: address.ports.get(&port).copied().unwrap_or(port),
            chains,
        });
    }
}

fn chain(cx: &mut Cx<'_>, door: &Door) -> Option<FilterChain> {
    if !door.https {
        return Some(FilterChain { server_names: vec![], secret: None, routes: door.routes.clone() });
    }
    let certificate = cx.get::<ListenerCertificate>(&door.key)?;
    let secret = certificate.secret.as_ref().ok()?;
    Some(FilterChain {
        server_names: door.hostname.iter().cloned().collect(),
        secret: Some(secret_name(secret)),
        routes: door.routes.clone(),
    })
}

/// Members arrive in order of precedence: it is part of their key.
pub(super) fn virtual_hosts(cx: &mut Cx<'_>, key: &(Name, Name), members: &[Arc<HostRule>]) {
    for pair in members.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        let leaving = is_leaving(&first.key.route) || is_leaving(&second.key.route);
        if !leaving && first.entry.r#match == second.entry.r#match && first.key.route != second.key.route {
            shadowed(cx, &key.1, &first.key.route, &second.key.route);
        }
    }
    cx.emit(VirtualHost { key: key.clone(), entries: members.iter().map(|m| m.entry.clone()).collect() });
}
