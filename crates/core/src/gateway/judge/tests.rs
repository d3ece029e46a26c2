//! Each limit at its last good value and at its first bad one.
#![allow(clippy::unwrap_used)]

use portolan_model::{
    Name,
    input::{
        BackendRef, BackendTarget, Filter, HeaderChange, PathChange, PathMatch, Redirect, RouteMatch,
        RouteRule, Traffic, ValueMatch,
    },
};

use super::{closings, rule};

fn target() -> BackendTarget {
    BackendTarget {
        kind: portolan_model::Kind::new("", "Service"),
        name: portolan_model::NamespacedName::new("a", "one"),
        port: Some(80),
    }
}

fn with(paths: Vec<PathMatch>, filters: Vec<Filter>) -> RouteRule {
    let made = |path| RouteMatch { path, method: None, headers: vec![], query: vec![] };
    RouteRule {
        matches: paths.into_iter().map(made).collect(),
        left_out: vec![],
        invalid: vec![],
        filters,
        backends: vec![],
        traffic: None,
    }
}

fn prefix(text: &str) -> PathMatch {
    PathMatch::Prefix(text.into())
}

fn closes(filter: Filter) -> bool {
    rule(&with(vec![prefix("/a")], vec![filter])).closed
}

fn set(name: &str, value: String) -> Filter {
    Filter::RequestHeaders(HeaderChange { set: vec![(name.into(), value)], ..Default::default() })
}

fn redirect(change: impl Fn(&mut Redirect)) -> Filter {
    let mut made = Redirect { scheme: None, hostname: None, path: None, port: None, status: 302 };
    change(&mut made);
    Filter::Redirect(made)
}

#[test]
fn header_changes() {
    for name in ["Host", "HOST", ":path", ":", "", "a b", "a:b", "é", "a\n"] {
        assert!(closes(set(name, "v".into())), "{name}");
        let remove = HeaderChange { remove: vec![name.into()], ..Default::default() };
        assert!(closes(Filter::RequestHeaders(remove.clone())), "{name}");
        assert!(closes(Filter::ResponseHeaders(remove)), "{name}");
    }
    for name in ["Content-Length", "transfer-encoding"] {
        assert!(closes(set(name, "3".into())), "{name}");
        let remove = HeaderChange { remove: vec![name.into()], ..Default::default() };
        assert!(!closes(Filter::ResponseHeaders(remove)), "{name}");
    }
    for name in ["x-a", "hosts", "Server", "x_a", "content-lengths", "x-envoy"] {
        assert!(!closes(set(name, "v".into())), "{name}");
    }
    // An order to Envoy: of a request only, and to take it away harms nothing.
    for name in ["x-envoy-upstream-rq-timeout-ms", "X-Envoy-Retry-On"] {
        let change = HeaderChange { add: vec![(name.into(), "1".into())], ..Default::default() };
        assert!(closes(set(name, "1".into())) && closes(Filter::RequestHeaders(change.clone())), "{name}");
        assert!(!closes(Filter::ResponseHeaders(change)), "{name}");
        let remove = HeaderChange { remove: vec![name.into()], ..Default::default() };
        assert!(!closes(Filter::RequestHeaders(remove)), "{name}");
    }
    for (value, bad) in [
        (String::new(), false),
        ("x".repeat(16_384), false),
        ("x".repeat(16_385), true),
        ("%".repeat(8192), false),
        ("%".repeat(8193), true),
        ("a\nb".into(), true),
        ("a\0".into(), true),
        ("a\tb".into(), false),
    ] {
        assert_eq!(closes(set("x-a", value.clone())), bad, "{} bytes", value.len());
    }
    let many = |n: usize| {
        let set = (0..n).map(|i| (Name::from(format!("x-{i}")), "v".to_owned())).collect();
        Filter::ResponseHeaders(HeaderChange { set, ..Default::default() })
    };
    assert!(!closes(many(1000)));
    assert!(closes(many(1001)));
}

#[test]
fn redirects_and_rewrites() {
    assert!(!closes(redirect(|r| r.hostname = Some("new.example.com".into()))));
    for bad in ["bad\nhost", "*.example.com", "a.com:80", "127.0.0.1", "", "a b"] {
        assert!(closes(redirect(|r| r.hostname = Some(bad.into()))), "{bad}");
        assert!(closes(Filter::Rewrite { hostname: Some(bad.into()), path: None }), "{bad}");
    }
    assert!(closes(redirect(|r| r.scheme = Some("ftp".into()))));
    assert!(closes(redirect(|r| r.status = 0)));
    assert!(!closes(redirect(|r| r.path = Some(PathChange::Full("/a?b=c".into())))));
    for bad in ["a", "/a b", "/a#b", "/a\n"] {
        assert!(closes(redirect(|r| r.path = Some(PathChange::Full(bad.into())))), "{bad}");
    }
    let rewrite = |path| Filter::Rewrite { hostname: None, path: Some(path) };
    assert!(closes(rewrite(PathChange::Full("/a?b".into()))));
    assert!(!closes(rewrite(PathChange::Prefix(Name::default()))));
    let two = vec![rewrite(PathChange::Full("/a".into())), rewrite(PathChange::Prefix("/b".into()))];
    assert!(rule(&with(vec![prefix("/a")], two)).closed);
    let exact = with(vec![PathMatch::Exact("/a".into())], vec![rewrite(PathChange::Prefix("/b".into()))]);
    assert!(rule(&exact).closed);
}

