//! The live probe: ask Envoy for hostnames as a client would, and verify the chain.
//!
//! Hosts of one listener share connections, since a handshake costs both sides more than all else. What is proven is
//! the same but for one thing. The first host of a connection is asked for with its own SNI. For each further one the
//! certificate that the connection was opened with is verified for its name too, and the request names it; that its SNI
//! leads to the same filter chain is what the listener's configuration says, which Envoy has acknowledged. An answer
//! that could come from a wrong chain (404, 421) is not believed: the host is asked for again with its own SNI.

mod connection;
mod trust;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};

use connection::{Connection, Connector};

/// Patience with one host.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Outcomes are handed on together: after this time at first, then ever later, since each time is a step of the engine and
/// a round of DNS for whoever takes them. A start of many hosts is so in as few parts as it takes long.
const WAIT: Duration = Duration::from_millis(40);
const LONGEST_WAIT: Duration = Duration::from_millis(320);

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
    /// Connections at once.
    pub connections: usize,
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
    let connections = lane.connections.min(hosts.len());
    let work = Arc::new(Work {
        connector: Connector::new(lane.address, lane.roots.as_deref()),
        hosts: Mutex::new(hosts),
        outcomes: Mutex::default(),
    });
    let mut workers: JoinSet<()> = (0..connections)
        .map(|_| {
            let (work, permits) = (Arc::clone(&work), Arc::clone(&permits));
            async move {
                let _permit = permits.acquire().await;
                work.run().await;
            }
        })
        .collect();
    let mut wait = WAIT;
    loop {
        let done = async { while workers.join_next().await.is_some() {} };
        let done = tokio::time::timeout(wait, done).await.is_ok();
        let seen = std::mem::take(&mut *work.outcomes.lock().unwrap_or_else(PoisonError::into_inner));
        if !seen.is_empty() {
            outcomes(seen);
        }
        if done {
            return;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// The name that is asked for.
fn name_of(host: &str) -> String {
    match host.strip_prefix('*') {
        Some("") => "portolan-probe.invalid".to_owned(),
        Some(rest) => format!("portolan-probe{rest}"),
        None => host.to_owned(),
    }
}

struct Work<K> {
    connector: Result<Connector, String>,
    hosts: Mutex<VecDeque<(K, String)>>,
    /// What is not handed on yet.
    outcomes: Mutex<Outcomes<K>>,
}

impl<K> Work<K> {
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
            self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((key, outcome));
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
