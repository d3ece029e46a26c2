//! What restricts traffic and is not enforced, from the policies that say so to the routes that they cover.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey, Severity,
    input::{Gateway, Judged, ParentRef, Restriction, Route},
};

use super::{
    GROUP,
    listeners::object,
    rows::{
        Attachment, GatewayAddress, GatewayListener, GatewayRestrictions, ListenerKey, MergedListeners,
        Restricting, Unenforced,
    },
    sets,
};
use crate::{
    Cx,
    dns::drain::is_leaving,
    infrastructure::rows::FleetSettings,
    problem,
    world::{RestrictionsByNamespace, RestrictionsBySelector, RestrictionsByTarget},
};

/// Restrictions of a Gateway: those that name it, its class, or labels that it has.
pub(super) fn gateway_restrictions(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let mut all: Vec<Restricting> = Vec::new();
    let class = NamespacedName::new(gateway.key.namespace.clone(), gateway.class.clone());
    for (kind, name) in [("Gateway", &gateway.key), ("GatewayClass", &class)] {
        for restriction in cx.find::<RestrictionsByTarget>(name) {
            for target in restriction.targets.iter().filter(|target| is(target, kind, name)) {
                let section = target.section.as_ref().filter(|_| kind == "Gateway");
                all.extend(of(&restriction, section, target.port));
            }
        }
    }
    let chosen = by_labels(cx, &object(gateway)).into_iter();
    for restriction in chosen.chain(whole(cx, &gateway.key.namespace, false)).collect::<Vec<_>>() {
        all.extend(of(&restriction, None, None));
    }
    by_sets(cx, gateway, &mut all);
    if !all.is_empty() {
        all.sort();
        all.dedup();
        cx.emit(GatewayRestrictions { key: gateway.key.clone(), all });
    }
}

/// Those that name a ListenerSet, or labels that it has: they are for its listeners alone.
fn by_sets(cx: &mut Cx<'_>, gateway: &Gateway, all: &mut Vec<Restricting>) {
    let Some(merged) = cx.get::<MergedListeners>(&gateway.key) else { return };
    for one in &merged.all {
        let Some(set) = &one.set else { continue };
        for restriction in cx.find::<RestrictionsByTarget>(set) {
            let own = |target: &&ParentRef| {
                is(target, "ListenerSet", set)
                    && target.section.as_ref().is_none_or(|section| *section == one.listener.name)
            };
            for target in restriction.targets.iter().filter(own) {
                all.extend(of(&restriction, Some(&one.name), target.port));
            }
        }
        let chosen = by_labels(cx, &sets::object(set)).into_iter();
        for restriction in chosen.chain(whole(cx, &set.namespace, false)).collect::<Vec<_>>() {
            all.extend(of(&restriction, Some(&one.name), None));
        }
    }
}

fn of(restriction: &Restriction, section: Option<&Name>, port: Option<u16>) -> Vec<Restricting> {
    let one =
        |feature: &Name, tls| Restricting { feature: feature.clone(), section: section.cloned(), port, tls };
    let all = restriction.features.iter().map(|feature| one(feature, false));
    all.chain(restriction.tls_features.iter().map(|feature| one(feature, true))).collect()
}

/// Whether a target is this object. The name alone does not say: objects of several kinds may share it.
fn is(target: &ParentRef, kind: &str, name: &NamespacedName) -> bool {
    target.kind.is(GROUP, kind) && target.name == *name
}

/// Restrictions that choose the object by its labels, in its own namespace or in all.
fn by_labels(cx: &mut Cx<'_>, object: &ObjectKey) -> Vec<Arc<Restriction>> {
    let mut found = cx.find::<RestrictionsBySelector>(&object.name.namespace);
    found.extend(cx.find::<RestrictionsBySelector>(&Name::default()));
    if found.is_empty() {
        return found;
    }
    // Read only where something selects: a Judged row changes with everything that its object says.
    let labels = cx.get::<Judged>(object).map(|judged| judged.labels.clone()).unwrap_or_default();
    found.retain(|restriction| {
        restriction.selectors.iter().any(|(kind, selector)| *kind == object.kind && selector.matches(&labels))
    });
    found
}

