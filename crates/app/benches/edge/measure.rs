//! What is measured of one edge.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::runtime::Runtime;

use crate::{
    instance::{Edge, until},
    load::{self, Demand, Outcome, Target, percentile},
    process,
    tree::EDITED,
};

/// Spent between noticing an edit and Envoy's verdict.
const STAGES: [&str; 5] = ["wait", "read", "write", "derive", "envoy"];
/// Counted for each edit.
const COUNTS: [(&str, &str); 8] = [
    ("files read", "portolan_read_parts_total"),
    ("objects handed on", "portolan_read_objects_total"),
    ("objects written", "portolan_written_objects_total"),
    ("readings", "portolan_readings_total"),
    ("engine steps", "portolan_engine_steps"),
    ("rule runs", "portolan_engine_rule_runs"),
    ("resources to Envoy", "portolan_published_resources_total"),
    ("bytes to Envoy", "portolan_published_bytes_total"),
];

/// What was measured, in the order in which it is printed.
#[derive(Default)]
pub struct Figures(pub Vec<(String, String)>);

impl Figures {
    pub fn note(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }
}

/// Edits of one edge, made in blocks so that two edges can take turns.
pub struct Edits {
    number: usize,
    /// The last edit that changed all hosts of the file.
    all: usize,
    client: reqwest::Client,
    url: String,
    /// Of all hosts of the file, and of one.
    measured: [Measured; 2],
}

/// How many hosts an edit changes.
#[derive(Clone, Copy)]
pub enum Of {
    /// All of one file.
    Ten,
    /// One of them.
    One,
}

#[derive(Default)]
struct Measured {
    noticed: Vec<f64>,
    written: Vec<f64>,
    /// Seconds of CPU: Portolan, Envoy's main thread, Portolan for `/metrics` alone.
    spent: [f64; 3],
    counts: BTreeMap<String, f64>,
}

impl Edits {
    pub fn new(target: &Target) -> Self {
        Self {
            number: 0,
            all: 0,
            client: target.client(EDITED),
            url: target.url(EDITED, "/"),
            measured: Default::default(),
        }
    }

    /// Writes the next edit.
    pub fn next(&mut self, edge: &Edge, of: Of) {
        self.number += 1;
        if matches!(of, Of::Ten) {
            self.all = self.number;
        }
        edge.tree().edit(self.number, self.all);
    }

    /// Makes some edits, each after the other is served, and apart from each other as a person's are.
    pub fn block(&mut self, runtime: &Runtime, edge: &Edge, edits: usize, of: Of) {
        let (own, envoy) = (edge.pid(), edge.envoy_pid());
        let before = edge.metrics().unwrap();
        let cpu = (process::cpu(own), process::main_thread(envoy));
        for _ in 0..edits {
            let begun = Instant::now();
            self.next(edge, of);
            let want = self.number.to_string();
            until("the edit to be served", || {
                let answer = runtime.block_on(self.client.get(&self.url).send()).ok()?;
                (answer.headers().get("x-edit")?.to_str().ok()? == want).then_some(())
            });
            let took = begun.elapsed().as_secs_f64() * 1000.0;
            let answered = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
            std::thread::sleep(Duration::from_millis(150));
            let at = edge.metrics().unwrap()["portolan_reaction_noticed_timestamp_seconds"];
            let measured = &mut self.measured[of as usize];
            measured.written.push(took);
            measured.noticed.push((answered - at) * 1000.0);
        }
        let measured = &mut self.measured[of as usize];
        measured.spent[0] += process::cpu(own) - cpu.0;
        measured.spent[1] += process::main_thread(envoy) - cpu.1;
        for (name, value) in edge.metrics().unwrap() {
            *measured.counts.entry(name.clone()).or_default() +=
                value - before.get(&name).copied().unwrap_or(0.0);
        }
        // What asking for the numbers costs is not the edits'.
        let asking = process::cpu(own);
        for _ in 0..edits {
            edge.metrics().unwrap();
        }
        measured.spent[2] += process::cpu(own) - asking;
    }

