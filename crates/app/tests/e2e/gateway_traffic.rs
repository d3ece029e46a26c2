//! What Gateway API 1.7 asks of requests that a golden case cannot show: answers of the edge itself, requests that are sent
//! again, shares of backends with filters of their own, and sessions, through a real Envoy.

use std::{collections::BTreeSet, net::TcpListener};

use super::{
    backends::{folder, route, service, slice},
    gateway_servers::{OK, Server, ask, get},
    instance::{Instance, envoy},
};

#[test]
fn preflight_requests_are_answered_by_the_edge() {
    let Some(envoy) = envoy("e2e cors") else { return };
    let server = Server::start(None, OK);
    let cors = |path: &str, method: &str, cors: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}{method}}}], filters: [{{type: CORS, cors: {{{cors}}}}}], backendRefs: [{{name: web, port: 80}}]}}"
        )
    };
    let rules = [
        cors(
            "/listed",
            "",
            "allowOrigins: ['https://www.foo.com', 'https://*.bar.com'], allowMethods: [GET], allowHeaders: [x-a], exposeHeaders: [x-b], allowCredentials: true, maxAge: 60",
        ),
        cors(
            "/any",
            "",
            "allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*'], allowCredentials: true",
        ),
        cors("/put", ", method: PUT", "allowOrigins: ['https://www.foo.com:443'], allowMethods: [PUT]"),
    ];
    let text = service("web", "[{name: http, port: 80}]", "")
        + &server.slice("web", "http")
        + &route("cors", &format!("[{}]", rules.join(", ")));
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("cors.lab.test", "live");
    let preflight = |path: &str, origin: &str, method: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", "x-1, x-2"),
        ];
        ask(&entry, "OPTIONS", path, &headers)
    };
    for origin in ["https://www.foo.com", "https://a.b.bar.com"] {
        let answer = preflight("/listed", origin, "GET");
        assert_eq!(answer.0, 200);
        for (name, value) in [
            ("access-control-allow-origin", origin),
            ("access-control-allow-methods", "GET"),
            ("access-control-allow-headers", "x-a"),
            ("access-control-expose-headers", "x-b"),
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "60"),
        ] {
            assert_eq!(get(&answer, name), Some(value), "{origin}: {answer:?}");
        }
    }
    for origin in [
        "https://bar.com",
        "http://www.foo.com",
        "https://www.foo.com.evil.test",
        "https://evil.test/.bar.com",
    ] {
        assert_eq!(
            get(&preflight("/listed", origin, "GET"), "access-control-allow-origin"),
            None,
            "{origin}"
        );
    }
    // Of everything what was asked for, since credentials are allowed.
    let answer = preflight("/any", "https://x.test:8443", "PATCH");
    for (name, value) in [
        ("access-control-allow-origin", "https://x.test:8443"),
        ("access-control-allow-methods", "PATCH"),
        ("access-control-allow-headers", "x-1, x-2"),
    ] {
        assert_eq!(get(&answer, name), Some(value), "{answer:?}");
    }
    assert_eq!(get(&answer, "access-control-expose-headers"), None);
    // A preflight request comes by OPTIONS, whatever method the rule is for.
    let answer = preflight("/put", "https://www.foo.com", "PUT");
    assert_eq!(get(&answer, "access-control-allow-methods"), Some("PUT"), "{answer:?}");
    assert_eq!(server.seen("OPTIONS"), []);
    let answer = ask(&entry, "PUT", "/put", &[("Origin", "https://www.foo.com")]);
    assert_eq!((answer.0, get(&answer, "access-control-allow-origin")), (200, Some("https://www.foo.com")));
}

