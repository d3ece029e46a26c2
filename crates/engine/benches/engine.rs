//! The engine's limits (design/engine.md §7), measured: `cargo bench -p portolan-engine`. It prints what each change
//! costs at three sizes and then a table of limits with ok or MISSED. It asserts no time: these machines are shared.
#![allow(clippy::cast_precision_loss, missing_docs)]

use std::time::{Duration, Instant};

use portolan_engine::Engine;

mod measure;
mod one_host;
mod routes;

use measure::{Limits, Measured, heap, measure, micros, processor_time};
use routes::World;

const SIZES: [usize; 3] = [1_000, 10_000, 50_000];
const LARGEST: usize = SIZES[2];
const SMALL: usize = 201;
const LARGE: usize = 7;

fn main() {
    println!("load {}", load());
    let mut limits = Limits::default();
    let memory = memory(&mut limits);
    changes(&mut limits);
    one_host();
    arrival(&mut limits);
    println!("\n{memory}");
    limits.print();
    println!("load {}", load());
}

/// Load of the machine over the last 1, 5 and 15 minutes.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

type Put = fn(&mut Engine<World>, usize, usize);

/// Changes with one object, and what each does the `nth` time at a size.
const ONE: [(&str, Put); 8] = [
    ("route: filter", |e, size, nth| e.put(routes::route(size / 2, u32::try_from(nth).unwrap_or(0) + 1))),
    ("route: the same again", |e, size, _| e.put(routes::route(size / 2, 0))),
    ("route: hostname added or removed", |e, size, nth| {
        let mut route = routes::route(size / 2, 0);
        if nth.is_multiple_of(2) {
            route.hosts.push("one-more.team.example".into());
        }
        e.put(route);
    }),
    ("route removed or added", |e, size, nth| {
        let route = routes::route(size / 2, 0);
        if nth.is_multiple_of(2) { e.remove::<routes::Route>(&route.key) } else { e.put(route) }
    }),
    ("route new", |e, size, nth| e.put(routes::route(size + nth, 0))),
    ("service removed or added (2 routes)", |e, size, nth| {
        for service in routes::services(size / 2).take(1) {
            if nth.is_multiple_of(2) { e.remove::<routes::Service>(&service.key) } else { e.put(service) }
        }
    }),
    ("service of 100 routes: port", |e, size, nth| {
        for mut service in routes::services(size / 2).skip(1) {
            service.port = u16::try_from(nth % 1000).unwrap_or(0) + 1;
            e.put(service);
        }
    }),
    ("Secret rotated", |e, _, nth| e.put(routes::secret(nth as u64 + 2))),
];

/// Changes that every route or name of the gateway follows.
const ALL: [(&str, Put); 3] = [
    ("Secret lost or back (all names)", |e, _, nth| {
        if nth.is_multiple_of(2) {
            e.remove::<routes::Secret>(&routes::secret(1).key);
        } else {
            e.put(routes::secret(1));
        }
    }),
    ("gateway address (all names)", |e, _, nth| e.put(routes::gateway(2 + nth % 2))),
    ("listener added or removed (all routes)", |e, _, nth| {
        if nth.is_multiple_of(2) {
            e.put(routes::listener("third"));
        } else {
            e.remove::<routes::Listener>(&routes::listener("third").key);
        }
    }),
];

fn changes(limits: &mut Limits) {
    let mut engines = SIZES.map(routes::filled);
    println!(
        "\n{:44} {:>10} {:>10} {:>10} {:>8} {:>7} {:>7}",
        "median of a change, ms", "1,000", "10,000", "50,000", "runs", "us/run", "equal"
    );
    let mut play = |name: &str, put: Put, times: usize| {
        let mut at = 0;
        let all = engines.each_mut().map(|e| {
            at += 1;
            measure(e, times, |e, nth| put(e, SIZES[at - 1], nth))
        });
        let [small, middle, large] = &all;
        let ms = |m: &Measured| micros(m.time) / 1000.0;
        let (a_run, runs, equal) = (large.a_run(), large.runs, large.equal);
        println!(
            "{name:44} {:10.3} {:10.3} {:10.3} {runs:8} {a_run:7.2} {equal:7}",
            ms(small),
            ms(middle),
            ms(large)
        );
        all
    };
    let (mut slowest, mut same): ((Duration, &str), Vec<&str>) = ((Duration::ZERO, ""), Vec::new());
    for (name, put) in ONE {
        let [small, _, large] = play(name, put, SMALL);
        // One object that changes fewer than 100 rows; the Service of 100 routes is above that.
        if large.runs < 100 {
            slowest = slowest.max((large.time, name));
            if small.work != large.work {
                same.push(name);
            }
        }
    }
    let (mut most, mut equal): ((f64, &str), (usize, &str)) = ((0.0, ""), (0, ""));
    for (name, put) in ALL {
        let [.., large] = play(name, put, LARGE);
        if large.a_run() > most.0 {
            most = (large.a_run(), name);
        }
        equal = equal.max((large.equal, name));
    }
    println!(
        "(medians of {SMALL} runs, fan-outs of {LARGE}; processor time; equal: most runs of one rule that changed nothing)"
    );
    let ms = micros(slowest.0) / 1000.0;
    limits.add(
        "one object, fewer than 100 rows, at 50,000 routes",
        "0.2 ms",
        format!("{ms:.3} ms ({})", slowest.1),
        ms <= 0.2,
    );
    limits.add(
        "the same work at 1,000 and 50,000 routes",
        "equal",
        if same.is_empty() { "equal".into() } else { format!("{same:?}") },
        same.is_empty(),
    );
    limits.add(
        "a step of more than 1,000 runs",
        "4 us/run",
        format!("{:.2} ({})", most.0, most.1),
        most.0 <= 4.0,
    );
    limits.add(
        "runs of one rule that change nothing in a fan-out",
        "1,000",
        format!("{} ({})", equal.0, equal.1),
        equal.0 <= 1_000,
    );
}

