//! The outside programs.

use std::path::{Path, PathBuf};

/// Where Envoy is looked for.
pub fn envoy_program(named: Option<&Path>) -> PathBuf {
    named.map(Path::to_owned).or_else(|| tool("envoy")).unwrap_or_else(|| "envoy".into())
}

/// An outside program: `.tools/bin` beside this program or in the working directory, then `PATH`.
pub fn tool(name: &str) -> Option<PathBuf> {
    let near = std::env::current_exe()
        .ok()
        .into_iter()
        .flat_map(|exe| exe.ancestors().map(|dir| dir.join(".tools/bin").join(name)).collect::<Vec<_>>());
    let here = std::env::current_dir().ok().map(|dir| dir.join(".tools/bin").join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join(name)).collect();
    near.chain(here).chain(path).find(|path| path.is_file())
}
