//! The port of an address that somebody asks about: whether the host is served there, and by what.

use std::sync::Arc;

use portolan_core::{
    World,
    gateway::rows::GatewayPorts,
    status::rows::{EntryPoint, HostClaim},
};
use portolan_engine::Engine;

use crate::host::Asked;

/// A socket on which a listener takes the host.
struct Socket {
    bound: u16,
    written: u16,
    https: bool,
    listener: String,
}

/// The step of an explanation; none where no port is asked for.
pub fn explain(
    engine: &Engine<World>,
    asked: &Asked,
    (entry, claims): (&EntryPoint, &[Arc<HostClaim>]),
    step: &mut impl FnMut(&str, bool, String),
) {
    let Some(port) = asked.port else { return };
    let taken = claims.iter().filter(|claim| claim.refused.is_none());
    let sockets: Vec<Socket> = taken
        .filter_map(|claim| {
            let bound = engine.get::<GatewayPorts>(&claim.gateway)?.ports.get(&claim.port).copied()?;
            let listener = format!("listener {} of Gateway {}", claim.key.listener, claim.gateway);
            Some(Socket { bound, written: claim.port, https: claim.https, listener })
        })
        .collect();
    let spoken = |https: bool| if https { "HTTPS" } else { "plain HTTP" };
    if let Some(socket) = sockets.iter().find(|socket| socket.bound == port) {
        let here = format!("port {port} is that of {}", socket.listener);
        match asked.https {
            Some(https) if https != socket.https => {
                let (it, not) = (spoken(socket.https), spoken(https));
                step("port", false, format!("{here}, which speaks {it} and not {not}"));
            }
            _ => step("port", true, here),
        }
        return;
    }
    let instead =
        if entry.url.is_empty() { String::new() } else { format!("; it is served at {}", entry.url) };
    let why = match sockets.iter().find(|socket| socket.written == port) {
        Some(socket) => format!("port {port} of {} is bound at {}{instead}", socket.listener, socket.bound),
        None => format!("nothing listens for {} on port {port}{instead}", entry.key),
    };
    step("port", false, why);
}