#[test]
fn requests_are_sent_again_as_their_rule_says() {
    let Some(envoy) = envoy("e2e retries") else { return };
    // Answers 503 twice, then 200.
    let server =
        Server::start(None, |first, count| if first.contains("/up") || count > 2 { 200 } else { 503 });
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rule = |path: &str, retry: &str, name: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], {retry}backendRefs: [{{name: {name}, port: 80}}]}}"
        )
    };
    let rules = [
        rule("/twice", "retry: {codes: [503], attempts: 2, backoff: 1ms}, ", "web"),
        rule("/once", "retry: {codes: [503], backoff: 1ms}, ", "web"),
        rule("/other", "retry: {codes: [500], attempts: 5}, ", "web"),
        rule("/off", "retry: {codes: [503], attempts: 0}, ", "web"),
        rule("/up", "retry: {attempts: 10}, ", "half"),
    ];
    let ports = format!("[{{name: http, port: {gone}, protocol: TCP}}]");
    let dead = slice("half", &ports, "[{addresses: ['127.0.0.1']}]", "IPv4").replace("half-1", "half-2");
    let text = service("web", "[{name: http, port: 80}]", "")
        + &server.slice("web", "http")
        + &service("half", "[{name: http, port: 80}]", "")
        + &server.slice("half", "http")
        + &dead
        + &route("retry", &format!("[{}]", rules.join(", ")));
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("retry.lab.test", "live");
    for (path, status, tries) in [("/twice", 200, 3), ("/once", 503, 2), ("/other", 503, 1), ("/off", 503, 1)]
    {
        assert_eq!(ask(&entry, "GET", path, &[]).0, status, "{path}");
        assert_eq!(server.seen(path).len(), tries, "{path}");
    }
    // One of two endpoints refuses connections.
    for _ in 0..20 {
        assert_eq!(ask(&entry, "GET", "/up", &[]).0, 200);
    }
}

#[test]
fn filters_of_a_backend_are_for_its_share_alone() {
    let Some(envoy) = envoy("e2e filters of backends") else { return };
    let server = Server::start(None, OK);
    let text = service("web", "[{name: http, port: 80}]", "")
        + &server.slice("web", "http")
        + &route(
            "split",
            "[{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80, weight: 1, filters: [{type: URLRewrite, urlRewrite: {hostname: one.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: /one}}}]}, {name: web, port: 80, weight: 3, filters: [{type: URLRewrite, urlRewrite: {hostname: two.test, path: {type: ReplaceFullPath, replaceFullPath: /two}}}]}]}]",
        );
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("split.lab.test", "live");
    let mut counts = [0, 0];
    for _ in 0..400 {
        match &*ask(&entry, "GET", "/a/b", &[]).2 {
            "GET /one/b HTTP/1.1 one.test" => counts[0] += 1,
            "GET /two HTTP/1.1 two.test" => counts[1] += 1,
            other => panic!("{other}"),
        }
    }
    // A quarter, within six standard deviations (binomial: 8.7).
    assert!((48..=152).contains(&counts[0]), "{counts:?}");
}

#[test]
fn a_session_stays_with_its_endpoint() {
    let Some(envoy) = envoy("e2e sessions") else { return };
    let servers = [Server::start(None, OK), Server::start(None, OK), Server::start(None, OK)];
    let slices: String = servers
        .iter()
        .enumerate()
        .map(|(at, s)| s.slice("web", "http").replace("web-1", &format!("web-{at}")))
        .collect();
    let rule = |path: &str, session: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], sessionPersistence: {{{session}}}, backendRefs: [{{name: web, port: 80}}]}}"
        )
    };
    let rules = [
        rule("/cookie", "cookie: {name: mine, path: /cookie}"),
        rule("/header", "type: Header, header: {name: x-session}"),
    ];
    let text = service("web", "[{name: http, port: 80}]", "")
        + &slices
        + &route("session", &format!("[{}]", rules.join(", ")));
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("session.lab.test", "live");
    let answered =
        |path: &str| -> Vec<usize> { servers.iter().map(|server| server.seen(path).len()).collect() };
    let first = ask(&entry, "GET", "/cookie/first", &[]);
    let cookie = get(&first, "set-cookie").unwrap();
    assert!(cookie.starts_with("mine=") && cookie.contains("Path=/cookie"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let at = answered("/cookie/first").iter().position(|count| *count == 1).unwrap();
    for _ in 0..12 {
        ask(&entry, "GET", "/cookie/again", &[("Cookie", &cookie)]);
    }
    assert_eq!(answered("/cookie/again")[at], 12);
    let first = ask(&entry, "GET", "/header/first", &[]);
    let session = get(&first, "x-session").unwrap().to_owned();
    let at = answered("/header/first").iter().position(|count| *count == 1).unwrap();
    for _ in 0..12 {
        ask(&entry, "GET", "/header/again", &[("x-session", &session)]);
    }
    assert_eq!(answered("/header/again")[at], 12);
    // Without either the endpoints take turns.
    for _ in 0..12 {
        ask(&entry, "GET", "/header/none", &[]);
    }
    assert!(answered("/header/none").iter().collect::<BTreeSet<_>>().len() <= 3);
    assert!(answered("/header/none").iter().all(|count| *count < 12));
}
