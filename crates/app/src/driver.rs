//! One task owns the engine: facts in, step, changes out. Nothing is decided here.

mod accounts;
mod acme;
mod admission;
mod answers;
mod batch;
mod conditions;
mod damaged;
mod dns;
mod envoy;
mod envoy_keeper;
mod events;
mod filling;
mod held;
mod keep;
mod late;
mod listeners;
mod metrics;
mod objects;
mod outside;
mod probes;
mod prune;
mod reaction;
mod real_dns;
mod recheck;
mod records;
mod reload;
mod secrets;
mod shims;
mod signing;
mod tell;
mod temporary;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use portolan_core::{
    World,
    certificates::{
        acme::{Failure, OrderState},
        rows::{Account, AccountWanted, IssueWanted, TemporaryWanted},
    },
    gateway::rows::DialledBackends,
    secrets::rows::UnsealWanted,
    world,
};
use portolan_effects::{
    dns::{DurableDns, keeper},
    echo::{self, Echo},
    envoy_process,
    folder::Burst,
    probe::Outcomes,
    render::{Difference, Jobs, Tools, Tree},
    sealed::{Executed, SealingKeys, Templates},
    state_dir::{StateDir, sockets},
    store::Store,
};
use portolan_engine::{Engine, Held};
use portolan_envoy::{board::Board, serve::Report};
use portolan_model::{Instant, Name, NamespacedName, ObjectKey, Redacted};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use acme::Acme;
use dns::Dns;
use envoy::EnvoyState;
use filling::Filling;
use reaction::Reaction;
use real_dns::{Readings, RealDns};
use reload::Reading;
use signing::{Made, Signing};
use tell::View;

use crate::{
    addresses::{self, Addresses, Claim, only_loopback, range_of},
    api,
    cli::Up,
    instance,
    wire::Wire,
};

/// Manager of what comes from the repository, and of what Portolan makes.
const GIT: &str = "git";
const OURS: &str = "portolan";

/// How long after a refused write the work tree is read again.
const REWRITE: Duration = Duration::from_secs(5);

/// Connections of probes open at once.
const PROBES: usize = 64;

/// Something that happened outside.
pub enum Event {
    Folder(Burst),
    /// Paths that may have been in the middle of something when they were read.
    LookAgain,
    /// A rendering has ended that no reading has waited for.
    Rendered,
    /// One may still go on.
    StillRendering,
    Read(Box<Tree>, Box<Difference>),
    Xds(Report),
    AccountKey(Box<AccountWanted>, Result<Redacted, String>),
    Registered(Box<AccountWanted>, Result<Account, Failure>),
    Requested(Box<IssueWanted>, String),
    Signed(Box<IssueWanted>, Result<Box<Made>, String>),
    Temporary(Arc<TemporaryWanted>, Result<Box<portolan_model::Object>, String>),
    /// Go templates of a SealedSecret were executed.
    Filled(Arc<UnsealWanted>, Box<Executed>),
    Ordered(NamespacedName, Box<OrderState>),
    OrderFailed(Box<IssueWanted>, Failure),
    Probed(Outcomes<(Name, u64)>),
    /// What did not answer is due again.
    ProbeAgain,
    /// What has answered is asked again.
    Recheck,
    Rechecked(Outcomes<Name>),
    Dns(Box<keeper::Report>),
    /// Zones of real servers were read.
    ZonesRead(Box<Readings>),
    /// Some could not be, and are due again.
    ReadZones,
    Ask(api::Ask),
    /// How, and the end of its log.
    EnvoyEnded(String, String),
    /// Another could not take over from it, and why, with the end of the other's log.
    EnvoyKept(String, String),
    /// It had time to connect.
    EnvoyAwaited,
    Interrupt,
}

impl Event {
    /// Whether facts may come with it. Who only asks causes no step, nor does what begins with it: a reading, probes.
    fn stirs(&self) -> bool {
        match self {
            Self::Ask(ask) => ask.what.changes(),
            Self::Folder(_)
            | Self::LookAgain
            | Self::Rendered
            | Self::StillRendering
            | Self::ProbeAgain
            | Self::ReadZones
            | Self::Recheck
            | Self::Rechecked(_)
            | Self::Xds(Report::Connected | Report::Disconnected) => false,
            _ => true,
        }
    }
}

