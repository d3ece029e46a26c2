//! What two ways to run Portolan do not share.

use portolan_engine::Changes;
use portolan_model::Problem;
use prometheus_client::registry::Registry;
use serde_json::Value;

use super::{Driver, Event};
use crate::{api, effects::Platform, status::edits::Edit};

/// Where objects come from, and what goes with that. The driver calls it where the two differ; each function has the whole
/// driver, since what it keeps is a part of that.
pub trait Source: Sized {
    /// Where it runs.
    type On: Platform;

    /// Takes something that happened, which is not of every way to run.
    fn take(driver: &mut Driver<Self>, event: Event);

    /// A write was refused a while ago: all is read again.
    fn read_again(_driver: &mut Driver<Self>) {}

    /// Takes note of what a step changed, for [`tell`](Self::tell).
    fn note(_driver: &mut Driver<Self>, _step: &Changes) {}

    /// Follows a step, before the effects do.
    fn follow(_driver: &mut Driver<Self>, _step: &Changes) {}

    /// The effects have followed it.
    fn followed(_driver: &mut Driver<Self>) {}

    /// Whether Envoy is not to be told yet.
    fn holds(_driver: &mut Driver<Self>) -> bool {
        false
    }

    /// Nothing follows any more from what came.
    fn settled(_driver: &mut Driver<Self>) {}

    /// Says what is new.
    fn tell(_driver: &mut Driver<Self>) {}

    /// Whether what was found is recorded as an event on its object.
    fn is_event(_driver: &Driver<Self>, _problem: &Problem) -> bool {
        true
    }

    /// How it ends, where it ends by itself.
    fn outcome(_driver: &mut Driver<Self>) -> Option<anyhow::Result<u8>> {
        None
    }

    /// Until when it has to.
    fn deadline(_driver: &Driver<Self>) -> Option<tokio::time::Instant> {
        None
    }

    /// It has not.
    ///
    /// # Errors
    /// What kept the outcome from being shown.
    fn late(_driver: &mut Driver<Self>) -> anyhow::Result<u8> {
        Ok(0)
    }

    /// Nothing is known yet, so nothing is answered.
    fn is_starting(driver: &Driver<Self>) -> bool;

    /// The answer to `/v1/status`.
    fn status(driver: &mut Driver<Self>) -> Value;

    /// Edits that the store has not taken.
    fn edits(_driver: &Driver<Self>) -> Vec<Edit> {
        Vec::new()
    }

    /// Does what was asked for and changes something.
    ///
    /// # Errors
    /// A sentence that says why it cannot be done.
    fn change(driver: &mut Driver<Self>, what: api::What) -> Result<Value, String>;

    /// Its own numbers.
    fn metrics(_driver: &Driver<Self>, _registry: &mut Registry) {}
}
