//! One task owns the engine: facts in, step, changes out. Nothing is decided here.

mod admission;
mod answers;
mod batch;
mod damaged;
mod dns;
mod envoy;
mod envoy_keeper;
mod events;
mod held;
mod late;
mod metrics;
mod outside;
mod prune;
mod reaction;
mod real_dns;
mod reload;
mod tell;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use portolan_core::{
    gateway::rows::{DialledBackends, SystemRoots},
    world,
};
use portolan_effects::{
    dns::{DurableDns, keeper},
    echo::{self, Echo},
    envoy_process,
    folder::Burst,
    render::{Difference, Jobs, Tools, Tree},
    sealed::{SealingKeys, Templates},
    state_dir::{StateDir, sockets},
    store::Store,
};
use portolan_engine::Held;
use portolan_envoy::{board::Board, serve::Report};
use portolan_model::{Instant, Name, ObjectKey};
use serde_json::Value;
use tokio::sync::mpsc;

use dns::Dns;
use envoy::EnvoyState;
use reaction::Reaction;
use real_dns::{Readings, RealDns};
use reload::Reading;
use tell::View;

use crate::{
    addresses::{self, Addresses, Claim, only_loopback, range_of},
    api,
    cli::Up,
    effects::{self, Context, Effects, GIT, OURS, Wake, ca::Ca, now},
    instance,
    wire::Wire,
};

/// How long after a refused write the work tree is read again.
const REWRITE: Duration = Duration::from_secs(5);

/// How long effects have to clean up when the program ends.
const PATIENCE: Duration = Duration::from_secs(3);

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
    /// An effect has an answer.
    Answered,
    Dns(Box<keeper::Report>),
    /// Zones of real servers were read.
    ZonesRead(Box<Readings>),
    /// Some could not be in the reading of this number, and are due again.
    ReadZones(u64),
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
    /// Whether facts may come with it. Who only asks causes no step, nor does what begins with it: a reading. Of an answer the effect
    /// says whether it brought any.
    fn stirs(&self) -> bool {
        match self {
            Self::Ask(ask) => ask.what.changes(),
            Self::Folder(_)
            | Self::LookAgain
            | Self::Rendered
            | Self::StillRendering
            | Self::ReadZones(_)
            | Self::Answered
            | Self::Xds(Report::Connected | Report::Disconnected) => false,
            _ => true,
        }
    }
}

