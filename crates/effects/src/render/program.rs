//! Whether a program is what it is taken for: it is asked for its version before it renders anything, and where it prints nothing it
//! has to render what everybody renders. What stands in its place and ends with 0 (`true`, a script) would take away all that it brought.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use portolan_model::shown;

use super::helm::{Failure, tidy};
use crate::confined::run::{Ended, Limits, Run, copy};

/// The outside programs that render.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// `helm template`.
    Helm,
    /// `kustomize build`.
    Kustomize,
}

/// A file as it stands: another one in its place is asked anew.
type Stamp = (PathBuf, u64, u64, i64, i64);

/// Programs that have answered; those that have not are asked again.
static ANSWERED: Mutex<BTreeSet<(Program, bool, Stamp)>> = Mutex::new(BTreeSet::new());

/// Longest that a program may take to say its version, as for Envoy.
const PATIENCE: Duration = Duration::from_secs(20);

/// What everybody renders to one object.
const PROOF: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: portolan-proof}\n";

impl Program {
    /// What is needed, for a sentence.
    fn needed(self) -> &'static str {
        match self {
            Self::Helm => "Helm 3.18 or newer",
            Self::Kustomize => "Kustomize 5",
        }
    }

    /// Asks a program for its version, closed in by `through`; once, unless its file is another.
    ///
    /// # Errors
    /// The rest of a sentence that begins with its name: it is something else, too old, or cannot be run.
    pub fn ask(self, program: &Path, through: &Path) -> Result<(), String> {
        self.once(program, false, || {
            let args: &[&str] = match self {
                Self::Helm => &["version", "--template", "{{.Version}}"],
                Self::Kustomize => &["version"],
            };
            let ended = run(program, through, args, &[])?;
            let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
            if ended.success && self.is_new_enough(&said) {
                return Ok(());
            }
            let beside = tidy(&String::from_utf8_lossy(&ended.stderr));
            if !ended.success && is_script(program) {
                return Err(format!("{CANNOT_START} ({})", shown::brief(&beside)));
            }
            let said = if said.is_empty() { beside } else { said };
            let said =
                if said.is_empty() { "nothing".to_owned() } else { format!("`{}`", shown::brief(&said)) };
            Err(format!("says {said} when asked for its version; {} is needed", self.needed()))
        })
    }

    /// The same before it renders.
    pub(super) fn is_itself(self, program: &Path, through: &Path) -> Result<(), Failure> {
        self.ask(program, through).map_err(|why| Failure::Tool(format!("{} {why}", program.display())))
    }

    /// Has it render one object: asked where it printed nothing, which may be right.
    pub(super) fn prove(self, program: &Path, through: &Path) -> Result<(), Failure> {
        let proven = self.once(program, true, || {
            let (files, args): (&[(&str, &str)], &[&str]) = match self {
                Self::Helm => (
                    &[
                        ("Chart.yaml", "apiVersion: v2\nname: proof\nversion: 0.0.0\n"),
                        ("templates/a.yaml", PROOF),
                    ],
                    &["template", "proof"],
                ),
                Self::Kustomize => {
                    (&[("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", PROOF)], &["build"])
                }
            };
            let ended = run(program, through, args, files)?;
            if ended.success && String::from_utf8_lossy(&ended.stdout).contains("portolan-proof") {
                return Ok(());
            }
            Err(format!("prints nothing, not even of one ConfigMap; {} is needed", self.needed()))
        });
        proven.map_err(|why| Failure::Tool(format!("{} {why}", program.display())))
    }

    fn once(
        self,
        program: &Path,
        proof: bool,
        ask: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let key = stamp(program).map(|stamp| (self, proof, stamp));
        let known = || ANSWERED.lock().unwrap_or_else(PoisonError::into_inner);
        if key.as_ref().is_some_and(|key| known().contains(key)) {
            return Ok(());
        }
        ask()?;
        known().extend(key);
        Ok(())
    }

    /// By what `version` prints: `v3.18.4+gd80839c`; `v5.8.1`, or `(devel)` of one that somebody built.
    fn is_new_enough(self, said: &str) -> bool {
        let oldest = match self {
            Self::Helm => (3, 18),
            Self::Kustomize if said == "(devel)" => return true,
            Self::Kustomize => (5, 0),
        };
        let digits = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text[..end].parse::<u32>().ok()
        };
        let Some((major, rest)) = said.strip_prefix('v').and_then(|said| said.split_once('.')) else {
            return false;
        };
        let version = digits(major).filter(|_| major.bytes().all(|b| b.is_ascii_digit())).zip(digits(rest));
        version.is_some_and(|version| version >= oldest)
    }
}

/// Runs it closed in, with a folder of these files as its last argument, if there are any.
fn run(program: &Path, through: &Path, args: &[&str], files: &[(&str, &str)]) -> Result<Ended, String> {
    let work = copy(files.iter().map(|(path, text)| (Path::new(*path), text.as_bytes())))
        .map_err(|why| format!("cannot be asked: {why}"))?;
    let folder = (!files.is_empty()).then(|| work.path().display().to_string());
    let run = Run {
        through,
        program,
        starts: None,
        args: args.iter().copied().map(Into::into).chain(folder.map(Into::into)).collect(),
        read: vec![work.path().to_owned()],
        write: None,
        connect: Vec::new(),
        folders: &["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"],
        env: Vec::new(),
        limits: Limits { time: PATIENCE, ..Limits::default() },
    };
    run.ended().map_err(|stopped| format!("{} when asked for its version", stopped.why))
}

/// Why a script that calls the program is of no use.
pub(super) const CANNOT_START: &str = "is a script, and closed in as programs are run here it cannot start another; name the program that it calls";

fn stamp(program: &Path) -> Option<Stamp> {
    let real = fs::canonicalize(program).ok()?;
    let meta = fs::metadata(&real).ok()?;
    Some((real, meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// Whether a program is run by another that its first line names.
pub(super) fn is_script(program: &Path) -> bool {
    use std::io::Read as _;
    let mut first = [0; 2];
    fs::File::open(program).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_programs_print_them() {
        for said in ["v3.18.0", "v4.3", "v3.18.4+gd80839c", "v4.0+unreleased", "v10.0.0"] {
            assert!(Program::Helm.is_new_enough(said), "{said}");
        }
        for said in ["", "v3.17.3", "v2.16.0", "3.18.0", "v.18", "vx.18", "v5", "true (GNU coreutils) 9.1"] {
            assert!(!Program::Helm.is_new_enough(said), "{said}");
        }
        for (said, is) in [("v5.8.1", true), ("(devel)", true), ("v4.5.7", false), ("", false)] {
            assert_eq!(Program::Kustomize.is_new_enough(said), is, "{said}");
        }
    }
}
