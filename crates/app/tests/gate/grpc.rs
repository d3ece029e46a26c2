//! Calls of xDS methods by hand: whoever asks, with whatever they show.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};

/// Methods of all generations: delta, state of the world, and the older ones of each type by stream and by single call.
pub const METHODS: [&str; 7] = [
    "AggregatedDiscoveryService/DeltaAggregatedResources",
    "AggregatedDiscoveryService/StreamAggregatedResources",
    "ListenerDiscoveryService/FetchListeners",
    "SecretDiscoveryService/FetchSecrets",
    "SecretDiscoveryService/StreamSecrets",
    "ClusterDiscoveryService/DeltaClusters",
    "NoSuchService/NoSuchMethod",
];

/// The status with which a call is answered (gRPC's numbers: 16 unauthenticated, 7 denied, 12 not served), or what of TLS or HTTP failed. A
/// stream that is let in and says nothing is `Ok(None)`.
pub fn call(
    at: SocketAddr,
    name: &str,
    trust: &str,
    method: &str,
    token: Option<&str>,
    node: &str,
) -> Result<Option<u32>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ask(at, name, trust, method, token, node))
}

async fn ask(
    at: SocketAddr,
    name: &str,
    trust: &str,
    method: &str,
    token: Option<&str>,
    node: &str,
) -> Result<Option<u32>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trust.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(at).await.map_err(|e| text(&e))?;
    let server = ServerName::try_from(name.to_owned()).unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = tls.connect(server, stream).await.map_err(|e| text(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|e| text(&e))?;
    tokio::spawn(connection);
    let mut request = hyper::Request::post(format!("https://xds/envoy.service.discovery.v3.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    let request = request.body(Full::new(first(node))).unwrap();
    let asked = tokio::time::timeout(std::time::Duration::from_secs(30), sender.send_request(request)).await;
    let answer = asked.map_err(|e| text(&e))?.map_err(|e| text(&e))?;
    let status = |headers: &hyper::HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    if let Some(status) = status(answer.headers()) {
        return Ok(Some(status));
    }
    let body = answer.into_body().collect().await.map_err(|e| text(&e))?;
    Ok(body.trailers().and_then(status).filter(|status| *status != 0))
}

/// A DeltaDiscoveryRequest for listeners, as one gRPC message: `node.id`, and the type.
fn first(node: &str) -> Bytes {
    let field = |number: u8, content: &[u8]| -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        // Lengths of more than 127 would take two bytes.
        assert!(length < 128);
        [&[number << 3 | 2, length], content].concat()
    };
    let kind = b"type.googleapis.com/envoy.config.listener.v3.Listener";
    let message = [field(1, &field(1, node.as_bytes())), field(2, kind)].concat();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0_u8][..], &length, &message].concat().into()
}
