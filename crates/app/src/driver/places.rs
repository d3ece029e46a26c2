//! Where objects of charts stand in their templates, line by line. It takes another run of Helm, so it is asked for where a finding
//! is about one of them, and once.

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::world::Finding;
use portolan_effects::render::{Asked, Tree};
use portolan_model::{ObjectKey, Origin};

use super::{Driver, Event};
use crate::status;

impl Driver {
    /// Fields that findings are about, of objects of which only the file is known, by their Applications. Each object is asked
    /// for once.
    fn unplaced(&mut self) -> BTreeMap<ObjectKey, BTreeSet<Asked>> {
        let mut asked: BTreeMap<ObjectKey, BTreeSet<Asked>> = BTreeMap::new();
        let mut objects = BTreeSet::new();
        for row in self.cx.engine.rows::<Finding>() {
            let of = |key: &ObjectKey| self.cx.store.origin(key);
            let (key, field) = status::subject(&self.cx.engine, &row.problem, of);
            let alone =
                |origin: &&Origin| origin.is_of_file_alone() && !self.source.reading.placed.contains(&key);
            let Some(origin) = of(&key).filter(alone) else { continue };
            objects.insert(key.clone());
            for app in self.source.reading.applications.iter().filter(|app| app.brought(origin)) {
                asked.entry(app.key.clone()).or_default().insert((key.clone(), field.as_str().into()));
            }
        }
        self.source.reading.placed.extend(objects);
        asked
    }

    /// Whether the tree may be taken for it.
    fn is_quiet(&self) -> bool {
        self.source.reading.done && !self.source.reading.is_running()
    }

    /// Looks for them before something is told; waits for Helm.
    pub(super) fn place_now(&mut self) {
        if !self.is_quiet() {
            return;
        }
        let asked = self.unplaced();
        let Some(tree) = self.source.reading.tree.as_ref().filter(|_| !asked.is_empty()) else { return };
        let places = tree.places(&asked);
        self.note(places);
    }

    /// The same beside what else there is to do.
    pub(super) fn place_beside(&mut self) {
        if !self.is_quiet() {
            return;
        }
        let asked = self.unplaced();
        if asked.is_empty() {
            return;
        }
        let Some(tree) = self.source.reading.tree.take() else { return };
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let places = tree.places(&asked);
            let _ = events.send(Event::Placed(tree, places));
        });
    }

    /// They were found.
    pub(super) fn take_places(&mut self, tree: Box<Tree>, places: Vec<(ObjectKey, Origin)>) {
        self.source.reading.tree = Some(tree);
        self.note(places);
        if std::mem::take(&mut self.source.reading.again) {
            self.reload();
        }
    }

    fn note(&mut self, places: Vec<(ObjectKey, Origin)>) {
        for (key, origin) in places {
            let stored = self.cx.store.origin(&key);
            // Another source of the key is another object.
            if stored.is_some_and(|stored| {
                stored.source.as_ref().map(|s| &s.file) == origin.source.as_ref().map(|s| &s.file)
            }) {
                let owner = stored.and_then(|stored| stored.owner.clone());
                self.cx.store.place(&key, Some(Origin { owner, ..origin }));
            }
        }
    }
}
