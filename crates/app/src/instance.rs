//! Where instances keep their state, and how the verbs find the running one, wherever its state is.

mod left;
mod registry;
#[cfg(test)]
mod tests;

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::out::Listed;

pub use left::{Ended, end};
pub use registry::register;

/// Folder with one state directory an instance, and what they share.
///
/// # Errors
/// When there is no home directory.
pub fn states() -> anyhow::Result<PathBuf> {
    // One that is no full path is to be ignored (XDG Base Directory Specification): keys would come to lie wherever it is called from.
    if let Some(dir) = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return Ok(dir.join("portolan"));
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = PathBuf::from(home.context("HOME is not set: name a state directory with --state")?);
    if !home.is_absolute() {
        bail!("HOME={} is no full path: correct it, or name a state directory with --state", home.display());
    }
    Ok(home.join(".local/state/portolan"))
}

/// A stable short number of a path: chooses the state directory and the address range.
pub fn number_of(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Default state directory for a folder and environment.
///
/// # Errors
/// When there is no home directory.
pub fn default_state(dir: &Path, env: &str) -> anyhow::Result<PathBuf> {
    let name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // An environment is a word of the user's: it never leads out of the folder of states.
    let env = env.replace(['/', '\0'], "-");
    Ok(states()?.join(format!("{name}-{env}-{:08x}", number_of(dir) & 0xffff_ffff)))
}

/// Whose state a directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// What `up` was called with.
    pub root: PathBuf,
    /// `--env`.
    pub env: String,
}

/// File of a state directory that says whose it is.
pub const OWNER: &str = "repository.json";

/// Refuses the state of another repository or environment: everything that is stored there would be taken for removed.
///
/// # Errors
/// A sentence that says whose it is.
pub fn belongs(state: &Path, owner: &Owner) -> anyhow::Result<()> {
    let file = state.join(OWNER);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(why) => bail!("{} cannot be read: {why}", file.display()),
    };
    let kept: Owner = serde_json::from_slice(&text).with_context(|| {
        let file = file.display();
        format!("{file} is damaged, so it is not known whose state this is; if it is that of this folder, remove {file}")
    })?;
    if kept == *owner {
        return Ok(());
    }
    bail!(
        "state directory {} holds the state of {} (--env {}), and all of it would count as removed; leave --state away \
         or name another directory. If it is the same repository under another name, remove {} first",
        state.display(),
        kept.root.display(),
        kept.env,
        state.join(OWNER).display()
    )
}

/// Whether an instance runs on this state: it holds the lock.
fn runs(state: &Path) -> bool {
    std::fs::File::open(state.join("lock")).is_ok_and(|file| {
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
    })
}

/// What is to be done about an address that cannot be listened on.
pub fn taken(flag: &str, address: std::net::SocketAddr, state: &Path) -> String {
    let other = registry::known().unwrap_or_default().into_iter().find(|other| other != state && runs(other));
    let other = other.map_or_else(String::new, |other| {
        format!(", or stop the instance that runs on {0}: portolan down --state {0}", other.display())
    });
    format!("{flag} {address} cannot be used; choose another (port 0 takes a free one){other}")
}

/// Refuses an address for all Gateways that this machine does not have.
///
/// # Errors
/// A sentence that says so.
pub fn bindable(address: std::net::IpAddr) -> anyhow::Result<()> {
    match std::net::TcpListener::bind((address, 0)) {
        Ok(_) => Ok(()),
        Err(why) => {
            bail!("--bind {address} is no address of this machine ({why}); they are listed by: ip address")
        }
    }
}

/// Refuses `--low-ports` where nobody would be allowed to bind them.
///
/// # Errors
/// A sentence that says what to do.
pub fn may_bind_low_ports(envoy: Option<&Path>) -> anyhow::Result<()> {
    // A program may have been given a right that its caller has not (setcap).
    let mut rights = [0_u8; 64];
    if envoy.is_some_and(|program| rustix::fs::getxattr(program, "security.capability", &mut rights).is_ok())
    {
        return Ok(());
    }
    let denied = |port: u16| {
        let bound = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port));
        bound.is_err_and(|why| why.kind() == std::io::ErrorKind::PermissionDenied)
    };
    if denied(80) && denied(443) {
        bail!(
            "--low-ports: this user may not bind ports below 1024; leave it out (they are served 8,000 higher), or allow it: \
             sysctl net.ipv4.ip_unprivileged_port_start=80"
        );
    }
    Ok(())
}

