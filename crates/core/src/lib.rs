//! The decisions: pure functions over rows. No I/O, no clock.
