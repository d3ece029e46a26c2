//! TLSRoutes, TCPRoutes and UDPRoutes through a real Envoy: whose name the handshake says, what of it ends here, and that nothing goes
//! where it was not sent.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    sync::Arc,
    time::Duration,
};

use rustls::ServerConfig;
use serde_json::Value;

use super::{
    backends::{folder, route, service, slice, to},
    gateway_servers::{Server, Status, place, read, text},
    gateway_tls::{Authority, handshake, indented, pair, provider, secret},
    instance::{Instance, envoy},
};

/// A backend that ends TLS itself, with certificates of its own.
fn by_tls(authority: &Authority, name: &str, status: Status) -> Server {
    let (chain, key) = pair(&authority.sign(name, None));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Server::start(Some(Arc::new(config)), status)
}

fn backend(name: &str, server: &Server) -> String {
    service(name, "[{name: any, port: 443}]", "") + &server.slice(name, "any")
}

/// A route of a kind, to one backend or several.
fn stream(kind: &str, name: &str, more: &str, backends: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: team}}\nspec:\n  parentRefs: [{{name: streams, namespace: gw{more}\n  rules: [{{backendRefs: [{backends}]}}]\n"
    )
}

fn gateway(listeners: &[String]) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: streams, namespace: gw}}\nspec:\n  gatewayClassName: edge\n  listeners: [{}]\n",
        listeners.join(", ")
    )
}

/// What a name is answered at the place of another entry.
fn at(entry: &Value, name: &str) -> Value {
    let mut entry = entry.clone();
    entry["hostname"] = name.into();
    entry
}

