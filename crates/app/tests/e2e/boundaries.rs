//! Boundaries of listeners and of their ports, with requests: what a listener owns is served by no other one.

use std::{net::SocketAddr, sync::Arc};

use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use super::{
    instance::{Instance, envoy},
    secrets::pair_for,
};

pub const CLASS: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: v1
kind: Namespace
metadata: {name: gw}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
";

/// A folder with a Gateway of these listeners, and Services `one` to `four`.
pub fn folder(listeners: &[Value]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut text = CLASS.to_owned();
    for name in ["one", "two", "three", "four"] {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "team"},
            "spec": {"ports": [{"name": "http", "port": 80}]}});
        text = format!("{text}---\n{service}\n");
    }
    std::fs::write(dir.path().join("base.yaml"), text).unwrap();
    std::fs::write(dir.path().join("front.yaml"), gateway("front", listeners)).unwrap();
    dir
}

pub fn gateway(name: &str, listeners: &[Value]) -> String {
    let mut listeners = listeners.to_vec();
    for listener in &mut listeners {
        listener["allowedRoutes"] = json!({"namespaces": {"from": "All"}});
    }
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name, "namespace": "gw"},
        "spec": {"gatewayClassName": "edge", "listeners": listeners}})
    .to_string()
}

pub fn http(name: &str, port: u16, hostname: Option<&str>) -> Value {
    let mut made = json!({"name": name, "port": port, "protocol": "HTTP"});
    if let Some(hostname) = hostname {
        made["hostname"] = hostname.into();
    }
    made
}

fn https(name: &str, hostname: Option<&str>, secret: &str) -> Value {
    let mut made = http(name, 443, hostname);
    made["protocol"] = "HTTPS".into();
    made["tls"] = json!({"certificateRefs": [{"name": secret}]});
    made
}

/// A route of one listener to one Service.
pub fn route(name: &str, section: &str, hosts: &[&str], service: &str) -> String {
    route_at("front", name, section, hosts, service)
}

pub fn route_at(gateway: &str, name: &str, section: &str, hosts: &[&str], service: &str) -> String {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "team"},
        "spec": {"parentRefs": [{"name": gateway, "namespace": "gw", "sectionName": section}], "hostnames": hosts,
            "rules": [{"backendRefs": [{"name": service, "port": 80}]}]}})
    .to_string()
}

fn secret(name: &str, names: &[&str]) -> String {
    let (chain, key) = pair_for(names);
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name, "namespace": "gw"},
        "stringData": {"tls.crt": chain, "tls.key": key}})
    .to_string()
}

pub fn address(entry: &Value) -> SocketAddr {
    format!("{}:{}", entry["address"].as_str().unwrap(), entry["port"]).parse().unwrap()
}

/// Status and, from the stand-in, the Service that answered.
pub fn ask(client: &reqwest::blocking::Client, url: &str, host: &str) -> (u16, String) {
    let answer = client.get(url).header("host", host).send().unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().unwrap_or_default();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    (status, json["service"].as_str().unwrap_or_default().to_owned())
}

/// Case gateway/04-isolation-http.
#[test]
fn a_listener_without_a_route_keeps_its_hostname() {
    let Some(envoy) = envoy("e2e isolation http") else { return };
    let dir = folder(&[
        http("any", 80, None),
        http("wild", 80, Some("*.iso.lab.test")),
        http("nested", 80, Some("*.in.iso.lab.test")),
        http("exact", 80, Some("closed.iso.lab.test")),
    ]);
    let instance = Instance::start(dir, envoy);
    instance.write("any.yaml", &route("any", "any", &[], "one"));
    instance.write("wild.yaml", &route("wild", "wild", &[], "two"));
    instance.write("nested.yaml", &route("nested", "nested", &["a.in.iso.lab.test"], "three"));
    let entry = instance.reach("a.in.iso.lab.test", "live");
    instance.reach("*", "live");
    instance.reach("*.iso.lab.test", "live");
    let client = reqwest::blocking::Client::builder().build().unwrap();
    let url = format!("http://{}/", address(&entry));
    for (host, status, service) in [
        ("a.in.iso.lab.test", 200, "team/three"),
        ("A.in.ISO.lab.test:80", 200, "team/three"),
        ("b.in.iso.lab.test", 404, ""),
        ("x.b.in.iso.lab.test", 404, ""),
        ("in.iso.lab.test", 200, "team/two"),
        ("x.iso.lab.test", 200, "team/two"),
        ("closed.iso.lab.test", 404, ""),
        ("x.closed.iso.lab.test", 200, "team/two"),
        ("iso.lab.test", 200, "team/one"),
        ("other.test", 200, "team/one"),
    ] {
        assert_eq!(ask(&client, &url, host), (status, service.to_owned()), "{host}");
    }
    // With a route it is served, and closed again without it.
    instance.write("exact.yaml", &route("exact", "exact", &[], "four"));
    instance.reach("closed.iso.lab.test", "live");
    assert_eq!(ask(&client, &url, "closed.iso.lab.test"), (200, "team/four".to_owned()));
    std::fs::remove_file(instance.dir.path().join("exact.yaml")).unwrap();
    instance.wait("the name to be closed", || {
        let answer = ask(&client, &url, "closed.iso.lab.test");
        assert!(answer.1.is_empty() || answer.1 == "team/four", "never the wider one: {answer:?}");
        (answer.0 == 404).then_some(())
    });
}

