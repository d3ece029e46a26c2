//! Somebody else's ACME client, to see our server from a second side.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, header::HOST};
use hyper_util::rt::TokioIo;
use instant_acme::{
    Account, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, Error, HttpClient, Identifier,
    NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use portolan_effects::acme::Challenges;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One connection a request, to one address.
struct Http {
    address: SocketAddr,
    tls: TlsConnector,
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (address, tls) = (self.address, self.tls.clone());
        Box::pin(async move { send(address, tls, request).await.map_err(Error::Other) })
    }
}

async fn send(
    address: SocketAddr,
    tls: TlsConnector,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Box<dyn std::error::Error + Send + Sync>> {
    let authority = request.uri().authority().ok_or("no authority")?.to_string();
    let name = ServerName::try_from(request.uri().host().ok_or("no host")?.to_owned())?;
    *request.uri_mut() = request.uri().path().parse()?;
    request.headers_mut().insert(HOST, HeaderValue::try_from(authority)?);
    let stream = tls.connect(name, TcpStream::connect(address).await?).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.into())
}

/// An account, an order, the proofs, a certificate: all by `instant-acme`. The chain as PEM.
pub async fn order(
    address: SocketAddr,
    root_pem: &str,
    challenges: &dyn Challenges,
    names: &[&str],
    csr: &[u8],
) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = TlsConnector::from(Arc::new(tls.with_root_certificates(roots).with_no_client_auth()));
    let contact = ["mailto:ops@example.com"];
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, _) = Account::builder_with_http(Box::new(Http { address, tls }))
        .create(&wanted, format!("https://localhost:{}/directory", address.port()), None)
        .await
        .unwrap();
    let names: Vec<_> = names.iter().map(|name| Identifier::Dns((*name).to_owned())).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await.unwrap();
    let mut written = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.unwrap();
        assert_eq!(authorization.status, AuthorizationStatus::Pending);
        let mut challenge = authorization.challenge(ChallengeType::Dns01).unwrap();
        let name = challenge.identifier().to_string();
        let fqdn = format!("_acme-challenge.{}", name.trim_start_matches("*."));
        let value = challenge.key_authorization().dns_value();
        challenges.present(&fqdn, &value).await.unwrap();
        written.push((fqdn, value));
        challenge.set_ready().await.unwrap();
    }
    assert_eq!(order.poll_ready(&RetryPolicy::default()).await.unwrap(), OrderStatus::Ready);
    order.finalize_csr(csr).await.unwrap();
    let chain = order.poll_certificate(&RetryPolicy::default()).await.unwrap();
    for (fqdn, value) in written {
        challenges.clean_up(&fqdn, &value).await.unwrap();
    }
    chain
}
