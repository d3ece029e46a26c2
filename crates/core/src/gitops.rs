//! Room: what the repository says about the components that Portolan stands in for, and the health of objects by Argo
//! CD's own rules.

pub mod adapters;
pub mod health;
