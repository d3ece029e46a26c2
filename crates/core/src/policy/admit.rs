//! Objects are let through, or are not: the only way from a submitted object to the tables of the other rooms.

use std::sync::Arc;

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey,
    input::{
        EndpointSlice, EndpointsObject, GatewayClass, Issuer, Judged, ListenerSet, Namespace, ReferenceGrant,
        SealedSecret, Service,
    },
};

use super::rows::{CutSecret, Denied, Submitted, SubmittedCertificate, SubmittedGateway, SubmittedRoute};
use crate::{
    Cx,
    gateway::GROUP,
    status::rows::{ClaimKey, HostClaim},
};

/// Why the object is kept out. An object that was not handed over to be judged is kept out too: nothing comes in by a
/// way around the policies.
fn kept_out(cx: &mut Cx<'_>, object: &ObjectKey) -> Option<String> {
    if cx.get::<Judged>(object).is_none() {
        return Some(format!("{object} was not judged"));
    }
    let denied = denial(cx, object)?;
    Some(format!("denied by ValidatingAdmissionPolicy {}: {}", denied.policy, denied.message))
}

/// The denial of the object, or of the Namespace that it stands in: without it nothing in it could be created.
fn denial(cx: &mut Cx<'_>, object: &ObjectKey) -> Option<Arc<Denied>> {
    if let Some(denied) = cx.get::<Denied>(object) {
        return Some(denied);
    }
    let within = &object.name.namespace;
    if within.is_empty() {
        return None;
    }
    cx.get::<Denied>(&ObjectKey::new("", "Namespace", "", within.clone()))
}

/// A route that is kept out claims no host; those it asked for are shown as refused.
pub(super) fn routes(cx: &mut Cx<'_>, submitted: &Arc<SubmittedRoute>) {
    let route = &submitted.0;
    let Some(why) = kept_out(cx, &route.key.object()) else {
        cx.pass(Arc::clone(route));
        return;
    };
    let gateways = route.parents.iter().filter(|p| p.kind.is("gateway.networking.k8s.io", "Gateway"));
    let gateway = gateways.map(|parent| parent.name.clone()).next().unwrap_or_default();
    let mut hosts = route.hostnames.clone();
    hosts.sort();
    hosts.dedup();
    if hosts.is_empty() {
        // Those of its listeners are not known here.
        hosts.push("*".into());
    }
    for host in hosts {
        cx.emit(HostClaim {
            key: ClaimKey { host, route: route.key.clone(), parent: 0, listener: Name::default() },
            gateway: gateway.clone(),
            https: false,
            port: 0,
            refused: Some(why.clone()),
            unknown: false,
        });
    }
}

pub(super) fn gateways(cx: &mut Cx<'_>, submitted: &Arc<SubmittedGateway>) {
    let key =
        ObjectKey { kind: Kind::new("gateway.networking.k8s.io", "Gateway"), name: submitted.0.key.clone() };
    if kept_out(cx, &key).is_none() {
        cx.pass(Arc::clone(&submitted.0));
    }
}

/// Lets an object through unless it is denied.
macro_rules! admit {
    ($($rule:ident: $row:ty, |$r:ident| $key:expr;)*) => {$(
        pub(super) fn $rule(cx: &mut Cx<'_>, submitted: &Arc<Submitted<$row>>) {
            let $r = &submitted.0;
            let key: ObjectKey = $key;
            if denial(cx, &key).is_none() {
                cx.pass(Arc::clone(&submitted.0));
            }
        }
    )*};
}

/// Key of an object of a group.
fn key(group: &str, kind: &str, name: &NamespacedName) -> ObjectKey {
    ObjectKey { kind: Kind::new(group, kind), name: name.clone() }
}

admit! {
    namespaces: Namespace, |row| ObjectKey::new("", "Namespace", "", row.name.clone());
    classes: GatewayClass, |row| ObjectKey::new(GROUP, "GatewayClass", "", row.name.clone());
    grants: ReferenceGrant, |row| key(GROUP, "ReferenceGrant", &row.key);
    listener_sets: ListenerSet, |row| key(GROUP, "ListenerSet", &row.key);
    services: Service, |row| key("", "Service", &row.key);
    slices: EndpointSlice, |row| key("discovery.k8s.io", "EndpointSlice", &row.key);
    endpoints: EndpointsObject, |row| key("", "Endpoints", &row.key);
    sealed_secrets: SealedSecret, |row| key("bitnami.com", "SealedSecret", &row.key);
    issuers: Issuer, |row| {
        let kind = if row.key.0.namespace.is_empty() { "ClusterIssuer" } else { "Issuer" };
        key("cert-manager.io", kind, &row.key.0)
    };
}

/// What a denied Certificate was issued before is not served any longer either.
pub(super) fn certificates(cx: &mut Cx<'_>, submitted: &Arc<SubmittedCertificate>) {
    let certificate = &submitted.0;
    let key = ObjectKey { kind: Kind::new("cert-manager.io", "Certificate"), name: certificate.key.clone() };
    if kept_out(cx, &key).is_none() {
        cx.pass(Arc::clone(certificate));
    } else if let Some(denied) = denial(cx, &key) {
        let secret = NamespacedName::new(certificate.key.namespace.clone(), certificate.secret.clone());
        cx.emit(CutSecret { key: (secret, certificate.key.clone()), policy: denied.policy.clone() });
    }
}
