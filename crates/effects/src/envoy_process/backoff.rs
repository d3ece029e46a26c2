//! How long to wait before Envoy is started once more.

use std::time::Duration;

/// After one that did work: nothing is served meanwhile.
const AT_ONCE: Duration = Duration::from_millis(20);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// One that ran for so long did work: at least, and at most. Between the two it is twenty times the wait before it, so that of
/// an Envoy which fails again and again no more than a twentieth of the time is spent waiting, or it waits ever longer.
const WORKED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// Grows with every failure, of whatever kind: it ended, could not be started, could not be recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
    waited: Duration,
}

impl Backoff {
    /// How long to wait after one that ran for `ran`; zero if it did not start.
    pub fn after(&mut self, ran: Duration) -> Duration {
        let worked = self.waited.saturating_mul(20).clamp(WORKED.0, WORKED.1);
        self.failures = if ran >= worked { 0 } else { self.failures.saturating_add(1) };
        self.waited = match self.failures {
            0 => AT_ONCE,
            failures => FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST),
        };
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(ran: &[u64]) -> Vec<u128> {
        let mut backoff = Backoff::default();
        ran.iter().map(|ran| backoff.after(Duration::from_millis(*ran)).as_millis()).collect()
    }

    #[test]
    fn it_grows_over_every_failure_and_ends_with_one_that_worked() {
        let short = [0, 20, 0, 0, 1_000, 0, 0, 0];
        assert_eq!(waits(&short), [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(waits(&[0, 30_000, 0]), [200, 20, 200]);
        // One that fails after some seconds again and again is a failure as long as it waited long for what it did.
        assert_eq!(waits(&[0, 0, 0, 3_000, 3_000, 30_000]), [200, 400, 800, 1_600, 3_200, 20]);
    }

    #[test]
    fn one_that_is_killed_again_and_again_is_back_at_once_each_time() {
        assert_eq!(waits(&[2_500, 2_500, 60_000, 2_500]), [20, 20, 20, 20]);
    }
}
