//! Boundaries of listeners in route tables: every listener owns its hostname there, with or without a route.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{Name, input::Gateway};

use super::{
    rows::{GatewayListener, ListenerHost, VirtualHost},
    takes,
};
use crate::{
    Cx,
    world::{ListenersByGateway, RulesByHost},
};

/// The hostname of a listener as a route table has it.
fn host(listener: &GatewayListener) -> Name {
    listener.hostname.clone().unwrap_or_else(|| "*".into())
}

/// Whether a request for what `narrow` matches also matches `wide`.
fn within(narrow: &str, wide: &str) -> bool {
    narrow == wide || wide == "*" || takes(wide, narrow)
}

/// The hostnames that listeners own in the route tables of a Gateway. Those of one that is not accepted are closed: they
/// fall to no other listener. One that is leaving owns nothing any more.
pub(super) fn listener_hosts(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let mut all = cx.find::<ListenersByGateway>(&gateway.key);
    // Of those that take whatever comes none has a hostname, nor shares a socket with one that has.
    all.retain(|listener| !listener.leaving && !listener.speaks.is_nameless());
    let mut owned: BTreeMap<(Name, Name), bool> = BTreeMap::new();
    for listener in all.iter().filter(|listener| listener.accepted && listener.speaks.is_http()) {
        let others: Vec<&Arc<GatewayListener>> = all
            .iter()
            .filter(|other| other.port == listener.port && other.hostname != listener.hostname)
            .filter(|other| other.hostname.is_some() || other.accepted && listener.speaks.ends_tls())
            .collect();
        for other in &others {
            // "If another Listener has an exact match or more specific wildcard entry, the Gateway SHOULD return a 421"
            // (`Listener.hostname`, of HTTPS). HTTP listeners of a port share a table, in which it is simply theirs.
            let misdirected = listener.speaks.ends_tls() && other.accepted;
            if misdirected && is_covered(listener, other, &others) {
                continue;
            }
            owned.entry((listener.routes.clone(), host(other))).or_insert(misdirected);
        }
        if listener.hostname.is_some() {
            owned.insert((listener.routes.clone(), host(listener)), false);
        }
    }
    for (key, misdirected) in owned {
        cx.emit(ListenerHost { key, misdirected });
    }
}

/// Whether the nearest wider listener answers all names of `other` with 421 in the table of `listener`: one hostname less
/// in it.
fn is_covered(listener: &GatewayListener, other: &GatewayListener, others: &[&Arc<GatewayListener>]) -> bool {
    let (own, name) = (host(listener), host(other));
    let wider = others.iter().filter(|wider| wider.key != other.key && within(&name, &host(wider)));
    wider.max_by_key(|wider| host(wider).len()).is_some_and(|nearest| {
        // The listener's own hostname may stand between the two.
        let between = within(&name, &own) && within(&own, &host(nearest));
        nearest.accepted && !between
    })
}

/// A hostname that has no route answers 404, or 421 where it belongs to another listener.
pub(super) fn bare_hosts(cx: &mut Cx<'_>, host: &Arc<ListenerHost>) {
    if cx.count::<RulesByHost>(&host.key) == 0 {
        cx.emit(VirtualHost { key: host.key.clone(), entries: vec![], misdirected: host.misdirected });
    }
}
