//! The live probe: ask Envoy for hostnames as a client would, and verify the chain.
//!
//! Hosts of one listener share connections, since a handshake costs both sides more than all else. What is proven is
//! the same but for one thing. The first host of a connection is asked for with its own SNI. For each further one the
//! certificate that the connection was opened with is verified for its name too, and the request names it; that its SNI
//! leads to the same filter chain is what the listener's configuration says, which Envoy has acknowledged. An answer
//! that could come from a wrong chain (404, 421) is not believed: the host is asked for again with its own SNI.

mod connection;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use connection::{Connection, Connector};

/// Patience with one host.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of one lane at once.
const CONNECTIONS: usize = 8;
/// Outcomes are handed on together, after at most so many or this time.
const TOGETHER: usize = 256;
const WAIT: Duration = Duration::from_millis(20);

/// How probes name themselves.
pub(crate) const USER_AGENT: &str = "portolan-probe";

/// Hosts that are asked for at one place with one certificate.
#[derive(Clone, Debug)]
pub struct Lane<K> {
    /// Where Envoy listens.
    pub address: SocketAddr,
    /// PEM of the roots to trust, for HTTPS.
    pub roots: Option<Vec<u8>>,
    /// What the caller calls each, and its hostname; a wildcard is asked for with a label of our own.
    pub hosts: Vec<(K, String)>,
}

/// What was seen of each host: the status of the answer, or one sentence.
pub type Outcomes<K> = Vec<(K, Result<u16, String>)>;

/// Asks `GET /` for each host, on as many connections as `permits` allow. Any HTTP answer is a sign of life: what the
/// route does is its own business. An error is one sentence: connect, TLS (with the reason why the chain is not valid for
/// the name) or HTTP.
pub async fn probe<K: Send + 'static>(
    lane: Lane<K>,
    permits: Arc<Semaphore>,
    outcomes: impl Fn(Outcomes<K>) + Send + Sync + 'static,
) {
    let hosts: VecDeque<(K, String)> =
        lane.hosts.into_iter().map(|(key, host)| (key, name_of(&host))).collect();
    let connections = CONNECTIONS.min(hosts.len());
    let work = Arc::new(Work {
        connector: Connector::new(lane.address, lane.roots.as_deref()),
        hosts: Mutex::new(hosts),
        outcomes: Mutex::new((Vec::new(), Instant::now())),
        hand_on: outcomes,
    });
    let workers = (0..connections).map(|_| {
        let (work, permits) = (Arc::clone(&work), Arc::clone(&permits));
        tokio::spawn(async move {
            let _permit = permits.acquire().await;
            work.run().await;
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        let _ = worker.await;
    }
    work.flush();
}

/// The name that is asked for.
fn name_of(host: &str) -> String {
    match host.strip_prefix('*') {
        Some("") => "portolan-probe.invalid".to_owned(),
        Some(rest) => format!("portolan-probe{rest}"),
        None => host.to_owned(),
    }
}

struct Work<K, F> {
    connector: Result<Connector, String>,
    hosts: Mutex<VecDeque<(K, String)>>,
    outcomes: Mutex<(Outcomes<K>, Instant)>,
    hand_on: F,
}

impl<K, F: Fn(Outcomes<K>)> Work<K, F> {
    async fn run(&self) {
        let mut open: Option<Connection> = None;
        loop {
            let next = self.hosts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((key, host)) = next else { return };
            let asked = async {
                match &self.connector {
                    Ok(connector) => ask(connector, &mut open, &host).await,
                    Err(why) => Err(why.clone()),
                }
            };
            let outcome = tokio::time::timeout(TIMEOUT, asked).await;
            let outcome = outcome.unwrap_or_else(|_| {
                let address = self.connector.as_ref().map(|c| c.address.to_string()).unwrap_or_default();
                Err(format!("no answer from {address} within {} s", TIMEOUT.as_secs()))
            });
            if outcome.is_err() {
                // Half of an answer may be on its way.
                open = None;
            }
            self.note(key, outcome);
        }
    }

    fn note(&self, key: K, outcome: Result<u16, String>) {
        let ready = {
            let mut held = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            held.0.push((key, outcome));
            held.0.len() >= TOGETHER || held.1.elapsed() >= WAIT
        };
        if ready {
            self.flush();
        }
    }

    fn flush(&self) {
        let outcomes = {
            let mut held = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            held.1 = Instant::now();
            std::mem::take(&mut held.0)
        };
        if !outcomes.is_empty() {
            (self.hand_on)(outcomes);
        }
    }
}

/// Asks for one host, on the open connection if what it says there proves something.
async fn ask(connector: &Connector, open: &mut Option<Connection>, host: &str) -> Result<u16, String> {
    if let Some(connection) = open.as_mut().filter(|connection| connection.is_valid_for(host)) {
        match connection.get(host).await {
            Ok(status) if !matches!(status, 404 | 421) => return Ok(status),
            // Of another filter chain, or closed meanwhile.
            Ok(_) | Err(_) => {}
        }
    }
    let connection = open.insert(connector.connect(host).await?);
    connection.get(host).await
}

#[cfg(test)]
mod tests;
