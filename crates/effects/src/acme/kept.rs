//! How far an order is, told to whoever keeps it before anything is done about it.

use std::sync::Arc;

use async_trait::async_trait;
use portolan_core::certificates::acme::OrderState;
use portolan_model::NamespacedName;

/// Sees every state of an order before it is acted on.
#[async_trait]
pub trait Progress: Send {
    /// Takes it; `false` if the order is somebody else's by now, and nothing more is to be done about it.
    async fn show(&mut self, state: &OrderState) -> bool;
}

#[async_trait]
impl<F: FnMut(&OrderState) + Send> Progress for F {
    async fn show(&mut self, state: &OrderState) -> bool {
        self(state);
        true
    }
}

/// Where orders stand that outlive the process which began them: at a server with limits a second one would be counted, and the TXT
/// values of the first would stay. Everybody who may take an order up sees the same ones.
#[async_trait]
pub trait KeptOrders: Send + Sync {
    /// Takes the order of a Certificate in hand: what was kept of it, if it can be read, and where it is kept from here on. Another
    /// who has it in hand is told so when it keeps the next state.
    ///
    /// # Errors
    /// Why it cannot be looked at.
    async fn take(
        &self,
        certificate: &NamespacedName,
    ) -> Result<(Option<OrderState>, Arc<dyn KeptOrder>), String>;

    /// All that are kept, by the Certificate.
    ///
    /// # Errors
    /// Why they cannot be looked at.
    async fn all(&self) -> Result<Vec<(NamespacedName, OrderState)>, String>;
}

/// One order that is in hand.
#[async_trait]
pub trait KeptOrder: Send + Sync {
    /// Keeps how far it is; `false` if another has it in hand.
    async fn keep(&self, state: &OrderState) -> bool;

    /// It has ended.
    async fn forget(&self);
}
