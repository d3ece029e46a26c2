//! The scopes of the route tables: what of them is in force, and what is sent next.
//!
//! An exact host's change is one scope a response; a wildcard stands in every scope of its table and is sent in small
//! responses, each after the ACK of the one before, so that Envoy's workers never stand still; exact changes are sent in
//! between. What Envoy does not have at all goes in one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use envoy_types::pb::{envoy::service::discovery::v3::DeltaDiscoveryRequest, google::protobuf::Any};
use portolan_core::gateway::DRAIN_SECONDS;
use portolan_model::Name;

use super::{
    compose::{Backends, Composed},
    hunt::{Hunt, Quarantined},
};
use crate::{
    board::Wanted,
    encode::{self, in_every_shard},
    shards::{SHARDS, shard_of},
    tables::{Host, Table},
};

/// Table and shard.
pub(super) type Scope = (Name, u16);
/// Virtual hosts of a scope by hostname.
pub(super) type Pieces = BTreeMap<Name, Arc<Host>>;

/// How much one response holds of scopes that Envoy has already, by [`Composed::size`]; the last of them may be over it.
const MOST: usize = 512;

/// How long scopes that no listener names any more are kept, in milliseconds: connections of a filter chain that drains
/// are still routed by them, and a little longer.
pub(super) const DRAIN: u64 = (DRAIN_SECONDS + 5) * 1000;

/// A scope that Envoy has.
#[derive(Clone, Debug)]
pub(super) struct InForce {
    pub version: String,
    /// `None` if an earlier run sent it and it is not what is wanted now.
    pub pieces: Option<Pieces>,
}

#[derive(Clone, Debug)]
enum Waiting {
    Scopes(Vec<(Scope, Composed)>),
    Hunt,
    Gone(Vec<Name>),
}

#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the stream")]
pub(super) struct Scopes {
    /// Envoy has asked for scopes.
    pub seen: bool,
    /// Everything is to be looked at.
    pub all: bool,
    /// An answer is owed, even an empty one.
    first: bool,
    /// What Envoy had before this stream and nobody has claimed yet: name to version.
    strange: BTreeMap<Name, String>,
    pub has: BTreeMap<Scope, InForce>,
    /// Scopes to look at for changes of exact hosts, and for those of wildcards.
    pub exact: BTreeSet<Scope>,
    pub wild: BTreeSet<Scope>,
    /// Halves of responses that were refused, next last.
    parts: Vec<Vec<Scope>>,
    /// Scopes that were refused as composed though each virtual host is accepted: version and words.
    pub refused: BTreeMap<Scope, (String, String)>,
    /// Virtual hosts that are refused at a version.
    pub quarantine: BTreeMap<(Name, Name), (u64, Quarantined)>,
    /// Virtual hosts that Envoy refuses also when they answer errors only.
    pub unclosed: BTreeSet<(Name, Name)>,
    pub hunts: VecDeque<Hunt>,
    /// A scope of a search is in Envoy.
    scratch: Option<Name>,
    waiting: Option<(String, Waiting)>,
    /// Scopes that hold something back until a cluster is there.
    pub waits: BTreeMap<Name, BTreeSet<Scope>>,
    /// Resources that nobody wants any more, with the instant from which on they may go.
    going: BTreeMap<Name, (Option<Scope>, Option<u64>)>,
    /// How often clusters are named by what is in force or under way.
    uses: HashMap<Name, usize>,
    /// Clusters that nothing names any more.
    pub freed: BTreeSet<Name>,
    /// Virtual hosts whose standing may have changed.
    pub judged: BTreeSet<(Name, Name)>,
    /// Responses with several scopes that were refused.
    refusals: u64,
    /// Whether it is the turn of wildcards and searches.
    turn: bool,
}

/// A response: resources with name and version, and names to remove.
pub(super) struct Out {
    pub send: Vec<(Name, String, Any)>,
    pub removed: Vec<Name>,
    waiting: Waiting,
}

