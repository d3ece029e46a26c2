//! DNS: providers that hold zones, and questions to their servers.
//!
//! ```text
//!  core::dns::plan --ChangeSet--> DnsProvider --(its own API)--> zone --(DNS)--> query::ask, DnsProvider::visible
//! ```
//!
//! [`keeper`] is the loop around it: it plans each zone, writes, reports what stands and whether it is answered.
//!
//! Record automation, DNS-01 and audits use one trait, [`DnsProvider`]. [`embedded`] is the provider of `portolan up`: an
//! authoritative server in this process; [`DurableDns`] is the same with its zones on disk. [`Rfc2136`] changes zones of another
//! server by dynamic updates.

mod by_zone;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod durable;
pub mod embedded;
pub mod keeper;
pub mod provider;
pub mod query;
pub mod rfc2136;

pub use by_zone::ByZone;
pub use durable::DurableDns;
pub use embedded::EmbeddedDns;
pub use provider::{Capabilities, DnsProvider, ProviderError};
pub use rfc2136::Rfc2136;
