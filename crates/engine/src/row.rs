//! What tables hold and how indexes see it: typed outside, erased inside.
//!
//! The engine's work is done on erased keys and rows, so that it is compiled once and not once a table. What must know
//! a type is what [`AnyKey`] and [`AnyRow`] say, and nothing else.

use std::{
    any::Any,
    cmp::Ordering,
    fmt::Debug,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use hashbrown::DefaultHashBuilder;

/// What can be a key or an index value: ordered, because members of a bucket come in key order.
pub trait Key: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static {}
impl<T: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static> Key for T {}

/// A typed value in a table. Equality decides whether something changed, so it is derived, never written by hand.
pub trait Row: Eq + Debug + Send + Sync + 'static {
    /// What identifies the row in its table.
    type Key: Key;
    /// Name of the table, for explanations and work counts.
    const NAME: &'static str;
    /// The key, which stands in the row: the table keeps no second one.
    fn key(&self) -> &Self::Key;
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

/// A key or an index value without its type. Those of one table, or of one index, are of one type.
pub trait AnyKey: Any + Send + Sync {
    fn hashed(&self, hasher: &DefaultHashBuilder) -> u32;
    fn equals(&self, other: &dyn AnyKey) -> bool;
    fn order(&self, other: &dyn AnyKey) -> Ordering;
    fn boxed(&self) -> Box<dyn AnyKey>;
    /// A copy in the form of a row, which holds nothing but the key.
    fn alone(&self) -> Arc<dyn AnyRow>;
    fn debug(&self) -> &dyn Debug;
}

impl<K: Key> AnyKey for K {
    fn hashed(&self, hasher: &DefaultHashBuilder) -> u32 {
        (hasher.hash_one(self) >> 32) as u32
    }

    fn equals(&self, other: &dyn AnyKey) -> bool {
        self == typed_key::<K>(other)
    }

    fn order(&self, other: &dyn AnyKey) -> Ordering {
        self.cmp(typed_key(other))
    }

    fn boxed(&self) -> Box<dyn AnyKey> {
        Box::new(self.clone())
    }

    fn alone(&self) -> Arc<dyn AnyRow> {
        Arc::new(Alone(self.clone()))
    }

    fn debug(&self) -> &dyn Debug {
        self
    }
}

/// A row without its type.
pub trait AnyRow: Any + Send + Sync {
    /// Whether the two say the same.
    fn equals(&self, other: &dyn AnyRow) -> bool;
    fn key(&self) -> &dyn AnyKey;
    fn debug(&self) -> &dyn Debug;
}

impl<R: Row> AnyRow for R {
    fn equals(&self, other: &dyn AnyRow) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<R>() == Some(self)
    }

    fn key(&self) -> &dyn AnyKey {
        Row::key(self)
    }

    fn debug(&self) -> &dyn Debug {
        self
    }
}

/// A key without a row: what a table holds of a key that is read and not there. It is never shown as a row.
struct Alone<K>(K);

impl<K: Key> AnyRow for Alone<K> {
    fn equals(&self, other: &dyn AnyRow) -> bool {
        self.0 == *typed_key::<K>(other.key())
    }

    fn key(&self) -> &dyn AnyKey {
        &self.0
    }

    fn debug(&self) -> &dyn Debug {
        &self.0
    }
}

/// Whether two rows say the same. One pointer is asked first: most rows that are compared have not changed.
pub fn same(a: Option<&Arc<dyn AnyRow>>, b: Option<&Arc<dyn AnyRow>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.equals(&**b),
        (None, None) => true,
        _ => false,
    }
}

/// A row with its type.
pub fn typed<R: Row>(row: &Arc<dyn AnyRow>) -> Arc<R> {
    let row: Arc<dyn Any + Send + Sync> = Arc::<dyn AnyRow>::clone(row);
    match row.downcast() {
        Ok(row) => row,
        Err(_) => mistyped(),
    }
}

/// A key with its type.
pub fn typed_key<K: Key>(key: &dyn AnyKey) -> &K {
    let key: &dyn Any = key;
    match key.downcast_ref() {
        Some(key) => key,
        None => mistyped(),
    }
}

/// `world!` gives each type its table, so this is not reached.
#[cold]
pub fn mistyped() -> ! {
    unreachable!("a table holds keys and rows of its own type")
}

/// Which of two states of a row stands under a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
    Both,
}

/// Shows the values that a row of the index `I` stood and stands under, each once or more. Where the two states have the
/// same values, as most do, each is shown, and looked up, once for both.
pub fn values<I: Index>(
    before: Option<&dyn AnyRow>,
    after: Option<&dyn AnyRow>,
    see: &mut dyn FnMut(&dyn AnyKey, Side),
) {
    let list = |row: Option<&dyn AnyRow>| {
        let mut values = Vec::new();
        if let Some(row) = row {
            let row: &dyn Any = row;
            let Some(row) = row.downcast_ref() else { mistyped() };
            I::values(row, &mut values);
        }
        values
    };
    let (before, after) = (list(before), list(after));
    let same = before == after;
    for value in &before {
        see(value, if same { Side::Both } else { Side::Before });
    }
    if !same {
        for value in &after {
            see(value, Side::After);
        }
    }
}
