//! `portolan run`: objects come from an API server, and what is written goes there.
//!
//! ```text
//!  API server ──watch──► Mirror ──door, intake──► rules ──► Envoys (every replica)
//!      ▲                                            │
//!      └── statuses, events ◄── while it leads ◄────┘
//! ```
//!
//! Nothing is taken away for want of sight: what a kind that cannot be read had stays in the rows, and before enough was seen
//! nobody is told anything ([`views`]).

mod counterparts;
mod follow;
mod kinds;
mod leader;
mod orders;
mod outside;
mod platform;
mod range;
mod taking;
mod telling;
mod views;
mod xds;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use portolan_core::{
    capability::{self, Asked, Capability, Mode},
    certificates::rows::{RealAcme, Settings, ShimSettings},
    conditions::rows::ObjectStatus,
    door::Definitions,
    gateway::rows::{DialledBackends, InCluster, SystemRoots, Unread},
    infrastructure::rows::FleetSettings,
    lease::Terms,
    world,
};
use portolan_effects::{
    echo::Echo,
    state_dir::{StateDir, sockets},
    store::View,
};
use portolan_engine::Changes;
use portolan_kubernetes::{Api, KubernetesStore, Mirror, Options, cluster};
use portolan_model::{Kind, Name, NamespacedName, ObjectKey, Problem, input::SourceProblems};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::sync::watch;

use super::{Driver, Event, envoy::EnvoyState, metrics::gauge, reaction::Reaction, source::Source, up};
use crate::{
    api,
    cli::Run,
    effects::{self, Context, ca::Ca},
    rights::Right,
    wire::Wire,
};
use counterparts::Sightings;
use leader::{Candidate, Place};
use orders::OrderSecrets;
use platform::Own;
pub use platform::{InKubernetes, Request};
use range::Given;
pub use range::Range;
use views::{Kinds, Seen};

/// How long Envoys are not told of a first translation for the sake of Secrets and ConfigMaps that are there and not read yet: what serves since
/// before would refuse their handshakes. One that cannot be read at all harms its own listeners only.
const READING: Duration = Duration::from_secs(10);

/// What was seen of the cluster.
pub enum Told {
    /// These objects are other than before, or gone.
    Changed(Vec<ObjectKey>),
    /// Which are is not known.
    All,
    /// How each kind is seen.
    Views(BTreeMap<Kind, View>),
    /// Who writes.
    Lease(leader::Standing),
    /// Which controllers that do what we do run there.
    Counterparts(Sightings),
    /// What Envoys are to trust, PEM, and why there is no certificate that they would.
    Trust { bundle: Option<String>, failure: Option<String> },
}

/// An API server as the source of objects.
pub struct Cluster {
    kinds: Kinds,
    definitions: Definitions,
    /// Objects of which something is said that their intake does not say.
    said: BTreeSet<ObjectKey>,
    /// Objects that were taken up since statuses were asked for.
    touched: BTreeSet<ObjectKey>,
    /// Secrets and ConfigMaps whose content is needed, with how many objects need each.
    looked_into: BTreeMap<ObjectKey, usize>,
    given: Option<Given>,
    /// Slices with Envoys that are ready, by Gateway.
    ready_slices: BTreeMap<NamespacedName, BTreeSet<ObjectKey>>,
    /// What Envoys of Gateways are made of, where they are made.
    fleet: Option<FleetSettings>,
    asked: BTreeMap<Capability, Asked>,
    standings: Vec<capability::Standing>,
    lease: leader::Standing,
    candidate: Option<Candidate>,
    /// Whether anything may be written, for whoever keeps the CA under xDS.
    acts: watch::Sender<bool>,
    /// What it takes part in the election with.
    election: (Api, Place, Name, Terms),
    /// Envoys have been told all that was seen when enough was.
    ready: bool,
    /// Until when the first translation waits for the content of Secrets and ConfigMaps.
    reading: Option<tokio::time::Instant>,
    /// Findings that came and went since they were told.
    findings: BTreeMap<Problem, bool>,
}

impl Source for Cluster {
    type On = InKubernetes;

