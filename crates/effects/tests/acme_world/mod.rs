//! What the ACME tests share: a zone, requests, chains under test, challenges that misbehave.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used)]

pub mod other_client;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use portolan_core::certificates::acme::{Limits, OrderState, Wanted};
use portolan_effects::{
    acme::{AccountKey, Bounds, Challenges, Client, Outcome, ProviderChallenges, Reach, Run, drive},
    dns::{EmbeddedDns, embedded::Contents, query},
    issue::{PrivateKey, certificate_request},
};
use portolan_model::{
    Instant,
    certificate::{CertificateRequestParams, KeyEncoding, KeyKind, Usage},
    dns::RecordType,
};
use rustls::{RootCertStore, client::WebPkiServerVerifier, client::danger::ServerCertVerifier as _};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

pub const APEX_AND_WILDCARD: [&str; 2] = ["example.com", "*.example.com"];

pub fn now() -> Instant {
    Instant(jiff::Timestamp::now().as_millisecond())
}

/// An authoritative server of `example.com` on loopback.
pub async fn zone() -> Arc<EmbeddedDns> {
    let any = "127.0.0.1:0".parse().unwrap();
    Arc::new(EmbeddedDns::start(any, &["example.com".into()], &Contents::default()).await.unwrap())
}

/// A client with a new account key of that kind.
pub fn client(kind: KeyKind, root_pem: &str, server: SocketAddr) -> Arc<Client> {
    Arc::new(Client::new(AccountKey::generate(kind).unwrap(), root_pem, Reach::Only(server)).unwrap())
}

/// Looks often and gives up soon, so that tests are quick.
pub fn limits() -> Limits {
    Limits { poll_first: 20, poll_longest: 200, failures: 2, ..Limits::default() }
}

pub fn order(directory: &str, client: &Client, names: &[&str]) -> OrderState {
    let wanted = Wanted {
        directory: directory.to_owned(),
        contact: vec!["mailto:ops@example.com".to_owned()],
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        thumbprint: client.thumbprint(),
    };
    OrderState::new(wanted, limits())
}

pub fn csr(kind: KeyKind, names: &[&str]) -> Vec<u8> {
    let params = CertificateRequestParams {
        dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
        duration: 90 * 86_400_000,
        usages: vec![Usage::DigitalSignature, Usage::KeyEncipherment],
        key: kind,
        encoding: KeyEncoding::Pkcs8,
        ..CertificateRequestParams::default()
    };
    certificate_request(&params, &PrivateKey::generate(kind).unwrap()).unwrap()
}

pub fn run(client: &Arc<Client>, zone: &Arc<EmbeddedDns>, names: &[&str]) -> Run {
    Run {
        client: Arc::clone(client),
        csr: csr(KeyKind::P256, names),
        challenges: Arc::new(ProviderChallenges::new(Arc::clone(zone) as _)),
        bounds: Bounds { dns: Duration::from_secs(5), ..Bounds::default() },
    }
}

/// Verifies as a TLS client would: path to the root, validity, purpose, name.
pub fn assert_chain(chain_pem: &str, root_pem: &str, name: &str) {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
    assert!(chain.len() >= 2, "leaf and intermediate");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let server = ServerName::try_from(name.to_owned()).unwrap();
    verifier
        .verify_server_cert(&chain[0], &chain[1..], &server, &[], UnixTime::now())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[track_caller]
pub fn issued(outcome: Outcome) -> String {
    match outcome {
        Outcome::Issued { chain_pem } => chain_pem,
        other => panic!("{other:?}"),
    }
}

/// Values of the challenge's TXT set, asked of the server itself.
pub async fn values(zone: &EmbeddedDns) -> Vec<String> {
    let answer = query::ask(zone.address(), "_acme-challenge.example.com", RecordType::Txt).await.unwrap();
    answer.values(RecordType::Txt).map(ToOwned::to_owned).collect()
}

/// A closure as what sees an order's states: written in place of an argument, its parameter would be of one lifetime.
pub fn shown<F: FnMut(&OrderState) + Send>(see: F) -> F {
    see
}

/// Drives until the callback has run `stop` times, then drops the future in the middle. The last state as it was stored.
pub async fn cut(state: OrderState, run: Run, stop: usize) -> Result<String, Outcome> {
    let stored = Arc::new(Mutex::new((0, String::new())));
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let mut sender = Some(sender);
    let seen = Arc::clone(&stored);
    let driven = drive(
        state,
        run,
        shown(move |state| {
            let mut seen = seen.lock().unwrap();
            seen.0 += 1;
            if seen.0 == stop {
                seen.1 = serde_json::to_string(state).unwrap();
                let _ = sender.take().unwrap().send(());
            }
        }),
    );
    tokio::select! {
        biased;
        _ = receiver => Ok(stored.lock().unwrap().1.clone()),
        (_, outcome) = driven => Err(outcome),
    }
}

/// Challenges in the zone that count, and misbehave as told.
pub struct Watched {
    pub zone: Arc<EmbeddedDns>,
    pub inner: ProviderChallenges,
    /// Most values that stood side by side when one was found visible.
    pub most: AtomicUsize,
    /// Writes this instead.
    pub instead: Option<&'static str>,
    /// Clean-ups that are still to fail.
    pub failing: AtomicUsize,
}

impl Watched {
    pub fn new(zone: &Arc<EmbeddedDns>) -> Self {
        Self {
            zone: Arc::clone(zone),
            inner: ProviderChallenges::new(Arc::clone(zone) as _),
            most: AtomicUsize::new(0),
            instead: None,
            failing: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Challenges for Watched {
    async fn present(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.inner.present(fqdn, self.instead.unwrap_or(value)).await
    }

    async fn visible(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.inner.visible(fqdn, self.instead.unwrap_or(value)).await?;
        self.most.fetch_max(values(&self.zone).await.len(), Ordering::SeqCst);
        Ok(())
    }

    async fn clean_up(&self, fqdn: &str, value: &str) -> Result<(), String> {
        let failing =
            self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err("403 from the provider".to_owned());
        }
        self.inner.clean_up(fqdn, self.instead.unwrap_or(value)).await
    }
}
