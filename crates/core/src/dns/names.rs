//! Which names the routes ask for, and whether each may be published (external-dns `source/gateway.go`).
//!
//! Different on purpose: a route without hostnames does not publish its listener's wildcard; HTTPS waits for a valid
//! certificate, and every name for an answer through Envoy.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{GatewayKey, Name, Severity, input::Route};

use super::{
    Annotations, HostnameSource, annotations, drain,
    rows::{DesiredRecord, DnsSettings, GatewayTargets, ListenerGate},
};
use crate::{
    Cx,
    gateway::{
        covers,
        rows::{Attachment, GatewayListener},
        takes,
    },
    problem,
    status::rows::Probe,
    world::{AllDnsSettings, Finding},
};

/// A listener at which a name is asked for.
struct At {
    gateway_listener: Arc<GatewayListener>,
    host: Option<Name>,
}

impl At {
    /// Smallest counts: served before not served, TLS before cleartext, as the entry points choose.
    fn rank(&self) -> (bool, bool, &Name) {
        (self.host.is_none(), !self.gateway_listener.https, &self.gateway_listener.key.name)
    }
}

pub(super) fn desired_records(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let mut components: Vec<Arc<DnsSettings>> = cx.find::<AllDnsSettings>(&());
    components.retain(|component| component.managed && component.sources.contains(&route.key.kind));
    components.sort_by(|a, b| a.key.cmp(&b.key));
    if components.is_empty() || drain::is_leaving(&route.key) {
        return;
    }
    let (notes, problems) = annotations::read(&route.annotations);
    for problem in problems {
        cx.emit(Finding { problem: problem.on(route.key.object()) });
    }
    if notes.ignored {
        return;
    }
    for ((name, gateway), at) in asked(cx, route, &notes) {
        let gate = gate(cx, &name, &at);
        let targets = cx.get::<GatewayTargets>(&gateway).map(|row| row.targets.clone()).unwrap_or_default();
        let mut judged: Vec<(&Name, Option<String>)> =
            components.iter().map(|component| (&component.key, outside(&name, route, component))).collect();
        if judged.iter().any(|(_, outside)| outside.is_none()) {
            judged.retain(|(_, outside)| outside.is_none());
        } else {
            judged.truncate(1);
        }
        for (component, outside) in judged {
            cx.emit(DesiredRecord {
                key: (name.clone(), route.key.clone(), gateway.clone(), component.clone()),
                host: at.host.clone(),
                targets: targets.clone(),
                ttl: notes.ttl,
                outside,
                gate: gate.clone(),
            });
        }
    }
}

/// Why the filters of a component leave the name or the route out.
fn outside(name: &Name, route: &Route, component: &DnsSettings) -> Option<String> {
    if !component.plan.in_scope(name) {
        return Some(format!("the domain filter leaves {name} out"));
    }
    filtered(route, component).map(|filter| format!("the {filter} filter leaves {} out", route.key))
}

/// The filter of routes that leaves this one out.
fn filtered(route: &Route, settings: &DnsSettings) -> Option<&'static str> {
    let annotation = |key: &Name| route.annotations.get(key).map(String::as_str);
    if !settings.labels.matches(&route.labels) {
        return Some("label");
    }
    (!settings.annotations.matches_values(annotation)).then_some("annotation")
}

/// The names, by Gateway, with the listener that counts for each.
fn asked(cx: &mut Cx<'_>, route: &Route, notes: &Annotations) -> BTreeMap<(Name, GatewayKey), At> {
    let mut found: BTreeMap<(Name, GatewayKey), At> = BTreeMap::new();
    let mut add = |name: Name, at: At| {
        let key = (name, at.gateway_listener.key.gateway.clone());
        if found.get(&key).is_none_or(|present| at.rank() < present.rank()) {
            found.insert(key, at);
        }
    };
    let mut unmatched: Vec<&Name> = notes.hostnames.iter().collect();
    let mut attached = false;
    for parent in 0..route.parents.len() {
        let Some(attachment) = cx.get::<Attachment>(&(route.key.clone(), parent)) else { continue };
        if cx.get::<GatewayTargets>(&attachment.gateway).is_some_and(|row| row.leaving) {
            continue;
        }
        for (listener, hosts) in &attachment.taken {
            let Some(gateway_listener) =
                cx.get::<GatewayListener>(listener).filter(|gateway_listener| !gateway_listener.leaving)
            else {
                continue;
            };
            attached = true;
            // Without hostnames of its own the route has its listener's: served, but nobody wrote it as a name to publish.
            if notes.hostname_source != HostnameSource::AnnotationOnly && !route.hostnames.is_empty() {
                for host in hosts.iter().filter(|host| **host != "*") {
                    add(
                        host.clone(),
                        At { gateway_listener: Arc::clone(&gateway_listener), host: Some(host.clone()) },
                    );
                }
            }
            if notes.hostname_source == HostnameSource::DefinedHostsOnly {
                unmatched.clear();
                continue;
            }
            for name in &notes.hostnames {
                let Some(narrow) = narrower(gateway_listener.hostname.as_ref(), name) else { continue };
                unmatched.retain(|other| *other != name);
                let serving = hosts.iter().filter(|host| *host == narrow || takes_any(host, narrow));
                let host = serving.max_by_key(|host| host.len()).cloned();
                add(narrow.clone(), At { gateway_listener: Arc::clone(&gateway_listener), host });
            }
        }
    }
    for name in unmatched.into_iter().filter(|_| attached) {
        let message = format!("no listener of this route takes {name}, which the hostname annotation names");
        let hint = "use a name inside the listener's hostname, or attach the route to another listener";
        problem(cx, route.key.object(), 430, Severity::Warning, "metadata.annotations", message, hint);
    }
    for ((name, _), at) in &found {
        if at.host.is_none() {
            let message = format!(
                "{name} is published because the hostname annotation names it, and this route does not serve it"
            );
            let hint = "add the name to spec.hostnames, unless another route serves it";
            problem(cx, route.key.object(), 431, Severity::Info, "metadata.annotations", message, hint);
        }
    }
    found
}

fn takes_any(pattern: &str, name: &str) -> bool {
    pattern == "*" || takes(pattern, name)
}

/// The narrower of a listener's hostname and a name, if they overlap.
fn narrower<'a>(own: Option<&'a Name>, name: &'a Name) -> Option<&'a Name> {
    match own {
        None => Some(name),
        Some(own) if own == name || takes(own, name) => Some(name),
        Some(own) if takes(name, own) => Some(own),
        Some(_) => None,
    }
}

fn gate(cx: &mut Cx<'_>, name: &Name, at: &At) -> Result<(), String> {
    let listener = &at.gateway_listener.key;
    let gate = cx.get::<ListenerGate>(listener);
    let gate = gate.ok_or_else(|| format!("listener {listener} is gone"))?;
    if let Some(names) = gate.open.as_ref().map_err(Clone::clone)?
        && !names.iter().any(|pattern| covers(pattern, name))
    {
        let names = names.iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
        return Err(format!("the certificate of listener {listener} covers {names}, not {name}"));
    }
    let Some(host) = &at.host else { return Ok(()) };
    match cx.get::<Probe>(host).map(|probe| probe.state.clone()) {
        Some(Ok(_)) => Ok(()),
        Some(Err(why)) => Err(format!("{host} does not answer yet: {why}")),
        None => Err(format!("waiting for {host} to answer through Envoy")),
    }
}
