//! The state directory: private, and used by one instance at a time.

mod identity;
pub mod sockets;

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

pub use identity::Identity;

/// A state directory that this process holds the lock of.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

/// Why a state directory cannot be used. Each message names the path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It is a file.
    #[error("{0} is a file, and the state is kept in a directory: name another with --state")]
    NoDirectory(PathBuf),
    /// It belongs to somebody else.
    #[error(
        "state directory {0} belongs to user {1}: name one of your own with --state, or call portolan as that user"
    )]
    NotOurs(PathBuf, u32),
    /// It holds something else.
    #[error("{0} holds other files and no state of Portolan: name an empty or a new directory with --state")]
    Occupied(PathBuf),
    /// Others may read it.
    #[error("state directory {0} is open to others (mode {1:o}); run: chmod 700 {0}")]
    TooOpen(PathBuf, u32),
    /// Another instance runs on it.
    #[error(
        "state directory {0} is in use by another `portolan up` (pid {1}); stop it with: portolan down --state {0}"
    )]
    InUse(PathBuf, String),
    /// It cannot be created or written.
    #[error("state directory {0} cannot be used: {1}; choose another with --state")]
    Unusable(PathBuf, std::io::Error),
}

/// File of the key of fingerprints.
const FINGERPRINTS: &str = "fingerprint.key";

impl StateDir {
    /// Opens or creates the directory (0700) and takes its lock.
    ///
    /// # Errors
    /// See [`StateDirError`].
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let unusable = |error| StateDirError::Unusable(path.to_owned(), error);
        if !path.exists() {
            fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(unusable)?;
        }
        let path = &path.canonicalize().map_err(unusable)?;
        let meta = fs::metadata(path).map_err(unusable)?;
        if !meta.is_dir() {
            return Err(StateDirError::NoDirectory(path.clone()));
        }
        if meta.uid() != rustix::process::getuid().as_raw() {
            return Err(StateDirError::NotOurs(path.clone(), meta.uid()));
        }
        let mode = meta.permissions().mode() & 0o777;
        // Nobody is told to change the mode of a folder that is for something else.
        let other = !path.join("lock").exists() && fs::read_dir(path).map_err(unusable)?.next().is_some();
        if mode & 0o077 != 0 && other {
            return Err(StateDirError::Occupied(path.clone()));
        }
        if mode & 0o077 != 0 {
            return Err(StateDirError::TooOpen(path.clone(), mode));
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = lock.read_to_string(&mut pid);
            return Err(StateDirError::InUse(path.clone(), pid.trim().to_owned()));
        }
        lock.set_len(0).map_err(unusable)?;
        lock.rewind().map_err(unusable)?;
        writeln!(lock, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { path: path.clone(), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key of the fingerprints that are shown of secret values: made once, so that they are the same over restarts.
    ///
    /// # Errors
    /// What the file system says, with the path and what to do.
    pub fn fingerprint_key(&self) -> std::io::Result<[u8; 32]> {
        let kept = fs::read(self.path.join(FINGERPRINTS)).ok().and_then(|bytes| bytes.try_into().ok());
        if let Some(key) = kept {
            return Ok(key);
        }
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| std::io::Error::other("the system has no randomness"))?;
        self.write(FINGERPRINTS, &key)?;
        Ok(key)
    }

    /// Writes a private file whole, or not at all.
    ///
    /// # Errors
    /// What the file system says, with the path and what to do.
    pub fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
        write(&self.path, name, bytes)
    }
}

/// Writes a private file of a state directory whole, or not at all: for those who hold a part of the directory and not
/// its lock.
///
/// # Errors
/// What the file system says, with the path and what to do.
pub fn write(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
    let (made, target) = (dir.join(format!(".{name}.new")), dir.join(name));
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&made)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&made, &target)
    };
    write().map_err(|why| {
        let text = format!(
            "{} cannot be written: {why}; make room, or choose another directory with --state",
            target.display()
        );
        std::io::Error::new(why.kind(), text)
    })?;
    Ok(target)
}
