//! Vocabulary of Portolan: names, keys, the narrow input rows that decisions are made on, problems and secrets.
//! No I/O: no sockets, no files, no clock.
//!
//! ```text
//!  YAML / JSON object --yaml--> Object --intake--> input rows + problems
//! ```

pub mod certificate;
pub mod condition;
pub mod dns;
pub mod input;
pub mod instant;
pub mod intake;
pub mod json;
pub mod key;
pub mod lines;
pub mod name;
mod nearest;
pub mod object;
pub mod problem;
pub mod re2;
pub mod redacted;
pub mod schedule;
pub mod shown;
pub mod veil;
pub mod yaml;

pub use condition::Condition;
pub use input::LabelSelector;
pub use instant::Instant;
pub use json::{Json, Packed};
pub use key::{GatewayKey, IssuerKey, Kind, NamespacedName, ObjectKey, RouteKey, RouteKind};
pub use lines::Lines;
pub use name::Name;
pub use nearest::nearest;
pub use object::{Object, Origin, Place, Placed, Source, Stamp};
pub use problem::{Code, Problem, Severity};
pub use redacted::Redacted;
