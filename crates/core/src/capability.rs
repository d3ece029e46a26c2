//! What Portolan does in a cluster in which others may do the same: each capability acts, only observes, or is off. Pure: who
//! else is there is a value that an effect saw.

use portolan_model::{Code, Kind, ObjectKey, Problem, Severity};
use serde::Serialize;

/// A part of what Portolan does, which a cluster may leave to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Gateways and routes.
    Gateway,
    /// Certificates of cert-manager's kinds.
    Certificates,
    /// Records of external-dns.
    Dns,
    /// `SealedSecrets`.
    Secrets,
    /// Mirrors of Secrets and `ConfigMaps`.
    Replication,
    /// `ValidatingAdmissionPolicies` over what stands in the cluster already.
    Policy,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Gateway, Self::Certificates, Self::Dns, Self::Secrets, Self::Replication, Self::Policy];

    /// Its name, as flags and statuses have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Certificates => "certificates",
            Self::Dns => "dns",
            Self::Secrets => "secrets",
            Self::Replication => "replication",
            Self::Policy => "policy",
        }
    }

    /// The one of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// For the sake of which objects of a kind are looked at, and their statuses written.
    pub fn of_kind(kind: &Kind) -> Self {
        match &*kind.group {
            "cert-manager.io" | "acme.cert-manager.io" => Self::Certificates,
            "bitnami.com" => Self::Secrets,
            _ => Self::Gateway,
        }
    }

    /// Whether it is built for clusters. What is not touches nothing.
    pub const fn is_built(self) -> bool {
        matches!(self, Self::Gateway | Self::Certificates)
    }

    /// Who does the same in most clusters.
    pub const fn counterpart(self) -> Option<Counterpart> {
        Some(match self {
            Self::Gateway => Counterpart::lease("Envoy Gateway", "5b9825d2.gateway.envoyproxy.io"),
            Self::Certificates => Counterpart::lease("cert-manager", "cert-manager-controller"),
            Self::Dns => Counterpart::deployment("external-dns", &["external-dns"]),
            Self::Secrets => {
                Counterpart::deployment("sealed-secrets", &["sealed-secrets", "sealed-secrets-controller"])
            }
            Self::Replication => Counterpart::deployment("reflector", &["reflector"]),
            // The API server itself: it asks nobody to stand back.
            Self::Policy => return None,
        })
    }
}

/// Another controller, and how it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counterpart {
    /// What people call it.
    pub name: &'static str,
    /// Its Lease, in whatever namespace.
    pub lease: Option<&'static str>,
    /// Values of the label `app.kubernetes.io/name` of its Deployment.
    pub deployments: &'static [&'static str],
}

impl Counterpart {
    const fn lease(name: &'static str, lease: &'static str) -> Self {
        Self { name, lease: Some(lease), deployments: &[] }
    }

    const fn deployment(name: &'static str, deployments: &'static [&'static str]) -> Self {
        Self { name, lease: None, deployments }
    }
}

/// What was seen of a counterpart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It is not there, or does not run.
    Absent,
    /// It runs: the object that shows it.
    Live(String),
    /// It could not be looked for, and why.
    Unknown(String),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// Nothing is done.
    Off,
    /// It decides and reports, and writes nothing.
    Observe,
    /// It writes.
    Act,
}

/// What a capability does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// Nothing.
    #[serde(rename = "off")]
    Off,
    /// It decides and reports, and writes nothing.
    #[serde(rename = "observe")]
    Observe,
    /// It writes.
    #[serde(rename = "act")]
    Act,
    /// Nothing: it is not built for clusters yet.
    #[serde(rename = "not built")]
    NotBuilt,
}

/// What a capability does, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Which.
    pub name: Capability,
    /// What it does.
    pub mode: Mode,
    /// Why, in a sentence.
    pub why: String,
}

