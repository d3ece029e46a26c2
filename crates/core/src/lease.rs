//! Which of several replicas writes: the one whose name stands in a Lease. Decided here, purely; asking and writing is an effect's.
//!
//! Times of two machines are never compared. What another wrote counts for as long as it says from the moment at which it was
//! seen here *to change*, by this process's own clock; what we wrote counts from the moment at which that was *begun*. So a
//! clock that is wrong, or jumps, gives nobody the Lease twice: whoever holds it gives up after [`Terms::within`], and nobody
//! takes it before the longer time that stands in it is over.

use std::time::Duration;

use portolan_model::{Instant, Name};

/// How long a Lease lasts, and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is written into it: who holds it and is not heard of for so long has lost it.
    pub lasts: Duration,
    /// Whoever holds it writes for so long after its last renewal. Shorter, so that one has stopped before another begins.
    pub within: Duration,
    /// Between two looks.
    pub retry: Duration,
}

impl Default for Terms {
    /// Those of Kubernetes' own controllers.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { lasts: seconds(15), within: seconds(10), retry: seconds(2) }
    }
}

/// Longest time of another's Lease that is waited for: what says more is a slip of the pen.
const LONGEST: Duration = Duration::from_mins(5);
/// What is written when it is given back: whoever looks next takes it.
const GIVEN_BACK: u32 = 1;

/// What stands in a Lease (`coordination.k8s.io/v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; empty if it was given back.
    pub holder: Name,
    /// For how long without a renewal.
    pub seconds: u32,
    /// When it was taken and renewed, by the clock of whoever wrote it: for people.
    pub acquired: Instant,
    /// See [`Self::acquired`].
    pub renewed: Instant,
    /// How often it went from one to another.
    pub transitions: u32,
}

/// What one replica knows of the Lease. `now` is a time of this process that only goes on.
#[derive(Clone, Debug)]
pub struct Election {
    me: Name,
    terms: Terms,
    /// What was seen last, and when it was first seen so.
    seen: Option<(Lease, Duration)>,
    /// When our last write that was taken was begun; `None` while another holds it.
    renewed: Option<Duration>,
}

impl Election {
    /// Of the replica `me`, a name that no other process has or had.
    pub const fn new(me: Name, terms: Terms) -> Self {
        Self { me, terms, seen: None, renewed: None }
    }

    /// Who stands in it as far as is known, whether they still hold it or not.
    pub fn holder(&self) -> Option<&Name> {
        self.seen.as_ref().map(|(lease, _)| &lease.holder).filter(|holder| !holder.is_empty())
    }

    /// Whether we write.
    pub fn leads(&self, now: Duration) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    /// Until when, unless it is renewed.
    pub fn until(&self) -> Option<Duration> {
        Some(self.renewed? + self.terms.within)
    }

    /// Takes what was read (`None`: there is no Lease), and says what is to be written in its place; `None`: nothing.
    /// `wall` is what people read in it.
    pub fn saw(&mut self, lease: Option<Lease>, now: Duration, wall: Instant) -> Option<Lease> {
        let Some(lease) = lease else {
            // Somebody removed it: who held it does not know yet, and may write until it looks.
            let known = self.seen.take().filter(|(before, _)| *before.holder != *self.me);
            if let Some((before, since)) = known
                && now < since + lasts(&before)
            {
                self.seen = Some((before, since));
                return None;
            }
            return Some(self.made(None, wall));
        };
        let mine = *lease.holder == *self.me;
        if !mine {
            // Taken from us: whatever we believed, somebody else may write from here on.
            self.renewed = None;
        }
        let since = match &self.seen {
            Some((before, since)) if *before == lease => *since,
            _ => now,
        };
        let free = mine || lease.holder.is_empty() || now >= since + lasts(&lease);
        let next = free.then(|| self.made(Some(&lease), wall));
        self.seen = Some((lease, since));
        next
    }

    /// What was to be written was taken; the request was begun at `begun`.
    pub fn wrote(&mut self, lease: Lease, begun: Duration) {
        self.renewed = (*lease.holder == *self.me).then_some(begun);
        self.seen = Some((lease, begun));
    }

