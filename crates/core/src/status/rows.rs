//! Rows of the status room.

use portolan_model::{GatewayKey, Instant, Name, NamespacedName, RouteKey, row};

use crate::gateway::rows::{ListenerKey, Speaks};

/// A route asks for a hostname at a listener, or did and was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostClaim {
    /// Host, route, position of the parentRef, listener.
    pub key: ClaimKey,
    /// The Gateway.
    pub gateway: GatewayKey,
    /// What the listener speaks; of one that is not served it does not matter.
    pub speaks: Speaks,
    /// Its port as written.
    pub port: u16,
    /// Why it is not served: needs an edit.
    pub refused: Option<String>,
    /// It may be served all the same: what is missing may stand in what was not read.
    pub unknown: bool,
}
row!(HostClaim, ClaimKey, "host_claims");

impl HostClaim {
    /// The hostname under which the listener serves it.
    pub fn served_as(&self) -> Name {
        if self.speaks.is_nameless() { "*".into() } else { self.key.host.clone() }
    }
}

/// Key of a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// Hostname, `*` for any; of what has none ([`Speaks::is_nameless`]) the name of its socket.
    pub host: Name,
    /// The route.
    pub route: RouteKey,
    /// Position of the parentRef.
    pub parent: usize,
    /// Listener name; empty if none took it.
    pub listener: Name,
}

/// In the place of a status: the listener lets in no client without a certificate, and the probe has none.
pub const CERTIFICATE_REQUIRED: u16 = 496;

/// In the place of a status: the connection was taken and kept.
pub const CONNECTED: u16 = 1;
/// In the place of a status: TLS was agreed with whoever it ends at, and the connection kept.
pub const HANDSHAKE: u16 = 2;

/// Fact: what the live probe through Envoy saw for a hostname.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Hostname.
    pub key: Name,
    /// `Ok(status)` of the answer over a connection whose chain was valid for the name; else what failed.
    pub state: Result<u16, String>,
}
row!(Probe, Name, "probes");

/// How far a hostname is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, acked by Envoy, and answering through it with a chain valid for the name.
    Live,
    /// On its way; nobody has to edit anything.
    Pending,
    /// Needs an edit.
    Refused,
    /// What it needs is made elsewhere, or may stand in what was not read.
    Unknown,
}

impl State {
    /// The word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// One hostname.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// Hostname.
    pub key: Name,
    /// URL to open; HTTPS preferred; of what is no HTTP with the scheme `tls`, `tcp` or `udp`. Empty while there is no listener.
    pub url: String,
    /// Address that it is bound to.
    pub address: Name,
    /// Bound port.
    pub port: u16,
    /// How far it is.
    pub state: State,
    /// Why it is not live, or what was seen; one sentence.
    pub why: String,
    /// The route.
    pub route: RouteKey,
    /// The listener that serves it; without a name if none does.
    pub listener: ListenerKey,
    /// Secret of the certificate that is served, with its end.
    pub certificate: Option<(NamespacedName, Option<Instant>)>,
    /// What else of the host does not work and needs an edit: rules that are left out, other routes and listeners that
    /// claim it.
    pub broken: Vec<String>,
    /// Restrictions that are not enforced.
    pub unenforced: Vec<Name>,
    /// What the listener speaks: what the probe has to ask.
    pub speaks: Speaks,
    /// Whether it is to be probed: only set once Envoy has acked everything.
    pub probe: bool,
}
row!(EntryPoint, Name, "entry_points");
