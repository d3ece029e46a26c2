//! The narrow rows that intake makes from objects: only the fields that are decided on, so that equality means
//! "nothing to do". Defaults of the kinds are applied here; nothing further in knows whether a field was written.
//!
//! Each row is a fact table of the engine; its key is the object's key.

mod backend_tls;
mod certificates;
mod filter;
mod gateway;
mod policy;
mod secrets;
mod selector;

pub use backend_tls::*;
pub use certificates::*;
pub use filter::*;
pub use gateway::*;
pub use policy::*;
pub use secrets::*;
pub use selector::*;

/// Implements [`portolan_engine::Row`] for a row with a `key` field (or another named field).
#[macro_export]
macro_rules! row {
    ($row:ty, $key:ty, $name:literal) => {
        $crate::row!($row, $key, $name, key);
    };
    ($row:ty, $key:ty, $name:literal, $field:ident) => {
        impl portolan_engine::Row for $row {
            type Key = $key;
            const NAME: &'static str = $name;
            fn key(&self) -> &$key {
                &self.$field
            }
        }
    };
}
