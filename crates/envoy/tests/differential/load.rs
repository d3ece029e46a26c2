//! A real Envoy in validate mode: many resources in one start configuration, and halves of it until the refused ones are left.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use envoy_types::{
    pb::{
        envoy::{
            config::{
                bootstrap::v3::{
                    Bootstrap, LayeredRuntime, RuntimeLayer,
                    bootstrap::{DynamicResources, StaticResources},
                    runtime_layer::LayerSpecifier,
                },
                cluster::v3::{
                    Cluster as EnvoyCluster,
                    cluster::{ClusterDiscoveryType, DiscoveryType},
                },
                core::v3::{
                    Address, ApiConfigSource, ApiVersion, GrpcService, Node, Pipe, TransportSocket, address,
                    api_config_source::ApiType,
                    grpc_service::{EnvoyGrpc, TargetSpecifier},
                    transport_socket,
                },
                endpoint::v3::{
                    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
                    lb_endpoint::HostIdentifier,
                },
                listener::v3::{Listener, filter::ConfigType},
                route::v3::ScopedRouteConfiguration,
            },
            extensions::{
                filters::network::http_connection_manager::v3::{
                    HttpConnectionManager, ScopedRouteConfigurationsList,
                    http_connection_manager::RouteSpecifier, scoped_routes::ConfigSpecifier,
                },
                transport_sockets::tls::v3::{CommonTlsContext, DownstreamTlsContext, secret},
            },
        },
        google::protobuf::{Any, Duration, Struct, Value, value::Kind},
    },
    util::pack_any,
};
use portolan_core::gateway::rows::{
    Cluster, Endpoints, FilterChain, SocketKey, TlsSecret, VirtualHost, WireListener,
};
use portolan_envoy::{
    encode::{self, Piece},
    shards::shard_of,
};
use portolan_model::NamespacedName;
use prost::Message as _;

/// What is refused: its name, and Envoy's words.
pub type Refused = Vec<(String, String)>;

/// What is loaded, one of many.
pub trait Subject {
    fn name(&self) -> String;
}

impl Subject for VirtualHost {
    fn name(&self) -> String {
        format!("host {} of {}: {:?}", self.key.1, self.key.0, self.entries)
    }
}

impl Subject for WireListener {
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

impl Subject for Cluster {
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

impl Subject for TlsSecret {
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

impl Subject for Endpoints {
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

pub struct Envoy {
    program: PathBuf,
    dir: tempfile::TempDir,
    pub runs: AtomicUsize,
}

impl Envoy {
    pub fn new(program: PathBuf) -> Self {
        Self { program, dir: tempfile::tempdir().unwrap(), runs: AtomicUsize::new(0) }
    }

    /// Envoy's words, if it does not take it.
    pub fn refuses(&self, bootstrap: &Bootstrap) -> Option<String> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let file = self.dir.path().join(format!("{run}.pb"));
        std::fs::write(&file, bootstrap.encode_to_vec()).unwrap();
        let output = Command::new(&self.program)
            .args(["--mode", "validate", "--log-level", "error", "--config-path"])
            .arg(&file)
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        if output.status.success() {
            return None;
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let begin = text.find("error initializing").unwrap_or(0);
        Some(text[begin..].chars().take(600).collect())
    }