impl Scopes {
    /// Takes a request in.
    pub fn request(&mut self, request: &DeltaDiscoveryRequest) {
        let all = request.resource_names_subscribe.iter().any(|name| name == "*");
        let none = request.resource_names_unsubscribe.iter().any(|name| name == "*");
        if none || (all && self.seen) {
            // The last listener has gone and all scopes with it, or Envoy asks for everything again.
            let seen = std::mem::take(self);
            self.quarantine = seen.quarantine;
            self.freed = seen.uses.into_keys().collect();
        }
        if !none && !self.seen {
            let initial = request.initial_resource_versions.iter();
            self.strange.extend(initial.map(|(name, version)| (name.as_str().into(), version.clone())));
            self.first = self.strange.is_empty();
            self.seen = true;
            self.all = true;
        }
        if self.waiting.as_ref().is_some_and(|(nonce, _)| *nonce == request.response_nonce)
            && let Some((_, waiting)) = self.waiting.take()
        {
            let words = request.error_detail.as_ref().map(|error| error.message.clone());
            self.verdict(waiting, words);
        }
    }

    fn verdict(&mut self, waiting: Waiting, words: Option<String>) {
        match (waiting, words) {
            (Waiting::Scopes(sent), None) => {
                for (scope, composed) in sent {
                    self.in_force(scope, composed);
                }
            }
            (Waiting::Scopes(mut sent), Some(words)) if sent.len() == 1 => {
                for (scope, composed) in sent.drain(..) {
                    self.release(&composed.pieces);
                    self.suspect(scope, composed, words.clone());
                }
            }
            (Waiting::Scopes(sent), Some(_)) => {
                for (_, composed) in &sent {
                    self.release(&composed.pieces);
                }
                self.refusals += 1;
                let all: Vec<Scope> = sent.into_iter().map(|(scope, _)| scope).collect();
                let (first, second) = all.split_at(all.len() / 2);
                self.exact.extend(all.iter().cloned());
                self.parts.extend([second.to_vec(), first.to_vec()]);
            }
            (Waiting::Hunt, words) => {
                if let Some(hunt) = self.hunts.front_mut() {
                    hunt.answer(words.map_or(Ok(()), Err));
                }
            }
            (Waiting::Gone(names), _) => {
                for name in names {
                    if let Some((Some(scope), _)) = self.going.remove(&name)
                        && let Some(InForce { pieces: Some(pieces), .. }) = self.has.remove(&scope)
                    {
                        self.release(&pieces);
                    }
                    if self.scratch.as_ref() == Some(&name) {
                        self.scratch = None;
                    }
                }
            }
        }
    }

    /// Envoy has it now.
    fn in_force(&mut self, scope: Scope, composed: Composed) {
        let old = self.has.remove(&scope).and_then(|old| old.pieces).unwrap_or_default();
        let version = |host: Option<&Arc<Host>>| host.map(|host| host.piece.version);
        for (name, host) in &composed.pieces {
            if version(Some(host)) != version(old.get(name)) {
                self.judged.insert((scope.0.clone(), name.clone()));
            }
        }
        self.release(&old);
        self.refused.remove(&scope);
        self.has.insert(scope, InForce { version: composed.version, pieces: Some(composed.pieces) });
    }

    /// One scope was refused: the virtual hosts that are new in it are suspected.
    fn suspect(&mut self, scope: Scope, composed: Composed, words: String) {
        let old = self.has.get(&scope).and_then(|old| old.pieces.as_ref());
        let is_new = |(name, host): &(&Name, &Arc<Host>)| {
            old.and_then(|old| old.get(*name)).is_none_or(|old| old.piece.version != host.piece.version)
        };
        let new = composed.pieces.iter().filter(is_new).map(|(_, host)| Arc::clone(host));
        let (made, suspects): (Vec<_>, Vec<_>) = new.partition(|host| host.instead_of.is_some());
        self.judged.extend(made.iter().chain(&suspects).map(|host| host.row.key.clone()));
        if !suspects.is_empty() {
            self.hunts.push_back(Hunt::new(scope.clone(), composed.version, suspects, words));
        } else if made.is_empty() {
            self.refused.insert(scope.clone(), (composed.version, words));
        } else {
            self.give_up(&made);
        }
        // What is not suspected goes at once.
        self.exact.insert(scope);
    }

