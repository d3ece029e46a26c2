//! Why listeners are not accepted: what is wrong with one by itself, and which are in each other's way.

use std::collections::{HashMap, HashSet};

use portolan_model::{
    Name,
    input::{Listener, Protocol},
};

use crate::gateway::rows::Merged;

/// Why a listener is not accepted.
pub(super) struct Refusal {
    /// Of its finding; 0 if another says it.
    pub code: u16,
    pub reason: &'static str,
    pub field: &'static str,
    pub message: String,
    pub hint: &'static str,
}

pub(super) fn no_clients(listener: &Listener, why: &str) -> Refusal {
    Refusal {
        code: 0,
        reason: "NoValidCACertificate",
        field: "",
        message: format!("listener {}: no client can be let in: {why}", listener.name),
        hint: "",
    }
}

/// Protocols whose listeners can share a socket: a hostname tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Family {
    Http,
    /// HTTPS and TLS: the name is that of the handshake.
    Tls,
    Tcp,
    Udp,
}

impl Family {
    /// That of a protocol; `None` of one that is not served.
    const fn of(protocol: &Protocol) -> Option<Self> {
        Some(match protocol {
            Protocol::Http => Self::Http,
            Protocol::Https | Protocol::Tls => Self::Tls,
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
            Protocol::Other(_) => return None,
        })
    }

    /// Whether two of one port are two sockets.
    const fn is_apart(self, other: Self) -> bool {
        matches!(self, Self::Udp) != matches!(other, Self::Udp)
    }

    /// Whether nothing but the port tells its listeners apart.
    const fn is_nameless(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

/// What listeners that come first keep for themselves: of a ListenerSet's listeners those that are in the way of an earlier one
/// are not served, in the order of precedence (`ListenerSetSpec.listeners`).
#[derive(Default)]
pub(super) struct Taken {
    sockets: HashMap<Socket, (Family, HashSet<Option<Name>>)>,
}

/// A port, and whether it takes datagrams.
type Socket = (u16, bool);

impl Taken {
    pub fn add(&mut self, one: &Merged) {
        let listener = &one.listener;
        let Some(own) = Family::of(&listener.protocol) else { return };
        let socket = (listener.port, own == Family::Udp);
        let (family, hosts) = self.sockets.entry(socket).or_insert_with(|| (own, HashSet::new()));
        if *family == own {
            hosts.insert(listener.hostname.clone());
        }
    }

    pub fn refusal(&self, one: &Merged) -> Option<Refusal> {
        let listener = &one.listener;
        let own = Family::of(&listener.protocol)?;
        let (family, hosts) = self.sockets.get(&(listener.port, own == Family::Udp))?;
        let conflict = |reason, what: &str| Refusal {
            code: 203,
            reason,
            field: "",
            message: format!("listener {} is in the way of {what} on port {}", listener.name, listener.port),
            hint: "give it another hostname or port; the Gateway's own listeners come first, then the older set",
        };
        if *family != own {
            return Some(conflict("ProtocolConflict", "listeners of another protocol"));
        }
        if own.is_nameless() {
            return Some(conflict("ProtocolConflict", "another one, from which only the port could tell it"));
        }
        // Whose it is may be none of the set's author's business.
        let same = hosts.contains(&listener.hostname);
        same.then(|| conflict("HostnameConflict", "one of the same hostname"))
    }
}

/// Why one of a Gateway's own listeners is not accepted.
pub(super) fn refusal(all: &[Merged], at: usize) -> Option<Refusal> {
    let one = &all[at];
    let listener = &one.listener;
    let name = &listener.name;
    if let Some(wrong) = protocol(listener) {
        return Some(wrong);
    }
    // "The implementation MUST NOT pick one conflicting Listener as the winner" (`Gateway.spec.listeners`). Listeners
    // of protocols that are not served take part in no conflict. One that is leaving is in nobody's way.
    let leaving = one.leaving;
    let own = Family::of(&listener.protocol)?;
    let served = |other: &Merged| {
        let family = Family::of(&other.listener.protocol);
        family.is_some_and(|family| !family.is_apart(own)) && (leaving || !other.leaving)
    };
    let mut rivals = all.iter().enumerate().filter(|(position, other)| {
        *position != at
            && other.set.is_none()
            && other.name != one.name
            && other.listener.port == listener.port
            && served(other)
    });
    let conflict = |reason, rival: &Merged, what: &str| Refusal {
        code: 203,
        reason,
        field: "",
        message: format!(
            "listener {name} conflicts with listener {} on port {}: {what}; neither is served",
            rival.name, listener.port
        ),
        hint: "give one of them another hostname or port",
    };
    let another = |other: &Merged| Family::of(&other.listener.protocol) != Some(own);
    if let Some((_, rival)) = rivals.clone().find(|(_, other)| another(other)) {
        return Some(conflict("ProtocolConflict", rival, "another protocol"));
    }
    let same = |other: &Merged| own.is_nameless() || other.listener.hostname == listener.hostname;
    // One that is leaving and has a successor shares its route configuration.
    if let Some((_, rival)) = rivals.find(|(_, other)| same(other) && (!leaving || other.leaving)) {
        if own.is_nameless() {
            return Some(conflict("ProtocolConflict", rival, "only the port could tell them apart"));
        }
        return Some(conflict("HostnameConflict", rival, "the same hostname"));
    }
    no_tls(listener).or_else(|| filters(listener))
}

/// What is wrong with a listener by itself.
pub(super) fn alone(listener: &Listener) -> Option<Refusal> {
    protocol(listener).or_else(|| no_tls(listener)).or_else(|| filters(listener))
}

/// Filters that look at requests before they are routed may keep some out: without them none is let in.
fn filters(listener: &Listener) -> Option<Refusal> {
    let filter = listener.filters.first()?;
    Some(Refusal {
        code: 251,
        reason: "UnsupportedValue",
        field: ".filters",
        message: format!("listener {}: filter {filter} of listeners is not served", listener.name),
        hint: "remove the filters; a listener is not served without filters that its author asked for",
    })
}

fn protocol(listener: &Listener) -> Option<Refusal> {
    let Protocol::Other(protocol) = &listener.protocol else { return None };
    Some(Refusal {
        code: 202,
        reason: "UnsupportedProtocol",
        field: ".protocol",
        message: format!("listener {}: protocol {protocol} is not served", listener.name),
        hint: "use HTTP, HTTPS, TLS, TCP or UDP",
    })
}

fn no_tls(listener: &Listener) -> Option<Refusal> {
    if listener.protocol == Protocol::Tls && listener.tls.is_none() {
        return Some(Refusal {
            code: 207,
            reason: "UnsupportedValue",
            field: ".tls",
            message: format!("listener {}: TLS needs a tls.mode", listener.name),
            hint: "set tls.mode Passthrough, or Terminate with tls.certificateRefs",
        });
    }
    let ends = listener.tls.as_ref().is_some_and(|tls| tls.terminate);
    (listener.protocol == Protocol::Https && !ends).then(|| Refusal {
        code: 207,
        reason: "UnsupportedValue",
        field: ".tls",
        message: format!("listener {}: HTTPS needs tls.mode Terminate and a certificate", listener.name),
        hint: "set tls.certificateRefs",
    })
}
