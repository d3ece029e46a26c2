//! One run of a program that is closed in.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use portolan_model::Redacted;
use rustix::process::{Pid, Signal, kill_process_group};

use super::{ASKED, NOT_RUN, Rules};

/// What one run may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time on the clock.
    pub time: Duration,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that it may print, and that one file may get.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), memory: 1 << 30, output: 64 << 20 }
    }
}

/// A program, what it is asked and what it is given. It has no environment but what it is given here, no home, and a
/// temporary folder of its own, which is also its working directory and is removed afterwards.
#[derive(Debug)]
pub struct Run<'a> {
    /// Our own program, or one that calls `confined::asked` as ours does.
    pub through: &'a Path,
    /// The program: trusted, found by us and not by the repository.
    pub program: &'a Path,
    /// Another program that it starts, trusted as well, by starting `through`. With none it starts nothing.
    pub starts: Option<PathBuf>,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Folders and files that it may read.
    pub read: Vec<PathBuf>,
    /// Another folder that it may write into.
    pub write: Option<PathBuf>,
    /// Ports on which it may open connections of TCP; with none it opens no socket.
    pub connect: Vec<u16>,
    /// Variables that are set to folders of their own, empty and writable, in its temporary folder.
    pub folders: &'a [&'a str],
    /// Other variables.
    pub env: Vec<(&'a str, OsString)>,
    /// What it may take.
    pub limits: Limits,
}

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    /// Whether it ended with 0.
    pub success: bool,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said beside.
    pub stderr: Vec<u8>,
}

/// Why it did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The rest of a sentence that begins with its name.
    pub why: String,
    /// Whether it was ended because it took more than it may: what it was given is the cause, not how it is installed.
    pub over: bool,
}

impl Run<'_> {
    /// Runs it and waits for its end.
    ///
    /// # Errors
    /// When it could not be run, or was ended because it took too much.
    pub fn ended(self) -> Result<Ended, Stopped> {
        self.ended_unless(&AtomicBool::new(false))
    }

    /// The same, but ended soon after the flag is set.
    ///
    /// # Errors
    /// As [`Self::ended`].
    pub fn ended_unless(self, stop: &AtomicBool) -> Result<Ended, Stopped> {
        self.ended_given(None, stop)
    }

    /// The same for a program that is given something to read on its standard input, which no file holds.
    ///
    /// # Errors
    /// As [`Self::ended`].
    pub fn ended_with(self, input: Redacted) -> Result<Ended, Stopped> {
        self.ended_given(Some(input), &AtomicBool::new(false))
    }

    fn ended_given(self, input: Option<Redacted>, stop: &AtomicBool) -> Result<Ended, Stopped> {
        let stopped = |why: String| Stopped { why, over: false };
        let over = |why: String| Stopped { why, over: true };
        let cannot = |why: &dyn std::fmt::Display| stopped(format!("cannot be run: {why}"));
        let own = tempfile::Builder::new().prefix("portolan-run").tempdir().map_err(|why| cannot(&why))?;
        // Rules are about real paths.
        let real = |path: &Path| path.canonicalize();
        let home = real(own.path()).map_err(|why| cannot(&why))?;
        let program = real(self.program).map_err(|why| cannot(&why))?;
        let read: io::Result<Vec<PathBuf>> = self.read.iter().map(|path| real(path)).collect();
        let starts = self.starts.as_deref().map(|path| Ok([real(self.through)?, real(path)?])).transpose();
        let limits = self.limits;
        let write: io::Result<Vec<PathBuf>> =
            [Ok(home.clone())].into_iter().chain(self.write.as_deref().map(real)).collect();
        let rules = Rules {
            parent: rustix::process::getpid().as_raw_pid(),
            read: read.map_err(|why| cannot(&why))?,
            starts: starts.map_err(|why: io::Error| cannot(&why))?,
            write: write.map_err(|why| cannot(&why))?,
            connect: self.connect,
            seconds: limits.time.as_secs(),
            memory: limits.memory,
            output: limits.output,
        };
        let rules = serde_json::to_string(&rules).map_err(|why| cannot(&why))?;
        let mut command = Command::new(self.through);
        command.arg(ASKED).arg(rules).arg(program).args(self.args);
        command.env_clear().current_dir(&home);
        for name in self.folders.iter().chain(&["HOME", "TMPDIR"]) {
            let folder = home.join(name);
            fs::create_dir_all(&folder).map_err(|why| cannot(&why))?;
            command.env(name, folder);
        }
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.envs(self.env).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        // Its end is bound to that of this thread, which waits for it.
        let mut child = command.spawn().map_err(|why| cannot(&why))?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // Who reads none of it, or ends before, closes it.
            std::thread::spawn(move || drop(stdin.write_all(input.expose())));
        }
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let most = limits.output;
        let (said, beside) = (
            std::thread::spawn(move || bounded(stdout, most)),
            std::thread::spawn(move || bounded(stderr, most)),
        );
        let status = wait(&mut child, limits.time, stop).map_err(|why| cannot(&why))?;
        // What it has started ends with it, and with that its streams.
        if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let read = |from: JoinHandle<io::Result<Vec<u8>>>| {
            from.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        };
        let (Ok(stdout), Ok(stderr)) = (read(said), read(beside)) else {
            return Err(over(format!("prints more than {} MiB", most >> 20)));
        };
        let Some(status) = status else {
            return Err(over(format!("takes longer than {} s", limits.time.as_secs())));
        };
        match status.code() {
            Some(code) if code == i32::from(NOT_RUN) => Err(cannot(&String::from_utf8_lossy(&stderr).trim())),
            // In the words of Go's runtime and of C's libraries.
            Some(code) if code != 0 && is_out_of_memory(&stderr) => {
                Err(over(format!("takes more than {} MiB of memory", limits.memory >> 20)))
            }
            Some(code) => Ok(Ended { success: code == 0, stdout, stderr }),
            None => Err(stopped(format!("was ended by signal {}", status.signal().unwrap_or_default()))),
        }
    }
}

/// Waits for the end; `None` if it had to be brought because the time was over. Who prints too much is ended by the signal of
/// a closed stream, or with its time.
fn wait(child: &mut Child, time: Duration, stop: &AtomicBool) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + time;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end || stop.load(Ordering::Relaxed) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(16));
    }
}

fn is_out_of_memory(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(&said[..said.len().min(4000)]);
    [
        "fatal error: runtime: out of memory",
        "fatal error: out of memory",
        "fatal error: runtime: cannot allocate",
        "xmalloc: cannot allocate",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// All that comes, or an error when it is more than that.
fn bounded(from: Option<impl Read>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Writes files below a new temporary folder: the copy that a program reads.
///
/// # Errors
/// When it cannot be written.
pub fn copy<'a>(files: impl IntoIterator<Item = (&'a Path, &'a [u8])>) -> io::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("portolan-copy").tempdir()?;
    for (path, content) in files {
        debug_assert!(path.is_relative() && !path.as_os_str().as_bytes().starts_with(b".."));
        let path = folder.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(folder)
}
