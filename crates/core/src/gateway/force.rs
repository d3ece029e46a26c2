//! What must be in force in Envoy for a listener and for a host to work, and whether it is. Stated here alone: entry points,
//! conditions, the gate of DNS and `explain` read these rows.

use std::sync::Arc;

use portolan_model::{Kind, Name, ObjectKey, Severity};

use super::rows::{
    Endpoints, FilterChain, Force, GatewayListener, Hold, HostForce, LeftOut, ListenerCertificate,
    ListenerForce, ListenerInForce, ListenerKey, Refusal, VirtualHost, WireAck, WireKey, WireListener,
    WirePending, WireType, virtual_host_name,
};
use crate::{Cx, problem};

/// Of what Envoy had not taken before.
const NEW: &str = "correct what Envoy names; there is no earlier configuration that could stay in force";

const HINT: &str = "correct what Envoy names; the last good configuration stays in force";

pub(super) fn listener_force(cx: &mut Cx<'_>, listener: &Arc<GatewayListener>) {
    let state = of_chain(cx, listener);
    if let Force::Refused(words) = &state {
        let stands = cx.get::<ListenerInForce>(&listener.socket()).is_some();
        let what = if stands { "" } else { "; nothing is served on that port" };
        let message = format!("listener {}: Envoy refused {words}{what}", listener.key.name);
        let hint = if stands { HINT } else { NEW };
        problem(cx, listener.object(), 231, Severity::Error, "spec.listeners", message, hint);
    }
    cx.emit(ListenerForce { key: listener.key.clone(), state });
}

/// Looks at the filter chain in the socket that is in force, not at the socket: another chain that comes or goes beside it
/// changes nothing here.
fn of_chain(cx: &mut Cx<'_>, listener: &GatewayListener) -> Force {
    let key = &listener.key;
    if !listener.accepted {
        return Force::NotSent(format!("listener {key} is not accepted"));
    }
    if listener.speaks.ends_tls() {
        match cx.get::<ListenerCertificate>(key).map(|certificate| certificate.secret.clone()) {
            None => return Force::NotSent(format!("listener {key} has no certificate")),
            Some(Err((_, why))) => return Force::NotSent(format!("listener {key}: {why}")),
            Some(Ok(_)) => {}
        }
    }
    let Some(socket) = cx.get::<WireListener>(&listener.socket()) else {
        return Force::NotSent(format!("Gateway {} has no address yet", key.gateway));
    };
    let is = standing(cx, &socket);
    let stands = |chain: &FilterChain| is.as_ref().is_some_and(|is| is.chains.contains(chain));
    let streams = !listener.speaks.is_http();
    // Without a route one of streams refuses what comes; with some it has a chain for each host, of which one is enough: how
    // the others stand is theirs to say.
    let mut own = socket.chains.iter().filter(|c| c.routes == listener.routes && (streams || !c.refuses()));
    let Some(chain) = own.clone().find(|chain| stands(chain)).or_else(|| own.next()) else {
        return Force::NotSent(format!("listener {key} is not served"));
    };
    if streams && is.as_ref().is_some_and(|is| is.chains.iter().any(|c| c.routes == listener.routes)) {
        return secrets(cx, chain).unwrap_or(Force::InForce);
    }
    of_socket(cx, &socket, chain)
}

/// The row that is in force of a socket, if it is the same socket.
fn standing(cx: &mut Cx<'_>, socket: &WireListener) -> Option<Arc<WireListener>> {
    let is = cx.get::<ListenerInForce>(&socket.key)?;
    ((&is.row.address, is.row.port) == (&socket.address, socket.port)).then(|| Arc::clone(&is.row))
}