/// A client that believes any certificate and finds all of these names at one address.
fn believing(address: SocketAddr, names: &[&str]) -> reqwest::blocking::ClientBuilder {
    let mut client = reqwest::blocking::Client::builder().tls_danger_accept_invalid_certs(true);
    for name in names {
        client = client.resolve(name, address);
    }
    client
}

/// Case gateway/05-isolation-certificate-gone.
#[test]
fn a_listener_that_loses_its_certificate_refuses_handshakes() {
    let Some(envoy) = envoy("e2e isolation certificate") else { return };
    let dir = folder(&[
        https("wild", Some("*.sec.test"), "wild"),
        https("pay", Some("pay.sec.test"), "pay"),
        https("nested", Some("*.in.sec.test"), "nothing"),
    ]);
    std::fs::write(dir.path().join("wild-tls.yaml"), secret("wild", &["*.sec.test"])).unwrap();
    std::fs::write(dir.path().join("pay-tls.yaml"), secret("pay", &["pay.sec.test"])).unwrap();
    std::fs::write(dir.path().join("w.yaml"), route("w", "wild", &[], "one")).unwrap();
    std::fs::write(dir.path().join("pay.yaml"), route("pay", "pay", &["pay.sec.test"], "two")).unwrap();
    let instance = Instance::start(dir, envoy);
    instance.reach("*.sec.test", "live");
    let at = address(&instance.reach("pay.sec.test", "live"));
    let get = |host: &str| {
        let url = format!("https://{host}:{}/", at.port());
        let answer =
            believing(at, &[host]).build().unwrap().get(url).send().map_err(|error| format!("{error:?}"))?;
        let json: Value = answer.json().unwrap_or_default();
        Ok::<_, String>(json["service"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |host: &str| {
        let why = get(host).unwrap_err();
        assert!(why.contains("UnrecognisedName") || why.contains("reset"), "{host}: {why}");
    };
    // No certificate was ever there: the other listeners of the port serve, this one's names are refused.
    refused("a.in.sec.test");
    assert_eq!(get("pay.sec.test").unwrap(), "team/two");
    assert_eq!(get("a.sec.test").unwrap(), "team/one");
    // A connection to another listener lives through what follows.
    let living = believing(at, &["a.sec.test"]).build().unwrap();
    let alive = || {
        let url = format!("https://a.sec.test:{}/", at.port());
        living.get(url).send().unwrap().json::<Value>().unwrap()["service"].clone()
    };
    assert_eq!(alive(), "team/one");
    let kept = std::fs::read_to_string(instance.dir.path().join("pay-tls.yaml")).unwrap();
    std::fs::remove_file(instance.dir.path().join("pay-tls.yaml")).unwrap();
    instance.reach("pay.sec.test", "pending");
    instance.wait("the handshake to be refused", || match get("pay.sec.test") {
        Ok(service) => {
            assert_eq!(service, "team/two", "never the wider one");
            None
        }
        Err(_) => Some(()),
    });
    refused("pay.sec.test");
    assert_eq!(get("a.sec.test").unwrap(), "team/one");
    assert_eq!(alive(), "team/one");
    // Broken is refused as well; and whole again it is served.
    instance.write("pay-tls.yaml", &kept.replace("BEGIN CERTIFICATE", "BEGIN NOTHING"));
    instance.reach("pay.sec.test", "refused");
    refused("pay.sec.test");
    instance.write("pay-tls.yaml", &kept);
    instance.reach("pay.sec.test", "live");
    assert_eq!(get("pay.sec.test").unwrap(), "team/two");
}

/// HTTP/2 connections that are used for another name than they were made for (`Listener.hostname`; the cases are those of
/// the conformance test `HTTPRouteHTTPSListenerDetectMisdirectedRequests`).
#[test]
fn a_connection_of_another_listener_is_told_421() {
    let Some(envoy) = envoy("e2e misdirected") else { return };
    let dir = folder(&[
        https("any", None, "tls"),
        https("second", Some("second.example.org"), "tls"),
        https("wild", Some("*.wildcard.org"), "tls"),
        https("fourth", Some("fourth.wildcard.org"), "tls"),
    ]);
    std::fs::write(
        dir.path().join("tls.yaml"),
        secret("tls", &["*.example.org", "*.wildcard.org", "first.example.org"]),
    )
    .unwrap();
    for (file, section, hosts, service) in [
        ("1.yaml", "any", &["first.example.org"][..], "one"),
        ("2.yaml", "second", &[], "two"),
        ("3.yaml", "wild", &["third.wildcard.org", "fifth.wildcard.org"], "three"),
        ("4.yaml", "fourth", &[], "four"),
    ] {
        std::fs::write(dir.path().join(file), route(section, section, hosts, service)).unwrap();
    }
    let instance = Instance::start(dir, envoy);
    for host in ["second.example.org", "third.wildcard.org", "fifth.wildcard.org", "fourth.wildcard.org"] {
        instance.reach(host, "live");
    }
    let at = address(&instance.reach("first.example.org", "live"));
    for (name, host, status, service) in [
        ("first.example.org", "first.example.org", 200, "team/one"),
        ("first.example.org", "second.example.org", 421, ""),
        ("first.example.org", "unknown.example.org", 404, ""),
        ("second.example.org", "second.example.org", 200, "team/two"),
        ("second.example.org", "first.example.org", 421, ""),
        ("second.example.org", "unknown.example.org", 421, ""),
        ("third.wildcard.org", "third.wildcard.org", 200, "team/three"),
        ("third.wildcard.org", "fifth.wildcard.org", 200, "team/three"),
        ("third.wildcard.org", "sixth.wildcard.org", 404, ""),
        ("third.wildcard.org", "fourth.wildcard.org", 421, ""),
        ("third.wildcard.org", "second.example.org", 421, ""),
        ("third.wildcard.org", "unknown.example.org", 421, ""),
        ("fourth.wildcard.org", "fourth.wildcard.org", 200, "team/four"),
        ("fourth.wildcard.org", "fifth.wildcard.org", 421, ""),
        ("unknown.example.org", "first.example.org", 200, "team/one"),
        ("unknown.example.org", "unknown.example.org", 404, ""),
    ] {
        assert_eq!(over_http2(at, name, host), (status, service.to_owned()), "{host} at {name}");
        // By HTTP/1.1 the name of the URL goes into SNI and the header is the authority.
        let url = format!("https://{name}:{}/", at.port());
        let client = believing(at, &[name]).http1_only().build().unwrap();
        assert_eq!(ask(&client, &url, host), (status, service.to_owned()), "{host} at {name}, HTTP/1.1");
    }
}

/// Asks for `host` on an HTTP/2 connection that was made for `name`.
fn over_http2(at: SocketAddr, name: &str, host: &str) -> (u16, String) {
    let mut config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believe))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tcp = tokio::net::TcpStream::connect(at).await.unwrap();
        let sni = ServerName::try_from(name.to_owned()).unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(sni, tcp).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get(format!("https://{host}/")).body(String::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        (status, json["service"].as_str().unwrap_or_default().to_owned())
    })
}

