//! Golden cases: each folder `src/<room>/testdata/<case>` with an `input.yaml` is one.
//!
//! `input.yaml` holds the objects as a user writes them (after the room's `base.yaml`, if there is one), `facts.yaml`
//! what effects would have seen or would do:
//!
//! - `unseen` (Application that was not read, to the namespace that it brings objects into, or `any`);
//! - `certificates` (Secret to DNS names), `nacks` (resource to Envoy's text, or its `words` with the `rules` of a virtual
//!   host), `held` (virtual host to the cluster that it waits for), `acks: false` (Envoy has said nothing yet),
//!   `addresses: false` or `public`, `probes` (host to status or failure), `realBackends: true`,
//!   `systemRoots` (path), `now`;
//! - `dns`: settings as external-dns has them (`components` of several, by name), `zone` (`name`, `sets`), `write: true` (the provider does what is planned);
//! - `cluster` (controller names: the case happens in a cluster), `unread` (Secrets, or `ConfigMap a/b`, that are there and not read), `fleet: true` (Envoys are made there), `taken` (Gateway to the kind of an
//!   object that somebody else has);
//! - for the certificates room see `golden/certificates.rs`;
//! - `opened` and `unopened` (SealedSecret to values, or to why not), `drift` (Secret to values), `mirror: true`
//!   (reflector's writer writes).
//!
//! `expected.yaml` is what the room makes of it, in a stable order. `1-change.yaml` (objects that come or change, and with
//! `remove: true` that go) and `1-facts.yaml` are a second step, `1.out.yaml` what it changes and the work that it takes;
//! and so on. `make golden-accept` rewrites.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "golden/bad_input.rs"]
mod bad_input;
#[path = "golden/case.rs"]
mod case;
#[path = "golden/certificates.rs"]
mod certificates;
#[path = "golden/effects.rs"]
mod effects;
#[path = "golden/show.rs"]
mod show;

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::{
    World,
    certificates::rows::{Settings, ShimSettings},
    dns::{drain, rows::DnsSettings},
    engine,
    gateway::rows::{
        DialledBackends, GatewayAddress, Hold, InCluster, MergedListeners, Refusal, SystemRoots, WireKey,
        WirePending, WireType,
    },
    infrastructure::rows::{FleetFailure, FleetSettings},
    simulate, world,
};
use portolan_engine::Engine;
use portolan_model::{
    Instant, Name, NamespacedName, Object, ObjectKey, Problem,
    dns::Snapshot,
    input::{Maker, Secret, SourceProblems, TlsPair},
    intake::intake,
    yaml,
};
use serde_json::Value;

use case::{Case, cases};

/// Every case happens at this instant, unless its facts say otherwise.
const NOW: &str = "2026-11-24T00:00:00Z";

struct Run {
    engine: Engine<World>,
    room: String,
    now: Instant,
    objects: Vec<Object>,
    dns: Option<Vec<DnsSettings>>,
    zone: Option<Snapshot>,
    work: usize,
}

impl Run {
    fn new(case: &Case) -> Self {
        let mut engine = engine();
        engine.put(Settings {
            key: Name::default(),
            cluster_resource_namespace: "cert-manager".into(),
            shim: ShimSettings::default(),
        });
        let dns = effects::dns_settings(&case.facts);
        for component in dns.iter().flatten() {
            engine.put(component.clone());
        }
        Self {
            engine,
            room: case.room.clone(),
            now: Instant::parse(NOW).unwrap(),
            objects: vec![],
            dns,
            zone: effects::zone(&case.facts),
            work: 0,
        }
    }

    /// The case from its objects to the end of its facts.
    fn of(case: &Case) -> Self {
        let mut run = Self::new(case);
        case.objects.iter().for_each(|object| run.put(object));
        run.tell(&case.refused);
        run.observe(&case.facts, true);
        run
    }

    /// Why objects of the repository were not taken.
    fn tell(&mut self, refused: &[Problem]) {
        for problem in refused {
            self.engine.put(SourceProblems { key: problem.object.clone(), problems: vec![problem.clone()] });
        }
    }

    fn step(&mut self) {
        let changes = self.engine.step(self.now.0);
        assert_eq!(changes.errors, Vec::<String>::new());
        assert!(changes.conflicts.is_empty(), "{:?}", changes.conflicts);
        assert!(changes.held.is_empty(), "{:?}", changes.held);
        self.work += changes.runs();
    }

