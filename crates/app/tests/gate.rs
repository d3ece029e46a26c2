//! xDS over TLS behind a gate, beside a real Envoy with the start configuration that it has in a cluster.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test that cannot go on has failed")]

#[path = "gate/grpc.rs"]
mod grpc;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portolan_core::{
    gateway::rows::{FilterChain, SocketKey, WireKey, WireListener, WireType},
    infrastructure::{
        ADMIN, READY, STATS,
        rows::{FleetSettings, FleetWanted},
    },
};
use portolan_effects::private_ca::{Kept, Shown, accept};
use portolan_envoy::{
    board::Board,
    bootstrap, encode,
    gate::{Denied, Gate, Identity},
    resources::{Resource, Uses},
    serve::{Report, serve_gated},
};
use portolan_model::GatewayKey;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Knows tokens, and what was shown.
#[derive(Default)]
struct Known {
    tokens: Mutex<BTreeMap<String, (&'static str, &'static str, Duration)>>,
    shown: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Gate for Known {
    async fn admit(&self, token: &str) -> Result<Identity, Denied> {
        self.shown.lock().unwrap().push(token.to_owned());
        let known = self.tokens.lock().unwrap().get(token).copied();
        let (node, gateway, lasts) = known.ok_or(Denied::Unproven("nobody knows it"))?;
        let gateway = GatewayKey::new("infra", gateway);
        Ok(Identity { node: node.into(), gateway, until: Instant::now() + lasts })
    }
}

/// A server with two Gateways.
struct Server {
    at: SocketAddr,
    trust: String,
    known: Arc<Known>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// Of the listener of the Gateway edge.
    port: u16,
    _stop: oneshot::Sender<()>,
}

fn now() -> portolan_model::Instant {
    portolan_model::Instant(jiff::Timestamp::now().as_millisecond())
}

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A listener of a Gateway, on a free port.
fn listener(board: &Board, gateway: &str) -> u16 {
    let (key, port) = (GatewayKey::new("infra", gateway), free());
    let routes: portolan_model::Name = format!("rc/{gateway}").into();
    let chain = FilterChain {
        server_names: vec![],
        secrets: None,
        clients: None,
        routes: routes.clone(),
        stream: None,
    };
    let row = WireListener {
        key: SocketKey { gateway: key.clone(), port: 80, udp: false },
        name: format!("listener-of-{gateway}").into(),
        address: "127.0.0.1".into(),
        port,
        chains: vec![chain],
    };
    let uses = Uses { gateway: Some(key), tables: vec![routes], ..Uses::default() };
    let made = Resource::of(&encode::listener(&row)).using(uses);
    let key = WireKey { r#type: WireType::Listener, name: row.name };
    board.publish(|wanted| wanted.set(&key, Some(Arc::new(made))));
    port
}

impl Server {
    async fn start() -> Self {
        let kept = Kept::generate(now()).unwrap();
        let shown = Arc::new(Shown::default());
        shown.show(kept.leaf(&["127.0.0.1".to_owned()], now()).unwrap()).unwrap();
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        let connections = accept(socket, shown).unwrap();
        let board = Arc::new(Board::apart());
        let port = listener(&board, "edge");
        listener(&board, "payments");
        let known = Arc::new(Known::default());
        let (sender, reports) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let gate: Arc<dyn Gate> = Arc::clone(&known) as _;
        let stopped = async { drop(stopped.await) };
        tokio::spawn(async move { serve_gated(connections, gate, board, sender, stopped).await.unwrap() });
        Self { at, trust: kept.bundle(), known, reports, port, _stop: stop }
    }

    fn know(&self, token: &str, node: &'static str, gateway: &'static str, lasts: Duration) {
        self.known.tokens.lock().unwrap().insert(token.to_owned(), (node, gateway, lasts));
    }

    /// Waits for an Envoy of a Gateway.
    async fn connected(&mut self) -> GatewayKey {
        loop {
            let report = tokio::time::timeout(Duration::from_mins(1), self.reports.recv()).await;
            if let Report::Connected(_, gateway) = report.expect("an Envoy connects").unwrap() {
                return gateway.expect("it serves a Gateway");
            }
        }
    }
}

/// A file that is there as a whole or as it was: the kubelet exchanges folders likewise.
fn put(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, content).unwrap();
    std::fs::rename(beside, path).unwrap();
}

struct Envoy {
    child: Child,
    admin: u16,
    ready: u16,
}

impl Envoy {
    fn start(folder: &Path, server: SocketAddr, trust: &str, token: &str) -> Option<Self> {
        let Some(program) = portolan_testkit::program("envoy") else {
            portolan_testkit::skip("xDS over TLS", "no envoy in .tools/bin or PATH");
            return None;
        };
        let (config, secret) = (folder.join("config"), folder.join("secret"));
        std::fs::create_dir_all(&config).unwrap();
        std::fs::create_dir_all(&secret).unwrap();
        put(&secret.join("token"), token);
        put(&config.join(bootstrap::TRUST), &bootstrap::trust(trust).to_string());
        put(&config.join(bootstrap::CREDENTIAL), &bootstrap::credential(&secret).to_string());
        let place =
            bootstrap::InCluster { host: "127.0.0.1", port: server.port(), config: &config, token: &secret };
        let made = bootstrap::bootstrap_in_cluster(&place).to_string();
        // Ports of a Pod of its own; here they are anybody's.
        let (admin, ready, stats) = (free(), free(), free());
        let made = [(ADMIN, admin), (READY, ready), (STATS, stats)].iter().fold(made, |made, (from, to)| {
            made.replace(&format!("\"port_value\":{from}"), &format!("\"port_value\":{to}"))
        });
        let file = folder.join("bootstrap.json");
        std::fs::write(&file, made).unwrap();
        let child = Command::new(program)
            .args([
                "--service-node",
                "edge-1.infra",
                "--service-cluster",
                "infra/edge",
                "--disable-hot-restart",
            ])
            .args(["--drain-time-s", "30", "--drain-strategy", "immediate"])
            .args(["--log-level", "warning", "--concurrency", "1", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, admin, ready })
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some((text.split(' ').nth(1)?.parse().ok()?, text))
}

async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_gets_its_own_gateway_and_comes_again_with_a_newer_token() {
    let mut server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    server.know("first", "edge-1.infra", "edge", Duration::from_secs(3));
    let Some(envoy) = Envoy::start(folder.path(), server.at, &server.trust, "first\n") else { return };
    assert_eq!(server.connected().await, GatewayKey::new("infra", "edge"));
    let dump = eventually("it has its listener", || {
        let (_, dump) = get(envoy.admin, "/config_dump")?;
        dump.contains("listener-of-edge").then_some(dump)
    })
    .await;
    assert!(!dump.contains("listener-of-payments"), "and nobody else's");
    eventually("it says that it is ready", || (get(envoy.ready, "/ready")?.0 == 200).then_some(())).await;
    // Its token ends; the kubelet has brought another before.
    server.know("second", "edge-1.infra", "edge", Duration::from_hours(1));
    put(&folder.path().join("secret/token"), "second\n");
    eventually("it shows the newer token", || {
        server.known.shown.lock().unwrap().iter().any(|token| token == "second").then_some(())
    })
    .await;
    assert_eq!(server.connected().await, GatewayKey::new("infra", "edge"));
    let (_, dump) = get(envoy.admin, "/config_dump").unwrap();
    assert!(dump.contains("listener-of-edge"), "what it has it keeps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_that_is_not_let_in_is_not_ready() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let Some(envoy) = Envoy::start(folder.path(), server.at, &server.trust, "forged") else { return };
    eventually("it asks twice", || (server.known.shown.lock().unwrap().len() > 1).then_some(())).await;
    assert_eq!(get(envoy.ready, "/ready").map(|(status, _)| status), None, "nobody answers");
    // And one that would trust somebody else's server does not show it anything.
    let other = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let stranger = Envoy::start(folder.path(), other.at, &server.trust, "secret").unwrap();
    eventually("it tries", || {
        let (_, text) = get(stranger.admin, "/clusters")?;
        let fails = text
            .lines()
            .find(|line| line.starts_with("portolan_xds::") && line.contains("::cx_connect_fail::"))?;
        (!fails.ends_with("::0")).then_some(())
    })
    .await;
    assert!(other.known.shown.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_answered_without_a_token_by_whatever_method() {
    let server = Server::start().await;
    server.know("good", "edge-1.infra", "edge", Duration::from_hours(1));
    let (at, trust) = (server.at, server.trust.clone());
    let call = move |method: &'static str, token: Option<&'static str>, node: &'static str| {
        let trust = trust.clone();
        tokio::task::spawn_blocking(move || grpc::call(at, "127.0.0.1", &trust, method, token, node))
    };
    for method in grpc::METHODS {
        for token in [None, Some("forged"), Some("Bearer forged"), Some("")] {
            let answer = call(method, token, "edge-1.infra").await.unwrap();
            assert_eq!(answer, Ok(Some(16)), "{method} with {token:?} is unauthenticated");
        }
    }
    // With one, what is not served is not served, and a node id of another is refused.
    for method in &grpc::METHODS[1..] {
        assert_eq!(
            call(method, Some("Bearer good"), "edge-1.infra").await.unwrap(),
            Ok(Some(12)),
            "{method}"
        );
    }
    assert_eq!(call(grpc::METHODS[0], Some("Bearer good"), "edge-2.infra").await.unwrap(), Ok(Some(7)));
    // Whoever trusts another CA does not get as far as that.
    let foreign = Kept::generate(now()).unwrap().bundle();
    let refused = tokio::task::spawn_blocking(move || {
        grpc::call(at, "127.0.0.1", &foreign, grpc::METHODS[0], None, "x")
    });
    assert!(refused.await.unwrap().is_err_and(|why| why.contains("UnknownIssuer")), "the handshake fails");
}

/// The command that the Deployment of a Gateway runs before an Envoy ends.
fn goodbye() -> String {
    let mut engine = portolan_core::engine();
    let objects = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: portolan.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}]}
";
    for document in portolan_model::yaml::load(objects).0 {
        let object =
            portolan_model::Object::from_json(document.json, portolan_model::Origin::default()).unwrap();
        portolan_core::world::put(&mut engine, &object.key, portolan_model::intake::intake(&object));
    }
    engine.put(FleetSettings {
        key: "".into(),
        image: "envoy".into(),
        bootstrap: Value::Null,
        files: vec![("x".into(), Value::Null)],
    });
    engine.step(0);
    let fleet = engine.rows::<FleetWanted>().next().expect("it is served").clone();
    let deployment = fleet.objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let command =
        deployment.pointer("/spec/template/spec/containers/0/lifecycle/preStop/exec/command").unwrap();
    assert_eq!((&command[0], &command[1]), (&"/bin/bash".into(), &"-c".into()));
    command[2].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_that_goes_is_not_ready_first_and_asks_clients_to_go_later() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    server.know("good", "edge-1.infra", "edge", Duration::from_hours(1));
    let Some(envoy) = Envoy::start(folder.path(), server.at, &server.trust, "good") else { return };
    let port = server.port;
    eventually("it is ready", || (get(envoy.ready, "/ready")?.0 == 200).then_some(())).await;
    eventually("it serves", || get(port, "/").map(|(status, _)| assert_eq!(status, 404))).await;
    let script = goodbye();
    assert!(script.contains("sleep 10") && script.contains("127.0.0.1/19000"), "{script}");
    let (before, after) = script.split_once("; sleep 10; ").expect("what is waited for between");
    let run = |part: &str| {
        let part = part.replace("/19000", &format!("/{}", envoy.admin)).replace("sleep 30", "true");
        Command::new("bash").args(["-c", &part]).status().unwrap()
    };
    assert!(run(before).success());
    eventually("it is not ready", || (get(envoy.ready, "/ready")?.0 == 503).then_some(())).await;
    assert_eq!(get(port, "/").map(|(status, _)| status), Some(404), "and serves whoever comes all the same");
    assert!(run(after).success());
    // A client that means to stay is told to go.
    eventually("connections are closed", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET / HTTP/1.1\r\nhost: envoy\r\n\r\n").ok()?;
        let mut head = [0; 512];
        let read = stream.read(&mut head).ok()?;
        String::from_utf8_lossy(&head[..read]).contains("connection: close").then_some(())
    })
    .await;
}

/// The start configuration names each port once in a form that a test can exchange.
#[test]
fn the_start_configuration_is_plain_json() {
    let place = bootstrap::InCluster {
        host: "portolan-xds.edge.svc",
        port: 18000,
        config: Path::new("/etc/portolan"),
        token: Path::new("/var/run/secrets/portolan"),
    };
    let made = bootstrap::bootstrap_in_cluster(&place);
    let xds = &made["static_resources"]["clusters"][0];
    assert_eq!(xds["type"], "STRICT_DNS");
    assert_eq!(xds["transport_socket"]["typed_config"]["sni"], "portolan-xds.edge.svc");
    let text = made.to_string();
    assert!(text.contains("\"exact\":\"portolan-xds.edge.svc\"") && !text.contains(&Value::Null.to_string()));
}
