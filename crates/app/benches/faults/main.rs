//! Bad days on one machine: kills, damage and half-written files under traffic, with the real binary and a real Envoy, on
//! loopback.
//!
//! `make faults`, or `cargo bench -p portolan --bench faults` with these variables:
//!
//! - `PORTOLAN_FAULTS_HOSTS`: sizes at which Portolan is killed ("10", so that `make bench` has an end; `make faults` takes "10 200 1000")
//! - `PORTOLAN_FAULTS_KILLS`: kills at each size (10; `make faults`: 200; 0: none)
//! - `PORTOLAN_FAULTS_RATE`: requests a second meanwhile, of 20 clients (1000)
//! - `PORTOLAN_FAULTS_TIMES`: how often each other injection is made, at the first size (10; `make faults`: 40; 0: not at all)
//! - `PORTOLAN_FAULTS_TESTS`: what `cargo test` printed of the injections that are tests; they become rows
//! - `PORTOLAN_BENCH_RESULTS`: a Markdown file to write as well
//!
//! It ends with 1 if a request failed where none may, if more was sent to Envoy than changed, or if a program panicked.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::disallowed_macros, missing_docs)]

mod inject;
#[allow(dead_code, reason = "the edge benchmark uses all of it")]
#[path = "../edge/instance.rs"]
mod instance;
#[allow(dead_code, reason = "the edge benchmark uses all of it")]
#[path = "../edge/load.rs"]
mod load;
#[allow(dead_code, reason = "the edge benchmark uses all of it")]
#[path = "../edge/process.rs"]
mod process;
#[allow(dead_code, reason = "the edge benchmark uses all of it")]
#[path = "../edge/tree.rs"]
mod tree;

use std::{fmt::Write as _, path::Path};

use inject::{Row, Traffic};
use instance::Edge;
use portolan_testkit::suites;

fn main() -> std::process::ExitCode {
    let text = |name: &str, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
    let number = |name: &str, or: &str| text(name, or).parse::<usize>().unwrap();
    let Some(envoy) = suites::program("envoy") else {
        println!("Envoy is missing; run scripts/setup demo");
        return std::process::ExitCode::SUCCESS;
    };
    let sizes = text("PORTOLAN_FAULTS_HOSTS", "10");
    let sizes: Vec<usize> = sizes.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let (kills, times) = (number("PORTOLAN_FAULTS_KILLS", "10"), number("PORTOLAN_FAULTS_TIMES", "10"));
    let rate = number("PORTOLAN_FAULTS_RATE", "1000");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let backends = runtime.block_on(async { [load::backend("left").await, load::backend("right").await] });
    let begun = process::load();
    let program = Path::new(env!("CARGO_BIN_EXE_portolan"));
    let mut rows = Vec::new();
    // After each part: a run takes hours on a busy machine, and may be ended.
    let save = |rows: &[Row]| {
        if let Some(file) = std::env::var_os("PORTOLAN_BENCH_RESULTS") {
            std::fs::write(file, document(rows, &begun, rate)).unwrap();
        }
    };
    if let Ok(file) = std::env::var("PORTOLAN_FAULTS_TESTS") {
        rows.extend(tests(&std::fs::read_to_string(file).unwrap_or_default()));
    }
    for (nth, hosts) in sizes.iter().enumerate() {
        println!("{hosts} hosts");
        let mut edge = Edge::start(program, &envoy, *hosts, backends);
        let traffic = Traffic::new(&edge, rate);
        if kills > 0 {
            rows.push(inject::kills(&runtime, &mut edge, &traffic, kills));
            save(&rows);
        }
        if nth == 0 && times > 0 {
            rows.push(inject::half_written(&runtime, &edge, &traffic, times));
            rows.push(inject::damaged_store(&runtime, &mut edge, &traffic, times));
            rows.push(inject::dead_envoy(&runtime, &edge, &traffic, times.min(20)));
        }
    }
    save(&rows);
    println!("{}", document(&rows, &begun, rate));
    u8::from(rows.iter().any(|row| !row.held)).into()
}

/// A row for each test that ran.
fn tests(printed: &str) -> Vec<Row> {
    let ran = printed.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    ran.map(|(name, how)| Row {
        what: name.replace("::", ": ").replace('_', " "),
        times: 1,
        outcome: "a test of `crates/app/tests/e2e`".to_owned(),
        held: how.trim() == "ok",
    })
    .collect()
}

fn document(rows: &[Row], begun: &str, rate: usize) -> String {
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let mut settings: Vec<String> = std::env::vars()
        .filter(|(name, _)| name.starts_with("PORTOLAN_FAULTS_") && name != "PORTOLAN_FAULTS_TESTS")
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    settings.sort();
    let mut out = format!(
        "# Bad days, {date}\n\nBy `make faults`{}{}; {} build; {}; load average {begun} at the start, {} at the end; {rate} \
         requests a second asked for while something is injected.\n\n| injection | times | outcome | held |\n|---|---|---|---|\n",
        if settings.is_empty() { "" } else { " with " },
        settings.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(" "),
        if cfg!(debug_assertions) { "debug" } else { "release" },
        process::machine(),
        process::load(),
    );
    for Row { what, times, outcome, held } in rows {
        let held = if *held { "yes" } else { "**no**" };
        let _ = writeln!(out, "| {what} | {times} | {outcome} | {held} |");
    }
    out
}
