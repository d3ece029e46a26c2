//! A whole world for the DNS rules: a Gateway, routes, an Envoy that acks, and a provider that does what is planned.

use portolan_engine::Engine;
use portolan_model::{
    GatewayKey, Instant, Name, NamespacedName, Object, ObjectKey, Origin,
    dns::{RecordSet, Snapshot},
    input::{Secret, TlsPair},
    intake::intake,
    yaml,
};

use super::plan::{apply, zone};
use crate::{
    World,
    dns::{
        Plan, WantedRecord,
        observe::{finding_problem, published},
        plan,
        rows::{
            DesiredRecord, DnsAnswer, DnsSettings, DnsState, PublishedRecord, RecordProblem, Stage,
            WantedName,
        },
    },
    engine,
    gateway::rows::{
        GatewayAddress, ListenerInForce, Refusal, VirtualHost, WireAck, WireKey, WireListener, WireType,
        virtual_host_name,
    },
    status::rows::Probe,
    world,
};

/// A Gateway with HTTP and a wildcard HTTPS listener, and a second one in another namespace with HTTP only.
pub const GATEWAYS: &str = "
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
    - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
    - name: https
      port: 443
      protocol: HTTPS
      hostname: '*.example.com'
      allowedRoutes: {namespaces: {from: All}}
      tls: {certificateRefs: [{name: tls}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: two, namespace: g}
spec:
  gatewayClassName: c
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
";

pub const END: Instant = Instant(1_000_000);

pub struct Edge {
    pub engine: Engine<World>,
    pub now: i64,
    pub zone: Snapshot,
    pub settings: DnsSettings,
}

/// A route in namespace `t`: name, parents as YAML, hostnames, annotations as YAML.
pub fn route(name: &str, parents: &str, hostnames: &str, annotations: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: t, annotations: {{{annotations}}}}}\nspec:\n  parentRefs: [{parents}]\n  hostnames: [{hostnames}]\n"
    )
}

pub const HTTPS: &str = "{name: one, namespace: g, sectionName: https}";

pub fn object(text: &str) -> Object {
    let (mut documents, errors) = yaml::load(text);
    assert!(errors.is_empty() && documents.len() == 1, "{errors:?}");
    Object::from_json(documents.remove(0).json, Origin::default()).unwrap()
}

impl Edge {
    /// Gateways with addresses and nothing acked; settings of environment `me`.
    pub fn new() -> Self {
        let settings = DnsSettings::of_folder("me");
        let mut edge = Self { engine: engine(), now: 0, zone: zone([]), settings: settings.clone() };
        edge.engine.put(settings);
        edge.apply(GATEWAYS);
        edge.address("one", Some("127.77.1.1"));
        edge.address("two", Some("127.77.1.2"));
        edge
    }

    pub fn apply(&mut self, text: &str) {
        let (documents, errors) = yaml::load(text);
        assert!(errors.is_empty(), "{errors:?}");
        for document in documents {
            self.put(&Object::from_json(document.json, Origin::default()).unwrap());
        }
    }

    pub fn put(&mut self, object: &Object) {
        let taken = intake(object);
        assert!(taken.problems.is_empty(), "{:?}", taken.problems);
        world::put(&mut self.engine, &object.key, taken);
    }

    pub fn remove(&mut self, kind: &str, name: &str) {
        world::remove(&mut self.engine, &ObjectKey::new("gateway.networking.k8s.io", kind, "t", name));
    }

    pub fn address(&mut self, gateway: &str, address: Option<&str>) {
        let key = GatewayKey::new("g", gateway);
        match address {
            None => self.engine.remove::<GatewayAddress>(&key),
            Some(address) => self.engine.put(GatewayAddress {
                key,
                address: address.into(),
                ports: [(80, 8080), (443, 8443)].into(),
                loopback: true,
            }),
        }
    }

    /// The certificate of the HTTPS listener.
    pub fn certificate(&mut self, names: &[&str]) {
        let pair = TlsPair {
            dns_names: names.iter().map(|name| Name::new(name)).collect(),
            common_name: String::new(),
            not_before: Instant(0),
            not_after: END,
            serial: "01".into(),
            issuer: "test".into(),
            public_key: "k".into(),
            fingerprint: "f".into(),
            key_matches: true,
            is_ca: false,
            key: Name::default(),
            ..TlsPair::default()
        };
        let secret = Secret {
            key: NamespacedName::new("g", "tls"),
            r#type: "kubernetes.io/tls".into(),
            data: [].into(),
            annotations: [].into(),
            labels: [].into(),
            maker: portolan_model::input::Maker::default(),
            tls: Some(Ok(pair)),
        };
        world::amend_secret(&mut self.engine, secret);
    }

