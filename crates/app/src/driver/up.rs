//! `portolan up`: objects come from a work tree, and DNS and certificates from the stand-ins of one machine.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use portolan_core::{
    certificates::rows::RealAcme,
    gateway::rows::{DialledBackends, SystemRoots},
    world,
};
use portolan_effects::{
    dns::DurableDns,
    echo::{self, Echo},
    envoy_process,
    render::{Jobs, Program, Tools, begins},
    sealed::{SealingKeys, Templates},
    state_dir::{StateDir, sockets},
    store::Store,
};
use portolan_engine::Changes;
use portolan_model::{Name, ObjectKey};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Driver, Event, damaged, dns::Dns, envoy::EnvoyState, metrics::gauge, outside, reaction::Reaction,
    real_dns::RealDns, reload, reload::Reading, source::Source, tell::View,
};
use crate::{
    addresses::{self, Addresses, Claim, only_loopback, range_of},
    api,
    cli::Up,
    effects::{self, Context, Machine, Wake, ca::Ca},
    instance, status,
    wire::Wire,
};

/// A work tree as the source of objects, with what one machine has beside it.
pub struct WorkTree {
    pub(super) root: PathBuf,
    /// Held for as long as the driver lives.
    _claim: Option<Claim>,
    pub(super) reading: Reading,
    pub(super) dns: Dns,
    pub(super) view: View,
    /// With `--once`: until when, and how the outcome is shown.
    once: Option<Box<Up>>,
    deadline: Option<tokio::time::Instant>,
}

impl Source for WorkTree {
    type On = Machine;

    fn take(driver: &mut Driver<Self>, event: Event) {
        match event {
            Event::Folder(burst) => driver.noticed(burst),
            Event::LookAgain => driver.looked_again(),
            Event::Rendered => driver.reload(),
            Event::StillRendering => driver.still_rendering(),
            Event::Read(tree, difference) => driver.take_reading(tree, *difference),
            Event::Placed(tree, places) => driver.take_places(tree, places),
            Event::Dns(report) => driver.dns_report(*report),
            Event::ZonesRead(readings) => driver.real_read(*readings),
            Event::ReadZones(number) => driver.read_real_again(number),
            // Those of every way to run are taken by the driver.
            _ => {}
        }
    }

    fn read_again(driver: &mut Driver<Self>) {
        driver.reload();
    }

    fn note(driver: &mut Driver<Self>, step: &Changes) {
        driver.source.view.note(step);
    }

    fn follow(driver: &mut Driver<Self>, step: &Changes) {
        driver.follow_dns(step);
    }

    fn followed(driver: &mut Driver<Self>) {
        driver.let_go();
        // After it: what leaves by an edit has been in no step yet.
        driver.follow_edits();
        if std::mem::take(&mut driver.cx.reread) {
            driver.reload();
        }
    }

    fn holds(driver: &mut Driver<Self>) -> bool {
        driver.waits_for_damaged()
    }

    fn settled(driver: &mut Driver<Self>) {
        driver.cx.store.pack();
        driver.order_dns();
    }

    fn tell(driver: &mut Driver<Self>) {
        driver.tell();
    }

    fn outcome(driver: &mut Driver<Self>) -> Option<anyhow::Result<u8>> {
        let args = driver.source.once.clone().filter(|_| driver.at_rest())?;
        Some(driver.result(&args))
    }

    fn deadline(driver: &Driver<Self>) -> Option<tokio::time::Instant> {
        driver.source.deadline
    }

    fn late(driver: &mut Driver<Self>) -> anyhow::Result<u8> {
        match driver.source.once.clone() {
            Some(args) => driver.late(&args),
            None => Ok(0),
        }
    }

    fn is_starting(driver: &Driver<Self>) -> bool {
        driver.is_starting()
    }

    fn status(driver: &mut Driver<Self>) -> Value {
        driver.place_beside();
        driver.status()
    }

    fn edits(driver: &Driver<Self>) -> Vec<status::edits::Edit> {
        driver.edits()
    }

    fn change(driver: &mut Driver<Self>, what: api::What) -> Result<Value, String> {
        driver.change(what)
    }

