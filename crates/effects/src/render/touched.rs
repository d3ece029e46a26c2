//! What changed in a work tree since it was read last.

use std::{collections::BTreeSet, path::PathBuf};

/// More paths than this are no small change any more: everything is looked at.
const MOST: usize = 10_000;

/// Where something may be different now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Anywhere: at the start, or when changes were missed.
    All,
    /// At these paths, which are absolute, and below them. No paths: nothing is known to be different.
    Paths(BTreeSet<PathBuf>),
}

impl Default for Touched {
    fn default() -> Self {
        Self::Paths(BTreeSet::new())
    }
}

impl Touched {
    /// Both.
    pub fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::Paths(mine), Self::Paths(more)) => {
                mine.extend(more);
                if mine.len() > MOST {
                    *self = Self::All;
                }
            }
        }
    }

    /// Whether nothing is known to be different.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Paths(paths) if paths.is_empty())
    }
}
