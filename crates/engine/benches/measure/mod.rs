//! Times, heap and the table of limits.

use std::time::Duration;

use portolan_engine::{Changes, Engine, Tables};
use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Bytes in use. (Growing and shrinking in place is counted in both numbers.)
pub fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

/// Processor time of this thread: the machine is shared, and what others take is no pause of the engine.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One change, measured so many times.
#[derive(Debug)]
pub struct Measured {
    /// Median processor time of put and step.
    pub time: Duration,
    /// Work of the last one.
    pub work: Vec<(&'static str, usize)>,
    /// Rule runs.
    pub runs: usize,
    /// Runs that put out what they had put out before.
    pub equal: usize,
}

impl Measured {
    /// Microseconds a run.
    pub fn a_run(&self) -> f64 {
        micros(self.time) / self.runs.max(1) as f64
    }
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Plays a change `times` times (`put` is told which) and takes the median; the first one is for warming up.
pub fn measure<W: Tables>(
    e: &mut Engine<W>,
    times: usize,
    mut put: impl FnMut(&mut Engine<W>, usize),
) -> Measured {
    let mut all = Vec::with_capacity(times);
    let mut last = Changes::default();
    for nth in 0..=times {
        let begun = processor_time();
        put(e, nth);
        let changes = e.step(0);
        let time = processor_time().saturating_sub(begun);
        assert!(changes.errors.is_empty() && changes.conflicts.is_empty() && changes.held.is_empty());
        // Dropping what changed is work of whoever takes it, and not of the step.
        last = changes;
        if nth > 0 {
            all.push(time);
        }
    }
    all.sort_unstable();
    Measured {
        time: all[all.len() / 2],
        runs: last.runs(),
        equal: last.equal.iter().map(|(_, runs)| *runs).max().unwrap_or(0),
        work: last.work,
    }
}

/// The limits, and whether each is held.
#[derive(Default)]
pub struct Limits(Vec<(String, String, String, bool)>);

impl Limits {
    pub fn add(&mut self, what: &str, limit: &str, measured: String, held: bool) {
        self.0.push((what.to_owned(), limit.to_owned(), measured, held));
    }

    /// Prints the table; `true` if all are held.
    pub fn print(&self) -> bool {
        println!("\n{:60} {:>10}  {:34}", "limits of design/engine.md section 7", "limit", "measured");
        for (what, limit, measured, held) in &self.0 {
            let word = if *held { "ok" } else { "MISSED" };
            println!("{what:60} {limit:>10}  {measured:34} {word}");
        }
        self.0.iter().all(|(.., held)| *held)
    }
}
