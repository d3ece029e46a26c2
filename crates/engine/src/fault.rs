//! Bugs planted on purpose: the tests switch one on and expect the property test to find it. Outside tests all are
//! constantly off and cost nothing.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A `get` that finds nothing is not recorded.
    AbsentGetForgotten,
    /// A read of an empty bucket is not recorded.
    EmptyBucketForgotten,
    /// Removing a member does not wake readers of the membership.
    RemovalWakesNoKeys,
    /// `count` wakes nobody.
    CountNeverWakes,
    /// New members stand at the end of their bucket.
    BucketUnordered,
    /// A changed member stays in its bucket as it was.
    MemberNotReplaced,
    /// Only the first value of a row is indexed.
    SecondValueIgnored,
    /// The first reader to leave takes the node of all readers with it.
    NodeSweptWhileRead,
    /// A run that reads less than before keeps its old reads, so nodes leak.
    OldReadsKept,
    /// A run forgets to be woken at an instant.
    DueForgotten,
    /// Rows come before rows go.
    InsertBeforeRemove,
    /// Outputs of a vanished input stay.
    GoneKeepsOutputs,
    /// Whoever comes first wins a conflict.
    FirstComerWins,
    /// A freed place keeps the instance of its former input.
    StaleInstance,
}

#[cfg(test)]
#[allow(clippy::items_after_test_module, reason = "the switch is no test module")]
mod switch {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        pub static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    pub fn planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }
}

#[cfg(not(test))]
#[allow(clippy::items_after_test_module, reason = "the switch is no test module")]
mod switch {
    #[inline]
    pub const fn planted(_: super::Fault) -> bool {
        false
    }
}

#[cfg(test)]
pub use switch::PLANTED;
pub use switch::planted;
