//! Starts what surrounds the driver: sockets, the ADS server, Envoy, the folder watch, the API.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use portolan_effects::{
    envoy_process::{self, Envoy, Setup},
    folder,
    state_dir::{Identity, StateDir, sockets},
};
use portolan_envoy::{board::Board, bootstrap::bootstrap, serve};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{mpsc, oneshot},
};

use super::{Event, envoy_keeper::EnvoyKeeper};
use crate::{api, cli::Up};

pub struct Outside {
    pub events: mpsc::UnboundedReceiver<Event>,
    pub wake: mpsc::UnboundedSender<Event>,
    pub board: Arc<Board>,
    pub envoy: EnvoyKeeper,
    pub run: Value,
    /// The folder of sockets.
    pub sockets: PathBuf,
    /// Dropped to end the ADS server.
    pub stop: oneshot::Sender<()>,
}

/// Where streams report to.
pub fn reports(wake: &mpsc::UnboundedSender<Event>) -> mpsc::UnboundedSender<serve::Report> {
    let (reports, mut reported) = mpsc::unbounded_channel();
    let forward = wake.clone();
    tokio::spawn(async move {
        while let Some(report) = reported.recv().await {
            if forward.send(Event::Xds(report)).is_err() {
                break;
            }
        }
    });
    reports
}

/// Where the API asks.
pub fn asks(wake: &mpsc::UnboundedSender<Event>) -> mpsc::Sender<api::Ask> {
    let (asks, mut asked) = mpsc::channel::<api::Ask>(64);
    let forward = wake.clone();
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            if forward.send(Event::Ask(ask)).is_err() {
                break;
            }
        }
    });
    asks
}

/// Hears Ctrl-C and SIGTERM.
pub fn interrupts(wake: &mpsc::UnboundedSender<Event>) {
    let forward = wake.clone();
    tokio::spawn(async move {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(signal) => signal,
            Err(error) => {
                tracing::error!(%error, "SIGTERM cannot be heard");
                return;
            }
        };
        tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        let _ = forward.send(Event::Interrupt);
    });
}

/// Where the folder of sockets is made.
pub fn base() -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|d| d.is_dir());
    base.unwrap_or_else(std::env::temp_dir)
}

pub fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("socket {} cannot be bound", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Starts all; what fails leaves no socket and no folder.
pub async fn start(args: &Up, state: &StateDir, root: &Path) -> anyhow::Result<Outside> {
    let started = start_all(args, state, root).await;
    if started.is_err() && Envoy::adopt(state.path()).is_none() {
        sockets::remove(state.path());
    }
    started
}

async fn start_all(args: &Up, state: &StateDir, root: &Path) -> anyhow::Result<Outside> {
    let program = crate::tools::find("envoy", args.envoy.as_deref(), root)
        .map_err(|missing| envoy_process::EnvoyError::Missing(missing.to_string()))?;
    let version = envoy_process::check(&program).await?;
    let (wake, events) = mpsc::unbounded_channel();
    // Whatever may be taken by others comes first.
    let tcp = TcpListener::bind(args.api_listen)
        .await
        .with_context(|| crate::instance::taken("--api-listen", args.api_listen, state.path()))?;
    let api_address = tcp.local_addr()?;
    let watch = folder::watch(root).with_context(|| format!("{} cannot be watched", root.display()))?;
    let sockets = sockets::open(state, &base())?;
    let (xds, control, admin) = (sockets.join("xds"), sockets.join("control"), sockets.join("envoy-admin"));

    let board = Arc::new(Board::default());
    let served = Arc::clone(&board);
    let reports = reports(&wake);
    let (stop, stopped) = oneshot::channel::<()>();
    let socket = listen(&xds)?;
    tokio::spawn(async move {
        if let Err(error) = serve::serve(socket, served, reports, async { drop(stopped.await) }).await {
            tracing::error!(%error, "the xDS server has failed");
        }
    });
    let asks = asks(&wake);
    let socket = listen(&control)?;
    let (public, private) = (api::public(asks.clone()), api::control(asks));
    tokio::spawn(api::serve(tcp, public, api::PATIENCE));
    tokio::spawn(api::serve(socket, private, api::PATIENCE));

    let forward = wake.clone();
    tokio::spawn(async move { while forward.send(Event::Folder(watch.next().await)).is_ok() {} });

    interrupts(&wake);
    let bootstrap = serde_json::to_vec_pretty(&bootstrap(&xds, &admin))?;
    state.write(envoy_process::CONFIG, &bootstrap)?;
    let setup = Setup::new(program, &version, state.path(), &sockets, &bootstrap);
    let envoy = EnvoyKeeper::start(setup, Arc::clone(&board), wake.clone()).await?;
    let run = json!({
        "pid": std::process::id(), "root": root, "env": args.env, "state": state.path(),
        "api": api_address.to_string(), "envoy": version,
        "identity": Identity::of(state.path())?,
        "sockets": {"directory": sockets, "control": control, "envoyAdmin": admin},
    });
    Ok(Outside { events, wake, board, envoy, run, sockets, stop })
}
