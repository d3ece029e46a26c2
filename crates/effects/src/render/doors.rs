//! What the door said of Applications and other objects that are followed, so that a reading judges those alone that changed.

use std::collections::BTreeMap;

use portolan_model::{Json, Name, Object, ObjectKey};

/// Verdicts by object, while no kind gets another definition.
#[derive(Debug, Default)]
pub(super) struct Doors {
    /// As counted by who keeps the definitions.
    definitions: u64,
    known: BTreeMap<(ObjectKey, Name), (Json, bool)>,
    /// Those that were asked for since the last [`Self::settle`].
    asked: BTreeMap<(ObjectKey, Name), (Json, bool)>,
    judged: usize,
}

impl Doors {
    /// Begins a reading; with other definitions nothing is known.
    pub(super) fn begin(&mut self, definitions: u64) {
        if self.definitions != definitions {
            (self.definitions, self.known, self.asked) = (definitions, BTreeMap::new(), BTreeMap::new());
        }
    }

    /// Whether an object gets through, which `judge` says of one that is new or another.
    pub(super) fn ask(&mut self, object: &Object, namespace: &Name, judge: impl FnOnce() -> bool) -> bool {
        let key = (object.key.clone(), namespace.clone());
        let known = self.asked.get(&key).or_else(|| self.known.get(&key));
        let known = known.filter(|(json, _)| *json == object.json).map(|(_, enters)| *enters);
        let enters = known.unwrap_or_else(|| {
            self.judged += 1;
            judge()
        });
        let mut json = object.json.clone();
        json.pack();
        self.asked.insert(key, (json, enters));
        enters
    }

    /// Ends a reading: what was not asked for is forgotten. Gives how many were judged.
    pub(super) fn settle(&mut self) -> usize {
        self.known = std::mem::take(&mut self.asked);
        std::mem::take(&mut self.judged)
    }
}
