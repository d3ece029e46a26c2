#![allow(clippy::unwrap_used)]

mod annotations;
mod drain;
mod edge;
mod gate;
mod leaving;
mod names;
mod plan;
mod properties;
mod registry;
mod selector;
mod settings;
