//! What `/proc` tells of a process.

use std::fs;

/// Resident memory in bytes, and how much of it is the process's own (anonymous): the heap and stacks.
pub fn memory(pid: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let of = |field: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
    };
    (of("VmRSS:"), of("RssAnon:"))
}

/// Seconds of CPU of all threads that live, to the nanosecond.
pub fn cpu(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| on_cpu(&task.path().join("schedstat"))).sum()
}

/// The same of the main thread: in Envoy, the one that takes configuration.
pub fn main_thread(pid: u32) -> f64 {
    on_cpu(format!("/proc/{pid}/task/{pid}/schedstat").as_ref()).unwrap_or(0.0)
}

fn on_cpu(schedstat: &std::path::Path) -> Option<f64> {
    let nanoseconds: u64 = fs::read_to_string(schedstat).ok()?.split_whitespace().next()?.parse().ok()?;
    Some(std::time::Duration::from_nanos(nanoseconds).as_secs_f64())
}

/// Load averages as the kernel writes them.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Processor, number of cores, memory.
pub fn machine() -> String {
    let find = |file: &str, field: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory: u64 = find("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let model = find("/proc/cpuinfo", "model name");
    format!("{cores} cores ({model}), {} GiB", memory.div_ceil(1 << 20))
}
