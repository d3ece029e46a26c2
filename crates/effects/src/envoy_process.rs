//! Envoy as a child that outlives us: a killed Portolan leaves it serving, and the next start adopts it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Oldest Envoy that is run: the end-to-end tests passed with 1.36.2 and 1.40.0, and nothing older was tried.
pub const OLDEST: (u32, u32) = (1, 36);

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    pid: i32,
    child: Option<tokio::process::Child>,
}

/// Why Envoy cannot be run; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// No program.
    #[error("Envoy was not found ({0}); run scripts/setup, or name it with --envoy PATH")]
    Missing(String),
    /// Too old, or not Envoy at all.
    #[error("{0} says `{1}`; Envoy 1.36 or newer is needed; scripts/setup brings one")]
    TooOld(String, String),
    /// It did not start.
    #[error("Envoy could not be started: {0}")]
    Start(std::io::Error),
}

/// Asks the program for its version.
///
/// # Errors
/// When it is missing or too old.
pub async fn check(program: &Path) -> Result<String, EnvoyError> {
    let output = tokio::process::Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await
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
    /// names our configuration file, so that a reused pid is never taken for ours.
    pub fn adopt(pid_file: &Path, config: &Path) -> Option<Self> {
        let pid: i32 = std::fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = line.split(|b| *b == 0).any(|part| part == config.as_os_str().as_encoded_bytes());
        (ours && test_kill_process(Pid::from_raw(pid)?).is_ok()).then_some(Self { pid, child: None })
    }

    /// Starts one in a process group of its own, so that Ctrl-C reaches only us.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn start(program: &Path, config: &Path, log: PathBuf, pid_file: &Path) -> Result<Self, EnvoyError> {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(log).map_err(EnvoyError::Start)?;
        let child = tokio::process::Command::new(program)
            .arg("-c")
            .arg(config)
            .args(["--use-dynamic-base-id", "--disable-hot-restart", "--log-level", "warning"])
            .args(["--concurrency", "2", "--drain-time-s", "10"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(EnvoyError::Start)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        // Whole or not at all: whoever adopts or stops Envoy must never read half a number.
        let fresh = pid_file.with_extension("pid.new");
        std::fs::write(&fresh, format!("{pid}\n")).map_err(EnvoyError::Start)?;
        std::fs::rename(fresh, pid_file).map_err(EnvoyError::Start)?;
        Ok(Self { pid, child: Some(child) })
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
