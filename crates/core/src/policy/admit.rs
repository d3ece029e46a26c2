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
    gateway::{GROUP, attach::any_host, rows::Speaks},
    status::rows::{ClaimKey, HostClaim},
};

/// Why the object is kept out. An object that was not handed over to be judged is kept out too: nothing comes in by a
/// way around the policies.
fn kept_out(cx: &mut Cx<'_>, object: &ObjectKey) -> Option<String> {
    if cx.get::<Judged>(object).is_none() {
        return Some(format!("{object} was not judged"));
    }
    let denied = denial(cx, object)?;
    let by = format!("denied by ValidatingAdmissionPolicy {}", denied.policy);
    let what = if denied.key == *object { by } else { format!("its {} is {by}", denied.key) };
    Some(format!("{what}: {}", denied.message))
}

/// The denial of the object, or of the Namespace that it stands in: without it nothing in it could be created. Whoever uses an
/// object that is in its table although it is denied asks this, never the table of denials alone.
pub fn denial(cx: &mut Cx<'_>, object: &ObjectKey) -> Option<Arc<Denied>> {
    if let Some(denied) = cx.get::<Denied>(object) {
        return Some(denied);
    }
    let within = &object.name.namespace;
    if within.is_empty() || STAND.contains(&&**within) {
        return None;
    }
    cx.get::<Denied>(&ObjectKey::new("", "Namespace", "", within.clone()))
}

/// Why an object that somebody refers to is not in its table: "does not exist", or which policy keeps it out.
pub fn absence(cx: &mut Cx<'_>, object: &ObjectKey) -> String {
    denial(cx, object).map_or_else(|| "does not exist".to_owned(), |denied| denied.words(object))
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
        hosts.push(any_host(route.key.kind, &gateway));
    }
    for host in hosts {
        cx.emit(HostClaim {
            key: ClaimKey { host, route: route.key.clone(), parent: 0, listener: Name::default() },
            gateway: gateway.clone(),
            speaks: Speaks::Http,
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

/// Namespaces that the API server makes itself before anybody can deny them (`systemnamespaces`): one that is denied stays as it was made.
const STAND: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

pub(super) fn namespaces(cx: &mut Cx<'_>, submitted: &Arc<Submitted<Namespace>>) {
    let row = &submitted.0;
    if denial(cx, &ObjectKey::new("", "Namespace", "", row.name.clone())).is_none() {
        cx.pass(Arc::clone(row));
    } else if STAND.contains(&&*row.name) {
        let labels = [("kubernetes.io/metadata.name".into(), row.name.clone())];
        cx.emit(Namespace { labels: labels.into(), ..(**row).clone() });
    }
}

/// Key of an object of a group.
fn key(group: &str, kind: &str, name: &NamespacedName) -> ObjectKey {
    ObjectKey { kind: Kind::new(group, kind), name: name.clone() }
}

admit! {
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