    pub fn tell(self, figures: &mut Figures) {
        let [ten, one] = self.measured;
        ten.tell("ten hosts", figures);
        one.tell("one host", figures);
    }
}

impl Measured {
    fn tell(mut self, of: &str, figures: &mut Figures) {
        let edits = self.written.len() as f64;
        for (name, took) in [("change noticed", &mut self.noticed), ("file written", &mut self.written)] {
            took.sort_by(f64::total_cmp);
            figures.note(
                &format!("{of}: {name} → first correct answer, median ms"),
                format!("{:.1}", percentile(took, 0.5)),
            );
            figures.note(
                "    p90, longest",
                format!("{:.1}, {:.1}", percentile(took, 0.9), percentile(took, 1.0)),
            );
        }
        let each = |value: f64| format!("{:.2}", value * 1000.0 / edits);
        figures.note("    CPU of Portolan an edit, ms", each(self.spent[0] - self.spent[2]));
        figures.note("    CPU of Envoy's main thread an edit, ms", each(self.spent[1]));
        for stage in STAGES {
            let name = format!("portolan_reaction_spent_seconds{{stage=\"{stage}\"}}");
            figures.note(
                &format!("    {stage}, mean ms"),
                each(self.counts.get(&name).copied().unwrap_or(f64::NAN)),
            );
        }
        for (name, metric) in COUNTS {
            let count = self.counts.get(metric).copied().unwrap_or(f64::NAN) / edits;
            figures.note(&format!("    {name} an edit"), format!("{count:.1}"));
        }
    }
}

/// Memory and CPU when nothing happens.
pub fn idle(edge: &Edge, figures: &mut Figures) {
    let (all, alive) = edge.start;
    figures.note("start → every host live, s", format!("{:.2}", all.as_secs_f64()));
    figures.note("    of it after Envoy was up", format!("{:.2}", alive.as_secs_f64()));
    std::thread::sleep(Duration::from_secs(5));
    let before = process::cpu(edge.pid());
    std::thread::sleep(Duration::from_secs(2));
    figures.note("CPU when idle, ms/s", format!("{:.1}", (process::cpu(edge.pid()) - before) * 500.0));
    let memory =
        |(resident, own): (u64, u64)| format!("{:.1}, {:.1}", resident as f64 / 1e6, own as f64 / 1e6);
    figures.note("memory of Portolan: resident, its own; MB", memory(process::memory(edge.pid())));
    figures.note("memory of Envoy: resident, its own; MB", memory(process::memory(edge.envoy_pid())));
}

fn paced(requests: usize) -> Demand {
    Demand {
        host: EDITED.to_owned(),
        paths: Arc::new(vec!["/".to_owned()]),
        clients: 4,
        every: Duration::from_millis(8),
        requests,
        stop: Arc::new(AtomicBool::new(true)),
        edits: true,
    }
}

/// Latency of requests while nothing changes, and under ten changes a second.
pub fn latency(runtime: &Runtime, edge: &Edge, target: &Target, edits: &mut Edits, figures: &mut Figures) {
    let show = |outcome: &Outcome| {
        let at = |share| outcome.percentile(share);
        format!("{:.2}, {:.2}, {:.2}", at(0.5), at(0.99), at(1.0))
    };
    let idle = runtime.block_on(load::ask(target, &paced(3000)));
    figures.note("request when idle: median, p99, longest ms", show(&idle));
    let demand = Demand { stop: Arc::new(AtomicBool::new(false)), ..paced(3000) };
    let asked = runtime.spawn({
        let (target, demand) = (target.clone(), demand.clone());
        async move { load::ask(&target, &demand).await }
    });
    for _ in 0..60 {
        edits.next(edge, Of::Ten);
        std::thread::sleep(Duration::from_millis(100));
    }
    demand.stop.store(true, Ordering::Relaxed);
    let busy = runtime.block_on(asked).unwrap();
    figures.note("    under 10 changes a second", show(&busy));
    figures.note(
        "    p99 under changes / idle",
        format!("{:.2}", busy.percentile(0.99) / idle.percentile(0.99)),
    );
    figures.note("    failed, stale, mixed", format!("{}, {}, {}", busy.failed, busy.stale, busy.mixed));
}

