//! From a changed file to the first correct answer, with the real binary and a real Envoy, on loopback.
//!
//! `make bench-edge`, or `cargo bench -p portolan --bench edge` with these variables:
//!
//! - `PORTOLAN_BENCH_HOSTS`: sizes ("100 1000", so that `make bench` has an end; `make bench-edge` takes "100 1000 5000 50000")
//! - `PORTOLAN_BENCH_EDITS`: edits of ten hosts that are measured, and as many of one (50)
//! - `PORTOLAN_BENCH_REQUESTS`: requests under churn, at the first size; one edit for 500 of them (20000)
//! - `PORTOLAN_BENCH_RULES`: rules of the host with many, at the first size (10000)
//! - `PORTOLAN_BENCH_OLD`: an older program, measured beside it: both run, and take turns block by block
//! - `PORTOLAN_BENCH_OLD_MOST`: hosts up to which the older program is measured (5000)
//! - `PORTOLAN_BENCH_RESULTS`: a Markdown file to write as well
//!
//! It prints figures and asserts none: these machines are shared. The counts of work an edit are what does not depend on
//! the machine.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::disallowed_macros, missing_docs)]

mod instance;
mod load;
mod measure;
mod process;
mod report;
mod tree;

use std::path::{Path, PathBuf};

use instance::Edge;
use load::Target;
use measure::{Edits, Figures, Of};
use portolan_testkit::suites;
use report::Column;
use tokio::runtime::Runtime;

/// Edits between two turns of the programs.
const BLOCK: usize = 10;

struct Settings {
    envoy: PathBuf,
    edits: usize,
    requests: usize,
    rules: usize,
}

fn main() {
    let text = |name: &str, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
    let number = |name: &str, or: &str| text(name, or).parse::<usize>().unwrap();
    let Some(envoy) = suites::program("envoy") else {
        println!("Envoy is missing; run scripts/setup demo");
        return;
    };
    let settings = Settings {
        envoy,
        edits: number("PORTOLAN_BENCH_EDITS", "50"),
        requests: number("PORTOLAN_BENCH_REQUESTS", "20000"),
        rules: number("PORTOLAN_BENCH_RULES", "10000"),
    };
    let sizes = text("PORTOLAN_BENCH_HOSTS", "100 1000");
    let sizes: Vec<usize> = sizes.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let old = std::env::var_os("PORTOLAN_BENCH_OLD").map(PathBuf::from);
    let old_most = number("PORTOLAN_BENCH_OLD_MOST", "5000");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Clients and timers of this thread belong to it too.
    let _entered = runtime.enter();
    let backends = runtime.block_on(async { [load::backend("left").await, load::backend("right").await] });
    let begun = process::load();
    let mut columns = Vec::new();
    for (nth, hosts) in sizes.iter().enumerate() {
        let mut programs = vec![("", Path::new(env!("CARGO_BIN_EXE_portolan")))];
        programs.extend(old.as_deref().filter(|_| *hosts <= old_most).map(|old| (" (old)", old)));
        columns.extend(measure(&runtime, &settings, *hosts, &programs, backends, nth == 0));
    }
    report::print(&columns, &begun);
    if let Some(file) = std::env::var_os("PORTOLAN_BENCH_RESULTS") {
        std::fs::write(file, report::markdown(&columns, &begun)).unwrap();
    }
}

/// Measures the programs among so many hosts; `whole`: also what does not depend on how many there are.
fn measure(
    runtime: &Runtime,
    settings: &Settings,
    hosts: usize,
    programs: &[(&str, &Path)],
    backends: [u16; 2],
    whole: bool,
) -> Vec<Column> {
    let mut running: Vec<(Edge, Target, Edits, Figures)> = Vec::new();
    for (name, program) in programs {
        println!("{hosts} hosts{name}: {}", program.display());
        let edge = Edge::start(program, &settings.envoy, hosts, backends);
        let target = Target::of(&edge);
        let (edits, mut figures) = (Edits::new(&target), Figures::default());
        measure::idle(&edge, &mut figures);
        running.push((edge, target, edits, figures));
    }
    for first in (0..settings.edits).step_by(BLOCK) {
        for (edge, _, edits, _) in &mut running {
            for of in [Of::Ten, Of::One] {
                edits.block(runtime, edge, BLOCK.min(settings.edits - first), of);
            }
        }
    }
    let names = programs.iter().map(|(name, _)| *name);
    let measured = running.into_iter().map(|(mut edge, target, mut edits, mut figures)| {
        let mut more = Figures::default();
        measure::latency(runtime, &edge, &target, &mut edits, &mut more);
        if whole {
            if settings.requests > 0 {
                measure::churn(runtime, &mut edge, &target, &mut edits, settings.requests, &mut more);
            }
            if settings.rules > 0 {
                measure::rules(runtime, &edge, &target, settings.rules, &mut more);
            }
        }
        edits.tell(&mut figures);
        figures.0.append(&mut more.0);
        figures
    });
    measured
        .zip(names)
        .map(|(figures, name)| Column { head: format!("{hosts}{name}"), figures: figures.0 })
        .collect()
}
