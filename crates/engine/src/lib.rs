//! Typed tables, two rule shapes, recorded reads. Knows no domain.

mod row;

pub use row::{Index, Key, Row};
