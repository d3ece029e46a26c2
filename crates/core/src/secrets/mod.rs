//! Room: which SealedSecrets are opened.

pub mod rows;
