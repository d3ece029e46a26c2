//! How much was tried, and what is refused here although Envoy would take it.

use std::{collections::BTreeMap, fmt::Write as _, sync::atomic::Ordering};

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use portolan_core::{
    World,
    gateway::{
        judge,
        rows::{
            Cluster, Endpoints, RouteEntry, TlsReady, TlsSecret, VirtualHost, WeightedCluster, WireListener,
        },
    },
};
use portolan_engine::Engine;
use portolan_model::{
    Name, Redacted, RouteKey, RouteKind,
    input::{Filter, PathMatch, Route, RouteMatch, RouteRule, Secret},
    re2,
};

use super::load::{self, Envoy};

/// How many of a class are shown to Envoy one by one.
const SAMPLES: usize = 12;

/// Why a class is refused that Envoy takes: the beginning of its name, and the reason.
const REASONS: [(&str, &str); 20] = [
    (
        "backendRefs[].filters",
        "no header name or value (RFC 9110); taken too where the backends have no weight, so that they are not sent",
    ),
    ("matches[].path.value: the path does not begin", "no request has such a path; the CRD refuses it"),
    (
        "matches[].path.value: the path has a `?`",
        "an exact path is compared without the query, so it would match nothing",
    ),
    ("matches[].path.value: the path has a `#`", "no request has a fragment"),
    (
        "matches[].path.value: the path has `//`",
        "paths are normalized before they are matched; the CRD refuses it",
    ),
    (
        "matches[].path.value: the path has an escaped slash",
        "escaped slashes are decoded before paths are matched; the CRD refuses it",
    ),
    (
        "matches[].path.value: the path has a character",
        "no request has it unescaped (RFC 3986); the CRD refuses it",
    ),
    ("matches[].path.value: the path is longer", "longer than the headers that Envoy reads"),
    ("matches[].method", "matches no request; the CRD refuses it"),
    (
        "matches[].headers[].name",
        "no request has such a header (RFC 9110), and pseudo-headers have matches of their own; the CRD refuses it",
    ),
    ("matches[].headers[].value", "longer than the headers that Envoy reads"),
    ("matches[].queryParams[].value", "longer than the headers that Envoy reads"),
    (
        "filters[].requestHeaderModifier",
        "no header name or value (RFC 9110): the backend or the client would refuse the message",
    ),
    (
        "filters[].responseHeaderModifier",
        "no header name or value (RFC 9110): the backend or the client would refuse the message",
    ),
    ("filters[].requestRedirect", "the answer would point nowhere; the CRD refuses it"),
    (
        "filters[].urlRewrite",
        "the backend would get a request that is none; the CRD refuses it or asks for a PathPrefix match",
    ),
    ("filters[].requestMirror", "the share is none; the CRD refuses it"),
    ("filters: ", "one of two would win without a word; the CRD refuses it"),
    ("timeouts", "longer than GEP-2257 can say"),
    ("expression: it is too large", "bounded for the data plane (`portolan_model::re2::MAX_PROGRAM`)"),
];

#[derive(Default)]
pub struct Totals {
    seed: u64,
    count: usize,
    sent: BTreeMap<&'static str, usize>,
    samples: BTreeMap<String, (usize, Vec<Bootstrap>)>,
}

impl Totals {
    pub fn new(seed: u64, count: usize) -> Self {
        Self { seed, count, ..Default::default() }
    }

    pub fn sent(&mut self, engine: &Engine<World>) {
        let entries: usize = engine.rows::<VirtualHost>().map(|row| row.entries.len()).sum();
        for (what, n) in [
            ("routes in virtual hosts", entries),
            ("virtual hosts", engine.rows::<VirtualHost>().count()),
            ("listeners", engine.rows::<WireListener>().count()),
            ("filter chains with a certificate", chains(engine, |secrets| !secrets.is_empty())),
            ("filter chains that refuse handshakes", chains(engine, <[Name]>::is_empty)),
            ("clusters", engine.rows::<Cluster>().count()),
            ("endpoint assignments", engine.rows::<Endpoints>().count()),
            ("rules read", engine.rows::<Route>().map(|route| route.rules.len()).sum()),
        ] {
            *self.sent.entry(what).or_default() += n;
        }
    }

    /// The generator still makes something of everything.
    pub fn enough(&self) {
        println!("sent: {:?}", self.sent);
        for (what, n) in &self.sent {
            assert!(*n >= self.count / 200, "only {n} {what} were sent");
        }
        assert!(self.samples.len() > 15, "only {} classes were refused", self.samples.len());
    }

    /// Sorts what was refused by class, each with the value alone, as if nobody had judged it.
    pub fn judged(&mut self, engine: &Engine<World>) {
        self.certificates(engine);
        for route in engine.rows::<Route>() {
            for rule in &route.rules {
                for wrong in judge::rule(rule).wrong {
                    let raw = raw(&route.key, rule, &wrong.field);
                    self.sample(&format!("{}: {}", wrong.field, wrong.message), alone(raw));
                }
                if route.key.kind == RouteKind::Grpc {
                    continue;
                }
                for m in rule.left_out.iter().filter_map(|left_out| left_out.written.as_ref()) {
                    if let PathMatch::Regex(text) = &m.path
                        && let Err(why) = re2::check(text)
                    {
                        let only =
                            RouteMatch { path: m.path.clone(), method: None, headers: vec![], query: vec![] };
                        let why = why.split(':').next().unwrap_or_default();
                        self.sample(&format!("expression: {why}"), alone(vec![entry(&route.key, only)]));
                    }
                }
            }
        }
    }

