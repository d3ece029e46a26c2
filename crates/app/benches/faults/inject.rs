//! The injections: each gives a row of the table.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

use crate::{
    instance::{Edge, until},
    load::{self, Demand, Outcome, Target},
    tree::EDITED,
};

const CLIENTS: usize = 20;
/// What an Envoy serves before it is killed: one that ends sooner than after 2 s is taken for one that fails, and waited for.
const SERVES: Duration = Duration::from_millis(2500);

/// What came of one kind of injection.
pub struct Row {
    pub what: String,
    pub times: usize,
    pub outcome: String,
    /// It is as it has to be.
    pub held: bool,
}

/// Requests to one host with a backend of its own, as long as something is injected.
pub struct Traffic {
    target: Target,
    every: Duration,
}

impl Traffic {
    /// So many requests a second.
    pub fn new(edge: &Edge, rate: usize) -> Self {
        let every = Duration::from_secs_f64(CLIENTS as f64 / rate.max(1) as f64);
        Self { target: Target::of(edge), every }
    }

    fn during<T>(&self, runtime: &Runtime, inject: impl FnOnce() -> T) -> (T, Seen) {
        let stop = Arc::new(AtomicBool::new(false));
        let demand = Demand {
            host: EDITED.to_owned(),
            paths: Arc::new(vec!["/".to_owned()]),
            clients: CLIENTS,
            every: self.every,
            requests: 0,
            stop: Arc::clone(&stop),
            edits: false,
        };
        let target = self.target.clone();
        let asking = runtime.spawn(async move { load::ask(&target, &demand).await });
        let begun = Instant::now();
        let done = inject();
        stop.store(true, Ordering::Relaxed);
        let took = begun.elapsed();
        (done, Seen { outcome: runtime.block_on(asking).unwrap(), took })
    }
}

/// What the clients saw, and for how long they asked.
struct Seen {
    outcome: Outcome,
    took: Duration,
}

impl Seen {
    fn told(&self) -> String {
        let Outcome { failed, requests, first, .. } = &self.outcome;
        let first = first.as_ref().map(|first| format!(" (the first: {first})")).unwrap_or_default();
        let rate = *requests as f64 / self.took.as_secs_f64();
        format!("{failed} of {requests} requests failed ({rate:.0} a second were made){first}")
    }

    fn failed(&self) -> bool {
        self.outcome.failed > 0
    }
}

/// `kill -9` and a new start, each time until every host is live.
pub fn kills(runtime: &Runtime, edge: &mut Edge, traffic: &Traffic, times: usize) -> Row {
    let envoy = edge.envoy_pid();
    let (sent, seen) = traffic.during(runtime, || {
        let mut sent = 0.0;
        for _ in 0..times {
            edge.restart();
            edge.live();
            sent += until("the counts", || edge.metrics())["portolan_sent_resources"];
        }
        sent
    });
    let same = edge.envoy_pid() == envoy;
    Row {
        what: format!("Portolan killed and started again, {} hosts", edge.hosts),
        times,
        outcome: format!(
            "{}; {sent} resources sent again; {} Envoy",
            seen.told(),
            if same { "the same" } else { "another" }
        ),
        held: !seen.failed() && sent == 0.0 && same,
    }
}

/// A file is cut, and filled in two parts with a pause between them.
pub fn half_written(runtime: &Runtime, edge: &Edge, traffic: &Traffic, times: usize) -> Row {
    let file = edge.dir().join("hosts-00000.yaml");
    let text = std::fs::read(&file).unwrap();
    let ((), seen) = traffic.during(runtime, || {
        for _ in 0..times {
            use std::io::Write as _;
            let mut written = std::fs::File::create(&file).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            for part in text.chunks(text.len().div_ceil(2)) {
                written.write_all(part).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        edge.live();
    });
    let what = "a file of hosts cut and written in two parts".to_owned();
    Row { what, times, outcome: seen.told(), held: !seen.failed() }
}

/// A byte of the store is another one at a start: it serves, or says why it does not.
pub fn damaged_store(runtime: &Runtime, edge: &mut Edge, traffic: &Traffic, times: usize) -> Row {
    let file = edge.state().join("store.redb");
    let ((served, refused, panicked), seen) = traffic.during(runtime, || {
        let (mut served, mut refused, mut panicked) = (0, 0, 0);
        for nth in 0..times {
            edge.kill();
            let whole = std::fs::read(&file).unwrap();
            let mut bytes = whole.clone();
            let at = (nth * 2_654_435_761 + 97) % bytes.len();
            bytes[at] ^= 1 << (nth % 8);
            std::fs::write(&file, &bytes).unwrap();
            if edge.try_start() {
                served += 1;
                edge.kill();
            } else {
                refused += 1;
            }
            panicked += usize::from(said(edge.state()).contains("panicked"));
            std::fs::write(&file, &whole).unwrap();
        }
        edge.restart();
        edge.live();
        (served, refused, panicked)
    });
    Row {
        what: "a byte of the store flipped before a start".to_owned(),
        times,
        outcome: format!(
            "{served} starts serve, {refused} say why they do not, {panicked} panicked; {}",
            seen.told()
        ),
        held: !seen.failed() && panicked == 0,
    }
}

fn said(state: &Path) -> String {
    std::fs::read_to_string(state.join("up.log")).unwrap_or_default()
}

/// Envoy is killed: requests fail until the next one has its configuration.
pub fn dead_envoy(runtime: &Runtime, edge: &Edge, traffic: &Traffic, times: usize) -> Row {
    let ((mut started, mut took, most), seen) = traffic.during(runtime, || {
        let (mut started, mut took, mut most) = (Vec::new(), Vec::new(), 0);
        for _ in 0..times {
            std::thread::sleep(SERVES);
            let envoy = edge.envoy_pid();
            let begun = Instant::now();
            if let Some(pid) = Pid::from_raw(envoy.cast_signed()) {
                let _ = kill_process(pid, Signal::KILL);
            }
            until("another Envoy", || {
                most = most.max(envoys(edge.state()));
                let pid = std::fs::read_to_string(edge.state().join("envoy.pid")).ok()?;
                (pid.lines().next()?.parse::<u32>().ok()? != envoy).then_some(())
            });
            started.push(begun.elapsed());
            let client = traffic.target.client(EDITED);
            let url = traffic.target.url(EDITED, "/");
            until("an answer", || {
                let answer = runtime.block_on(client.get(&url).send()).ok()?;
                (answer.status() == 200).then_some(())
            });
            took.push(begun.elapsed());
            edge.live();
        }
        (started, took, most)
    });
    let seconds = |all: &[Duration], nth: usize| all.get(nth).map_or(0.0, Duration::as_secs_f64);
    let told = |all: &mut Vec<Duration>| {
        all.sort();
        let (median, last) = (seconds(all, all.len() / 2), seconds(all, all.len().saturating_sub(1)));
        format!("{median:.2} s (median; {:.2} at least, {last:.2} at most)", seconds(all, 0))
    };
    Row {
        what: "Envoy killed".to_owned(),
        times,
        outcome: format!(
            "the next runs after {}, answers after {}; {most} Envoy of the state at most; {} meanwhile",
            told(&mut started),
            told(&mut took),
            seen.told(),
        ),
        held: most <= 1,
    }
}

/// Envoys that run with the configuration of this state.
fn envoys(state: &Path) -> usize {
    let state = state.display().to_string();
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.first().is_some_and(|program| program.ends_with("envoy"))
            && words.iter().any(|word| word.starts_with(&state))
    })
    .count()
}
