//! What Argo CD and Flux do with objects that are live and that nothing brings any more: what we prune, they would prune,
//! and nothing else. Pure: the driver asks with what the repository and the store hold, and writes what follows.
//!
//! ```text
//!  Application, Kustomization, … --Policy::of--> Policy
//!  live objects that left the repository + policies --plan--> goes, or stays and why
//! ```
//!
//! Sources: argoproj/argo-cd 3.6 `controller/appcontroller.go` (`autoSync`, `finalizeApplicationDeletion`),
//! `gitops-engine/pkg/sync/sync_context.go` (`pruneObject`), fluxcd/kustomize-controller
//! `internal/controller/kustomization_controller.go` (`prune`, `finalize`, `deleteObjects`). `docs/reference/sync-options.md` lists
//! every option.

mod doubt;
mod ignore;
mod options;
mod plan;
mod policy;
mod reason;
#[cfg(test)]
mod tests;

pub use doubt::{Doubt, Outcome, outcome};
pub use options::flux_leaves;
pub use plan::{Facts, Verdict, plan, stands_for};
pub use policy::{Application, Kustomization, Policy, Set};
pub use reason::Reason;
