//! How long to wait before Envoy is started once more.

use std::time::Duration;

/// After one that did work: nothing is served meanwhile.
const AT_ONCE: Duration = Duration::from_millis(20);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// One that ran for so long did work: at least, and at most. Between the two it is twenty times the wait before it.
const WORKED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));
/// After one that ran for the least of them it is not waited longer than for this part of the time it ran, however often that
/// happens: it did serve meanwhile. Not at once either, as a start is much work where there are many hosts.
const PART: u32 = 10;

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
        if ran >= worked {
            self.failures = 0;
        } else if ran < WORKED.0 {
            self.failures = self.failures.saturating_add(1);
        }
        let wait = match self.failures {
            0 => AT_ONCE,
            failures => FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST),
        };
        self.waited = if ran >= WORKED.0 { wait.min(ran / PART) } else { wait };
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
        // After some that failed at once, one that fails after some seconds is waited for a tenth of them, and is no failure more.
        assert_eq!(waits(&[0, 0, 0, 3_000, 3_000, 0, 30_000]), [200, 400, 800, 300, 300, 1_600, 20]);
    }

    #[test]
    fn one_that_is_killed_again_and_again_is_back_at_once_each_time() {
        assert_eq!(waits(&[2_500, 2_500, 60_000, 2_500]), [20, 20, 20, 20]);
        // Also where the first was killed too early to tell: before, each was waited for twice as long as the one before it.
        let many = waits(&[600, 2_500, 2_500, 2_500, 2_500, 2_500, 6_000]);
        assert_eq!(many, [200, 200, 200, 200, 200, 200, 20]);
    }
}
