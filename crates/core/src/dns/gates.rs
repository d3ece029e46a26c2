//! What opens a listener's gate, and where a Gateway's names point.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use portolan_model::{
    Code, Kind, Name, ObjectKey, Problem, Severity,
    input::{Gateway, GatewayClass},
};

use super::{
    DnsProblem,
    annotations::{self, family::On},
    drain::{UNTIL, is_marked},
    rows::{DnsSettings, GatewaySeen, GatewayTargets, ListenerGate},
};
use crate::{
    Cx,
    gateway::{
        covers,
        rows::{Force, GatewayAddress, GatewayListener, ListenerCertificate, ListenerForce},
        temporary_in,
    },
    world::{AllDnsSettings, Finding, at},
};

pub(super) fn listener_gates(cx: &mut Cx<'_>, gateway_listener: &Arc<GatewayListener>) {
    let open = open(cx, gateway_listener);
    cx.emit(ListenerGate { key: gateway_listener.key.clone(), open });
}

fn open(cx: &mut Cx<'_>, gateway_listener: &GatewayListener) -> Result<Option<Vec<Name>>, String> {
    let listener = &gateway_listener.key;
    match cx.get::<ListenerForce>(listener).map(|row| row.state.clone()) {
        Some(Force::InForce) => {}
        Some(Force::Pending(why) | Force::NotSent(why)) => return Err(why),
        Some(Force::Refused(why)) => return Err(format!("Envoy refused {why}")),
        None => return Err(format!("listener {listener} is gone")),
    }
    if !gateway_listener.speaks.ends_tls() {
        return Ok(None);
    }
    let Some(certificate) = cx.get::<ListenerCertificate>(listener) else {
        return Err(format!("listener {listener} has no certificate"));
    };
    let (mut names, mut why) = (Vec::new(), None);
    let mut temporary: Vec<&Name> = Vec::new();
    for one in &certificate.served {
        if one.temporary {
            temporary.extend(&one.covers);
            why.get_or_insert_with(|| temporary_in(&one.secret));
        } else if cx.due(at(one.not_after)) {
            why.get_or_insert_with(|| {
                format!("the certificate in Secret {} has expired on {}", one.secret, one.not_after)
            });
        } else {
            names.extend(one.covers.iter().cloned());
        }
    }
    // Which of two certificates for one name Envoy shows is not decided here.
    names.retain(|name| !temporary.iter().any(|other| covers(name, other) || covers(other, name)));
    match why {
        Some(why) if names.is_empty() => Err(why),
        _ => Ok(Some(names)),
    }
}

pub(super) fn gateway_targets(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let object =
        || ObjectKey { kind: Kind::new("gateway.networking.k8s.io", "Gateway"), name: gateway.key.clone() };
    let mut components: Vec<Arc<DnsSettings>> = cx.find::<AllDnsSettings>(&());
    components.retain(|component| component.managed);
    let mut findings = BTreeSet::new();
    let mut seen = BTreeMap::new();
    for component in components {
        let scope = &component.scope;
        let (notes, problems) = scope.read(&gateway.annotations);
        let mut found = GatewaySeen {
            targets: notes.targets,
            outside: scope
                .leaves_out_gateway(gateway)
                .map(|filter| format!("the {filter} filter leaves Gateway {} out", gateway.key)),
        };
        if found.outside.is_none() && notes.ignored && scope.gateway_controller {
            found.outside = Some(format!("Gateway {} is left to another controller", gateway.key));
        }
        if found.outside.is_none() {
            let unused = annotations::family::unused(&gateway.annotations, &scope.prefix, On::Gateway);
            // Of what is not read here it does not matter what it says.
            let fields: BTreeSet<Name> = unused.iter().map(DnsProblem::field).collect();
            let problems = problems.into_iter().filter(|problem| !fields.contains(&problem.field()));
            let other = annotations::family::other_prefix(&gateway.annotations, &scope.prefix, On::Gateway);
            let problems = problems.chain(unused).chain(other);
            findings.extend(problems.map(|problem| problem.on(object())));
        }
        if notes.no_target && found.outside.is_none() {
            found.outside =
                Some(format!("the target annotation of Gateway {} names no address or name", gateway.key));
        }
        if found.targets.is_empty()
            && !notes.no_target
            && let Some(address) = cx.get::<GatewayAddress>(&gateway.key)
        {
            if address.address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
                findings.insert(unspecified(&object(), gateway, &address.address));
            } else {
                found.targets.push(address.address.clone());
            }
        }
        let all = found.targets.len();
        let left = found.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        found.targets.retain(|target| scope.lets_in(target));
        if found.targets.is_empty() && all > 0 && found.outside.is_none() {
            found.outside =
                Some(format!("the filter of target networks leaves out {left} of Gateway {}", gateway.key));
        }
        seen.insert(component.key.clone(), found);
    }
    for problem in findings {
        cx.emit(Finding { problem });
    }
    // With a list of listeners only those are leaving.
    let whole = is_marked(&gateway.annotations);
    let class = cx.get::<GatewayClass>(&gateway.class);
    let leaving = whole || class.is_some_and(|class| class.annotations.contains_key(UNTIL));
    cx.emit(GatewayTargets { key: gateway.key.clone(), seen, leaving });
}

fn unspecified(object: &ObjectKey, gateway: &Gateway, address: &str) -> Problem {
    Problem {
        object: object.clone(),
        code: Code(432),
        field: "metadata.annotations".into(),
        severity: Severity::Warning,
        message: format!(
            "Gateway {} is bound to {address}, which is no address that a name can point to",
            gateway.key
        ),
        hint: "set the annotation external-dns.kubernetes.io/target to the public address".to_owned(),
    }
}
