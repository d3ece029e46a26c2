//! Sources that were not read, as facts: what is missing beside them is not known to be missing.

use std::collections::BTreeMap;

use portolan_core::{
    World,
    gitops::{rows::Unseen, unseen},
};
use portolan_effects::render::ApplicationInfo;
use portolan_engine::Engine;
use portolan_model::{Name, ObjectKey, Problem};

/// Puts those that there are now. Whether that is another answer than before.
pub fn put<'a>(
    engine: &mut Engine<World>,
    problems: impl IntoIterator<Item = &'a Problem>,
    applications: &[ApplicationInfo],
) -> bool {
    let namespaces: BTreeMap<&ObjectKey, &Name> =
        applications.iter().map(|app| (&app.key, &app.namespace)).collect();
    let mut now = unseen(problems, &namespaces);
    for app in applications.iter().filter(|app| app.held) {
        let row = Unseen { key: app.key.clone(), namespace: Name::default() };
        now.entry(app.key.clone()).or_insert(row);
    }
    let before: BTreeMap<ObjectKey, Unseen> =
        engine.rows::<Unseen>().map(|row| (row.key.clone(), (**row).clone())).collect();
    if now == before {
        return false;
    }
    for key in before.keys().filter(|key| !now.contains_key(key)) {
        engine.remove::<Unseen>(key);
    }
    for row in now.into_values() {
        engine.put(row);
    }
    true
}
