//! From claims to entry points.

use std::sync::Arc;

use portolan_model::{
    Code, Name, RouteKind, Severity,
    condition::Status,
    input::{InputProblems, SourceProblems},
};

use super::rows::{CERTIFICATE_REQUIRED, CONNECTED, EntryPoint, HANDSHAKE, HostClaim, Probe, State};
use crate::{
    Cx,
    dns::{
        drain::{is_leaving, original},
        rows::Stage,
    },
    door,
    gateway::{
        backends::place,
        force,
        rows::{
            Force, GatewayAddress, GatewayListener, InCluster, ListenerCertificate, ListenerKey,
            ParentVerdict, Speaks, Unenforced, Unresolved,
        },
    },
    problem,
    world::{Finding, StatesByHost},
};

/// The answer to a page that there is not.
const NOT_FOUND: u16 = 404;
/// Code of an object that the door refuses.
const REFUSED: Code = Code(5);
/// Code of what restricts traffic and is not enforced.
const RESTRICTS: Code = Code(206);

pub(super) fn input_findings(cx: &mut Cx<'_>, found: &Arc<InputProblems>) {
    // That a policy restricts and is not enforced goes without saying where it is refused: its hosts say so.
    let refused = door::restricts(&found.key)
        && cx
            .get::<SourceProblems>(&found.key)
            .is_some_and(|row| row.problems.iter().any(|p| p.code == REFUSED));
    for problem in found.problems.iter().filter(|problem| !(refused && problem.code == RESTRICTS)) {
        cx.emit(Finding { problem: problem.clone() });
    }
}

pub(super) fn source_findings(cx: &mut Cx<'_>, found: &Arc<SourceProblems>) {
    for problem in &found.problems {
        cx.emit(Finding { problem: problem.clone() });
    }
}

pub(super) fn entry_points(cx: &mut Cx<'_>, host: &Name, claims: &[Arc<HostClaim>]) {
    let Some(claim) = shown(cx, claims) else { return };
    let (unenforced, closed) = unenforced(cx, claim);
    let listener = ListenerKey { gateway: claim.gateway.clone(), name: claim.key.listener.clone() };
    let mut entry = EntryPoint {
        key: host.clone(),
        url: String::new(),
        address: Name::default(),
        port: 0,
        state: State::Pending,
        why: String::new(),
        route: claim.key.route.clone(),
        listener: listener.clone(),
        certificate: None,
        broken: broken(cx, claim, claims),
        unenforced,
        speaks: claim.speaks,
        probe: false,
    };
    if let Some(why) = &claim.refused {
        entry.state = if claim.unknown { State::Unknown } else { State::Refused };
        entry.why.clone_from(why);
        cx.emit(entry);
        return;
    }
    let Some(address) = cx.get::<GatewayAddress>(&claim.gateway) else {
        entry.why = format!("Gateway {} has no address yet", claim.gateway);
        cx.emit(entry);
        return;
    };
    entry.address = address.address.clone();
    entry.port = address.ports.get(&claim.port).copied().unwrap_or(claim.port);
    entry.url = url(claim, &entry);
    if claim.speaks.ends_tls() {
        let row = cx.get::<ListenerCertificate>(&listener);
        let shown = row.as_ref().and_then(|row| row.shown_to(host));
        entry.certificate = shown.map(|one| (one.secret.clone(), Some(one.not_after)));
    }
    if is_leaving(&claim.key.route) {
        entry.route = original(&claim.key.route);
        "leaving: served until its DNS records are gone".clone_into(&mut entry.why);
        cx.emit(entry);
        return;
    }
    if !entry.unenforced.is_empty() && closed {
        let what = entry.unenforced.iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
        let (restricts, is) =
            if entry.unenforced.len() > 1 { ("restrict", "are") } else { ("restricts", "is") };
        let why =
            format!("{what} {restricts} this host, {is} not enforced yet, and the address is not loopback");
        let hint = "bind to a loopback address, or remove the restriction on purpose";
        // A route has a finding for each of its hosts.
        problem(cx, claim.key.route.object(), 230, Severity::Error, "", format!("host {host}: {why}"), hint);
        (entry.state, entry.why) = (State::Refused, why);
        cx.emit(entry);
        return;
    }
    if let Some(why) = wrong(cx, claim) {
        (entry.state, entry.why) = (State::Refused, why);
        cx.emit(entry);
        return;
    }
    if claim.speaks.ends_tls() {
        match cx
            .get::<ListenerCertificate>(&listener)
            .map(|c| (c.secret.clone(), c.covers.clone(), (c.waiting, c.elsewhere)))
        {
            Some((Ok(key), covers, _)) => {
                if !covers.iter().any(|name| crate::gateway::covers(name, host)) {
                    let names = crate::gateway::told(covers.iter());
                    let why = format!("the certificate in Secret {key} covers {names}, not {host}");
                    // That it does not fit the listener itself is said once, of the listener.
                    let own = cx.get::<GatewayListener>(&listener).and_then(|row| row.hostname.clone());
                    let fits = |own: Name| covers.iter().any(|name| crate::gateway::covers(name, &own));
                    if own.is_none_or(fits) {
                        let hint = "add the name to the certificate, or give the host a listener with one that has it";
                        let route = claim.key.route.object();
                        problem(cx, route, 259, Severity::Error, "spec.hostnames", why.clone(), hint);
                    }
                    (entry.state, entry.why) = (State::Refused, why);
                    cx.emit(entry);
                    return;
                }
            }
            Some((Err((_, why)), _, why_not)) => {
                entry.state = match why_not {
                    (_, true) => State::Unknown,
                    (true, _) => State::Pending,
                    _ => State::Refused,
                };
                entry.why = format!("listener {listener}: {why}");
                cx.emit(entry);
                return;
            }
            None => {
                entry.why = format!("listener {listener} has no certificate");
                cx.emit(entry);
                return;
            }
        }
    }
    if claim.speaks.ends_tls()
        && let Some(row) = cx.get::<ListenerCertificate>(&listener)
        && let Some(one) = row.temporary_for(host)
    {
        entry.why = crate::gateway::temporary_in(&one.secret);
        cx.emit(entry);
        return;
    }
    let Some(gateway_listener) = cx.get::<GatewayListener>(&listener) else {
        entry.why = format!("listener {listener} is gone");
        cx.emit(entry);
        return;
    };
    let (state, left_out) = force::at(cx, &listener, &gateway_listener.routes, &claim.served_as());
    match state {
        Force::InForce => {}
        Force::Pending(why) | Force::NotSent(why) => {
            entry.why = why;
            cx.emit(entry);
            return;
        }
        Force::Refused(why) => {
            (entry.state, entry.why) = (State::Refused, format!("Envoy refused {why}"));
            cx.emit(entry);
            return;
        }
    }
    if let Some(rule) = left_out.iter().find(|rule| rule.route == claim.key.route) {
        let why = format!("Envoy refused rule {} of {}: {}", rule.rule, rule.route, rule.words);
        (entry.state, entry.why) = (State::Refused, why);
        cx.emit(entry);
        return;
    }
    if claim.speaks == Speaks::Udp {
        // Whether a datagram arrives nobody can ask without knowing what its backend answers.
        entry.state = State::Live;
        entry.why = format!("{}; of UDP there is no probe", in_force(&entry.broken));
        cx.emit(entry);
        return;
    }
    entry.probe = true;
    match cx.get::<Probe>(host).map(|p| p.state.clone()) {
        // Nobody asks through an Envoy that may stand anywhere.
        None if cx.get::<InCluster>(&Name::default()).is_some() => {
            entry.state = State::Live;
            entry.why = in_force(&entry.broken);
        }
        None => "waiting for the first probe".clone_into(&mut entry.why),
        Some(Err(text)) => entry.why = format!("the probe failed: {text}"),
        Some(Ok(status)) => {
            (entry.state, entry.why) = dns(cx, host)
                .unwrap_or_else(|| (State::Live, answers(status, entry.route.kind, &entry.broken)));
        }
    }
    cx.emit(entry);
}

