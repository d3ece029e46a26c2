#![allow(clippy::unwrap_used, clippy::needless_for_each, clippy::trivially_copy_pass_by_ref)]

mod faults;
mod property;
mod rules;
mod units;
mod world;
