//! Which entry point a name belongs to: its own, or a wildcard that takes it.

use std::sync::Arc;

use portolan_core::{
    World,
    gateway::rows::GatewayListener,
    status::rows::{EntryPoint, HostClaim},
    world::ClaimsByHost,
};
use portolan_engine::Engine;
use portolan_model::{Name, nearest};

use crate::host;

/// The entry point of a name.
///
/// # Errors
/// A sentence when nothing asks for it.
pub(super) fn entry(engine: &Engine<World>, asked: &str) -> Result<Arc<EntryPoint>, String> {
    if let Some(entry) = engine.get::<EntryPoint>(&Name::new(asked)) {
        return Ok(entry);
    }
    let wildcard = host::wildcards(asked).find_map(|name| engine.get::<EntryPoint>(&Name::new(&name)));
    if let Some(entry) = wildcard.filter(|_| !asked.starts_with('*')) {
        return match owner(engine, asked, &entry) {
            None => Ok(entry),
            Some(listener) => Err(format!(
                "no route asks for {asked}: it belongs to listener {} of Gateway {}, whose hostname is {}, so {} does \
                 not take it. Attach a route to that listener",
                listener.key.name,
                listener.key.gateway,
                listener.hostname.as_deref().unwrap_or("*"),
                entry.key
            )),
        };
    }
    let other = if engine.get::<EntryPoint>(&Name::new("*")).is_some() {
        "; what answers any other name is said by: portolan explain '*'"
    } else {
        ""
    };
    let names: Vec<&Name> = engine.rows::<EntryPoint>().map(|row| &row.key).collect();
    let near = nearest(asked, names.into_iter().map(|name| &**name));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(format!("no route asks for {asked}{near}; hostnames are listed by: portolan status{other}"))
}

/// A listener that owns the name and does not serve the wildcard: each listener keeps its hostname to itself.
fn owner(engine: &Engine<World>, asked: &str, entry: &EntryPoint) -> Option<Arc<GatewayListener>> {
    let claims: Vec<Arc<HostClaim>> = engine.find::<ClaimsByHost>(&entry.key);
    let serves = |listener: &GatewayListener| {
        claims.iter().any(|claim| {
            claim.gateway == listener.key.gateway
                && claim.key.listener == listener.key.name
                && claim.refused.is_none()
        })
    };
    let mine: Vec<Arc<GatewayListener>> =
        engine.rows::<GatewayListener>().filter(|l| serves(l)).cloned().collect();
    let nearest = |gateway: &GatewayListener| {
        std::iter::once(asked.to_owned()).chain(host::wildcards(asked)).find_map(|name| {
            let owns = |other: &&Arc<GatewayListener>| {
                other.key.gateway == gateway.key.gateway
                    && other.port == gateway.port
                    && other.hostname.as_deref().is_some_and(|hostname| *hostname == *name)
            };
            engine.rows::<GatewayListener>().find(owns).cloned()
        })
    };
    // One listener of its own that takes the name is enough.
    let owners: Vec<Arc<GatewayListener>> =
        mine.iter().map(|l| nearest(l).filter(|n| !serves(n))).collect::<Option<_>>()?;
    owners.into_iter().next()
}