    fn metrics(driver: &Driver<Self>, registry: &mut Registry) {
        let [planned, written] = driver.source.dns.work();
        gauge(
            registry,
            "dns_planned_names",
            "Names compared with what their zone holds, since start",
            planned,
        );
        gauge(registry, "dns_written_bytes", "Bytes of zones written to disk, since start", written);
    }
}

/// As many open files as may be: Envoy, which is started with the same limit, needs one for each connection.
pub(super) fn more_files() {
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
    // A name with a slip is told before anything is taken; a state that knows where it started is served on.
    if !reload::is_known(&state)
        && let Err(problem) = begins(&root, &args.env, args.root.as_deref())
    {
        anyhow::bail!("{}: {}; {}", problem.code, problem.message, problem.hint);
    }
    let helm = crate::tools::chosen(Program::Helm, args.helm.as_deref(), &root)?;
    let kustomize = crate::tools::chosen(Program::Kustomize, args.kustomize.as_deref(), &root)?;
    more_files();
    // Everything below is private unless a mode says otherwise, Envoy's files included.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let state = StateDir::open(&state)?;
    if state.path().canonicalize().is_ok_and(|state| state.starts_with(&root)) {
        tracing::warn!(
            state = %state.path().display(),
            "the state is in the work tree, and holds private keys: keep it out of Git, or name another place with --state"
        );
    }
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
    if args.low_ports {
        let envoy = crate::tools::find("envoy", args.envoy.as_deref(), &root).ok();
        instance::may_bind_low_ports(envoy.as_deref())?;
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
    let tools = tools.cluster_annotations(args.cluster_annotation.iter().cloned().collect());
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
    let ours = [Some(server.address()), ca.address(), api].into_iter().flatten().collect();
    let real = args.real_dns.then(RealDns::default);
    let dns = Dns::new(server, real, args.drain, args.allow_mass_deletion, wake.clone());
    let answered = wake.clone();
    let answers: Wake = Arc::new(move || {
        let _ = answered.send(Event::Answered);
    });
    let addresses = Addresses::new(saved.as_deref(), range, bind, args.low_ports, ours);
    let source = WorkTree {
        root,
        _claim: claim,
        reading,
        dns,
        view: View::new(!args.once),
        once: args.once.then(|| Box::new(args.clone())),
        deadline: args.once.then(|| tokio::time::Instant::now() + args.timeout),
    };
    let mut driver = Driver {
        source,
        effects: effects::for_up(addresses, keys, templates, &answers),
        wire: Wire::new(Echo::new(&folder, std::fs::read(state.path().join(echo::FILE)).ok().as_deref())),
        board,
        events: wake,
        run,
        next_due: None,
        steps: 0,
        runs: 0,
        reaction: Reaction::default(),
        envoy: EnvoyState::default(),
        held: Arc::default(),
        cx: Context::new(world::engine(), store, state, ca, ()),
    };
    driver.cx.patience = envoy.serves.then(|| tokio::time::Instant::now() + damaged::PATIENCE);
    driver.cx.engine.put(DialledBackends { key: Name::default(), real: args.real_backends, alone: false });
    if args.real_acme {
        driver.cx.engine.put(RealAcme { key: Name::default() });
    }
    if let Some(path) = crate::roots::system_roots() {
        driver.cx.engine.put(SystemRoots { key: Name::default(), path: path.into() });
    }
    let served = driver.serve(events, &args, &owner).await;
    driver.source.view.clear();
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
        self.run["acme"] = self.cx.ca.address().map(|at| at.to_string()).into();
        self.run["dns"] = self.source.dns.address().to_string().into();
        self.cx.state.write(instance::OWNER, &serde_json::to_vec_pretty(owner)?)?;
        let registration = instance::register(self.cx.state.path());
        self.cx.state.write("run.json", &serde_json::to_vec_pretty(&self.run)?)?;
        if !args.once {
            for line in [
                format!("serving {} ({})", self.source.root.display(), args.env),
                format!("state {}", self.cx.state.path().display()),
                format!("roots to trust {}", self.cx.state.path().join("ca.pem").display()),
                format!("DNS {}", self.source.dns.address()),
                format!("API http://{}", self.run["api"].as_str().unwrap_or("?")),
            ] {
                crate::out::told(&format!("portolan: {}\n", portolan_model::shown::text(&line)));
            }
        }
        let code = self.run(events).await?;
        registration.end();
        Ok(code)
    }
}
