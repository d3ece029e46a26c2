//! Maps of lines, one for all documents of the same layout: a repository holds hundreds of routes that differ in a name.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Field path to line, counted from the first line of its document.
type Lines = BTreeMap<String, u32>;

/// The maps that are in use.
#[derive(Debug, Default)]
pub(super) struct LineMaps {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    maps: HashSet<Arc<Lines>>,
    sweep_at: usize,
}

impl LineMaps {
    /// The one map that is equal to this one.
    pub(super) fn share(&self, lines: Lines) -> Arc<Lines> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = shared.maps.get(&lines) {
            return Arc::clone(found);
        }
        if shared.maps.len() >= shared.sweep_at {
            shared.maps.retain(|map| Arc::strong_count(map) > 1);
            shared.sweep_at = (shared.maps.len() * 2).max(256);
        }
        let made = Arc::new(lines);
        shared.maps.insert(Arc::clone(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_maps_are_one_and_unused_ones_are_swept() {
        let maps = LineMaps::default();
        let one = |n: u32| Lines::from([("metadata".to_owned(), n)]);
        let kept = maps.share(one(0));
        assert!(Arc::ptr_eq(&kept, &maps.share(one(0))));
        for n in 1..1000 {
            maps.share(one(n));
        }
        assert!(maps.shared.lock().is_ok_and(|shared| shared.maps.len() <= 256));
        assert!(Arc::ptr_eq(&kept, &maps.share(one(0))));
    }
}