    /// What was made in place of virtual hosts is refused too. Without the bad rules: then all requests get an error. That as
    /// well: then the host as such is left out.
    fn give_up(&mut self, made: &[Arc<Host>]) {
        let open: Vec<&Arc<Host>> = made.iter().filter(|host| !host.closed).collect();
        for host in &open {
            if let Some((_, quarantined)) = self.quarantine.get_mut(&host.row.key) {
                quarantined.made = Some(Arc::new(host.closed(500)));
            }
        }
        if open.is_empty() {
            for host in made {
                if let Some((_, quarantined)) = self.quarantine.get_mut(&host.row.key) {
                    quarantined.made = None;
                }
                self.unclosed.insert(host.row.key.clone());
            }
        }
    }

    /// Whether a virtual host is under suspicion: what is in force stays meanwhile.
    pub fn is_suspect(&self, host: &Host) -> bool {
        let same = |other: &Arc<Host>| other.piece.version == host.piece.version;
        self.hunts.iter().any(|hunt| hunt.suspects.iter().any(same))
    }

    /// A virtual host has changed.
    pub fn changed(&mut self, table: &Name, host: &Name) {
        self.judged.insert((table.clone(), host.clone()));
        self.unclosed.remove(&(table.clone(), host.clone()));
        if in_every_shard(host) {
            self.wild.extend((0..SHARDS).map(|shard| (table.clone(), shard)));
        } else {
            self.exact.insert((table.clone(), shard_of(host)));
        }
    }

    /// A table is named by a listener, or not any more.
    pub fn table(&mut self, table: &Name, wanted: &Wanted) {
        let scopes = (0..SHARDS).map(|shard| (table.clone(), shard));
        let hosts = wanted.table(table).into_iter().flat_map(Table::all);
        self.judged.extend(hosts.map(|host| host.row.key.clone()));
        if wanted.is_named(table) {
            for scope in scopes {
                let name = encode::scope_name(&scope.0, scope.1);
                self.going.remove(&name);
                if let Some(version) = self.strange.remove(&name) {
                    self.has.insert(scope.clone(), InForce { version, pieces: None });
                }
                self.exact.insert(scope);
            }
        } else {
            for scope in scopes.filter(|scope| self.has.contains_key(scope)) {
                self.going.insert(encode::scope_name(&scope.0, scope.1), (Some(scope), None));
            }
        }
    }

    /// All that Envoy has and nobody claims goes, once listeners have settled.
    pub fn leave_strange(&mut self) {
        let strange = std::mem::take(&mut self.strange);
        self.going.extend(strange.into_keys().map(|name| (name, (None, None))));
    }

    /// Whether all scopes of a table are there, or cannot be.
    pub fn there(&self, table: &Name) -> bool {
        !self.seen
            || (0..SHARDS).all(|shard| {
                let scope = (table.clone(), shard);
                self.has.contains_key(&scope) || self.refused.contains_key(&scope)
            })
    }

    /// Whether something in force or under way names the cluster, or might.
    pub fn names(&self, cluster: &Name) -> bool {
        self.uses.contains_key(cluster)
            || !self.strange.is_empty()
            || self
                .going
                .iter()
                .any(|(name, (scope, _))| scope.is_none() && self.scratch.as_ref() != Some(name))
            || self.has.values().any(|scope| scope.pieces.is_none())
    }

    /// When something is to be looked at again.
    pub fn due(&self) -> Option<u64> {
        self.going.values().filter_map(|(_, at)| *at).min()
    }

    fn hold(&mut self, pieces: &Pieces) {
        for cluster in pieces.values().flat_map(|host| &host.clusters) {
            *self.uses.entry(cluster.clone()).or_default() += 1;
        }
    }

    fn release(&mut self, pieces: &Pieces) {
        for cluster in pieces.values().flat_map(|host| &host.clusters) {
            if let Some(count) = self.uses.get_mut(cluster) {
                *count -= 1;
                if *count == 0 {
                    self.uses.remove(cluster);
                    self.freed.insert(cluster.clone());
                }
            }
        }
    }

