use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::*;

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(16) };

fn one(budget: usize) -> (Converge<&'static str, u32>, Instant) {
    (Converge::new(Limits { budget, backoff: BACKOFF }, 1), Instant::now())
}

#[test]
fn what_is_wanted_is_begun_once() {
    let (mut all, now) = one(9);
    assert!(all.want("a", 1, now));
    assert!(!all.want("a", 1, now), "it is wanted already");
    let mut begun = all.begin(now);
    assert_eq!((begun.len(), begun[0].wanted), (1, 1));
    assert!(!all.want("a", 1, now), "it is under way");
    assert!(all.is_running(&"a") && all.begin(now).is_empty() && all.is_open(&"a") && !all.is_idle());
    let work = begun.remove(0);
    assert_eq!(all.current(work.ticket.mark()), Some(&1));
    assert_eq!(all.settle(work.ticket), Some(1));
    assert!(!all.want("a", 1, now), "it is settled");
    assert!(all.is_idle() && !all.is_open(&"a") && all.due().is_none());
    all.renew("a", 1, now);
    assert_eq!(all.begin(now).len(), 1, "whatever was done for it");
}

#[test]
fn an_answer_for_what_is_wanted_otherwise_is_none() {
    let (mut all, now) = one(9);
    all.want("a", 1, now);
    let mut old = all.begin(now).remove(0);
    assert!(old.stopped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
    all.want("a", 2, now);
    assert!(old.stopped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    let new = all.begin(now).remove(0);
    assert_eq!(all.current(old.ticket.mark()), None);
    assert_eq!(all.settle(old.ticket), None);
    // The same as before, wanted again meanwhile, is another row all the same.
    all.want("a", 1, now);
    assert_eq!(all.fail(new.ticket, now), None);
    let newest = all.begin(now).remove(0);
    all.forget(&"a");
    assert_eq!(all.end(newest.ticket), None);
    assert!(all.is_idle() && all.begin(now + Duration::from_hours(1)).is_empty());
}

#[test]
fn a_failure_is_tried_again_ever_later_until_it_works() {
    let (mut all, mut now) = one(9);
    all.want("a", 1, now);
    for whole in [2, 4, 8, 16, 16] {
        let work = all.begin(now).remove(0);
        assert_eq!(all.fail(work.ticket, now), Some(1));
        assert!(all.is_open(&"a") && all.begin(now).is_empty());
        let due = all.due().expect("it is tried again");
        assert!(due - now <= Duration::from_secs(whole) && due - now >= Duration::from_secs(whole) * 3 / 4);
        now = due;
    }
    let work = all.begin(now).remove(0);
    assert_eq!(all.settle(work.ticket), Some(1));
    all.renew("a", 1, now);
    let work = all.begin(now).remove(0);
    all.fail(work.ticket, now);
    assert!(all.due().is_some_and(|due| due - now <= Duration::from_secs(2)), "what worked begins anew");
    all.hurry(now);
    assert_eq!(all.due(), Some(now));
    assert_eq!(all.begin(now).len(), 1);
}

#[test]
fn whoever_makes_the_rows_may_decide_when() {
    let (mut all, now) = one(9);
    all.want("a", 1, now);
    let work = all.begin(now).remove(0);
    assert_eq!(all.end(work.ticket), Some(1));
    assert!(all.is_idle() && all.due().is_none() && all.wanted(&"a").is_none());
    assert!(all.want("a", 1, now), "the same row again is begun again");
}

#[test]
fn a_budget_counts_what_has_not_stopped_yet() {
    let (mut all, now) = one(2);
    for key in ["c", "a", "b"] {
        all.want(key, 1, now);
    }
    let mut begun = all.begin(now);
    assert_eq!(begun.iter().map(|work| *work.ticket.key()).collect::<Vec<_>>(), ["c", "a"], "first come");
    assert!(all.due().is_none(), "there is no room, whatever is due");
    all.forget(&"c");
    assert!(all.begin(now).is_empty(), "it may still be at it");
    drop(begun.remove(0));
    assert_eq!(all.due(), Some(now));
    assert_eq!(all.begin(now).len(), 1);
}

#[test]
fn a_work_that_is_lost_has_failed() {
    let (mut all, now) = one(1);
    all.want("a", 1, now);
    drop(all.begin(now));
    assert!(all.begin(now).is_empty(), "it waits as any failure does");
    let due = all.due().expect("it is tried again");
    assert!(due > now);
    assert_eq!(all.begin(due).len(), 1);
}

/// What may happen, in any order.
#[derive(Clone, Debug)]
enum Step {
    Want(u8, u8),
    Renew(u8, u8),
    Forget(u8),
    Begin,
    /// One of the works that are out ends well.
    Settle(prop::sample::Index),
    Fail(prop::sample::Index),
    Lose(prop::sample::Index),
    Hurry,
    Later(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..5, 0_u8..3).prop_map(|(key, wanted)| Step::Want(key, wanted)),
        1 => (0_u8..5, 0_u8..3).prop_map(|(key, wanted)| Step::Renew(key, wanted)),
        2 => (0_u8..5).prop_map(Step::Forget),
        4 => Just(Step::Begin),
        3 => any::<prop::sample::Index>().prop_map(Step::Settle),
        2 => any::<prop::sample::Index>().prop_map(Step::Fail),
        1 => any::<prop::sample::Index>().prop_map(Step::Lose),
        1 => Just(Step::Hurry),
        2 => (0_u16..20_000).prop_map(Step::Later),
    ]
}

/// The outside as works leave it, and a plain account of what is wanted.
struct Model {
    all: Converge<u8, u8>,
    now: Instant,
    wanted: BTreeMap<u8, u8>,
    /// What each key was last made to be by an answer that counted.
    made: BTreeMap<u8, u8>,
    out: Vec<Work<u8, u8>>,
}

impl Model {
    fn begin(&mut self, budget: usize) {
        for work in self.all.begin(self.now) {
            let key = *work.ticket.key();
            assert_eq!(self.wanted.get(&key), Some(&work.wanted), "only what is wanted is begun");
            let beside = self
                .out
                .iter()
                .any(|other| self.all.current(other.ticket.mark()).is_some() && *other.ticket.key() == key);
            assert!(!beside, "one work for a row");
            self.out.push(work);
        }
        assert!(self.out.len() <= budget, "the budget holds");
    }

    fn pick(&mut self, index: prop::sample::Index) -> Option<Work<u8, u8>> {
        (!self.out.is_empty()).then(|| self.out.swap_remove(index.index(self.out.len())))
    }

    /// Checks that an answer counts exactly if nobody told the work to stop.
    fn counts(work: &mut Work<u8, u8>) -> bool {
        work.stopped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
    }

    fn settle(&mut self, mut work: Work<u8, u8>) {
        let (counts, key) = (Self::counts(&mut work), *work.ticket.key());
        let settled = self.all.settle(work.ticket);
        assert_eq!(settled, counts.then_some(work.wanted), "it is taken if it is still for what is wanted");
        if let Some(made) = settled {
            self.made.insert(key, made);
        }
    }

    fn take(&mut self, step: &Step, budget: usize) {
        match *step {
            Step::Want(key, wanted) => {
                self.all.want(key, wanted, self.now);
                self.wanted.insert(key, wanted);
            }
            Step::Renew(key, wanted) => {
                self.all.renew(key, wanted, self.now);
                self.wanted.insert(key, wanted);
            }
            Step::Forget(key) => {
                assert_eq!(self.all.forget(&key), self.wanted.remove(&key));
                self.made.remove(&key);
            }
            Step::Begin => self.begin(budget),
            Step::Settle(index) => {
                if let Some(work) = self.pick(index) {
                    self.settle(work);
                }
            }
            Step::Fail(index) => {
                if let Some(mut work) = self.pick(index) {
                    let counts = Self::counts(&mut work);
                    assert_eq!(self.all.fail(work.ticket, self.now), counts.then_some(work.wanted));
                }
            }
            Step::Lose(index) => drop(self.pick(index)),
            Step::Hurry => self.all.hurry(self.now),
            Step::Later(millis) => self.now += Duration::from_millis(millis.into()),
        }
    }
}

proptest! {
    /// Whatever happens before: once works succeed, the outside is what is wanted, and nothing is left to do.
    #[test]
    fn it_converges(steps in prop::collection::vec(step(), 0..120), budget in 1_usize..4, seed: u64) {
        let all = Converge::new(Limits { budget, backoff: BACKOFF }, seed);
        let (wanted, made, out) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut model = Model { all, now: Instant::now(), wanted, made, out };
        for step in steps {
            model.take(&step, budget);
        }
        // No more than a try for each row, and one for each that was told to stop.
        for _ in 0..100 {
            while let Some(work) = model.out.pop() {
                model.settle(work);
            }
            // Finds what was lost, too.
            model.begin(budget);
            let Some(due) = model.all.due() else { continue };
            prop_assert!(due <= model.now + BACKOFF.longest, "nobody waits longer than the longest");
            model.now = model.now.max(due);
        }
        prop_assert!(model.all.is_idle(), "nothing is left to do");
        prop_assert_eq!(model.made, model.wanted);
    }
}
