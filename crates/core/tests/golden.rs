//! Golden cases: each folder `src/<room>/testdata/<case>` with an `input.yaml` is one.
//!
//! `input.yaml` holds the objects as a user writes them (after the room's `base.yaml`, if there is one), `facts.yaml`
//! what effects would have seen: `certificates` (Secret to DNS names), `nacks` (resource to Envoy's text), `acks: false`
//! (Envoy has said nothing yet), `addresses: false`; for certificates see `golden/certificates.rs`. `expected.yaml` is what follows: statuses, virtual hosts, findings,
//! in a stable order. Certificates are rows without bytes, so no case holds a key. `make golden-accept` rewrites.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "golden/certificates.rs"]
mod certificates;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use portolan_core::{
    World,
    conditions::rows::ObjectStatus,
    engine,
    gateway::rows::{GatewayAddress, RouteEntry, VirtualHost, WireAck, WireKey, WireListener, WireType},
    world::{self, Finding},
};
use portolan_engine::Engine;
use portolan_model::{
    Condition, Instant, Name, NamespacedName, Object, Origin,
    condition::Status,
    input::{Filter, Gateway, PathMatch, RouteMatch, Secret, TlsPair},
    intake::intake,
    yaml,
};
use serde_json::Value;

/// Every case happens at this instant.
const NOW: &str = "2026-11-24T00:00:00Z";

struct Case {
    folder: PathBuf,
    objects: Vec<Object>,
    facts: Value,
}

fn documents(path: &Path) -> Vec<Value> {
    let Ok(text) = std::fs::read_to_string(path) else { return vec![] };
    let (documents, errors) = yaml::load(&text);
    assert_eq!(errors, [], "{}", path.display());
    documents.into_iter().map(|document| document.json).collect()
}

fn cases() -> Vec<Case> {
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(path) else { return vec![] };
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    let mut cases = Vec::new();
    for room in folders(&rooms).into_iter().map(|room| room.join("testdata")) {
        for folder in folders(&room).into_iter().filter(|folder| folder.join("input.yaml").is_file()) {
            let mut objects = documents(&room.join("base.yaml"));
            objects.extend(documents(&folder.join("input.yaml")));
            let objects =
                objects.into_iter().map(|json| Object::from_json(json, Origin::default()).unwrap()).collect();
            let facts = documents(&folder.join("facts.yaml")).pop().unwrap_or(Value::Null);
            cases.push(Case { folder, objects, facts });
        }
    }
    cases
}

struct Run {
    engine: Engine<World>,
}

impl Run {
    fn new() -> Self {
        Self { engine: engine() }
    }

    fn step(&mut self) {
        let changes = self.engine.step(Instant::parse(NOW).unwrap().0);
        assert_eq!(changes.errors, Vec::<String>::new());
        assert!(changes.conflicts.is_empty(), "{:?}", changes.conflicts);
        assert!(changes.held.is_empty(), "{:?}", changes.held);
    }

    fn put(&mut self, object: &Object) {
        world::put(&mut self.engine, &object.key, intake(object));
    }

