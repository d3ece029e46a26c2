//! What a rule declares when it is registered, and the check of order and cycles over all declarations.

use std::{any::TypeId, fmt::Write as _, marker::PhantomData};

use crate::{
    Has, Index, Indexed, Row, Table,
    core::{NONE, Place, ROW, ReadKind},
};

/// A table, or one index of it, that a rule may read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub(crate) table: u16,
    pub(crate) index: u8,
    pub(crate) name: &'static str,
    pub(crate) row_name: &'static str,
}

impl Access {
    /// The rows, and with them every index.
    #[doc(hidden)]
    pub fn table<W: Has<R>, R: Row>() -> Self {
        Self { table: W::AT, index: ROW, name: R::NAME, row_name: R::NAME }
    }

    /// One index.
    #[doc(hidden)]
    pub fn index<W: Indexed<I>, I: Index>(tables: &[Table]) -> Self {
        let table = <W as Has<I::Row>>::AT;
        let index = tables[usize::from(table)].position(TypeId::of::<I>());
        Self { table, index, name: I::NAME, row_name: I::Row::NAME }
    }

    /// Where the input of a rule is, for describing it.
    pub(crate) fn place(&self) -> Place {
        let kind = if self.index == ROW { ReadKind::Get } else { ReadKind::Find };
        Place { table: self.table, index: self.index, kind }
    }
}

/// What [`Declaring::reads`] takes: a row type (its rows and all its indexes) or an index (reads through it only).
/// Implemented by [`world!`](crate::world).
pub trait Readable<W> {
    /// The access.
    #[doc(hidden)]
    fn access(tables: &[Table]) -> Access;
}

/// A tuple of row types and indexes.
pub trait ReadSet<W> {
    /// The accesses.
    #[doc(hidden)]
    fn accesses(tables: &[Table]) -> Vec<Access>;
}

/// A tuple of row types.
pub trait WriteSet<W> {
    /// The accesses.
    #[doc(hidden)]
    fn accesses() -> Vec<Access>;
}

macro_rules! sets {
    ($($member:ident)*) => {
        impl<W, $($member: Readable<W>),*> ReadSet<W> for ($($member,)*) {
            #[allow(unused_variables)]
            fn accesses(tables: &[Table]) -> Vec<Access> { vec![$($member::access(tables)),*] }
        }
        impl<W, $($member: Row),*> WriteSet<W> for ($($member,)*) where $(W: Has<$member>,)* {
            fn accesses() -> Vec<Access> { vec![$(Access::table::<W, $member>()),*] }
        }
    };
}
sets!();
sets!(A);
sets!(A B);
sets!(A B C);
sets!(A B C D);
sets!(A B C D E);
sets!(A B C D E F);
sets!(A B C D E F G);
sets!(A B C D E F G H);
sets!(A B C D E F G H I);
sets!(A B C D E F G H I J);
sets!(A B C D E F G H I J K);
sets!(A B C D E F G H I J K L);
sets!(A B C D E F G H I J K L M);
sets!(A B C D E F G H I J K L M N);
sets!(A B C D E F G H I J K L M N O);
sets!(A B C D E F G H I J K L M N O P);
sets!(A B C D E F G H I J K L M N O P Q);

/// What the checks at start, the checks of each read and the diagram know of a rule.
#[derive(Debug)]
pub(crate) struct Declared {
    pub name: &'static str,
    pub input: Access,
    pub reads: Vec<Access>,
    pub writes: Vec<Access>,
    /// Instance by input (slot or bucket).
    pub by_input: Vec<u32>,
}

impl Declared {
    pub fn new(name: &'static str, input: Access) -> Self {
        Self { name, input, reads: Vec::new(), writes: Vec::new(), by_input: Vec::new() }
    }

    pub fn may_read(&self, table: u16, index: u8) -> bool {
        self.reads
            .iter()
            .any(|access| access.table == table && (access.index == ROW || access.index == index))
    }

    pub fn may_write(&self, table: u16) -> bool {
        self.writes.iter().any(|access| access.table == table)
    }

    /// Where the instance of an input is noted.
    pub fn instance(&mut self, input: u32) -> &mut u32 {
        let at = input as usize;
        if self.by_input.len() <= at {
            self.by_input.resize(at + 1, NONE);
        }
        &mut self.by_input[at]
    }
}

/// A rule that was just registered, to say what it may read and write.
pub struct Declaring<'a, W> {
    pub(crate) declared: &'a mut Declared,
    pub(crate) tables: &'a [Table],
    pub(crate) world: PhantomData<fn() -> W>,
}

impl<W> Declaring<'_, W> {
    /// What the rule may read besides its input: rows (`get`, and `find`, `keys`, `count` over any of their indexes) or
    /// single indexes. Reading something else works on, and is an error of the step. More than a tuple holds is said in several calls.
    #[allow(clippy::return_self_not_must_use)]
    pub fn reads<S: ReadSet<W>>(self) -> Self {
        self.declared.reads.extend(S::accesses(self.tables));
        self
    }

    /// The tables that the rule may write. Rows for others are dropped, and are an error of the step.
    #[allow(clippy::return_self_not_must_use)]
    pub fn writes<S: WriteSet<W>>(self) -> Self {
        self.declared.writes = S::accesses();
        self
    }
}

/// Finds rules that read what a later rule, or they themselves, write, and names used twice.
pub(crate) fn check<'a>(rules: impl Iterator<Item = &'a Declared>) -> Vec<String> {
    let rules: Vec<&Declared> = rules.collect();
    let mut wrong = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        if rules[..at].iter().any(|other| other.name == rule.name) {
            wrong.push(format!("two rules are named {}; name each for what it makes", rule.name));
        }
        for read in std::iter::once(&rule.input).chain(&rule.reads) {
            if rule.may_write(read.table) {
                wrong.push(format!("rule {} reads {}, which it writes itself", rule.name, read.row_name));
            }
            for writer in rules[at + 1..].iter().filter(|writer| writer.may_write(read.table)) {
                wrong.push(format!(
                    "rule {} reads {}, which rule {} writes later; register {} first or break the cycle",
                    rule.name, read.row_name, writer.name, writer.name
                ));
            }
        }
    }
    wrong.dedup();
    wrong
}

/// The rules in order, one a line: `name: input [reads] -> writes`.
pub(crate) fn diagram<'a>(rules: impl Iterator<Item = &'a Declared>) -> String {
    let names = |set: &[Access]| set.iter().map(|access| access.name).collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    for rule in rules {
        let (reads, writes) = (names(&rule.reads), names(&rule.writes));
        let _ = writeln!(text, "{}: {} [{reads}] -> {writes}", rule.name, rule.input.name);
    }
    text
}