    /// What is sent next.
    pub fn next(&mut self, wanted: &Wanted, clusters: &Backends<'_>, settled: bool, now: u64) -> Option<Out> {
        if !self.seen || self.waiting.is_some() {
            return None;
        }
        self.turn = !self.turn;
        let out = if self.turn { self.search().or_else(|| self.wildcards(wanted, clusters)) } else { None };
        let out = out
            .or_else(|| self.part(wanted, clusters))
            .or_else(|| self.load(wanted, clusters))
            .or_else(|| self.changes(wanted, clusters))
            .or_else(|| self.search())
            .or_else(|| self.wildcards(wanted, clusters))
            .or_else(|| self.gone(settled, now));
        let first = std::mem::take(&mut self.first);
        if out.is_none() && first {
            if wanted.named().next().is_none() {
                return Some(Out { send: vec![], removed: vec![], waiting: Waiting::Scopes(vec![]) });
            }
            self.first = true;
        }
        out
    }

    /// A response is under way.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Notes what was sent.
    pub fn sent(&mut self, nonce: String, out: Out) {
        if let Waiting::Scopes(sent) = &out.waiting {
            let pieces: Vec<Pieces> = sent.iter().map(|(_, composed)| composed.pieces.clone()).collect();
            for pieces in &pieces {
                self.hold(pieces);
            }
        }
        self.waiting = Some((nonce, out.waiting));
    }

    /// The next half of what was refused.
    fn part(&mut self, wanted: &Wanted, clusters: &Backends<'_>) -> Option<Out> {
        while let Some(part) = self.parts.pop() {
            let sent: Vec<_> =
                part.into_iter().filter_map(|scope| self.take(scope, wanted, clusters)).collect();
            if !sent.is_empty() {
                return Some(out(sent, self.refusals));
            }
        }
        None
    }

    /// Everything that Envoy does not have at all, in one.
    fn load(&mut self, wanted: &Wanted, clusters: &Backends<'_>) -> Option<Out> {
        if clusters.in_motion {
            return None;
        }
        let new: Vec<Scope> =
            self.exact.iter().filter(|scope| !self.has.contains_key(*scope)).cloned().collect();
        let sent: Vec<_> = new.into_iter().filter_map(|scope| self.take(scope, wanted, clusters)).collect();
        (!sent.is_empty()).then(|| out(sent, self.refusals))
    }

    /// Scopes with changed exact hosts.
    fn changes(&mut self, wanted: &Wanted, clusters: &Backends<'_>) -> Option<Out> {
        let (mut sent, mut size) = (Vec::new(), 0);
        for scope in self.exact.iter().cloned().collect::<Vec<Scope>>() {
            if let Some(taken) = self.take(scope, wanted, clusters) {
                size += taken.1.size();
                sent.push(taken);
            }
            if size >= MOST {
                break;
            }
        }
        (!sent.is_empty()).then(|| out(sent, self.refusals))
    }

    /// Scopes with changed wildcards.
    fn wildcards(&mut self, wanted: &Wanted, clusters: &Backends<'_>) -> Option<Out> {
        let (mut sent, mut size) = (Vec::new(), 0);
        while size < MOST
            && let Some(scope) = self.wild.pop_first()
        {
            self.exact.insert(scope.clone());
            // What Envoy does not have goes with all else that it does not have: with the first answer it opens its
            // listeners, and a request whose scope is not there is answered 404.
            if self.has.contains_key(&scope)
                && let Some(taken) = self.take(scope, wanted, clusters)
            {
                size += taken.1.size();
                sent.push(taken);
            }
        }
        (!sent.is_empty()).then(|| out(sent, self.refusals))
    }

