#![allow(clippy::unwrap_used)]

mod annotations;
mod components;
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
mod template;
