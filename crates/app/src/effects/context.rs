//! What effects share: rows to read and facts to put, the store, and the files of the state.

mod damaged;
mod keep;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::{World, gitops::ledger::Parts};
use portolan_effects::{
    state_dir::StateDir,
    store::{Cache, Store},
};
use portolan_engine::Engine;
use portolan_model::ObjectKey;

use super::ca::Ca;

/// Where Portolan runs, as far as effects know it: which store is behind them, and what signs.
///
/// Effects that write objects, or sign, are those of one platform (`impl Effect for …`: of a [`Machine`]); effects that need no more than
/// every platform has are `impl<P: Platform> Effect<P> for …`.
pub trait Platform: 'static {
    /// What is known of the store without waiting.
    type Store: Cache;
    /// The development CA, where there is one.
    type Authority;
}

/// One machine: the embedded store, and the development CA that stands in for every ACME server.
pub enum Machine {}

impl Platform for Machine {
    type Store = Store;
    type Authority = Ca;
}

/// It is handed to one effect at a time.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
pub struct Context<P: Platform = Machine> {
    /// A fact that is put is read back after the next step.
    pub engine: Engine<World>,
    pub store: P::Store,
    pub state: StateDir,
    /// See [`Platform::Authority`].
    pub ca: P::Authority,
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
    /// What becomes of the fields and annotations of what the repository brought.
    pub parts: Parts,
    /// The store has taken no write since it refused one.
    broken: bool,
    /// Files of the state directory that could not be written yet.
    unkept: BTreeMap<&'static str, Vec<u8>>,
}

impl<P: Platform> Context<P> {
    /// Nothing has happened yet.
    pub fn new(engine: Engine<World>, store: P::Store, state: StateDir, ca: P::Authority) -> Self {
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
            parts: Parts::default(),
            broken: false,
            unkept: BTreeMap::new(),
        }
    }
}