/// Whether a chain of a socket is in force, with what it names.
fn of_socket(cx: &mut Cx<'_>, socket: &WireListener, chain: &FilterChain) -> Force {
    if !standing(cx, socket).is_some_and(|is| is.chains.contains(chain)) {
        let resource = WireKey { r#type: WireType::Listener, name: socket.name.clone() };
        return match of(cx, &resource) {
            Ok(()) => Force::Pending(waiting(&resource, &Hold::Sent)),
            Err(not) => not,
        };
    }
    secrets(cx, chain).unwrap_or(Force::InForce)
}

/// What of a chain's secrets is not in force.
fn secrets(cx: &mut Cx<'_>, chain: &FilterChain) -> Option<Force> {
    chain.named().find_map(|name| {
        let resource = WireKey { r#type: WireType::Secret, name: name.clone() };
        of(cx, &resource).err()
    })
}

/// Of hosts whose connections or datagrams go on as they come: each is a chain of its socket.
pub(super) fn stream_force(cx: &mut Cx<'_>, socket: &Arc<WireListener>) {
    for chain in socket.chains.iter().filter(|chain| chain.stream.is_some()) {
        let state = of_socket(cx, socket, chain);
        cx.emit(HostForce { key: (chain.routes.clone(), chain.host()), state, left_out: vec![] });
    }
}

pub(super) fn host_force(cx: &mut Cx<'_>, host: &Arc<VirtualHost>) {
    let key = WireKey { r#type: WireType::VirtualHost, name: virtual_host_name(&host.key.0, &host.key.1) };
    let pending = cx.get::<WirePending>(&key).is_some();
    let refusal = cx.get::<WireAck>(&key).and_then(|ack| ack.state.clone().err()).filter(|_| !pending);
    let mut left_out: Vec<LeftOut> = Vec::new();
    let state = match &refusal {
        None => of(cx, &key).map_or_else(|not| not, |()| Force::InForce),
        Some(refusal) if refusal.rules.is_empty() => Force::Refused(refused(&key, &refusal.words)),
        Some(refusal) => {
            left_out.extend(rules(host, refusal));
            Force::InForce
        }
    };
    // A route stands under one host of several listeners: each has its own finding.
    let at = format!("host {} in {}", host.key.1, host.key.0);
    for rule in &left_out {
        let field = format!("spec.rules[{}]", rule.rule);
        let closed = refusal.as_ref().is_some_and(|refusal| refusal.closed.is_some());
        let what = if closed {
            "this host answers an error to what no rule before it takes"
        } else {
            "its requests are answered with an error, the other rules are served"
        };
        let message = format!("{at}: Envoy refused this rule: {}; {what}", rule.words);
        problem(cx, rule.route.object(), 231, Severity::Error, &field, message, HINT);
    }
    if let Force::Refused(words) = &state {
        let mut routes: Vec<_> = host.entries.iter().map(|entry| &entry.route).collect();
        routes.sort();
        routes.dedup();
        for route in routes {
            let message = format!("{at}: Envoy refused {words}");
            problem(cx, route.object(), 231, Severity::Error, "spec.rules", message, HINT);
        }
    }
    cx.emit(HostForce { key: host.key.clone(), state, left_out });
}

/// A backend that Envoy refused: its requests are answered with an error, or go where they went before.
pub(super) fn backend_refused(cx: &mut Cx<'_>, endpoints: &Arc<Endpoints>) {
    for r#type in [WireType::Cluster, WireType::Endpoints] {
        let key = WireKey { r#type, name: endpoints.key.clone() };
        if let Some(Err(refusal)) = cx.get::<WireAck>(&key).map(|ack| ack.state.clone()) {
            let object = ObjectKey { kind: Kind::new("", "Service"), name: endpoints.service.clone() };
            let message = format!("Envoy refused {}", refused(&key, &refusal.words));
            problem(cx, object, 231, Severity::Error, "spec", message, HINT);
        }
    }
}

/// The refused entries as rules of routes, each once.
fn rules(host: &VirtualHost, refusal: &Refusal) -> Vec<LeftOut> {
    let mut made: Vec<LeftOut> = Vec::new();
    for entry in refusal.rules.iter().filter_map(|at| host.entries.get(*at)) {
        if !made.iter().any(|rule| rule.route == entry.route && rule.rule == entry.rule) {
            let words = one_line(&refusal.words);
            made.push(LeftOut { route: entry.route.clone(), rule: entry.rule, words });
        }
    }
    made
}

/// Whether the wanted version of a resource is in force, or why not.
fn of(cx: &mut Cx<'_>, key: &WireKey) -> Result<(), Force> {
    if let Some(pending) = cx.get::<WirePending>(key) {
        return Err(Force::Pending(waiting(key, &pending.hold)));
    }
    match cx.get::<WireAck>(key).map(|ack| ack.state.clone()) {
        Some(Ok(())) => Ok(()),
        Some(Err(refusal)) => Err(Force::Refused(refused(key, &refusal.words))),
        None => Err(Force::Pending(waiting(key, &Hold::Sent))),
    }
}

fn refused(key: &WireKey, words: &str) -> String {
    format!("{}: {}", key.name, one_line(words))
}

/// Envoy's words on one line: they stand in tables and logs.
fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn waiting(key: &WireKey, hold: &Hold) -> String {
    match hold {
        Hold::Sent => format!("waiting for Envoy to accept {}", key.name),
        Hold::NotAsked => format!("{} is used by nothing that Envoy has yet", key.name),
        Hold::By(other) => format!("{} waits for {}, which Envoy has not accepted yet", key.name, other.name),
    }
}

/// Whether a host works at a listener: both are in force.
pub(crate) fn at(
    cx: &mut Cx<'_>,
    listener: &ListenerKey,
    table: &Name,
    host: &Name,
) -> (Force, Vec<LeftOut>) {
    let state = cx.get::<ListenerForce>(listener).map(|row| row.state.clone());
    match state.unwrap_or_else(|| Force::NotSent(format!("listener {listener} is gone"))) {
        Force::InForce => {}
        not => return (not, vec![]),
    }
    // A route without rules has no virtual host; nothing but its listener can be in force.
    let row = cx.get::<HostForce>(&(table.clone(), host.clone()));
    row.map_or((Force::InForce, vec![]), |row| (row.state.clone(), row.left_out.clone()))
}
