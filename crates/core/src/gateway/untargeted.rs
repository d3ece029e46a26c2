//! Policies that restrict and name something that is not there: in a cluster they are not attached (Envoy Gateway: `TargetNotFound`), and
//! what they were meant for is open there.

use std::sync::Arc;

use portolan_model::{
    Name, ObjectKey, RouteKey, RouteKind, Severity,
    input::{Gateway, ListenerSet, ParentRef, Restriction, Route, Service},
};

use super::GROUP;
use crate::{Cx, gitops::unseen, policy::absence, problem};

pub(super) fn untargeted(cx: &mut Cx<'_>, restriction: &Arc<Restriction>) {
    let key = &restriction.key;
    if restriction.whole || &*key.kind.group != "gateway.envoyproxy.io" {
        return;
    }
    for (at, target) in restriction.targets.iter().enumerate() {
        let Some(missing) = missing(cx, target) else { continue };
        // What was not read may bring it.
        if unseen::may_bring(cx, &target.name.namespace).is_some() {
            continue;
        }
        let message = format!(
            "{} restricts nothing by its target {missing}: in a cluster (TargetNotFound) what it is meant for is open",
            key.kind.kind
        );
        let hint = "correct the name; a policy targets objects of its own namespace only";
        problem(cx, key.clone(), 252, Severity::Warning, &field(restriction, at), message, hint);
    }
}

/// Where a target is written; that of the older form comes last.
fn field(restriction: &Restriction, at: usize) -> String {
    if restriction.single && at + 1 == restriction.targets.len() {
        "spec.targetRef.name".to_owned()
    } else {
        format!("spec.targetRefs[{at}].name")
    }
}

/// What a target is and that it is not there; `None` where it is, or nobody here knows.
fn missing(cx: &mut Cx<'_>, target: &ParentRef) -> Option<String> {
    let name = &target.name;
    let object = || ObjectKey { kind: target.kind.clone(), name: name.clone() };
    let gone = |cx: &mut Cx<'_>, there: bool| {
        (!there).then(|| format!("{}, which {}", object(), absence(cx, &object())))
    };
    let section = |listeners: Vec<Name>| {
        let section = target.section.as_ref().filter(|section| !listeners.contains(section))?;
        Some(format!("{}, which has no listener {section}", object()))
    };
    match (&*target.kind.group, &*target.kind.kind) {
        (GROUP, "Gateway") => match cx.get::<Gateway>(name) {
            None => gone(cx, false),
            Some(gateway) => section(gateway.listeners.iter().map(|one| one.name.clone()).collect()),
        },
        (GROUP, "ListenerSet") => match cx.get::<ListenerSet>(name) {
            None => gone(cx, false),
            Some(set) => section(set.listeners.iter().map(|one| one.name.clone()).collect()),
        },
        (GROUP, "HTTPRoute") => {
            let there = cx.get::<Route>(&RouteKey { kind: RouteKind::Http, name: name.clone() }).is_some();
            gone(cx, there)
        }
        (GROUP, "GRPCRoute") => {
            let there = cx.get::<Route>(&RouteKey { kind: RouteKind::Grpc, name: name.clone() }).is_some();
            gone(cx, there)
        }
        ("", "Service") => {
            let there = cx.get::<Service>(name).is_some();
            gone(cx, there)
        }
        _ => None,
    }
}
