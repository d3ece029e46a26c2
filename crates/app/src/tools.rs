//! The outside programs, and where they are taken from. What stands in the repository that is looked at is never run:
//! a change that somebody proposes may bring it.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::bail;
use clap::builder::{OsStringValueParser, TypedValueParser};
use portolan_effects::render::Program;

/// Our own program, also when its file has been replaced since.
const OURSELVES: &str = "/proc/self/exe";

/// Where a program was looked for in vain, as the end of a sentence.
#[derive(Debug)]
pub struct Missing(String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path as it is written. An empty one is none, as of a variable that is set to nothing; those that take it say so by
/// [`written`].
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What the user named, if anything.
pub fn written(named: Option<&Path>) -> Option<&Path> {
    named.filter(|path| !path.as_os_str().is_empty())
}

/// How the user named it: by the variable, if that says the same.
fn by(name: &str, shown: &Path) -> String {
    let variable = format!("PORTOLAN_{}", name.to_uppercase());
    let is_it = std::env::var_os(&variable).is_some_and(|value| value == shown.as_os_str());
    let shown = shown.display();
    if is_it { format!("{variable}={shown}") } else { format!("--{name} {shown}") }
}

/// The program of this name: the one that the user named (flag or environment variable), else the one beside our own
/// program, else the first in `PATH`. `dir` is what the user wants looked at.
///
/// # Errors
/// Where it is not, and what was found and is not trusted.
pub fn find(name: &str, named: Option<&Path>, dir: &Path) -> Result<PathBuf, Missing> {
    let named = written(named);
    // A path is taken as it is; a word is a program in PATH.
    let name = match named {
        Some(path) if path.components().count() > 1 || path.is_absolute() => return Ok(path.to_owned()),
        Some(word) => word.to_str().unwrap_or(name),
        None => name,
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::current_exe().ok().and_then(|exe| exe.canonicalize().ok());
    let own = own.as_deref().and_then(Path::parent).filter(|_| named.is_none());
    let found = search(name, own, &std::env::split_paths(&path).collect::<Vec<_>>(), dir);
    // A word is looked for in PATH alone, as shells do it.
    let here = named.filter(|word| word.is_file()).map(Path::display);
    found.map_err(|Missing(why)| match here {
        Some(here) => Missing(format!("{why}; for the file of this folder write ./{here}")),
        None => Missing(why),
    })
}

/// As [`find`]; one that the user named has to be there and to be what it is named for, whether it is needed or not. One that was
/// found is asked when it is needed.
///
/// # Errors
/// A sentence: what was named is not there, is no program, or another.
pub fn chosen(
    program: Program,
    named: Option<&Path>,
    dir: &Path,
) -> anyhow::Result<Result<PathBuf, Missing>> {
    let name = match program {
        Program::Helm => "helm",
        Program::Kustomize => "kustomize",
    };
    let found = find(name, named, dir);
    let Some(named) = written(named) else { return Ok(found) };
    let named = by(name, named);
    match &found {
        Ok(path) if is_program(path) => match program.ask(path, Path::new(OURSELVES)) {
            Ok(()) => Ok(found),
            Err(why) => bail!("{named}: it {why}"),
        },
        Ok(path) if path.exists() => bail!("{named}: it is no program that can be run"),
        Ok(_) => bail!("{named}: there is no such program"),
        Err(missing) => bail!("{named}: {missing}"),
    }
}

fn search(name: &str, own: Option<&Path>, path: &[PathBuf], dir: &Path) -> Result<PathBuf, Missing> {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let repository = repository_of(&dir);
    let mut refused = Vec::new();
    if let Some(folder) = own {
        let program = folder.join(name);
        if is_program(&program) {
            match installed(folder, &program) {
                Ok(()) => return Ok(program),
                Err(why) => refused.push(format!("{} ({why})", program.display())),
            }
        }
    }
    for folder in path {
        let program = folder.join(name);
        if !is_program(&program) {
            continue;
        }
        let (Ok(real), Ok(place)) = (program.canonicalize(), folder.canonicalize()) else { continue };
        let why = if !folder.is_absolute() {
            "an entry of PATH that is no full path leads wherever it is called from"
        } else if place.starts_with(&dir) || real.starts_with(&dir) {
            "it stands in the folder that is looked at"
        } else if repository.as_ref().is_some_and(|repository| real.starts_with(repository)) {
            "it stands in the repository that is looked at"
        } else {
            return Ok(program);
        };
        refused.push(format!("{} ({why})", program.display()));
    }
    let mut text = format!("{name} is not in PATH");
    if !refused.is_empty() {
        text.push_str("; not trusted, so not run: ");
        text.push_str(&refused.join(", "));
    }
    Err(Missing(text))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The work tree that a folder belongs to.
fn repository_of(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// Whether somebody installed the program here: nobody else can put another one in its place, and no repository brought
/// it.
fn installed(folder: &Path, program: &Path) -> Result<(), &'static str> {
    if repository_of(folder).is_some() {
        return Err("it stands in a Git work tree");
    }
    if std::env::current_dir().is_ok_and(|here| folder.starts_with(here)) {
        return Err("it stands below the working directory");
    }
    let me = rustix::process::getuid().as_raw();
    for path in [folder, program] {
        let Ok(meta) = path.metadata() else { return Err("it cannot be looked at") };
        if meta.uid() != me && meta.uid() != 0 {
            return Err("it belongs to another user");
        }
        if meta.mode() & 0o022 != 0 {
            return Err("others may write it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    fn put(folder: &Path, mode: u32) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        let program = folder.join("helm");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        program
    }

    /// A repository with `dir` in it, a folder of programs in it and one outside.
    fn places() -> (tempfile::TempDir, PathBuf) {
        let all = tempfile::tempdir().unwrap();
        let dir = all.path().join("repo/clusters");
        fs::create_dir_all(all.path().join("repo/.git")).unwrap();
        fs::create_dir_all(&dir).unwrap();
        (all, dir)
    }

    #[test]
    fn what_the_repository_brings_is_not_run() {
        let (all, dir) = places();
        for inside in ["repo/clusters/.tools/bin", "repo/.tools/bin"] {
            let program = put(&all.path().join(inside), 0o755);
            let path = [program.parent().unwrap().to_owned()];
            let text = search("helm", None, &path, &dir).unwrap_err().to_string();
            assert!(text.contains(program.to_str().unwrap()) && text.contains("looked at"), "{text}");
            // A link into the repository from outside is the same file.
            let bin = all.path().join("bin");
            fs::create_dir_all(&bin).unwrap();
            std::os::unix::fs::symlink(&program, bin.join("helm")).unwrap();
            assert!(search("helm", None, std::slice::from_ref(&bin), &dir).is_err(), "{inside}");
            fs::remove_dir_all(bin).unwrap();
        }
        let outside = put(&all.path().join("usr/bin"), 0o755);
        let path = [all.path().join("repo/.tools/bin"), outside.parent().unwrap().to_owned()];
        assert_eq!(search("helm", None, &path, &dir).unwrap(), outside, "the next in PATH is taken");
        // A link out of the repository is what `scripts/setup` makes.
        let link = all.path().join("repo/links/helm");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        assert_eq!(search("helm", None, &[link.parent().unwrap().to_owned()], &dir).unwrap(), link);
    }

    #[test]
    fn entries_of_path_that_are_no_full_path_are_left_out() {
        let (_all, dir) = places();
        // Tests run in the folder of the crate, where there is a `src/tools.rs`, which is no program: nothing is found.
        let text = search("tools.rs", None, &["src".into(), String::new().into()], &dir).unwrap_err();
        assert_eq!(text.to_string(), "tools.rs is not in PATH");
        let here = std::env::current_dir().unwrap();
        let made = tempfile::Builder::new().prefix("relative-").tempdir_in(&here).unwrap();
        put(made.path(), 0o755);
        let relative = PathBuf::from(made.path().file_name().unwrap());
        let text = search("helm", None, &[relative], &dir).unwrap_err().to_string();
        assert!(text.contains("no full path"), "{text}");
    }

    #[test]
    fn beside_the_program_only_what_nobody_else_can_write() {
        let (all, dir) = places();
        let lib = all.path().join("opt/portolan");
        let program = put(&lib, 0o755);
        assert_eq!(search("helm", Some(&lib), &[], &dir).unwrap(), program);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o775)).unwrap();
        assert!(search("helm", Some(&lib), &[], &dir).unwrap_err().to_string().contains("others may write"));
        put(&lib, 0o755);
        fs::set_permissions(&lib, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(search("helm", Some(&lib), &[], &dir).is_err());
        let built = all.path().join("repo/target/release");
        put(&built, 0o755);
        let text = search("helm", Some(&built), &[], &dir).unwrap_err().to_string();
        assert!(text.contains("Git work tree"), "{text}");
    }

    #[test]
    fn what_the_user_names_is_taken() {
        let (all, dir) = places();
        let program = put(&all.path().join("repo"), 0o755);
        assert_eq!(find("helm", Some(&program), &dir).unwrap(), program);
        assert_eq!(find("helm", Some("./helm-4".as_ref()), &dir).unwrap(), PathBuf::from("./helm-4"));
        assert!(find("helm", Some("no-such-helm".as_ref()), &dir).unwrap_err().0.contains("no-such-helm"));
    }
}
