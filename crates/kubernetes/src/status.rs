//! Statuses: what is ours in them ([`merge`]), and how they are written ([`writer`]).

pub mod merge;
pub(crate) mod writer;
