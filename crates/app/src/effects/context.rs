//! What effects share: rows to read and facts to put, the store, and the files of the state.

mod damaged;
mod keep;
mod submit;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::{World, capability::Capability, gitops::ledger::Parts};
use portolan_effects::{
    state_dir::StateDir,
    store::{Cache, Store, Write},
};
use portolan_engine::Engine;
use portolan_model::ObjectKey;

use super::ca::Ca;
pub use submit::{Submitted, taken, unwritten};

/// Where Portolan runs, as far as effects know it: which store is behind them, how it is written, and whether others do the same.
///
/// Effects that need no more than every platform has are `impl<P: Platform> Effect<P> for …`; those of one are `impl Effect for …` (of a
/// [`Machine`]).
pub trait Platform: Sized + 'static {
    /// What is known of the store without waiting.
    type Store: Cache;
    /// What only this platform has.
    type Own;
    /// Whether other processes carry on what this one leaves: nothing is cleaned up at its end that they go on with.
    const SHARED: bool;

    /// Hands in writes whose outcome is waited for.
    fn submit(cx: &mut Context<Self>, writes: Vec<Write>) -> Submitted;

    /// Writes what Portolan makes itself; what could not be written is a finding on the object, and is tried again. `false` if the
    /// store has refused it at once, and not only another manager.
    fn write_own(cx: &mut Context<Self>, writes: Vec<Write>) -> bool;

    /// What was asked of an object by [`write_own`](Self::write_own) and is not done yet is not wanted any more.
    fn withdraw(_cx: &mut Context<Self>, _key: &ObjectKey) {}

    /// Whether anything outside may be changed now for the sake of a capability.
    fn acts(_cx: &Context<Self>, _capability: Capability) -> bool {
        true
    }

    /// Whether the store has lost an object to damage.
    fn is_damaged(_cx: &Context<Self>, _key: &ObjectKey) -> bool {
        false
    }
}

/// One machine: the embedded store, and the development CA that stands in for every ACME server.
pub enum Machine {}

impl Platform for Machine {
    type Store = Store;
    type Own = ();

    const SHARED: bool = false;

    fn submit(cx: &mut Context<Self>, writes: Vec<Write>) -> Submitted {
        Submitted::Done(cx.write(writes))
    }

    fn write_own(cx: &mut Context<Self>, writes: Vec<Write>) -> bool {
        cx.write_own_now(writes)
    }

    fn is_damaged(cx: &Context<Self>, key: &ObjectKey) -> bool {
        cx.store.damaged().contains(key)
    }
}

/// It is handed to one effect at a time.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
pub struct Context<P: Platform = Machine> {
    /// A fact that is put is read back after the next step.
    pub engine: Engine<World>,
    pub store: P::Store,
    pub state: StateDir,
    /// Who signs beside our own keys.
    pub ca: Ca,
    /// See [`Platform::Own`].
    pub own: P::Own,
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
    pub fn new(engine: Engine<World>, store: P::Store, state: StateDir, ca: Ca, own: P::Own) -> Self {
        Self {
            engine,
            store,
            state,
            ca,
            own,
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
