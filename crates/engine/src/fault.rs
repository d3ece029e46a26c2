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
    /// A member that changes wakes nobody who reads the members.
    MemberChangeWakesNobody,
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
    /// A full segment of a key map splits, and what moved is not found any more.
    SplitLosesHalf,
    /// A run that panics forgets what it had read, so nothing wakes it.
    FailedRunForgetsReads,
    /// An instant that is no longer asked for still wakes.
    WakeUpKept,
    /// A row that changes twice in a step is published with what it was between.
    BetweenIsBefore,
    /// An earlier `now` is taken as it is.
    NowGoesBack,
    /// A source that yields something else keeps what it yielded before.
    SourceKeepsRows,
    /// Of what a source is given in one step, the first counts.
    FirstOfASourceCounts,
    /// A fact that is put is taken for that of a source, and goes with it.
    PutTakesOver,
}

#[cfg(test)]
thread_local! {
    /// The bug that is planted in this thread.
    pub static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub fn planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

#[cfg(not(test))]
#[inline]
pub const fn planted(_: Fault) -> bool {
    false
}
