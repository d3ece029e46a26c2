//! Charts that a repository names and does not hold: `portolan charts lock` fetches them by the real Helm into a folder by
//! content and writes what it found into `portolan.lock`; rendering reads from there, by the digests of the lock, and never
//! from the network.
//!
//! ```text
//!  render -> names (Reference) -> lock -> fetch (helm, through the gate) -> Store, portolan.lock
//!  portolan.lock -> digest -> Store -> unpacked -> rendered as a chart of the repository is
//! ```

pub mod fetch;
mod file;
pub(crate) mod gate;
pub mod lock;
mod range;
mod reference;
mod resolver;
mod store;
#[cfg(test)]
mod tests;

pub use file::{FILE, LockFile, Locked};
pub use reference::{Reference, Unusable};
pub use resolver::{Resolve, system};
pub use store::{Damaged, Digest, Store, Unpacked};
