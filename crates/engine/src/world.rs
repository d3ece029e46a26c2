//! The list of tables, typed.

use crate::{AnyTable, Index, Row, Table};

/// A set of tables. Implemented by [`world!`](crate::world).
pub trait Tables: Default + Send + 'static {
    /// How many tables there are.
    const COUNT: u16;
    /// A table by its place in the list.
    #[doc(hidden)]
    fn at(&self, table: u16) -> &dyn AnyTable;
    /// A table by its place in the list, to write.
    #[doc(hidden)]
    fn at_mut(&mut self, table: u16) -> &mut dyn AnyTable;
}

/// The world has a table of `R`.
pub trait Has<R: Row>: Tables {
    /// The table.
    #[doc(hidden)]
    fn table(&self) -> &Table<R>;
    /// The table, to write.
    #[doc(hidden)]
    fn table_mut(&mut self) -> &mut Table<R>;
}

/// The world has the index `I`.
pub trait Indexed<I: Index>: Has<I::Row> {}

/// Declares all tables of a world with their indexes: the table of contents of a product. A table or index that is
/// not listed cannot be read, written or declared: it does not compile.
///
/// ```
/// use portolan_engine::{Index, Row, world};
///
/// #[derive(Clone, Debug, PartialEq, Eq)]
/// pub struct Secret { namespace: String, name: String }
/// impl Row for Secret {
///     type Key = String;
///     const NAME: &'static str = "secrets";
///     fn key(&self) -> String { self.name.clone() }
/// }
/// pub struct SecretsByNamespace;
/// impl Index for SecretsByNamespace {
///     type Row = Secret;
///     type Value = String;
///     const NAME: &'static str = "secrets by namespace";
///     fn values(row: &Secret, out: &mut Vec<String>) { out.push(row.namespace.clone()); }
/// }
/// world! { pub struct World { secrets: Secret [SecretsByNamespace] } }
/// ```
///
/// ```compile_fail
/// use std::sync::Arc;
/// use portolan_engine::{Cx, Engine, Row, world};
///
/// #[derive(Debug, PartialEq, Eq)]
/// pub struct A(u8);
/// impl Row for A { type Key = u8; const NAME: &'static str = "a"; fn key(&self) -> u8 { self.0 } }
/// #[derive(Debug, PartialEq, Eq)]
/// pub struct Forgotten(u8);
/// impl Row for Forgotten { type Key = u8; const NAME: &'static str = "f"; fn key(&self) -> u8 { self.0 } }
/// world! { pub struct World { a: A [] } }
/// fn rule(cx: &mut Cx<'_, World>, a: &Arc<A>) { cx.emit(Forgotten(a.0)); }
/// ```
#[macro_export]
macro_rules! world {
    ($(#[$meta:meta])* $vis:vis struct $world:ident { $($(#[$doc:meta])* $field:ident : $row:ty [ $($index:ty),* $(,)? ]),* $(,)? }) => {
        $(#[$meta])*
        $vis struct $world { $($(#[$doc])* $field: $crate::Table<$row>,)* }

        impl Default for $world {
            fn default() -> Self {
                Self { $($field: $crate::Table::<$row>::default()$(.with_index::<$index>())*,)* }
            }
        }
        impl $crate::Tables for $world {
            const COUNT: u16 = 0 $(+ { let _ = stringify!($field); 1 })*;
            fn at(&self, table: u16) -> &dyn $crate::AnyTable {
                let mut left = table;
                $(
                    if left == 0 { return &self.$field; }
                    left -= 1;
                )*
                unreachable!("table {left} after the last one")
            }
            fn at_mut(&mut self, table: u16) -> &mut dyn $crate::AnyTable {
                let mut left = table;
                $(
                    if left == 0 { return &mut self.$field; }
                    left -= 1;
                )*
                unreachable!("table {left} after the last one")
            }
        }
        $(
            impl $crate::Has<$row> for $world {
                fn table(&self) -> &$crate::Table<$row> { &self.$field }
                fn table_mut(&mut self) -> &mut $crate::Table<$row> { &mut self.$field }
            }
            impl $crate::Readable<$world> for $row {
                fn access(world: &$world) -> $crate::Access { $crate::Access::table(&world.$field) }
            }
            $(
                impl $crate::Indexed<$index> for $world {}
                impl $crate::Readable<$world> for $index {
                    fn access(world: &$world) -> $crate::Access { $crate::Access::index::<$index>(&world.$field) }
                }
            )*
        )*
    };
}
