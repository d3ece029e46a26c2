//! Includes the definitions that `scripts/setup schemas` packed.

use std::{env, fs, path::Path};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let pack = Path::new(&here).join("../../.tools/definitions.pack");
    println!("cargo::rerun-if-changed={}", pack.display());
    // What is packed follows from these: another pack may be older than this build, and cargo looks at times alone.
    println!("cargo::rerun-if-changed={}", Path::new(&here).join("../../scripts/definitions").display());
    let Ok(pack) = fs::canonicalize(&pack) else {
        println!("cargo::error=the definitions of kinds are missing: run `scripts/setup schemas`");
        return;
    };
    // The link is the same when the version changes: its target is not.
    println!("cargo::rerun-if-changed={}", pack.display());
    println!("cargo::rustc-env=PORTOLAN_DEFINITIONS={}", pack.display());
}
