//! Asks for hosts, those of one place together.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use portolan_core::status::rows::EntryPoint;
use portolan_effects::{
    converge::Ticket,
    probe::{Lane, probe},
};
use portolan_model::{Name, NamespacedName, input::Secret};
use tokio::time::Instant;

use super::{Place, Probes, facts::Answer};
use crate::effects::Context;

/// Connections of one lane at once.
const CONNECTIONS: usize = 8;

impl Probes {
    /// Asks for all that are due. One that cannot be asked for, or verified, is probed once that changes.
    pub(super) fn begin_lanes(&mut self, cx: &Context) {
        let mut places: BTreeMap<Place, Vec<Ticket<Name>>> = BTreeMap::new();
        for work in self.hosts.begin(Instant::now()) {
            match place_of(work.ticket.key(), cx) {
                Some(place) => places.entry(place).or_default().push(work.ticket),
                None => drop(self.hosts.end(work.ticket)),
            }
        }
        for ((address, speaks, _, secret), hosts) in places {
            let Some(roots) = lane_roots(secret.as_ref(), cx) else {
                for ticket in hosts {
                    self.hosts.end(ticket);
                }
                continue;
            };
            let asked = |ticket: Ticket<Name>| {
                let host = ticket.key().to_string();
                (ticket, host)
            };
            let hosts = hosts.into_iter().map(asked).collect();
            let lane = Lane { address, speaks, roots, hosts, connections: CONNECTIONS };
            let (answers, permits) = (self.inbox.answers(), Arc::clone(&self.connections));
            tokio::spawn(probe(lane, permits, move |seen| {
                answers.send(Answer::Probed(seen));
            }));
        }
    }
}

/// Where a host is asked for, by what is put for it.
pub(super) fn place_of(host: &Name, cx: &Context) -> Option<Place> {
    let entry = cx.engine.get::<EntryPoint>(host).filter(|entry| entry.probe)?;
    let address = SocketAddr::new(entry.address.parse().ok()?, entry.port);
    let secret = entry.certificate.as_ref().map(|(secret, _)| secret.clone());
    Some((address, entry.speaks, entry.listener.clone(), secret))
}

/// PEM of the roots that the certificate of a Secret is verified by.
fn roots_of(secret: &NamespacedName, cx: &Context) -> Option<Vec<u8>> {
    let secret = cx.engine.get::<Secret>(secret)?;
    if let Some(root) = secret.data.get("ca.crt") {
        return Some(root.expose().to_vec());
    }
    // The development CA's root, and its own chain as anchor for what others signed, so that names and dates are
    // still verified.
    let chain = secret.data.get("tls.crt")?.expose();
    Some([cx.ca.root().as_bytes(), b"\n", chain].concat())
}

/// The same for a lane: `Some(None)` where there is no TLS, `None` where it cannot be verified.
#[allow(clippy::option_option, reason = "no roots are needed, or there are none")]
pub(super) fn lane_roots(secret: Option<&NamespacedName>, cx: &Context) -> Option<Option<Vec<u8>>> {
    match secret {
        None => Some(None),
        Some(secret) => roots_of(secret, cx).map(Some),
    }
}
