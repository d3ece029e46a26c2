//! Bytes per route and the share of recorded reads: `cargo run --release -p portolan-engine --example engine_memory`.
//!
//! Resident memory of this process (Linux). The exact heap is counted by the benchmark: `max alloc` of `rebuild`.

use std::time::Instant;

#[path = "../benches/routes/mod.rs"]
mod routes;

/// Resident bytes, from the kernel's table of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or_default() * 1024
}

fn main() {
    println!(
        "{:>8} {:>12} {:>10} {:>10} {:>8} {:>14}",
        "routes", "B a route", "rows", "reads", "share", "worst put ms"
    );
    for number in [1_000, 10_000, 50_000] {
        let before = resident();
        let e = routes::filled(number);
        let (bytes, stats) = (resident().saturating_sub(before), e.stats());
        let share = stats.read_bytes * 1000 / bytes.max(1);
        let worst = worst_arrival(number);
        println!(
            "{number:>8} {:>12} {:>10} {:>10} {:>6}.{}% {worst:>14.2}",
            bytes / number,
            stats.rows,
            stats.reads,
            share / 10,
            share % 10
        );
    }
}

/// Longest step when the routes arrive one a step: the growth pause.
fn worst_arrival(number: usize) -> f64 {
    let mut e = routes::engine();
    routes::fill(&mut e, 1);
    e.step(0);
    let step = |nth| {
        e.put(routes::route(nth, 0));
        let start = Instant::now();
        e.step(0);
        start.elapsed().as_secs_f64() * 1000.0
    };
    (1..number).map(step).fold(0.0, f64::max)
}
