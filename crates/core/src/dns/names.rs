//! Which names the routes ask for, and whether each may be published (external-dns `source/gateway.go`).
//!
//! Different on purpose: HTTPS waits for a valid certificate, and every name for an answer through Envoy.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_model::{
    Code, GatewayKey, Name, NamespacedName, Problem, Severity,
    input::{ListenerSet, Route},
};

use super::{
    Annotations, HostnameSource,
    annotations::{self, family::On},
    drain,
    rows::{DesiredRecord, DnsSettings, GatewayTargets, ListenerGate, Outside},
    scope::Scope,
};
use crate::{
    Cx,
    gateway::{
        covers,
        rows::{Attachment, GatewayListener, Speaks, service_host},
        takes,
    },
    status::rows::Probe,
    world::{AllDnsSettings, Finding},
};

/// A listener at which a name is asked for.
#[derive(Clone)]
struct At {
    gateway_listener: Arc<GatewayListener>,
    host: Option<Name>,
    /// The ListenerSets of all that serve the name there; `None` is the Gateway itself.
    owners: BTreeSet<Option<NamespacedName>>,
}

impl At {
    fn new(gateway_listener: &Arc<GatewayListener>, host: Option<Name>) -> Self {
        let owners = [gateway_listener.set.clone()].into();
        Self { gateway_listener: Arc::clone(gateway_listener), host, owners }
    }

    /// Smallest counts: served before not served, TLS before cleartext, as the entry points choose.
    fn rank(&self) -> (bool, bool, &Name) {
        (self.host.is_none(), !self.gateway_listener.speaks.ends_tls(), &self.gateway_listener.key.name)
    }
}

/// A component that asks for a name of the route.
struct Asks {
    component: Arc<DnsSettings>,
    notes: Annotations,
    targets: Vec<Name>,
    outside: Option<Outside>,
}

pub(super) fn desired_records(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let mut components: Vec<Arc<DnsSettings>> = cx.find::<AllDnsSettings>(&());
    components.retain(|component| component.managed && component.sources.contains(&route.key.kind));
    components.sort_by(|a, b| a.key.cmp(&b.key));
    if components.is_empty() || drain::is_leaving(&route.key) {
        return;
    }
    let mut findings: BTreeSet<Problem> = BTreeSet::new();
    let mut asked: BTreeMap<(Name, GatewayKey), (At, Vec<Asks>)> = BTreeMap::new();
    for component in components {
        let (notes, problems) = component.scope.read(&route.annotations);
        let unused = annotations::family::unused(&route.annotations, &component.scope.prefix, On::Route);
        let other = annotations::family::other_prefix(&route.annotations, &component.scope.prefix, On::Route);
        let all = problems.into_iter().chain(unused).chain(other);
        findings.extend(all.map(|problem| problem.on(route.key.object())));
        if notes.ignored {
            continue;
        }
        let names = Names::new(route, &notes, &component.scope);
        for ((name, gateway), at) in names.at(cx, route, &mut findings) {
            let seen = cx.get::<GatewayTargets>(&gateway);
            let seen = seen.and_then(|row| row.seen.get(&component.key).cloned()).unwrap_or_default();
            let targets = targets(cx, &at.owners, &component.scope, &seen.targets);
            let asks = Asks {
                component: Arc::clone(&component),
                notes: notes.clone(),
                targets,
                outside: outside(&name, route, &component).or_else(|| seen.outside.map(Outside::chosen)),
            };
            asked.entry((name, gateway)).or_insert_with(|| (at, Vec::new())).1.push(asks);
        }
    }
    for ((name, gateway), (at, mut asks)) in asked {
        let inside = asks.iter().any(|asks| asks.outside.is_none());
        if inside {
            asks.retain(|asks| asks.outside.is_none());
        } else {
            asks.truncate(1);
        }
        if at.host.is_none() && inside {
            let message = format!(
                "{name} is published because the hostname annotation names it, and this route does not serve it"
            );
            let hint = "add the name to spec.hostnames, unless another route serves it";
            findings.insert(annotated(route, 431, Severity::Info, message, hint));
        }
        let gate = gate(cx, &name, &at);
        for Asks { component, notes, targets, outside } in asks {
            cx.emit(DesiredRecord {
                key: (name.clone(), route.key.clone(), gateway.clone(), component.key.clone()),
                host: at.host.clone(),
                targets,
                ttl: notes.ttl.or(component.scope.ttl),
                identifier: notes.set_identifier,
                weight: notes.weight,
                outside,
                gate: gate.clone(),
            });
        }
    }
    for problem in findings {
        cx.emit(Finding { problem });
    }
}

fn annotated(route: &Route, code: u16, severity: Severity, message: String, hint: &str) -> Problem {
    let (object, field) = (route.key.object(), "metadata.annotations".into());
    Problem { object, code: Code(code), field, severity, message, hint: hint.to_owned() }
}

/// Why the filters of a component leave the name or the route out.
fn outside(name: &Name, route: &Route, component: &DnsSettings) -> Option<Outside> {
    if !component.plan.in_scope(name) {
        return Some(Outside { why: format!("the domain filter leaves {name} out"), chosen: false });
    }
    let filter = component.scope.leaves_out(route)?;
    Some(Outside::chosen(format!("the {filter} filter leaves {} out", route.key)))
}