    fn take(driver: &mut Driver<Self>, event: Event) {
        let Event::Cluster(told) = event else { return };
        match told {
            Told::Changed(keys) => driver.take_objects(keys),
            Told::All => {
                let keys = driver.cx.store.all();
                driver.take_objects(keys);
            }
            Told::Views(views) => driver.take_views(views),
            Told::Lease(standing) => driver.take_lease(standing),
            Told::Counterparts(seen) => driver.take_counterparts(&seen),
            Told::Trust { bundle, failure } => driver.take_trust(bundle, failure),
        }
        driver.cx.facts = true;
    }

    fn note(driver: &mut Driver<Self>, step: &Changes) {
        for change in step.of::<world::Finding>() {
            driver.source.findings.insert(change.key.clone(), change.after.is_some());
        }
    }

    fn follow(driver: &mut Driver<Self>, step: &Changes) {
        driver.follow_contents(step);
    }

    fn holds(driver: &mut Driver<Self>) -> bool {
        // Before anything is published: an Envoy that waits for it would be told what is known in part. It is let go of after what is
        // whole was published (`settled`).
        if driver.source.kinds.seen() != Seen::Whole {
            driver.board.hold_back(true);
        }
        driver.source.kinds.seen() == Seen::TooLittle || driver.awaits_contents()
    }

    fn settled(driver: &mut Driver<Self>) {
        driver.assert_statuses();
        if driver.source.fleet.is_some() && driver.wire.trust_others(&driver.board, &mut driver.cx.engine) {
            // Facts for another step.
            let _ = driver.events.send(Event::Cluster(Told::Changed(Vec::new())));
        }
        let seen = driver.source.kinds.seen();
        driver.board.hold_back(seen != Seen::Whole);
        if seen != Seen::TooLittle && !driver.source.ready && driver.board.is_known() {
            driver.source.ready = true;
            driver.cx.is_read = true;
            tracing::info!("ready: what was seen is translated");
            driver.lead();
        }
    }

    fn tell(driver: &mut Driver<Self>) {
        driver.tell_findings();
    }

    fn is_event(driver: &Driver<Self>, problem: &Problem) -> bool {
        // Others have objects of the same kinds: nothing is written about those that have no status of ours.
        let acts = driver.cx.acts(Capability::of_kind(&problem.object.kind));
        acts && driver.cx.engine.get::<ObjectStatus>(&problem.object).is_some()
    }

    fn is_starting(driver: &Driver<Self>) -> bool {
        !driver.source.ready
    }

    fn status(driver: &mut Driver<Self>) -> Value {
        driver.status_of_cluster()
    }

    fn change(_: &mut Driver<Self>, _: api::What) -> Result<Value, String> {
        Err("in a cluster nothing is changed through the API: change the objects".to_owned())
    }

    fn metrics(driver: &Driver<Self>, registry: &mut Registry) {
        let source = &driver.source;
        gauge(registry, "ready", "Whether what was seen first is translated", source.ready.into());
        gauge(registry, "leader", "Whether this replica writes", source.lease.leads.into());
        let blind = source.kinds.views().values();
        let blind = blind.filter(|view| matches!(view, View::Refused(_) | View::Failing(_))).count();
        gauge(registry, "envoys", "Streams of Envoys that are open", driver.envoy.streams() as u64);
        gauge(registry, "unseen_kinds", "Kinds that may not, or cannot, be read", blind as u64);
    }
}

/// What is done at the API server beside the effects: kinds are followed, others looked for, a Lease held, tokens reviewed.
pub fn rights() -> Vec<Right> {
    const READ: &[&str] = &["get", "list", "watch"];
    let mut all: Vec<Right> = kinds::resources()
        .map(|(of, group, resource)| Right::anywhere(group, resource, READ).of(of))
        .collect();
    all.push(Right::anywhere("apiextensions.k8s.io", "customresourcedefinitions", READ));
    all.push(Right::anywhere("apps", "deployments", &["list"]));
    all.push(Right::anywhere("coordination.k8s.io", "leases", &["list"]));
    all.push(Right::own("coordination.k8s.io", "leases", &["get", "create", "update"]));
    all.extend(xds::rights());
    all.extend(orders::rights());
    all
}

