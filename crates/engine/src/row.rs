//! What tables hold and how indexes see it.

use std::{fmt::Debug, hash::Hash};

/// What can be a key or an index value: ordered, because members of a bucket come in key order.
pub trait Key: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static {}
impl<T: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static> Key for T {}

/// A typed value in a table. Equality decides whether something changed, so it is derived, never written by hand.
pub trait Row: Eq + Debug + Send + Sync + 'static {
    /// What identifies the row in its table.
    type Key: Key;
    /// Name of the table, for explanations and work counts.
    const NAME: &'static str;
    /// The key.
    fn key(&self) -> Self::Key;
}

/// A named index: a row stands under each of its values.
pub trait Index: 'static {
    /// The table's row.
    type Row: Row;
    /// What is looked up.
    type Value: Key;
    /// Name, for explanations.
    const NAME: &'static str;
    /// Pushes the values that `row` stands under.
    fn values(row: &Self::Row, out: &mut Vec<Self::Value>);
}