#[test]
fn weights_timeouts_and_shares() {
    let weights = |all: &[u32]| {
        let backend = |weight: &u32| BackendRef { target: target(), weight: *weight, filters: vec![] };
        let made =
            RouteRule { backends: all.iter().map(backend).collect(), ..with(vec![prefix("/")], vec![]) };
        rule(&made).closed
    };
    assert!(!weights(&[u32::MAX, 0]));
    assert!(weights(&[u32::MAX, 1]));
    let timeout = |ms| {
        let traffic = Traffic { request_timeout: Some(ms), ..Default::default() };
        rule(&RouteRule { traffic: Some(traffic.into()), ..with(vec![prefix("/")], vec![]) }).closed
    };
    assert!(!timeout(4 * 99_999 * 3_600_000));
    assert!(timeout(4 * 99_999 * 3_600_000 + 1));
    let mirror = |parts_per_million| closes(Filter::Mirror { backend: target(), parts_per_million });
    assert!(!mirror(1_000_000));
    assert!(mirror(1_000_001));
}

#[test]
fn what_is_left_of_a_path_are_the_requests_that_it_was_for() {
    let exact = |text: &str| PathMatch::Exact(text.into());
    for (path, rest) in [
        (prefix("/find?kind=a"), vec![prefix("/find")]),
        (exact("/a?b"), vec![exact("/a")]),
        (prefix("a/b"), vec![prefix("/a/b")]),
        (prefix("/a#b"), vec![prefix("/a")]),
        (prefix("/a//b"), vec![prefix("/a/b")]),
        (prefix("/a/../b"), vec![prefix("/b")]),
        (prefix("/v1.2/./b/"), vec![prefix("/v1.2/b")]),
        (exact("/a/.//b/"), vec![exact("/a/b/")]),
        (prefix("/a b"), vec![prefix("/a%20b"), prefix("/a b")]),
        (prefix("/é"), vec![prefix("/%C3%A9"), prefix("/%c3%a9"), prefix("/é")]),
        (exact("/a\nb"), vec![exact("/a%0Ab"), exact("/a%0ab")]),
        (prefix("/x/a%2Fb%2f..%2fc"), vec![prefix("/x/a/c")]),
        (exact(""), vec![exact("/")]),
    ] {
        let made = with(vec![path.clone()], vec![]);
        let verdict = rule(&made);
        assert!(verdict.matches.is_empty() && !verdict.closed, "{path:?}");
        let left: Vec<_> = verdict.left_out.iter().map(|left_out| left_out.rest.path.clone()).collect();
        assert_eq!(left, rest, "{path:?}");
        assert_eq!(verdict.wrong[0].field, "matches[0].path.value");
    }
    let long = with(vec![prefix(&format!("/{}", "é".repeat(9000)))], vec![]);
    assert!(
        rule(&long).left_out.iter().all(|l| matches!(&l.rest.path, PathMatch::Prefix(p) if p.len() > 16_000))
    );
    for good in ["/", "/a", "/a.b/c-d_e~f", "/%41", "/a:b@c", "/a;b=c"] {
        assert_eq!(rule(&with(vec![prefix(good)], vec![])).wrong, [], "{good}");
    }
}

#[test]
fn a_bad_part_of_a_match_leaves_the_others() {
    let mut made = with(vec![prefix("/a")], vec![]);
    let value = |name: &str| ValueMatch { name: name.into(), value: "x".into(), regex: false };
    made.matches[0].headers = vec![value("x-a"), value("")];
    made.matches[0].query = vec![value(&"q".repeat(1025)), value("q")];
    made.matches[0].method = Some("get".into());
    let verdict = rule(&made);
    let rest = &verdict.left_out[0].rest;
    assert_eq!((rest.headers.len(), rest.query.len(), rest.method.as_deref()), (1, 1, Some("get")));
    assert_eq!(verdict.wrong.len(), 1);
}

#[test]
fn what_is_left_of_a_match_that_could_not_be_read_is_judged_too() {
    let mut made = with(vec![prefix("/é/b")], vec![]);
    let mut rest = made.matches.remove(0);
    rest.headers = vec![ValueMatch { name: "a\nb".into(), value: "x".into(), regex: false }];
    made.left_out = vec![portolan_model::input::LeftOut { at: 0, rest, written: None }];
    let verdict = rule(&made);
    let rest = &verdict.left_out[0].rest;
    assert_eq!((&rest.path, rest.headers.len()), (&prefix("/%C3%A9/b"), 0));
    assert!(super::matches::judge(rest, 0).is_ok());
}

