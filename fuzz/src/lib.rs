//! What the fuzz targets share: a limit of memory, samples of every kind, and edits of trees.
//!
//! A target is a door that reads what a stranger wrote. It fails when the code behind the door panics, takes more memory or time
//! than anything may that one input asks for, or breaks a rule that the target states.

pub mod answers;
pub mod samples;
pub mod tree;

use std::alloc::System;

use cap::Cap;
pub use libfuzzer_sys::{arbitrary, fuzz_target};

/// Most bytes that one input may make the process hold. The door to YAML alone may hold 128 MiB of the names of fields.
const MOST: usize = 256 << 20;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Runs one input under the limit: an allocation above it ends the process, and libFuzzer keeps the input.
pub fn bounded(run: impl FnOnce()) {
    // The limit counts from what earlier inputs left behind (caches, interned names).
    let _ = MEMORY.set_limit(MEMORY.allocated() + MOST);
    run();
    let _ = MEMORY.set_limit(usize::MAX);
}

/// A target: what is done with the bytes of an input.
#[macro_export]
macro_rules! target {
    (|$bytes:ident| $run:expr) => {
        $crate::fuzz_target!(|$bytes: &[u8]| $crate::bounded(|| {
            $run;
        }));
    };
}

/// Parts of a text, cut at its zero bytes: how an input is several texts.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('\0')
}
