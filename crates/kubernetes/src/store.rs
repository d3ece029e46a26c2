//! The store: the contract's calls, over what the streams bring and the writers take.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use portolan_effects::store::{
    Capabilities, Event, Events, History, ObjectStore, Recorded, StoreError, Stored, TooOld, View, Watch,
    Write, Written,
};
use portolan_model::{Instant, Kind, ObjectKey};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    Api, Content, Options,
    cache::Cache,
    content,
    definitions::Definitions,
    events::Recorder,
    follow::Following,
    resource::Discovery,
    status::{merge, writer::Statuses},
    write::Writer,
};

/// A Kubernetes API server as a store of objects. Clones are the same store; with the last of them all that it follows ends.
#[derive(Clone)]
pub struct KubernetesStore {
    shared: Following,
    history: Arc<History>,
    statuses: Arc<Statuses>,
    events: Arc<Recorder>,
    writer: Arc<Writer>,
    leads: watch::Sender<bool>,
    /// Streams and writers: they end with it.
    _tasks: Arc<JoinSet<()>>,
}

impl KubernetesStore {
    /// Follows an API server, and waits until each kind is listed or cannot be, at most [`Options::patience`].
    /// It does not lead until it is told to ([`lead`](Self::lead)): what would be written waits.
    pub async fn open(client: kube::Client, options: Options) -> Self {
        let api = Api::new(client);
        let options = Arc::new(options);
        let cache = Arc::new(Cache::new());
        // Where definitions may not be read, nobody is told of any; each kind is asked for now and then all the same.
        let (known, at) = match Definitions::list(&api, options.page).await {
            Ok((known, at)) => (known, Some(at)),
            Err(_) => (Definitions::default(), None),
        };
        let (told, definitions) = watch::channel(Arc::new(known));
        let discovery = Discovery::new(api.clone());
        let shared = Following { api, cache, discovery, options, definitions };
        let (leads, leading) = watch::channel(false);
        let statuses = Arc::new(Statuses::new());
        let events = Arc::new(Recorder::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(Definitions::follow(shared.api.clone(), Arc::clone(&shared.options), told, at));
        for followed in shared.options.follow.clone() {
            tasks.spawn(shared.clone().run(followed));
        }
        if shared.options.follow.iter().any(|followed| followed.content == Content::OnDemand) {
            tasks.spawn(content::run(shared.clone()));
        }
        tasks.spawn(Arc::clone(&statuses).run(shared.clone(), leading.clone()));
        tasks.spawn(Arc::clone(&events).run(shared.clone(), leading));
        let kinds: Vec<Kind> = shared.options.follow.iter().map(|followed| followed.kind.clone()).collect();
        let patience = shared.options.patience;
        let first = |view: Option<&View>| !matches!(view, None | Some(View::Coming));
        shared.cache.until(|seen| kinds.iter().all(|kind| first(seen.views.get(kind))), patience).await;
        let history = shared.cache.open();
        let writer = Arc::new(Writer::new(shared.clone()));
        Self { shared, history, statuses, events, writer, leads, _tasks: Arc::new(tasks) }
    }

    /// Whether this process writes: exactly one of several does. What is asked for while it does not is kept as far as it is
    /// a status or an event, and refused if it is anything else.
    pub fn lead(&self, leads: bool) {
        self.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads);
    }

    /// Whether it does.
    pub fn leads(&self) -> bool {
        *self.leads.borrow()
    }

    /// What is seen of an object.
    pub(crate) fn seen(&self, key: &ObjectKey) -> Option<Stored> {
        self.shared.cache.lock().objects.get(key).cloned()
    }

    /// All objects that are seen.
    pub(crate) fn keys(&self) -> Vec<ObjectKey> {
        self.shared.cache.lock().objects.keys().cloned().collect()
    }

    /// Asks for a status; `true` if that changes anything. It is written when this process leads.
    pub(crate) fn ask_status(&self, key: &ObjectKey, status: Option<Value>, now: Instant) -> bool {
        let stored = self.seen(key);
        self.statuses.set(key, stored.as_ref(), status, &self.shared.options.controllers, now)
    }

    /// The status of an object as it is or is about to be.
    pub(crate) fn shown(&self, key: &ObjectKey) -> Option<Value> {
        let shown = self.seen(key).map(|stored| self.statuses.shown(&stored));
        shown.filter(|status| !merge::is_nothing(status))
    }

    /// Notes an event, which is told when this process leads.
    pub(crate) fn note(&self, event: Event, now: Instant) {
        self.events.record(event, now);
    }

    /// Events about an object, or all.
    pub(crate) fn noted(&self, regarding: Option<&ObjectKey>) -> Vec<Recorded> {
        self.events.list(regarding)
    }

    /// How each kind is seen now.
    pub fn view(&self) -> BTreeMap<Kind, View> {
        self.shared.cache.lock().views.clone()
    }

    /// Counts up whenever an object or a view is another: what to wait for before [`view`](Self::view) is asked again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.cache.changes()
    }

    /// Which objects are looked into, all of them each time.
    pub fn look(&self, keys: BTreeSet<ObjectKey>) {
        let on_demand = |kind: &Kind| {
            let of = |followed: &&crate::Followed| followed.kind == *kind;
            let followed = self.shared.options.follow.iter().find(of);
            followed.is_some_and(|followed| followed.content == Content::OnDemand)
        };
        self.shared.cache.look_into(keys, on_demand);
    }
}

#[async_trait]
impl ObjectStore for KubernetesStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            atomic: false,
            memory_only: false,
            status_is_a_change: true,
            most_events: Events::MOST,
        }
    }

    async fn list(&self, kind: Option<&Kind>) -> Result<(Vec<Stored>, u64), StoreError> {
        let seen = self.shared.cache.lock();
        let of_kind = |stored: &&Stored| kind.is_none_or(|kind| stored.object.key.kind == *kind);
        Ok((seen.objects.values().filter(of_kind).cloned().collect(), seen.place))
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.seen(key))
    }

    async fn watch(&self, after: u64) -> Result<Box<dyn Watch>, TooOld> {
        Ok(Box::new(portolan_effects::store::Following::new(&self.history, after)?))
    }

    async fn write(&self, writes: Vec<Write>, _now: Instant) -> Result<Vec<Written>, StoreError> {
        if !*self.leads.borrow() {
            let refused = |write: Write| Written::Failed(write.key().clone(), "another replica leads".into());
            return Ok(writes.into_iter().map(refused).collect());
        }
        Ok(self.writer.write(writes).await)
    }

    async fn set_status(
        &self,
        key: &ObjectKey,
        status: Option<Value>,
        now: Instant,
    ) -> Result<bool, StoreError> {
        Ok(self.ask_status(key, status, now))
    }

    async fn status(&self, key: &ObjectKey) -> Result<Option<Value>, StoreError> {
        Ok(self.shown(key))
    }

    async fn record(&self, event: Event, now: Instant) -> Result<(), StoreError> {
        self.note(event, now);
        Ok(())
    }

    async fn events(&self, regarding: Option<&ObjectKey>) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.noted(regarding))
    }

    async fn views(&self) -> BTreeMap<Kind, View> {
        self.view()
    }

    async fn look_into(&self, keys: BTreeSet<ObjectKey>) {
        self.look(keys);
    }
}
