//! What a killed instance leaves: an Envoy that serves on, and sockets.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use portolan_effects::{envoy_process::Envoy, state_dir::StateDir};

use super::registry;

/// What was ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Envoy, with its process id.
    Envoy(i32),
    /// No process was left, only files.
    Files,
}

fn envoy(state: &Path) -> Option<Envoy> {
    Envoy::adopt(&state.join("envoy.pid"), &state.join("envoy.json"))
}

/// Whether something is left on a state that no instance runs on.
pub fn is_left(state: &Path) -> bool {
    !super::runs(state) && (envoy(state).is_some() || state.join("run.json").exists())
}

/// Ends what is left. The lock is held meanwhile, so that no `up` takes over what is being ended.
///
/// # Errors
/// When an instance has been started, or the directory cannot be used.
pub async fn end(state: &Path) -> anyhow::Result<Ended> {
    let held = StateDir::open(state)?;
    let state = held.path();
    let ended = match envoy(state) {
        Some(envoy) => {
            let pid = envoy.pid();
            envoy.stop().await;
            Ended::Envoy(pid)
        }
        None => Ended::Files,
    };
    remove_sockets(state);
    for file in ["envoy.pid", "run.json"] {
        let _ = fs::remove_file(state.join(file));
    }
    registry::forget(state);
    Ok(ended)
}

/// The folder of sockets that a state names, if it is one that we made.
pub fn remove_sockets(state: &Path) {
    let Ok(text) = fs::read_to_string(state.join("sockets")) else { return };
    let folder = PathBuf::from(text.trim());
    let named = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("portolan-"));
    let mine = fs::symlink_metadata(&folder).is_ok_and(|meta| {
        meta.is_dir()
            && meta.uid() == rustix::process::getuid().as_raw()
            && meta.permissions().mode().trailing_zeros() >= 6
    });
    if named && mine {
        let _ = fs::remove_dir_all(folder);
    }
    let _ = fs::remove_file(state.join("sockets"));
}
