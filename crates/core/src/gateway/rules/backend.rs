//! What of TLS to backends depends on the Gateway that requests come by.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use portolan_model::{
    GatewayKey, Name, NamespacedName, RouteKey,
    input::{BackendTarget, Filter, Route},
};

use crate::{
    Cx,
    gateway::{
        backend_tls,
        rows::{
            Attachment, BackendTls, Blend, Carries, ClientCertificate, Cluster, GatewayOwner, RouteEntry,
            Speaks, TlsUse, WeightedCluster, secret_name,
        },
    },
};

/// The entries as they are at a Gateway: one that shows a certificate to backends has clusters of its own for those that are
/// spoken to by TLS. If it cannot be shown, they are not spoken to.
pub(super) fn by_gateway<'a>(
    cx: &mut Cx<'_>,
    gateway: &GatewayKey,
    prepared: &'a [RouteEntry],
    uses: &mut BTreeMap<Name, Cluster>,
) -> Cow<'a, [RouteEntry]> {
    let Some(row) = cx.get::<ClientCertificate>(gateway) else { return Cow::Borrowed(prepared) };
    let mut own = |name: &Name| -> Option<Name> {
        let Some((cluster, tls)) = uses.get(name).and_then(|c| Some((c.clone(), c.tls.clone()?))) else {
            return Some(name.clone());
        };
        let client = secret_name(row.secret.as_ref().ok()?);
        let key = Name::from(format!("{name}/by/{gateway}"));
        let tls = BackendTls { client: Some(client), ..BackendTls::clone(&tls) };
        uses.insert(key.clone(), Cluster { key: key.clone(), tls: Some(Arc::new(tls)), ..cluster });
        Some(key)
    };
    let one = |entry: &RouteEntry| {
        let mut made = entry.clone();
        made.clusters.retain_mut(|share| {
            share.mirrors.retain_mut(|(name, _)| own(name).map(|key| *name = key).is_some());
            if let Some(key) = own(&share.cluster) {
                share.cluster = key;
                true
            } else {
                made.invalid_weight = made.invalid_weight.saturating_add(share.weight);
                false
            }
        });
        made.mirrors.retain_mut(|(name, _)| own(name).map(|key| *name = key).is_some());
        made
    };
    Cow::Owned(prepared.iter().map(one).collect())
}

/// The entries as they are at a listener: what TLS passes through to has clusters of its own, since nothing is added to it and
/// nothing can answer in its place.
pub(super) fn passing<'a>(
    speaks: Speaks,
    prepared: &'a [RouteEntry],
    uses: &mut BTreeMap<Name, Cluster>,
) -> Cow<'a, [RouteEntry]> {
    if speaks != Speaks::TlsPasses {
        return Cow::Borrowed(prepared);
    }
    let mut made = prepared.to_vec();
    for share in made.iter_mut().flat_map(|entry| &mut entry.clusters) {
        let Some(Cluster { service, port, .. }) = uses.get(&share.cluster) else { continue };
        let (service, port) = (service.clone(), *port);
        let key = Name::from(format!("svc/{service}/{port}/passthrough"));
        share.cluster = key.clone();
        let cluster = Cluster {
            key: key.clone(),
            service,
            port,
            http2: false,
            tls: None,
            carries: Carries::Tls,
            blend: None,
        };
        uses.insert(key, cluster);
    }
    Cow::Owned(made)
}

/// The one cluster of a route of datagrams: all its backends share it, so that another weight or endpoint changes no listener,
/// and ends no session of the others.
pub(super) fn blended(route: &RouteKey, entry: &mut RouteEntry, uses: &mut BTreeMap<Name, Cluster>) {
    let mut parts: Vec<(NamespacedName, u16, u32)> = Vec::new();
    for share in entry.clusters.iter().filter(|share| share.weight > 0) {
        let Some(Cluster { service, port, .. }) = uses.get(&share.cluster) else { continue };
        match parts.iter_mut().find(|part| (&part.0, part.1) == (service, *port)) {
            Some(part) => part.2 = part.2.saturating_add(share.weight),
            None => parts.push((service.clone(), *port, share.weight)),
        }
    }
    uses.clear();
    entry.clusters.clear();
    let lost = std::mem::take(&mut entry.invalid_weight);
    let Some((service, port, _)) = parts.first().cloned() else { return };
    let key = Name::from(format!("udp/{}", route.name));
    entry.clusters.push(WeightedCluster::new(key.clone(), 1));
    let blend = Some(Arc::new(Blend { parts, lost }));
    let (http2, tls, carries) = (false, None, Carries::Datagrams);
    uses.insert(key.clone(), Cluster { key, service, port, http2, tls, carries, blend });
}

/// Says for which Gateways the policies of a route's Services are answered.
pub(super) fn tls_uses(cx: &mut Cx<'_>, route: &Route) {
    let mirrored = |filters: &[Filter]| -> Vec<BackendTarget> {
        let one = |filter: &Filter| {
            if let Filter::Mirror { backend, .. } = filter { Some(backend.clone()) } else { None }
        };
        filters.iter().filter_map(one).collect()
    };
    let mut services: Vec<NamespacedName> = Vec::new();
    for rule in &route.rules {
        let backends = rule
            .backends
            .iter()
            .flat_map(|backend| std::iter::once(backend.target.clone()).chain(mirrored(&backend.filters)));
        let all = backends.chain(mirrored(&rule.filters)).filter(|target| target.kind.is("", "Service"));
        services.extend(all.map(|target| target.name));
    }
    services.sort();
    services.dedup();
    let mut policies: Vec<NamespacedName> = Vec::new();
    for service in &services {
        policies.extend(backend_tls::of_service(cx, service).iter().map(|policy| policy.key.clone()));
    }
    policies.sort();
    policies.dedup();
    if policies.is_empty() {
        return;
    }
    let mut gateways: BTreeMap<GatewayKey, Name> = BTreeMap::new();
    for parent in 0..route.parents.len() {
        let Some(attachment) = cx.get::<Attachment>(&(route.key.clone(), parent)) else { continue };
        if attachment.taken.is_empty() {
            continue;
        }
        let owner = cx.get::<GatewayOwner>(&attachment.gateway);
        if let Some(controller) = owner.as_ref().and_then(|owner| owner.ours()) {
            gateways.insert(attachment.gateway.clone(), controller.clone());
        }
    }
    for policy in policies {
        for (gateway, controller) in &gateways {
            let key = (policy.clone(), gateway.clone(), route.key.clone());
            cx.emit(TlsUse { key, controller: controller.clone() });
        }
    }
}
