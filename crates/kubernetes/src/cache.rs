//! What was seen last, read by everybody and written by the streams alone: a write shows here once its stream has told it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portolan_effects::store::{History, Noted, Sight, Stored, View};
use portolan_model::{Kind, Name, NamespacedName, ObjectKey};
use tokio::sync::watch;

/// The cache.
#[derive(Debug)]
pub(crate) struct Cache {
    seen: Mutex<Seen>,
    /// Tells that something changed; counts up.
    tick: watch::Sender<u64>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub objects: BTreeMap<ObjectKey, Stored>,
    pub views: BTreeMap<Kind, View>,
    /// Secrets and ConfigMaps that are looked into, whatever is seen of them.
    pub wanted: BTreeSet<ObjectKey>,
    /// Those of them whose content has to be read.
    pub unread: BTreeSet<ObjectKey>,
    /// Place of the latest change, or of the latest list.
    pub place: u64,
    /// Changes since the store was opened; before, there is nobody to tell.
    history: Option<Arc<History>>,
}

/// Which objects a stream is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub kind: Kind,
    /// Empty for all namespaces.
    pub namespace: Name,
}

impl Scope {
    fn holds(&self, key: &ObjectKey) -> bool {
        key.kind == self.kind && (self.namespace.is_empty() || key.name.namespace == self.namespace)
    }
}

impl Cache {
    pub fn new() -> Self {
        Self { seen: Mutex::default(), tick: watch::Sender::new(0) }
    }

    /// Nothing that panics stands between two changes that belong together.
    pub fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of it changed.
    fn tell(&self) {
        self.tick.send_modify(|tick| *tick += 1);
    }

