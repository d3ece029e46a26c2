//! Route tables in pieces: virtual hosts by the shard of their scope, wildcards once.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::gateway::rows::VirtualHost;
use portolan_model::Name;

use crate::{
    encode::{self, Piece, in_every_shard},
    shards::shard_of,
};

/// A virtual host, encoded, with the row that it was made of: what is refused is made again from it.
#[derive(Debug)]
pub struct Host {
    /// The row.
    pub row: Arc<VirtualHost>,
    /// The encoded virtual host.
    pub piece: Piece,
    /// Clusters that it names, sorted.
    pub clusters: Box<[Name]>,
    /// Made without a part that Envoy refused: the version of the whole one.
    pub instead_of: Option<u64>,
    /// Answers an error to everything.
    pub closed: bool,
}

impl Host {
    /// A virtual host as wanted.
    pub fn of(row: &Arc<VirtualHost>) -> Self {
        let piece = encode::piece(row, &std::collections::BTreeSet::new());
        Self { row: Arc::clone(row), piece, clusters: clusters(row), instead_of: None, closed: false }
    }

    /// A virtual host that answers `status` to everything, in place of this one.
    #[must_use]
    pub fn closed(&self, status: u32) -> Self {
        Self {
            row: Arc::clone(&self.row),
            piece: encode::closed(&self.row, status),
            clusters: Box::default(),
            instead_of: Some(self.piece.version),
            closed: true,
        }
    }

    /// The hostname.
    pub fn host(&self) -> &Name {
        &self.row.key.1
    }
}

/// Clusters that a virtual host sends requests to, sorted.
fn clusters(row: &VirtualHost) -> Box<[Name]> {
    let mut all: Vec<Name> = row
        .entries
        .iter()
        .flat_map(|entry| {
            let shares = entry.clusters.iter().map(|share| share.cluster.clone());
            shares.chain(entry.mirrors.iter().map(|(cluster, _)| cluster.clone()))
        })
        .collect();
    all.sort();
    all.dedup();
    all.into_boxed_slice()
}

/// The virtual hosts of one table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    shards: BTreeMap<u16, BTreeMap<Name, Arc<Host>>>,
    wildcards: BTreeMap<Name, Arc<Host>>,
}

impl Table {
    /// A virtual host.
    pub fn get(&self, host: &Name) -> Option<&Arc<Host>> {
        if in_every_shard(host) {
            return self.wildcards.get(host);
        }
        self.shards.get(&shard_of(host))?.get(host)
    }

    /// Puts or removes one; gives what stood there.
    pub fn set(&mut self, name: &Name, host: Option<Arc<Host>>) -> Option<Arc<Host>> {
        let shard = shard_of(name);
        let hosts =
            if in_every_shard(name) { &mut self.wildcards } else { self.shards.entry(shard).or_default() };
        let before = match host {
            Some(host) => hosts.insert(name.clone(), host),
            None => hosts.remove(name),
        };
        if self.shards.get(&shard).is_some_and(BTreeMap::is_empty) {
            self.shards.remove(&shard);
        }
        before
    }

    /// What belongs into a shard's scope: its exact hosts, then all wildcards, each in name order.
    pub fn of_shard(&self, shard: u16) -> impl Iterator<Item = &Arc<Host>> {
        self.shards.get(&shard).into_iter().flat_map(BTreeMap::values).chain(self.wildcards.values())
    }

    /// Whether a wildcard takes the requests of a host while that is not there.
    pub fn covers(&self, host: &str) -> bool {
        let mut rest = host.strip_prefix("*.").unwrap_or(host);
        while let Some((_, parent)) = rest.split_once('.') {
            if self.wildcards.contains_key(&*format!("*.{parent}")) {
                return true;
            }
            rest = parent;
        }
        host != "*" && self.wildcards.contains_key("*")
    }

    /// Every virtual host.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.shards.values().flat_map(BTreeMap::values).chain(self.wildcards.values())
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty() && self.wildcards.is_empty()
    }
}
