//! ListenerSets: which are attached, and the listeners of a Gateway with theirs.
//!
//! "Implementations MUST treat the parent Gateway as having the merged list of all listeners from itself and attached
//! ListenerSets": its own first, then by age of the set, then by name (Gateway API v1.7, `ListenerSetSpec.listeners`).

use std::sync::Arc;

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey, Severity,
    input::{AllowedNamespaces, Gateway, Listener, ListenerSet, Namespace},
};

use super::{
    GROUP,
    rows::{ListenerSetState, Merged, MergedListeners},
};
use crate::{Cx, dns::drain, gitops::unseen::may_bring, policy::absence, problem, world::SetsByGateway};

/// Key of a ListenerSet as an object.
pub(crate) fn object(set: &NamespacedName) -> ObjectKey {
    ObjectKey { kind: Kind::new(GROUP, "ListenerSet"), name: set.clone() }
}

/// Name of a set's listener among all of its Gateway.
pub(crate) fn name(set: &NamespacedName, listener: &Name) -> Name {
    format!("{set}/{listener}").into()
}

/// Whether a namespace is one of those that are allowed.
pub(super) fn allows(cx: &mut Cx<'_>, from: &AllowedNamespaces, home: &Name, namespace: &Name) -> bool {
    match from {
        AllowedNamespaces::All => true,
        AllowedNamespaces::Same => namespace == home,
        AllowedNamespaces::None => false,
        AllowedNamespaces::Selector(selector) => {
            cx.get::<Namespace>(namespace).is_some_and(|ns| selector.matches(&ns.labels))
        }
    }
}

pub(super) fn listener_sets(cx: &mut Cx<'_>, set: &Arc<ListenerSet>) {
    let parent = &set.parent;
    let attached = if parent.kind.is(GROUP, "Gateway") {
        attached(cx, set)
    } else {
        let message = format!("parent kind {} is not served: a ListenerSet is for a Gateway", parent.kind);
        Err(("Invalid", message, "refer to a Gateway", Severity::Error))
    };
    if let Err((_, message, hint, severity)) = &attached {
        problem(cx, object(&set.key), 249, *severity, "spec.parentRef", message.clone(), hint);
    }
    cx.emit(ListenerSetState {
        key: set.key.clone(),
        gateway: parent.name.clone(),
        created: set.created,
        attached: attached.map_err(|(reason, message, ..)| (Name::new(reason), message)),
    });
}

fn attached(
    cx: &mut Cx<'_>,
    set: &ListenerSet,
) -> Result<(), (&'static str, String, &'static str, Severity)> {
    let key = &set.parent.name;
    let Some(gateway) = cx.get::<Gateway>(key) else {
        return Err(if let Some(source) = may_bring(cx, &key.namespace) {
            let message = format!(
                "Gateway {key} is not in what was read: {source}, which was not read whole, may bring it"
            );
            ("ParentNotAccepted", message, "make that source readable here", Severity::Warning)
        } else {
            let why = absence(cx, &ObjectKey::new(GROUP, "Gateway", key.namespace.clone(), key.name.clone()));
            let message = format!("Gateway {key} {why}");
            ("ParentNotAccepted", message, "correct the parentRef", Severity::Error)
        });
    };
    if allows(cx, &gateway.sets, &gateway.key.namespace, &set.key.namespace) {
        return Ok(());
    }
    let message = format!("Gateway {key} lets no ListenerSet of namespace {} attach", set.key.namespace);
    Err(("NotAllowed", message, "set allowedListeners.namespaces of the Gateway", Severity::Error))
}

pub(super) fn merged_listeners(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let own = gateway.listeners.iter().enumerate();
    let mut all: Vec<Merged> = own
        .map(|(at, listener)| Merged {
            name: listener.name.clone(),
            set: None,
            at,
            listener: listener.clone(),
            leaving: drain::listener_leaves(&gateway.annotations, &listener.name),
        })
        .collect();
    let mut states = cx.find::<SetsByGateway>(&gateway.key);
    states.retain(|state| state.attached.is_ok());
    states.sort_by_key(|state| (state.created, state.key.clone()));
    for state in states {
        let Some(set) = cx.get::<ListenerSet>(&state.key) else { continue };
        let one = |(at, listener): (usize, &Listener)| Merged {
            name: name(&set.key, &listener.name),
            set: Some(set.key.clone()),
            at,
            listener: listener.clone(),
            leaving: drain::is_marked(&set.annotations)
                || drain::listener_leaves(&set.annotations, &listener.name),
        };
        all.extend(set.listeners.iter().enumerate().map(one));
    }
    cx.emit(MergedListeners { key: gateway.key.clone(), all });
}
