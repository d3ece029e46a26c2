//! Trusted programs over untrusted input (Helm, Kustomize) are run closed in: they read the folders that they are given and
//! the system's libraries, write into a temporary folder of their own, open no socket, start no other program, and are bounded
//! in time, memory and output. Input of others may name files and URLs, and what the program asks would be asked from here.
//!
//! What is given up cannot be given up from outside: `run::Run` starts our own program again, which gives it up (`close`) and
//! becomes the other one. It is one process, whose end is bound to ours. Kustomize has charts rendered by Helm: where
//! a program is named that it may start, it starts our own again, which binds its end to that of Kustomize and becomes Helm;
//! the rules hold for it already.
//!
//! A program that fetches (`charts`) may open connections of TCP to the ports that it is given, to nothing else, and asks no names.
//!
//! Files are held by Landlock (Linux 5.13), ports by Landlock (Linux 6.7), sockets and processes by seccomp. Where the kernel has no Landlock, `weakness`
//! says so; without seccomp nothing is run.

mod close;
pub mod run;

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode};

use serde::{Deserialize, Serialize};

pub use close::{weakness, weakness_of_connections};

/// First argument of our own program when it stands between. No verb is called so.
const ASKED: &str = "__confined";

/// What the program may do, as it is handed on.
#[derive(Debug, Serialize, Deserialize)]
struct Rules {
    /// The process that starts it, whose death ends it.
    parent: i32,
    read: Vec<PathBuf>,
    /// Programs that it may start.
    starts: Option<[PathBuf; 2]>,
    write: Vec<PathBuf>,
    /// Ports on which it may open connections; with none it has no sockets.
    connect: Vec<u16>,
    seconds: u64,
    memory: u64,
    output: u64,
}

/// What our own program becomes when one that is closed in starts it, and which process that is. In the environment, as the
/// arguments are the program's.
const STARTS: &str = "PORTOLAN_CONFINED_STARTS";
const STARTED_BY: &str = "PORTOLAN_CONFINED_STARTED_BY";

/// Exit code when the program could not be closed in or started; why is in the error output.
const NOT_RUN: u8 = 240;

/// Becomes the other program, if that is what was asked for: to be called before anything else by the program that
/// `Run::through` names. `None` on every other command line.
pub fn asked() -> Option<ExitCode> {
    let mut args = env::args_os();
    let _ = args.next();
    if let (Some(program), Some(parent)) = (env::var_os(STARTS), env::var_os(STARTED_BY)) {
        let Err(why) = close::become_started(&program, &parent, args);
        return Some(not_run(&why));
    }
    if args.next()? != *ASKED {
        return None;
    }
    let rules = args.next()?;
    let program: Vec<OsString> = args.collect();
    let done = rules
        .to_str()
        .ok_or_else(|| "the rules are no text".to_owned())
        .and_then(|text| serde_json::from_str::<Rules>(text).map_err(|why| why.to_string()))
        .and_then(|rules| close::become_program(&rules, &program));
    let Err(why) = done;
    Some(not_run(&why))
}

fn not_run(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(NOT_RUN)
}
