//! Suites that need something from the machine: where it is found, and what happens when it is not there.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// An outside program: `.tools/bin` of this checkout, else `PATH`.
pub fn program(name: &str) -> Option<PathBuf> {
    let tools = repository().join(".tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    std::iter::once(tools)
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// Says that `suite`, which every full run requires, cannot run here and why; `scripts/test` counts and names it at the
/// end. The caller then returns.
///
/// # Panics
/// With `CI=true`: there, a required suite that does not run is a failure.
pub fn skip(suite: &str, why: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "skipped with CI=true: {suite}: {why}");
    skip_optional(suite, why);
}

/// The same for a suite that needs what an ordinary user may not have (root, a network namespace): counted and named,
/// but never a failure.
pub fn skip_optional(suite: &str, why: &str) {
    let line = format!("{suite}: {why}");
    eprintln!("SKIPPED {line}");
    if let Some(list) = env::var_os("PORTOLAN_SKIPS") {
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(list)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            eprintln!("the list of skipped suites could not be written: {error}");
        }
    }
}

/// Whether golden files are to be rewritten instead of compared (`make golden-accept`).
pub fn accepting() -> bool {
    env::var_os("PORTOLAN_ACCEPT").is_some_and(|value| value == "1")
}

/// Cases of a property test: `usual`, or as many as `PROPTEST_CASES` asks for (`make fuzz`).
pub fn cases(usual: u32) -> u32 {
    env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