    fn put(&mut self, object: &Object) {
        let taken = intake(object).written_by(Maker::Repository.manager());
        world::put(&mut self.engine, &object.key, taken);
        self.objects.retain(|old| old.key != object.key);
        self.objects.push(object.clone());
    }

    fn remove(&mut self, object: &Object) {
        world::remove(&mut self.engine, &object.key);
        self.objects.retain(|old| old.key != object.key);
    }

    /// What the driver does with a change of the repository: what is still in DNS is kept.
    fn change(&mut self, key: &Object, new: Option<&Object>) {
        let old = self.objects.iter().find(|old| old.key == key.key).cloned();
        let kept =
            old.and_then(|old| drain::keep(&self.engine, &old, new, &[], self.now.plus_millis(30_000)));
        match (new, &kept) {
            (Some(new), _) => self.put(new),
            (None, Some(kept)) if kept.key == key.key => {}
            (None, _) => self.remove(key),
        }
        if let Some(kept) = &kept {
            self.put(kept);
        }
    }

    /// What effects see and, at the `last` time, do: certificates, addresses, what Envoy says of what it was sent.
    fn observe(&mut self, facts: &Value, last: bool) {
        if let Some(now) = facts["now"].as_str() {
            self.now = Instant::parse(now).unwrap();
        }
        certificates::put(&mut self.engine, facts);
        for (secret, names) in facts["certificates"].as_object().into_iter().flatten() {
            let (namespace, name) = secret.split_once('/').unwrap();
            let certificate = certificate(NamespacedName::new(namespace, name), names);
            world::amend_secret(&mut self.engine, certificate);
        }
        if let (Some(dns), Some(zone)) = (&self.dns, &self.zone) {
            effects::report(&mut self.engine, zone, dns);
        }
        effects::unseen(&mut self.engine, facts);
        effects::probes(&mut self.engine, facts);
        let cluster = facts["cluster"].as_array();
        if let Some(controllers) = cluster {
            let controllers = controllers.iter().map(|name| Name::new(name.as_str().unwrap())).collect();
            self.engine.put(InCluster { key: Name::default(), controllers });
        }
        if facts["fleet"] == true {
            let settings = FleetSettings {
                key: Name::default(),
                image: "registry.example/envoy@sha256:00".into(),
                bootstrap: serde_json::json!({"the": "same for all"}),
                files: vec![("trust.json".into(), serde_json::json!({"trust": "nobody else"}))],
            };
            self.engine.put(settings);
        }
        for (gateway, taken) in facts["taken"].as_object().into_iter().flatten() {
            let (namespace, name) = gateway.split_once('/').unwrap();
            let key = NamespacedName::new(namespace, name);
            let taken = ObjectKey::new("", taken.as_str().unwrap(), namespace, name);
            self.engine.put(FleetFailure { key, taken: Some(taken), failed: None });
        }
        for unread in facts["unread"].as_array().into_iter().flatten() {
            let text = unread.as_str().unwrap();
            let (kind, name) = text.split_once(' ').unwrap_or(("Secret", text));
            let (namespace, name) = name.split_once('/').unwrap();
            world::put_unread(&mut self.engine, &ObjectKey::new("", kind, namespace, name));
        }
        let real = cluster.is_some() || facts["realBackends"] == true;
        self.engine.put(DialledBackends { key: Name::default(), real, alone: cluster.is_some() });
        if let Some(path) = facts["systemRoots"].as_str() {
            self.engine.put(SystemRoots { key: Name::default(), path: path.into() });
        }
        self.step();
        if effects::shim(&mut self.engine) {
            self.step();
        }
        // An account first, then the orders that wait for it.
        for _ in 0..2 {
            certificates::answer(&mut self.engine, facts);
            self.step();
        }
        self.addresses(facts);
        self.step();
        self.acks(facts);
        self.step();
        effects::open(&mut self.engine, facts);
        self.step();
        // Bounded: a writer that never finishes is a fault.
        for round in 0..6 {
            let mut busy = last && facts["mirror"] == true && effects::mirror(&mut self.engine);
            if last && facts["dns"]["write"] == true {
                let (dns, zone) = (self.dns.as_ref().unwrap(), self.zone.as_mut().unwrap());
                let before = zone.clone();
                effects::write(&mut self.engine, zone, dns);
                effects::report(&mut self.engine, zone, dns);
                busy |= before != *zone;
            }
            self.step();
            if !busy {
                break;
            }
            assert!(round < 5, "the effects do not come to rest");
        }
    }

