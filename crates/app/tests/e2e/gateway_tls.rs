//! TLS of Gateway API 1.7 on both sides of a real Envoy: backends that have to prove who they are and that ask for a
//! certificate themselves, and clients that show one where they have to.

use std::{io::Write as _, net::TcpStream, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::Value;

use super::{
    backends::{folder, route, service},
    gateway_servers::{Answer, OK, Server, ask, place, read, text},
    instance::{Instance, envoy},
};

/// An authority, and what it signs: certificate and key in PEM.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn sign(&self, dns: &str, uri: Option<&str>) -> (String, String) {
        let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
        params.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
        let key = KeyPair::generate().unwrap();
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

pub(super) fn pair(
    (certificate, key): &(String, String),
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    (chain.map(Result::unwrap).collect(), PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(super) fn indented(pem: &str) -> String {
    pem.lines().map(|line| format!("    {line}\n")).collect()
}

pub(super) fn secret(name: &str, namespace: &str, (certificate, key): &(String, String)) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        indented(certificate),
        indented(key)
    )
}

fn bundle(name: &str, namespace: &str, pem: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata:\n  ca.crt: |\n{}",
        indented(pem)
    )
}

/// A backend that speaks TLS and asks for a certificate; policies that fit, and ones that do not.
#[test]
fn backends_are_spoken_to_by_tls_or_not_at_all() {
    let Some(envoy) = envoy("e2e tls to backends") else { return };
    let (authority, stranger) = (Authority::new("authority"), Authority::new("stranger"));
    let own = authority.sign("web.lab.test", Some("spiffe://lab.test/web"));
    let client = authority.sign("edge.lab.test", None);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider());
    let (chain, key) = pair(&own);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let server = Server::start(Some(Arc::new(config)), OK);
    let policy = |name: &str, validation: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {name}, namespace: team}}\nspec:\n  targetRefs: [{{group: '', kind: Service, name: {name}}}]\n  validation: {{{validation}}}\n"
        )
    };
    let ca = |name: &str| format!("caCertificateRefs: [{{group: '', kind: ConfigMap, name: {name}}}]");
    let names = [
        ("good", format!("hostname: web.lab.test, {}", ca("ca")), 200),
        (
            "uri",
            format!(
                "hostname: other.lab.test, subjectAltNames: [{{type: URI, uri: 'spiffe://lab.test/web'}}], {}",
                ca("ca")
            ),
            200,
        ),
        ("name", format!("hostname: other.lab.test, {}", ca("ca")), 503),
        (
            "nouri",
            format!(
                "hostname: web.lab.test, subjectAltNames: [{{type: URI, uri: 'spiffe://lab.test/other'}}], {}",
                ca("ca")
            ),
            503,
        ),
        ("strange", format!("hostname: web.lab.test, {}", ca("stranger")), 503),
        ("none", format!("hostname: web.lab.test, {}", ca("missing")), 500),
    ];
    let gateway = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: mutual, namespace: gw}\nspec:\n  gatewayClassName: edge\n  tls: {backend: {clientCertificateRef: {group: '', kind: Secret, name: client}}}\n  listeners: [{name: web, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]\n";
    let mut text = gateway.to_owned()
        + &secret("client", "gw", &client)
        + &bundle("ca", "team", &authority.pem())
        + &bundle("stranger", "team", &stranger.pem());
    let mut rules = Vec::new();
    for (name, validation, _) in &names {
        text += &service(name, "[{name: https, port: 443, appProtocol: HTTPS}]", "");
        text += &server.slice(name, "https");
        text += &policy(name, validation);
        rules.push(format!(
            "{{matches: [{{path: {{value: /{name}}}}}], backendRefs: [{{name: {name}, port: 443}}]}}"
        ));
    }
    let rules = format!("[{}]", rules.join(", "));
    text += &route("tls", &rules).replace("name: front", "name: mutual");
    text += &route("bare", &rules);
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("tls.lab.test", "live");
    for (name, _, status) in &names {
        assert_eq!(ask(&entry, "GET", &format!("/{name}"), &[]).0, *status, "{name}");
    }
    assert!(server.seen("/good").iter().all(|(_, shown)| *shown));
    // The other Gateway shows nothing, so the backend lets it not in.
    let entry = instance.reach("bare.lab.test", "live");
    assert_eq!(ask(&entry, "GET", "/good", &[]).0, 503);
    let status: Value = serde_json::from_slice(
        &instance.run(&["get", "backendtlspolicy", "none", "-n", "team", "-o", "json"]).stdout,
    )
    .unwrap_or_default();
    assert!(status.to_string().contains("NoValidCACertificate"), "{status}");
}

