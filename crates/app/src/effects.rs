//! Effects make the outside match wanted rows, and report what they saw as facts. They decide nothing.
//!
//! Each stands by itself in a module of its own. One that only writes to the store is a file. One that waits for something is a
//! folder with the same files: `mod.rs` (what it keeps, and which rows it follows), `run.rs` (the outside: no engine, no store) and
//! `facts.rs` (what an answer becomes). What all of the latter have in common is [`portolan_effects::converge`].
//!
//! A way to run Portolan is a list of effects: [`for_up`] is that of `portolan up`.

pub mod accounts;
pub mod addresses;
pub mod ca;
pub mod context;
mod inbox;
pub mod infrastructure;
pub mod issuance;
pub mod objects;
pub mod orders;
pub mod probes;
pub mod records;
pub mod roots;
pub mod secrets;
pub mod shims;
pub mod signing;
pub mod statuses;
pub mod templates;
pub mod temporaries;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use portolan_core::World;
use portolan_effects::sealed::{SealingKeys, Templates as GoTemplates};
use portolan_engine::{Change, Changes, Has, Row};
use portolan_model::Instant;
use tokio::task::JoinSet;

pub use context::{Context, Machine, Platform};
pub use inbox::Wake;

use crate::{addresses::Addresses, driver::InKubernetes, rights::Right};

/// Manager of what comes from the repository, and of what Portolan makes.
pub const GIT: &str = "git";
pub const OURS: &str = "portolan";

/// What makes one part of the outside match its wanted rows.
///
/// The driver calls the effects in the order of their list, each to its end: [`follow`](Self::follow) after every step, and
/// [`take`](Self::take) and [`begin`](Self::begin) whenever something happened. None of them waits: what takes time runs beside, and
/// its answer comes through an inbox, which wakes the driver.
pub trait Effect<P: Platform = Machine> {
    /// What it does at an API server.
    fn rights(&self) -> Vec<Right> {
        Vec::new()
    }

    /// Before the first step: facts that it knows of itself.
    fn start(&mut self, _cx: &mut Context<P>) {}

    /// Takes what a step wants otherwise; where [`Context::again`] is set, all that is wanted, since the store refused some of it.
    fn follow(&mut self, step: &Changes, cx: &mut Context<P>);

    /// Takes the answers that have come.
    fn take(&mut self, _cx: &mut Context<P>) {}

    /// Begins what is due.
    fn begin(&mut self, _cx: &mut Context<P>) {}

    /// When something is due that nothing else would wake the driver for.
    fn due(&self) -> Option<tokio::time::Instant> {
        None
    }

    /// The store takes writes again after it had refused some.
    fn recovered(&mut self, _cx: &mut Context<P>) {}

    /// Whether something is under way, or is tried again.
    fn is_busy(&self) -> bool {
        false
    }

    /// The driver ends: gives up what is under way. What has to be cleaned up before the end is handed out, to be waited for.
    fn finish(&mut self) -> Option<JoinSet<()>> {
        None
    }
}

/// Effects, in the order in which they follow a step.
pub type Effects<P = Machine> = Vec<Box<dyn Effect<P>>>;

/// The effects of `portolan up`, beside DNS and Envoy, which the driver keeps itself.
pub fn for_up(addresses: Addresses, keys: SealingKeys, executing: GoTemplates, wake: &Wake) -> Effects {
    vec![
        Box::new(addresses::GatewayAddresses::new(addresses)),
        Box::new(roots::Roots),
        Box::new(templates::Templates),
        Box::new(shims::Shims::default()),
        Box::new(secrets::Secrets::new(keys, executing, wake)),
        Box::new(accounts::Accounts::new(wake)),
        Box::new(signing::Signing::new(wake)),
        Box::new(orders::Orders::new(wake)),
        Box::new(temporaries::Temporaries::new(wake)),
        Box::new(records::Records::default()),
        Box::new(probes::Probes::new(wake)),
        Box::new(statuses::Statuses),
    ]
}

/// The effects of `portolan run`.
pub fn for_run(wake: &Wake) -> Effects<InKubernetes> {
    vec![
        Box::new(infrastructure::Infrastructure::new(wake)),
        Box::new(templates::Templates),
        Box::new(shims::Shims::default()),
        Box::new(accounts::Accounts::new(wake)),
        Box::new(signing::Signing::new(wake)),
        Box::new(orders::Orders::new(wake)),
        Box::new(temporaries::Temporaries::new(wake)),
        Box::new(records::Records::default()),
        // What those before it have asked for.
        Box::new(objects::Objects::new(wake)),
        Box::new(statuses::Statuses),
    ]
}

/// What they do at the API server.
pub fn rights_of_run() -> Vec<Right> {
    let idle: Wake = Arc::new(|| {});
    for_run(&idle).iter().flat_map(|effect| effect.rights()).collect()
}

/// The wall clock, as rules and objects have it.
pub fn now() -> Instant {
    Instant(jiff::Timestamp::now().as_millisecond())
}

/// A seed for the jitter of retries: that of two instances differs.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Rows that a step made or changed; where all is done again, every row that is wanted.
fn wanted<R: Row, P: Platform>(step: &Changes, cx: &Context<P>) -> Vec<Arc<R>>
where
    World: Has<R>,
{
    if cx.again {
        return cx.engine.rows::<R>().cloned().collect();
    }
    step.of::<R>().iter().filter_map(|change: &Change<R>| change.after.clone()).collect()
}