/// `portolan run`.
///
/// # Errors
/// When it cannot run at all: exit code 2.
pub async fn run(args: Run) -> anyhow::Result<u8> {
    if args.print_bootstrap {
        crate::out::json(&bootstrap(&args))?;
        return Ok(0);
    }
    let asked: BTreeMap<Capability, Asked> = args.capability.iter().copied().collect();
    anyhow::ensure!(
        asked.get(&Capability::Gateway) != Some(&Asked::Off),
        "gateway cannot be off: Envoys are served whatever else is done; gateway=observe writes nothing for it"
    );
    let cluster_namespace = args.cluster_resource_namespace()?;
    let cluster = cluster::named(args.kubeconfig.as_deref(), args.context.as_deref()).await;
    let cluster::Cluster { server, namespace, client } = cluster.map_err(|why| anyhow::anyhow!("{why}"))?;
    let api = Api::new(client.clone());
    api.get("/version").await.with_context(|| format!("the API server at {server} cannot be asked"))?;
    up::more_files();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let (state, temporary) = state(&args)?;
    portolan_model::redacted::key_fingerprints(&state.fingerprint_key()?);
    let namespace = args.namespace.clone().unwrap_or_else(|| namespace.into());
    let place = Place { namespace, name: args.lease.clone() };
    let outside = outside::start(&args, &state, &api, &place).await?;
    let outside::Outside { events, wake, board, envoy, mut run, xds, acts, stop } = outside;
    run["server"] = server.clone().into();
    let me = identity(&args);
    let seen = counterparts::look(&api).await;
    let off = |name| asked.get(&name) == Some(&Asked::Off);
    let mut options = Options::new(kinds::followed(!off(Capability::Certificates)));
    options.namespaces = args.watch_namespace.iter().cloned().collect();
    options.controllers = args.controller.iter().cloned().collect();
    options.instance = me.clone();
    let store = KubernetesStore::open(client, options).await;
    tokio::spawn(follow::follow(store.clone(), wake.clone()));
    tokio::spawn(counterparts::follow(api.clone(), seen.clone(), wake.clone()));
    run["identity"] = me.to_string().into();
    let terms = Terms { lasts: args.lease_time, within: args.lease_time * 2 / 3, ..Terms::default() };
    let orders = OrderSecrets::new(api.clone(), place.clone());
    let sockets = sockets::folder(state.path()).unwrap_or_else(|| state.path().to_owned());
    let source = Cluster {
        kinds: Kinds::default(),
        definitions: Definitions::default(),
        said: BTreeSet::new(),
        touched: BTreeSet::new(),
        looked_into: BTreeMap::new(),
        ready_slices: BTreeMap::new(),
        // Who gives them addresses of a machine has Envoys of their own there.
        fleet: xds.filter(|_| args.gateway_addresses.is_none()).map(|at| xds::fleet(at, &args.envoy_image)),
        given: args.gateway_addresses.map(Given::new),
        asked,
        standings: Vec::new(),
        lease: leader::Standing::default(),
        candidate: None,
        acts,
        election: (api, place, me, terms),
        ready: false,
        reading: None,
        findings: BTreeMap::new(),
    };
    let stirred = wake.clone();
    let waker: effects::Wake = Arc::new(move || drop(stirred.send(Event::Answered)));
    let mut driver: Driver<Cluster> = Driver {
        source,
        effects: effects::for_run(&waker),
        wire: Wire::new(Echo::new(&sockets, None)),
        board,
        events: wake,
        run,
        next_due: None,
        steps: 0,
        runs: 0,
        reaction: Reaction::default(),
        envoy: EnvoyState::new(envoy.is_none()),
        held: Arc::default(),
        cx: Context::new(
            world::engine(),
            Mirror::new(store),
            state,
            Ca::none(Arc::new(orders)),
            Own::new(&waker),
        ),
    };
    driver.cx.engine.put(DialledBackends { key: Name::default(), real: true, alone: true });
    if let Some(path) = crate::roots::system_roots() {
        driver.cx.engine.put(SystemRoots { key: Name::default(), path: path.into() });
    }
    driver.cx.engine.put(InCluster { key: Name::default(), controllers: args.controller.clone() });
    driver.cx.engine.put(RealAcme { key: Name::default() });
    driver.cx.engine.put(Settings {
        key: Name::default(),
        cluster_resource_namespace: cluster_namespace,
        shim: ShimSettings::default(),
    });
    driver.take_counterparts(&seen);
    if let Some(settings) = driver.source.fleet.clone() {
        driver.cx.engine.put(settings);
    }
    if envoy.is_some() {
        driver.await_envoy();
    }
    tracing::info!(
        server,
        api = driver.run["api"].as_str(),
        xds = driver.run["xds"].as_str(),
        identity = driver.run["identity"].as_str(),
        "portolan runs"
    );
    let ran = driver.run(events).await;
    // Another may write from here on; Envoys serve on what they have.
    driver.cx.store.store().lead(false);
    if let Some(candidate) = driver.source.candidate.take() {
        candidate.stop().await;
    }
    driver.finish().await;
    drop(stop);
    if let Some(envoy) = envoy {
        envoy.stop().await;
        sockets::remove(driver.cx.state.path());
    }
    drop(temporary);
    ran
}

