//! What surrounds `portolan run`: the API, the xDS server, an Envoy where one is asked for, and signals.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use portolan_effects::{
    envoy_process::{self, Setup},
    state_dir::{StateDir, sockets},
};
use portolan_envoy::{board::Board, bootstrap::bootstrap, serve};
use portolan_kubernetes::Api;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use super::{Event, leader::Place, xds};
use crate::{
    api,
    cli::Run,
    driver::{envoy_keeper::EnvoyKeeper, outside},
};

/// All of it.
pub struct Outside {
    pub events: mpsc::UnboundedReceiver<Event>,
    pub wake: mpsc::UnboundedSender<Event>,
    pub board: Arc<Board>,
    pub envoy: Option<EnvoyKeeper>,
    pub run: Value,
    /// Where Envoys of the cluster find us; `None` where they share a machine with us.
    pub xds: Option<(String, u16)>,
    /// Says whether we may write.
    pub acts: watch::Sender<bool>,
    /// Dropped to end the xDS server.
    pub stop: oneshot::Sender<()>,
}

async fn bind(flag: &str, at: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(at).await.with_context(|| format!("{flag} {at} cannot be bound"))
}

/// Starts it.
pub async fn start(args: &Run, state: &StateDir, api: &Api, ours: &Place) -> anyhow::Result<Outside> {
    let (wake, events) = mpsc::unbounded_channel();
    // Whatever may be taken by others comes first.
    let tcp = bind("--api-listen", args.api_listen).await?;
    let mut run = json!({
        "pid": std::process::id(), "state": state.path(), "api": tcp.local_addr()?.to_string(), "cluster": true,
    });
    let open = !args.local_envoy && xds::is_open(args.xds_listen);
    let board = Arc::new(if open { Board::apart() } else { Board::default() });
    let (stop, stopping) = oneshot::channel::<()>();
    let acts = watch::Sender::new(false);
    let mut at = None;
    let reports = outside::reports(&wake);
    let envoy = if args.local_envoy {
        let program = crate::tools::find("envoy", args.envoy.as_deref(), state.path())
            .map_err(|missing| envoy_process::EnvoyError::Missing(missing.to_string()))?;
        let version = envoy_process::check(&program).await?;
        let folder = sockets::open(state, &outside::base())?;
        let (xds, admin) = (folder.join("xds"), folder.join("envoy-admin"));
        let socket = outside::listen(&xds)?;
        let served = Arc::clone(&board);
        tokio::spawn(async move {
            let stopped = async { drop(stopping.await) };
            if let Err(error) = serve::serve(socket, served, reports, stopped).await {
                tracing::error!(%error, "the xDS server has failed");
            }
        });
        let start = serde_json::to_vec_pretty(&bootstrap(&xds, &admin))?;
        state.write(envoy_process::CONFIG, &start)?;
        let setup = Setup::new(program, &version, state.path(), &folder, &start);
        run["envoy"] = version.into();
        Some(EnvoyKeeper::start(setup, Arc::clone(&board), wake.clone()).await?)
    } else {
        let listener = bind("--xds-listen", args.xds_listen).await?;
        let local = listener.local_addr()?;
        run["xds"] = local.to_string().into();
        if open {
            let place = Place { name: xds::secret(&ours.name).into(), ..ours.clone() };
            let (host, port) = args
                .xds_address
                .clone()
                .unwrap_or_else(|| (format!("{}.{}.svc", place.name, place.namespace), local.port()));
            let (host_name, served) = (host.clone(), Arc::clone(&board));
            let served = xds::Served { listener, host: host_name, board: served, reports, stopped: stopping };
            xds::serve(served, api, place, acts.subscribe(), wake.clone())?;
            at = Some((host, port));
        } else {
            let served = Arc::clone(&board);
            tokio::spawn(async move {
                let stopped = async { drop(stopping.await) };
                if let Err(error) = serve::serve_plain(listener, served, reports, stopped).await {
                    tracing::error!(%error, "the xDS server has failed");
                }
            });
        }
        None
    };
    tokio::spawn(api::serve(tcp, api::public(outside::asks(&wake)), api::PATIENCE));
    outside::interrupts(&wake);
    Ok(Outside { events, wake, board, envoy, run, xds: at, acts, stop })
}
