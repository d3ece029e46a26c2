//! The folder of sockets that belongs to a state: a private one with a short path, since a Unix socket's path has at most
//! 107 bytes. It names the state that it was made for, and that state alone uses and removes it.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{Identity, StateDir};

/// File of a state directory that names the folder.
const NAMED: &str = "sockets";
/// File of the folder that names the state.
const OF: &str = "state";

/// The folder that a state names, if it was made for it.
pub fn folder(state: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(state.join(NAMED)).ok()?;
    let folder = PathBuf::from(text.trim());
    let meta = fs::symlink_metadata(&folder).ok()?;
    let private = meta.is_dir()
        && meta.uid() == rustix::process::getuid().as_raw()
        && meta.permissions().mode().trailing_zeros() >= 6;
    let of = fs::read_to_string(folder.join(OF)).ok()?;
    (private && Identity::read(&of)?.is(state)).then_some(folder)
}

/// The folder of a state; makes one in `base` if it has none.
///
/// # Errors
/// What the file system says, with the path.
pub fn open(state: &StateDir, base: &Path) -> io::Result<PathBuf> {
    // An Envoy that survived us still dials the old path.
    if let Some(folder) = folder(state.path()) {
        return Ok(folder);
    }
    // The name is random, and it is made with mode 0700: nobody can be there first.
    let made = tempfile::Builder::new()
        .prefix("portolan-")
        .rand_bytes(12)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(base)
        .map_err(|why| {
            io::Error::new(
                why.kind(),
                format!("no folder of sockets can be made in {}: {why}", base.display()),
            )
        })?;
    fs::write(made.path().join(OF), Identity::of(state.path())?.line())?;
    state.write(NAMED, made.path().as_os_str().as_encoded_bytes())?;
    Ok(made.keep())
}

/// Removes the folder of a state, if it was made for it, and forgets it in any case.
pub fn remove(state: &Path) {
    if let Some(folder) = folder(state) {
        let _ = fs::remove_dir_all(folder);
    }
    let _ = fs::remove_file(state.join(NAMED));
}

/// A folder of a state for what is of no use after it: emptied at each start and at the end.
///
/// # Errors
/// What the file system says.
pub fn temporary(state: &StateDir) -> io::Result<PathBuf> {
    let folder = state.path().join("tmp");
    remove_temporary(state.path());
    fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder)?;
    Ok(folder)
}

/// Removes it.
pub fn remove_temporary(state: &Path) {
    let folder = state.join("tmp");
    // A link would lead to what is somebody else's.
    if fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir()) {
        let _ = fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn private() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn a_folder_is_used_and_removed_by_its_own_state_only() {
        let (base, dir, copy) = (private(), private(), private());
        let state = StateDir::open(dir.path()).unwrap();
        let made = open(&state, base.path()).unwrap();
        assert_eq!(open(&state, base.path()).unwrap(), made, "it is kept");
        fs::copy(dir.path().join(NAMED), copy.path().join(NAMED)).unwrap();
        assert_eq!(folder(copy.path()), None);
        remove(copy.path());
        assert!(made.is_dir(), "a copy removes nothing of the original");
        assert!(!copy.path().join(NAMED).exists(), "and forgets what it was copied with");
        // Somebody writes the name of a folder that we did not make.
        let strange = base.path().join("portolan-mine");
        fs::create_dir(&strange).unwrap();
        fs::set_permissions(&strange, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(copy.path().join(NAMED), strange.to_str().unwrap()).unwrap();
        remove(copy.path());
        assert!(strange.is_dir());
        remove(dir.path());
        assert!(!made.exists());
    }

    #[test]
    fn what_is_temporary_goes_and_a_link_is_left_alone() {
        let (dir, other) = (private(), private());
        let state = StateDir::open(dir.path()).unwrap();
        fs::write(temporary(&state).unwrap().join("a"), "").unwrap();
        assert!(fs::read_dir(temporary(&state).unwrap()).unwrap().next().is_none());
        remove_temporary(dir.path());
        assert!(!dir.path().join("tmp").exists());
        fs::write(other.path().join("kept"), "").unwrap();
        std::os::unix::fs::symlink(other.path(), dir.path().join("tmp")).unwrap();
        remove_temporary(dir.path());
        assert!(other.path().join("kept").exists());
    }
}
