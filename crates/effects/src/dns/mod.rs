//! DNS: providers that hold zones, and questions to their servers.
//!
//! ```text
//!  core::dns::plan --ChangeSet--> DnsProvider --(its own API)--> zone --(DNS)--> query::ask, DnsProvider::visible
//! ```
//!
//! Record automation, DNS-01 and audits use one trait, [`DnsProvider`]. [`embedded`] is the provider of `portolan up`: an
//! authoritative server in this process.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod embedded;
pub mod provider;
pub mod query;

pub use embedded::EmbeddedDns;
pub use provider::{Capabilities, DnsProvider, ProviderError};
