//! The list of tables, typed.

use crate::{Index, Key, Row, Table};

/// A set of tables. Implemented by [`world!`](crate::world).
pub trait Tables: Send + 'static {
    /// What identifies a source of facts.
    type Source: Key;
    /// The tables, empty, in the order of the list.
    #[doc(hidden)]
    fn tables() -> Vec<Table>;
}

/// The world has a table of `R`.
pub trait Has<R: Row>: Tables {
    /// Where in the list.
    #[doc(hidden)]
    const AT: u16;
}

/// The world has the index `I`.
pub trait Indexed<I: Index>: Has<I::Row> {}

/// Declares all tables of a world with their indexes: the table of contents of a product. A table or index that is
/// not listed cannot be read, written or declared: it does not compile. `from TYPE` says what identifies a source of
/// facts ([`Engine::replace`](crate::Engine::replace)).
///
/// ```
/// use portolan_engine::{Index, Row, world};
///
/// #[derive(Clone, Debug, PartialEq, Eq)]
/// pub struct Secret { namespace: String, name: String }
/// impl Row for Secret {
///     type Key = String;
///     const NAME: &'static str = "secrets";
///     fn key(&self) -> &String { &self.name }
/// }
/// pub struct SecretsByNamespace;
/// impl Index for SecretsByNamespace {
///     type Row = Secret;
///     type Value = String;
///     const NAME: &'static str = "secrets by namespace";
///     fn values(row: &Secret, out: &mut Vec<String>) { out.push(row.namespace.clone()); }
/// }
/// world! { pub struct World from String { secrets: Secret [SecretsByNamespace] } }
/// ```
///
/// ```compile_fail
/// use std::sync::Arc;
/// use portolan_engine::{Cx, Engine, Row, world};
///
/// #[derive(Debug, PartialEq, Eq)]
/// pub struct A(u8);
/// impl Row for A { type Key = u8; const NAME: &'static str = "a"; fn key(&self) -> &u8 { &self.0 } }
/// #[derive(Debug, PartialEq, Eq)]
/// pub struct Forgotten(u8);
/// impl Row for Forgotten { type Key = u8; const NAME: &'static str = "f"; fn key(&self) -> &u8 { &self.0 } }
/// world! { pub struct World { a: A [] } }
/// fn rule(cx: &mut Cx<'_, World>, a: &Arc<A>) { cx.emit(Forgotten(a.0)); }
/// ```
#[macro_export]
macro_rules! world {
    (@source) => { () };
    (@source $source:ty) => { $source };
    ($(#[$meta:meta])* $vis:vis struct $world:ident $(from $source:ty)? { $($(#[$doc:meta])* $field:ident : $row:ty [ $($index:ty),* $(,)? ]),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis struct $world;

        const _: () = {
            #[allow(non_camel_case_types, dead_code)]
            enum At { $($(#[$doc])* $field),* }

            impl $crate::Tables for $world {
                type Source = $crate::world!(@source $($source)?);
                fn tables() -> Vec<$crate::Table> {
                    vec![$($crate::Table::of::<$row>()$(.with_index::<$index>())*),*]
                }
            }
            $(
                impl $crate::Has<$row> for $world {
                    const AT: u16 = At::$field as u16;
                }
                impl $crate::Readable<$world> for $row {
                    fn access(_: &[$crate::Table]) -> $crate::Access { $crate::Access::table::<$world, $row>() }
                }
                $(
                    impl $crate::Indexed<$index> for $world {}
                    impl $crate::Readable<$world> for $index {
                        fn access(tables: &[$crate::Table]) -> $crate::Access {
                            $crate::Access::index::<$world, $index>(tables)
                        }
                    }
                )*
            )*
        };
    };
}