    /// Composes a scope, and forgets that it was to be looked at; `None` if there is nothing to send.
    fn take(&mut self, scope: Scope, wanted: &Wanted, clusters: &Backends<'_>) -> Option<(Scope, Composed)> {
        if !wanted.is_named(&scope.0) {
            self.exact.remove(&scope);
            return None;
        }
        let has = self.has.get(&scope).map(|has| (has.version.clone(), has.pieces.is_some()));
        let known = has.as_ref().is_some_and(|(_, known)| *known);
        // Without what is in force, nothing can be held back alone: what is under way is waited for.
        if clusters.in_motion && !known {
            return None;
        }
        let composed = self.compose(&scope, wanted, clusters);
        if has.is_some_and(|(version, _)| version == composed.version) {
            self.exact.remove(&scope);
            self.wild.remove(&scope);
            self.held(&scope, &composed);
            if !known {
                self.hold(&composed.pieces);
                self.in_force(scope, composed);
            }
            return None;
        }
        self.exact.remove(&scope);
        self.wild.remove(&scope);
        if self.refused.get(&scope).is_some_and(|(version, _)| *version == composed.version) {
            return None;
        }
        self.refused.remove(&scope);
        self.held(&scope, &composed);
        Some((scope, composed))
    }

    fn held(&mut self, scope: &Scope, composed: &Composed) {
        for (host, cluster) in &composed.held {
            self.judged.insert((scope.0.clone(), host.clone()));
            self.waits.entry(cluster.clone()).or_default().insert(scope.clone());
        }
    }

    /// A step of the search for what is refused.
    fn search(&mut self) -> Option<Out> {
        while let Some(hunt) = self.hunts.front_mut() {
            if let Some(asked) = hunt.ask() {
                let table = &hunt.scope.0;
                let name = encode::scope_name(table, SHARDS);
                let any = encode::scope(table, SHARDS, asked.iter().map(|host| &host.piece));
                let version = crate::resources::Version::of(&any.value).to_string();
                self.going.remove(&name);
                let send = vec![(name.clone(), version, any)];
                self.scratch = Some(name);
                return Some(Out { send, removed: vec![], waiting: Waiting::Hunt });
            }
            self.end_of_search();
        }
        None
    }

    fn end_of_search(&mut self) {
        let Some(hunt) = self.hunts.pop_front() else { return };
        if let Some(name) = &self.scratch {
            self.going.insert(name.clone(), (None, Some(0)));
        }
        let (scope, suspects) = (hunt.scope.clone(), hunt.suspects.clone());
        let refused = (hunt.version.clone(), hunt.words.clone());
        let found = hunt.found();
        if found.is_empty() {
            // Each is accepted alone: just this composition is not sent again, and what is in force stays.
            self.refused.insert(scope.clone(), refused);
        }
        for (host, quarantined) in found {
            self.quarantine.insert(host.row.key.clone(), (host.piece.version, quarantined));
        }
        for host in suspects {
            self.changed(&host.row.key.0, host.host());
        }
        self.exact.insert(scope);
    }

    /// What nobody wants any more.
    fn gone(&mut self, settled: bool, now: u64) -> Option<Out> {
        if settled {
            self.going.values_mut().for_each(|(_, at)| _ = at.get_or_insert(now + DRAIN));
        }
        let removed: Vec<Name> = self
            .going
            .iter()
            .filter(|(_, (_, at))| at.is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        (!removed.is_empty()).then(|| Out {
            send: vec![],
            removed: removed.clone(),
            waiting: Waiting::Gone(removed),
        })
    }
}

/// `refusals` marks what is sent after a refused response: Envoy keeps the scopes of one that stood before the bad one without
/// handing them to its workers, and would skip them as unchanged (seen with 1.40: a host answers 404 though it is acked).
fn out(sent: Vec<(Scope, Composed)>, refusals: u64) -> Out {
    let send = sent
        .iter()
        .map(|((table, shard), composed)| {
            let pieces = composed.pieces.values().map(|host| &host.piece);
            let mut any = encode::scope(table, *shard, pieces);
            encode::mark(&mut any, refusals);
            (encode::scope_name(table, *shard), composed.version.clone(), any)
        })
        .collect();
    Out { send, removed: vec![], waiting: Waiting::Scopes(sent) }
}