#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
pub struct Driver {
    engine: Engine<World>,
    store: Store,
    state: StateDir,
    root: PathBuf,
    wire: Wire,
    board: Arc<Board>,
    addresses: Addresses,
    /// Held for as long as the driver lives.
    _claim: Option<Claim>,
    events: mpsc::UnboundedSender<Event>,
    signing: BTreeMap<NamespacedName, Signing>,
    /// Temporary certificates that are being made.
    temporaries: BTreeMap<NamespacedName, Arc<TemporaryWanted>>,
    /// Hosts that are being probed, with the number of the latest attempt.
    probing: BTreeMap<Name, u64>,
    to_probe: BTreeSet<Name>,
    /// Hosts whose probe has failed and is made again in a while.
    unanswered: BTreeSet<Name>,
    /// One for each connection of probes that may be open.
    probes: Arc<Semaphore>,
    attempts: u64,
    /// Of what is asked again.
    beat: usize,
    run: Value,
    next_due: Option<Instant>,
    steps: u64,
    runs: u64,
    facts: bool,
    reading: Reading,
    reaction: Reaction,
    /// Objects with a problem of what Portolan writes itself; until the next reading.
    own_problems: BTreeSet<ObjectKey>,
    acme: Acme,
    envoy: EnvoyState,
    view: View,
    dns: Dns,
    /// The store refused a write: the work tree is read again in a while.
    unwritten: bool,
    /// It has taken none since.
    broken: bool,
    /// Until when an Envoy that serves since an earlier run is told nothing if something that is damaged comes back.
    patience: Option<tokio::time::Instant>,
    /// Files of the state directory that could not be written yet.
    unkept: BTreeMap<&'static str, Vec<u8>>,
    /// What is opened and mirrored is written again too.
    rewrite_secrets: bool,
    /// Of the Certificates that shims made before the start, those that nothing asks for have gone.
    shims_known: bool,
    /// Private keys that SealedSecrets are opened with.
    keys: SealingKeys,
    /// Go templates of SealedSecrets.
    filling: Filling,
    /// What was told of failed rules.
    held: Arc<[Held]>,
}

fn now() -> Instant {
    Instant(jiff::Timestamp::now().as_millisecond())
}

/// As many open files as may be: Envoy, which is started with the same limit, needs one for each connection.
fn more_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(why) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%why, "no more files can be open at once");
    }
}

/// `portolan up`.
///
/// # Errors
/// When it cannot run at all: exit code 2.
pub async fn up(args: Up) -> anyhow::Result<u8> {
    let root = crate::folder::of(&args.dir)?;
    let state = match &args.state {
        Some(state) => state.clone(),
        None => instance::default_state(&root, &args.env)?,
    };
    let helm = crate::tools::chosen("helm", args.helm.as_deref(), &root)?;
    let kustomize = crate::tools::chosen("kustomize", args.kustomize.as_deref(), &root)?;
    more_files();
    // Everything below is private unless a mode says otherwise, Envoy's files included.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let state = StateDir::open(&state)?;
    let owner = instance::Owner { root: root.clone(), env: args.env.clone() };
    instance::belongs(state.path(), &owner)?;
    portolan_model::redacted::key_fingerprints(&state.fingerprint_key()?);
    // What a killed run left in it goes with the next one, or with `down`.
    let _ = tempfile::env::override_temp_dir(&sockets::temporary(&state)?);
    let store = Store::open(state.path()).with_context(|| {
        format!(
            "make room on the disk or restore the file from a backup. If it is damaged and there is none, move it out of {}: \
             what the repository says is read again, and certificates and CAs that were issued here are made anew",
            state.path().display()
        )
    })?;
    let saved = addresses::saved(state.path())?;
    if let Some(address) = args.bind {
        instance::bindable(address)?;
    }
    let keys = SealingKeys::load(&args.sealing_key)?;
    // Whatever may refuse comes before Envoy is started: it would be left running.
    let server = DurableDns::start(args.dns_listen, state.path())
        .await
        .with_context(|| instance::taken("--dns-listen", args.dns_listen, state.path()))?;
    let server = Arc::new(server);
    let acme = Acme::start(args.acme_listen, Arc::clone(&server), &state).await?;
    let outside = outside::start(&args, &state, &root).await?;
    let outside::Outside { events, wake, board, envoy, run, sockets: folder, stop } = outside;
    let range = range_of(saved.as_deref(), instance::number_of(state.path()));
    let bind = args.bind.or_else(|| only_loopback(range));
    // Two states may come to the same range: the later one takes the next, and keeps it.
    let listening = envoy_process::addresses(state.path());
    let claim = if bind.is_none() { Claim::of(range, &listening) } else { None };
    let range = claim.as_ref().map_or(range, |claim| claim.range);
    let tools = Tools::found(helm, state.path().join("charts")).kustomize(kustomize);
    let filling = Filling::new(Templates::new(tools.helm.clone(), tools.through.clone()));
    let tools = tools.cluster_labels(args.cluster_label.iter().cloned().collect());
    let tools = match crate::charts::store(args.charts.as_deref()) {
        Some(store) => tools.charts(store),
        None => tools,
    };
    let told = wake.clone();
    let jobs = Jobs::new(move || {
        let _ = told.send(Event::Rendered);
    });
    let tools = tools.jobs(jobs.clone());
    let reading = Reading::new(
        &root,
        args.env.clone(),
        args.root.as_deref(),
        (tools, jobs),
        args.cluster_resource_namespace.as_deref().map(Name::from),
        &store,
        reload::known(&state),
    );
    // Sockets that no Gateway may be given.
    let api = run["api"].as_str().and_then(|address| address.parse().ok());
    let ours = [Some(server.address()), Some(acme.address()), api].into_iter().flatten().collect();
    let real = args.real_dns.then(RealDns::default);
    let dns = Dns::new(server, real, args.drain, args.allow_mass_deletion, wake.clone());
    let mut driver = Driver {
        engine: world::engine(),
        store,
        root,
        wire: Wire::new(Echo::new(&folder, std::fs::read(state.path().join(echo::FILE)).ok().as_deref())),
        board,
        addresses: Addresses::new(saved.as_deref(), range, bind, args.low_ports, ours),
        _claim: claim,
        events: wake,
        signing: BTreeMap::new(),
        temporaries: BTreeMap::new(),
        probing: BTreeMap::new(),
        to_probe: BTreeSet::new(),
        unanswered: BTreeSet::new(),
        probes: Arc::new(Semaphore::new(PROBES)),
        attempts: 0,
        beat: 0,
        run,
        next_due: None,
        steps: 0,
        runs: 0,
        facts: false,
        reading,
        reaction: Reaction::default(),
        own_problems: BTreeSet::new(),
        acme,
        envoy: EnvoyState::default(),
        view: View::new(!args.once),
        dns,
        unwritten: false,
        broken: false,
        patience: envoy.serves.then(|| tokio::time::Instant::now() + damaged::PATIENCE),
        unkept: BTreeMap::new(),
        rewrite_secrets: false,
        shims_known: false,
        keys,
        filling,
        held: Arc::default(),
        state,
    };
    driver.engine.put(DialledBackends { key: Name::default(), real: args.real_backends });
    let served = driver.serve(events, &args, &owner).await;
    driver.view.clear();
    driver.acme.finish().await;
    drop(stop);
    // What cannot be served on must not be left behind; an Envoy that was there before serves on.
    if served.is_ok() || !envoy.adopted {
        envoy.stop().await;
        sockets::remove(driver.state.path());
        let _ = std::fs::remove_file(driver.state.path().join(echo::FILE));
    }
    let _ = std::fs::remove_file(driver.state.path().join("run.json"));
    sockets::remove_temporary(driver.state.path());
    served
}