    /// What effects see: certificates, addresses, and last what Envoy says of what it was sent.
    fn observe(&mut self, facts: &Value) {
        certificates::put(&mut self.engine, facts);
        for (secret, names) in facts["certificates"].as_object().into_iter().flatten() {
            let (namespace, name) = secret.split_once('/').unwrap();
            self.engine.put(certificate(NamespacedName::new(namespace, name), names));
        }
        self.step();
        // An account first, then the orders that wait for it.
        for _ in 0..2 {
            certificates::answer(&mut self.engine, facts);
            self.step();
        }
        if facts["addresses"] != false {
            let gateways: Vec<_> = self.engine.rows::<Gateway>().cloned().collect();
            for (at, gateway) in gateways.iter().enumerate() {
                self.engine.put(GatewayAddress {
                    key: gateway.key.clone(),
                    address: format!("127.77.0.{}", at + 1).into(),
                    ports: gateway.listeners.iter().map(|l| (l.port, l.port)).collect(),
                    loopback: true,
                });
            }
        }
        self.step();
        if facts["acks"] == false {
            return;
        }
        let mut sent: Vec<WireKey> = Vec::new();
        for listener in self.engine.rows::<WireListener>() {
            sent.push(WireKey { r#type: WireType::Listener, name: listener.name.clone() });
            for chain in &listener.chains {
                sent.push(WireKey { r#type: WireType::Routes, name: chain.routes.clone() });
                sent.extend(
                    chain.secret.iter().map(|name| WireKey { r#type: WireType::Secret, name: name.clone() }),
                );
            }
        }
        for key in sent {
            let refusal = facts["nacks"].get(&*key.name).and_then(Value::as_str).map(str::to_owned);
            self.engine.put(WireAck { key, state: refusal.map_or(Ok(()), Err) });
        }
        self.step();
    }

    fn shown(&self) -> String {
        let mut out = String::new();
        let mut section = |title: &str, groups: BTreeMap<String, Vec<String>>| {
            writeln!(out, "{title}:").unwrap();
            for (name, lines) in groups {
                writeln!(out, "  {}:", Value::from(name)).unwrap();
                for line in lines {
                    writeln!(out, "    - {}", Value::from(line)).unwrap();
                }
            }
        };
        let statuses = self.engine.rows::<ObjectStatus>();
        let statuses = statuses.filter(|row| row.key.kind.kind != "GatewayClass");
        section("statuses", statuses.map(|row| (row.key.to_string(), status(row))).collect());
        let hosts = self.engine.rows::<VirtualHost>();
        section(
            "hosts",
            hosts
                .map(|h| (format!("{} {}", h.key.0, h.key.1), h.entries.iter().map(entry).collect()))
                .collect(),
        );
        let mut findings: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for finding in self.engine.rows::<Finding>() {
            let problem = &finding.problem;
            let line =
                format!("{} {:?} {}: {}", problem.code, problem.severity, problem.field, problem.message);
            findings.entry(problem.object.to_string()).or_default().push(line);
        }
        section("findings", findings);
        certificates::sections(&self.engine).into_iter().for_each(|(title, groups)| section(title, groups));
        out
    }
}

fn certificate(key: NamespacedName, names: &Value) -> Secret {
    let mut dns_names: Vec<Name> =
        names.as_array().unwrap().iter().map(|name| Name::new(name.as_str().unwrap())).collect();
    dns_names.sort();
    let pair = TlsPair {
        dns_names,
        common_name: String::new(),
        not_before: Instant::parse("2026-11-01T00:00:00Z").unwrap(),
        not_after: Instant::parse("2027-01-30T00:00:00Z").unwrap(),
        serial: "01".into(),
        issuer: "Golden CA".into(),
        public_key: String::new(),
        fingerprint: key.to_string(),
        key_matches: true,
        is_ca: false,
        key: "RSA 2048".into(),
        subject_key_id: Name::default(),
        authority_key_id: Name::default(),
    };
    Secret {
        key,
        r#type: "kubernetes.io/tls".into(),
        data: BTreeMap::new(),
        annotations: BTreeMap::new(),
        labels: BTreeMap::new(),
        maker: portolan_model::input::Maker::default(),
        tls: Some(Ok(pair)),
    }
}

/// One line a condition, with its message where it is not simply good.
fn status(row: &ObjectStatus) -> Vec<String> {
    let line = |prefix: &str, c: &Condition| {
        let good = c.status == Status::True && c.r#type == c.reason.as_str() || c.reason == "NoConflicts";
        let message = if good { String::new() } else { format!(": {}", c.message) };
        format!("{prefix}{}={:?} {}{message}", c.r#type, c.status, c.reason)
    };
    let mut lines: Vec<String> = row.conditions.iter().map(|c| line("", c)).collect();
    for (at, part) in row.parts.iter().flat_map(|(_, parts)| parts).enumerate() {
        let field = |name: &str| part.fields.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
        let prefix = match (field("name"), field("parentRef")) {
            (Some(name), _) => {
                let kinds = field("supportedKinds").unwrap().as_array().unwrap();
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
                let (name, attached) = (name.as_str().unwrap(), field("attachedRoutes").unwrap());
                lines.push(format!("{name}: attachedRoutes {attached}, supportedKinds {kinds:?}"));
                format!("{name}: ")
            }
            _ => format!("parent {at}: "),
        };
        lines.extend(part.conditions.iter().map(|c| line(&prefix, c)));
    }
    lines
}

fn entry(entry: &RouteEntry) -> String {
    let mut to: Vec<String> = entry.clusters.iter().map(|c| format!("{} x{}", c.cluster, c.weight)).collect();
    if entry.invalid_weight > 0 {
        to.push(format!("500 x{}", entry.invalid_weight));
    }
    let filters: Vec<String> = entry
        .filters
        .iter()
        .map(|filter| match filter {
            Filter::Redirect(r) => format!(" redirect {:?} {:?} {}", r.scheme, r.path, r.status),
            Filter::Rewrite { hostname, path } => format!(" rewrite {hostname:?} {path:?}"),
            Filter::Unsupported(name) => format!(" unsupported {name}"),
            Filter::Mirror { .. } => format!(" mirror {:?}", entry.mirrors),
            Filter::RequestHeaders(_) => " request headers".into(),
            Filter::ResponseHeaders(_) => " response headers".into(),
        })
        .collect();
    format!("{}{} -> [{}] of {}", wanted(&entry.r#match), filters.concat(), to.join(", "), entry.route)
}

fn wanted(wanted: &RouteMatch) -> String {
    let mut text = match &wanted.path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(path) => format!("{path}*"),
        PathMatch::Regex(path) => format!("~{path}"),
    };
    if let Some(method) = &wanted.method {
        write!(text, " {method}").unwrap();
    }
    for (mark, values) in [("header", &wanted.headers), ("query", &wanted.query)] {
        for value in values {
            write!(text, " {mark} {}={}", value.name, value.value).unwrap();
        }
    }
    text
}

#[test]
fn every_case_gives_what_is_expected() {
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases were found", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let mut run = Run::new();
        case.objects.iter().for_each(|object| run.put(object));
        run.observe(&case.facts);
        let (shown, path) = (run.shown(), case.folder.join("expected.yaml"));
        let (_, errors) = yaml::load(&shown);
        assert_eq!(errors, [], "what is shown is YAML");
        if portolan_testkit::accepting() {
            std::fs::write(&path, &shown).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != shown {
            wrong.push(format!("{}:\n{shown}", case.folder.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (make golden-accept rewrites):\n{}", wrong.join("\n"));
}

#[test]
fn the_order_and_the_steps_in_which_objects_come_change_nothing() {
    for case in &cases() {
        let mut run = Run::new();
        case.objects.iter().for_each(|object| run.put(object));
        run.observe(&case.facts);
        let expected = run.shown();
        for seed in 1..=8_u64 {
            let mut order: Vec<&Object> = case.objects.iter().collect();
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for at in (1..order.len()).rev() {
                // xorshift: the same orders on every machine
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                order.swap(at, usize::try_from(random % (at as u64 + 1)).unwrap());
            }
            let mut run = Run::new();
            for (at, object) in order.iter().enumerate() {
                run.put(object);
                if at % usize::try_from(seed).unwrap() == 0 {
                    run.observe(&case.facts);
                }
                // One that goes and comes back leaves no trace.
                if at == order.len() / 2 {
                    world::remove(&mut run.engine, &order[0].key);
                    run.step();
                    run.put(order[0]);
                }
            }
            run.observe(&case.facts);
            assert_eq!(run.shown(), expected, "{} with seed {seed}", case.folder.display());
        }
    }
}
