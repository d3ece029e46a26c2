//! What a scope is to hold: of each virtual host what is wanted, unless something holds it back or it is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use portolan_core::gateway::rows::{Hold, Refusal, WireKey, WireType};
use portolan_model::Name;

use super::{
    Standing,
    flat::Flat,
    scopes::{Pieces, Scope, Scopes},
};
use crate::{
    board::Wanted,
    encode::{self, in_every_shard},
    resources::Version,
    shards::{SHARDS, shard_of},
    tables::Host,
};

/// Where the clusters are.
pub(super) struct Backends<'a> {
    pub wanted: &'a Wanted,
    pub clusters: &'a Flat,
    pub endpoints: &'a Flat,
    /// One that is wanted is on its way.
    pub in_motion: bool,
}

/// How far a cluster is.
enum Far<'a> {
    There,
    OnItsWay,
    Refused(&'a str),
}

impl Backends<'_> {
    fn far(&self, name: &Name) -> Far<'_> {
        let (cds, eds) = (self.clusters, self.endpoints);
        if cds.has.contains_key(name) && eds.has.contains_key(name) {
            return Far::There;
        }
        if let Some(words) = cds.refusal(name, self.wanted).filter(|_| !cds.has.contains_key(name)) {
            return Far::Refused(words);
        }
        // Refused endpoints are on their way too: an assignment without any stands in for them.
        // Of a cluster that nobody makes nothing can be waited for: its requests are answered with an error.
        if self.wanted.get(WireType::Cluster, name).is_none() { Far::There } else { Far::OnItsWay }
    }

    /// Whether it is worth waiting for.
    pub fn is_coming(&self, name: &Name) -> bool {
        matches!(self.far(name), Far::OnItsWay)
    }

    /// The first cluster of a virtual host that is not there.
    fn missing(&self, host: &Host) -> Option<(Name, Option<String>)> {
        host.clusters.iter().find_map(|name| match self.far(name) {
            Far::There => None,
            Far::OnItsWay => Some((name.clone(), None)),
            Far::Refused(words) => Some((name.clone(), Some(words.to_owned()))),
        })
    }
}

/// A scope as it is to be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Composed {
    pub pieces: Pieces,
    pub version: String,
    /// Virtual hosts that are held back, each with the cluster that it waits for.
    pub held: Vec<(Name, Name)>,
}

impl Composed {
    /// What it counts for among what one response may hold: its virtual hosts, and a share of its own.
    pub fn size(&self) -> usize {
        8 + self.pieces.len()
    }
}

impl Scopes {
    pub(super) fn compose(&self, scope: &Scope, wanted: &Wanted, clusters: &Backends<'_>) -> Composed {
        let none = BTreeMap::new();
        let old = self.has.get(scope).and_then(|has| has.pieces.as_ref()).unwrap_or(&none);
        let mut made = Composed::default();
        for want in wanted.table(&scope.0).into_iter().flat_map(|table| table.of_shard(scope.1)) {
            // One that answers errors only is no last good one.
            let old = old.get(want.host()).filter(|old| !old.closed);
            let offer = match self.quarantined(want).map(|(made, _)| made) {
                // The host as such is refused.
                Some(None) => None,
                Some(Some(without)) => Some(without),
                None if self.is_suspect(want) => None,
                None => Some(want),
            };
            let offer = offer.filter(|offer| {
                if old.is_some_and(|old| old.piece.version == offer.piece.version) {
                    return true;
                }
                match clusters.missing(offer) {
                    None => true,
                    // The last good one stays; without one, its requests are answered with an error.
                    Some((cluster, Some(_))) => {
                        made.held.extend(old.map(|_| (want.host().clone(), cluster)));
                        old.is_none()
                    }
                    Some((cluster, None)) => {
                        made.held.push((want.host().clone(), cluster));
                        false
                    }
                }
            });
            if let Some(offer) = offer.or(old).map(Arc::clone).or_else(|| self.closed(want, wanted)) {
                made.pieces.insert(want.host().clone(), offer);
            }
        }
        // What stands around the virtual hosts belongs to the content too.
        let mut content = encode::scope(&scope.0, scope.1, std::iter::empty()).value;
        made.pieces.values().for_each(|host| content.extend(host.piece.version.to_be_bytes()));
        made.version = Version::of(&content).to_string();
        made
    }

    /// What answers for a new virtual host that is held back or refused, if else a wildcard that covers it would: an error.
    fn closed(&self, want: &Host, wanted: &Wanted) -> Option<Arc<Host>> {
        let (table, host) = &want.row.key;
        let covered = wanted.table(table).is_some_and(|table| table.covers(host));
        let status = if self.quarantined(want).is_some() { 500 } else { 503 };
        (covered && !self.unclosed.contains(&want.row.key)).then(|| Arc::new(want.closed(status)))
    }

    /// What is served in place of a virtual host that is refused at this version, and what Envoy said.
    fn quarantined(&self, host: &Host) -> Option<(Option<&Arc<Host>>, &Refusal)> {
        let (version, quarantined) = self.quarantine.get(&host.row.key)?;
        (*version == host.piece.version).then_some((quarantined.made.as_ref(), &quarantined.refusal))
    }

    /// How a wanted virtual host stands in all its scopes.
    pub(super) fn standing(&self, want: &Host, clusters: &Backends<'_>) -> Standing {
        let (table, host) = &want.row.key;
        if !clusters.wanted.is_named(table) {
            return Standing::Held(Hold::NotAsked);
        }
        let shards = if in_every_shard(host) { 0..SHARDS } else { shard_of(host)..shard_of(host) + 1 };
        let refused = self.quarantined(want);
        let serve = match refused {
            Some((Some(without), _)) => without,
            _ => want,
        };
        for shard in shards {
            let scope = (table.clone(), shard);
            let has = self.has.get(&scope).and_then(|has| has.pieces.as_ref()?.get(host));
            if matches!(refused, Some((None, _)))
                || has.is_some_and(|has| has.piece.version == serve.piece.version)
            {
                continue;
            }
            if let Some((_, words)) = self.refused.get(&scope) {
                return Standing::Refused(Refusal::of(words));
            }
            return match clusters.missing(want) {
                Some((cluster, Some(words))) => {
                    Standing::Refused(Refusal::of(&format!("{cluster}: {words}")))
                }
                Some((name, None)) => Standing::Held(Hold::By(WireKey { r#type: WireType::Cluster, name })),
                None => Standing::Held(Hold::Sent),
            };
        }
        refused.map_or(Standing::InForce, |(_, refusal)| Standing::Refused(refusal.clone()))
    }
}
