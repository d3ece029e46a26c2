//! The property test is only worth what it finds: bugs planted in the engine must each be found by it.

use proptest::test_runner::{Config, TestRunner};

use super::property::{check, ops, quiet};
use crate::fault::{Fault, PLANTED};

fn found(fault: Option<Fault>) -> bool {
    quiet();
    let config = Config { cases: 1_000, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    PLANTED.set(fault);
    let result = runner.run(&ops(), check);
    PLANTED.set(None);
    result.is_err()
}

macro_rules! finds {
    ($($name:ident: $fault:ident,)*) => {$(
        #[test]
        fn $name() {
            assert!(found(Some(Fault::$fault)), "{:?} goes unnoticed", Fault::$fault);
        }
    )*};
}

finds! {
    finds_an_absent_get_that_is_not_recorded: AbsentGetForgotten,
    finds_an_empty_bucket_that_is_not_recorded: EmptyBucketForgotten,
    finds_a_removal_that_wakes_no_keys: RemovalWakesNoKeys,
    finds_a_count_that_never_wakes: CountNeverWakes,
    finds_an_unordered_bucket: BucketUnordered,
    finds_a_member_whose_change_wakes_nobody: MemberChangeWakesNobody,
    finds_a_second_value_that_is_ignored: SecondValueIgnored,
    finds_a_node_swept_while_read: NodeSweptWhileRead,
    finds_old_reads_that_are_kept: OldReadsKept,
    finds_a_due_that_is_forgotten: DueForgotten,
    finds_inserting_before_removing: InsertBeforeRemove,
    finds_outputs_that_stay_without_input: GoneKeepsOutputs,
    finds_a_conflict_won_by_the_first_comer: FirstComerWins,
    finds_an_instance_of_a_former_input: StaleInstance,
    finds_half_a_segment_lost_in_a_split: SplitLosesHalf,
    finds_a_failed_run_that_nothing_wakes: FailedRunForgetsReads,
    finds_a_wake_up_that_nobody_wants_any_more: WakeUpKept,
    finds_a_change_that_tells_what_was_between: BetweenIsBefore,
    finds_a_clock_that_goes_back: NowGoesBack,
    finds_a_source_that_keeps_its_rows: SourceKeepsRows,
    finds_a_first_yield_that_counts: FirstOfASourceCounts,
    finds_a_fact_that_takes_over_a_sources: PutTakesOver,
}

#[test]
fn finds_nothing_when_nothing_is_planted() {
    assert!(!found(None));
}
