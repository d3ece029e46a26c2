//! The index over many rules answers as the list of the same rules.

use envoy_types::pb::envoy::config::route::v3::{
    RouteConfiguration, ScopedRouteConfiguration, VirtualHost as EnvoyHost,
};
use portolan_core::gateway::rows::{RouteEntry, VirtualHost};
use portolan_envoy::{encode, shards::shard_of};
use portolan_model::input::{PathMatch, ValueMatch};
use prost::Message as _;

use super::{
    harness::{Client, TABLE, bootstrap, free_port, inline, scopes, start},
    hosts::{entry, host, listener},
};

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A path of words that are prefixes of each other.
    fn path(&mut self) -> String {
        const WORDS: [&str; 7] = ["a", "ab", "abc", "b", "a.b", "v1", "ab-c"];
        const ENDS: [&str; 12] = ["", "1", "12", "2", "3", "4", "5", "6", "7", "8", "9", "x"];
        let mut path = String::new();
        for _ in 0..=self.below(3) {
            let (word, end) = (self.below(7), self.below(12));
            let at = |n: u64| usize::try_from(n).unwrap();
            path.extend(["/", WORDS[at(word)], ENDS[at(end)]]);
        }
        path
    }
}

fn rules(random: &mut Random, count: usize, root: bool) -> Vec<RouteEntry> {
    let mut all: Vec<RouteEntry> = (0..count)
        .map(|at| {
            let path = random.path();
            let path = match random.below(12) {
                0 => PathMatch::Regex(format!("{path}(/x|b+)?").into()),
                1 if at % 40 == 0 => PathMatch::Regex(format!(".*{path}").into()),
                2 if at % 20 == 0 => PathMatch::Regex(format!("{path}?|/v1/.*").into()),
                1..7 => PathMatch::Exact(path.into()),
                _ => PathMatch::Prefix(path.into()),
            };
            let mut made = entry(path, &format!("/rule-{at}"));
            let value =
                |name: &str, value: &str| ValueMatch { name: name.into(), value: value.into(), regex: false };
            match random.below(4) {
                0 => made.r#match.headers = vec![value("x-v", "1")],
                1 => made.r#match.query = vec![value("q", "1")],
                2 => made.r#match.method = Some("GET".into()),
                _ => {}
            }
            made
        })
        .collect();
    if root {
        all.push(entry(PathMatch::Prefix("/".into()), "/root"));
    }
    all
}

/// The same rules as one list, each encoded as that of a host with a single rule.
fn plain(row: &VirtualHost) -> EnvoyHost {
    let none = std::collections::BTreeSet::new();
    let routes = row.entries.iter().flat_map(|entry| {
        let piece = encode::piece(&host("one", vec![RouteEntry::clone(entry)]), &none);
        let read = RouteConfiguration::decode(&*piece.bytes).unwrap();
        read.virtual_hosts.into_iter().flat_map(|host| host.routes)
    });
    let name = format!("plain-{}", &*row.key.1);
    EnvoyHost { domains: vec![name.clone()], name, routes: routes.collect(), ..Default::default() }
}

#[test]
fn the_index_answers_as_the_list() {
    let mut random = Random(42);
    let rows: Vec<VirtualHost> = [(201, true), (500, true), (300, false)]
        .into_iter()
        .enumerate()
        .map(|(n, (count, root))| host(&format!("h{n}.test"), rules(&mut random, count, root)))
        .collect();
    for row in &rows {
        let piece = encode::piece(row, &std::collections::BTreeSet::new());
        let read = RouteConfiguration::decode(&*piece.bytes).unwrap();
        assert!(read.virtual_hosts[0].matcher.is_some(), "{} is a plain list", row.key.1);
        assert!(read.virtual_hosts[0].routes.is_empty());
        let again = encode::piece(row, &std::collections::BTreeSet::new());
        assert_eq!(piece, again, "one content, one encoding");
    }
    // The lists stand beside the index, so that one Envoy answers both.
    let mut all = scopes(TABLE, &rows);
    for list in rows.iter().map(plain) {
        let any = &mut all[usize::from(shard_of(&list.name))];
        let mut scope = ScopedRouteConfiguration::decode(&*any.value).unwrap();
        scope.route_configuration.as_mut().unwrap().virtual_hosts.push(list);
        any.value = scope.encode_to_vec();
    }
    let port = free_port();
    let Some(envoy) = start(&bootstrap(vec![inline(&listener(port), &all)], vec![]), port) else { return };
    let mut client = Client::new(envoy.address);
    let mut answered = 0;
    for n in 0..6_000_usize {
        // Half of them are those of a rule.
        let rules = &rows[n % rows.len()].entries;
        let mut path = match &rules[usize::try_from(random.below(rules.len() as u64)).unwrap()].r#match.path {
            PathMatch::Exact(path) | PathMatch::Prefix(path) if random.below(2) == 0 => path.to_string(),
            _ => random.path(),
        };
        match random.below(8) {
            0 => path.push('/'),
            1 => path.push('b'),
            2 => path.push_str("/x"),
            3 => path = "/".into(),
            _ => {}
        }
        path.push_str(["", "?q=1", "?q=1&r=/a", "?r"][usize::try_from(random.below(4)).unwrap()]);
        let lines = ["", "x-v: 1\r\n"][usize::try_from(random.below(2)).unwrap()];
        let method = ["GET", "POST"][usize::from(random.below(5) == 0)];
        let name = format!("h{}.test", n % rows.len());
        let mut ask = |host: &str| {
            let length = if method == "POST" { "content-length: 0\r\n" } else { "" };
            client.send(&format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{length}{lines}\r\n"))
        };
        let (index, list) = (ask(&name), ask(&format!("plain-{name}")));
        let rule =
            |location: Option<&str>| location.and_then(|text| text.rsplit('/').next()).map(str::to_owned);
        assert_eq!(
            (index.status, rule(index.header("location"))),
            (list.status, rule(list.header("location"))),
            "{method} {name}{path} {lines}"
        );
        answered += u32::from(index.status == 302);
    }
    assert!(answered > 2_000, "{answered}: the requests hardly meet the rules");
}