    /// What is written to give it back, if we hold it; and from here on we do not.
    pub fn released(&mut self, wall: Instant) -> Option<Lease> {
        self.renewed.take()?;
        let (lease, _) = self.seen.as_ref().filter(|(lease, _)| *lease.holder == *self.me)?;
        Some(Lease { holder: Name::default(), seconds: GIVEN_BACK, renewed: wall, ..lease.clone() })
    }

    fn made(&self, before: Option<&Lease>, wall: Instant) -> Lease {
        let kept = before.filter(|before| *before.holder == *self.me);
        Lease {
            holder: self.me.clone(),
            seconds: u32::try_from(self.terms.lasts.as_secs()).unwrap_or(u32::MAX).max(1),
            acquired: kept.map_or(wall, |kept| kept.acquired),
            renewed: wall,
            transitions: before.map_or(0, |before| before.transitions + u32::from(kept.is_none())),
        }
    }
}

fn lasts(lease: &Lease) -> Duration {
    Duration::from_secs(lease.seconds.max(1).into()).min(LONGEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
    use proptest::prelude::*;

    use super::*;

    const WALL: Instant = Instant(1_790_000_000_000);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(me: &str) -> Election {
        Election::new(me.into(), Terms::default())
    }

    fn held(holder: &str) -> Lease {
        Lease { holder: holder.into(), seconds: 15, acquired: WALL, renewed: WALL, transitions: 3 }
    }

    #[test]
    fn what_nobody_holds_is_taken_and_renewed() {
        let mut me = of("a");
        let first = me.saw(None, at(1), WALL).unwrap();
        assert!(!me.leads(at(1)), "nothing is ours before the server says so");
        assert_eq!((&*first.holder, first.seconds, first.transitions), ("a", 15, 0));
        me.wrote(first.clone(), at(1));
        assert!(me.leads(at(10)) && !me.leads(at(11)), "ten seconds from when it was begun");
        let later = Instant(WALL.0 + 3_000);
        let second = me.saw(Some(first), at(3), later).unwrap();
        assert_eq!((second.acquired, second.renewed, second.transitions), (WALL, later, 0));
        me.wrote(second, at(3));
        assert!(me.leads(at(12)));
    }

    #[test]
    fn who_cannot_renew_stops_before_another_may_begin() {
        let (mut a, mut b) = (of("a"), of("b"));
        let lease = a.saw(None, at(0), WALL).unwrap();
        a.wrote(lease.clone(), at(0));
        assert_eq!(b.saw(Some(lease.clone()), at(0), WALL), None);
        assert_eq!(b.saw(Some(lease.clone()), at(14), WALL), None);
        assert!(!a.leads(at(10)));
        let taken = b.saw(Some(lease), at(15), WALL).unwrap();
        assert_eq!((&*taken.holder, taken.transitions), ("b", 1), "within the time of the Lease");
        b.wrote(taken, at(15));
        assert!(b.leads(at(16)));
    }

    #[test]
    fn one_that_is_given_back_is_taken_at_once() {
        let (mut a, mut b) = (of("a"), of("b"));
        let lease = a.saw(None, at(0), WALL).unwrap();
        a.wrote(lease.clone(), at(0));
        assert_eq!(b.saw(Some(lease), at(1), WALL), None);
        let back = a.released(WALL).unwrap();
        assert!(!a.leads(at(1)) && back.holder.is_empty());
        assert_eq!(a.released(WALL), None, "there is nothing left to give back");
        assert_eq!(&*b.saw(Some(back), at(2), WALL).unwrap().holder, "b");
    }

    #[test]
    fn one_that_is_stolen_is_believed_at_once_and_not_taken_back_early() {
        let mut me = of("a");
        let lease = me.saw(None, at(0), WALL).unwrap();
        me.wrote(lease, at(0));
        assert_eq!(me.saw(Some(held("thief")), at(2), WALL), None);
        assert!(!me.leads(at(2)));
        assert_eq!(me.released(WALL), None, "it is not ours to give back");
        assert_eq!(me.saw(Some(held("thief")), at(16), WALL), None);
        assert_eq!(me.saw(Some(held("thief")), at(17), WALL).unwrap().transitions, 4);
    }

    #[test]
    fn clocks_of_others_say_nothing() {
        // One is a year ahead, the other a year behind: both count from when they were seen to change.
        for skew in [-31_536_000_000, 31_536_000_000] {
            let mut me = of("a");
            let other = |n: i64| Lease { renewed: Instant(WALL.0 + skew + n), ..held("b") };
            assert_eq!(me.saw(Some(other(0)), at(0), WALL), None);
            for n in 1..40 {
                assert_eq!(me.saw(Some(other(n)), at(10 * n.unsigned_abs()), WALL), None, "it is renewed");
            }
            assert_eq!(me.saw(Some(other(39)), at(404), WALL), None);
            assert!(me.saw(Some(other(39)), at(405), WALL).is_some());
        }
    }

    #[test]
    fn what_says_an_age_is_not_waited_for() {
        let mut me = of("a");
        let mistake = Lease { seconds: 4_000_000_000, ..held("b") };
        assert_eq!(me.saw(Some(mistake.clone()), at(0), WALL), None);
        assert_eq!(me.saw(Some(mistake.clone()), at(299), WALL), None);
        assert!(me.saw(Some(mistake), at(300), WALL).is_some());
    }

    #[test]
    fn one_that_is_removed_is_made_anew_once_its_holder_has_stopped() {
        let mut me = of("b");
        assert_eq!(me.saw(Some(held("a")), at(0), WALL), None);
        assert_eq!(me.saw(None, at(14), WALL), None);
        assert!(me.saw(None, at(15), WALL).is_some());
        let mut holder = of("a");
        let lease = holder.saw(None, at(0), WALL).unwrap();
        holder.wrote(lease, at(0));
        assert!(holder.saw(None, at(1), WALL).is_some(), "whoever holds it makes it anew at once");
    }

    #[test]
    fn a_write_whose_reply_was_lost_is_found_and_counts_from_the_next() {
        let mut me = of("a");
        let lease = me.saw(None, at(0), WALL).unwrap();
        // Taken by the server; we heard nothing.
        assert!(!me.leads(at(0)));
        let again = me.saw(Some(lease), at(2), WALL).unwrap();
        me.wrote(again, at(2));
        assert!(me.leads(at(11)) && !me.leads(at(12)));
    }

    /// The server: writes bound to the version that was read, as a Lease's are.
    #[derive(Default)]
    struct Server {
        lease: Option<Lease>,
        version: u64,
    }

    proptest! {
        /// Whatever waits, is lost or is taken away, and however the wall clocks differ: never do two write at once.
        #[test]
        fn never_two(turns in prop::collection::vec((0..3usize, 0..6_000u64, 0..4u8, -9_000_000..9_000_000i64), 1..400)) {
            let mut server = Server::default();
            let mut all = [of("a"), of("b"), of("c")];
            let mut now = Duration::ZERO;
            for (who, pause, what, skew) in turns {
                now += Duration::from_millis(pause);
                let wall = Instant(WALL.0 + skew);
                let me = &mut all[who];
                let (read, version) = (server.lease.clone(), server.version);
                let begun = now;
                if what == 0 {
                    let name = Name::from(["a", "b", "c"][who]);
                    let back = me.released(wall).filter(|_| version == server.version);
                    // Ours unless somebody took it since: the version says so.
                    if let Some(back) = back.filter(|_| server.lease.as_ref().is_some_and(|held| held.holder == name)) {
                        server.lease = Some(back);
                        server.version += 1;
                    }
                } else if let Some(next) = me.saw(read, begun, wall) {
                    // The answer takes a while, or never comes.
                    server.lease = Some(next.clone());
                    server.version += 1;
                    now += Duration::from_millis(pause / 3);
                    if what != 1 {
                        all[who].wrote(next, begun);
                    }
                }
                let leading = all.iter().filter(|one| one.leads(now)).count();
                prop_assert!(leading <= 1, "{leading} write at {now:?}");
            }
        }
    }
}
