//! Requests on loopback, bounded in number and time, and the backends that answer them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use reqwest::Client;

use crate::instance::Edge;

/// Longest that one load lasts, whatever else is asked.
const LONGEST: Duration = Duration::from_mins(20);

/// Starts a backend that names itself; gives its port.
pub async fn backend(name: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = move |_request| async move {
                let answer = http::Response::builder().header("x-backend", name);
                Ok::<_, Infallible>(answer.body(Empty::<Bytes>::new()).unwrap())
            };
            let service = hyper::service::service_fn(answer);
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

/// Who asks what.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    roots: Vec<u8>,
}

impl Target {
    /// The HTTPS listener of an edge.
    pub fn of(edge: &Edge) -> Self {
        let (address, roots) = edge.entry();
        Self { address, roots }
    }

    /// A client with one connection, that trusts the edge's roots alone and repeats nothing.
    pub fn client(&self, host: &str) -> Client {
        let roots = reqwest::Certificate::from_pem_bundle(&self.roots).unwrap();
        let client = Client::builder().tls_certs_only(roots).resolve(host, self.address);
        let client = client.pool_max_idle_per_host(1).http1_only().retry(reqwest::retry::never());
        client.timeout(Duration::from_secs(10)).build().unwrap()
    }

    pub fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }
}

/// How much is asked.
#[derive(Clone)]
pub struct Demand {
    pub host: String,
    /// Asked in turn.
    pub paths: Arc<Vec<String>>,
    pub clients: usize,
    /// Between the beginnings of two requests of one client; zero: at once.
    pub every: Duration,
    /// All clients together end after so many requests.
    pub requests: usize,
    /// They go on until this is set as well.
    pub stop: Arc<AtomicBool>,
    /// Answers name the edit that they follow.
    pub edits: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    pub requests: usize,
    /// No answer, or another status than 200; the first of them in words.
    pub failed: usize,
    pub first: Option<String>,
    /// Answers of an older edit than one that had been seen before the request was sent.
    pub stale: usize,
    /// Answers of a backend that the edit which they name does not choose.
    pub mixed: usize,
    /// In milliseconds, sorted.
    pub took: Vec<f64>,
}

impl Outcome {
    /// The time within which this share of the answers came.
    pub fn percentile(&self, share: f64) -> f64 {
        percentile(&self.took, share)
    }
}

/// Of sorted values, the one below which this share lies.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * share).round();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    sorted.get(at as usize).copied().unwrap_or(f64::NAN)
}

/// Asks.
pub async fn ask(target: &Target, demand: &Demand) -> Outcome {
    let counted = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..demand.clients)
        .map(|_| {
            tokio::spawn(client(target.clone(), demand.clone(), Arc::clone(&counted), Arc::clone(&seen)))
        })
        .collect();
    let mut all = Outcome::default();
    for client in clients {
        let one = client.await.unwrap();
        all.requests += one.requests;
        all.failed += one.failed;
        all.stale += one.stale;
        all.mixed += one.mixed;
        all.first = all.first.or(one.first);
        all.took.extend(one.took);
    }
    all.took.sort_by(f64::total_cmp);
    all
}

async fn client(
    target: Target,
    demand: Demand,
    counted: Arc<AtomicUsize>,
    seen: Arc<AtomicUsize>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let client = target.client(&demand.host);
    let begun = Instant::now();
    let mut next = tokio::time::Instant::now();
    while begun.elapsed() < LONGEST {
        let nth = counted.fetch_add(1, Ordering::Relaxed);
        if nth >= demand.requests && demand.stop.load(Ordering::Relaxed) {
            break;
        }
        if !demand.every.is_zero() {
            tokio::time::sleep_until(next).await;
            next += demand.every;
        }
        let url = target.url(&demand.host, &demand.paths[nth % demand.paths.len()]);
        // What is known when the request is sent.
        let floor = seen.load(Ordering::SeqCst);
        let asked = Instant::now();
        let answer = client.get(&url).send().await;
        outcome.took.push(asked.elapsed().as_secs_f64() * 1000.0);
        outcome.requests += 1;
        let answer = match answer {
            Ok(answer) if answer.status() == 200 => answer,
            Ok(answer) => {
                outcome.failed += 1;
                outcome.first.get_or_insert(answer.status().to_string());
                continue;
            }
            Err(error) => {
                outcome.failed += 1;
                outcome.first.get_or_insert(format!("{error:?}"));
                continue;
            }
        };
        if demand.edits {
            let text =
                |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
            let edit: usize = text("x-edit").parse().unwrap_or(0);
            outcome.mixed += usize::from(text("x-backend") != ["left", "right"][edit % 2]);
            outcome.stale += usize::from(edit < floor);
            seen.fetch_max(edit, Ordering::SeqCst);
        }
    }
    outcome
}