pub struct Driver {
    cx: Context,
    effects: Effects,
    root: PathBuf,
    wire: Wire,
    board: Arc<Board>,
    /// Held for as long as the driver lives.
    _claim: Option<Claim>,
    events: mpsc::UnboundedSender<Event>,
    run: Value,
    next_due: Option<Instant>,
    steps: u64,
    runs: u64,
    reading: Reading,
    reaction: Reaction,
    envoy: EnvoyState,
    view: View,
    dns: Dns,
    /// What was told of failed rules.
    held: Arc<[Held]>,
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
    let ca = Ca::start(args.acme_listen, Arc::clone(&server), &state).await?;
    let outside = outside::start(&args, &state, &root).await?;
    let outside::Outside { events, wake, board, envoy, run, sockets: folder, stop } = outside;
    let range = range_of(saved.as_deref(), instance::number_of(state.path()));
    let bind = args.bind.or_else(|| only_loopback(range));
    // Two states may come to the same range: the later one takes the next, and keeps it.
    let listening = envoy_process::addresses(state.path());
    let claim = if bind.is_none() { Claim::of(range, &listening) } else { None };
    let range = claim.as_ref().map_or(range, |claim| claim.range);
    let tools = Tools::found(helm, state.path().join("charts")).kustomize(kustomize);
    let templates = Templates::new(tools.helm.clone(), tools.through.clone());
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
    let ours = [Some(server.address()), Some(ca.address()), api].into_iter().flatten().collect();
    let real = args.real_dns.then(RealDns::default);
    let dns = Dns::new(server, real, args.drain, args.allow_mass_deletion, wake.clone());
    let answered = wake.clone();
    let answers: Wake = Arc::new(move || {
        let _ = answered.send(Event::Answered);
    });
    let addresses = Addresses::new(saved.as_deref(), range, bind, args.low_ports, ours);
    let mut driver = Driver {
        effects: effects::for_up(addresses, keys, templates, &answers),
        root,
        wire: Wire::new(Echo::new(&folder, std::fs::read(state.path().join(echo::FILE)).ok().as_deref())),
        board,
        _claim: claim,
        events: wake,
        run,
        next_due: None,
        steps: 0,
        runs: 0,
        reading,
        reaction: Reaction::default(),
        envoy: EnvoyState::default(),
        view: View::new(!args.once),
        dns,
        held: Arc::default(),
        cx: Context::new(world::engine(), store, state, ca),
    };
    driver.cx.patience = envoy.serves.then(|| tokio::time::Instant::now() + damaged::PATIENCE);
    driver.cx.engine.put(DialledBackends { key: Name::default(), real: args.real_backends });
    if let Some(path) = crate::roots::system_roots() {
        driver.cx.engine.put(SystemRoots { key: Name::default(), path: path.into() });
    }
    let served = driver.serve(events, &args, &owner).await;
    driver.view.clear();
    driver.finish().await;
    drop(stop);
    // What cannot be served on must not be left behind; an Envoy that was there before serves on.
    if served.is_ok() || !envoy.adopted {
        envoy.stop().await;
        sockets::remove(driver.cx.state.path());
        let _ = std::fs::remove_file(driver.cx.state.path().join(echo::FILE));
    }
    let _ = std::fs::remove_file(driver.cx.state.path().join("run.json"));
    sockets::remove_temporary(driver.cx.state.path());
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
        let kept: Vec<ObjectKey> = self.cx.store.list().map(|stored| stored.object.key.clone()).collect();
        for key in &kept {
            self.cx.put_stored(key);
        }
        self.recall_components();
        self.await_envoy();
        for effect in &mut self.effects {
            effect.start(&mut self.cx);
        }
        self.reload();
        self.settle();
        self.run["acme"] = self.cx.ca.address().to_string().into();
        self.run["dns"] = self.dns.address().to_string().into();
        self.cx.state.write(instance::OWNER, &serde_json::to_vec_pretty(owner)?)?;
        let registration = instance::register(self.cx.state.path());
        self.cx.state.write("run.json", &serde_json::to_vec_pretty(&self.run)?)?;
        if !args.once {
            for line in [
                format!("serving {} ({})", self.root.display(), args.env),
                format!("state {}", self.cx.state.path().display()),
                format!("roots to trust {}", self.cx.state.path().join("ca.pem").display()),
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
                self.cx.unwritten.then(|| rewrite.unwrap_or_else(|| tokio::time::Instant::now() + REWRITE));
            let wake = tokio::time::Instant::now() + sleep;
            let wake = rewrite.into_iter().chain(self.cx.patience).fold(wake, std::cmp::min);
            // What an effect tries again is no reason for a step.
            let due = self.effects.iter().filter_map(|effect| effect.due()).fold(wake, std::cmp::min);
            let mut stirred = false;
            let event = tokio::select! {
                event = events.recv() => event,
                () = tokio::time::sleep_until(due) => {
                    // An instant that a rule waits for.
                    stirred = wake <= tokio::time::Instant::now();
                    None
                }
                () = tokio::time::sleep_until(deadline), if args.once => return self.late(args),
            };
            // What piled up meanwhile goes into the same step.
            for event in event.into_iter().chain(std::iter::from_fn(|| events.try_recv().ok())) {
                stirred |= event.stirs();
                if let Some(code) = self.take(event) {
                    return Ok(code);
                }
            }
            stirred |= self.drive_effects();
            if rewrite.is_some_and(|at| at <= tokio::time::Instant::now()) {
                rewrite = None;
                self.cx.unwritten = false;
                self.cx.keep_again();
                self.cx.again = true;
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
                self.cx.facts |= self.wire.verdicts(verdicts, &mut self.cx.engine);
                if self.wire.settled() {
                    self.reaction.settled();
                }
            }
            // Taken with all others in a moment.
            Event::Answered => {}
            Event::Dns(report) => self.dns_report(*report),
            Event::ZonesRead(readings) => self.real_read(*readings),
            Event::ReadZones(number) => self.read_real_again(number),
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
            if std::mem::take(&mut self.cx.recovered) {
                for effect in &mut self.effects {
                    effect.recovered(&mut self.cx);
                }
            }
            self.cx.facts = false;
            let step = self.cx.engine.step(now().0);
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
            self.cx.facts |= self.wire.take(&step, &self.board, &mut self.cx.engine);
            self.follow_dns(&step);
            for effect in &mut self.effects {
                effect.follow(&step, &mut self.cx);
                effect.begin(&mut self.cx);
            }
            self.cx.again = false;
            self.let_go();
            if std::mem::take(&mut self.cx.reread) {
                self.reload();
            }
            if !self.cx.facts {
                break;
            }
        }
        if let Some(own) = self.wire.stand_ins() {
            self.cx.keep(echo::FILE, own);
        }
        if !self.waits_for_damaged()
            && let Some(published) = self.wire.publish(&self.board)
        {
            self.reaction.published(published.count, published.bytes);
        }
        self.record_findings(appeared);
        self.cx.store.pack();
        self.order_dns();
    }

    /// Lets effects take their answers and begin what is due; `true` if there are facts for a step.
    fn drive_effects(&mut self) -> bool {
        self.cx.facts = false;
        for effect in &mut self.effects {
            effect.take(&mut self.cx);
            effect.begin(&mut self.cx);
        }
        self.cx.facts
    }

    /// Gives up what is under way, and waits a moment for what has to be cleaned up.
    async fn finish(&mut self) {
        let cleaning: Vec<_> = self.effects.iter_mut().filter_map(|effect| effect.finish()).collect();
        let all = async {
            for mut tasks in cleaning {
                while tasks.join_next().await.is_some() {}
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("an order did not end in time; a challenge's TXT value may be left behind");
        }
    }
}