    /// The same of certificates.
    fn certificates(&mut self, engine: &Engine<World>) {
        for ready in engine.rows::<TlsReady>() {
            let (Err(why), Some(secret)) = (&ready.state, engine.get::<Secret>(&ready.key)) else { continue };
            let part = |name: &str| secret.data.get(name).cloned().unwrap_or_else(|| Redacted::from(""));
            let raw = TlsSecret { key: "raw".into(), chain: part("tls.crt"), private_key: part("tls.key") };
            self.sample(&format!("certificate: {why}"), Some(load::secrets(&[raw])));
        }
    }

    fn sample(&mut self, class: &str, alone: Option<Bootstrap>) {
        let (seen, samples) = self.samples.entry(plain(class)).or_default();
        *seen += 1;
        samples.extend(alone.filter(|_| samples.len() < SAMPLES));
    }

    pub fn classes(&self, envoy: &Envoy) -> String {
        let mut lines = Vec::new();
        for (class, (seen, samples)) in &self.samples {
            let taken = samples.iter().filter(|alone| envoy.refuses(alone).is_none()).count();
            let reason = REASONS.iter().find(|(begin, _)| class.starts_with(begin)).map(|(_, why)| *why);
            assert!(
                taken == 0 || reason.is_some(),
                "{class}: refused here, taken by Envoy, and no reason is given"
            );
            let why = if taken == 0 { "Envoy refuses it too" } else { reason.unwrap_or_default() };
            lines.push(format!(
                "| {} | {seen} | {taken} of {} | {why} |",
                class.replace('|', "\\|"),
                samples.len()
            ));
        }
        let mut text = String::from("# What is sent, against a real Envoy\n\n");
        let sent = self.sent.iter().map(|(what, n)| format!("{n} {what}")).collect::<Vec<_>>().join(", ");
        writeln!(
            text,
            "Written by `make differential` on {} ({} objects, seed {}, Envoy 1.40 in validate mode, {} runs of it; {} cores). Accepted here and \
             refused by Envoy: **0**.\n\nJudged and loaded: {sent}.\n\nRefused here, by class. `taken` is how many of the shown \
             samples Envoy would take by themselves.\n\n| class | seen | taken | why it is refused |\n|---|---|---|---|",
            std::env::var("DIFFERENTIAL_DATE").unwrap_or_default(),
            self.count,
            self.seed,
            envoy.runs.load(Ordering::Relaxed),
            std::thread::available_parallelism().map_or(0, usize::from),
        )
        .unwrap();
        text.push_str(&lines.join("\n"));
        text.push('\n');
        text
    }
}

/// Filter chains that end TLS with such secrets.
fn chains(engine: &Engine<World>, such: fn(&[Name]) -> bool) -> usize {
    let all = engine.rows::<WireListener>().flat_map(|row| &row.chains);
    all.filter(|chain| chain.secrets.as_deref().is_some_and(such)).count()
}

/// A class: the sentence without positions, numbers and quoted values.
fn plain(text: &str) -> String {
    let mut made = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for c in text.chars() {
        if c == '"' && !escaped {
            quoted = !quoted;
            continue;
        }
        escaped = c == '\\' && !escaped;
        if !quoted && !c.is_ascii_digit() && c != '…' {
            made.push(c);
        }
    }
    made.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A host of these alone.
fn alone(entries: Vec<RouteEntry>) -> Option<Bootstrap> {
    let entries = entries.into_iter().map(std::sync::Arc::new).collect();
    let host = VirtualHost { key: ("raw".into(), "raw.example.com".into()), entries, misdirected: false };
    (!host.entries.is_empty()).then(|| load::hosts(&[host]))
}

fn entry(route: &RouteKey, r#match: RouteMatch) -> RouteEntry {
    RouteEntry {
        r#match,
        clusters: vec![WeightedCluster::new("one".into(), 1)],
        listener_port: 80,
        ..RouteEntry::of(route.clone())
    }
}

/// The rule with nothing but what stands at `field`.
fn raw(route: &RouteKey, rule: &RouteRule, field: &str) -> Vec<RouteEntry> {
    let any =
        RouteMatch { path: PathMatch::Prefix("/".into()), method: None, headers: vec![], query: vec![] };
    let mut made = entry(route, any);
    let first = |text: &str| text.split(['[', ']']).nth(1).and_then(|at| at.parse::<usize>().ok());
    if field.starts_with("matches") {
        // Positions are those of what was written; all that is not taken is shown.
        let left_out = judge::rule(rule).left_out;
        let written = left_out.iter().find(|l| Some(l.at) == first(field)).and_then(|l| l.written.clone());
        return written.map(|r#match| RouteEntry { r#match, ..made }).into_iter().collect();
    }
    if field.starts_with("filters") {
        let one = first(field).and_then(|at| rule.filters.get(at)).cloned();
        made.filters = one.map_or_else(|| rule.filters.clone(), |filter| vec![filter]);
        made.filters.retain(|filter| !matches!(filter, Filter::Unsupported(_)));
        made.mirrors = made
            .filters
            .iter()
            .filter_map(|f| {
                if let Filter::Mirror { parts_per_million, .. } = f {
                    Some(("two".into(), *parts_per_million))
                } else {
                    None
                }
            })
            .collect();
    } else if field.starts_with("backendRefs") {
        made.clusters = rule
            .backends
            .iter()
            .map(|b| WeightedCluster {
                filters: b.filters.clone(),
                ..WeightedCluster::new(b.target.name.name.clone(), b.weight)
            })
            .collect();
    } else {
        made.traffic.clone_from(&rule.traffic);
    }
    vec![made]
}
