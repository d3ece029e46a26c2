//! Regular expressions of domain filters, in Go's syntax.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// Largest compiled form in bytes.
const SIZE: usize = 1 << 20;

/// An expression; it is its text.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression that means the same here and to Go.
    ///
    /// # Errors
    /// Why it is none, or that it may mean something else here.
    pub fn new(text: &str) -> Result<Self, String> {
        portolan_model::re2::check(text)?;
        // Sets within sets are an extension of ours, and characters of a set to Go.
        let mut set = false;
        let mut before = ' ';
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            match c {
                '\\' => match characters.next() {
                    Some('Q' | 'C') => return Err("\\Q and \\C are not supported".to_owned()),
                    _ => before = ' ',
                },
                '[' if set && !text.contains("[:") => {
                    return Err("a [ within a set is not supported".to_owned());
                }
                '[' => (set, before) = (true, c),
                // Right after its opening a bracket is one of the characters.
                ']' if set && before != '[' => (set, before) = (false, c),
                '&' | '~' | '-' if set && c == before => {
                    return Err(format!("{c}{c} within a set is not supported"));
                }
                _ => before = c,
            }
        }
        let made = RegexBuilder::new(text).size_limit(SIZE).nest_limit(64).build();
        made.map(Self).map_err(|error| {
            let text = error.to_string();
            let why = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it cannot be read");
            why.trim().trim_start_matches("error: ").to_owned()
        })
    }

    /// Whether it is found anywhere in the name.
    pub fn is_in(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
