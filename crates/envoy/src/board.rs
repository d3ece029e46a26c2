//! What every Envoy should have: once, with the order in which it changed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use portolan_core::gateway::rows::{WireKey, WireType, virtual_host_name};
use portolan_model::{GatewayKey, Name};
use tokio::sync::watch;

use crate::{
    parts::Parts,
    resources::Resource,
    tables::{Host, Table},
};

/// Changes that are remembered; who is further behind looks at everything.
const MOST_CHANGES: usize = 10_000;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A cluster, endpoints, secret or listener.
    Flat(WireKey),
    /// A virtual host of a table.
    Host(Name, Name),
    /// Whether a listener names the table.
    Table(Name),
}

/// What listeners name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Table(Name),
    Secret(Name),
}

impl Named {
    fn change(&self) -> Change {
        match self {
            Self::Table(name) => Change::Table(name.clone()),
            Self::Secret(name) => Change::Flat(WireKey { r#type: WireType::Secret, name: name.clone() }),
        }
    }
}

/// Everything that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    flat: BTreeMap<WireType, BTreeMap<Name, Arc<Resource>>>,
    tables: BTreeMap<Name, Table>,
    /// Tables and secrets that wanted listeners name, with how many do.
    named: BTreeMap<Named, usize>,
    changes: VecDeque<Change>,
    /// Changes that were forgotten.
    forgotten: u64,
}

impl Wanted {
    /// Nothing, after so many changes.
    pub fn after(sequence: u64) -> Self {
        Self { forgotten: sequence, ..Self::default() }
    }

