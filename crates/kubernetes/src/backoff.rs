//! Waiting between attempts: longer each time, and never all at once.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// How long to wait before the next attempt.
#[derive(Clone, Debug)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits of about `least`, doubled each time, up to `most`.
    pub const fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, attempts: 0 }
    }

    /// The next wait: between half and all of what the attempts so far come to.
    pub fn pause(&mut self) -> Duration {
        let whole = self.least.saturating_mul(1 << self.attempts.min(16)).min(self.most);
        self.attempts += 1;
        jitter(whole)
    }

    /// Attempts since it last worked.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// It worked: the next wait is short again.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Waits: as the server asked, and at least as long as the attempts so far come to.
    pub async fn wait(&mut self, asked: Option<Duration>) {
        let own = self.pause();
        // What many were told to wait for is spread as well.
        let asked = asked.map_or(Duration::ZERO, |asked| asked + jitter(self.least));
        tokio::time::sleep(own.max(asked)).await;
    }
}

/// Between half and all of a time.
pub fn jitter(whole: Duration) -> Duration {
    // The standard library's seeds are random; no more is needed of them.
    let part = RandomState::new().hash_one(0) % 1024;
    whole / 2 + (whole / 2).mul_f64(f64::from(u16::try_from(part).unwrap_or(0)) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut backoff = Backoff::new(least, most);
        for attempt in 0..40 {
            let whole = least.saturating_mul(1 << attempt.min(16)).min(most);
            let wait = backoff.pause();
            assert!(wait >= whole / 2 && wait <= whole, "attempt {attempt}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= least);
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| jitter(most)).collect();
        assert!(waits.len() > 10, "{} different waits of 50", waits.len());
    }
}