#[test]
fn connections_go_where_the_name_of_the_handshake_says() {
    let Some(envoy) = envoy("e2e tls routes") else { return };
    let (inner, outer) = (Authority::new("backends"), Authority::new("edge"));
    let exact = by_tls(&inner, "a.pass.lab.test", |_, _| 201);
    let wide = by_tls(&inner, "*.pass.lab.test", |_, _| 202);
    let clear = Server::start(None, |_, _| 203);
    let listener = |name: &str, protocol: &str, host: &str, tls: &str| {
        format!(
            "{{name: {name}, port: 8443, protocol: {protocol}, hostname: '{host}', tls: {{{tls}}}, allowedRoutes: {{namespaces: {{from: All}}}}}}"
        )
    };
    let mut text = gateway(&[
        listener("passes", "TLS", "*.pass.lab.test", "mode: Passthrough"),
        listener("ends", "TLS", "ends.lab.test", "mode: Terminate, certificateRefs: [{name: ends}]"),
        listener("web", "HTTPS", "web.lab.test", "certificateRefs: [{name: web}]"),
    ]);
    for name in ["ends", "web"] {
        text += &secret(name, "gw", &outer.sign(&format!("{name}.lab.test"), None));
        text += &format!("  ca.crt: |\n{}", indented(&outer.pem()));
    }
    text += &(backend("exact", &exact) + &backend("wide", &wide) + &backend("clear", &clear));
    let hosts = |hosts: &str| format!("}}]\n  hostnames: [{hosts}]");
    text += &stream("TLSRoute", "exact", &hosts("a.pass.lab.test"), "{name: exact, port: 443}");
    text += &stream("TLSRoute", "wide", &hosts("'*.pass.lab.test'"), "{name: wide, port: 443}");
    text += &stream("TLSRoute", "lost", &hosts("lost.pass.lab.test"), "{name: missing, port: 443}");
    text += &stream("TLSRoute", "ends", &hosts("ends.lab.test"), "{name: clear, port: 443}");
    text += &route("web", &to("clear", 443)).replace("name: front", "name: streams");
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("a.pass.lab.test", "live");
    assert!(entry["url"].as_str().unwrap().starts_with("tls://a.pass.lab.test:"), "{entry}");
    assert!(entry["message"].as_str().unwrap().contains("agrees on TLS"), "{entry}");
    instance.reach("*.pass.lab.test", "live");
    instance.reach("ends.lab.test", "live");
    instance.reach("web.lab.test", "live");
    let ask = |name: &str, authority: &Authority| handshake(&at(&entry, name), authority.roots(), None);
    assert_eq!(ask("a.pass.lab.test", &inner).unwrap().0, 201);
    assert_eq!(ask("b.pass.lab.test", &inner).unwrap().0, 202);
    assert_eq!(ask("ends.lab.test", &outer).unwrap().0, 203);
    assert_eq!(ask("web.lab.test", &outer).unwrap().0, 203);
    // Neither falls to a wider route, nor to another listener.
    for name in ["lost.pass.lab.test", "pass.lab.test", "other.lab.test"] {
        assert!(ask(name, &inner).is_err() && ask(name, &outer).is_err(), "{name}");
    }
    assert!(instance.entry("lost.pass.lab.test").is_some_and(|lost| lost["state"] == "refused"));
    let told = instance.run(&["explain", "a.pass.lab.test"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("agrees on TLS"), "{told}");
    // A route more or less ends no connection of another.
    let (name, roots) = ("b.pass.lab.test", inner.roots());
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = rustls::ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
    let tcp = TcpStream::connect(place(&entry)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut open = rustls::StreamOwned::new(client, tcp);
    open.write_all(b"GET /one HTTP/1.1\r\nhost: b\r\n\r\n").unwrap();
    let mut first = [0; 12];
    open.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 202");
    instance.edit("base.yaml", "hostnames: [a.pass.lab.test]", "hostnames: [c.pass.lab.test]");
    instance.reach("c.pass.lab.test", "live");
    assert_eq!(ask("c.pass.lab.test", &inner).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    open.write_all(super::gateway_servers::text("GET", "b", "/two", &[]).as_bytes()).unwrap();
    assert!(!wide.seen("/one").is_empty());
    instance.wait("the open connection to be served still", || (!wide.seen("/two").is_empty()).then_some(()));
}

/// Status of what answers on a port of the Gateway; nothing if the connection was closed.
fn plain(entry: &Value) -> Option<u16> {
    let mut tcp = TcpStream::connect(place(entry)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may be closed already.
    let _ = tcp.write_all(text("GET", "any", "/", &[]).as_bytes());
    read(tcp).ok().map(|answer| answer.0)
}

#[test]
fn a_port_is_one_routes_and_what_is_lost_is_closed() {
    let Some(envoy) = envoy("e2e tcp routes") else { return };
    let (first, second) = (Server::start(None, |_, _| 201), Server::start(None, |_, _| 202));
    let listener = |name: &str, port: u16| {
        format!("{{name: {name}, port: {port}, protocol: TCP, allowedRoutes: {{namespaces: {{from: All}}}}}}")
    };
    let mut text = gateway(&[
        listener("both", 9100),
        listener("half", 9101),
        listener("lost", 9102),
        listener("idle", 9103),
    ]);
    text += &(backend("first", &first) + &backend("second", &second));
    let at = |section: &str| format!(", sectionName: {section}}}]");
    // Of one age: by name.
    text += &stream("TCPRoute", "a-first", &at("both"), "{name: first, port: 443}");
    text += &stream("TCPRoute", "b-second", &at("both"), "{name: second, port: 443}");
    text += &stream("TCPRoute", "half", &at("half"), "{name: second, port: 443}, {name: missing, port: 443}");
    text += &stream("TCPRoute", "lost", &at("lost"), "{name: missing, port: 443}");
    let instance = Instance::start(folder(&text), envoy);
    let both = instance.reach("_9100._tcp.streams.gw", "live");
    assert!(both["url"].as_str().unwrap().starts_with("tcp://127."), "{both}");
    assert_eq!(both["message"], "takes connections");
    for _ in 0..20 {
        assert_eq!(plain(&both), Some(201));
    }
    let half = instance.wait("the half to be in force", || {
        instance.entry("_9101._tcp.streams.gw").filter(|entry| entry["port"] == 9101)
    });
    instance.wait("answers and closed connections", || {
        let seen: Vec<Option<u16>> = (0..40).map(|_| plain(&half)).collect();
        assert!(seen.iter().all(|one| matches!(one, None | Some(202))), "{seen:?}");
        (seen.contains(&None) && seen.contains(&Some(202))).then_some(())
    });
    let lost = instance.reach("_9102._tcp.streams.gw", "refused");
    assert_eq!(plain(&lost), None);
    let idle = super::gateway_servers::place(&both).0;
    let idle = serde_json::json!({"address": idle, "port": 9103});
    assert_eq!(plain(&idle), None);
    // The older one goes: the other takes over.
    instance.edit("base.yaml", "name: a-first", "name: c-first");
    instance.wait("the next route to be served", || (plain(&both) == Some(202)).then_some(()));
}

/// A server of datagrams that answers each with a name of its own.
fn datagrams(name: &'static str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((_, client)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(name.as_bytes(), client);
        }
    });
    port
}

/// What a client of datagrams is answered, if it is.
fn answered(client: &UdpSocket) -> Option<String> {
    let mut buffer = [0; 100];
    client.send(b"who").unwrap();
    let read = client.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..read]).into_owned())
}

