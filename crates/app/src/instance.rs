//! Where instances keep their state, and how the verbs find the running one.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};

/// Folder with one state directory an instance.
fn states() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("XDG_STATE_HOME").filter(|d| !d.is_empty()) {
        return Ok(PathBuf::from(dir).join("portolan"));
    }
    let home = std::env::var_os("HOME").context("HOME is not set: name a state directory with --state")?;
    Ok(PathBuf::from(home).join(".local/state/portolan"))
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
    Ok(states()?.join(format!("{name}-{env}-{:08x}", number_of(dir) & 0xffff_ffff)))
}

/// Whether an instance runs on this state: it holds the lock.
fn runs(state: &Path) -> bool {
    std::fs::File::open(state.join("lock")).is_ok_and(|file| {
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
    })
}

/// The instance that is meant: the one named, else the only one that runs.
///
/// # Errors
/// When none or several run.
pub fn find(state: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(state) = state {
        if !runs(&state) {
            bail!("no instance runs on {}; start one with: portolan up DIR --state {0}", state.display());
        }
        return Ok(state.canonicalize()?);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(states()?).into_iter().flatten().flatten() {
        if runs(&entry.path()) {
            found.push(entry.path());
        }
    }
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => bail!("no instance runs; start one with: portolan up DIR"),
        several => {
            let list =
                several.iter().map(|p| format!("\n  --state {}", p.display())).collect::<Vec<_>>().concat();
            bail!("several instances run; choose one:{list}")
        }
    }
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
