//! Bytes per route and the share of recorded reads: `cargo run --release -p portolan-engine --example engine_memory [ROUTES]`.
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
    // One size a process: memory that an earlier size gave back would be counted as free.
    let number = std::env::args().nth(1).and_then(|text| text.parse::<usize>().ok()).unwrap_or(50_000).max(2);
    let before = resident();
    let e = routes::filled(number);
    let (bytes, stats) = (resident().saturating_sub(before).max(1), e.stats());
    let share = stats.read_bytes * 1000 / bytes;
    println!(
        "{number} routes: {} B a route resident, {} rows, {} runs kept",
        bytes / number,
        stats.rows,
        stats.instances
    );
    println!("{} reads in {} B: {}.{} % of memory", stats.reads, stats.read_bytes, share / 10, share % 10);
    drop(e);
    println!("longest step while routes arrive one by one: {:.2} ms", worst_arrival(number));
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
