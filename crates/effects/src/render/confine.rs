//! Helm is run closed in: it sees the temporary copy of the chart and the system's libraries, and opens no connection.
//! A chart is input of others; its schema may name URLs and files, and what Helm asks would be asked from here.
//!
//! Landlock holds it where the kernel has it (Linux 5.13 for files, 6.7 for connections); what a schema refers to is
//! looked at before, on every kernel (`schema`).

use std::{
    io,
    path::Path,
    process::{Child, Command},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope,
};

/// What a program is loaded from; nothing of a user stands there.
const SYSTEM: [&str; 8] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/alternatives",
];

/// Starts the command so that it can read `work`, itself and the system's libraries, write into `work`, and reach nobody.
///
/// # Errors
/// When it cannot be started, or the kernel has Landlock and does not take the rules.
pub(super) fn spawn(command: &mut Command, program: &Path, work: &Path) -> io::Result<Child> {
    // The rules hold for the thread that takes them and what it starts: a thread of its own, which ends with this call.
    let started = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                restrict(program, work).map_err(|why| {
                    io::Error::other(format!("it cannot be closed in, so it is not run: {why}"))
                })?;
                command.spawn()
            })
            .join()
    });
    started.unwrap_or_else(|_| Err(io::Error::other("the thread that starts it has failed")))
}

fn restrict(program: &Path, work: &Path) -> Result<(), landlock::RulesetError> {
    let abi = ABI::V6;
    let (all, read) = (AccessFs::from_all(abi), AccessFs::from_read(abi));
    let mut rules = Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    let file = AccessFs::from_file(abi);
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let mut allowed = vec![(work.to_owned(), all), (real, read & file)];
    allowed.push(("/dev/null".into(), (AccessFs::ReadFile | AccessFs::WriteFile) & file));
    allowed.extend(SYSTEM.iter().map(|path| ((*path).into(), read)));
    for (path, access) in allowed {
        // What is not there need not be allowed.
        let Ok(open) = PathFd::new(&path) else { continue };
        let access = if path.is_dir() { access } else { access & file };
        rules = rules.add_rule(PathBeneath::new(open, access))?;
    }
    rules.restrict_self()?;
    Ok(())
}
