#![allow(clippy::unwrap_used)]

mod annotations;
mod plan;
mod properties;
mod registry;
