//! Regular expressions: RE2's syntax, in bounded size, compiled once a thread.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use regex::{Regex, RegexBuilder};

/// Largest compiled form in bytes.
const SIZE: usize = 1 << 20;
/// Patterns kept; at one more all are dropped.
const KEPT: usize = 256;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Rc<Regex>>> = RefCell::default();
}

/// The pattern, compiled, and whether that was work.
///
/// # Errors
/// Why it is none, one sentence.
pub fn compile(pattern: &str) -> Result<(Rc<Regex>, bool), String> {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(regex) = compiled.get(pattern) {
            return Ok((Rc::clone(regex), false));
        }
        let made = RegexBuilder::new(pattern).size_limit(SIZE).nest_limit(64).build().map_err(|error| {
            let text = error.to_string();
            let why = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it cannot be read");
            format!("'{pattern}' is no regular expression: {}", why.trim_start_matches("error: "))
        })?;
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        let regex = Rc::new(made);
        compiled.insert(pattern.to_owned(), Rc::clone(&regex));
        Ok((regex, true))
    })
}
