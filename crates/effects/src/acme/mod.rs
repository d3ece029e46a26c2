//! The ACME client: carries out what the state machine of [`portolan_core::certificates::acme`] says.
//!
//! ```text
//!  OrderState --step--> Send --Client (JWS over TLS), Challenges (TXT values)--> Event --step--> OrderState --> Outcome
//! ```
//!
//! [`drive()`] takes one order as far as it goes. It decides nothing: what to send, when to try again and when to give up
//! is the machine's. It spawns nothing either, so dropping its future stops the order where it is; the [`OrderState`]
//! that was last shown to the progress callback takes it up again. [`drive_until`] ends an order for good.
//!
//! ```no_run
//! # use std::{net::SocketAddr, sync::Arc};
//! # use portolan_core::certificates::acme::{Limits, OrderState, Wanted};
//! # use portolan_effects::{acme::{AccountKey, Bounds, Client, Outcome, ProviderChallenges, Reach, Run, drive}, dns::DnsProvider};
//! # use portolan_model::{Redacted, certificate::KeyKind};
//! # async fn order(provider: Arc<dyn DnsProvider>, ca: SocketAddr, root_pem: &str, csr: Vec<u8>, stored: Option<OrderState>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let key = AccountKey::generate(KeyKind::Rsa2048)?;
//! let client = Arc::new(Client::new(key, root_pem, Reach::Only(ca))?);
//! let state = stored.unwrap_or_else(|| {
//!     let wanted = Wanted {
//!         directory: format!("https://{ca}/directory"),
//!         contact: vec![],
//!         names: vec!["example.com".to_owned(), "*.example.com".to_owned()],
//!         thumbprint: client.thumbprint(),
//!     };
//!     OrderState::new(wanted, Limits::default())
//! });
//! let challenges = Arc::new(ProviderChallenges::new(provider));
//! let run = Run { client, csr, challenges, bounds: Bounds::default() };
//! let (state, outcome) = drive(state, run, |state: &OrderState| println!("{}", state.status())).await;
//! match outcome {
//!     Outcome::Issued { chain_pem } => println!("{chain_pem}"),
//!     Outcome::Failed(failure) => println!("{} (again at {})", failure.detail, failure.retry_at),
//!     Outcome::Waiting { until } => println!("drive {} again at {until}", state.wanted.directory),
//!     Outcome::Taken => println!("somebody else carries it on"),
//! }
//! # Ok(()) }
//! ```

mod challenges;
mod client;
mod connect;
mod drive;
mod fit;
mod jwk;
mod kept;
mod key;
mod noted;
mod placed;
mod register;
mod stored;
#[cfg(test)]
mod tests;
mod work;

pub use challenges::{Challenges, ProviderChallenges};
pub use client::{Client, ClientError, Reach};
pub use drive::{Bounds, Outcome, Run, drive, drive_until};
pub use jwk::{Algorithm, Jwk};
pub use kept::{KeptOrder, KeptOrders, Progress};
pub use key::AccountKey;
pub use noted::NotedChallenges;
pub use placed::PlacedChallenges;
pub use register::register;
pub use stored::{Stored, StoredOrders};