/// Where a name points: to the targets that a ListenerSet names for its listeners, else to those of the Gateway.
fn targets(
    cx: &mut Cx<'_>,
    owners: &BTreeSet<Option<NamespacedName>>,
    scope: &Scope,
    of_gateway: &[Name],
) -> Vec<Name> {
    let mut all: Vec<Name> = Vec::new();
    for owner in owners {
        let set = owner.as_ref().and_then(|set| cx.get::<ListenerSet>(set));
        let mut own = set.map(|set| scope.read(&set.annotations).0.targets).unwrap_or_default();
        own.retain(|target| scope.lets_in(target));
        let named = if own.is_empty() { of_gateway } else { &own };
        for target in named {
            if !all.contains(target) {
                all.push(target.clone());
            }
        }
    }
    all
}

/// Which names a route asks for, before its listeners are looked at.
struct Names {
    /// Those of `spec.hostnames`, as the listeners take them; without any, those of the listeners.
    own: bool,
    /// Of annotation and templates.
    more: BTreeSet<Name>,
    /// Those of the annotation, for which a listener has to be found.
    annotation: Vec<Name>,
    /// Listeners of ListenerSets are looked at.
    sets: bool,
}

impl Names {
    fn new(route: &Route, notes: &Annotations, scope: &Scope) -> Self {
        let none = route.hostnames.is_empty();
        let only = notes.hostname_source == HostnameSource::AnnotationOnly;
        let defined = notes.hostname_source == HostnameSource::DefinedHostsOnly;
        let templates =
            if only || !(none || scope.combine) { Vec::new() } else { scope.templates.names(route) };
        let annotation = if defined || scope.ignore_hostnames { Vec::new() } else { notes.hostnames.clone() };
        // Since 0.24 a route that has a name from elsewhere does not have its listener's.
        let listener = !defined && (scope.always_listener || annotation.is_empty() && templates.is_empty());
        let made = templates.iter().filter_map(|name| annotations::hostname(name).ok());
        Self {
            own: !only && (!none || listener),
            more: made.chain(annotation.iter().cloned()).collect(),
            annotation,
            sets: scope.listener_sets,
        }
    }

    /// The names, by Gateway, with the listener that counts for each.
    fn at(
        &self,
        cx: &mut Cx<'_>,
        route: &Route,
        findings: &mut BTreeSet<Problem>,
    ) -> BTreeMap<(Name, GatewayKey), At> {
        let mut found: BTreeMap<(Name, GatewayKey), At> = BTreeMap::new();
        let mut add = |name: Name, mut at: At| {
            let key = (name, at.gateway_listener.key.gateway.clone());
            match found.get_mut(&key) {
                None => {
                    found.insert(key, at);
                }
                Some(present) if at.rank() < present.rank() => {
                    at.owners.append(&mut present.owners);
                    *present = at;
                }
                Some(present) => present.owners.append(&mut at.owners),
            }
        };
        let mut unmatched: Vec<&Name> = self.annotation.iter().collect();
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
                // external-dns looks at ListenerSets only if it is told to.
                if gateway_listener.set.is_some() && !self.sets {
                    continue;
                }
                attached = true;
                // A listener without a hostname gives none.
                for host in hosts.iter().filter(|host| self.own && **host != "*") {
                    add(host.clone(), At::new(&gateway_listener, Some(host.clone())));
                }
                for name in &self.more {
                    let Some(narrow) = narrower(gateway_listener.hostname.as_ref(), name) else { continue };
                    unmatched.retain(|other| *other != name);
                    let serving = hosts.iter().filter(|host| *host == narrow || takes_any(host, narrow));
                    let host = serving.max_by_key(|host| host.len()).cloned();
                    let host = host.map(|host| claimed(&gateway_listener, host));
                    add(narrow.clone(), At::new(&gateway_listener, host));
                }
            }
        }
        for name in unmatched.into_iter().filter(|_| attached) {
            let message =
                format!("no listener of this route takes {name}, which the hostname annotation names");
            let hint = "use a name inside the listener's hostname, or attach the route to another listener";
            findings.insert(annotated(route, 430, Severity::Warning, message, hint));
        }
        found
    }
}

/// Under which hostname a listener's host is claimed, and probed.
fn claimed(listener: &GatewayListener, host: Name) -> Name {
    let speaks = listener.speaks;
    if !speaks.is_nameless() {
        return host;
    }
    service_host(&listener.key.gateway, Some(listener.port), speaks == Speaks::Udp)
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
        let names = crate::gateway::told(names.iter());
        return Err(format!("the certificate of listener {listener} covers {names}, not {name}"));
    }
    // Of UDP there is no probe.
    let Some(host) = at.host.as_ref().filter(|_| at.gateway_listener.speaks != Speaks::Udp) else {
        return Ok(());
    };
    match cx.get::<Probe>(host).map(|probe| probe.state.clone()) {
        Some(Ok(_)) => Ok(()),
        Some(Err(why)) => Err(format!("{host} does not answer yet: {why}")),
        None => Err(format!("waiting for {host} to answer through Envoy")),
    }
}
