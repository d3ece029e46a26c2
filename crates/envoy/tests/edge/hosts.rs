//! Which virtual host answers a Host header, in every spelling, and what a backend sees of it.

use portolan_core::gateway::rows::{
    Carries, Cluster, Endpoints, FilterChain, RouteEntry, SocketKey, VirtualHost, WeightedCluster,
    WireListener,
};
use portolan_envoy::encode;
use portolan_model::{
    NamespacedName, RouteKey, RouteKind,
    input::{Filter, PathChange, PathMatch, Redirect, RouteMatch},
};

use super::harness::{Client, TABLE, backend, bootstrap, free_port, inline, scopes, start};

/// A rule for a path that answers with a redirect to `to`, so that the answer tells which rule it was.
pub fn entry(path: PathMatch, to: &str) -> RouteEntry {
    let redirect = Redirect {
        scheme: None,
        hostname: None,
        path: Some(PathChange::Full(to.into())),
        port: None,
        status: 302,
    };
    let route = RouteKey { kind: RouteKind::Http, name: NamespacedName::new("ns", "route") };
    RouteEntry {
        r#match: RouteMatch { path, method: None, headers: vec![], query: vec![] },
        filters: vec![Filter::Redirect(redirect)],
        listener_port: 80,
        ..RouteEntry::of(route)
    }
}

pub fn host(name: &str, entries: Vec<RouteEntry>) -> VirtualHost {
    let entries = entries.into_iter().map(std::sync::Arc::new).collect();
    VirtualHost { key: (TABLE.into(), name.into()), entries, misdirected: false }
}

pub fn listener(port: u16) -> WireListener {
    WireListener {
        key: SocketKey { gateway: NamespacedName::new("ns", "front"), port: 80, udp: false },
        name: TABLE.into(),
        address: "127.0.0.1".into(),
        port,
        chains: vec![FilterChain {
            server_names: vec![],
            secrets: None,
            clients: None,
            routes: TABLE.into(),
            stream: None,
        }],
    }
}

/// A host whose every request is answered with its own name.
fn named(name: &str) -> VirtualHost {
    host(name, vec![entry(PathMatch::Prefix("/".into()), &format!("/{}", name.replace('*', "any")))])
}

fn title(host: &str) -> String {
    let mut start = true;
    host.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = !c.is_ascii_alphanumeric();
            shown
        })
        .collect()
}

#[test]
fn every_spelling_of_a_host_reaches_its_virtual_host() {
    let mut hosts: Vec<String> = Vec::new();
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for n in 0..300_usize {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n as u64 | 1);
        let word = format!("{:x}", seed >> 20);
        hosts.push(match n % 5 {
            0 => format!("app-{}.example.com", seed >> 44),
            1 => format!("{word}.shop.test"),
            2 => format!("svc-{}.ns-{}.corp.test", seed >> 52, n),
            3 => format!("{}.{}.x-{word}.dev", n * 7, "l".repeat(n % 63 + 1)),
            _ => format!("{word}.wild.test"),
        });
    }
    let long = ["l".repeat(63), "m".repeat(63), "n".repeat(63), "o".repeat(61)].join(".");
    hosts.push(long.clone());
    let wild = ["*.wild.test", "*.deep.wild.test", "*.shop.test", "*"];
    let all: Vec<_> = hosts.iter().map(String::as_str).chain(wild).map(named).collect();
    let port = free_port();
    let made = bootstrap(vec![inline(&listener(port), &scopes(TABLE, &all))], vec![]);
    let Some(envoy) = start(&made, port) else { return };
    let mut client = Client::new(envoy.address);
    let mut expect = |sent: &str, wanted: &str| {
        let answer = client.get(sent, "/", "x-portolan-scope: 1\r\nX-Portolan-Scope: 2\r\n");
        let location = answer.header("location").unwrap_or_default();
        assert_eq!(location.rsplit('/').next(), Some(wanted), "{sent}: {answer:?}");
    };
    for host in &hosts {
        let (upper, title) = (host.to_ascii_uppercase(), title(host));
        for sent in [host, &upper, &title, &format!("{host}:8080"), &format!("{upper}:65535")] {
            expect(sent, host);
        }
        expect(&format!("{host}."), host);
        expect(&format!("{title}.:443"), host);
    }
    for (sent, wanted) in [
        ("a.wild.test", "any.wild.test"),
        ("A.B.WILD.TEST:80", "any.wild.test"),
        ("x.deep.wild.test", "any.deep.wild.test"),
        ("deep.wild.test", "any.wild.test"),
        ("wild.test", "any"),
        ("other.example.org", "any"),
        ("127.0.0.1", "any"),
        ("127.0.0.1:80", "any"),
        ("[::1]", "any"),
        ("[::1]:8080", "any"),
        ("under_score.shop.test", "any.shop.test"),
    ] {
        expect(sent, wanted);
    }
    expect(&format!("{}.example.com", "x".repeat(300)), "any");
    expect(&format!("{}.wild.test:80", "x".repeat(2000)), "any.wild.test");
    let missing = client.send("GET / HTTP/1.1\r\nx-portolan-scope: 1\r\n\r\n");
    assert_eq!(missing.status, 400);
}

/// Spelling and port of the Host reach the backend and the mirror; the scope reaches neither them nor the client.
#[test]
fn a_backend_sees_the_host_as_it_came() {
    let ports = [backend("one"), backend("mirror")];
    let names = ["svc/ns/one/80", "svc/ns/mirror/80"];
    let clusters = names
        .iter()
        .zip(ports)
        .map(|(name, port)| {
            let (key, service) = ((*name).into(), NamespacedName::new("ns", "one"));
            let cluster = Cluster {
                key,
                service,
                port: 80,
                http2: false,
                tls: None,
                carries: Carries::Requests,
                blend: None,
            };
            let addresses = vec![("127.0.0.1".into(), port)];
            let service = NamespacedName::new("ns", "one");
            let endpoints = Endpoints {
                key: (*name).into(),
                service,
                addresses,
                stand_in: None,
                tls: false,
                blend: None,
            };
            (encode::cluster(&cluster), endpoints)
        })
        .collect();
    let mut rule = entry(PathMatch::Prefix("/".into()), "/");
    rule.filters.clear();
    rule.clusters = vec![WeightedCluster::new(names[0].into(), 1)];
    let all = [host("p1.lab.test", vec![rule.clone()]), host("*", vec![rule])];
    let port = free_port();
    let made = bootstrap(vec![inline(&listener(port), &scopes(TABLE, &all))], clusters);
    let Some(envoy) = start(&made, port) else { return };
    let mut client = Client::new(envoy.address);
    for sent in ["p1.lab.test", "p1.lab.test:18080", "P1.Lab.Test:80", "[::1]:80", "[::1]", "127.0.0.1:1"] {
        let answer = client.get(sent, "/x", "x-portolan-scope: 1\r\nx-other: 2\r\n");
        assert_eq!(answer.status, 200, "{sent}: {answer:?}");
        assert!(answer.body.contains(&format!("host: {sent}\r\n")), "{sent}: {answer:?}");
        assert!(answer.body.contains("x-other: 2"), "{answer:?}");
        assert!(!answer.body.contains("x-portolan"), "{answer:?}");
        assert_eq!(answer.header("x-portolan-scope"), None, "{answer:?}");
    }
}
