//! An Envoy without a control plane: our listeners with their scopes inline.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output},
    thread,
    time::{Duration, Instant},
};

use envoy_types::{
    pb::{
        envoy::{
            config::{
                bootstrap::v3::{
                    Bootstrap,
                    bootstrap::{DynamicResources, StaticResources},
                },
                cluster::v3::{Cluster, cluster::ClusterDiscoveryType, cluster::DiscoveryType},
                core::v3::{
                    ApiConfigSource, ApiVersion, GrpcService, Node,
                    api_config_source::ApiType,
                    grpc_service::{EnvoyGrpc, TargetSpecifier},
                },
                listener::v3::{Listener, filter},
                route::v3::ScopedRouteConfiguration,
            },
            extensions::filters::network::http_connection_manager::v3::{
                HttpConnectionManager, ScopedRouteConfigurationsList,
                http_connection_manager::RouteSpecifier, scoped_routes::ConfigSpecifier,
            },
        },
        google::protobuf::Any,
    },
    util::pack_any,
};
use portolan_core::gateway::rows::{Endpoints, VirtualHost, WireListener};
use portolan_envoy::{
    encode::{self, Piece, in_every_shard},
    shards::{SHARDS, shard_of},
};
use prost::Message as _;
use tempfile::TempDir;

/// The table of the tests' listener.
pub const TABLE: &str = "gw/ns/front/80";

/// All scopes of a table, as they are sent.
pub fn scopes<'a>(table: &str, hosts: impl IntoIterator<Item = &'a VirtualHost>) -> Vec<Any> {
    let none = std::collections::BTreeSet::new();
    let pieces: Vec<(&str, Piece)> =
        hosts.into_iter().map(|host| (&*host.key.1, encode::piece(host, &none))).collect();
    (0..SHARDS)
        .map(|shard| {
            let here = pieces.iter().filter(|(host, _)| in_every_shard(host) || shard_of(host) == shard);
            encode::scope(table, shard, here.map(|(_, piece)| piece))
        })
        .collect()
}

/// The listener with its scopes inside, instead of from a control plane.
pub fn inline(row: &WireListener, scopes: &[Any]) -> Listener {
    let mut made = encode::listener(row);
    for chain in &mut made.filter_chains {
        let Some(filter::ConfigType::TypedConfig(any)) = &mut chain.filters[0].config_type else { panic!() };
        let mut manager = HttpConnectionManager::decode(&*any.value).unwrap();
        let Some(RouteSpecifier::ScopedRoutes(routes)) = &mut manager.route_specifier else { panic!() };
        let decode = |any: &Any| ScopedRouteConfiguration::decode(&*any.value).unwrap();
        let list = scopes.iter().map(decode).collect();
        routes.config_specifier =
            Some(ConfigSpecifier::ScopedRouteConfigurationsList(ScopedRouteConfigurationsList {
                scoped_route_configurations: list,
            }));
        *any = pack_any(manager);
    }
    made
}

/// A start configuration of these; clusters get their endpoints inline.
pub fn bootstrap(listeners: Vec<Listener>, clusters: Vec<(Cluster, Endpoints)>) -> Bootstrap {
    let clusters = clusters.into_iter().map(|(mut cluster, endpoints)| {
        cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32));
        cluster.eds_cluster_config = None;
        cluster.load_assignment = Some(encode::endpoints(&endpoints, None));
        cluster
    });
    Bootstrap {
        static_resources: Some(StaticResources {
            listeners,
            clusters: clusters.collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// With a control plane that is not there.
pub fn with_control_plane(mut made: Bootstrap) -> Bootstrap {
    let name = "control-plane".to_owned();
    let kind = Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32));
    let cluster = Cluster { name: name.clone(), cluster_discovery_type: kind, ..Default::default() };
    made.static_resources.as_mut().unwrap().clusters.push(cluster);
    let service = EnvoyGrpc { cluster_name: name, ..Default::default() };
    let service =
        GrpcService { target_specifier: Some(TargetSpecifier::EnvoyGrpc(service)), ..Default::default() };
    let ads = ApiConfigSource {
        api_type: ApiType::DeltaGrpc as i32,
        transport_api_version: ApiVersion::V3 as i32,
        grpc_services: vec![service],
        ..Default::default()
    };
    made.node = Some(Node { id: "test".into(), cluster: "test".into(), ..Default::default() });
    made.dynamic_resources = Some(DynamicResources { ads_config: Some(ads), ..Default::default() });
    made
}

fn command(folder: &TempDir, bootstrap: &Bootstrap) -> Option<Command> {
    let Some(program) = portolan_testkit::program("envoy") else {
        portolan_testkit::skip("envoy: encoding", "no envoy in .tools/bin or PATH");
        return None;
    };
    let file = folder.path().join("bootstrap.pb");
    std::fs::write(&file, bootstrap.encode_to_vec()).unwrap();
    let mut command = Command::new(program);
    command.arg("-c").arg(file).args(["--log-level", "error", "--concurrency", "1"]);
    command.args(["--use-dynamic-base-id"]);
    Some(command)
}

/// Loads it in validate mode.
pub fn validate(bootstrap: &Bootstrap) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    Some(command(&folder, bootstrap)?.args(["--mode", "validate"]).output().unwrap())
}

/// A running Envoy; it ends with the value.
pub struct Envoy {
    child: Child,
    _folder: TempDir,
    pub address: SocketAddr,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts an Envoy whose listener is at `port`.
pub fn start(bootstrap: &Bootstrap, port: u16) -> Option<Envoy> {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(&folder, bootstrap)?.spawn().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let end = Instant::now() + Duration::from_mins(2);
    while TcpStream::connect(address).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "Envoy ended");
        assert!(Instant::now() < end, "Envoy does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    Some(Envoy { child, _folder: folder, address })
}

/// An answer: status, the `location` header and the body.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| *n == name).map(|(_, v)| v))
    }
}

/// A connection that requests are written to as they are.
pub struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: Self::connect(address) }
    }

    fn connect(address: SocketAddr) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        BufReader::new(stream)
    }

    /// `GET path`, with this Host and further lines.
    pub fn get(&mut self, host: &str, path: &str, lines: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n"))
    }

    pub fn send(&mut self, request: &str) -> Answer {
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "closed: {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head: head.replace('\r', ""), body: String::new() };
        let size = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; size];
        self.stream.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        if answer.header("connection") == Some("close") {
            self.stream = Self::connect(self.address);
        }
        answer
    }
}

/// A backend that answers each request with its name and the head of the request. It ends with the process.
pub fn backend(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if stream.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let body = format!("{name}\n{head}");
                    let size = body.len();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nx-portolan-scope: leak\r\ncontent-length: {size}\r\n\r\n{body}"
                    );
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
