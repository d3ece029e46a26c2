#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, convert::Infallible};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_rustls::TlsAcceptor;

use super::*;

/// SNI and hosts of each connection.
type Seen = Arc<Mutex<Vec<(String, Vec<String>)>>>;

/// A server with one certificate. Of another listener is what begins with `other`: only its own SNI leads to it.
async fn server(names: &[&str]) -> (SocketAddr, Vec<u8>, Seen) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let sni = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                let at = {
                    let mut noted = noted.lock().unwrap();
                    noted.push((sni.clone(), vec![]));
                    noted.len() - 1
                };
                let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| {
                    let host = request.headers()["host"].to_str().unwrap().to_owned();
                    let elsewhere = host.starts_with("other") && sni != host;
                    noted.lock().unwrap()[at].1.push(host);
                    let answer = http::Response::builder().status(if elsewhere { 421 } else { 204 });
                    async move { Ok::<_, Infallible>(answer.body(Full::new(Bytes::new())).unwrap()) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, made.cert.pem().into_bytes(), seen)
}

async fn ask_all(
    address: SocketAddr,
    roots: &[u8],
    hosts: &[String],
) -> BTreeMap<String, Result<u16, String>> {
    let (sender, mut outcomes) = mpsc::unbounded_channel();
    let hosts = hosts.iter().map(|host| (host.clone(), host.clone())).collect();
    let lane = Lane { address, speaks: Speaks::Https, roots: Some(roots.to_vec()), hosts, connections: 8 };
    probe(lane, Arc::new(Semaphore::new(64)), move |outcomes| drop(sender.send(outcomes))).await;
    let mut all = BTreeMap::new();
    while let Some(some) = outcomes.recv().await {
        all.extend(some);
    }
    all
}

#[tokio::test]
async fn hosts_of_a_listener_share_connections_and_each_is_asked_for() {
    let (address, roots, seen) = server(&["*.example.com"]).await;
    let hosts: Vec<String> = (0..400).map(|n| format!("h{n}.example.com")).collect();
    let outcomes = ask_all(address, &roots, &hosts).await;
    assert_eq!(outcomes.len(), 400);
    assert!(outcomes.values().all(|outcome| *outcome == Ok(204)), "{outcomes:?}");
    let seen = seen.lock().unwrap();
    assert!(seen.len() <= 8, "{} connections", seen.len());
    let mut asked: Vec<&String> = seen.iter().flat_map(|(_, hosts)| hosts).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 400);
    assert!(
        seen.iter().all(|(sni, hosts)| *sni == hosts[0]),
        "the first host of a connection has its own SNI"
    );
}

/// A name that the certificate lacks is refused with a handshake of its own, and harms no other.
#[tokio::test]
async fn a_name_that_the_certificate_lacks_is_said() {
    let (address, roots, _seen) = server(&["*.example.com"]).await;
    let hosts = ["a.example.com", "b.example.org", "c.example.com", "*.w.example.com"].map(str::to_owned);
    let outcomes = ask_all(address, &roots, &hosts).await;
    assert_eq!((&outcomes["a.example.com"], &outcomes["c.example.com"]), (&Ok(204), &Ok(204)));
    for wrong in ["b.example.org", "*.w.example.com"] {
        assert!(outcomes[wrong].as_ref().is_err_and(|why| why.starts_with("TLS: ")), "{outcomes:?}");
    }
}

/// What looks like the answer of another filter chain is asked for again with its own SNI.
#[tokio::test]
async fn a_misdirected_host_is_asked_for_with_its_own_sni() {
    let (address, roots, seen) = server(&["*.example.com"]).await;
    let hosts: Vec<String> =
        (0..40).map(|n| format!("{}{n}.example.com", if n % 4 == 3 { "other" } else { "h" })).collect();
    let outcomes = ask_all(address, &roots, &hosts).await;
    assert_eq!(outcomes.len(), 40);
    assert!(outcomes.values().all(|outcome| *outcome == Ok(204)), "{outcomes:?}");
    let seen = seen.lock().unwrap();
    for host in hosts.iter().filter(|host| host.starts_with("other")) {
        assert!(seen.iter().any(|(sni, asked)| sni == host && asked[0] == *host), "{host}");
    }
}

#[tokio::test]
async fn a_place_where_nobody_listens_is_said_of_each_host() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let (_, roots, _) = server(&["a.example.com"]).await;
    let outcomes = ask_all(address, &roots, &["a.example.com".to_owned(), "b.example.com".to_owned()]).await;
    assert!(
        outcomes.values().all(|o| o.as_ref().is_err_and(|why| why.starts_with("connect to "))),
        "{outcomes:?}"
    );
    let outcomes = ask_all(address, b"no PEM", &["a.example.com".to_owned()]).await;
    assert!(outcomes["a.example.com"].is_err());
}

#[test]
fn a_listener_on_every_address_is_asked_on_loopback() {
    let asked = |text: &str| connection::reachable(text.parse().expect("an address")).to_string();
    assert_eq!(asked("0.0.0.0:80"), "127.0.0.1:80");
    assert_eq!(asked("[::]:80"), "[::1]:80");
    assert_eq!(asked("127.77.1.2:8080"), "127.77.1.2:8080");
}