    /// Puts or removes a resource; `true` if that changes something.
    pub fn set(&mut self, key: &WireKey, resource: Option<Arc<Resource>>) -> bool {
        let all = self.flat.entry(key.r#type).or_default();
        let before = all.get(&key.name);
        if before.map(|old| old.version) == resource.as_ref().map(|new| new.version) {
            return false;
        }
        let (old, new) = (named(before), named(resource.as_ref()));
        match resource {
            Some(resource) => all.insert(key.name.clone(), resource),
            None => all.remove(&key.name),
        };
        for one in &new {
            let count = self.named.entry(one.clone()).or_default();
            *count += 1;
            if *count == 1 {
                self.note(one.change());
            }
        }
        for one in old {
            if let Some(count) = self.named.get_mut(&one) {
                *count -= 1;
                if *count == 0 {
                    self.named.remove(&one);
                    self.note(one.change());
                }
            }
        }
        self.note(Change::Flat(key.clone()));
        true
    }

    /// Puts or removes a virtual host; `true` if that changes something.
    pub fn set_host(&mut self, table: &Name, name: &Name, host: Option<Arc<Host>>) -> bool {
        let hosts = self.tables.entry(table.clone()).or_default();
        let version = |host: Option<&Arc<Host>>| host.map(|host| host.piece.version);
        let after = version(host.as_ref());
        // The row is kept even if it comes to the same bytes: what is said of a refused rule reads it.
        let changed = version(hosts.set(name, host).as_ref()) != after;
        if hosts.is_empty() {
            self.tables.remove(table);
        }
        if changed {
            self.note(Change::Host(table.clone(), name.clone()));
        }
        changed
    }

    /// Has the streams say once more how it stands, though nothing of it is other than before.
    pub fn judge_again(&mut self, what: Change) {
        self.note(what);
    }

    fn note(&mut self, change: Change) {
        self.changes.push_back(change);
        if self.changes.len() > MOST_CHANGES {
            self.changes.pop_front();
            self.forgotten += 1;
        }
    }

    /// A resource.
    pub fn get(&self, r#type: WireType, name: &Name) -> Option<&Arc<Resource>> {
        self.flat.get(&r#type)?.get(name)
    }

    /// All of one type, in name order.
    pub fn of(&self, r#type: WireType) -> impl Iterator<Item = (&Name, &Arc<Resource>)> {
        self.flat.get(&r#type).into_iter().flatten()
    }

    /// A virtual host.
    pub fn host(&self, table: &Name, host: &Name) -> Option<&Arc<Host>> {
        self.tables.get(table)?.get(host)
    }

    /// The virtual hosts of a table.
    pub fn table(&self, table: &Name) -> Option<&Table> {
        self.tables.get(table)
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.flat.values().all(BTreeMap::is_empty)
    }

    /// Whether this is among what is wanted.
    pub fn holds(&self, key: &WireKey) -> bool {
        match key.r#type {
            WireType::VirtualHost => key
                .name
                .rsplit_once('/')
                .is_some_and(|(table, host)| self.host(&table.into(), &host.into()).is_some()),
            r#type => self.get(r#type, &key.name).is_some(),
        }
    }

    /// Everything that is among it.
    pub fn keys(&self) -> impl Iterator<Item = WireKey> {
        let flat = self
            .flat
            .iter()
            .flat_map(|(r#type, all)| all.keys().map(|name| WireKey { r#type: *r#type, name: name.clone() }));
        let hosts = self.hosts().map(|host| {
            let name = virtual_host_name(&host.row.key.0, &host.row.key.1);
            WireKey { r#type: WireType::VirtualHost, name }
        });
        flat.chain(hosts)
    }

    /// Names of tables.
    pub fn tables(&self) -> impl Iterator<Item = &Name> {
        self.tables.keys()
    }

    /// Every virtual host.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.tables.values().flat_map(Table::all)
    }

    /// Tables that wanted listeners name: their scopes exist, also the empty ones.
    pub fn named(&self) -> impl Iterator<Item = &Name> {
        self.named.keys().filter_map(|named| match named {
            Named::Table(name) => Some(name),
            Named::Secret(_) => None,
        })
    }

    /// Whether a wanted listener names the table.
    pub fn is_named(&self, table: &Name) -> bool {
        self.named.contains_key(&Named::Table(table.clone()))
    }

    /// Whether a wanted listener names the secret.
    pub fn is_named_secret(&self, secret: &Name) -> bool {
        self.named.contains_key(&Named::Secret(secret.clone()))
    }

    /// How many changes there have been.
    pub fn sequence(&self) -> u64 {
        self.forgotten + self.changes.len() as u64
    }

    /// What changed after the first `seen` changes; `None` if that is not known any more.
    pub fn since(&self, seen: u64) -> Option<impl Iterator<Item = &Change>> {
        let from = usize::try_from(seen.checked_sub(self.forgotten)?).ok()?;
        (from <= self.changes.len()).then(|| self.changes.range(from..))
    }
}

fn named(resource: Option<&Arc<Resource>>) -> Vec<Named> {
    let Some(resource) = resource else { return Vec::new() };
    let tables = resource.tables().iter().cloned().map(Named::Table);
    tables.chain(resource.secrets().iter().cloned().map(Named::Secret)).collect()
}

#[derive(Debug, Default)]
struct State {
    all: Wanted,
    /// What is wanted is known.
    known: bool,
    /// The same for each Gateway, where its Envoys get no more than that.
    parts: Option<Parts>,
    /// What a Gateway without any listener has.
    nothing: Wanted,
}

impl State {
    fn of(&self, gateway: Option<&GatewayKey>) -> &Wanted {
        let Some(gateway) = gateway else { return &self.all };
        self.parts.as_ref().and_then(|parts| parts.of(gateway)).unwrap_or(&self.nothing)
    }
}

/// What is wanted, and whether it is known. A change is seen by the streams whole or not at all.
#[derive(Debug, Default)]
pub struct Board {
    wanted: Mutex<State>,
    news: watch::Sender<()>,
    /// The node that is spoken to; `None`: all of them.
    partner: watch::Sender<Option<Name>>,
    /// Resources that streams were sent, and their size.
    sent: [AtomicU64; 2],
    /// Requests that streams have made.
    heard: AtomicU64,
    /// What is wanted is known in part: see [`Board::hold_back`].
    partial: AtomicBool,
    /// Nodes that were sent something since the start.
    known: Mutex<BTreeSet<Name>>,
}

impl Board {
    /// A board of which each Gateway's Envoys see that Gateway's part.
    pub fn apart() -> Self {
        let state = State { parts: Some(Parts::default()), ..State::default() };
        Self { wanted: Mutex::new(state), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes changes, and tells the streams. From the first time on what is wanted counts as known: an Envoy that an
    /// earlier run left is told nothing before, since all that it has would be taken away.
    pub fn publish<T>(&self, change: impl FnOnce(&mut Wanted) -> T) -> T {
        let made = {
            let mut state = self.state();
            state.known = true;
            let made = change(&mut state.all);
            let State { all, parts, .. } = &mut *state;
            if let Some(parts) = parts {
                parts.follow(all);
            }
            made
        };
        self.news.send_replace(());
        made
    }

    /// Whether what is wanted is known in part only. An Envoy that has something from before this process began would lose what the
    /// rest may bring, so it is told nothing until all is known; one that has nothing gets what there is.
    pub fn hold_back(&self, partial: bool) {
        if self.partial.swap(partial, Ordering::AcqRel) != partial {
            self.news.send_replace(());
        }
    }

    /// Whether a node that says that it has something is told nothing yet.
    pub fn holds_back(&self, node: &Name) -> bool {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(node);
        self.partial.load(Ordering::Acquire) && !known()
    }

    /// A node was sent something: what it has is ours.
    pub fn note_node(&self, node: &Name) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone());
    }

    /// From now on only the Envoy of this node is spoken to. While one takes over from another both are connected, and the
    /// one that goes is to serve on what it has: neither is it told what is meant for its successor, nor does what it says count.
    pub fn speak_to(&self, node: &str) {
        self.partner.send_replace(Some(node.into()));
    }

    /// Says who is spoken to.
    pub fn partner(&self) -> watch::Receiver<Option<Name>> {
        self.partner.subscribe()
    }

    /// Looks at what is wanted.
    pub fn look<T>(&self, look: impl FnOnce(&Wanted) -> T) -> T {
        look(&self.state().all)
    }

    /// Looks at what the Envoys of a Gateway should have; without one at all that is wanted.
    pub fn look_of<T>(&self, gateway: Option<&GatewayKey>, look: impl FnOnce(&Wanted) -> T) -> T {
        look(self.state().of(gateway))
    }

    /// Looks at the same, once it is known. Second to the look comes how many changes of all there have been: they are counted for
    /// all Gateways together.
    pub fn look_if_known<T>(
        &self,
        gateway: Option<&GatewayKey>,
        look: impl FnOnce(&Wanted, u64) -> T,
    ) -> Option<T> {
        let state = self.state();
        state.known.then(|| look(state.of(gateway), state.all.sequence()))
    }

    /// Notes that a stream was sent so many resources, of so many bytes.
    pub fn note_sent(&self, resources: usize, bytes: usize) {
        for (count, more) in self.sent.iter().zip([resources, bytes]) {
            count.fetch_add(more as u64, Ordering::Relaxed);
        }
    }

    /// Resources that streams were sent, and their size in bytes.
    pub fn sent(&self) -> [u64; 2] {
        [&self.sent[0], &self.sent[1]].map(|count| count.load(Ordering::Relaxed))
    }

    /// Notes that a stream that is spoken to has asked for something, or has said how something stands.
    pub fn note_heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests of the streams that are spoken to.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether what is wanted is known.
    pub fn is_known(&self) -> bool {
        self.state().known
    }

    /// Says when something is published.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_something_from_before_is_told_nothing_of_a_part() {
        let (board, old, new) = (Board::default(), Name::from("old"), Name::from("new"));
        assert!(!board.holds_back(&old));
        let mut news = board.news();
        board.hold_back(true);
        assert!(board.holds_back(&old));
        // What this process told a node is no loss to it.
        board.note_node(&new);
        assert!(!board.holds_back(&new) && board.holds_back(&old));
        news.mark_unchanged();
        board.hold_back(false);
        assert!(
            !board.holds_back(&old) && news.has_changed().is_ok_and(|changed| changed),
            "streams look again"
        );
    }
}