pub(super) fn handshake(
    entry: &Value,
    roots: RootCertStore,
    client: Option<&(String, String)>,
) -> std::io::Result<Answer> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client.map(pair) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    let host = entry["hostname"].as_str().unwrap().to_owned();
    let tcp = TcpStream::connect(place(entry))?;
    tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
    let name = ServerName::try_from(host.clone()).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp);
    stream.write_all(text("GET", &host, "/", &[]).as_bytes())?;
    read(stream)
}

/// Clients are let in by the authorities of their port; a ListenerSet brings listeners of its own.
#[test]
fn clients_show_a_certificate_where_they_have_to() {
    let Some(envoy) = envoy("e2e client certificates") else { return };
    let (servers, clients, others) =
        (Authority::new("servers"), Authority::new("clients"), Authority::new("others"));
    let listener = |name: &str, port: u16| {
        format!(
            "{{name: {name}, port: {port}, protocol: HTTPS, hostname: {name}.lab.test, tls: {{certificateRefs: [{{name: {name}}}]}}, allowedRoutes: {{namespaces: {{from: All}}}}}}"
        )
    };
    let validation = |name: &str, mode: &str| {
        format!("{{validation: {{caCertificateRefs: [{{group: '', kind: ConfigMap, name: {name}}}]{mode}}}}}")
    };
    let mut text = format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: strict, namespace: gw}}\nspec:\n  gatewayClassName: edge\n  allowedListeners: {{namespaces: {{from: All}}}}\n  tls:\n    frontend:\n      default: {}\n      perPort: [{{port: 9443, tls: {}}}, {{port: 7443, tls: {{}}}}]\n  listeners: [{}, {}]\n",
        validation("clients", ""),
        validation("clients", ", mode: AllowInsecureFallback"),
        listener("strict", 8443),
        listener("loose", 9443),
    );
    text += &format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {{name: more, namespace: team}}\nspec:\n  parentRef: {{name: strict, namespace: gw}}\n  listeners: [{}]\n",
        listener("set", 7443)
    );
    for (name, namespace) in [("strict", "gw"), ("loose", "gw"), ("set", "team")] {
        text += &secret(name, namespace, &servers.sign(&format!("{name}.lab.test"), None));
        // The probe trusts what stands beside a certificate.
        text += &format!("  ca.crt: |\n{}", indented(&servers.pem()));
        let to_set = "group: gateway.networking.k8s.io, kind: ListenerSet, name: more";
        let parent = if name == "set" { to_set } else { "name: strict, namespace: gw" };
        let rules = "[{backendRefs: [{name: web, port: 80}]}]";
        text += &route(name, rules).replace("name: front, namespace: gw", parent);
    }
    text += &(service("web", "[{name: http, port: 80}]", "") + &bundle("clients", "gw", &clients.pem()));
    let instance = Instance::start(folder(&text), envoy);
    let (good, bad) = (clients.sign("client.test", None), others.sign("client.test", None));
    let strict = instance.reach("strict.lab.test", "live");
    assert_eq!(handshake(&strict, servers.roots(), Some(&good)).unwrap().0, 200);
    assert!(handshake(&strict, servers.roots(), None).is_err());
    assert!(handshake(&strict, servers.roots(), Some(&bad)).is_err());
    for host in ["loose.lab.test", "set.lab.test"] {
        let entry = instance.reach(host, "live");
        for client in [Some(&good), Some(&bad), None] {
            assert_eq!(handshake(&entry, servers.roots(), client).unwrap().0, 200, "{host}");
        }
    }
}