#[test]
fn a_match_that_is_left_out_opens_nothing_of_its_route() {
    let order = |m: &RouteMatch| match &m.path {
        PathMatch::Exact(p) => (0, usize::MAX - p.len()),
        PathMatch::Prefix(p) => (1, usize::MAX - p.len()),
        PathMatch::Regex(p) => (2, usize::MAX - p.len()),
    };
    let rules = [
        with(vec![prefix("/admin/x?y")], vec![]),
        with(vec![prefix("/")], vec![]),
        with(vec![prefix("/shop")], vec![]),
        with(vec![PathMatch::Exact("/admin/x/y".into())], vec![]),
        with(vec![prefix("/admin")], vec![]),
    ];
    let verdicts: Vec<_> = rules.iter().map(rule).collect();
    let made = closings(&verdicts, order);
    let shown: Vec<_> = made.iter().map(|c| (c.r#match.path.clone(), c.before)).collect();
    assert_eq!(
        shown,
        [(prefix("/admin/x"), None), (prefix("/admin/x"), Some((1, 0))), (prefix("/admin/x"), Some((4, 0)))]
    );
}

#[test]
fn only_the_requests_of_a_match_that_is_left_out_are_closed() {
    let method = |text: &str| {
        let mut made = with(vec![prefix("/")], vec![]);
        made.matches[0].method = Some(text.into());
        made
    };
    let rules = [
        with(vec![prefix("/a b")], vec![]),
        method("get"),
        method("POST"),
        with(vec![prefix("/a")], vec![]),
        with(vec![prefix("/")], vec![]),
    ];
    let verdicts: Vec<_> = rules.iter().map(rule).collect();
    let length = |path: &PathMatch| match path {
        PathMatch::Exact(p) | PathMatch::Prefix(p) | PathMatch::Regex(p) => p.len(),
    };
    let made = closings(&verdicts, |m| (usize::MAX - length(&m.path), m.method.is_none()));
    let before = |of| -> Vec<_> {
        let some = made.iter().filter(|c| c.of == of && c.before.is_some());
        some.map(|c| (c.form, c.r#match.path.clone(), c.r#match.method.as_deref(), c.before)).collect()
    };
    // What is sent encoded or as it stands, and nothing beside it below `/a`, which is not within it.
    let post = Some("POST");
    assert_eq!(
        before((0, 0)),
        [
            (0, prefix("/a%20b"), post, Some((2, 0))),
            (0, prefix("/a%20b"), None, Some((4, 0))),
            (1, prefix("/a b"), post, Some((2, 0))),
            (1, prefix("/a b"), None, Some((4, 0))),
        ]
    );
    // The longer path comes first anyway.
    assert_eq!(before((1, 0)), [(0, prefix("/"), Some("get"), Some((4, 0)))]);
}

#[test]
fn a_namespace_has_a_budget_of_expressions_and_old_routes_keep_theirs() {
    use portolan_model::{Object, intake::intake};
    let mut engine = crate::engine();
    let route = |at: usize, namespace: &str, host: &str, path: &str| {
        let object = serde_json::json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": format!("r{at}"), "namespace": namespace, "creationTimestamp": format!("2026-01-01T00:00:{at:02}Z")},
            "spec": {"hostnames": [host], "rules": [{"matches": [{"path": {"type": "RegularExpression", "value": path}}]}]},
        });
        Object::from_json(object, portolan_model::Origin::default()).unwrap()
    };
    // Each comes to some 2,000 instructions in 256 places.
    let big = "/(?:abcdefghij){200}";
    for object in [
        route(3, "a", "*.x.example.com", big),
        route(1, "a", "*.y.example.com", big),
        route(2, "a", "*.z.example.com", big),
    ] {
        crate::world::put(&mut engine, &object.key, intake(&object));
    }
    let other = route(4, "b", "b.example.com", big);
    crate::world::put(&mut engine, &other.key, intake(&other));
    engine.step(0);
    let over = |engine: &portolan_engine::Engine<crate::World>| -> Vec<String> {
        engine.rows::<crate::gateway::rows::OverBudget>().map(|row| row.key.to_string()).collect()
    };
    assert_eq!(over(&engine), ["HTTPRoute/a/r2", "HTTPRoute/a/r3"]);
    let findings: Vec<String> = engine
        .rows::<crate::world::Finding>()
        .filter(|finding| finding.problem.code.0 == 232)
        .map(|finding| finding.problem.object.to_string())
        .collect();
    assert_eq!(findings.len(), 2);
    let small = route(1, "a", "*.y.example.com", "/a");
    crate::world::put(&mut engine, &small.key, intake(&small));
    engine.step(0);
    assert_eq!(over(&engine), ["HTTPRoute/a/r3"]);
}