/// What Envoy spends on a request of a host with one rule, and of one with many.
pub fn rules(runtime: &Runtime, edge: &Edge, target: &Target, many: usize, figures: &mut Figures) {
    const REQUESTS: usize = 8000;
    const ROUNDS: usize = 3;
    edge.tree().rules("one", 1);
    edge.tree().rules("many", many);
    let demand = |host: &str, rules: usize| Demand {
        host: format!("{host}.dev.example.com"),
        // Spread over all rules, so that none is near by chance.
        paths: Arc::new((0..997.min(rules)).map(|n| format!("/p{}/x", n * rules / 997.min(rules))).collect()),
        clients: 4,
        every: Duration::ZERO,
        requests: REQUESTS,
        stop: Arc::new(AtomicBool::new(true)),
        edits: false,
    };
    let demands = [demand("one", 1), demand("many", many)];
    for demand in &demands {
        let client = target.client(&demand.host);
        let url = target.url(&demand.host, demand.paths.last().unwrap());
        until(&demand.host, || {
            std::thread::sleep(Duration::from_millis(20));
            (runtime.block_on(client.get(&url).send()).ok()?.status() == 200).then_some(())
        });
    }
    let envoy = edge.envoy_pid();
    let mut spent = [f64::MAX; 2];
    // In turns, and the least of each counts: the machine is shared.
    for _ in 0..ROUNDS {
        for (demand, spent) in demands.iter().zip(&mut spent) {
            let before = process::cpu(envoy);
            let outcome = runtime.block_on(load::ask(target, demand));
            assert_eq!(outcome.failed, 0, "{:?}", outcome.first);
            *spent = spent.min((process::cpu(envoy) - before) * 1e6 / outcome.requests as f64);
        }
    }
    figures.note("request with 1 rule on its host: CPU of Envoy, µs", format!("{:.1}", spent[0]));
    figures
        .note(&format!("    with {many} rules"), format!("{:.1} ({:.2} ×)", spent[1], spent[1] / spent[0]));
}

/// Requests without a pause while the configuration moves under them: edits that flip the backend and reorder the
/// rules, renewals of the certificate, and restarts of Portolan.
pub fn churn(
    runtime: &Runtime,
    edge: &mut Edge,
    target: &Target,
    edits: &mut Edits,
    requests: usize,
    figures: &mut Figures,
) {
    let moves = (requests / 500).max(10);
    let demand =
        Demand { requests, every: Duration::ZERO, stop: Arc::new(AtomicBool::new(false)), ..paced(requests) };
    let asked = runtime.spawn({
        let (target, demand) = (target.clone(), demand.clone());
        async move { load::ask(&target, &demand).await }
    });
    let (mut renewals, mut restarts) = (0, 0);
    for nth in 1..=moves {
        edits.next(edge, Of::Ten);
        std::thread::sleep(Duration::from_millis(60));
        if nth % 25 == 0 {
            edge.renew("gateway-system/wildcard-dev");
            renewals += 1;
        }
        if nth % 100 == 50 {
            edge.restart();
            restarts += 1;
        }
    }
    demand.stop.store(true, Ordering::Relaxed);
    let outcome = runtime.block_on(asked).unwrap();
    figures.note(
        "requests during edits, renewals, restarts",
        format!("{}; {moves}, {renewals}, {restarts}", outcome.requests),
    );
    figures.note(
        "    failed, stale, mixed",
        format!("{}, {}, {}", outcome.failed, outcome.stale, outcome.mixed),
    );
    if let Some(first) = outcome.first {
        figures.note("    the first that failed", first);
    }
    edge.live();
}
