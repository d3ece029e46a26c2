//! Clusters and where their requests go.

use std::sync::Arc;

use portolan_model::{Name, input::Service};

use super::rows::{Cluster, ClusterUse, Endpoints};
use crate::{Cx, world::SlicesByService};

pub(super) fn clusters(cx: &mut Cx<'_>, _: &Name, members: &[Arc<ClusterUse>]) {
    if let Some(first) = members.first() {
        cx.emit(first.cluster.clone());
    }
}

pub(super) fn endpoints(cx: &mut Cx<'_>, cluster: &Arc<Cluster>) {
    let port_name = cx
        .get::<Service>(&cluster.service)
        .and_then(|s| s.ports.iter().find(|p| p.port == cluster.port).map(|p| p.name.clone()))
        .unwrap_or_default();
    let mut addresses: Vec<(Name, u16)> = cx
        .find::<SlicesByService>(&cluster.service)
        .iter()
        .flat_map(|slice| {
            let port = slice.ports.iter().find(|(name, _)| *name == port_name).map(|(_, port)| *port);
            slice
                .addresses
                .iter()
                .filter_map(move |address| Some((address.clone(), port?)))
                .collect::<Vec<_>>()
        })
        .collect();
    addresses.sort();
    addresses.dedup();
    cx.emit(Endpoints { key: cluster.key.clone(), stand_in: addresses.is_empty(), addresses });
}
