//! What a killed instance leaves: an Envoy that serves on, and sockets.

use std::{fs, path::Path};

use portolan_effects::{
    echo,
    envoy_process::{self, Envoy},
    state_dir::{Identity, StateDir, sockets},
};
use serde::Deserialize as _;
use serde_json::Value;

use super::registry;

/// What was ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Envoy, with its process id.
    Envoy(i32),
    /// No process was left, only files.
    Files,
}

/// Whether an instance wrote of this very state, on this boot, that it runs: not one of which this is a copy.
fn was_running(state: &Path) -> bool {
    let run = fs::read(state.join("run.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let identity = run.and_then(|run: Value| Identity::deserialize(run.get("identity")?).ok());
    identity.is_some_and(|identity| identity.is(state))
}

/// Whether something is left on a state that no instance runs on.
pub fn is_left(state: &Path) -> bool {
    !super::runs(state)
        && (was_running(state) || sockets::folder(state).is_some() || Envoy::adopt(state).is_some())
}

/// Ends what is left. The lock is held meanwhile, so that no `up` takes over what is being ended.
///
/// # Errors
/// When an instance has been started, or the directory cannot be used.
pub async fn end(state: &Path) -> anyhow::Result<Ended> {
    let held = StateDir::open(state)?;
    let state = held.path();
    let ended = match Envoy::adopt(state) {
        Some(envoy) => {
            let pid = envoy.pid();
            envoy.end(state).await;
            Ended::Envoy(pid)
        }
        None => Ended::Files,
    };
    envoy_process::forget(state);
    sockets::remove(state);
    sockets::remove_temporary(state);
    for file in ["run.json", echo::FILE] {
        let _ = fs::remove_file(state.join(file));
    }
    registry::forget(state);
    Ok(ended)
}
