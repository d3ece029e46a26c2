//! How long to wait before another try.

use std::time::Duration;

/// Doubles with every failure in a row, up to a longest wait.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// However many there were.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after so many failures in a row, at least one: between three quarters of the doubled time and the whole of it, so that
    /// what failed together is not tried together for ever.
    pub(super) fn after(self, failures: u32, jitter: &mut Jitter) -> Duration {
        let doubled = 1_u32 << failures.saturating_sub(1).min(20);
        let whole = self.first.saturating_mul(doubled).min(self.longest);
        whole.mul_f64(1.0 - jitter.next() / 4.0)
    }
}

/// Numbers that look random: SplitMix64 (Steele, Lea and Flood, 2014). Nothing depends on how random they are.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one, from 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // 32 bits are exact in a float.
        f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(15) };

    #[test]
    fn it_doubles_up_to_the_longest() {
        let mut jitter = Jitter::new(7);
        for (failures, whole) in [(1, 2.0), (2, 4.0), (3, 8.0), (4, 15.0), (5, 15.0), (u32::MAX, 15.0)] {
            let wait = BACKOFF.after(failures, &mut jitter).as_secs_f64();
            assert!(wait > whole * 0.749 && wait <= whole, "{failures}: {wait}");
        }
    }

    #[test]
    fn a_seed_gives_its_own_waits_each_time() {
        let waits = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..50).map(|_| BACKOFF.after(1, &mut jitter)).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        let mut distinct = waits(3);
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > 40, "waits are spread: {distinct:?}");
        // Over all of the last quarter.
        assert!(
            distinct[0] < Duration::from_millis(1_600)
                && distinct[distinct.len() - 1] > Duration::from_millis(1_900)
        );
    }
}
