//! What goes on as it comes: connections and datagrams.

use envoy_types::{
    pb::{
        envoy::{
            config::{
                core::v3::{Address, SocketAddress, address, socket_address},
                listener::v3::{
                    Filter, Listener, ListenerFilter, UdpListenerConfig, filter, listener_filter,
                },
            },
            extensions::filters::{
                network::tcp_proxy::v3::{
                    TcpProxy,
                    tcp_proxy::{ClusterSpecifier, WeightedCluster, weighted_cluster::ClusterWeight},
                },
                udp::udp_proxy::v3::{Route, UdpProxyConfig, udp_proxy_config::RouteSpecifier},
            },
        },
        xds::{
            core::v3::TypedExtensionConfig,
            r#type::matcher::v3::{
                Matcher,
                matcher::{OnMatch, on_match},
            },
        },
    },
    util::pack_any,
};
use portolan_core::gateway::rows::{Shares, WireListener};

use super::{routes::UNRESOLVED, yes};

/// Hands connections on. The share that leads nowhere goes to a cluster that does not exist: Envoy closes it.
pub(super) fn connections(listener: &WireListener, shares: &Shares) -> Filter {
    let specifier = match &*shares.clusters {
        [] => ClusterSpecifier::Cluster(UNRESOLVED.into()),
        [(one, _)] if shares.lost == 0 => ClusterSpecifier::Cluster(one.to_string()),
        _ => ClusterSpecifier::WeightedClusters(WeightedCluster { clusters: weighted(shares) }),
    };
    let proxy = TcpProxy {
        stat_prefix: listener.name.to_string(),
        cluster_specifier: Some(specifier),
        ..Default::default()
    };
    Filter {
        name: "envoy.filters.network.tcp_proxy".into(),
        config_type: Some(filter::ConfigType::TypedConfig(pack_any(proxy))),
    }
}

fn weighted(shares: &Shares) -> Vec<ClusterWeight> {
    let lost = (shares.lost > 0).then_some((UNRESOLVED, shares.lost));
    let all = shares.clusters.iter().map(|(name, weight)| (&**name, *weight)).chain(lost);
    all.map(|(name, weight)| ClusterWeight { name: name.into(), weight, ..Default::default() }).collect()
}

/// A listener that hands datagrams on, those of a client to one endpoint as long as some come. It names one cluster, whose
/// endpoints share them: a listener of datagrams that changes loses its sessions.
pub(super) fn datagrams(row: &WireListener) -> Listener {
    let shares = row.chains.first().and_then(|chain| chain.stream.as_ref());
    let cluster = shares.and_then(|shares| shares.clusters.first()).map_or(UNRESOLVED, |(name, _)| name);
    let action = TypedExtensionConfig {
        name: "route".into(),
        typed_config: Some(pack_any(Route { cluster: cluster.to_owned() })),
    };
    let matcher = Matcher {
        on_no_match: Some(Box::new(OnMatch {
            on_match: Some(on_match::OnMatch::Action(action)),
            ..Default::default()
        })),
        ..Default::default()
    };
    let proxy = UdpProxyConfig {
        stat_prefix: row.name.to_string(),
        route_specifier: Some(RouteSpecifier::Matcher(matcher)),
        ..Default::default()
    };
    Listener {
        name: row.name.to_string(),
        address: Some(Address {
            address: Some(address::Address::SocketAddress(SocketAddress {
                protocol: socket_address::Protocol::Udp as i32,
                address: row.address.to_string(),
                port_specifier: Some(socket_address::PortSpecifier::PortValue(u32::from(row.port))),
                ..Default::default()
            })),
        }),
        udp_listener_config: Some(UdpListenerConfig::default()),
        // Each worker has a socket: a client stays with the one that its address leads to.
        enable_reuse_port: yes(),
        listener_filters: vec![ListenerFilter {
            name: "envoy.filters.udp_listener.udp_proxy".into(),
            config_type: Some(listener_filter::ConfigType::TypedConfig(pack_any(proxy))),
            ..Default::default()
        }],
        ..Default::default()
    }
}