/// Believes any certificate: what is shown is not what these tests are about.
#[derive(Debug)]
struct Believe;

impl ServerCertVerifier for Believe {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Cases gateway/03-ports-80-and-8080 and fixtures/ports.
#[test]
fn moved_ports_meet_nobody() {
    let Some(envoy) = envoy("e2e moved ports") else { return };
    let dir = folder(&[http("a", 80, None), http("b", 8080, None), http("c", 9000, None)]);
    std::fs::write(dir.path().join("second.yaml"), gateway("second", &[http("web", 80, None)])).unwrap();
    for (file, text) in [
        ("a.yaml", route("a", "a", &["p.lab.test"], "one")),
        ("b.yaml", route("b", "b", &["q.lab.test"], "two")),
        ("c.yaml", route("c", "c", &["c.lab.test"], "two")),
        ("s.yaml", route_at("second", "s", "web", &["s.lab.test"], "two")),
    ] {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    let mut instance = Instance::start(dir, envoy);
    let sockets = |instance: &Instance| {
        ["p.lab.test", "q.lab.test", "c.lab.test", "s.lab.test"]
            .map(|host| address(&instance.reach(host, "live")))
    };
    let first = sockets(&instance);
    assert_eq!(first.map(|socket| socket.port()), [8090, 8080, 9000, 8080]);
    let client = reqwest::blocking::Client::builder().build().unwrap();
    for (at, host, service) in
        [(first[0], "p.lab.test", "one"), (first[1], "q.lab.test", "two"), (first[3], "s.lab.test", "two")]
    {
        assert_eq!(ask(&client, &format!("http://{at}/"), host), (200, format!("team/{service}")), "{host}");
    }
    assert_eq!(ask(&client, &format!("http://{}/", first[1]), "p.lab.test").0, 404, "another port");
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    instance.up();
    assert_eq!(sockets(&instance), first, "the same ones again");
}
