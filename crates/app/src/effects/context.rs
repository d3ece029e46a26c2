//! What effects share: rows to read and facts to put, the store, and the files of the state.

mod damaged;
mod keep;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::World;
use portolan_effects::{state_dir::StateDir, store::Store};
use portolan_engine::Engine;
use portolan_model::ObjectKey;

use super::ca::Ca;

/// It is handed to one effect at a time.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
pub struct Context {
    /// A fact that is put is read back after the next step.
    pub engine: Engine<World>,
    pub store: Store,
    pub state: StateDir,
    /// The development CA that stands in for every ACME server.
    pub ca: Ca,
    /// Facts were put: another step is due.
    pub facts: bool,
    /// The store, or the disk, refused a write: all is written again in a while.
    pub unwritten: bool,
    /// And this is that while: effects do all that is wanted, and not only what has changed.
    pub again: bool,
    /// The store has taken a write after it had refused some.
    pub recovered: bool,
    /// The work tree is to be read again.
    pub reread: bool,
    /// The repository was read whole since the start.
    pub is_read: bool,
    /// Until when an Envoy that serves since an earlier run is told nothing if something that is damaged comes back.
    pub patience: Option<tokio::time::Instant>,
    /// Objects that the store changed or removed since the start.
    pub written: u64,
    /// Objects with a problem of what Portolan writes itself; until the next reading.
    pub own_problems: BTreeSet<ObjectKey>,
    /// The store has taken no write since it refused one.
    broken: bool,
    /// Files of the state directory that could not be written yet.
    unkept: BTreeMap<&'static str, Vec<u8>>,
}

impl Context {
    /// Nothing has happened yet.
    pub fn new(engine: Engine<World>, store: Store, state: StateDir, ca: Ca) -> Self {
        Self {
            engine,
            store,
            state,
            ca,
            facts: false,
            unwritten: false,
            again: false,
            recovered: false,
            reread: false,
            is_read: false,
            patience: None,
            written: 0,
            own_problems: BTreeSet::new(),
            broken: false,
            unkept: BTreeMap::new(),
        }
    }
}
