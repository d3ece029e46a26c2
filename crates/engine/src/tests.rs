#![allow(clippy::unwrap_used)]

mod faults;
mod property;
mod rules;
mod units;
mod world;
