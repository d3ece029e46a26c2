//! What leaves and comes back within one settle, beside streams that say how things stand where they are told to look.
#![allow(clippy::unwrap_used)]

use portolan_core::{
    engine,
    gateway::rows::{Force, GatewayAddress, HostForce, ListenerForce},
    world,
};
use portolan_envoy::board::Change;
use portolan_model::{
    GatewayKey, Instant, NamespacedName, Object, ObjectKey, Origin, Redacted,
    input::{Maker, Secret, TlsPair},
    intake::intake,
    yaml,
};

use super::*;

const EDGE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: portolan.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, namespace: g}
spec:
  gatewayClassName: c
  listeners:
    - {name: http, port: 80, protocol: HTTP}
    - {name: https, port: 443, protocol: HTTPS, hostname: '*.example.com', tls: {certificateRefs: [{name: tls}]}}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: g}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: g}
spec:
  parentRefs: [{name: one}]
  hostnames: [a.example.com]
  rules: [{backendRefs: [{name: s, port: 80}]}]
";

/// Two listeners, the host in the tables of both, and who is misdirected to the one with TLS.
const ALL: usize = 5;

const STREAM: StreamId = StreamId(1);

struct Edge {
    engine: Engine<World>,
    wire: Wire,
    board: Board,
    /// Changes that the stream has looked at.
    seen: u64,
    _folder: tempfile::TempDir,
}

impl Edge {
    /// Everything in force.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wire = Wire::new(Echo::new(folder.path(), None));
        let mut edge = Self { engine: engine(), wire, board: Board::default(), seen: 0, _folder: folder };
        edge.wire.connected(STREAM, None, &edge.board);
        edge.put(EDGE, |_| true);
        edge.address();
        edge.certificate();
        edge.settle();
        edge.judge();
        assert_eq!(edge.waits(), [""; 0]);
        assert_eq!(edge.in_force(), ALL);
        edge
    }

    fn put(&mut self, text: &str, only: impl Fn(&ObjectKey) -> bool) {
        for document in yaml::load(text).0 {
            let object = Object::from_json(document.json, Origin::default()).unwrap();
            if only(&object.key) {
                world::put(&mut self.engine, &object.key, intake(&object));
            }
        }
    }

    fn address(&mut self) {
        let key = GatewayKey::new("g", "one");
        let ports = [(80, 8080), (443, 8443)].into();
        self.engine.put(GatewayAddress { key, address: "127.77.1.1".into(), ports, loopback: true });
    }

    fn certificate(&mut self) {
        let pair = TlsPair {
            dns_names: vec!["*.example.com".into()],
            not_after: Instant(1_000_000),
            public_key: "k".into(),
            fingerprint: "f".into(),
            key_matches: true,
            ..TlsPair::default()
        };
        let secret = Secret {
            key: NamespacedName::new("g", "tls"),
            r#type: "kubernetes.io/tls".into(),
            data: [
                ("tls.crt".into(), Redacted::new(b"c".to_vec())),
                ("tls.key".into(), Redacted::new(b"k".to_vec())),
            ]
            .into(),
            annotations: [].into(),
            labels: [].into(),
            maker: Maker::default(),
            tls: Some(Ok(pair)),
        };
        world::amend_secret(&mut self.engine, secret);
    }

    /// Steps without a publication, as within one settle.
    fn step(&mut self) {
        for _ in 0..8 {
            let step = self.engine.step(0);
            assert!(step.errors.is_empty(), "{:?}", step.errors);
            if !self.wire.take(&step, &self.board, &mut self.engine) {
                break;
            }
        }
    }

    fn settle(&mut self) {
        self.step();
        self.wire.publish(&self.board);
    }

    /// Everything that the stream is told to look at is in force.
    fn judge(&mut self) {
        let (verdicts, taken) = self.board.look(|wanted| {
            let keys = wanted.since(self.seen).unwrap().filter_map(|change| match change {
                Change::Flat(key) => wanted.get(key.r#type, &key.name).map(|_| key.clone()),
                Change::Host(table, host) => wanted
                    .host(table, host)
                    .map(|_| WireKey { r#type: WireType::VirtualHost, name: virtual_host_name(table, host) }),
                Change::Table(_) => None,
            });
            let taken = wanted.sequence();
            let verdict = |key| Verdict { key, taken, standing: Standing::InForce };
            (keys.map(verdict).collect::<Vec<_>>(), taken)
        });
        self.seen = taken;
        self.wire.verdicts(STREAM, verdicts, &mut self.engine);
        self.settle();
    }

    fn waits(&self) -> Vec<String> {
        self.wire.pending.keys().map(|key| format!("{:?} {}", key.r#type, key.name)).collect()
    }

    /// Listeners, and hosts in their tables, that are in force.
    fn in_force(&self) -> usize {
        let listeners = self.engine.rows::<ListenerForce>();
        let hosts = self.engine.rows::<HostForce>();
        listeners.filter(|row| row.state == Force::InForce).count()
            + hosts.filter(|row| row.state == Force::InForce).count()
    }

    /// What goes and what brings it back, within one settle.
    fn goes_and_returns(&mut self, go: impl Fn(&mut Self), back: impl Fn(&mut Self), of: WireType) {
        let before = self.board.look(portolan_envoy::board::Wanted::sequence);
        go(self);
        self.step();
        assert!(!self.wire.staged.is_empty(), "nothing went");
        back(self);
        self.settle();
        let told = self.board.look(|wanted| {
            let is = |change: &&Change| match change {
                Change::Flat(key) => key.r#type == of,
                Change::Host(..) => of == WireType::VirtualHost,
                Change::Table(_) => false,
            };
            wanted.since(before).unwrap().filter(is).count()
        });
        assert!(told > 0, "a {of:?} went and came back");
        self.judge();
        assert_eq!(self.waits(), [""; 0]);
        assert_eq!(self.in_force(), ALL);
    }
}

#[tokio::test]
async fn a_listener_that_comes_back_unchanged_is_in_force() {
    let gone = |edge: &mut Edge| edge.engine.remove::<GatewayAddress>(&GatewayKey::new("g", "one"));
    Edge::new().goes_and_returns(gone, Edge::address, WireType::Listener);
}

#[tokio::test]
async fn a_secret_that_comes_back_unchanged_is_in_force() {
    let gone = |edge: &mut Edge| {
        world::remove(&mut edge.engine, &ObjectKey::new("", "Secret", "g", "tls"));
    };
    Edge::new().goes_and_returns(gone, Edge::certificate, WireType::Secret);
}

#[tokio::test]
async fn hosts_and_clusters_that_come_back_unchanged_are_in_force() {
    let is = |key: &ObjectKey| &*key.kind.kind == "HTTPRoute";
    for of in [WireType::VirtualHost, WireType::Cluster, WireType::Endpoints] {
        let gone = |edge: &mut Edge| {
            let key = ObjectKey::new("gateway.networking.k8s.io", "HTTPRoute", "g", "r");
            world::remove(&mut edge.engine, &key);
        };
        Edge::new().goes_and_returns(gone, |edge| edge.put(EDGE, is), of);
    }
}

#[tokio::test]
async fn what_changes_and_changes_back_is_in_force() {
    let is = |key: &ObjectKey| &*key.kind.kind == "HTTPRoute";
    let other = EDGE.replace("{backendRefs:", "{matches: [{path: {value: /x}}], backendRefs:");
    let change = |edge: &mut Edge| edge.put(&other, is);
    Edge::new().goes_and_returns(change, |edge| edge.put(EDGE, is), WireType::VirtualHost);
}