#[test]
fn datagrams_are_shared_and_a_session_stays() {
    let Some(envoy) = envoy("e2e udp routes") else { return };
    let tcp = Server::start(None, |_, _| 201);
    let listener = |name: &str, port: u16, protocol: &str| {
        format!(
            "{{name: {name}, port: {port}, protocol: {protocol}, allowedRoutes: {{namespaces: {{from: All}}}}}}"
        )
    };
    let mut text =
        gateway(&[listener("dns", 9200, "UDP"), listener("tcp", 9200, "TCP"), listener("lost", 9201, "UDP")]);
    text += &backend("tcp", &tcp);
    for name in ["one", "two"] {
        let port = datagrams(name);
        text += &service(name, "[{name: any, port: 53, protocol: UDP}]", "");
        let ports = format!("[{{name: any, port: {port}, protocol: UDP}}]");
        text += &slice(name, &ports, "[{addresses: ['127.0.0.1']}]", "IPv4");
    }
    let at = |section: &str| format!(", sectionName: {section}}}]");
    let shares = "{name: one, port: 53, weight: 3}, {name: two, port: 53, weight: 3}, {name: gone, port: 53, weight: 2}";
    text += &stream("UDPRoute", "dns", &at("dns"), shares);
    text += &stream("TCPRoute", "tcp", &at("tcp"), "{name: tcp, port: 443}");
    text += &stream("UDPRoute", "lost", &at("lost"), "{name: gone, port: 53}");
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("_9200._udp.streams.gw", "live");
    assert!(entry["url"].as_str().unwrap().starts_with("udp://127."), "{entry}");
    assert!(entry["message"].as_str().unwrap().contains("there is no probe"), "{entry}");
    let tcp = instance.reach("_9200._tcp.streams.gw", "live");
    assert_eq!((plain(&tcp), &tcp["port"]), (Some(201), &entry["port"]));
    let client = || {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(place(&entry)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        client
    };
    // Each client is one session, and its share is that of its backend: three, three and two in eight.
    let clients: Vec<UdpSocket> = (0..16).map(|_| client()).collect();
    let first: Vec<Option<String>> = clients.iter().map(answered).collect();
    let of = |name: Option<&str>| first.iter().filter(|one| one.as_deref() == name).count();
    assert!(of(Some("one")) > 0 && of(Some("two")) > 0 && of(None) > 0, "{first:?}");
    // Another route, and another weight of this one: whoever has a session keeps it, and new ones follow the weights.
    instance.edit(
        "base.yaml",
        "weight: 3}, {name: two, port: 53, weight: 3}",
        "weight: 0}, {name: two, port: 53, weight: 3}",
    );
    instance.edit("base.yaml", "{name: gone, port: 53}", "{name: two, port: 53}");
    let lost = instance.reach("_9201._udp.streams.gw", "live");
    let other = client();
    other.connect(place(&lost)).unwrap();
    instance.wait("the other route to be served", || answered(&other));
    instance.wait("new sessions to go elsewhere", || {
        let new: Vec<Option<String>> = (0..8).map(|_| answered(&client())).collect();
        (!new.iter().any(|one| one.as_deref() == Some("one"))).then_some(())
    });
    let kept = clients.iter().zip(&first).filter(|(_, first)| first.as_deref() == Some("two"));
    for (client, first) in kept {
        assert_eq!(answered(client), *first);
    }
}