impl Driver {
    /// From the state as it was kept to the end.
    async fn serve(
        &mut self,
        events: mpsc::UnboundedReceiver<Event>,
        args: &Up,
        owner: &instance::Owner,
    ) -> anyhow::Result<u8> {
        let kept: Vec<ObjectKey> = self.store.list().map(|stored| stored.object.key.clone()).collect();
        for key in &kept {
            self.put_stored(key);
        }
        self.recall_components();
        self.await_envoy();
        recheck::start(self.events.clone());
        self.tell_exposed_keys();
        self.reload();
        self.settle();
        self.run["acme"] = self.acme.address().to_string().into();
        self.run["dns"] = self.dns.address().to_string().into();
        self.state.write(instance::OWNER, &serde_json::to_vec_pretty(owner)?)?;
        let registration = instance::register(self.state.path());
        self.state.write("run.json", &serde_json::to_vec_pretty(&self.run)?)?;
        if !args.once {
            for line in [
                format!("serving {} ({})", self.root.display(), args.env),
                format!("state {}", self.state.path().display()),
                format!("roots to trust {}", self.state.path().join("ca.pem").display()),
                format!("DNS {}", self.dns.address()),
                format!("API http://{}", self.run["api"].as_str().unwrap_or("?")),
            ] {
                crate::out::told(&format!("portolan: {}\n", portolan_model::shown::text(&line)));
            }
        }
        let code = self.run(events, args).await?;
        registration.end();
        Ok(code)
    }

