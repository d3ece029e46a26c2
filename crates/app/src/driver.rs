//! One task owns the engine: facts in, step, changes out. Nothing is decided here.

mod outside;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use portolan_core::{
    World,
    certificates::rows::{IssueFailure, IssueWanted, Settings, Signer},
    gateway::rows::{GatewayAddress, ListenerCertificate},
    status::rows::{EntryPoint, Probe, State},
    world,
};
use portolan_effects::{
    folder, sign,
    state_dir::StateDir,
    store::{Store, Write, Written},
};
use portolan_engine::{Changes, Engine};
use portolan_envoy::{resources::Resources, serve::Report};
use portolan_model::{
    Code, Instant, Name, NamespacedName, Object, ObjectKey, Origin, Problem, Severity,
    input::{Certificate, Gateway, InputProblems, Secret},
    intake::{MANAGED_BY, intake},
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::{addresses::Addresses, api, cli::Up, status, wire::Wire};

/// Manager of what comes from the repository, and of what Portolan makes.
const GIT: &str = "git";
const OURS: &str = "portolan";

/// Something that happened outside.
pub enum Event {
    Folder,
    Xds(Report),
    Signed(Box<IssueWanted>, Result<Object, String>),
    Probed(Name, u64, Result<u16, String>),
    Ask(api::Ask),
    EnvoyEnded(String),
    Interrupt,
}

pub struct Driver {
    engine: Engine<World>,
    store: Store,
    state: StateDir,
    root: PathBuf,
    wire: Wire,
    wanted: watch::Sender<Arc<Resources>>,
    addresses: Addresses,
    events: mpsc::UnboundedSender<Event>,
    signing: BTreeMap<NamespacedName, IssueWanted>,
    /// Hosts to probe once Envoy has settled, with the number of the latest attempt.
    probing: BTreeMap<Name, u64>,
    to_probe: BTreeSet<Name>,
    attempts: u64,
    run: Value,
    next_due: Option<Instant>,
    steps: u64,
    runs: u64,
    facts: bool,
    refused_writes: BTreeMap<ObjectKey, String>,
}

fn now() -> Instant {
    Instant(jiff::Timestamp::now().as_millisecond())
}

/// `portolan up`.
///
/// # Errors
/// When it cannot run at all: exit code 2.
pub async fn up(args: Up) -> anyhow::Result<u8> {
    let root =
        args.dir.canonicalize().with_context(|| format!("folder {} cannot be read", args.dir.display()))?;
    anyhow::ensure!(root.is_dir(), "{} is not a folder", root.display());
    let state = match &args.state {
        Some(state) => state.clone(),
        None => crate::instance::default_state(&root, &args.env)?,
    };
    // Everything below is private unless a mode says otherwise, Envoy's files included.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let state = StateDir::open(&state)?;
    let store = Store::open(state.path())?;
    let outside = outside::start(&args, &state, &root).await?;
    let outside::Outside { events, wake, wanted, mut envoy, run, _watcher, stop } = outside;
    let range = u8::try_from(crate::instance::number_of(state.path()) % 250).unwrap_or(0) + 1;
    let saved = std::fs::read(state.path().join("addresses.json")).ok();
    let mut driver = Driver {
        engine: world::engine(),
        store,
        root,
        wire: Wire::default(),
        wanted,
        addresses: Addresses::new(saved.as_deref(), range, args.bind, args.low_ports),
        events: wake,
        signing: BTreeMap::new(),
        probing: BTreeMap::new(),
        to_probe: BTreeSet::new(),
        attempts: 0,
        run,
        next_due: None,
        steps: 0,
        runs: 0,
        facts: false,
        refused_writes: BTreeMap::new(),
        state,
    };
    driver.engine.put(Settings {
        key: Name::default(),
        cluster_resource_namespace: args.cluster_resource_namespace.as_str().into(),
    });
    let kept: Vec<Object> = driver.store.list().map(|s| s.object.clone()).collect();
    for object in &kept {
        driver.put_object(object);
    }
    driver.reload()?;
    driver.settle()?;
    driver.state.write("run.json", &serde_json::to_vec_pretty(&driver.run)?)?;
    if !args.once {
        anstream::println!("portolan: serving {} ({})", driver.root.display(), args.env);
        anstream::println!("portolan: state {}", driver.state.path().display());
        anstream::println!("portolan: roots to trust {}", driver.state.path().join("ca.pem").display());
        anstream::println!("portolan: API http://{}", driver.run["api"].as_str().unwrap_or("?"));
    }
    let code = driver.run(events, &args).await?;
    drop(stop);
    if let Some(envoy) = envoy.take() {
        envoy.stop().await;
    }
    let _ = std::fs::remove_file(driver.state.path().join("run.json"));
    let _ = std::fs::remove_dir_all(driver.run["sockets"]["directory"].as_str().unwrap_or("/nonexistent"));
    Ok(code)
}

impl Driver {
    async fn run(&mut self, mut events: mpsc::UnboundedReceiver<Event>, args: &Up) -> anyhow::Result<u8> {
        let deadline = tokio::time::Instant::now() + args.timeout;
        let mut shown = BTreeMap::new();
        let mut said = BTreeSet::new();
        loop {
            if args.once && self.at_rest() {
                return Ok(self.result());
            }
            if !args.once {
                self.tell(&mut shown, &mut said);
            }
            let sleep = match self.next_due {
                Some(due) => {
                    Duration::from_millis(u64::try_from(due.0 - now().0).unwrap_or(0).min(3_600_000))
                }
                None => Duration::from_hours(1),
            };
            let event = tokio::select! {
                event = events.recv() => event,
                () = tokio::time::sleep(sleep) => None,
                () = tokio::time::sleep_until(deadline), if args.once => return Ok(self.result()),
            };
            if let Some(event) = event
                && let Some(code) = self.take(event)?
            {
                return Ok(code);
            }
            // What piled up meanwhile goes into the same step.
            while let Ok(event) = events.try_recv() {
                if let Some(code) = self.take(event)? {
                    return Ok(code);
                }
            }
            self.settle()?;
        }
    }

    /// Nothing of this run can change any more: no work under way, and every host decided.
    fn at_rest(&self) -> bool {
        self.signing.is_empty()
            && self.wire.settled()
            && self.to_probe.is_empty()
            && self.probing.is_empty()
            && self.engine.rows::<IssueWanted>().next().is_none()
            && self.engine.rows::<EntryPoint>().all(|e| e.state != State::Pending || !e.probe)
    }

    fn result(&self) -> u8 {
        let status = status::status(&self.engine, &self.store, &self.run);
        anstream::print!("{}", status::table(&status));
        let pending = self.engine.rows::<EntryPoint>().any(|e| e.state == State::Pending);
        let errors = self.engine.rows::<world::Finding>().any(|f| f.problem.severity == Severity::Error);
        u8::from(pending || errors)
    }

    /// Plain lines for what is new since the last ones.
    fn tell(&self, shown: &mut BTreeMap<Name, (State, String)>, said: &mut BTreeSet<Problem>) {
        for entry in self.engine.rows::<EntryPoint>() {
            let now = (entry.state, entry.why.clone());
            if shown.get(&entry.key) != Some(&now) {
                let state = serde_json::to_value(entry.state).ok();
                let state = state.as_ref().and_then(Value::as_str).unwrap_or_default();
                anstream::println!("{state:8} {} {}: {}", entry.key, entry.url, entry.why);
                shown.insert(entry.key.clone(), now);
            }
        }
        shown.retain(|host, _| {
            let there = self.engine.get::<EntryPoint>(host).is_some();
            if !there {
                anstream::println!("gone     {host}");
            }
            there
        });
        let findings: BTreeSet<Problem> =
            self.engine.rows::<world::Finding>().map(|f| f.problem.clone()).collect();
        if findings != *said {
            let status = status::status(&self.engine, &self.store, &self.run);
            for (problem, json) in
                self.engine.rows::<world::Finding>().zip(status["findings"].as_array().into_iter().flatten())
            {
                if !said.contains(&problem.problem) {
                    anstream::println!("{}", status::finding_line(json));
                }
            }
            *said = findings;
        }
    }

    fn take(&mut self, event: Event) -> anyhow::Result<Option<u8>> {
        match event {
            Event::Folder => self.reload()?,
            Event::Xds(Report::Connected) => tracing::info!("Envoy is connected"),
            Event::Xds(Report::Disconnected) => tracing::info!("Envoy has disconnected"),
            Event::Xds(Report::Verdict(verdict)) => {
                if let Some(ack) = self.wire.verdict(verdict) {
                    self.engine.put(ack);
                    self.facts = true;
                }
            }
            Event::Signed(wanted, result) => self.signed(&wanted, result)?,
            Event::Probed(host, attempt, state) => {
                if self.probing.get(&host) == Some(&attempt) {
                    self.probing.remove(&host);
                    if state.is_err() {
                        self.again(host.clone());
                    }
                    self.engine.put(Probe { key: host, state });
                    self.facts = true;
                }
            }
            Event::Ask(ask) => {
                let down = matches!(ask.what, api::What::Down);
                let answer = self.answer(ask.what);
                let _ = ask.answer.send(answer);
                if down {
                    return Ok(Some(0));
                }
            }
            Event::EnvoyEnded(how) => {
                tracing::warn!("{how}");
                self.wire.forget();
                for entry in self.engine.rows::<EntryPoint>().filter(|e| e.probe).cloned().collect::<Vec<_>>()
                {
                    self.to_probe.insert(entry.key.clone());
                }
            }
            Event::Interrupt => return Ok(Some(0)),
        }
        Ok(None)
    }

    /// A failed probe is made again in two seconds.
    fn again(&mut self, host: Name) {
        self.attempts += 1;
        let (attempt, events) = (self.attempts, self.events.clone());
        if let Some(ask) = self.probe_of(&host) {
            self.probing.insert(host.clone(), attempt);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let _ = events.send(Event::Probed(host, attempt, portolan_effects::probe::probe(ask).await));
            });
        }
    }

    /// Reads the folder and brings the store to it.
    fn reload(&mut self) -> anyhow::Result<()> {
        let mut read = folder::read(&self.root);
        let mut files: BTreeMap<ObjectKey, Vec<Problem>> = BTreeMap::new();
        for problem in std::mem::take(&mut read.problems) {
            files.entry(problem.object.clone()).or_default().push(problem);
        }
        let old: Vec<ObjectKey> = self
            .engine
            .rows::<InputProblems>()
            .filter(|p| p.key.kind.kind == "File" && !files.contains_key(&p.key))
            .map(|p| p.key.clone())
            .collect();
        for key in old {
            self.engine.remove::<InputProblems>(&key);
        }
        for (key, problems) in files {
            self.engine.put(InputProblems { key, problems });
        }
        let mut writes = Vec::new();
        let mut wanted = BTreeSet::new();
        let mut namespaces: BTreeSet<Name> = BTreeSet::new();
        for object in read.objects {
            let object = with_namespace(object);
            wanted.insert(object.key.clone());
            namespaces.insert(object.key.name.namespace.clone());
            writes.push(Write::Apply(Box::new(object), GIT));
        }
        for namespace in namespaces.into_iter().filter(|n| !n.is_empty()) {
            let key = ObjectKey::new("", "Namespace", "", namespace.clone());
            if !wanted.contains(&key) && self.store.get(&key).is_none() {
                writes.insert(0, Write::Apply(Box::new(namespace_object(&namespace)), OURS));
            }
        }
        // Prune what we applied and is no longer there; an unreadable file removes nothing that stood in it.
        let gone =
            self.store.list().filter(|s| s.manager == GIT && !wanted.contains(&s.object.key)).filter(|s| {
                match &s.object.origin.source {
                    Some(source) => !read.unsure.iter().any(|file| *file == *source.file),
                    None => read.unsure.is_empty(),
                }
            });
        writes.extend(gone.map(|s| Write::Delete(s.object.key.clone(), GIT)).collect::<Vec<_>>());
        self.write(writes)
    }

    fn write(&mut self, writes: Vec<Write>) -> anyhow::Result<()> {
        let targets: Vec<ObjectKey> = writes
            .iter()
            .map(|w| match w {
                Write::Apply(object, _) => object.key.clone(),
                Write::Delete(key, _) => key.clone(),
            })
            .collect();
        for (key, written) in targets.into_iter().zip(self.store.write(writes, now())?) {
            match written {
                Written::Applied(object) => self.put_object(&object),
                Written::Deleted(key) => {
                    tracing::info!(object = %key, "removed");
                    world::remove(&mut self.engine, &key);
                }
                Written::Unchanged => {}
                Written::OwnedBy(_, owner) => {
                    self.refused_writes.insert(key.clone(), owner.clone());
                    let problem = Problem {
                        object: key.clone(),
                        code: Code(101),
                        field: "".into(),
                        severity: Severity::Error,
                        message: format!("{key} is written by {owner} already, who keeps it"),
                        hint: "remove one of the two writers".into(),
                    };
                    self.engine.put(InputProblems { key, problems: vec![problem] });
                }
            }
            self.facts = true;
        }
        Ok(())
    }

    fn put_object(&mut self, object: &Object) {
        let taken = intake(object);
        if let Some(fact) = taken.fact {
            world::put(&mut self.engine, fact);
        }
        if taken.problems.is_empty() {
            self.engine.remove::<InputProblems>(&object.key);
        } else {
            self.engine.put(InputProblems { key: object.key.clone(), problems: taken.problems });
        }
        self.facts = true;
    }

    /// Steps until nothing follows from the last step any more. Feedback inside is bounded: addresses only.
    fn settle(&mut self) -> anyhow::Result<()> {
        for _ in 0..8 {
            self.facts = false;
            let step = self.engine.step(now().0);
            self.steps += 1;
            self.runs += step.runs() as u64;
            self.next_due = step.next_due.map(Instant);
            for error in &step.errors {
                tracing::error!(%error, "engine");
            }
            for conflict in &step.conflicts {
                tracing::error!(?conflict, "two rules make one row");
            }
            for held in &step.held {
                tracing::error!(?held, "a rule failed; its last good rows are kept");
            }
            self.give_addresses(&step)?;
            self.publish_roots(&step)?;
            if self.wire.take(&step) {
                self.wanted.send_replace(Arc::new(self.wire.resources.clone()));
            }
            let wishes: Vec<IssueWanted> =
                step.of::<IssueWanted>().iter().filter_map(|c| c.after.as_deref().cloned()).collect();
            for wanted in wishes {
                self.sign(wanted);
            }
            for change in step.of::<EntryPoint>() {
                match &change.after {
                    Some(entry) if entry.probe => {
                        let before = change.before.as_ref();
                        let same = before.is_some_and(|b| {
                            b.probe && b.url == entry.url && b.certificate == entry.certificate
                        });
                        if !same {
                            self.to_probe.insert(change.key.clone());
                        }
                    }
                    _ => {
                        self.to_probe.remove(&change.key);
                        self.probing.remove(&change.key);
                    }
                }
            }
            if self.wire.settled() {
                self.start_probes();
            }
            let gone: Vec<Name> = step
                .of::<EntryPoint>()
                .iter()
                .filter(|c| c.after.as_ref().is_none_or(|e| !e.probe))
                .map(|c| c.key.clone())
                .collect();
            for host in gone {
                if self.engine.get::<Probe>(&host).is_some() {
                    self.engine.remove::<Probe>(&host);
                    self.facts = true;
                }
            }
            if !self.facts {
                break;
            }
        }
        Ok(())
    }

    fn give_addresses(&mut self, step: &Changes) -> anyhow::Result<()> {
        let changed: Vec<(NamespacedName, Option<Arc<Gateway>>)> =
            step.of::<Gateway>().iter().map(|c| (c.key.clone(), c.after.clone())).collect();
        if changed.is_empty() {
            return Ok(());
        }
        for (key, gateway) in changed {
            let address = gateway.and_then(|g| self.addresses.of(&g));
            if self.engine.get::<GatewayAddress>(&key).as_deref() == address.as_ref() {
                continue;
            }
            match address {
                Some(address) => self.engine.put(address),
                None => self.engine.remove::<GatewayAddress>(&key),
            }
            self.facts = true;
        }
        self.state.write("addresses.json", &self.addresses.save()).context("addresses cannot be saved")?;
        Ok(())
    }

    /// `ca.pem` holds the public roots of what the listeners serve, so that `curl --cacert` works. It never enters a
    /// trust store.
    fn publish_roots(&self, step: &Changes) -> anyhow::Result<()> {
        if step.of::<Secret>().is_empty() && step.of::<ListenerCertificate>().is_empty() {
            return Ok(());
        }
        let secrets: BTreeSet<NamespacedName> =
            self.engine.rows::<ListenerCertificate>().filter_map(|l| l.secret.clone().ok()).collect();
        let roots: BTreeSet<Vec<u8>> = secrets
            .iter()
            .filter_map(|key| {
                self.engine.get::<Secret>(key)?.data.get("ca.crt").map(|pem| pem.expose().to_vec())
            })
            .collect();
        self.state.write("ca.pem", &roots.into_iter().flatten().collect::<Vec<u8>>()).context("ca.pem")?;
        Ok(())
    }

    fn sign(&mut self, wanted: IssueWanted) {
        if self.signing.get(&wanted.key) == Some(&wanted) {
            return;
        }
        self.signing.insert(wanted.key.clone(), wanted.clone());
        let ca = match &wanted.signer {
            Signer::SelfSigned => None,
            Signer::Ca(secret) => self.engine.get::<Secret>(secret),
        };
        let present = self.engine.get::<Secret>(&wanted.secret);
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let result = sign::sign(&wanted, ca.as_deref(), present.as_deref(), now());
            let _ = events.send(Event::Signed(Box::new(wanted), result));
        });
    }

    fn signed(&mut self, wanted: &IssueWanted, result: Result<Object, String>) -> anyhow::Result<()> {
        // Only the latest wish counts: a certificate for a request that changed meanwhile is thrown away.
        if self.signing.get(&wanted.key) != Some(wanted) {
            return Ok(());
        }
        self.signing.remove(&wanted.key);
        match result {
            Ok(object) => {
                self.engine.remove::<IssueFailure>(&wanted.key);
                self.write(vec![Write::Apply(Box::new(object), OURS)])?;
            }
            Err(message) => {
                let retry_at = now().plus_millis(60_000);
                self.engine.put(IssueFailure {
                    key: wanted.key.clone(),
                    wanted: wanted.clone(),
                    message,
                    retry_at,
                });
            }
        }
        self.facts = true;
        Ok(())
    }

    fn probe_of(&self, host: &Name) -> Option<portolan_effects::probe::Ask> {
        let entry = self.engine.get::<EntryPoint>(host)?;
        let roots = match &entry.certificate {
            None => None,
            Some((secret, _)) => {
                let secret = self.engine.get::<Secret>(secret)?;
                // A Secret without ca.crt: its own chain is the anchor, so that names and dates are still verified.
                let pem = secret.data.get("ca.crt").or_else(|| secret.data.get("tls.crt"))?;
                Some(pem.expose().to_vec())
            }
        };
        let address = format!("{}:{}", entry.address, entry.port).parse().ok()?;
        Some(portolan_effects::probe::Ask { host: host.to_string(), address, roots })
    }

    fn start_probes(&mut self) {
        for host in std::mem::take(&mut self.to_probe) {
            let Some(ask) = self.probe_of(&host) else { continue };
            self.attempts += 1;
            let (attempt, events) = (self.attempts, self.events.clone());
            self.probing.insert(host.clone(), attempt);
            tokio::spawn(async move {
                let _ = events.send(Event::Probed(host, attempt, portolan_effects::probe::probe(ask).await));
            });
        }
    }

    fn answer(&mut self, what: api::What) -> Result<Value, String> {
        match what {
            api::What::Status => Ok(status::status(&self.engine, &self.store, &self.run)),
            api::What::Explain(host) => status::explain(&self.engine, &self.store, &host)
                .ok_or_else(|| format!("no route asks for {host}; hostnames are listed by: portolan status")),
            api::What::Metrics => Ok(json!({"text": self.metrics()})),
            api::What::Down => Ok(json!({"message": "stopping"})),
            api::What::Renew(name) => {
                let (namespace, name) = name.split_once('/').unwrap_or(("", &name));
                let key = NamespacedName::new(namespace, name);
                let certificate = self
                    .engine
                    .get::<Certificate>(&key)
                    .ok_or_else(|| format!("Certificate {key} does not exist"))?;
                self.engine.put(Certificate { renew_at: Some(now()), ..(*certificate).clone() });
                self.facts = true;
                Ok(json!({"message": format!("Certificate {key} is being renewed")}))
            }
        }
    }

    fn metrics(&self) -> String {
        use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};
        let mut registry = Registry::with_prefix("portolan");
        let mut gauge = |name: &str, help: &str, value: u64| {
            let made: Gauge = Gauge::default();
            made.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(name, help, made);
        };
        let count =
            |state: State| self.engine.rows::<EntryPoint>().filter(|e| e.state == state).count() as u64;
        gauge("entry_points_live", "Hostnames that answer", count(State::Live));
        gauge("entry_points_pending", "Hostnames on their way", count(State::Pending));
        gauge("entry_points_refused", "Hostnames that need an edit", count(State::Refused));
        gauge("findings", "Problems", self.engine.rows::<world::Finding>().count() as u64);
        gauge("engine_steps", "Steps since start", self.steps);
        gauge("engine_rule_runs", "Rule runs since start", self.runs);
        let mut text = String::new();
        let _ = encode(&mut text, &registry);
        text
    }
}

