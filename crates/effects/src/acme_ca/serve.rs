//! The server: TLS, connections in bounded numbers, the tasks that validate.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use portolan_model::Instant;
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{DevCa, book::Book, nonces::Nonces, routes};
use crate::issue::IssueError;

/// Connections at a time.
const CONNECTIONS: usize = 64;
/// Validations at a time.
const VALIDATIONS: usize = 64;
/// For a handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Read buffer of a connection, in bytes.
const BUFFER: usize = 64 * 1024;

/// Where the server takes the time from.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How the server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who is asked about DNS-01: the servers of the DNS providers. Nobody else is.
    pub resolvers: Vec<SocketAddr>,
    /// How long certificates last, in milliseconds.
    pub lifetime: i64,
    /// Rate limit.
    pub new_orders: NewOrders,
    /// How many of 100 good nonces are rejected all the same, so that a client's retry is exercised.
    pub reject_nonces: u8,
}

impl Settings {
    /// 90 days, as public CAs have it; 300 new orders of an account in a minute; no nonce rejected.
    pub fn new(listen: SocketAddr, resolvers: Vec<SocketAddr>) -> Self {
        let new_orders = NewOrders { count: 300, window: 60_000 };
        Self { listen, resolvers, lifetime: 90 * 86_400_000, new_orders, reject_nonces: 0 }
    }
}

/// At most `count` new orders of an account in `window` milliseconds. Further ones get 429 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrders {
    /// How many.
    pub count: usize,
    /// In which time, in milliseconds.
    pub window: i64,
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("the development CA cannot listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// Its own certificate cannot be made.
    #[error("the development CA's own certificate cannot be made: {0}")]
    Certificate(#[from] IssueError),
    /// TLS cannot be set up.
    #[error("TLS of the development CA cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A running server. Dropping it closes its socket and ends its connections and validations.
#[derive(Debug)]
pub struct Handle {
    local: SocketAddr,
    base: String,
    _tasks: JoinSet<()>,
}

impl Handle {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where clients on this machine find it: for [`crate::acme::Reach::Only`].
    pub fn client_addr(&self) -> SocketAddr {
        reachable(self.local)
    }

    /// URL of the directory. `https://localhost:PORT/directory` works as well.
    pub fn directory_url(&self) -> String {
        format!("{}/directory", self.base)
    }
}

/// Validations that are to be run.
type Jobs = mpsc::UnboundedReceiver<BoxFuture<'static, ()>>;

/// What the handlers share.
pub(super) struct Server {
    pub(super) ca: DevCa,
    pub(super) settings: Settings,
    /// `https://ADDRESS:PORT`.
    pub(super) base: String,
    pub(super) validating: Arc<Semaphore>,
    pub(super) jobs: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    clock: Clock,
    book: Mutex<Book>,
    nonces: Mutex<Nonces>,
}

impl Server {
    /// A server without accounts and orders, and what it wants to be done.
    fn new(ca: DevCa, settings: Settings, base: String, clock: Clock) -> (Arc<Self>, Jobs) {
        let (jobs, queue) = mpsc::unbounded_channel();
        let server = Self {
            ca,
            settings,
            base,
            validating: Arc::new(Semaphore::new(VALIDATIONS)),
            jobs,
            clock,
            book: Mutex::default(),
            nonces: Mutex::default(),
        };
        (Arc::new(server), queue)
    }

    pub(super) fn now(&self) -> Instant {
        (self.clock)()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn nonces(&self) -> MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the handle is dropped. Must be called within a tokio runtime.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(ca: DevCa, settings: Settings, now: Clock) -> Result<Handle, ServeError> {
    let failed = |error| ServeError::Bind(settings.listen, error);
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let mut addresses = vec![reachable(local).ip(), Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    addresses.dedup();
    let (key, chain) = ca.server(&addresses, now())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(key.pkcs8().to_vec());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key.into())?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let base = format!("https://{}", reachable(local));
    let (server, queue) = Server::new(ca, settings, base.clone(), now);
    let mut tasks = JoinSet::new();
    tasks.spawn(run(listener, TlsAcceptor::from(Arc::new(tls)), routes::router(server), queue));
    Ok(Handle { local, base, _tasks: tasks })
}

async fn run(listener: TcpListener, tls: TlsAcceptor, router: axum::Router, mut jobs: Jobs) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    // Everything that was begun ends with this task.
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some(job) = jobs.recv() => { tasks.spawn(job); }
            Some(_) = tasks.join_next() => {}
            (permit, accepted) = async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                (permit, listener.accept().await)
            } => match accepted {
                Ok((stream, _)) => {
                    let (tls, router) = (tls.clone(), router.clone());
                    tasks.spawn(async move {
                        connection(stream, tls, router).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, mostly: others may end meanwhile.
                    tracing::warn!("the development CA cannot accept a connection: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, router: axum::Router) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await else { return };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection to the development CA ended: {error}");
    }
}

/// Nobody can be reached at 0.0.0.0; on this machine the server answers on loopback too.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A CA without sockets, for the fuzz targets: what was asked of it is validated by nobody.
#[cfg(any(fuzzing, test))]
pub(crate) fn unserved(ca: DevCa, settings: Settings, now: Clock) -> (axum::Router, Jobs) {
    let (server, jobs) = Server::new(ca, settings, "https://127.0.0.1:1".to_owned(), now);
    (routes::router(server), jobs)
}
