//! What was committed last, beside the file of the store.
//!
//! A database that was not closed in order is checked when it is opened, and where a page of the last commit is damaged it takes the
//! commit before, in silence. The number of the last commit stands in the file and here: one that is higher here is lost.
//! It is written after the commit and never flushed, so a machine that loses power has an older one, or none, and nothing is said.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::sealed;

/// Most names of rows that are noted: those of a first reading of many hosts come back with the next one.
const MOST: usize = 10_000;

/// A commit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Last {
    /// Its number, from 1.
    pub commits: u64,
    /// Rows that it wrote.
    pub wrote: Vec<String>,
}

/// Where it stands.
#[derive(Debug)]
pub(super) struct LastFile(PathBuf);

impl LastFile {
    /// That of a state directory.
    pub fn of(dir: &Path) -> Self {
        Self(dir.join("store.last"))
    }

    /// What it says; `None` if it is not there or was not written whole.
    pub fn read(&self) -> Option<Last> {
        serde_json::from_slice(sealed::open(&fs::read(&self.0).ok()?)?).ok()
    }

    /// Says it. Where it cannot, what stands there says less, and nothing is missed by it.
    pub fn write(&self, last: &Last) {
        let wrote = last.wrote.iter().take(MOST).cloned().collect();
        let json = serde_json::to_vec(&Last { wrote, ..*last });
        let write = |json: Vec<u8>| {
            // In place: a new file for every commit would be a change of the folder each time.
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.0)?;
            file.write_all(&sealed::seal(json))
        };
        if let Err(why) = json.map_err(Into::into).and_then(write) {
            tracing::debug!(%why, file = %self.0.display(), "the last commit is not noted");
        }
    }
}
