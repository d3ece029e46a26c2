//! What `/proc` tells of processes.

use std::{fs, process::Command, time::Duration, time::Instant};

/// Processor time in seconds, and time by the clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub own: f64,
    /// Of children that have ended.
    pub programs: f64,
    pub wall: f64,
}

impl Spent {
    /// Since this process began.
    pub fn so_far() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name may hold blanks; what comes after its bracket is field 3 (proc_pid_stat(5)), in hundredths of a second.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let fields: Vec<f64> = fields.map(|field| field.parse().unwrap_or(0.0)).collect();
        let of = |number: usize| fields.get(number - 3).copied().unwrap_or(0.0) / 100.0;
        Self { own: of(14) + of(15), programs: of(16) + of(17), wall: 0.0 }
    }

    pub fn since(self, before: &Self, wall: Duration) -> Self {
        let (own, programs) = (self.own - before.own, self.programs - before.programs);
        Self { own, programs, wall: wall.as_secs_f64() }
    }

    pub fn cpu(&self) -> f64 {
        self.own + self.programs
    }
}

/// The largest resident memory of a process so far, in bytes.
pub fn peak(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Lets the peak of this process begin anew.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Runs a program to its end: what it and its own programs spent, and its peak of memory, looked at each few milliseconds.
pub fn run(mut command: Command) -> (Spent, u64) {
    let (before, begun) = (Spent::so_far(), Instant::now());
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut memory = 0;
    while child.try_wait().unwrap().is_none() {
        memory = memory.max(peak(child.id()));
        std::thread::sleep(Duration::from_millis(5));
    }
    (Spent::so_far().since(&before, begun.elapsed()), memory)
}

pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Today, as `date` writes it.
pub fn date() -> String {
    let said = Command::new("date").arg("+%F").output().map(|done| done.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}