    fn addresses(&mut self, facts: &Value) {
        let gateways: Vec<_> = self.engine.rows::<MergedListeners>().cloned().collect();
        for (at, gateway) in gateways.iter().enumerate() {
            if facts["addresses"] == false {
                self.engine.remove::<GatewayAddress>(&gateway.key);
                continue;
            }
            let public = facts["addresses"] == "public";
            let address = if public { format!("192.0.2.{}", at + 1) } else { format!("127.77.0.{}", at + 1) };
            self.engine.put(GatewayAddress {
                key: gateway.key.clone(),
                address: address.into(),
                ports: gateway.all.iter().map(|one| (one.listener.port, one.listener.port)).collect(),
                loopback: !public,
            });
        }
    }

    fn acks(&mut self, facts: &Value) {
        if facts["acks"] == false {
            return;
        }
        simulate::accept(&mut self.engine, |key| {
            let said = facts["nacks"].get(&*key.name)?;
            let mut refusal = Refusal::of(said.as_str().or_else(|| said["words"].as_str()).unwrap());
            let rules = said["rules"].as_array().into_iter().flatten();
            refusal.rules = rules.map(|at| usize::try_from(at.as_u64().unwrap()).unwrap()).collect();
            Some(refusal)
        });
        let held = facts["held"].as_object().into_iter().flatten();
        let held: Vec<(WireKey, Hold)> = held
            .map(|(name, by)| {
                let key = |r#type, name: &str| WireKey { r#type, name: name.into() };
                let by = by.as_str().map_or(Hold::Sent, |by| Hold::By(key(WireType::Cluster, by)));
                (key(WireType::VirtualHost, name), by)
            })
            .collect();
        let before: Vec<WireKey> = self.engine.rows::<WirePending>().map(|row| row.key.clone()).collect();
        for key in &before {
            self.engine.remove::<WirePending>(key);
        }
        for (key, hold) in held {
            self.engine.put(WirePending { key, hold });
        }
    }

    fn shown(&self) -> String {
        show::yaml(&show::sections(&self.engine, &self.room, self.dns.as_deref().zip(self.zone.as_ref())))
    }

    /// Every line with its place, for telling what a change changes.
    fn lines(&self) -> BTreeSet<String> {
        let sections = show::sections(&self.engine, &self.room, self.dns.as_deref().zip(self.zone.as_ref()));
        let line = |title: &str, name: &str, line: &String| format!("{title}: {name}: {line}");
        sections
            .iter()
            .flat_map(|(title, groups)| {
                groups.iter().flat_map(move |(name, lines)| lines.iter().map(move |l| line(title, name, l)))
            })
            .collect()
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
        key: Name::default(),
        ..TlsPair::default()
    };
    Secret {
        key,
        r#type: "kubernetes.io/tls".into(),
        data: [].into(),
        annotations: [].into(),
        labels: [].into(),
        maker: Maker::default(),
        tls: Some(Ok(pair)),
    }
}

/// Compares with the file, or rewrites it. Gives what is wrong.
fn compare(path: &std::path::Path, shown: &str) -> Option<String> {
    let (_, errors) = yaml::load(shown);
    assert_eq!(errors, [], "what is shown is YAML");
    if portolan_testkit::accepting() {
        std::fs::write(path, shown).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    (expected != shown).then(|| format!("{}:\n{shown}", path.display()))
}

#[test]
fn every_case_gives_what_is_expected() {
    let cases = cases();
    for (room, least) in [("gateway", 30), ("policy", 10), ("dns", 10), ("secrets", 10), ("status", 3)] {
        let found = cases.iter().filter(|case| case.room == room).count();
        assert!(found >= least, "only {found} cases of {room} were found");
    }
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(compare(&case.folder.join("expected.yaml"), &Run::of(case).shown()));
    }
    assert!(wrong.is_empty(), "not as expected (make golden-accept rewrites):\n{}", wrong.join("\n"));
}