    pub fn ack(&mut self, r#type: WireType, name: &str, state: Result<(), &str>) {
        if r#type == WireType::Listener && state.is_ok() {
            self.step();
            let row = self.engine.rows::<WireListener>().find(|row| row.name == name).cloned();
            if let Some(row) = row {
                self.engine.put(ListenerInForce { key: row.key.clone(), row });
            }
        }
        let state = state.map_err(Refusal::of);
        self.engine.put(WireAck { key: WireKey { r#type, name: name.into() }, state });
    }

    /// Everything that Envoy has to accept of Gateway `one`.
    pub fn ack_all(&mut self) {
        self.step();
        let rows: Vec<_> =
            self.engine.rows::<WireListener>().filter(|row| row.key.gateway.name == "one").cloned().collect();
        for row in rows {
            for key in row.resources() {
                self.ack(key.r#type, &key.name, Ok(()));
            }
        }
        self.ack_hosts();
    }

    fn ack_hosts(&mut self) {
        let hosts: Vec<_> = self.engine.rows::<VirtualHost>().map(|row| row.key.clone()).collect();
        for (table, host) in hosts {
            self.ack(WireType::VirtualHost, &virtual_host_name(&table, &host), Ok(()));
        }
    }

    /// A host is probed once Envoy has it in force.
    pub fn probe(&mut self, host: &str, state: Result<u16, &str>) {
        self.step();
        self.ack_hosts();
        self.engine.put(Probe { key: host.into(), state: state.map_err(str::to_owned) });
    }

    /// A world in which everything of Gateway `one` is ready.
    pub fn ready() -> Self {
        let mut edge = Self::new();
        edge.certificate(&["*.example.com"]);
        edge.ack_all();
        edge
    }

    pub fn step(&mut self) {
        let step = self.engine.step(self.now);
        assert!(step.errors.is_empty(), "{:?}", step.errors);
        assert!(step.conflicts.is_empty(), "{:?}", step.conflicts);
        assert!(step.held.is_empty(), "{:?}", step.held);
    }

    /// Wanted sets: `name type values resource`.
    pub fn wanted(&mut self) -> Vec<String> {
        self.step();
        let line = |w: &WantedRecord| {
            let ttl = w.set.ttl.map(|ttl| format!(" ttl={ttl}")).unwrap_or_default();
            format!("{} {} {}{ttl} {}", w.set.name, w.set.r#type, w.set.values.join(","), w.resource)
        };
        self.engine.rows::<WantedName>().flat_map(|row| row.records.iter().map(line)).collect()
    }

    pub fn state(&mut self, name: &str) -> (Stage, String) {
        self.step();
        let row = self.engine.get::<DnsState>(&name.into()).unwrap();
        (row.stage, row.why.clone())
    }

    /// Why the gate is closed for a name.
    pub fn gate(&mut self, name: &str) -> Option<String> {
        self.step();
        let desired =
            self.engine.rows::<DesiredRecord>().find(|desired| desired.key.0 == name).cloned().unwrap();
        desired.gate.clone().err()
    }

    /// What the provider does with what is wanted now; reports what stands afterwards.
    pub fn publish(&mut self) -> Plan {
        self.step();
        let wanted: Vec<WantedRecord> =
            self.engine.rows::<WantedName>().flat_map(|row| row.records.clone()).collect();
        let made = plan(&wanted, &self.zone, &self.settings.plan);
        apply(&made, &mut self.zone);
        self.report();
        let old: Vec<_> = self.engine.rows::<RecordProblem>().map(|row| row.key.clone()).collect();
        for key in old {
            self.engine.remove::<RecordProblem>(&key);
        }
        for finding in &made.problems {
            self.engine.put(RecordProblem { key: finding_problem(&self.zone.zone, finding) });
        }
        self.step();
        made
    }

    /// Tells the engine what the zone holds, and that it is answered.
    pub fn report(&mut self) {
        let old: Vec<_> = self.engine.rows::<PublishedRecord>().map(|row| row.key.clone()).collect();
        for key in old {
            self.engine.remove::<PublishedRecord>(&key);
        }
        for row in published(&self.zone, std::slice::from_ref(&self.settings)) {
            self.engine.put(DnsAnswer { key: row.key.name.clone(), state: Ok(()) });
            self.engine.put(row);
        }
    }

    /// Names, types and values of all data sets of the zone.
    pub fn stands(&self) -> Vec<String> {
        let data = |set: &&RecordSet| set.r#type != portolan_model::dns::RecordType::Txt;
        let line = |set: &RecordSet| format!("{} {} {}", set.name, set.r#type, set.values.join(","));
        self.zone.sets.iter().filter(data).map(line).collect()
    }

    pub fn codes(&mut self) -> Vec<String> {
        self.step();
        let mut codes: Vec<String> = self
            .engine
            .rows::<world::Finding>()
            .map(|row| row.problem.code.to_string())
            .filter(|code| code.starts_with("PTL-04"))
            .collect();
        codes.sort();
        codes
    }
}
