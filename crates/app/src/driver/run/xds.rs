//! xDS over the network: TLS from a CA of our own, and a gate that asks the API server whose a token is.

mod authority;
mod gate;

use std::{net::SocketAddr, sync::Arc};

use portolan_core::infrastructure::rows::FleetSettings;
use portolan_effects::private_ca::{Shown, accept};
use portolan_envoy::{board::Board, bootstrap, serve};
use portolan_kubernetes::Api;
use portolan_model::{Code, Name, ObjectKey, Problem, Severity};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use super::{Event, leader::Place};
use crate::rights::Right;
use authority::Authority;
use gate::Doorkeeper;

/// Where Envoys find the replicas, and what they are served with.
pub struct Served {
    /// Bound already.
    pub listener: TcpListener,
    /// Name or address by which Envoys ask.
    pub host: String,
    /// What they are served.
    pub board: Arc<Board>,
    /// Who hears what they say.
    pub reports: mpsc::UnboundedSender<serve::Report>,
    /// Resolves when it is to end.
    pub stopped: oneshot::Receiver<()>,
}

/// Name of the Secret with the CA of an installation.
pub fn secret(lease: &str) -> String {
    format!("{lease}-xds")
}

/// Serves Envoys over TLS until it is stopped.
///
/// # Errors
/// When TLS cannot be set up.
pub fn serve(
    served: Served,
    api: &Api,
    place: Place,
    acts: watch::Receiver<bool>,
    events: mpsc::UnboundedSender<Event>,
) -> anyhow::Result<()> {
    let Served { listener, host, board, reports, stopped } = served;
    let mut names = vec![host];
    names.extend(
        listener
            .local_addr()
            .ok()
            .map(|at| at.ip())
            .filter(|ip| !ip.is_unspecified())
            .map(|ip| ip.to_string()),
    );
    names.dedup();
    let shown = Arc::new(Shown::default());
    let connections = accept(listener, Arc::clone(&shown))?;
    let authority = Authority { api: api.clone(), place, names, shown, acts, events };
    let keeping = tokio::spawn(authority.keep());
    let gate = Arc::new(Doorkeeper::new(api.clone()));
    tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        if let Err(error) = serve::serve_gated(connections, gate, board, reports, stopped).await {
            tracing::error!(%error, "the xDS server has failed");
        }
        keeping.abort();
    });
    Ok(())
}

/// What is done at the API server for it.
pub fn rights() -> Vec<Right> {
    vec![
        Right::anywhere("authentication.k8s.io", "tokenreviews", &["create"]),
        Right::anywhere("", "pods", &["get"]),
        Right::own("", "secrets", &["get", "create", "update"]),
    ]
}

/// Where an Envoy's container has its files, and its token.
const CONFIG: &str = "/etc/portolan";
const TOKEN: &str = "/var/run/secrets/portolan";

/// What Envoys that ask there are made of; none is made before it is known what they trust ([`trust`]).
pub fn fleet((host, port): (String, u16), image: &str) -> FleetSettings {
    let place = bootstrap::InCluster { host: &host, port, config: CONFIG.as_ref(), token: TOKEN.as_ref() };
    let bootstrap = bootstrap::bootstrap_in_cluster(&place);
    FleetSettings { key: Name::default(), image: image.into(), bootstrap, files: Vec::new() }
}

/// What they trust, PEM.
pub fn trust(fleet: &mut FleetSettings, bundle: &str) {
    fleet.files = vec![
        (bootstrap::CREDENTIAL.into(), bootstrap::credential(TOKEN.as_ref())),
        (bootstrap::TRUST.into(), bootstrap::trust(bundle)),
    ];
}

/// Whether whoever listens there can be asked over a network.
pub const fn is_open(at: SocketAddr) -> bool {
    !at.ip().is_loopback()
}

/// Object of the finding below.
pub fn key(place: &Place) -> ObjectKey {
    ObjectKey::new("", "Secret", place.namespace.clone(), place.name.clone())
}

/// That Envoys cannot be served.
pub fn problem(object: ObjectKey, why: &str) -> Problem {
    Problem {
        object,
        code: Code(99),
        field: "".into(),
        severity: Severity::Error,
        message: format!("the CA under xDS: {why}; Envoys that are connected go on, and no other can connect"),
        hint: "allow get, create and update on Secrets in the namespace of Portolan; a damaged one is made anew when it is deleted"
            .into(),
    }
}
