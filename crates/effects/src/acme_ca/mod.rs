//! The embedded development CA: a small real ACME server (RFC 8555) for `portolan up`.
//!
//! ```text
//!  TLS --HTTP--> routes --jws (signature, nonce, url)--> resources --> book (accounts, orders) --> validate (DNS-01), authority (sign)
//! ```
//!
//! It issues for any name whose DNS-01 challenge it sees at the resolvers it was given; it asks those addresses and
//! follows nothing else, and it opens no other socket. Its accounts and orders live in memory, in bounded numbers:
//! after a restart clients register and order again, as RFC 8555 lets them be told (`accountDoesNotExist`, 404). What lasts
//! is [`DevCa`]: root, intermediate and the intermediate's key. The root's key is thrown away when it has signed.
//!
//! Like public CAs it takes RSA keys of 2048 to 8192 bits and ECDSA on P-256 and P-384, in accounts and certificates. Absent: HTTP-01,
//! TLS-ALPN-01, revocation, key change, external accounts.

mod authority;
mod book;
mod finalize;
mod jws;
mod nonces;
mod orders;
mod problem;
mod resources;
mod routes;
mod serve;
#[cfg(test)]
mod tests;
mod validate;

pub use authority::{DevCa, DevCaError};
#[cfg(any(fuzzing, test))]
pub(crate) use serve::unserved;
pub use serve::{Clock, Handle, NewOrders, ServeError, Settings, serve};