/// What a list of instances says of one.
fn described(state: &Path) -> String {
    let owner = std::fs::read(state.join(OWNER)).ok();
    let owner = owner.and_then(|text| serde_json::from_slice::<Owner>(&text).ok());
    let of = owner.map_or_else(String::new, |o| format!("   ({}, --env {})", o.root.display(), o.env));
    format!("--state {}{of}", state.display())
}

/// The running instance that is meant: the one named, else the only one that runs.
///
/// # Errors
/// When none or several run.
pub fn find(state: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(state) = state {
        let state = named(state)?;
        if !runs(&state) {
            let left = if left::is_left(&state) {
                "; one that was killed has left its Envoy serving: `portolan up` takes it over, `portolan down` ends it"
            } else {
                ""
            };
            bail!(
                "no instance runs on {}{left}; start one with: portolan up DIR --state {0}",
                state.display()
            );
        }
        return Ok(state);
    }
    let known = registry::known()?;
    let running: Vec<&PathBuf> = known.iter().filter(|state| runs(state)).collect();
    match &running[..] {
        [one] => Ok((*one).clone()),
        [] => {
            let items: Vec<String> =
                known.iter().filter(|state| left::is_left(state)).map(|state| described(state)).collect();
            if items.is_empty() {
                bail!("no instance runs; start one with: portolan up DIR");
            }
            let sentence = "no instance runs. One that was killed has left its Envoy serving: `portolan up DIR` takes it \
                over, `portolan down` ends it"
                .to_owned();
            Err(Listed { sentence, items }.into())
        }
        several => {
            let items = several.iter().map(|state| described(state)).collect();
            Err(Listed { sentence: "several instances run; choose one".into(), items }.into())
        }
    }
}

/// The instance to stop: one that runs, else what a killed one has left.
///
/// # Errors
/// When there is none, or several.
pub fn find_to_stop(state: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(state) = state {
        let state = named(state)?;
        if runs(&state) || left::is_left(&state) {
            return Ok(state);
        }
        bail!(
            "no instance runs on {}, and none has left anything there: nothing is to be stopped",
            state.display()
        );
    }
    let known = registry::known()?;
    if known.iter().any(|state| runs(state)) {
        return find(None);
    }
    let left: Vec<&PathBuf> = known.iter().filter(|state| left::is_left(state)).collect();
    match &left[..] {
        [one] => Ok((*one).clone()),
        [] => bail!("no instance runs: nothing is to be stopped"),
        several => {
            let items = several.iter().map(|state| described(state)).collect();
            let sentence = "several killed instances have left an Envoy; choose one".into();
            Err(Listed { sentence, items }.into())
        }
    }
}

/// A state directory that the user named.
fn named(state: &Path) -> anyhow::Result<PathBuf> {
    let shown = state.display();
    let real = match state.canonicalize() {
        Ok(real) => real,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "there is no state directory {shown}; without --state the running instance is found by itself"
            )
        }
        Err(why) => bail!("state directory {shown} cannot be looked into: {why}"),
    };
    let meta = real.metadata()?;
    if !meta.is_dir() {
        bail!("--state {shown} is a file; name the directory that `portolan up` printed as its state");
    }
    let me = rustix::process::getuid().as_raw();
    if meta.uid() != me && me != 0 {
        bail!(
            "state directory {shown} belongs to user {}; call portolan as that user, or name another with --state",
            meta.uid()
        );
    }
    Ok(real)
}

/// Waits until the lock is free, at most 20 seconds.
///
/// # Errors
/// When it is still held then.
pub async fn wait_until_gone(state: &Path) -> anyhow::Result<()> {
    for _ in 0..200 {
        if !runs(state) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("the instance on {} is still running after 20 s", state.display())
}
