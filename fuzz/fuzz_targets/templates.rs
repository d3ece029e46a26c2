//! Texts that are filled in: variables of Flux, templates of ApplicationSets, patterns of files.
#![no_main]

use std::collections::BTreeMap;

use portolan_effects::fuzzing;
use portolan_fuzz::{parts, target};

/// What a text of this length may become at most: nobody means more, and a few bytes must not fill the memory.
const MOST: usize = 32 << 20;

target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let all: Vec<&str> = parts(text).collect();
    let [first, rest @ ..] = &all[..] else { return };
    let mut variables: BTreeMap<String, String> = rest
        .iter()
        .zip(["a", "b", "c"])
        .map(|(value, name)| (name.to_owned(), (*value).to_owned()))
        .collect();
    variables.insert("domain".into(), "dev.Example.com".into());
    if let Ok(filled) = fuzzing::substitute(first, &variables) {
        assert!(filled.len() <= MOST, "{} bytes", filled.len());
        // Without a variable nothing changes but `$$`.
        assert!(first.contains('$') || filled == **first);
    }
    for strict in [false, true] {
        match fuzzing::set_template(first, strict) {
            Ok(made) => assert!(made.len() <= MOST, "{} bytes", made.len()),
            Err(why) => assert!(!why.is_empty()),
        }
    }
    let _ = fuzzing::glob(first, rest.first().unwrap_or(&"envs/dev/values.yaml"));
});