    async fn run(&mut self, mut events: mpsc::UnboundedReceiver<Event>, args: &Up) -> anyhow::Result<u8> {
        let deadline = tokio::time::Instant::now() + args.timeout;
        // When what could not be written is tried again, whatever else is asked meanwhile.
        let mut rewrite: Option<tokio::time::Instant> = None;
        loop {
            if args.once && self.at_rest() {
                return self.result(args);
            }
            self.tell();
            let sleep = match self.next_due {
                Some(due) => {
                    Duration::from_millis(u64::try_from(due.0 - now().0).unwrap_or(0).min(3_600_000))
                }
                None => Duration::from_hours(1),
            };
            rewrite =
                self.unwritten.then(|| rewrite.unwrap_or_else(|| tokio::time::Instant::now() + REWRITE));
            let wake = tokio::time::Instant::now() + sleep;
            let wake = rewrite.into_iter().chain(self.patience).fold(wake, std::cmp::min);
            let event = tokio::select! {
                event = events.recv() => event,
                () = tokio::time::sleep_until(wake) => None,
                () = tokio::time::sleep_until(deadline), if args.once => return self.late(args),
            };
            // An instant that a rule waits for.
            let mut stirred = event.is_none();
            // What piled up meanwhile goes into the same step.
            for event in event.into_iter().chain(std::iter::from_fn(|| events.try_recv().ok())) {
                stirred |= event.stirs();
                if let Some(code) = self.take(event) {
                    return Ok(code);
                }
            }
            if rewrite.is_some_and(|at| at <= tokio::time::Instant::now()) {
                rewrite = None;
                self.unwritten = false;
                self.keep_again();
                self.rewrite_secrets = true;
                self.reload();
                stirred = true;
            }
            if stirred {
                self.settle();
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<u8> {
        match event {
            Event::Folder(burst) => self.noticed(burst),
            Event::LookAgain => self.looked_again(),
            Event::Rendered => self.reload(),
            Event::StillRendering => self.still_rendering(),
            Event::Read(tree, difference) => self.take_reading(tree, *difference),
            Event::Xds(Report::Connected) => self.envoy_connected(),
            Event::Xds(Report::Disconnected) => self.envoy_disconnected(),
            Event::Xds(Report::Verdicts(verdicts)) => {
                self.facts |= self.wire.verdicts(verdicts, &mut self.engine);
                if self.wire.settled() {
                    self.reaction.settled();
                }
            }
            Event::AccountKey(wanted, result) => self.account_key_made(&wanted, result),
            Event::Registered(wanted, result) => self.registered(*wanted, result),
            Event::Requested(wanted, request) => self.requested(&wanted, request),
            Event::Signed(wanted, result) => self.signed(&wanted, result),
            Event::Temporary(wanted, result) => self.temporary_made(&wanted, result),
            Event::Filled(wanted, executed) => self.templates_executed(&wanted, *executed),
            Event::Ordered(certificate, state) => self.ordered(certificate, *state),
            Event::OrderFailed(wanted, failure) => self.order_failed(&wanted, failure),
            Event::Probed(outcomes) => self.probed(outcomes),
            Event::ProbeAgain => self.probe_again(),
            Event::Recheck => self.recheck(),
            Event::Rechecked(outcomes) => self.rechecked(&outcomes),
            Event::Dns(report) => self.dns_report(*report),
            Event::ZonesRead(readings) => self.real_read(*readings),
            Event::ReadZones => self.read_real(),
            Event::Ask(ask) => {
                let down = matches!(ask.what, api::What::Down);
                let answer = self.answer(ask.what);
                let _ = ask.answer.send(answer);
                if down {
                    return Some(0);
                }
            }
            Event::EnvoyEnded(how, said) => self.envoy_ended(&how, &said),
            Event::EnvoyKept(why, said) => self.envoy_kept(&why, &said),
            Event::EnvoyAwaited => self.envoy_awaited(),
            Event::Interrupt => return Some(0),
        }
        None
    }

    /// Steps until nothing follows from the last step any more. Feedback inside is bounded: addresses, what is opened,
    /// what is mirrored. Envoy gets the outcome only, so that a Secret which is opened at the start is never missed.
    fn settle(&mut self) {
        let mut appeared = BTreeSet::new();
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
            self.note_held(&step);
            self.view.note(&step);
            Self::note_findings(&mut appeared, &step);
            self.follow_edits();
            self.give_addresses(&step);
            self.publish_roots(&step);
            self.follow_templates(&step);
            self.follow_shims(&step);
            self.follow_secrets(&step);
            self.facts |= self.wire.take(&step, &self.board, &mut self.engine);
            self.follow_dns(&step);
            self.follow_accounts(&step);
            self.follow_issues(&step);
            self.follow_temporaries(&step);
            self.follow_records(&step);
            self.follow_probes(&step);
            self.show_statuses(&step);
            self.let_go();
            if !self.facts {
                break;
            }
        }
        if let Some(own) = self.wire.stand_ins() {
            self.keep(echo::FILE, own);
        }
        if !self.waits_for_damaged()
            && let Some(published) = self.wire.publish(&self.board)
        {
            self.reaction.published(published.count, published.bytes);
        }
        self.record_findings(appeared);
        self.store.pack();
        self.order_dns();
    }
}
