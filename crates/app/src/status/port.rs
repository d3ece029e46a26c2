//! The port of an address that somebody asks about: whether the host is served there, and by what.

use std::sync::Arc;

use portolan_core::{
    World,
    gateway::rows::{GatewayPorts, Speaks},
    status::rows::{EntryPoint, HostClaim},
    world::ClaimsByHost,
};
use portolan_engine::Engine;
use portolan_model::Name;

use crate::host::{Asked, wildcards};

/// A socket on which a listener takes the host.
struct Socket {
    bound: u16,
    written: u16,
    speaks: Speaks,
    listener: String,
    /// The route that answers there, where it is not one that names the host.
    instead: Option<String>,
}

/// The step of an explanation; none where neither a port nor a scheme is asked for.
pub fn explain(
    engine: &Engine<World>,
    asked: &Asked,
    (entry, claims): (&EntryPoint, &[Arc<HostClaim>]),
    step: &mut impl FnMut(&str, bool, String),
) {
    let mut sockets: Vec<Socket> = claims.iter().filter_map(|claim| socket(engine, claim, false)).collect();
    // Where the host has no route of its own, one of a wildcard answers.
    for name in wildcards(&asked.name).chain(["*".to_owned()]) {
        let others = engine.find::<ClaimsByHost>(&Name::new(&name));
        sockets.extend(others.iter().filter_map(|claim| socket(engine, claim, true)));
    }
    let scheme = |https: bool| if https { "HTTPS" } else { "plain HTTP" };
    let spoken = |speaks: Speaks| match speaks {
        Speaks::Http => "plain HTTP",
        other => other.protocol(),
    };
    let is = |speaks: Speaks, https: bool| speaks == if https { Speaks::Https } else { Speaks::Http };
    let Some(port) = asked.port else {
        let Some(https) = asked.https.filter(|https| *https != entry.url.starts_with("https:")) else {
            return;
        };
        match sockets.iter().find(|socket| is(socket.speaks, https)) {
            Some(socket) => step("port", true, told(socket)),
            None => step(
                "port",
                false,
                format!("nothing speaks {} for {}{}", scheme(https), entry.key, at(entry)),
            ),
        }
        return;
    };
    if let Some(socket) = sockets.iter().find(|socket| socket.bound == port) {
        match asked.https {
            Some(https) if !is(socket.speaks, https) => {
                let (it, not) = (spoken(socket.speaks), scheme(https));
                step("port", false, format!("{}, which speaks {it} and not {not}", told(socket)));
            }
            _ => step("port", true, told(socket)),
        }
        return;
    }
    let why = match sockets.iter().find(|socket| socket.written == port) {
        Some(socket) => {
            format!("port {port} of {} is bound at {}{}", socket.listener, socket.bound, at(entry))
        }
        None => format!("nothing listens for {} on port {port}{}", entry.key, at(entry)),
    };
    step("port", false, why);
}

/// The socket of a claim that is served.
fn socket(engine: &Engine<World>, claim: &HostClaim, of_wildcard: bool) -> Option<Socket> {
    if claim.refused.is_some() {
        return None;
    }
    let bound = engine.get::<GatewayPorts>(&claim.gateway)?.ports.get(&claim.port).copied()?;
    let listener = format!("listener {} of Gateway {}", claim.key.listener, claim.gateway);
    let instead =
        of_wildcard.then(|| format!("{}, which asks for {}", claim.key.route.object(), claim.key.host));
    Some(Socket { bound, written: claim.port, speaks: claim.speaks, listener, instead })
}

fn told(socket: &Socket) -> String {
    let here = format!("port {} is that of {}", socket.bound, socket.listener);
    match &socket.instead {
        Some(route) => format!("{here}; there answers {route}"),
        None => here,
    }
}

/// Where else it is served.
fn at(entry: &EntryPoint) -> String {
    if entry.url.is_empty() { String::new() } else { format!("; it is served at {}", entry.url) }
}