    /// Those that Envoy refuses, found by halving; a few are enough to see what is wrong.
    pub fn refused<T: Subject>(&self, all: &[T], encode: fn(&[T]) -> Bootstrap) -> Refused {
        let mut found = Refused::new();
        let mut todo: Vec<&[T]> = if all.is_empty() { vec![] } else { vec![all] };
        while let Some(part) = todo.pop() {
            if found.len() >= 5 {
                break;
            }
            let Some(why) = self.refuses(&encode(part)) else { continue };
            if let [one] = part {
                found.push((one.name(), why));
                continue;
            }
            let (left, right) = part.split_at(part.len() / 2);
            todo.extend([left, right]);
        }
        found
    }
}

/// A listener a table, with the scopes of the table in it.
pub fn hosts(all: &[VirtualHost]) -> Bootstrap {
    let mut tables: BTreeMap<&str, BTreeMap<u16, Vec<Piece>>> = BTreeMap::new();
    for host in all {
        // A wildcard stands in all shards: one is enough to load it.
        let scope = tables.entry(&host.key.0).or_default().entry(shard_of(&host.key.1)).or_default();
        scope.push(encode::piece(host, &BTreeSet::new()));
    }
    let listeners = tables.into_iter().enumerate().map(|(at, (name, scopes))| {
        let scopes = scopes.iter().map(|(shard, pieces)| encode::scope(name, *shard, pieces.iter()));
        with_scopes(at, &scopes.collect::<Vec<_>>())
    });
    start(StaticResources { listeners: listeners.collect(), ..Default::default() })
}

/// A listener as it is sent, its scopes in it instead of from a control plane.
fn with_scopes(at: usize, scopes: &[Any]) -> Listener {
    let chain = FilterChain {
        server_names: vec![],
        secrets: None,
        clients: None,
        routes: "differential".into(),
        stream: None,
    };
    let row = WireListener {
        key: SocketKey { gateway: NamespacedName::new("gw", format!("{at}")), port: 80, udp: false },
        name: format!("{at}").into(),
        address: "127.0.0.1".into(),
        port: 80,
        chains: vec![chain],
    };
    let mut made = encode::listener(&row);
    made.address = Some(pipe(&format!("@portolan-differential-{at}")));
    let Some(ConfigType::TypedConfig(any)) = &mut made.filter_chains[0].filters[0].config_type else {
        panic!()
    };
    let mut manager = HttpConnectionManager::decode(&*any.value).unwrap();
    let Some(RouteSpecifier::ScopedRoutes(routes)) = &mut manager.route_specifier else { panic!() };
    let decode = |any: &Any| ScopedRouteConfiguration::decode(&*any.value).unwrap();
    let list =
        ScopedRouteConfigurationsList { scoped_route_configurations: scopes.iter().map(decode).collect() };
    routes.config_specifier = Some(ConfigSpecifier::ScopedRouteConfigurationsList(list));
    *any = pack_any(manager);
    made
}

pub fn listeners(all: &[WireListener]) -> Bootstrap {
    start(StaticResources { listeners: all.iter().map(encode::listener).collect(), ..Default::default() })
}

/// Each certificate in a listener of its own: Envoy reads it when it is used.
pub fn secrets(all: &[TlsSecret]) -> Bootstrap {
    let listeners = all.iter().enumerate().map(|(at, row)| {
        let Some(secret::Type::TlsCertificate(certificate)) = encode::tls_secret(row).r#type else {
            panic!()
        };
        let mut made = with_scopes(at, &[encode::scope("differential", 0, std::iter::empty())]);
        let common = CommonTlsContext { tls_certificates: vec![certificate], ..Default::default() };
        let context = DownstreamTlsContext { common_tls_context: Some(common), ..Default::default() };
        made.filter_chains[0].transport_socket = Some(TransportSocket {
            name: "envoy.transport_sockets.tls".into(),
            config_type: Some(transport_socket::ConfigType::TypedConfig(pack_any(context))),
        });
        made
    });
    start(StaticResources { listeners: listeners.collect(), ..Default::default() })
}

pub fn clusters(all: &[Cluster]) -> Bootstrap {
    start(StaticResources { clusters: all.iter().map(encode::cluster).collect(), ..Default::default() })
}

pub fn endpoints(all: &[Endpoints]) -> Bootstrap {
    let echo = Some("/sockets/stand-in");
    let cluster = |row: &Endpoints| EnvoyCluster {
        name: row.key.to_string(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        load_assignment: Some(encode::endpoints(row, echo)),
        ..Default::default()
    };
    start(StaticResources { clusters: all.iter().map(cluster).collect(), ..Default::default() })
}

fn pipe(path: &str) -> Address {
    Address { address: Some(address::Address::Pipe(Pipe { path: path.into(), mode: 0 })) }
}

/// Discovery over one stream and the limit of RE2 lifted, as the real start configuration has it.
fn start(mut resources: StaticResources) -> Bootstrap {
    let point = LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint {
            address: Some(pipe("@portolan-differential-xds")),
            ..Default::default()
        })),
        ..Default::default()
    };
    resources.clusters.push(EnvoyCluster {
        name: "portolan_xds".into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        connect_timeout: Some(Duration { seconds: 1, nanos: 0 }),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: "portolan_xds".into(),
            endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![point], ..Default::default() }],
            ..Default::default()
        }),
        ..Default::default()
    });
    let limit = Value { kind: Some(Kind::NumberValue(f64::from(u32::MAX))) };
    Bootstrap {
        node: Some(Node { id: "differential".into(), cluster: "portolan".into(), ..Default::default() }),
        static_resources: Some(resources),
        dynamic_resources: Some(DynamicResources {
            ads_config: Some(ApiConfigSource {
                api_type: ApiType::DeltaGrpc as i32,
                transport_api_version: ApiVersion::V3 as i32,
                grpc_services: vec![GrpcService {
                    target_specifier: Some(TargetSpecifier::EnvoyGrpc(EnvoyGrpc {
                        cluster_name: "portolan_xds".into(),
                        ..Default::default()
                    })),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            ..Default::default()
        }),
        layered_runtime: Some(LayeredRuntime {
            layers: vec![RuntimeLayer {
                name: "static".into(),
                layer_specifier: Some(LayerSpecifier::StaticLayer(Struct {
                    fields: [("re2.max_program_size.error_level".to_owned(), limit)].into(),
                })),
            }],
        }),
        ..Default::default()
    }
}
