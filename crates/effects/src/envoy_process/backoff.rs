//! How long to wait before Envoy is started once more.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// One that ran for so long did work.
const WORKED: Duration = Duration::from_secs(30);

/// Grows with every failure, of whatever kind: it ended, could not be started, could not be recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one that ran for `ran`; zero if it did not start.
    pub fn after(&mut self, ran: Duration) -> Duration {
        self.failures = if ran >= WORKED { 0 } else { self.failures.saturating_add(1) };
        FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_over_every_failure_and_ends_with_one_that_worked() {
        let mut backoff = Backoff::default();
        let short = [0, 20, 0, 0, 1_000, 0, 0, 0].map(Duration::from_millis);
        let waits: Vec<u128> = short.into_iter().map(|ran| backoff.after(ran).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(backoff.after(WORKED), FIRST);
        assert_eq!(backoff.after(Duration::ZERO).as_millis(), 200);
    }
}