#[test]
fn every_change_changes_what_is_expected_with_the_work_that_is_expected() {
    let (mut wrong, mut found) = (Vec::new(), 0);
    for case in &cases() {
        let mut run = Run::of(case);
        let mut facts = case.facts.clone();
        for change in &case.changes {
            found += 1;
            let before = run.lines();
            run.work = 0;
            change.removed.iter().for_each(|object| run.change(object, None));
            change.objects.iter().for_each(|object| run.change(object, Some(object)));
            run.tell(&change.refused);
            merge(&mut facts, &change.facts);
            run.observe(&facts, true);
            let after = run.lines();
            let mut shown = format!("work: {}\n", run.work);
            for (title, lines) in [("gone", before.difference(&after)), ("new", after.difference(&before))] {
                writeln!(shown, "{title}:").unwrap();
                lines.for_each(|line| writeln!(shown, "  - {}", Value::from(line.as_str())).unwrap());
            }
            wrong.extend(compare(&change.out, &shown));
            // The same from scratch: what stands outside is as it is now.
            let mut again = Run::new(case);
            again.zone.clone_from(&run.zone);
            run.objects.iter().for_each(|object| again.put(object));
            again.tell(&case.refused);
            again.tell(&change.refused);
            again.observe(&facts, true);
            assert_eq!(again.shown(), run.shown(), "{}: steps differ from a rebuild", change.out.display());
        }
    }
    assert!(found >= 3, "only {found} changes were found");
    assert!(wrong.is_empty(), "not as expected (make golden-accept rewrites):\n{}", wrong.join("\n"));
}

/// The second step's facts over the first's: what happens once (`drift`) does not happen again.
fn merge(facts: &mut Value, change: &Value) {
    if facts.is_null() {
        *facts = Value::Object(serde_json::Map::new());
    }
    facts.as_object_mut().unwrap().remove("drift");
    for (key, value) in change.as_object().into_iter().flatten() {
        if key == "dns" {
            for (key, value) in value.as_object().unwrap() {
                facts["dns"][key] = value.clone();
            }
        } else {
            facts[key] = value.clone();
        }
    }
}

#[test]
fn the_order_and_the_steps_in_which_objects_come_change_nothing() {
    for case in &cases() {
        let expected = Run::of(case).shown();
        for seed in [1_u64, 2, 3, 5] {
            let mut order: Vec<&Object> = case.objects.iter().collect();
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for at in (1..order.len()).rev() {
                // xorshift: the same orders on every machine
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                order.swap(at, usize::try_from(random % (at as u64 + 1)).unwrap());
            }
            let mut run = Run::new(case);
            run.tell(&case.refused);
            for (at, object) in order.iter().enumerate() {
                run.put(object);
                if at % usize::try_from(seed).unwrap() == 0 {
                    run.observe(&case.facts, false);
                }
                // One that goes and comes back leaves no trace.
                if at == order.len() / 2 {
                    world::remove(&mut run.engine, &order[0].key);
                    run.step();
                    run.put(order[0]);
                }
            }
            run.observe(&case.facts, true);
            assert_eq!(run.shown(), expected, "{} with seed {seed}", case.folder.display());
        }
    }
}

/// Every value of a Secret, as it is written and as it is decoded, stands in no expected file.
#[test]
fn no_secret_leaks() {
    let mut values = 0;
    for case in &cases() {
        let changes = case.changes.iter();
        let objects = case.objects.iter().chain(changes.clone().flat_map(|change| &change.objects));
        let mut secrets: BTreeSet<String> = BTreeSet::new();
        for object in objects.filter(|object| &*object.key.kind.kind == "Secret") {
            for field in ["data", "stringData"] {
                for text in
                    object.json[field].as_object().into_iter().flatten().filter_map(|(_, v)| v.as_str())
                {
                    secrets.insert(text.to_owned());
                    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    secrets.extend(decoded);
                    secrets.insert(STANDARD.encode(text));
                }
            }
        }
        for facts in std::iter::once(&case.facts).chain(changes.map(|change| &change.facts)) {
            for field in ["opened", "drift"] {
                let all = facts[field].as_object().into_iter().flatten();
                for text in
                    all.flat_map(|(_, v)| v.as_object().into_iter().flatten()).filter_map(|(_, v)| v.as_str())
                {
                    secrets.insert(text.to_owned());
                    secrets.insert(STANDARD.encode(text));
                }
            }
        }
        values += secrets.len();
        for entry in std::fs::read_dir(&case.folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name != "expected.yaml" && !name.ends_with(".out.yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let leaked = secrets.iter().find(|secret| secret.len() > 3 && text.contains(secret.as_str()));
            assert_eq!(leaked, None, "{}", path.display());
        }
    }
    assert!(values >= 20, "only {values} values were looked for");
}
