//! The list of tables, typed.

use crate::{
    Index, Row,
    table::{AnyTable, Table},
};

/// A set of tables. Implemented by [`world!`](crate::world).
pub trait Tables: Default + Send + 'static {
    /// Calls `f` for every table, in the order listed.
    fn each(&mut self, f: &mut dyn FnMut(&mut dyn AnyTable));
    /// The same, shared.
    fn each_ref(&self, f: &mut dyn FnMut(&dyn AnyTable));
}

/// The world has a table of `R`.
pub trait Has<R: Row>: Tables {
    /// The table.
    fn table(&self) -> &Table<R>;
    /// The table, to write.
    fn table_mut(&mut self) -> &mut Table<R>;
}

/// The world has the index `I`.
pub trait Indexed<I: Index>: Has<I::Row> {}

/// Declares all tables of a world with their indexes: the table of contents of a product.
///
/// ```text
/// world! { pub struct World { secrets: Secret [SecretsByNamespace], gateways: Gateway [] } }
/// ```
#[macro_export]
macro_rules! world {
    ($(#[$meta:meta])* $vis:vis struct $world:ident { $($(#[$doc:meta])* $field:ident : $row:ty [ $($index:ty),* ]),* $(,)? }) => {
        $(#[$meta])*
        $vis struct $world { $($(#[$doc])* $field: $crate::Table<$row>,)* }

        impl Default for $world {
            fn default() -> Self {
                Self { $($field: $crate::Table::<$row>::default()$(.with_index::<$index>())*,)* }
            }
        }
        impl $crate::Tables for $world {
            fn each(&mut self, f: &mut dyn FnMut(&mut dyn $crate::AnyTable)) { $(f(&mut self.$field);)* }
            fn each_ref(&self, f: &mut dyn FnMut(&dyn $crate::AnyTable)) { $(f(&self.$field);)* }
        }
        $(
            impl $crate::Has<$row> for $world {
                fn table(&self) -> &$crate::Table<$row> { &self.$field }
                fn table_mut(&mut self) -> &mut $crate::Table<$row> { &mut self.$field }
            }
            $(impl $crate::Indexed<$index> for $world {})*
        )*
    };
}