/// Where a host is reached; with the address where it has no name.
fn url(claim: &HostClaim, entry: &EntryPoint) -> String {
    let (scheme, default) = match claim.speaks {
        Speaks::Http => ("http", Some(80)),
        Speaks::Https => ("https", Some(443)),
        Speaks::TlsEnds | Speaks::TlsPasses => ("tls", None),
        Speaks::Tcp => ("tcp", None),
        Speaks::Udp => ("udp", None),
    };
    if claim.speaks.is_nameless() {
        return format!("{scheme}://{}", place(&entry.address, entry.port));
    }
    let port = if default == Some(entry.port) { String::new() } else { format!(":{}", entry.port) };
    let path = if claim.speaks.is_http() { "/" } else { "" };
    format!("{scheme}://{}{port}{path}", entry.key)
}

/// What is known of a host that nobody asks for as a client would.
fn in_force(broken: &[String]) -> String {
    match broken {
        [] => "in force in Envoy".to_owned(),
        [one] => format!("in force in Envoy, but {one}"),
        [first, others @ ..] => format!("in force in Envoy, but {first}, and {} more", others.len()),
    }
}

/// What a host that works answers, and what else of it does not.
fn answers(status: u16, kind: RouteKind, broken: &[String]) -> String {
    let is = match status {
        CERTIFICATE_REQUIRED => {
            "lets in clients with a certificate only; what it answers them was not asked".to_owned()
        }
        CONNECTED => "takes connections".to_owned(),
        HANDSHAKE => "agrees on TLS".to_owned(),
        NOT_FOUND if kind == RouteKind::Grpc => {
            format!("answers {NOT_FOUND} to the probe, which asks for / and calls no method of gRPC")
        }
        status => format!("answers {status}"),
    };
    match broken {
        [] => is,
        [one] => format!("{is}, but {one}"),
        [first, others @ ..] => format!("{is}, but {first}, and {} more", others.len()),
    }
}

