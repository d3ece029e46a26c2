//! The folder that the user names.

use std::path::{Path, PathBuf};

use anyhow::bail;
use portolan_model::{Code, ObjectKey, Problem, Severity};

/// The folder with its real path.
///
/// # Errors
/// A sentence when it is none, with what to do.
pub fn of(dir: &Path) -> anyhow::Result<PathBuf> {
    let shown = dir.display();
    match dir.canonicalize() {
        Ok(real) if real.is_dir() => {
            // What cannot be listed and entered is no empty folder.
            let looked = std::fs::read_dir(&real).and_then(|_| std::fs::metadata(real.join(".")));
            if let Err(why) = looked {
                bail!(
                    "folder {shown} cannot be read: {why}; give this user the right to list and to enter it"
                );
            }
            Ok(real)
        }
        Ok(real) => {
            let parent = real.parent().unwrap_or(&real).display();
            bail!("{shown} is a file; name the folder that it stands in: {parent}")
        }
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            bail!("there is no folder {shown}; name a Git checkout or a folder of YAML")
        }
        Err(why) => bail!("folder {shown} cannot be read: {why}"),
    }
}

/// Nothing was found in it: what was meant is most likely another one.
pub fn empty(dir: &Path) -> Problem {
    Problem {
        object: ObjectKey::new("", "Folder", "", "."),
        code: Code(613),
        field: "".into(),
        severity: Severity::Error,
        message: format!(
            "no object was found: there is no .yaml, .yml or .json file with one in {} (hidden folders and links are left out)",
            dir.display()
        ),
        hint: "name the folder that holds the objects, or where to start in it with --root".into(),
    }
}
