//! Room: which SealedSecrets are opened, and which Secrets and ConfigMaps are mirrored into which namespaces.
//!
//! ```text
//!  SealedSecret -> UnsealWanted -> (effect) -> Secret, in memory only, or UnsealFailure -> finding
//!  Secret, ConfigMap with reflector annotations -> MirrorClaim -> Mirror -> MirrorWanted -> (effect) -> Secret, ConfigMap
//! ```
//!
//! Invariants: who writes a Secret is decided in one place ([`owner`]), and nobody else does; the data of a SealedSecret that does not open is
//! never invented; what came out of a SealedSecret stays in memory, its mirrors too; only what Portolan mirrored by
//! itself is ever removed; a mirror is no source.

mod credentials;
pub(crate) mod elsewhere;
mod mirrors;
pub(crate) mod owner;
mod problems;
pub(crate) mod reflection;
pub mod rows;
mod selector;
#[cfg(test)]
mod tests;
mod unseal;

use portolan_engine::Engine;
use portolan_model::input::{
    Certificate, ConfigMap, Gateway, Issuer, ListenerSet, Namespace, SealedSecret, Secret,
};
use rows::{
    ComponentCredential, Mirror, MirrorClaim, MirrorUnwanted, MirrorWanted, Reach, UnsealFailure,
    UnsealWanted,
};

use crate::{
    World,
    certificates::rows::{RealAcme, Settings},
    policy::rows::Denied,
    world::{Finding, MirrorClaimsByMirror},
};

pub(crate) use reflection::source;
pub use reflection::{AUTO_REFLECTS, REFLECTED_AT, REFLECTED_VERSION, REFLECTS};
pub use unseal::refused;

pub(crate) fn register(engine: &mut Engine<World>) {
    engine
        .map("unseal_wanted", unseal::unseal_wanted)
        .reads::<(Secret, UnsealFailure, Issuer, Gateway, ListenerSet, Settings, ComponentCredential, Reach, RealAcme)>(
        )
        .writes::<(UnsealWanted, Finding)>();
    engine
        .map("missing_credentials", credentials::missing)
        .reads::<(Secret, SealedSecret, Settings, RealAcme)>()
        .writes::<(Finding,)>();
    engine.map("secret_mirrors", mirrors::of_secret).reads::<(Secret, Namespace, Denied, Reach)>().writes::<(
        MirrorClaim,
        MirrorUnwanted,
        Finding,
    )>();
    engine
        .map("config_map_mirrors", mirrors::of_config_map)
        .reads::<(ConfigMap, Namespace, Denied, Reach)>()
        .writes::<(MirrorClaim, MirrorUnwanted, Finding)>();
    engine
        .group::<MirrorClaimsByMirror>("mirrors", mirrors::mirrors)
        .reads::<(Secret, ConfigMap, SealedSecret, Certificate, Issuer, Settings)>()
        .writes::<(Mirror, Finding)>();
    engine.map("mirror_wanted", mirrors::wanted).reads::<(Secret, ConfigMap)>().writes::<(MirrorWanted,)>();
    engine
        .map("secret_mirrors_unwanted", mirrors::unwanted_secret)
        .reads::<(Mirror,)>()
        .writes::<(MirrorUnwanted,)>();
    engine
        .map("config_map_mirrors_unwanted", mirrors::unwanted_config_map)
        .reads::<(Mirror,)>()
        .writes::<(MirrorUnwanted,)>();
}