    /// Tells each change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.tick.subscribe()
    }

    /// From here on changes are told.
    pub fn open(&self) -> Arc<History> {
        let mut seen = self.lock();
        let place = seen.place;
        Arc::clone(seen.history.get_or_insert_with(|| Arc::new(History::new(place))))
    }

    /// Takes what a stream brought.
    pub fn put(&self, brought: Vec<Stored>) {
        let mut noted = Vec::new();
        let mut seen = self.lock();
        for stored in brought {
            seen.put(stored, &mut noted);
        }
        seen.note(noted);
        drop(seen);
        self.tell();
    }

    /// Takes what was read of an object that a stream has told, unless it is gone meanwhile.
    pub fn fill_in(&self, content: Stored) {
        let mut noted = Vec::new();
        let mut seen = self.lock();
        let uid = |stored: &Stored| stored.object.stamp.as_ref().map(|stamp| Arc::clone(&stamp.uid));
        let known = seen.objects.get(&content.object.key);
        if known.is_some_and(|known| known.sight != Sight::Unseen && uid(known) == uid(&content)) {
            seen.put(content, &mut noted);
        }
        seen.note(noted);
        drop(seen);
        self.tell();
    }

    /// An object was removed; `version` is that of the removal.
    pub fn remove(&self, key: &ObjectKey, version: u64) {
        let mut noted = Vec::new();
        let mut seen = self.lock();
        seen.remove(key, version, &mut noted);
        seen.note(noted);
        drop(seen);
        self.tell();
    }

    /// A scope was listed whole as of `version`: what is not among the listed is gone, or, with `mourn`, not seen.
    pub fn listed(&self, scope: &Scope, listed: &BTreeSet<ObjectKey>, version: u64, mourn: bool) {
        let mut noted = Vec::new();
        let mut seen = self.lock();
        for key in seen.of(scope).filter(|key| !listed.contains(key)).collect::<Vec<_>>() {
            let unseen = seen.objects.get(&key).is_some_and(|stored| stored.sight == Sight::Unseen);
            if mourn || unseen {
                seen.hide(&key);
            } else {
                seen.remove(&key, version, &mut noted);
            }
        }
        seen.place = seen.place.max(version);
        seen.note(noted);
        drop(seen);
        self.tell();
    }

    /// A kind cannot be seen any more: what is known of it stays, and is marked.
    pub fn hide(&self, kind: &Kind) {
        let mut seen = self.lock();
        let scope = Scope { kind: kind.clone(), namespace: "".into() };
        for key in seen.of(&scope).collect::<Vec<_>>() {
            seen.hide(&key);
        }
        drop(seen);
        self.tell();
    }

    /// The time for what was not seen again is over: it is gone.
    pub fn bury(&self, scope: &Scope) {
        let mut noted = Vec::new();
        let mut seen = self.lock();
        for key in seen.of(scope).collect::<Vec<_>>() {
            if seen.objects.get(&key).is_some_and(|stored| stored.sight == Sight::Unseen) {
                seen.remove(&key, 0, &mut noted);
            }
        }
        seen.note(noted);
        drop(seen);
        self.tell();
    }

    /// How a kind is seen; `true` if that is new.
    pub fn view(&self, kind: &Kind, view: View) -> bool {
        let mut seen = self.lock();
        let before = seen.views.insert(kind.clone(), view.clone());
        drop(seen);
        let new = before != Some(view);
        if new {
            self.tell();
        }
        new
    }

    /// Which Secrets and ConfigMaps are looked into from here on.
    pub fn look_into(&self, keys: BTreeSet<ObjectKey>, sparse: impl Fn(&Kind) -> bool) {
        self.lock().look_into(keys, sparse);
        self.tell();
    }

    /// Waits until an object is seen in this version or a later one, or is gone; `false` if that takes too long. Of kinds
    /// that are not seen whole nothing is waited for.
    pub async fn reached(&self, key: &ObjectKey, version: Option<u64>, patience: Duration) -> bool {
        let there = |seen: &Seen| {
            if seen.views.get(&key.kind) != Some(&View::Whole) {
                return true;
            }
            let found = seen.objects.get(key).and_then(|stored| stored.object.stamp.as_ref());
            match version {
                Some(version) => found.is_some_and(|stamp| stamp.version >= version),
                None => found.is_none(),
            }
        };
        self.until(there, patience).await
    }

    /// Waits until something holds; `false` if that takes too long.
    pub async fn until(&self, holds: impl Fn(&Seen) -> bool, patience: Duration) -> bool {
        let mut changes = self.changes();
        let wait = async {
            loop {
                changes.mark_unchanged();
                if holds(&self.lock()) {
                    return;
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }
}

impl Seen {
    fn of<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = ObjectKey> + 'a {
        let first = ObjectKey { kind: scope.kind.clone(), name: NamespacedName::default() };
        let of_kind =
            self.objects.range(first..).map(|(key, _)| key).take_while(|key| key.kind == scope.kind);
        of_kind.filter(|key| scope.holds(key)).cloned()
    }

    fn put(&mut self, stored: Stored, noted: &mut Vec<Noted>) {
        let key = stored.object.key.clone();
        let Some(stamp) = stored.object.stamp.clone() else { return };
        if let Some(old) = self.objects.get(&key)
            && let Some(before) = &old.object.stamp
            && before.uid == stamp.uid
            && old.sight != Sight::Unseen
        {
            // A list may be older than what a stream or a reading of the content has told already.
            if before.version > stamp.version {
                return;
            }
            let more = old.sight == Sight::Metadata && stored.sight == Sight::Whole;
            if before.version == stamp.version && !more {
                return;
            }
            // What was read of it stays as it is until it is read anew.
            if stored.sight == Sight::Metadata && old.sight == Sight::Whole && self.wanted.contains(&key) {
                self.unread.insert(key);
                return;
            }
        }
        if stored.sight == Sight::Metadata && self.wanted.contains(&key) {
            self.unread.insert(key.clone());
        }
        self.objects.insert(key.clone(), stored);
        self.change(key, stamp.version, false, noted);
    }

    fn remove(&mut self, key: &ObjectKey, version: u64, noted: &mut Vec<Noted>) {
        if self.objects.remove(key).is_some() {
            self.change(key.clone(), version, true, noted);
        }
    }

    fn hide(&mut self, key: &ObjectKey) {
        if let Some(stored) = self.objects.get_mut(key) {
            stored.sight = Sight::Unseen;
        }
    }

    fn change(&mut self, key: ObjectKey, version: u64, deleted: bool, noted: &mut Vec<Noted>) {
        if self.history.is_some() {
            self.place = version.max(self.place + 1);
            noted.push(Noted { key, version: self.place, deleted });
        } else {
            self.place = self.place.max(version);
        }
    }

    fn note(&self, noted: Vec<Noted>) {
        if let Some(history) = &self.history {
            history.note(noted);
        }
    }

    /// Which Secrets and ConfigMaps are looked into from here on. The content of others is let go of.
    fn look_into(&mut self, keys: BTreeSet<ObjectKey>, sparse: impl Fn(&Kind) -> bool) {
        for key in self.wanted.difference(&keys) {
            self.unread.remove(key);
            let Some(stored) = self.objects.get_mut(key).filter(|_| sparse(&key.kind)) else { continue };
            if stored.sight == Sight::Whole {
                stored.object.json.edit(|json| {
                    if let Some(map) = json.as_object_mut() {
                        map.retain(|field, _| matches!(&**field, "apiVersion" | "kind" | "metadata"));
                    }
                });
                stored.object.json.pack();
                stored.sight = Sight::Metadata;
            }
        }
        for key in keys.difference(&self.wanted) {
            if self.objects.get(key).is_some_and(|stored| stored.sight == Sight::Metadata) {
                self.unread.insert(key.clone());
            }
        }
        self.wanted = keys;
    }
}