/// Kinds without a namespace; every other object without one goes to `default`.
const CLUSTER_SCOPED: [&str; 12] = [
    "Namespace",
    "GatewayClass",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PersistentVolume",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ClusterPolicy",
    "PriorityClass",
];

fn with_namespace(mut object: Object) -> Object {
    if object.key.name.namespace.is_empty() && !CLUSTER_SCOPED.contains(&&*object.key.kind.kind) {
        object.key.name.namespace = "default".into();
        let json = Arc::make_mut(&mut object.json);
        if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("namespace".into(), "default".into());
        }
    }
    object
}

fn namespace_object(name: &str) -> Object {
    let json = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/metadata.name": name, MANAGED_BY.0: MANAGED_BY.1},
        },
    });
    Object::from_json(json, Origin::default()).expect("kind and name are set above")
}

/// Where Envoy is looked for.
pub fn envoy_program(named: Option<&Path>) -> PathBuf {
    named.map(Path::to_owned).or_else(|| tool("envoy")).unwrap_or_else(|| "envoy".into())
}

/// An outside program: `.tools/bin` beside this program or in the working directory, then `PATH`.
pub fn tool(name: &str) -> Option<PathBuf> {
    let near = std::env::current_exe()
        .ok()
        .into_iter()
        .flat_map(|exe| exe.ancestors().map(|dir| dir.join(".tools/bin").join(name)).collect::<Vec<_>>());
    let here = std::env::current_dir().ok().map(|dir| dir.join(".tools/bin").join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join(name)).collect();
    near.chain(here).chain(path).find(|path| path.is_file())
}