/// What becomes of a capability: what was asked for, and if nothing was, it acts unless somebody else does the same.
pub fn stand(name: Capability, asked: Option<Asked>, seen: &Sighting) -> Standing {
    let standing = |mode, why: String| Standing { name, mode, why };
    if asked == Some(Asked::Off) {
        return standing(Mode::Off, "it was asked to be off".into());
    }
    if !name.is_built() {
        let by = match seen {
            Sighting::Live(who) => format!(" ({who} does it)"),
            _ => String::new(),
        };
        return standing(
            Mode::NotBuilt,
            format!("it is not built for clusters yet: nothing is read or written for it{by}"),
        );
    }
    let other = name.counterpart().map_or("another controller", |other| other.name);
    match (asked, seen) {
        (Some(Asked::Act), Sighting::Live(who)) => {
            standing(Mode::Act, format!("it was asked to act, beside {who} of {other}"))
        }
        (Some(Asked::Act), _) => standing(Mode::Act, "it was asked to act".into()),
        (Some(_), _) => standing(Mode::Observe, "it was asked to observe".into()),
        (None, Sighting::Absent) => standing(Mode::Act, format!("no {other} runs in the cluster")),
        (None, Sighting::Live(who)) => {
            standing(Mode::Observe, format!("{other} runs in the cluster ({who}): nothing is written"))
        }
        (None, Sighting::Unknown(why)) => standing(
            Mode::Observe,
            format!("whether {other} runs in the cluster cannot be seen ({why}): nothing is written"),
        ),
    }
}

/// What a person has to know of it.
pub fn problem(standing: &Standing, asked: Option<Asked>) -> Option<Problem> {
    let name = standing.name.name();
    let (severity, hint) = match standing.mode {
        Mode::Act | Mode::Off => return None,
        Mode::Observe if asked.is_some() => return None,
        Mode::Observe => {
            (Severity::Warning, format!("--capability {name}=act or {name}=observe says it for good"))
        }
        // Nobody is told at each start what nobody asked for; the status has it.
        Mode::NotBuilt if asked.is_none() => return None,
        Mode::NotBuilt => (Severity::Error, format!("leave --capability {name} out, or say {name}=off")),
    };
    Some(Problem {
        object: ObjectKey::new("", "Capability", "", name),
        code: Code(95),
        field: "".into(),
        severity,
        message: format!("capability {name}: {}", standing.why),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(asked: Option<Asked>, seen: &Sighting) -> Mode {
        stand(Capability::Gateway, asked, seen).mode
    }

    #[test]
    fn it_acts_unless_somebody_else_does_or_may() {
        let live = Sighting::Live("Lease envoy-gateway-system/5b9825d2.gateway.envoyproxy.io".into());
        let unknown = Sighting::Unknown("leases is forbidden".into());
        assert_eq!(mode(None, &Sighting::Absent), Mode::Act);
        assert_eq!(mode(None, &live), Mode::Observe);
        assert_eq!(mode(None, &unknown), Mode::Observe, "unseen is not fine");
        for seen in [Sighting::Absent, live, unknown] {
            assert_eq!(mode(Some(Asked::Act), &seen), Mode::Act, "what is said counts");
            assert_eq!(mode(Some(Asked::Observe), &seen), Mode::Observe);
            assert_eq!(mode(Some(Asked::Off), &seen), Mode::Off);
        }
    }

    #[test]
    fn what_is_not_built_never_pretends() {
        for name in Capability::ALL.into_iter().filter(|name| !name.is_built()) {
            for asked in [None, Some(Asked::Observe), Some(Asked::Act)] {
                let standing = stand(name, asked, &Sighting::Absent);
                assert_eq!(standing.mode, Mode::NotBuilt);
                assert!(standing.why.contains("not built"), "{}", standing.why);
                let told = problem(&standing, asked);
                assert_eq!(told.is_some(), asked.is_some(), "who asks for it is told");
            }
            assert_eq!(stand(name, Some(Asked::Off), &Sighting::Absent).mode, Mode::Off);
        }
    }

    #[test]
    fn that_it_stands_back_is_a_finding_that_names_who_is_there() {
        let seen = Sighting::Live("Lease a/b".into());
        let told = problem(&stand(Capability::Gateway, None, &seen), None);
        let message = told.map(|problem| problem.message).unwrap_or_default();
        assert!(message.contains("Envoy Gateway") && message.contains("Lease a/b"), "{message}");
        assert_eq!(
            problem(&stand(Capability::Gateway, Some(Asked::Observe), &seen), Some(Asked::Observe)),
            None
        );
    }

    #[test]
    fn names_are_read_again() {
        for one in Capability::ALL {
            assert_eq!(Capability::of(one.name()), Some(one));
        }
        assert_eq!(Capability::of("gateways"), None);
    }
}
