//! A bound on how often something is done: a bucket that fills evenly and holds two seconds' worth.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Pace {
    /// Time that one takes of the bucket.
    each: Duration,
    most: Duration,
    /// When the bucket will have been empty: what is taken moves it on.
    empty: Mutex<Instant>,
}

impl Pace {
    pub fn new(a_second: u32) -> Self {
        let most = Duration::from_secs(2);
        let each = Duration::from_secs(1) / a_second.max(1);
        Self { each, most, empty: Mutex::new(Instant::now()) }
    }

    /// Waits until one more may be done.
    pub async fn take(&self) {
        let at = {
            let mut empty = self.empty.lock().unwrap_or_else(PoisonError::into_inner);
            let full = Instant::now().checked_sub(self.most).unwrap_or(*empty);
            *empty = (*empty).max(full) + self.each;
            *empty
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_followed_by_the_pace() {
        let pace = Pace::new(10);
        tokio::time::advance(Duration::from_mins(1)).await;
        let begun = Instant::now();
        for _ in 0..20 {
            pace.take().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "two seconds' worth at once, however long it was idle");
        for _ in 0..10 {
            pace.take().await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(999), "{:?}", begun.elapsed());
    }
}