/// The start configuration of an Envoy that asks there.
fn bootstrap(args: &Run) -> Value {
    if !xds::is_open(args.xds_listen) {
        let admin = std::path::Path::new("/tmp/portolan-envoy-admin.sock");
        return portolan_envoy::bootstrap::bootstrap_at(&[args.xds_listen], admin);
    }
    let namespace = args.namespace.as_deref().unwrap_or("default");
    let secret = xds::secret(&args.lease);
    let at = || (format!("{secret}.{namespace}.svc"), args.xds_listen.port());
    xds::fleet(args.xds_address.clone().unwrap_or_else(at), &args.envoy_image).bootstrap
}

/// Where the files of a local Envoy are; one that was not asked for goes with the second value.
fn state(args: &Run) -> anyhow::Result<(StateDir, Option<tempfile::TempDir>)> {
    if let Some(state) = &args.state {
        return Ok((StateDir::open(state)?, None));
    }
    let made = tempfile::Builder::new().prefix("portolan-run-").tempdir();
    let made = made.context("no directory can be made for the files of this run; name one with --state")?;
    Ok((StateDir::open(&made.path().join("state"))?, Some(made)))
}

/// A name that no other process has: a replica that is started anew is another one.
fn identity(args: &Run) -> Name {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = args.identity.as_ref().map_or(host.trim(), |name| &**name);
    format!("{name}_{:016x}", crate::effects::seed()).into()
}

impl Driver<Cluster> {
    /// Whether the first translation waits for the content of Secrets and ConfigMaps.
    fn awaits_contents(&mut self) -> bool {
        let unread = || {
            let needed = |key: &ObjectKey| self.cx.engine.get::<Unread>(key).is_some();
            self.source.looked_into.keys().any(needed)
        };
        let waits = !self.source.ready && unread();
        let now = tokio::time::Instant::now();
        let until = *self.source.reading.get_or_insert(now + READING);
        let waits = waits && now < until;
        // It is looked at again then, whatever happens meanwhile.
        self.cx.patience = waits.then_some(until);
        waits
    }

    /// How kinds are seen now.
    fn take_views(&mut self, views: BTreeMap<Kind, View>) {
        for kind in self.source.kinds.take(views) {
            let key = views::key(&kind);
            let known = self.cx.store.count(&kind);
            let Some(view) = self.source.kinds.views().get(&kind) else { continue };
            match views::problem(&kind, view, known) {
                Some(problem) => self.cx.engine.put(SourceProblems { key, problems: vec![problem] }),
                None if self.cx.engine.get::<SourceProblems>(&key).is_some() => {
                    self.cx.engine.remove::<SourceProblems>(&key);
                }
                None => {}
            }
        }
        self.lead();
    }

