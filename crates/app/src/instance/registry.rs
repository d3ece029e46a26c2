//! Which states there are: those in the user's state folder, and those elsewhere that registered there.

use std::{
    fs,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::DirBuilderExt as _,
    },
    path::{Path, PathBuf},
};

use super::{number_of, states};

const FOLDER: &str = "registered";

/// The entry of a running instance; it goes with it.
#[derive(Debug)]
pub struct Registration(Option<PathBuf>);

impl Registration {
    /// Nothing is left that somebody must find.
    pub fn end(self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes a state findable. Where that cannot be (no home, a read-only one) it is found with `--state` only.
pub fn register(state: &Path) -> Registration {
    let Ok(all) = states() else { return Registration(None) };
    if state.parent() == all.canonicalize().ok().as_deref() {
        return Registration(None);
    }
    Registration(
        write(&all.join(FOLDER), state)
            .inspect_err(|why| {
                tracing::warn!(%why, "the instance cannot be registered; name it with --state");
            })
            .ok(),
    )
}

fn write(folder: &Path, state: &Path) -> std::io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!("{:016x}", number_of(state)));
    let fresh = path.with_extension(std::process::id().to_string());
    fs::write(&fresh, state.as_os_str().as_bytes())?;
    fs::rename(fresh, &path)?;
    Ok(path)
}

/// All states that can be found, each once.
pub fn known() -> anyhow::Result<Vec<PathBuf>> {
    let all = states()?;
    let mut found: Vec<PathBuf> =
        entries(&all).into_iter().filter(|path| path.join("lock").is_file()).collect();
    for entry in entries(&all.join(FOLDER)) {
        let Ok(text) = fs::read(&entry) else { continue };
        let state = PathBuf::from(std::ffi::OsString::from_vec(text));
        if state.join("lock").is_file() {
            found.push(state);
        } else {
            // Its directory has gone.
            let _ = fs::remove_file(entry);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Forgets a state that nothing is left of.
pub fn forget(state: &Path) {
    if let Ok(all) = states() {
        let _ = fs::remove_file(all.join(FOLDER).join(format!("{:016x}", number_of(state))));
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
