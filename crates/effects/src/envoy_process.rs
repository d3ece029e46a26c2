//! Envoy as a child that outlives us: a killed Portolan leaves it serving, and the next start adopts it.

mod arguments;
mod backoff;
mod detached;
mod listening;
mod record;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

pub use arguments::Setup;
use arguments::{Place, Started};
pub use backoff::Backoff;
pub use detached::asked;
pub use record::CONFIG;
use record::Process;

/// Oldest Envoy that is run: the end-to-end tests passed with 1.36.2 and 1.40.0, and nothing older was tried.
pub const OLDEST: (u32, u32) = (1, 36);

/// Longest that a program may take to say its version.
const ASKED: Duration = Duration::from_secs(20);

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    node: String,
    place: Option<Place>,
    child: Option<tokio::process::Child>,
    /// Its log, and where this run of it begins.
    log: (PathBuf, u64),
}

/// Its log, a file of the state directory.
const LOG: &str = "envoy.log";

/// Most of a log that a message quotes.
const TAIL: u64 = 600;

/// Addresses of IPv4 that Envoys of this user listen at: those of a state first, then those of all others. What another user's
/// Envoys listen at is not seen.
pub fn addresses(state: &Path) -> [BTreeSet<Ipv4Addr>; 2] {
    let ours: BTreeSet<i32> =
        record::running(state).chain(record::find(state)).map(|(process, _)| process.pid).collect();
    let (own, others): (Vec<i32>, Vec<i32>) = record::every().partition(|pid| ours.contains(pid));
    [own, others].map(|pids| pids.into_iter().flat_map(listening::addresses).collect())
}

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
    /// Whoever comes after us would not find it.
    #[error("Envoy was ended again, since its process id could not be recorded: {0}")]
    Unrecorded(std::io::Error),
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
    fn left((process, Started { node, place, .. }): (Process, Started), log: PathBuf) -> Self {
        Self { process, node, place, child: None, log: (log, 0) }
    }

    /// Adopts the Envoy that an earlier run left on this state, if it is still there: the recorded process, on this boot
    /// and by the time of its start, or one that was killed too early, or had no room on the disk, to be recorded. What a
    /// copy of a state records is never taken for its own.
    pub fn adopt(state: &Path) -> Option<Self> {
        Some(Self::left(record::find(state)?, state.join(LOG)))
    }

    /// The Envoy that this one is to take over from, if it still listens.
    pub fn before(&self, state: &Path) -> Option<Self> {
        let mut others = record::running(state).filter(|(process, _)| *process != self.process);
        let log = state.join(LOG);
        others.find(|(process, _)| listening::listens(process.pid)).map(|other| Self::left(other, log))
    }

    /// Starts one that outlives us, and that Ctrl-C does not reach. There is one for a state: others that were started on it
    /// are ended before, and one that cannot be recorded is ended at once.
    ///
    /// # Errors
    /// When the program cannot be run or recorded.
    pub async fn start(setup: &Setup) -> Result<Self, EnvoyError> {
        for other in record::running(&setup.state) {
            Self::left(other, PathBuf::new()).stop().await;
        }
        Self::spawn(setup, setup.first()).await
    }

    /// Starts one that takes over from this one, which serves on until all of the other's configuration is there; then it
    /// drains its connections and ends. `None` if this one was started so that none can take over from it.
    ///
    /// # Errors
    /// When the program cannot be run or recorded.
    pub async fn successor(&self, setup: &Setup) -> Option<Result<Self, EnvoyError>> {
        let place = self.place.as_ref()?.next();
        Some(Self::spawn(setup, Some(place)).await)
    }

    async fn spawn(setup: &Setup, place: Option<Place>) -> Result<Self, EnvoyError> {
        let log = setup.state.join(LOG);
        let file =
            std::fs::OpenOptions::new().create(true).append(true).open(&log).map_err(EnvoyError::Start)?;
        let begin = file.metadata().map_or(0, |meta| meta.len());
        let arguments = setup.arguments(place.as_ref());
        let (process, child) = if place.is_some() {
            let waiting = detached::waiting(file).await.map_err(EnvoyError::Start)?;
            let process = Process::of(waiting.pid).unwrap_or(Process::ended());
            record::write(&setup.state, process).map_err(EnvoyError::Unrecorded)?;
            waiting.go(&setup.program, &arguments).await.map_err(EnvoyError::Start)?;
            (process, None)
        } else {
            Self::child(setup, &arguments, file).await?
        };
        Ok(Self { process, node: setup.node.clone(), place, child, log: (log, begin) })
    }

    /// One that none can take over from is a child of ours, in a process group of its own.
    async fn child(
        setup: &Setup,
        arguments: &[OsString],
        log: std::fs::File,
    ) -> Result<(Process, Option<tokio::process::Child>), EnvoyError> {
        let mut child = tokio::process::Command::new(&setup.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(EnvoyError::Start)?;
        // If it has ended already, whoever waits for it hears how.
        let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Process::of);
        if let Some(process) = process
            && let Err(why) = record::write(&setup.state, process)
        {
            let _ = child.kill().await;
            return Err(EnvoyError::Unrecorded(why));
        }
        Ok((process.unwrap_or(Process::ended()), Some(child)))
    }

    /// Its name on the wire.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether it accepts connections. One that another has taken over from does not, though it serves those that it has.
    pub fn listens(&self) -> bool {
        self.process.lives() && listening::listens(self.process.pid)
    }

    /// Records one that was adopted, in case it was not.
    ///
    /// # Errors
    /// What the file system says.
    pub fn record(&self, state: &Path) -> std::io::Result<()> {
        record::write(state, self.process)
    }

    /// The end of what it wrote to its log.
    pub fn said(&self) -> String {
        tail(&self.log.0, self.log.1)
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Resolves when it has ended.
    pub async fn ended(&mut self) -> String {
        let Some(child) = &mut self.child else {
            self.process.gone().await;
            return "Envoy ended".into();
        };
        match child.wait().await {
            Ok(status) => format!("Envoy ended: {status}"),
            Err(error) => format!("Envoy is lost: {error}"),
        }
    }

    /// Ends it: politely, then for good after five seconds.
    pub async fn stop(mut self) {
        let Some(pid) = Pid::from_raw(self.process.pid).filter(|_| self.process.lives()) else { return };
        let _ = kill_process(pid, Signal::TERM);
        if tokio::time::timeout(Duration::from_secs(5), self.ended()).await.is_err() && self.process.lives() {
            let _ = kill_process(pid, Signal::KILL);
            let _ = tokio::time::timeout(Duration::from_secs(2), self.ended()).await;
        }
    }

    /// The same, with one that it has taken over from, and forgets that they ran.
    pub async fn end(self, state: &Path) {
        let place = self.place.clone();
        self.stop().await;
        for other in record::running(state) {
            Self::left(other, PathBuf::new()).stop().await;
        }
        if let Some(place) = place {
            place.forget();
        }
        record::remove(state);
    }
}

/// Forgets what is recorded of an Envoy of this state.
pub fn forget(state: &Path) {
    record::remove(state);
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