    /// Another may write, or we may.
    fn take_lease(&mut self, standing: leader::Standing) {
        if standing.leads != self.source.lease.leads {
            let holder = standing.holder.as_deref();
            if standing.leads {
                tracing::info!(holder, "this replica leads: it writes");
            } else {
                tracing::info!(holder, "this replica does not lead any more");
            }
        }
        let key = ObjectKey::new("coordination.k8s.io", "Lease", "", "portolan");
        match &standing.failure {
            Some(why) => self
                .cx
                .engine
                .put(SourceProblems { key: key.clone(), problems: vec![telling::no_lease(key, why)] }),
            None if self.source.lease.failure.is_some() => self.cx.engine.remove::<SourceProblems>(&key),
            None => {}
        }
        let began = standing.leads && !self.source.lease.leads;
        self.source.lease = standing;
        self.lead();
        if began {
            // Gateways that nobody gave an address to.
            self.give_addresses();
        }
    }

    /// The CA under xDS is another, or cannot be used.
    fn take_trust(&mut self, bundle: Option<String>, failure: Option<String>) {
        let (_, place, ..) = &self.source.election;
        let key = xds::key(&Place { name: xds::secret(&place.name).into(), ..place.clone() });
        match failure {
            Some(why) => {
                let problems = vec![xds::problem(key.clone(), &why)];
                self.cx.engine.put(SourceProblems { key, problems });
            }
            None if self.cx.engine.get::<SourceProblems>(&key).is_some() => {
                self.cx.engine.remove::<SourceProblems>(&key);
            }
            None => {}
        }
        if let (Some(fleet), Some(bundle)) = (&mut self.source.fleet, bundle) {
            xds::trust(fleet, &bundle);
            self.cx.engine.put(fleet.clone());
        }
    }

    /// Writes only where it leads, may act, and knows what it says.
    fn lead(&mut self) {
        let acts = self.source.standings.iter().any(|one| one.mode == Mode::Act);
        let leads = self.source.lease.leads && acts && self.source.ready;
        self.cx.store.store().lead(leads);
        let kinds = &self.source.kinds;
        let acting = self.source.standings.iter().filter(|one| leads && one.mode == Mode::Act);
        let acting = acting.map(|one| one.name).filter(|name| kinds.is_seen_for(*name)).collect();
        if self.cx.own.act(acting) {
            // What was wanted while somebody else wrote, or nobody did, is asked for now.
            self.cx.again = true;
            self.cx.recovered = true;
            let _ = self.events.send(Event::Cluster(Told::Changed(Vec::new())));
            self.source.touched.extend(self.cx.engine.rows::<ObjectStatus>().map(|row| row.key.clone()));
        }
    }

    /// What each capability does, given who else is there.
    fn take_counterparts(&mut self, seen: &Sightings) {
        let asked = |name: Capability| self.source.asked.get(&name).copied();
        let standings: Vec<capability::Standing> = Capability::ALL
            .into_iter()
            .map(|name| {
                let seen = seen.get(&name).unwrap_or(&capability::Sighting::Absent);
                capability::stand(name, asked(name), seen)
            })
            .collect();
        for standing in &standings {
            let before = self.source.standings.iter().find(|before| before.name == standing.name);
            if before.is_none_or(|before| before != standing) {
                let mode = serde_json::to_value(standing.mode).unwrap_or_default();
                tracing::info!(
                    capability = standing.name.name(),
                    mode = mode.as_str(),
                    why = standing.why,
                    "capability"
                );
            }
            let key = ObjectKey::new("", "Capability", "", standing.name.name());
            match capability::problem(standing, asked(standing.name)) {
                Some(problem) => self.cx.engine.put(SourceProblems { key, problems: vec![problem] }),
                None if self.cx.engine.get::<SourceProblems>(&key).is_some() => {
                    self.cx.engine.remove::<SourceProblems>(&key);
                }
                None => {}
            }
        }
        let acts = standings.iter().any(|standing| standing.mode == Mode::Act);
        self.source.standings = standings;
        self.source.acts.send_if_modified(|before| std::mem::replace(before, acts) != acts);
        // Who only observes writes no Lease either.
        match self.source.candidate.take() {
            None if acts => {
                let (api, place, me, terms) = self.source.election.clone();
                self.source.candidate = Some(Candidate::start(api, place, me, terms, self.events.clone()));
            }
            Some(candidate) if !acts => {
                self.source.lease = leader::Standing::default();
                tokio::spawn(candidate.stop());
            }
            candidate => self.source.candidate = candidate,
        }
        self.lead();
    }
}
