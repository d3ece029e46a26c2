//! Maps of lines, one for all documents of the same layout: a repository holds hundreds of routes that differ in a name.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use portolan_model::Lines;

/// The maps that are in use.
#[derive(Debug, Default)]
pub(super) struct LineMaps {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    maps: HashSet<Lines>,
    sweep_at: usize,
}

impl LineMaps {
    /// The one map that is equal to this one; lines are counted from the first line of their document.
    pub(super) fn share(&self, lines: Lines) -> Lines {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = shared.maps.get(&lines) {
            return found.clone();
        }
        if shared.maps.len() >= shared.sweep_at {
            shared.maps.retain(Lines::is_shared);
            shared.sweep_at = (shared.maps.len() * 2).max(256);
        }
        shared.maps.insert(lines.clone());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_maps_are_one_and_unused_ones_are_swept() {
        let maps = LineMaps::default();
        let one = |n: u32| Lines::from_iter([("metadata", n)]);
        let kept = maps.share(one(0));
        assert!(kept.is(&maps.share(one(0))));
        for n in 1..1000 {
            maps.share(one(n));
        }
        assert!(maps.shared.lock().is_ok_and(|shared| shared.maps.len() <= 256));
        assert!(kept.is(&maps.share(one(0))));
    }
}