/// Restrictions of a namespace whose target cannot be read: of what is in front of Services, or of Services.
fn whole(cx: &mut Cx<'_>, namespace: &Name, services: bool) -> Vec<Arc<Restriction>> {
    let mut all = cx.find::<RestrictionsByNamespace>(namespace);
    all.retain(|restriction| (&*restriction.key.kind.kind == "BackendTLSPolicy") == services);
    all
}

/// What restricts a route at each listener that took it: what is said of the Gateway, of the route, and of the Services
/// behind it.
pub(super) fn unenforced(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let mut own: Option<Vec<Name>> = None;
    for at in 0..route.parents.len() {
        let key = (route.key.clone(), at);
        let Some(attachment) = cx.get::<Attachment>(&key) else { continue };
        let own = own.get_or_insert_with(|| of_route(cx, route));
        let restricting = cx.get::<GatewayRestrictions>(&attachment.gateway);
        if own.is_empty() && restricting.is_none() {
            continue;
        }
        let mut listeners = BTreeMap::new();
        for (listener, _) in &attachment.taken {
            let Some(gateway_listener) = cx.get::<GatewayListener>(listener) else { continue };
            let hits = |r: &&Restricting| {
                r.section.as_ref().is_none_or(|section| *section == listener.name)
                    && r.port.is_none_or(|port| port == gateway_listener.port)
                    && (gateway_listener.speaks.ends_tls() || !r.tls)
            };
            let all = restricting.iter().flat_map(|row| &row.all).filter(hits).map(|r| r.feature.clone());
            let mut all: Vec<Name> = all.chain(own.iter().cloned()).collect();
            all.sort();
            all.dedup();
            if !all.is_empty() {
                listeners.insert(listener.clone(), all);
            }
        }
        if !listeners.is_empty() {
            let address = cx.get::<GatewayAddress>(&attachment.gateway);
            // Envoys of its own are reached before anybody knows where.
            let apart = cx.get::<FleetSettings>(&Name::default()).is_some();
            let refused = address.map_or(apart, |address| !address.loopback);
            if !refused && !is_leaving(&route.key) {
                warn(cx, route, at, &listeners);
            }
            cx.emit(Unenforced { key, listeners: listeners.into_iter().collect(), refused });
        }
    }
}

fn warn(cx: &mut Cx<'_>, route: &Route, at: usize, listeners: &BTreeMap<ListenerKey, Vec<Name>>) {
    let features: BTreeSet<&Name> = listeners.values().flatten().collect();
    let verbs = if features.len() > 1 { ("restrict", "are") } else { ("restricts", "is") };
    let features = features.into_iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
    let (restricts, is) = verbs;
    let message = format!(
        "{features} {restricts} this route at Gateway {} and {is} not enforced yet",
        route.parents[at].name
    );
    let hint = "keep it on loopback; on any other address the route is refused";
    problem(cx, route.key.object(), 228, Severity::Warning, &format!("spec.parentRefs[{at}]"), message, hint);
}

fn of_route(cx: &mut Cx<'_>, route: &Route) -> Vec<Name> {
    let object = route.key.object();
    let mut found = by_labels(cx, &object);
    let named = cx.find::<RestrictionsByTarget>(&object.name);
    let here = |r: &Arc<Restriction>| r.targets.iter().any(|t| is(t, &object.kind.kind, &object.name));
    found.extend(named.into_iter().filter(here));
    found.extend(whole(cx, &object.name.namespace, false));
    let service = Kind::new("", "Service");
    for backend in route.rules.iter().flat_map(|rule| &rule.backends) {
        if backend.target.kind == service {
            found.extend(whole(cx, &backend.target.name.namespace, true));
        }
        let backends = cx.find::<RestrictionsByTarget>(&backend.target.name);
        let here = |r: &Arc<Restriction>| {
            backend.target.kind == service
                && r.targets.iter().any(|t| t.kind == service && t.name == backend.target.name)
        };
        found.extend(backends.into_iter().filter(here));
    }
    found.iter().flat_map(|restriction| restriction.features.iter().cloned()).collect()
}
