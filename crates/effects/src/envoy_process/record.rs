//! Which process is the Envoy of a state: what is recorded of it, and how it is told from every other.

use std::{fs, io, path::Path, time::Duration};

use super::arguments::Started;
use crate::state_dir::{self, Identity};

/// File of a state directory with the process id, on its first line.
pub const FILE: &str = "envoy.pid";
/// File of a state directory that Envoy is started with.
pub const CONFIG: &str = "envoy.json";
/// Length of the file: written over in place when the disk has no room for another.
const LENGTH: usize = 512;

/// How often it is looked whether a process has ended that is no child of ours.
const POLL: Duration = Duration::from_millis(20);

/// A process, told from every later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it was started, in ticks since the boot.
    started: u64,
}

impl Process {
    /// The process of this number, if there is one that has not ended.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program stands in parentheses, and may hold more of them.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, started })
    }

    /// One that nobody has seen alive.
    pub const fn ended() -> Self {
        Self { pid: 0, started: 0 }
    }

    /// Whether it has not ended.
    pub fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Resolves when it has ended, whoever's child it is.
    pub async fn gone(self) {
        while self.lives() {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Records the Envoy of a state: whole, or not at all.
pub fn write(state: &Path, process: Process) -> io::Result<()> {
    let Process { pid, started } = process;
    let mut text = format!("{pid}\n{started} {}\n", Identity::of(state)?.line());
    while text.len() < LENGTH {
        text.push('\n');
    }
    let Err(why) = state_dir::write(state, FILE, text.as_bytes()) else { return Ok(()) };
    // A full disk has no room for another file, and the old one still has its own: one write, of less than a page.
    let mut file = fs::OpenOptions::new().write(true).open(state.join(FILE)).map_err(|_| why)?;
    if file.metadata()?.len() != LENGTH as u64 {
        return Err(io::ErrorKind::StorageFull.into());
    }
    io::Write::write_all(&mut file, text.as_bytes())
}

/// Forgets it.
pub fn remove(state: &Path) {
    let _ = fs::remove_file(state.join(FILE));
}

/// The Envoy that runs on a state. Of several the one that takes over from the others; else the recorded one, or one that its
/// recorder could not record any more.
pub fn find(state: &Path) -> Option<(Process, Started)> {
    running(state).chain(recorded(state)).max_by_key(|(_, started)| started.epoch())
}

fn recorded(state: &Path) -> Option<(Process, Started)> {
    let text = fs::read_to_string(state.join(FILE)).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let (started, identity) = lines.next()?.split_once(' ')?;
    let process = Process { pid, started: started.parse().ok()? };
    let started = Started::of(pid)?;
    (Identity::read(identity)?.is(state) && process.lives()).then_some((process, started))
}

/// Every Envoy that was started on a state.
pub fn running(state: &Path) -> impl Iterator<Item = (Process, Started)> {
    let config = state.join(CONFIG);
    let identity = Identity::of(state).ok();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(move |pid| {
        let started = Started::of(pid).filter(|started| started.config == config)?;
        // The same path may lead to another state in the file systems that a container sees.
        let seen = Path::new(&format!("/proc/{pid}/root")).join(config.parent()?.strip_prefix("/").ok()?);
        (Identity::of(&seen).ok() == identity).then_some(())?;
        Some((Process::of(pid)?, started))
    })
}

/// Processes that were started as an Envoy of whatever state.
pub fn every() -> impl Iterator<Item = i32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| Started::of(*pid).is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    /// A program that is started as Envoy is.
    fn like_envoy(state: &Path, epoch: &str) -> std::process::Child {
        // `sh -c SCRIPT NAME ARGS`; it waits for a line and starts nothing.
        Command::new("sh")
            .args(["-c", "read line", "envoy", "-c"])
            .arg(state.join(CONFIG))
            .args(["--base-id", "1", "--restart-epoch", epoch, "--socket-path", "/s/h"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_recorded_process_is_told_from_a_later_one_and_from_that_of_a_copy() {
        let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(find(dir.path()), None);
        let me = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.lives());
        write(dir.path(), me).unwrap();
        assert_eq!(find(dir.path()), None, "it is no Envoy of ours");
        let reused = Process { started: me.started + 1, ..me };
        assert!(!reused.lives());
        assert_eq!(fs::read(dir.path().join(FILE)).unwrap().len(), LENGTH);
        fs::copy(dir.path().join(FILE), copy.path().join(FILE)).unwrap();
        assert_eq!(recorded(copy.path()), None);
    }

    #[test]
    fn an_envoy_that_was_not_recorded_is_found_all_the_same() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // It is there once the shell has been put in place of the copy of this process.
        let found = |count: usize| {
            (0..500).find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                let found = find(dir.path()).map(|(process, _)| process.pid);
                found.filter(|_| running(dir.path()).count() == count)
            })
        };
        let mut all = Vec::new();
        let mut seen = Vec::new();
        for (count, epoch) in [(1, "0"), (2, "1")] {
            let child = like_envoy(dir.path(), epoch);
            seen.push((found(count), Some(i32::try_from(child.id()).unwrap())));
            if count == 1 {
                write(dir.path(), Process::of(seen[0].1.unwrap()).unwrap()).unwrap();
            }
            all.push(child);
        }
        let strange = find(other.path());
        for child in &mut all {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for (found, is) in seen {
            assert_eq!(found, is, "the one that takes over, whoever is recorded");
        }
        assert_eq!(strange, None);
        assert_eq!(find(dir.path()), None, "they have ended");
    }
}