/// The claim that speaks for its host: HTTPS before HTTP before refused before the copy of a route that is leaving; of
/// those one that works, as one that does not harms only itself; then in key order.
fn shown<'a>(cx: &mut Cx<'_>, claims: &'a [Arc<HostClaim>]) -> Option<&'a Arc<HostClaim>> {
    let rank = |c: &HostClaim| (is_leaving(&c.key.route), c.refused.is_some(), !c.speaks.ends_tls());
    let best = claims.iter().map(|c| rank(c)).min()?;
    let mut best: Vec<_> = claims.iter().filter(|c| rank(c) == best).collect();
    best.sort_by(|a, b| a.key.cmp(&b.key));
    if best.len() > 1 {
        // Stable: of equal ones the first by key.
        best.sort_by_cached_key(|c| {
            c.refused.is_none() && (wrong(cx, c).is_some() || uncertified(cx, c).is_some())
        });
    }
    best.first().copied()
}

/// What of the host does not work beside what is shown of it: of the shown route the rules that are left out, of other
/// routes and listeners anything.
fn broken(cx: &mut Cx<'_>, shown: &HostClaim, claims: &[Arc<HostClaim>]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for claim in claims.iter().filter(|claim| !is_leaving(&claim.key.route)) {
        let other = claim.key != shown.key;
        let whole = claim.refused.clone().or_else(|| wrong(cx, claim)).or_else(|| uncertified(cx, claim));
        let why = match whole {
            Some(_) if !other => None,
            None => partly(cx, claim),
            whole => whole,
        };
        let text = why.map(|why| format!("{}: {why}", claim.key.route));
        found.extend(text.filter(|text| !found.contains(text)));
    }
    found.sort();
    found
}

/// Why nothing that is claimed works until something is edited: no rule of the route is valid, or its backends do not
/// resolve.
fn wrong(cx: &mut Cx<'_>, claim: &HostClaim) -> Option<String> {
    let refused = condition(cx, claim, "Accepted", Status::False);
    refused.or_else(|| cx.get::<Unresolved>(&claim.key.route).and_then(|row| row.refuses.clone()))
}

/// What of the claimed route is left out.
fn partly(cx: &mut Cx<'_>, claim: &HostClaim) -> Option<String> {
    let dropped = condition(cx, claim, "PartiallyInvalid", Status::True);
    let dropped = dropped.map(|text| text.strip_prefix("Dropped Rule: ").unwrap_or(&text).to_owned());
    dropped.or_else(|| cx.get::<Unresolved>(&claim.key.route).and_then(|row| row.partly.clone()))
}

fn condition(cx: &mut Cx<'_>, claim: &HostClaim, r#type: &str, status: Status) -> Option<String> {
    let verdict = cx.get::<ParentVerdict>(&(claim.key.route.clone(), claim.key.parent))?;
    let found = verdict.conditions.iter().find(|c| *c.r#type == *r#type && c.status == status)?;
    Some(found.message.to_string())
}

/// Why the listener of a claim can show no certificate for it, if TLS ends there.
fn uncertified(cx: &mut Cx<'_>, claim: &HostClaim) -> Option<String> {
    if !claim.speaks.ends_tls() {
        return None;
    }
    let key = ListenerKey { gateway: claim.gateway.clone(), name: claim.key.listener.clone() };
    let Some(row) = cx.get::<ListenerCertificate>(&key) else {
        return Some(format!("listener {key} has no certificate"));
    };
    match &row.secret {
        Err((_, why)) => Some(format!("listener {key}: {why}")),
        Ok(_) if row.covers.iter().any(|name| crate::gateway::covers(name, &claim.key.host)) => None,
        Ok(secret) => {
            let names = crate::gateway::told(row.covers.iter());
            Some(format!("the certificate in Secret {secret} covers {names}, not {}", claim.key.host))
        }
    }
}

/// What DNS still lacks for the names that this host serves.
fn dns(cx: &mut Cx<'_>, host: &Name) -> Option<(State, String)> {
    cx.find::<StatesByHost>(host).iter().find_map(|state| {
        let how = match state.stage {
            Stage::Outside | Stage::Kept | Stage::Answered => return None,
            Stage::Refused => State::Refused,
            Stage::Waiting | Stage::Writing | Stage::Asking => State::Pending,
        };
        Some((how, format!("DNS for {}: {}", state.key, state.why)))
    })
}

/// What restricts the claimed host and is not enforced; and whether it is not served for that.
fn unenforced(cx: &mut Cx<'_>, claim: &HostClaim) -> (Vec<Name>, bool) {
    let Some(row) = cx.get::<Unenforced>(&(claim.key.route.clone(), claim.key.parent)) else {
        return (vec![], false);
    };
    let listener = ListenerKey { gateway: claim.gateway.clone(), name: claim.key.listener.clone() };
    (row.at(&listener).to_vec(), row.refused)
}
