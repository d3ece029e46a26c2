//! Envoy as a child that outlives us: a killed Portolan leaves it serving, and the next start adopts it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Oldest Envoy that is run: the end-to-end tests passed with 1.36.2 and 1.40.0, and nothing older was tried.
pub const OLDEST: (u32, u32) = (1, 36);

/// Longest that a program may take to say its version.
const ASKED: Duration = Duration::from_secs(20);

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    pid: i32,
    child: Option<tokio::process::Child>,
    /// Its log, and where this run of it begins.
    log: (PathBuf, u64),
}

/// Most of a log that a message quotes.
const TAIL: u64 = 600;

/// The last lines of a log from a position on, in one line.
pub fn tail(log: &Path, from: u64) -> String {
    use std::io::{Read as _, Seek as _};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(TAIL).max(from);
        file.seek(std::io::SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        // A line that was cut is left out.
        if start > from
            && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
        {
            bytes.drain(..=end);
        }
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let clean: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let lines: Vec<&str> = clean.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

/// Why Envoy cannot be run; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// No program.
    #[error(
        "Envoy was not found ({0}); install Envoy 1.36 or newer and put it in PATH, or name it with --envoy PROGRAM"
    )]
    Missing(String),
    /// Too old, or not Envoy at all.
    #[error(
        "{0} says `{1}` when asked for its version; Envoy 1.36 or newer is needed: name one with --envoy PROGRAM"
    )]
    TooOld(String, String),
    /// It does not say its version.
    #[error("{0} did not say its version in time; name another with --envoy PROGRAM")]
    Silent(String),
    /// It did not start.
    #[error("Envoy could not be started: {0}")]
    Start(std::io::Error),
}

/// Asks the program for its version.
///
/// # Errors
/// When it is missing or too old.
pub async fn check(program: &Path) -> Result<String, EnvoyError> {
    let asked = tokio::process::Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ASKED, asked)
        .await
        .map_err(|_| EnvoyError::Silent(program.display().to_string()))?
        .map_err(|e| EnvoyError::Missing(format!("{}: {e}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let version = text.split('/').find_map(|part| {
        let mut numbers = part.split('.').map(|n| n.trim().parse::<u32>());
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(_))) => Some((major, minor)),
            _ => None,
        }
    });
    if version.is_some_and(|v| v >= OLDEST) {
        return Ok(text);
    }
    Err(EnvoyError::TooOld(program.display().to_string(), text))
}

impl Envoy {
    /// Adopts the Envoy that an earlier run left on this state, if it is still there: same pid, and its command line
    /// is what we start it with, our configuration file named, so that a reused pid is never taken for ours.
    pub fn adopt(pid_file: &Path, config: &Path) -> Option<Self> {
        let pid: i32 = std::fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        let with = [b"-c".as_slice(), config.as_os_str().as_encoded_bytes()];
        let ours =
            words.windows(2).any(|pair| pair == with) && words.contains(&b"--use-dynamic-base-id".as_slice());
        let log = (config.with_file_name("envoy.log"), 0);
        (ours && test_kill_process(Pid::from_raw(pid)?).is_ok()).then_some(Self { pid, child: None, log })
    }

    /// Starts one in a process group of its own, so that Ctrl-C reaches only us.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn start(program: &Path, config: &Path, log: PathBuf, pid_file: &Path) -> Result<Self, EnvoyError> {
        let file =
            std::fs::OpenOptions::new().create(true).append(true).open(&log).map_err(EnvoyError::Start)?;
        let begin = file.metadata().map_or(0, |meta| meta.len());
        let child = tokio::process::Command::new(program)
            .arg("-c")
            .arg(config)
            .args(["--use-dynamic-base-id", "--disable-hot-restart", "--log-level", "warning"])
            .args(["--concurrency", "2", "--drain-time-s", "10"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .process_group(0)
            .spawn()
            .map_err(EnvoyError::Start)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        // Whole or not at all: whoever adopts or stops Envoy must never read half a number.
        let fresh = pid_file.with_extension("pid.new");
        std::fs::write(&fresh, format!("{pid}\n")).map_err(EnvoyError::Start)?;
        std::fs::rename(fresh, pid_file).map_err(EnvoyError::Start)?;
        Ok(Self { pid, child: Some(child), log: (log, begin) })
    }

    /// The end of what it wrote to its log.
    pub fn said(&self) -> String {
        tail(&self.log.0, self.log.1)
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Resolves when it has ended.
    pub async fn ended(&mut self) -> String {
        match &mut self.child {
            Some(child) => match child.wait().await {
                Ok(status) => format!("Envoy ended: {status}"),
                Err(error) => format!("Envoy is lost: {error}"),
            },
            None => loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                if Pid::from_raw(self.pid).is_none_or(|pid| test_kill_process(pid).is_err()) {
                    return "the adopted Envoy ended".into();
                }
            },
        }
    }

    /// Ends it: politely, then for good after five seconds.
    pub async fn stop(mut self) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let _ = kill_process(pid, Signal::TERM);
        if tokio::time::timeout(Duration::from_secs(5), self.ended()).await.is_err() {
            let _ = kill_process(pid, Signal::KILL);
            let _ = tokio::time::timeout(Duration::from_secs(2), self.ended()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_end_of_a_log_is_whole_lines_of_this_run() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("envoy.log");
        std::fs::write(&log, "earlier run\n").unwrap();
        assert_eq!(tail(&log, 12), "");
        std::fs::write(&log, "earlier run\n\nboom: cannot allocate\n\u{1b}[31mred\n").unwrap();
        assert_eq!(tail(&log, 12), "boom: cannot allocate | [31mred");
        let many: Vec<String> = (0..1000).map(|n| format!("line {n}")).collect();
        std::fs::write(&log, many.join("\n")).unwrap();
        assert_eq!(tail(&log, 0), "line 995 | line 996 | line 997 | line 998 | line 999");
        assert_eq!(tail(&dir.path().join("nothing"), 0), "");
    }
}
