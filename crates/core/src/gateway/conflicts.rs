//! Of HTTPRoutes and GRPCRoutes that overlap at a listener, one is accepted (Gateway API, `GRPCRouteSpec.hostnames`):
//! the older, then the first by name. "Merging MUST not be done between GRPCRoutes and HTTPRoutes."

use std::{collections::BTreeSet, sync::Arc};

use portolan_model::{Name, RouteKey, RouteKind};

use super::{
    rows::{Age, Contender, ListenerKey, Offer, RouteConflict},
    takes,
};
use crate::{
    Cx,
    world::{OffersBeneath, OffersByHost},
};

/// A hostname that routes of a kind offer to serve at a listener.
pub(crate) type HostOfKind = (ListenerKey, RouteKind, Name);

/// For the index of offers by each of their hostnames.
pub(crate) fn hosts(offer: &Offer) -> Vec<HostOfKind> {
    let kind = offer.key.0.kind;
    // Only these two kinds come to one listener.
    let all = offer.outcome.iter().flatten().filter(|_| kind.is_http());
    all.flat_map(|(listener, hosts)| hosts.iter().map(move |h| (listener.clone(), kind, h.clone()))).collect()
}

/// For the index of offers by each wildcard that takes one of their hostnames.
pub(crate) fn above(offer: &Offer) -> Vec<HostOfKind> {
    let mut all = Vec::new();
    for (listener, kind, host) in hosts(offer) {
        if &*host == "*" {
            continue;
        }
        all.push((listener.clone(), kind, "*".into()));
        let mut rest = host.strip_prefix("*.").unwrap_or(&host);
        while let Some((_, parent)) = rest.split_once('.') {
            all.push((listener.clone(), kind, format!("*.{parent}").into()));
            rest = parent;
        }
    }
    all
}

fn other(kind: RouteKind) -> Option<RouteKind> {
    match kind {
        RouteKind::Http => Some(RouteKind::Grpc),
        RouteKind::Grpc => Some(RouteKind::Http),
        RouteKind::Tls | RouteKind::Tcp | RouteKind::Udp => None,
    }
}

/// An offer that overlaps with one of the other kind contends. The wider of the two finds out for both, so that an
/// ordinary hostname asks for nothing but itself.
pub(super) fn contenders(cx: &mut Cx<'_>, offer: &Arc<Offer>) {
    let Ok(taken) = &offer.outcome else { return };
    let Some(rivals) = other(offer.key.0.kind) else { return };
    for (listener, hosts) in taken {
        let mut contends = false;
        let mut found: BTreeSet<(Age, Vec<Name>)> = BTreeSet::new();
        for host in hosts {
            let at = (listener.clone(), rivals, host.clone());
            contends |= !cx.keys::<OffersByHost>(&at).is_empty();
            if host.starts_with('*') {
                for rival in cx.find::<OffersBeneath>(&at) {
                    let theirs = rival.outcome.iter().flatten().filter(|(theirs, _)| theirs == listener);
                    found.extend(theirs.map(|(_, hosts)| (rival.age.clone(), hosts.clone())));
                }
            }
        }
        if contends || !found.is_empty() {
            found.insert((offer.age.clone(), hosts.clone()));
        }
        for (age, hosts) in found {
            cx.emit(Contender { key: (listener.clone(), age, offer.key.clone()), hosts });
        }
    }
}

/// Members arrive by age. Each is accepted unless it overlaps with an accepted one of the other kind.
pub(super) fn route_conflicts(cx: &mut Cx<'_>, listener: &ListenerKey, members: &[Arc<Contender>]) {
    let mut accepted: Vec<&Contender> = Vec::new();
    let mut out: BTreeSet<&RouteKey> = BTreeSet::new();
    for member in members {
        let route = &member.key.1.route;
        if out.contains(route) {
            continue;
        }
        let beaten = accepted.iter().find_map(|winner| {
            let rival = winner.key.1.route.kind != route.kind;
            rival.then(|| overlap(&member.hosts, &winner.hosts)).flatten().map(|host| (winner, host))
        });
        match beaten {
            None => accepted.push(member),
            Some((winner, host)) => {
                out.insert(route);
                let (winner, host) = (winner.key.1.route.clone(), host.clone());
                cx.emit(RouteConflict { key: (route.clone(), listener.clone()), winner, host });
            }
        }
    }
}

/// The narrower name of the first pair that overlaps.
fn overlap<'a>(ours: &'a [Name], theirs: &'a [Name]) -> Option<&'a Name> {
    let covers = |wide: &Name, narrow: &Name| wide == narrow || &**wide == "*" || takes(wide, narrow);
    ours.iter().find_map(|our| {
        theirs.iter().find_map(|their| {
            if covers(their, our) { Some(our) } else { covers(our, their).then_some(their) }
        })
    })
}