/// All routes on one hostname.
fn one_host() {
    println!(
        "\n{:44} {:>10} {:>10} {:>10} {:>8}",
        "one hostname: filter of a route, ms", "1,000", "10,000", "50,000", "runs"
    );
    for (name, chunked) in [("one row", false), ("256 chunks by first path segment", true)] {
        let mut runs = 0;
        let times = SIZES.map(|size| {
            let mut e = one_host::filled(size, chunked);
            let measured = measure(&mut e, 51, |e, nth| {
                e.put(one_host::Route { key: size / 2, filter: u32::try_from(nth).unwrap_or(0) + 1 });
            });
            runs = measured.runs;
            micros(measured.time) / 1000.0
        });
        println!("{name:44} {:10.3} {:10.3} {:10.3} {runs:8}", times[0], times[1], times[2]);
    }
}

/// What all steps of an arrival took, and the longest one.
struct Arrival {
    total: Duration,
    runs: usize,
    steps: usize,
    longest: Duration,
    longest_by_the_clock: Duration,
    /// Number and runs of the longest step.
    which: (usize, usize),
}

/// One step a fact: the order of arrival must not matter, and no step may pause.
fn arrive(gateway_first: bool) -> Arrival {
    let mut e = routes::engine();
    let mut seen = Arrival {
        total: Duration::ZERO,
        runs: 0,
        steps: 0,
        longest: Duration::ZERO,
        longest_by_the_clock: Duration::ZERO,
        which: (0, 0),
    };
    let mut step = |e: &mut Engine<World>| {
        let (begun, by_the_clock) = (processor_time(), Instant::now());
        let runs = e.step(0).runs();
        let (time, by_the_clock) = (processor_time().saturating_sub(begun), by_the_clock.elapsed());
        seen.total += time;
        seen.runs += runs;
        seen.steps += 1;
        seen.longest_by_the_clock = seen.longest_by_the_clock.max(by_the_clock);
        if time > seen.longest {
            (seen.longest, seen.which) = (time, (seen.steps, runs));
        }
    };
    if gateway_first {
        routes::fill_gateway(&mut e);
        step(&mut e);
    }
    for number in 0..LARGEST {
        for service in routes::services(number) {
            e.put(service);
            step(&mut e);
        }
        e.put(routes::route(number, 0));
        step(&mut e);
    }
    if !gateway_first {
        routes::fill_gateway(&mut e);
        step(&mut e);
    }
    seen
}

fn arrival(limits: &mut Limits) {
    println!(
        "\n{:24} {:>9} {:>9} {:>9} {:>11} {:>11}   longest step",
        "arrival, 50,000 routes", "steps", "runs", "total s", "longest ms", "by clock"
    );
    let print = |name: &str, seen: &Arrival| {
        println!(
            "{name:24} {:9} {:9} {:9.2} {:11.2} {:11.2}   number {} with {} runs",
            seen.steps,
            seen.runs,
            seen.total.as_secs_f64(),
            micros(seen.longest) / 1000.0,
            micros(seen.longest_by_the_clock) / 1000.0,
            seen.which.0,
            seen.which.1,
        );
    };
    let mut longest: Vec<Duration> = (0..3)
        .map(|_| {
            let seen = arrive(true);
            print("gateway first", &seen);
            seen.longest
        })
        .collect();
    longest.sort_unstable();
    let last = arrive(false);
    print("gateway last", &last);
    println!("(processor time of the thread; the machine is shared)");
    let (median, most) = (micros(longest[1]) / 1000.0, micros(longest[2]) / 1000.0);
    limits.add(
        "growth pause: longest step of an arrival, gateway first",
        "15 ms",
        format!("{median:.2} ms (median of 3; most {most:.2})"),
        most <= 15.0,
    );
    let a_run = micros(last.longest) / last.which.1.max(1) as f64;
    limits.add(
        "gateway last: the step in which 50,000 routes attach",
        "4 us/run",
        format!("{a_run:.2} us ({} runs)", last.which.1),
        a_run <= 4.0,
    );
}

fn memory(limits: &mut Limits) -> String {
    let before = heap();
    let begun = Instant::now();
    let e = routes::filled(LARGEST);
    let time = begun.elapsed();
    let (bytes, stats) = (heap() - before, e.stats());
    let a_route = bytes / LARGEST;
    let share = stats.read_bytes as f64 / bytes as f64 * 100.0;
    limits.add("heap for a route", "12 kB", format!("{:.1} kB", a_route as f64 / 1000.0), a_route <= 12_000);
    limits.add("reads: share of the heap", "15 %", format!("{share:.1} %"), share <= 15.0);
    format!(
        "50,000 routes from nothing in one step: {:.2} s; {} rows, {} runs kept, {} reads of {} things; heap {} MB, of it reads {:.1} MB",
        time.as_secs_f64(),
        stats.rows,
        stats.instances,
        stats.reads,
        stats.nodes,
        bytes / 1_000_000,
        stats.read_bytes as f64 / 1e6,
    )
}
