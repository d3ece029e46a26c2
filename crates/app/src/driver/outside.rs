//! Starts what surrounds the driver: sockets, the ADS server, Envoy, the folder watch, the API.

use std::{
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use portolan_effects::{
    envoy_process::{self, Envoy},
    folder,
    state_dir::StateDir,
};
use portolan_envoy::{board::Board, bootstrap::bootstrap, serve};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{mpsc, oneshot},
};

use super::Event;
use crate::{api, cli::Up};

pub struct Outside {
    pub events: mpsc::UnboundedReceiver<Event>,
    pub wake: mpsc::UnboundedSender<Event>,
    pub board: Arc<Board>,
    pub envoy: Option<EnvoyKeeper>,
    pub run: Value,
    /// Dropped to end the ADS server.
    pub stop: oneshot::Sender<()>,
}

/// Restarts Envoy when it dies; stops it at the end.
pub struct EnvoyKeeper {
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

impl EnvoyKeeper {
    pub async fn stop(self) {
        let (done, finished) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            let _ = finished.await;
        }
    }
}

/// A private folder with a short path: a Unix socket's path has at most 107 bytes.
fn socket_directory(state: &StateDir) -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|d| d.is_dir());
    let base = base.unwrap_or_else(std::env::temp_dir);
    // The name is random, not guessable, and made with mode 0700: nobody can be there first.
    let saved = state.path().join("sockets");
    if let Ok(text) = std::fs::read_to_string(&saved) {
        let dir = PathBuf::from(text.trim());
        // An Envoy that survived us still dials the old path.
        let mine = std::fs::symlink_metadata(&dir)
            .is_ok_and(|m| m.is_dir() && m.permissions().mode().trailing_zeros() >= 6);
        if mine {
            return Ok(dir);
        }
    }
    let number = crate::instance::number_of(state.path()) ^ u64::from(std::process::id()) << 32;
    let dir = base.join(format!("portolan-{number:016x}"));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .with_context(|| format!("{} cannot be made", dir.display()))?;
    state.write("sockets", dir.as_os_str().as_encoded_bytes())?;
    Ok(dir)
}

fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("socket {} cannot be bound", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

pub async fn start(args: &Up, state: &StateDir, root: &Path) -> anyhow::Result<Outside> {
    let program = crate::tools::find("envoy", args.envoy.as_deref(), root)
        .map_err(|missing| envoy_process::EnvoyError::Missing(missing.to_string()))?;
    let version = envoy_process::check(&program).await?;
    let (wake, events) = mpsc::unbounded_channel();
    let sockets = socket_directory(state)?;
    let (xds, control, admin) = (sockets.join("xds"), sockets.join("control"), sockets.join("envoy-admin"));

    let board = Arc::new(Board::default());
    let served = Arc::clone(&board);
    let (reports, mut reported) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let socket = listen(&xds)?;
    tokio::spawn(async move {
        if let Err(error) = serve::serve(socket, served, reports, async { drop(stopped.await) }).await {
            tracing::error!(%error, "the xDS server has failed");
        }
    });
    let forward = wake.clone();
    tokio::spawn(async move {
        while let Some(report) = reported.recv().await {
            if forward.send(Event::Xds(report)).is_err() {
                break;
            }
        }
    });

    let (asks, mut asked) = mpsc::channel::<api::Ask>(64);
    let forward = wake.clone();
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            if forward.send(Event::Ask(ask)).is_err() {
                break;
            }
        }
    });
    let tcp = TcpListener::bind(args.api_listen)
        .await
        .with_context(|| crate::instance::taken("--api-listen", args.api_listen, state.path()))?;
    let api_address = tcp.local_addr()?;
    let socket = listen(&control)?;
    let (public, private) = (api::public(asks.clone()), api::control(asks));
    tokio::spawn(async move { axum::serve(tcp, public).await });
    tokio::spawn(async move { axum::serve(socket, private).await });

    let watch = folder::watch(root).with_context(|| format!("{} cannot be watched", root.display()))?;
    let forward = wake.clone();
    tokio::spawn(async move { while forward.send(Event::Folder(watch.next().await)).is_ok() {} });

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

    let config =
        state.write("envoy.json", &serde_json::to_vec_pretty(&bootstrap("portolan", &xds, &admin))?)?;
    let envoy = keep(program, config, state.path(), wake.clone())?;
    let run = json!({
        "pid": std::process::id(), "root": root, "env": args.env, "state": state.path(),
        "api": api_address.to_string(), "envoy": version,
        "sockets": {"directory": sockets, "control": control, "envoyAdmin": admin},
    });
    Ok(Outside { events, wake, board, envoy: Some(envoy), run, stop })
}

fn keep(
    program: PathBuf,
    config: PathBuf,
    state: &Path,
    events: mpsc::UnboundedSender<Event>,
) -> anyhow::Result<EnvoyKeeper> {
    let (pid_file, log) = (state.join("envoy.pid"), state.join("envoy.log"));
    let mut envoy = match Envoy::adopt(&pid_file, &config) {
        Some(envoy) => {
            tracing::info!(pid = envoy.pid(), "adopted the Envoy of an earlier run");
            envoy
        }
        None => Envoy::start(&program, &config, log.clone(), &pid_file)?,
    };
    let (stop, mut stopped) = oneshot::channel::<oneshot::Sender<()>>();
    tokio::spawn(async move {
        let mut backoff = Duration::from_millis(100);
        loop {
            let begun = tokio::time::Instant::now();
            tokio::select! {
                done = &mut stopped => {
                    envoy.stop().await;
                    let _ = std::fs::remove_file(&pid_file);
                    if let Ok(done) = done { let _ = done.send(()); }
                    return;
                }
                how = envoy.ended() => { let _ = events.send(Event::EnvoyEnded(how, envoy.said())); }
            }
            backoff = if begun.elapsed() > Duration::from_secs(30) {
                Duration::from_millis(100)
            } else {
                (backoff * 2).min(Duration::from_secs(10))
            };
            loop {
                tokio::time::sleep(backoff).await;
                match Envoy::start(&program, &config, log.clone(), &pid_file) {
                    Ok(started) => {
                        envoy = started;
                        break;
                    }
                    Err(error) => tracing::error!(%error, "Envoy cannot be restarted; trying again"),
                }
            }
        }
    });
    Ok(EnvoyKeeper { stop })
}
