//! Which line a field stands on, for every field of a document.

use std::sync::Arc;

use crate::Name;

/// Field path (`spec.rules[0].matches`) to line, from 1. Thousands of documents have the same paths: they are interned,
/// and an entry takes 24 bytes. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lines(Arc<[(Name, u32)]>);

impl Lines {
    /// The line of just this path.
    pub fn get(&self, path: &str) -> Option<u32> {
        let at = self.0.binary_search_by(|(other, _)| other.as_str().cmp(path)).ok()?;
        Some(self.0[at].1)
    }

    /// Paths in order, with their lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(path, line)| (path.as_str(), *line))
    }

    /// The same, counted from `first`, which has 0: equal for documents of one layout, wherever they stand.
    #[must_use]
    pub fn counted_from(&self, first: u32) -> Self {
        Self(self.0.iter().map(|(path, line)| (path.clone(), line.saturating_sub(first))).collect())
    }

    /// Whether both are the very same map, not only equal.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether another copy of it is held somewhere.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether no line is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of a path that comes twice, the last line counts.
impl<P: AsRef<str>> FromIterator<(P, u32)> for Lines {
    fn from_iter<T: IntoIterator<Item = (P, u32)>>(lines: T) -> Self {
        let mut all: Vec<(Name, u32)> =
            lines.into_iter().map(|(path, line)| (Name::new(path.as_ref()), line)).collect();
        all.reverse();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|(b, _), (a, _)| a == b);
        Self(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_last_line() {
        let lines: Lines = [("spec", 3), ("a", 1), ("spec.x[0]", 5), ("spec", 4)].into_iter().collect();
        assert_eq!(
            ["a", "spec", "spec.x[0]", "spec.x"].map(|path| lines.get(path)),
            [Some(1), Some(4), Some(5), None]
        );
        assert!(!lines.is_empty() && Lines::default().is_empty());
    }
}
