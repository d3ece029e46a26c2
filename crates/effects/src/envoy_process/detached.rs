//! Starts Envoy so that it is nobody's child.
//!
//! Where one Envoy can take over from another (hot restart) it asks the kernel for a SIGTERM when its parent ends (Envoy,
//! `HotRestartImpl`: `PR_SET_PDEATHSIG`), and it is to outlive us. So our own program is started twice in between: the first
//! starts the second and ends, and only then the second is told to become Envoy, whose parent is `init` by then. Nothing is
//! timed: the second waits for its arguments. It is known before it is Envoy, so one that cannot be recorded never runs.

use std::{
    ffi::{OsStr, OsString},
    io::{Read as _, Write as _},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// First argument of our own program when it stands between. No verb is called so.
const ASKED: &str = "__detached";
/// Second argument: of the one that ends, and of the one that becomes the program.
const STARTS: &str = "starts";
const BECOMES: &str = "becomes";
/// Ends the arguments; without it whoever wrote them has ended before.
const COMPLETE: &[u8] = b"\0complete";

/// Becomes Envoy, if that is what was asked for: to be called before anything else. `None` on every other command line.
pub fn asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != *ASKED {
        return None;
    }
    let done = match args.next()?.to_str() {
        Some(STARTS) => starts(),
        Some(BECOMES) => becomes(),
        _ => return None,
    };
    if let Err(why) = done {
        let _ = writeln!(std::io::stderr(), "Envoy could not be started: {why}");
        return Some(ExitCode::FAILURE);
    }
    Some(ExitCode::SUCCESS)
}

fn starts() -> std::io::Result<()> {
    let child = Command::new(std::env::current_exe()?)
        .args([ASKED, BECOMES])
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        // Ctrl-C reaches only us.
        .process_group(0)
        .spawn()?;
    writeln!(std::io::stdout(), "{}", child.id())
}

fn becomes() -> std::io::Result<()> {
    let mut told = Vec::new();
    std::io::stdin().read_to_end(&mut told)?;
    let Some(words) = told.strip_suffix(COMPLETE) else { return Ok(()) };
    let mut words = words.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let program = words.next().unwrap_or_default();
    Err(Command::new(program).args(words).stdin(Stdio::null()).exec())
}

/// A process that is to become Envoy, and does nothing before it is told to; if it is never told it ends.
pub struct Waiting {
    pub pid: i32,
    tell: tokio::process::ChildStdin,
}

/// Makes one; what it says goes to `log`.
pub async fn waiting(log: std::fs::File) -> std::io::Result<Waiting> {
    let mut between = tokio::process::Command::new(std::env::current_exe()?)
        .args([ASKED, STARTS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    let (tell, says) = (between.stdin.take(), between.stdout.take());
    let mut text = String::new();
    if let Some(mut says) = says {
        says.read_to_string(&mut text).await?;
    }
    let ended = between.wait().await?;
    match (text.trim().parse(), tell) {
        (Ok(pid), Some(tell)) if ended.success() => Ok(Waiting { pid, tell }),
        _ => Err(std::io::Error::other(format!("the process that starts it ended: {ended}"))),
    }
}

impl Waiting {
    /// Has it become the program.
    pub async fn go(mut self, program: &Path, arguments: &[OsString]) -> std::io::Result<()> {
        let words = arguments.iter().map(OsString::as_os_str);
        let words: Vec<&[u8]> =
            std::iter::once(program.as_os_str()).chain(words).map(OsStr::as_bytes).collect();
        let mut told = words.join(&0);
        told.extend(COMPLETE);
        self.tell.write_all(&told).await?;
        self.tell.shutdown().await
    }
}
